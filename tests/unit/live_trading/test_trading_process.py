"""What the trading process asks, and how often it asks again what it was not told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from aegis.clock import SimulatedClock
from aegis.errors import ComplianceError, SourceUnavailable
from aegis.live_trading.live_trader import TraderReport
from aegis.live_trading.trading_process import Knowledge, TradingProcess
from aegis.risk.exit_view import SymbolFacts

OPEN = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)


class Account:
    """An account in which nothing happens: system, trader, rules and feed in one."""

    stopped = ""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.asked: list[datetime] = []
        self.answers = False

    def actions(self, session: date) -> tuple:
        self.asked.append(self._clock.now_utc())
        if not self.answers:
            raise SourceUnavailable(f"{session}: silent")
        return ()

    def attempt(self, learn) -> TraderReport:
        learn()
        return TraderReport(at_utc=self._clock.now_utc(), stopped="", breaks=(), parents=(), failures=())

    def session_of(self, instant_utc: datetime) -> date:
        return instant_utc.date()

    def symbols(self) -> set[str]:
        return set()

    def execution_session(self) -> date:
        return self.session_of(self._clock.now_utc())

    def open_orders(self) -> tuple:
        return ()

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


class Deciding(Account):
    """An account that takes up an order of ABC in its second step, as if committed a moment ago, and sends."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__(clock)
        self.answers = True
        self.steps = 0
        self.known: dict[str, SymbolFacts] = {}
        self.sent_knowing: list[str] = []

    def attempt(self, learn) -> TraderReport:
        self.steps += 1
        learn()
        if self.symbols():
            self.sent_knowing.append(self.known["ABC"].restriction)
        return super().attempt(lambda: None)

    def symbols(self) -> set[str]:
        return {"ABC"} if self.steps > 1 else set()

    def observe_symbols(self, facts: dict[str, SymbolFacts]) -> None:
        self.known.update(facts)


class Restricted:
    """A restricted list that can be changed and lost."""

    def __init__(self) -> None:
        self.told = ""
        self.has_changed = self.is_lost = False

    def facts(self, symbols, _session) -> dict[str, SymbolFacts]:
        fact = SymbolFacts(median_daily_volume_shares=1e6, is_shortable=False, restriction=self.told)
        return dict.fromkeys(symbols, fact)

    def look(self) -> bool:
        if self.is_lost:
            message = "restricted.csv: gone"
            raise ComplianceError(message)
        changed, self.has_changed = self.has_changed, False
        return changed


def test_a_symbol_that_is_taken_up_in_a_step_is_known_before_anything_is_sent_in_it() -> None:
    clock = SimulatedClock(OPEN)
    account, listed = Deciding(clock), Restricted()
    knowledge = Knowledge(facts=listed.facts, actions=account.actions)
    process = TradingProcess(account, account, account, account, knowledge, venue=object(), clock=clock)
    for _ in range(3):
        assert process.step().failures == ()
    assert account.sent_knowing == ["", ""]


def test_a_restricted_list_that_changes_is_in_force_in_the_same_step_and_one_that_is_lost_is_told() -> None:
    clock = SimulatedClock(OPEN)
    account, listed = Deciding(clock), Restricted()
    knowledge = Knowledge(facts=listed.facts, actions=account.actions, look_at_restrictions=listed.look)
    process = TradingProcess(account, account, account, account, knowledge, venue=object(), clock=clock)
    for _ in range(2):
        process.step()
    listed.told, listed.has_changed = "no trading: merger talks", True
    assert process.step().failures == ()
    listed.is_lost = True
    for _ in range(2):
        assert process.step().failures == ("restricted.csv: gone",)
    listed.is_lost, listed.told, listed.has_changed = False, "", True
    assert process.step().failures == ()
    assert account.sent_knowing == ["", *["no trading: merger talks"] * 3, ""]
