"""What happened to every order of a backtest, from the kernel's records.

Belongs here: which record stands for which events, and the order of events inside one bar. The kernel keeps an order's
end, its fills and its amendments; a log of events is put together from them when somebody asks, in the vocabulary of
:mod:`aegis.execution.orders`, so that a backtest's orders are read like those of paper and live trading.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.backtesting.kernel.codes import Amendment, Reason, State
from aegis.backtesting.kernel.records import NO_ORDER
from aegis.backtesting.kernel.vocabulary import AMENDMENT_EVENTS, AMENDMENT_REASONS, END_EVENTS
from aegis.backtesting.record_frames import REASON_WORDS, instants, worded
from aegis.execution.orders import OrderEventKind

_KINDS: Final = tuple(OrderEventKind)
_REASONS: Final = tuple(dict.fromkeys([*REASON_WORDS, *AMENDMENT_REASONS.values()]))

# Inside one step: what a session's opening or the bar changes comes before the fill that it led to, what the strategy
# changes at the close after it.
_BEGINS, _CHANGES, _FILLS, _CHANGED_AT_CLOSE, _ENDS = range(5)

_EVENT: Final = np.dtype(
    [
        ("order", "i4"),
        ("step", "i4"),
        ("stage", "i1"),
        ("kind", "i1"),
        ("reason", "i1"),
        ("fill_number", "i2"),
        ("quantity", "f8"),
        ("price", "f8"),
        ("limit", "f8"),
        ("stop", "f8"),
    ]
)


def order_events(
    orders: NDArray[Any],
    fills: NDArray[Any],
    amendments: NDArray[Any],
    *,
    symbols: tuple[str, ...],
    step_times_utc: pd.DatetimeIndex,
) -> pd.DataFrame:
    """Return the log of events, in the order of time.

    Parameters
    ----------
    orders, fills, amendments : ndarray of ORDER, FILL and AMENDMENT
        The kernel's records.
    symbols : tuple of str
        Names by symbol number.
    step_times_utc : DatetimeIndex, length (steps,)
        When each step closes, aware UTC.

    Returns
    -------
    DataFrame
        One row for each event: ``order`` (its number in `orders`), ``symbol, step, at_utc`` (the close of the step's
        bar, when what happened inside it is known), ``kind`` (a word of
        :class:`~aegis.execution.orders.OrderEventKind`), ``reason`` (a word of
        :class:`~aegis.execution.order_reasons.OrderReason`, empty where there is none), ``fill_number`` (0 but for
        fills), ``quantity_shares`` and ``price_usd`` of a fill; for a change the order's whole ``quantity_shares``,
        ``limit_price_usd`` and ``stop_price_usd`` after it. NaN where an event has no such number.

    Notes
    -----
    The first event is 'held' for a child that waits for its parent, else 'accepted', unless the order was rejected when
    it arrived. An order without a final event is still open. Within one step the events of an order are in the order in
    which they must have happened; orders are listed by number.
    """
    refused = (orders["state"] == State.REJECTED) & (orders["closed_step"] == orders["submitted_step"])
    parts = [_begun(orders, ~refused), _amended(amendments), _filled(orders, fills), _ended(orders)]
    events = np.concatenate(parts)
    events = events[np.lexsort((np.arange(events.size), events["stage"], events["order"], events["step"]))]
    return pd.DataFrame(
        {
            "order": events["order"],
            "symbol": worded(orders["symbol"][events["order"]], symbols),
            "step": events["step"],
            "at_utc": instants(events["step"], step_times_utc),
            "kind": worded(events["kind"], _KINDS),
            "reason": worded(events["reason"], _REASONS),
            "fill_number": events["fill_number"],
            "quantity_shares": events["quantity"],
            "price_usd": events["price"],
            "limit_price_usd": events["limit"],
            "stop_price_usd": events["stop"],
        }
    )


def _events(size: int, stage: int) -> NDArray[Any]:
    events = np.zeros(size, _EVENT)
    events["stage"] = stage
    for name in ("quantity", "price", "limit", "stop"):
        events[name] = np.nan
    return events


def _begun(orders: NDArray[Any], taken: NDArray[np.bool_]) -> NDArray[Any]:
    numbers = np.flatnonzero(taken)
    events = _events(numbers.size, _BEGINS)
    events["order"] = numbers
    events["step"] = orders["submitted_step"][numbers]
    is_child = orders["parent"][numbers] != NO_ORDER
    events["kind"] = np.where(is_child, _KINDS.index(OrderEventKind.HELD), _KINDS.index(OrderEventKind.ACCEPTED))
    return events


def _amended(amendments: NDArray[Any]) -> NDArray[Any]:
    events = _events(amendments.size, _CHANGES)
    events["stage"][amendments["kind"] == Amendment.REPLACED] = _CHANGED_AT_CLOSE
    for name in ("order", "step", "quantity", "limit", "stop"):
        events[name] = amendments[name]
    kinds = [_KINDS.index(AMENDMENT_EVENTS[code]) for code in Amendment]
    reasons = [_REASONS.index(AMENDMENT_REASONS[code]) for code in Amendment]
    events["kind"] = np.array(kinds)[amendments["kind"]]
    events["reason"] = np.array(reasons)[amendments["kind"]]
    return events


def _filled(orders: NDArray[Any], fills: NDArray[Any]) -> NDArray[Any]:
    events = _events(fills.size, _FILLS)
    for name in ("order", "step", "quantity", "price"):
        events[name] = fills[name]
    events["fill_number"] = fills["number"]
    order = orders[fills["order"]]
    is_last = (order["state"] == State.FILLED) & (fills["number"] == order["fills"])
    whole, part = _KINDS.index(OrderEventKind.FILLED), _KINDS.index(OrderEventKind.PARTIALLY_FILLED)
    events["kind"] = np.where(is_last, whole, part)
    return events


def _ended(orders: NDArray[Any]) -> NDArray[Any]:
    numbers = np.flatnonzero(np.isin(orders["state"], [int(state) for state in END_EVENTS]))
    events = _events(numbers.size, _ENDS)
    events["order"] = numbers
    events["step"] = orders["closed_step"][numbers]
    kinds = np.zeros(len(State), np.int8)
    for state, kind in END_EVENTS.items():
        kinds[state] = _KINDS.index(kind)
    events["kind"] = kinds[orders["state"][numbers]]
    reasons = [_REASONS.index(REASON_WORDS[code]) for code in Reason]
    events["reason"] = np.array(reasons)[orders["reason"][numbers]]
    return events
