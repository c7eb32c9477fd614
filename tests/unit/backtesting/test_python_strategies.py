"""Strategies in Python: what they see, when they are called, and what happens when they ask for what cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numba import types
from numpy.typing import ArrayLike

from aegis.backtesting.array_strategies import TargetShares
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bar_rows import bars_from_frame, bars_to_frame
from aegis.backtesting.bars import Bars
from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.desk import Desk
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.kernel.stepping import advance
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.strategy import Strategy
from aegis.errors import AegisError, BacktestError, MalformedData, StrategyFailed

DAY = 86_400_000_000_000
NAN = np.nan
CONFIG = BacktestConfig(initial_cash_usd=1000.0, rules=TradingRules(participation_rate=np.inf))
AAA = np.array([10.0, 11.0, 12.0, 13.0, 14.0, 15.0])
BBB = np.array([NAN, 21.0, NAN, 23.0, 24.0, NAN])


def market(first_day: int = 1, days: int = 6) -> Bars:
    prices = np.column_stack([np.resize(AAA, days), np.resize(BBB, days)])
    times = (first_day + np.arange(days)) * DAY
    return Bars.from_arrays(*(prices,) * 5, closes_at=times, symbols=["AAA", "BBB"])


def sparse(bars: Bars) -> Bars:
    return bars_from_frame(bars_to_frame(bars), sessions="utc_days", layout="sparse", symbols=bars.symbols)


class Asks(Strategy):
    """Does what it is told at every bar, and remembers what came of it."""

    def __init__(self, ask: Callable[[Desk], object]) -> None:
        self.ask, self.answers = ask, []

    def indicators(self, bars: Bars) -> Mapping[str, ArrayLike]:
        return {"twice": 2.0 * bars.close}

    def on_bar(self, desk: Desk) -> None:
        self.answers.append(self.ask(desk))


@pytest.mark.parametrize("layout", [lambda bars: bars, sparse], ids=["dense", "sparse"])
def test_prices_history_and_indicators_are_the_bars_whatever_their_layout(layout: Callable[[Bars], Bars]) -> None:
    def look(desk: Desk) -> list[float]:
        at_most = min(desk.step + 1, 3)
        return [
            desk.price("AAA"),
            desk.price(1, "volume"),
            desk.indicator("twice", "BBB"),
            *desk.history(1, "high", at_most),
        ]

    seen = Asks(look)
    EventDrivenBacktest(seen, layout(market()), CONFIG).run()

    expected = [[AAA[i], BBB[i], 2 * BBB[i], *BBB[max(i - 2, 0) : i + 1]] for i in range(6)]
    for found, wanted in zip(seen.answers, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_history_cannot_be_written_to() -> None:
    def write(desk: Desk) -> None:
        desk.history("AAA", "close", 1)[0] = 99.0

    for bars in (market(), sparse(market())):
        with pytest.raises(StrategyFailed, match="read-only"):
            EventDrivenBacktest(Asks(write), bars, CONFIG).run()


@pytest.mark.parametrize("every", ["session", "week", "month"])
@pytest.mark.parametrize("sessions_per_chunk", [1, 4, 50])
def test_scheduled_callbacks_are_due_once_a_period_however_the_bars_come(every: str, sessions_per_chunk: int) -> None:
    # 90 days from Thursday, 2 January 1970: a session closes at midnight and belongs to the day that ends then.
    days = np.datetime64("1970-01-01") + np.arange(90)
    periods = {"session": days, "week": (days.astype(int) + 3) // 7, "month": days.astype("datetime64[M]")}[every]
    expected = days[np.r_[True, periods[1:] != periods[:-1]]].tolist()
    rung = []

    class Rings(Strategy):
        def on_start(self, desk: Desk) -> None:
            desk.schedule(lambda now: rung.append(now.session), every=every)  # type: ignore[arg-type]

    EventDrivenBacktest(Rings(), market(days=90), replace(CONFIG, sessions_per_chunk=sessions_per_chunk)).run()

    assert rung == expected


def test_results_reach_the_bar_at_which_the_strategy_failed_also_when_it_holds_nothing() -> None:
    def fail(desk: Desk) -> None:
        if desk.step == 3:
            raise RuntimeError("no reason")

    backtest = EventDrivenBacktest(Asks(fail), market(), CONFIG)
    with pytest.raises(StrategyFailed, match=r"^1970-01-05T00:00:00Z: Asks raised RuntimeError: no reason"):
        backtest.run()

    assert backtest.results().equity_usd.tolist() == [1000.0] * 4


def test_failing_before_the_first_bar_leaves_no_results() -> None:
    class FailsAtOnce(Strategy):
        def on_start(self, desk: Desk) -> None:
            desk.price("AAA")

    backtest = EventDrivenBacktest(FailsAtOnce(), market(), CONFIG)
    with pytest.raises(StrategyFailed, match=r"FailsAtOnce\.on_start"):
        backtest.run()
    with pytest.raises(BacktestError, match="no step"):
        backtest.results()


def as_of(symbol: str) -> str:
    return f"^(?=.*1970-01-02T00:00:00Z: ).*{symbol}.*"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda desk: desk.price("CCC"), as_of("'CCC' does not exist; there are AAA, BBB")),
        (lambda desk: desk.order("CCC", 1.0), as_of("'CCC' does not exist; there are AAA, BBB")),
        (lambda desk: desk.order(2, 1.0), as_of("2 does not exist; there are AAA, BBB")),
        (lambda desk: desk.order("AAA", 0.0), as_of("AAA 1970-01-02T00:00:00Z.* 0")),
        (lambda desk: desk.order("AAA", NAN), as_of("AAA 1970-01-02T00:00:00Z.* nan")),
        (lambda desk: desk.order("AAA", np.inf), as_of("AAA 1970-01-02T00:00:00Z.* inf")),
        (lambda desk: desk.order("AAA", 1.0, order_type="limit"), as_of("AAA 1970-01-02T00:00:00Z.*")),
        (
            lambda desk: desk.order("AAA", 1.0, order_type="limit", limit_usd=-1.0),
            as_of("AAA 1970-01-02T00:00:00Z.*-1"),
        ),
        (lambda desk: desk.order("AAA", 1.0, order_type="hidden"), as_of("'hidden' and must be one of market, ")),
        (lambda desk: desk.order("AAA", 1.0, time_in_force="GOOD"), as_of("'GOOD' and must be one of ")),
        (lambda desk: desk.order("AAA", 1.0, expires_at_utc=datetime(1971, 1, 1)), as_of("no time zone")),  # noqa: DTZ001
        (lambda desk: desk.history("AAA", "close", 2), as_of("history of 2 bars where 1 are known; wait")),
        (lambda desk: desk.history("AAA", "close", -1), as_of("history of -1 bars")),
        (lambda desk: desk.cancel(7), as_of("7")),
        (lambda desk: desk.order_filled(7), as_of("order 7 does not exist; use the number")),
        (lambda desk: desk.order_target_weight("AAA", NAN), as_of("AAA 1970-01-02T00:00:00Z.*nan")),
    ],
)
def test_what_cannot_be_is_refused_with_symbol_time_and_remedy(ask: Callable[[Desk], object], message: str) -> None:
    backtest = EventDrivenBacktest(Asks(ask), market(), CONFIG)
    with pytest.raises(StrategyFailed, match=message) as refused:
        backtest.run()
    assert len(str(refused.value)) > len("1970-01-02T00:00:00Z: ") + 20
    assert backtest.results().equity_usd.tolist() == [1000.0], "what came before is kept"


def test_an_order_of_a_delisted_name_is_rejected_and_says_so() -> None:
    gone = CorporateEvent(kind="delisting", symbol="AAA", ex_date=datetime(1970, 1, 3, tzinfo=UTC).date())

    def late(desk: Desk) -> None:
        if desk.step == 4:
            desk.order("AAA", 10.0)

    done = EventDrivenBacktest(Asks(late), market(), replace(CONFIG, events=[gone])).run()

    assert done.orders[["symbol", "state", "reason", "filled_shares"]].to_numpy().tolist() == [
        ["AAA", "rejected", "delisted", 0.0]
    ]


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        (np.ones(5), "expected"),
        (np.ones((6, 3)), "expected"),
        (np.full((6, 2), np.inf), "AAA 1970-01-02"),
    ],
)
def test_targets_of_another_shape_or_without_bounds_are_refused(shares: np.ndarray, message: str) -> None:
    with pytest.raises(AegisError, match=message):
        EventDrivenBacktest(TargetShares(shares=shares), market(), CONFIG).run()


def test_an_indicator_without_a_value_for_each_row_is_refused() -> None:
    class Short(Asks):
        def indicators(self, bars: Bars) -> Mapping[str, ArrayLike]:
            return {"fast": bars.close[1:]}

    with pytest.raises(StrategyFailed, match=r"indicator 'fast' has the shape \(11,\); return a value for each of 12"):
        EventDrivenBacktest(Short(lambda _desk: None), market(), CONFIG).run()


@pytest.mark.parametrize("history_sessions", [0, 2])
def test_an_impossible_dividend_is_refused_in_every_chunk(history_sessions: int) -> None:
    # AAA closes at 11 on the second day and at 12 on the third.
    config = replace(
        CONFIG,
        sessions_per_chunk=2,
        history_sessions=history_sessions,
        events=[
            CorporateEvent(
                kind="dividend", symbol="AAA", ex_date=datetime(1970, 1, 3, tzinfo=UTC).date(), amount_usd=11.5
            )
        ],
    )
    with pytest.raises(
        MalformedData, match=r"AAA 1970-01-03: dividend 11\.5 USD is not below the previous close 11\.0"
    ):
        EventDrivenBacktest(Asks(lambda _desk: None), market(), config).run()


def test_the_kernel_is_entered_with_integers_only() -> None:
    # To unpack a first-class function takes numba 10 us, for every bar in which an order of a Python strategy is open.
    assert advance.nopython_signatures == [types.int64(types.int64, types.int64, types.int64)]


def test_indicators_that_cannot_be_made_name_the_bars_and_lose_nothing() -> None:
    class Breaks(Asks):
        def indicators(self, bars: Bars) -> Mapping[str, ArrayLike]:
            if bars.closes_at[0] > 3 * DAY:
                raise ZeroDivisionError("no volume")
            return {}

    backtest = EventDrivenBacktest(Breaks(lambda _desk: None), market(), replace(CONFIG, sessions_per_chunk=3))
    message = r"^1970-01-05T00:00:00Z to 1970-01-07T00:00:00Z: Breaks\.indicators raised ZeroDivisionError: no volume"
    with pytest.raises(StrategyFailed, match=message):
        backtest.run()
    assert backtest.results().equity_usd.tolist() == [1000.0] * 3


def test_an_interrupted_run_keeps_what_came_before() -> None:
    def interrupt(desk: Desk) -> None:
        if desk.step == 3:
            raise KeyboardInterrupt

    backtest = EventDrivenBacktest(Asks(interrupt), market(), CONFIG)
    with pytest.raises(KeyboardInterrupt):
        backtest.run()
    assert backtest.results().equity_usd.tolist() == [1000.0] * 4


def test_a_callback_cannot_be_scheduled_among_the_bars() -> None:
    with pytest.raises(StrategyFailed, match=r"the bars have begun.*schedule in on_start"):
        EventDrivenBacktest(Asks(lambda desk: desk.schedule(print)), market(), CONFIG).run()
