"""What must hold of every backtest before anyone believes it.

Belongs here: the checks that are shown with ``research/backtests``. They ask the results only, so they find a defect of
the engine as well as one of whatever made the results.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aegis.backtesting.kernel.codes import Amendment
from aegis.backtesting.results import BacktestResults
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, TRANSITIONS, OrderState
from aegis.execution.orders import OrderEventKind

UNEXPLAINED_TOLERANCE_USD = 1e-6
"""Largest profit of a backtest that may be left unexplained: rounding of a few thousand bookings."""


def unexplained_usd(results: BacktestResults) -> float:
    """Return the absolute profit that no price, dividend, interest, fee or cost explains, USD."""
    return abs(results.metrics.unexplained_usd)


def illegal_orders(results: BacktestResults) -> list[str]:
    """Return what is wrong with orders and fills, one sentence each; none if all is well.

    Notes
    -----
    A fill is of its order's symbol and side, later than the decision and at a price above 0; the fills of an order are
    what it says it has filled, and no more than its quantity, unless a split rescaled it; and its events are a path
    through the state machine of live orders.
    """
    return [*_impossible_fills(results), *_impossible_sums(results), *_impossible_paths(results)]


def _impossible_fills(results: BacktestResults) -> Iterator[str]:
    fills = results.fill_records
    orders = results.order_records[fills["order"]]
    for what, wrong in (
        ("is of another symbol than its order", fills["symbol"] != orders["symbol"]),
        ("is on the other side of its order", fills["quantity"] * orders["quantity"] <= 0.0),
        ("is not later than its decision", fills["step"] <= orders["submitted_step"]),
        ("has no price above 0", ~(fills["price"] > 0.0)),
    ):
        for row in np.flatnonzero(wrong):
            yield _sentence(results, int(fills["order"][row]), f"fill {fills['number'][row]} {what}")


def _impossible_sums(results: BacktestResults) -> Iterator[str]:
    orders, fills = results.order_records, results.fill_records
    filled = np.zeros(len(orders))
    np.add.at(filled, fills["order"], fills["quantity"])
    # A split gives an order new shares: what it filled before is in old ones.
    amendments = results.amendment_records
    filled[amendments["order"][amendments["kind"] == Amendment.RESCALED]] = np.nan
    for what, wrong in (
        ("fills do not add up to what is filled", np.abs(filled - orders["filled"]) > FILL_TOLERANCE_SHARES),
        ("more is filled than ordered", np.abs(filled) > np.abs(orders["quantity"]) + FILL_TOLERANCE_SHARES),
    ):
        for number in np.flatnonzero(wrong):
            yield _sentence(results, int(number), what)


def _impossible_paths(results: BacktestResults) -> Iterator[str]:
    events = results.order_events
    states: dict[int, OrderState] = {}
    for number, kind in zip(events["order"].tolist(), events["kind"].tolist(), strict=True):
        state = states.get(number, OrderState.SUBMITTED)
        following = TRANSITIONS[state].get(OrderEventKind(kind))
        if following is None:
            yield _sentence(results, number, f"event '{kind}' follows state '{state}'")
        else:
            states[number] = following


def _sentence(results: BacktestResults, order: int, what: str) -> str:
    symbol = results.symbols[results.order_records["symbol"][order]]
    at = results.step_times_utc[results.order_records["submitted_step"][order]]
    return f"{results.strategy}: order {order} ({symbol}, decided {at:%Y-%m-%d}): {what}"
