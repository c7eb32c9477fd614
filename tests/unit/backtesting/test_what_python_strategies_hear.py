"""When a strategy in Python hears of its orders, and what it is told where it misspells something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import ArrayLike

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.desk import Desk
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.jitted import close, jitted_strategy, step_number
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.strategy import OrderNotice, Strategy
from aegis.errors import StrategyFailed

HOUR = 3_600_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CONFIG = BacktestConfig(initial_cash_usd=10_000.0, rules=TradingRules(participation_rate=np.inf))


def market(steps: int = 60, hours: int = 6) -> Bars:
    """One symbol at 100 USD, a bar every `hours`; a session is a day, and its last bar closes at midnight."""
    prices = np.full(steps, 100.0)
    times = (np.arange(steps, dtype=np.int64) + 1) * hours * HOUR + 24 * HOUR
    return Bars.from_arrays(*(prices,) * 4, np.full(steps, 1e6), closes_at=times, symbols=["AAA"])


def closes_at(step: int) -> datetime:
    return EPOCH + timedelta(hours=24 + 6 * (step + 1))


class Hears(Strategy):
    """Does what it is told at some steps, and writes down what it hears."""

    def __init__(self, wishes: Mapping[int, Callable[[Desk], object]]) -> None:
        self.wishes = wishes
        self.heard: list[tuple[int, int, str, datetime]] = []

    def on_bar(self, desk: Desk) -> None:
        if desk.step in self.wishes:
            self.wishes[desk.step](desk)

    def on_order(self, desk: Desk, order: OrderNotice) -> None:
        self.heard.append((desk.step, order.order, order.state, order.at_utc))


def sale(desk: Desk) -> object:
    return desk.order("AAA", -1.0)  # a cash account that holds nothing sells nothing


@pytest.mark.parametrize("sessions_per_chunk", [None, 1, 2, 5])
def test_an_order_rejected_at_a_close_is_told_at_the_next(sessions_per_chunk: int | None) -> None:
    hears = Hears({10: sale, 20: sale, 31: sale})  # the session's last bars are 3, 7, ... 31

    config = replace(CONFIG, sessions_per_chunk=sessions_per_chunk)
    EventDrivenBacktest(hears, market(), config).run()

    assert hears.heard == [
        (11, 0, "rejected", closes_at(10)),
        (21, 1, "rejected", closes_at(20)),
        (32, 2, "rejected", closes_at(31)),
    ]


def test_a_cancellation_is_told_at_the_next_close_and_a_fill_at_its_own() -> None:
    def rest(desk: Desk) -> object:
        return desk.order("AAA", 1.0, order_type="limit", limit_usd=50.0, time_in_force="GTC")

    hears = Hears({3: rest, 45: lambda desk: desk.cancel(0), 50: lambda desk: desk.order("AAA", 1.0)})

    EventDrivenBacktest(hears, market(), CONFIG).run()

    assert hears.heard == [(46, 0, "cancelled", closes_at(45)), (51, 1, "filled", closes_at(51))]


def test_the_cancellation_of_an_order_that_waits_for_its_parent_is_told() -> None:
    def pair(desk: Desk) -> object:
        entry = desk.order("AAA", 1.0, order_type="limit", limit_usd=50.0, time_in_force="GTC")
        return desk.child(entry, "AAA", -1.0, order_type="limit", limit_usd=150.0, time_in_force="GTC")

    hears = Hears({3: pair, 20: lambda desk: desk.cancel(1)})

    EventDrivenBacktest(hears, market(), CONFIG).run()

    assert hears.heard == [(21, 1, "cancelled", closes_at(20))]


def test_steps_are_counted_over_all_chunks() -> None:
    seen: list[tuple[int, datetime]] = []

    class Counts(Strategy):
        def on_bar(self, desk: Desk) -> None:
            seen.append((desk.step, desk.now_utc))

    for history in (0, 1):
        EventDrivenBacktest(Counts(), market(), replace(CONFIG, sessions_per_chunk=2, history_sessions=history)).run()
        assert seen == [(step, closes_at(step)) for step in range(60)]
        seen.clear()


def test_history_of_an_earlier_chunk_is_refused_with_the_setting_that_keeps_it() -> None:
    class Looks(Strategy):
        def on_bar(self, desk: Desk) -> None:
            if desk.step >= 5:
                desk.history("AAA", "close", 6)

    # Sessions of four bars in chunks of two: step 8 is the first of the second chunk.
    with pytest.raises(StrategyFailed, match=r"AAA: history of 6 bars where 1 of the 9 .* raise history_sessions"):
        EventDrivenBacktest(Looks(), market(), replace(CONFIG, sessions_per_chunk=2)).run()
    EventDrivenBacktest(Looks(), market(), replace(CONFIG, sessions_per_chunk=2, history_sessions=2)).run()


@jitted_strategy
def looks_back(market_: int) -> None:
    if step_number(market_) >= 5:
        close(market_, 0, 5)


def test_a_jitted_look_at_an_earlier_chunk_is_refused_with_the_setting_that_keeps_it() -> None:
    with pytest.raises(StrategyFailed, match=r"AAA 1970-01-04T06:00:00Z: .*history_sessions"):
        EventDrivenBacktest(looks_back, market(), replace(CONFIG, sessions_per_chunk=2)).run()
    EventDrivenBacktest(looks_back, market(), replace(CONFIG, sessions_per_chunk=2, history_sessions=2)).run()


class Asks(Strategy):
    def __init__(self, ask: Callable[[Desk], object]) -> None:
        self.ask = ask

    def indicators(self, bars: Bars) -> Mapping[str, ArrayLike]:
        return {"fast": bars.close, "slow": bars.close}

    def on_bar(self, desk: Desk) -> None:
        self.ask(desk)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda desk: desk.price("AAA", "Close"), "field 'Close' does not exist; there are open, high, low, close, vo"),
        (lambda desk: desk.history("AAA", "Close", 1), "field 'Close' does not exist; there are open, high, low"),
        (lambda desk: desk.indicator("fats"), "indicator 'fats' does not exist; there are fast, slow"),
        (lambda desk: desk.schedule(print, every="monthly"), "every is 'monthly' and must be one of session, week, mo"),
        (lambda desk: desk.schedule(print, every="day"), "every is 'day' and must be one of session, week, month"),
        (lambda desk: desk.schedule(print, at="end"), "at is 'end' and must be one of open, close"),
        (lambda desk: desk.schedule(print, bars=-1), "bars is -1"),
        (lambda desk: desk.order("AAA", "5"), "quantity_shares is '5' of type str; pass a number"),
        (lambda desk: desk.order("AAA", 1.0, order_type="limit", limit_usd="9"), "limit_usd is '9' of type str"),
        (lambda desk: desk.bracket("AAA", 1.0, stop_loss_usd=None), "stop_loss_usd is None .*leave out a price"),
        (
            lambda desk: desk.order("AAA", 1.0, order_type="trailing_stop", trail_usd=2.0, trail_fraction=0.1),
            "trail_usd is 2 and trail_fraction 0.1; give one of them",
        ),
        (
            lambda desk: desk.order("AAA", -1.0, order_type="trailing_stop", trail_fraction=5),
            "trail_fraction is 5 and must lie between 0 and 1",
        ),
        (
            lambda desk: desk.order("AAA", 1.0, time_in_force="GTD", expires_at_utc=date(1980, 1, 5)),
            "1980-01-05 is no session of the bars in memory, 1970-01-02 to 1970-01-16; pass one of them, or an aware",
        ),
    ],
)
def test_a_word_or_a_value_that_cannot_be_is_refused_with_those_that_can(
    ask: Callable[[Desk], object], message: str
) -> None:
    with pytest.raises(StrategyFailed, match=f"^1970-01-02T06:00:00Z: .*{message}"):
        EventDrivenBacktest(Asks(ask), market(), CONFIG).run()


@pytest.mark.parametrize(
    "ask", [lambda desk: desk.price("AAA"), lambda desk: desk.closes_session, lambda desk: desk.indicator("fast")]
)
def test_what_needs_a_bar_is_refused_before_the_first(ask: Callable[[Desk], object]) -> None:
    class AsksAtOnce(Asks):
        def on_start(self, desk: Desk) -> None:
            self.ask(desk)

    with pytest.raises(StrategyFailed, match=r"^AsksAtOnce\.on_start: no bar is known yet; ask in on_bar"):
        EventDrivenBacktest(AsksAtOnce(ask), market(), CONFIG).run()


def test_a_fault_says_its_time_once() -> None:
    with pytest.raises(StrategyFailed, match=r"^AAA 1970-01-02T06:00:00Z: ") as refused:
        EventDrivenBacktest(Asks(lambda desk: desk.order("AAA", np.inf)), market(), CONFIG).run()
    assert str(refused.value).count("1970") == 1


def test_quantities_of_any_type_of_number_are_taken() -> None:
    def buy(desk: Desk) -> None:
        if desk.step == 0:
            for quantity in (1, 2.0, np.float32(3), np.int64(4)):
                desk.order("AAA", quantity)

    done = EventDrivenBacktest(Asks(buy), market(), CONFIG).run()

    assert done.fills["quantity_shares"].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_a_date_keeps_an_order_until_the_close_of_that_session() -> None:
    # Two days after the first: the sessions are 2, 3, 4 January, ..., of four bars each; step 11 closes the third.
    def rest(desk: Desk) -> object:
        return desk.order(
            "AAA", 1.0, order_type="limit", limit_usd=50.0, time_in_force="GTD", expires_at_utc=date(1970, 1, 4)
        )

    hears = Hears({1: rest})

    EventDrivenBacktest(hears, market(), CONFIG).run()

    assert hears.heard == [(11, 0, "expired", closes_at(11))]


def test_a_strategy_whose_methods_are_misspelt_is_refused_with_the_right_names() -> None:
    class Misspelt(Strategy):
        def onbar(self, desk: Desk) -> None:
            desk.order("AAA", 1.0)

        def next(self, desk: Desk) -> None:
            desk.order("AAA", 1.0)

    with pytest.raises(StrategyFailed, match=r"Misspelt has no method .*: onbar looks like on_bar; write one of on_st"):
        EventDrivenBacktest(Misspelt(), market(), CONFIG)


def test_a_strategy_without_any_method_is_refused() -> None:
    with pytest.raises(StrategyFailed, match="Strategy has no method that is ever called; write one of on_start, on_b"):
        EventDrivenBacktest(Strategy(), market(), CONFIG)


@pytest.mark.parametrize(("last", "at"), [(112.0, 110.0), (85.0, 90.0)])
def test_both_exits_of_a_position_rest_in_a_cash_account_and_one_cancels_the_other(last: float, at: float) -> None:
    steps = 6
    high, low = np.full(steps, 100.0), np.full(steps, 100.0)
    high[4], low[4] = max(last, 100.0), min(last, 100.0)
    bars = Bars.from_arrays(
        *(np.full(steps, 100.0), high, low, np.full(steps, 100.0), np.full(steps, 1e6)),
        closes_at=(np.arange(steps, dtype=np.int64) + 1) * 24 * HOUR,
        symbols=["AAA"],
    )

    def exits(desk: Desk) -> None:
        stop = desk.order("AAA", -100.0, order_type="stop", stop_usd=90.0, time_in_force="GTC")
        desk.order("AAA", -100.0, order_type="limit", limit_usd=110.0, time_in_force="GTC", sibling_of=stop)

    hears = Hears({0: lambda desk: desk.order("AAA", 100.0), 2: exits})
    done = EventDrivenBacktest(hears, bars, CONFIG).run()

    assert done.fill_records[["step", "quantity", "price"]].tolist() == [(1, 100.0, 100.0), (4, -100.0, at)]
    assert sorted(done.orders["state"].tolist()) == ["cancelled", "filled", "filled"]
