"""What the trading process asks, and how often it asks again what it was not told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from aegis.clock import SimulatedClock
from aegis.errors import SourceUnavailable
from aegis.live_trading.live_trader import TraderReport
from aegis.live_trading.trading_process import Knowledge, TradingProcess

OPEN = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)


class Account:
    """An account in which nothing happens: system, trader, rules and feed in one."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.asked: list[datetime] = []
        self.answers = False

    def actions(self, session: date) -> tuple:
        self.asked.append(self._clock.now_utc())
        if not self.answers:
            raise SourceUnavailable(f"{session}: silent")
        return ()

    def attempt(self) -> TraderReport:
        return TraderReport(at_utc=self._clock.now_utc(), stopped="", breaks=(), parents=(), failures=())

    def session_of(self, instant_utc: datetime) -> date:
        return instant_utc.date()

    def symbols(self) -> set[str]:
        return set()

    def start(self) -> None: ...

    def step(self) -> None: ...

    def unbooked_sessions(self) -> tuple[date, ...]:
        return (self.session_of(self._clock.now_utc()),)

    def book_actions(self, actions: tuple, *, session: date, closes_usd: dict) -> None: ...

    def observe_clock_skew(self, seconds: float) -> None: ...


def test_a_vendor_that_does_not_answer_is_asked_once_a_minute_and_told_of_in_every_step() -> None:
    clock = SimulatedClock(OPEN)
    account = Account(clock)
    knowledge = Knowledge(facts=lambda *_: {}, actions=account.actions)
    process = TradingProcess(account, account, account, account, knowledge, venue=object(), clock=clock)
    for second in range(61):
        clock.advance_to(OPEN + timedelta(seconds=second))
        assert process.step().failures == ("2014-06-06: silent",)
    assert account.asked == [OPEN, OPEN + timedelta(minutes=1)]
    account.answers = True
    clock.advance_to(OPEN + timedelta(minutes=2))
    assert process.step().failures == ()
    clock.advance_to(OPEN + timedelta(minutes=9))
    assert process.step().failures == ()
    assert len(account.asked) == 3
