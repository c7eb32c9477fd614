"""Execution algorithms on the minute bars of a backtest, by hand: the kernel fills what they send."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.desk import Desk
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.strategy import Strategy
from aegis.backtesting.worked_orders import WorkedOrders
from aegis.calendars import trading_calendar
from aegis.config_eval import ExecutionEval
from aegis.execution.algorithms.parent_state import NoteKind, ParentPhase

NYSE = trading_calendar("XNYS")
FULL_DAY, HALF_DAY = date(2014, 6, 6), date(2014, 7, 3)
MINUTE = 60 * 10**9
FIELDS = ("open", "high", "low", "close", "volume")
RULES = TradingRules(participation_rate=0.1)


def _bars(session: date, *, volume: float = 1000.0, shape: np.ndarray | None = None) -> Bars:
    """Return minute bars; bar n opens at 10 + n / 100 and closes a cent higher."""
    opens, closes = NYSE.open_utc(session), NYSE.close_utc(session)
    count = int((closes - opens).total_seconds()) // 60
    first = 10.0 + np.arange(count)[:, None] / 100
    volumes = np.full((count, 1), volume) if shape is None else shape[:, None]
    return Bars.from_arrays(
        first,
        first + 0.01,
        first,
        first + 0.01,
        volumes,
        closes_at=int(opens.timestamp()) * 10**9 + MINUTE * np.arange(1, count + 1),
        symbols=["ABC"],
        bar_interval=MINUTE,
    )


class Works(Strategy):
    """Works one order from the first bar on, and does what it is told afterwards."""

    def __init__(self, quantity: float, settings: ExecutionEval, *, then: Callable[..., None] | None = None, **terms):
        self.quantity, self.settings, self.then, self.terms = quantity, settings, then, terms
        self.seen: list[tuple[float, float]] = []

    def on_start(self, desk: Desk) -> None:
        self.orders = WorkedOrders(desk, calendar=NYSE, settings=self.settings)

    def on_bar(self, desk: Desk) -> None:
        if desk.step == 0:
            self.parent = self.orders.work("ABC", self.quantity, **self.terms)
        if self.then is not None:
            self.then(self, desk)
        self.orders.on_bar()
        (state,) = self.orders.states()
        self.seen.append((state.filled_shares, desk.position()))


def _run(bars: Bars, strategy: Works):
    config = BacktestConfig(initial_cash_usd=1e6, rules=RULES)
    backtest = EventDrivenBacktest(strategy, bars, config)
    results = backtest.run()
    fills = results.fills
    (state,) = strategy.orders.states()
    assert results.orders["quantity_shares"].tolist() == [c.status.order.quantity_shares for c in state.children]
    return state, list(zip(fills["step"].tolist(), fills["quantity_shares"].tolist(), strict=True))


def test_twap_fills_the_same_in_each_interval_from_the_bar_after_its_begin():
    settings = ExecutionEval(default_algorithm="twap", interval_minutes=30)
    state, fills = _run(_bars(FULL_DAY), Works(389.0, settings))
    # A share a minute: 29 in what is left of the first interval, sent at the close of bar 0; then 30 at the close of
    # bars 29, 59, ...
    assert fills == [(1, 29.0), *((30 * n, 30.0) for n in range(1, 13))]
    assert (state.phase, state.filled_shares, state.notes) == (ParentPhase.COMPLETED, 389.0, ())


def test_a_half_day_is_worked_in_its_own_hours():
    settings = ExecutionEval(default_algorithm="twap", interval_minutes=30)
    _, fills = _run(_bars(HALF_DAY), Works(209.0, settings))
    assert fills == [(1, 29.0), *((30 * n, 30.0) for n in range(1, 7))]


def test_a_venue_that_turns_every_child_down_halts_the_parent():
    settings = ExecutionEval(default_algorithm="twap", interval_minutes=30)
    state, fills = _run(_bars(HALF_DAY), Works(-209.0, settings))  # a cash account cannot sell short
    assert (state.phase, fills, len(state.children)) == (ParentPhase.HALTED, [], 3)


def test_the_kernels_participation_spreads_a_child_over_bars_and_the_rest_is_carried_over():
    # A bar lets 100 through, and the cap is a tenth of what an interval sees: 900 in nine minutes, 1,000 in ten.
    settings = ExecutionEval(default_algorithm="twap", interval_minutes=10)
    state, fills = _run(_bars(FULL_DAY), Works(39_000.0, settings))
    assert fills == [(step, 100.0) for step in range(1, 390)]
    assert [child.status.order.quantity_shares for child in state.children] == [900.0] + [1000.0] * 38
    assert (state.phase, state.filled_shares) == (ParentPhase.EXPIRED, 38_900.0)


def test_pov_never_holds_more_than_its_share_of_what_was_traded():
    settings = ExecutionEval(default_algorithm="pov", interval_minutes=5)
    volumes = np.where(np.arange(390) % 60 < 30, 0.0, 1500.0)
    works = Works(1e6, settings)
    state, fills = _run(_bars(FULL_DAY, shape=volumes), works)
    traded = np.cumsum(volumes)
    for (filled, held), so_far in zip(works.seen, traded, strict=True):
        assert held <= 0.1 * so_far
        assert filled == held
    assert state.phase is ParentPhase.EXPIRED
    # Bars 30 to 59 trade 45,000, a tenth of which is sent from bar 34 on and fills within a tenth of each bar.
    assert sum(shares for step, shares in fills if step < 60) <= 4500
    assert state.filled_shares == sum(shares for _, shares in fills) > 20_000


def test_cancelling_a_parent_ends_its_child_in_the_kernel():
    def then(strategy: Works, desk: Desk) -> None:
        if desk.step == 3:
            strategy.orders.cancel(strategy.parent, reason="the drill")

    settings = ExecutionEval(default_algorithm="market")
    state, fills = _run(_bars(FULL_DAY), Works(5000.0, settings, then=then))
    assert fills == [(1, 100.0), (2, 100.0), (3, 100.0)]
    assert (state.phase, state.filled_shares) == (ParentPhase.CANCELLED, 300.0)
    assert [(note.kind, note.text) for note in state.notes] == [(NoteKind.CANCEL_REQUESTED, "the drill")]


def test_a_worked_limit_that_the_market_leaves_behind_expires():
    settings = ExecutionEval()
    # Prices rise from 10: nothing trades at 9.995, which the tick cuts to 9.99.
    state, fills = _run(_bars(FULL_DAY), Works(100.0, settings, algorithm="limit", limit_usd=9.995))
    assert (state.phase, fills) == (ParentPhase.EXPIRED, [])
    assert [child.status.order.limit_price_usd for child in state.children] == [9.99]


def test_an_order_given_at_the_last_bar_is_worked_in_the_next_session():
    friday, monday = _bars(FULL_DAY), _bars(date(2014, 6, 9))

    class Late(Works):
        def on_bar(self, desk: Desk) -> None:
            if desk.step == 389:
                self.parent = self.orders.work("ABC", 13.0)
            self.orders.on_bar()

    both = Bars.from_arrays(
        *(np.concatenate([getattr(day, field) for day in (friday, monday)]) for field in FIELDS),
        closes_at=np.concatenate([friday.closes_at, monday.closes_at]),
        symbols=["ABC"],
        bar_interval=MINUTE,
    )
    state, fills = _run(both, Late(13.0, ExecutionEval(default_algorithm="twap", interval_minutes=30)))
    assert state.order.execution_session == date(2014, 6, 9)
    # The open of Monday is no bar's close: the first look is at the close of Monday's first bar.
    assert fills == [(391, 1.0), *((390 + 30 * n, 1.0) for n in range(1, 13))]


def test_a_worked_limit_within_the_market_fills_in_the_next_bar():
    state, fills = _run(_bars(FULL_DAY), Works(100.0, ExecutionEval(), algorithm="limit", limit_usd=10.05))
    assert (fills, state.phase) == ([(1, 100.0)], ParentPhase.COMPLETED)
