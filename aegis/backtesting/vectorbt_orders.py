"""What vectorbt's simulation asks between its rows: which order comes next, and what is decided at a close.

Belongs here: the callbacks of ``vectorbt.Portfolio.from_order_func`` and the arrays that they share. vectorbt executes:
prices with slippage, commissions, cash and positions are its own. The rule that turns a target into a quantity is the
kernel's :func:`~aegis.backtesting.kernel.lot_sizes.whole_lots`, so that there is one of it. This module imports
vectorbt, which takes seconds: import it inside a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from vectorbt.portfolio.enums import Direction, OrderStatus
from vectorbt.portfolio.nb import order_nb, order_nothing_nb

from aegis.backtesting.kernel.codes import Reason, State
from aegis.backtesting.kernel.lot_sizes import QUANTITY_TOLERANCE, whole_lots

_WORKING, _FILLED, _CANCELLED, _EXPIRED, _REJECTED = (
    int(State.WORKING),
    int(State.FILLED),
    int(State.CANCELLED),
    int(State.EXPIRED),
    int(State.REJECTED),
)
_NO_PRICE, _BUYING_POWER = int(Reason.NO_PRICE), int(Reason.BUYING_POWER)
_LONG_ONLY, _DONE = int(Direction.LongOnly), int(OrderStatus.Filled)

ABOVE_CAP, STILL_OPEN, NOT_EXECUTED = 1, 2, 3
"""What ends a run: an order above the participation cap, a decision while an order is open, an order refused."""

_ORDERS, _FILLS, _NEXT = 0, 1, 2


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile a callback; it is part of vectorbt's own simulation, which is not kept on disk either."""
    return njit()(function)


class Market(NamedTuple):
    """What the bars say; arrays of shape (steps, symbols) or (steps,).

    Parameters
    ----------
    reference : ndarray of float64
        Price before costs at which an order executes in a step, USD.
    executes : ndarray of bool
        Whether an order executes in a step at all.
    volume, marks : ndarray of float64
        Shares; last closes, USD, NaN before the first.
    session : ndarray of int64
        Position of each step's session.
    ends_session : ndarray of bool
        Whether a step is the last of its session.
    decision : ndarray of int64
        Row of `targets` that is decided at a step's close, -1 for none.
    targets : ndarray of float64, shape (decisions, symbols)
        Weights or shares; NaN leaves a symbol as it is.
    """

    reference: NDArray[np.float64]
    executes: NDArray[np.bool_]
    volume: NDArray[np.float64]
    marks: NDArray[np.float64]
    session: NDArray[np.int64]
    ends_session: NDArray[np.bool_]
    decision: NDArray[np.int64]
    targets: NDArray[np.float64]


class Terms(NamedTuple):
    """Settings: fractions for the two costs, shares for the lot, an integer reason for what expires."""

    are_weights: bool
    slippage: float
    commission: float
    lot: float
    participation_rate: float
    expiry_reason: int


class Book(NamedTuple):
    """What the run writes down.

    Parameters
    ----------
    orders : ndarray of ORDER
        With room for every decision.
    open_order : ndarray of int64, shape (symbols,)
        The open order of each symbol, -1 for none.
    fill_order : ndarray of int64
        The order of each fill.
    equity, cash : ndarray of float64, shape (steps,)
        USD, as vectorbt knows them at each close.
    counts : ndarray of int64, shape (3,)
        Orders, fills, and how far the current row has been gone through.
    fault : ndarray of int64, shape (3,)
        What ended the run (0 for nothing), at which step, of which symbol.
    """

    orders: NDArray[Any]
    open_order: NDArray[np.int64]
    fill_order: NDArray[np.int64]
    equity: NDArray[np.float64]
    cash: NDArray[np.float64]
    counts: NDArray[np.int64]
    fault: NDArray[np.int64]


@_compiled
def next_order(c: Any, market: Market, terms: Terms, book: Book) -> Any:
    """Return the symbol and the order that come next in this row: sales before purchases, each by symbol."""
    if c.call_idx == 0:
        book.counts[_NEXT] = 0
    n = c.group_len
    while book.counts[_NEXT] < 2 * n and book.fault[0] == 0:
        place = book.counts[_NEXT]
        book.counts[_NEXT] += 1
        s = place % n
        k = book.open_order[s]
        if k < 0 or not market.executes[c.i, s] or (book.orders[k].quantity > 0) != (place >= n):
            continue
        quantity = _carried(c.i, s, c.last_cash[c.group], market, terms, book)
        if quantity != 0.0:
            order = order_nb(
                size=quantity,
                price=market.reference[c.i, s],
                fees=terms.commission,
                slippage=terms.slippage,
                direction=_LONG_ONLY,
                allow_partial=False,
            )
            return s, order
    return -1, order_nothing_nb()


@_compiled
def _carried(i: int, s: int, cash: float, market: Market, terms: Terms, book: Book) -> Any:
    """Return what the account can pay of a symbol's order, signed shares; an order without any is rejected."""
    k = book.open_order[s]
    wanted = book.orders[k].quantity
    if abs(wanted) > whole_lots(terms.participation_rate * market.volume[i, s], terms.lot):
        book.fault[0], book.fault[1], book.fault[2] = ABOVE_CAP, i, s
        return 0.0
    if wanted < 0.0:
        return wanted
    price = market.reference[i, s] * (1.0 + terms.slippage)
    if _paid(wanted, price, terms) <= cash:
        return wanted
    # One lot more than the quotient allows, then down: the quotient is off by its last bit at times.
    quantity = min(wanted, whole_lots(cash / (price * (1.0 + terms.commission)), terms.lot) + terms.lot)
    while quantity > 0.0 and _paid(quantity, price, terms) > cash:
        quantity = whole_lots(quantity - terms.lot, terms.lot)
    if quantity <= 0.0:
        _close(i, s, _REJECTED, _BUYING_POWER, book)
        return 0.0
    return quantity


@_compiled
def _paid(quantity: float, price: float, terms: Terms) -> Any:
    return quantity * price + quantity * price * terms.commission


@_compiled
def after_order(c: Any, book: Book) -> None:
    """Note the fill and end its order."""
    s, result = c.col, c.order_result
    if result.status != _DONE:
        book.fault[0], book.fault[1], book.fault[2] = NOT_EXECUTED, c.i, s
        return
    # vectorbt takes a sum that is small beside its terms for zero, and with it cents of a million, or lots of 1e-6.
    value = result.size * result.price
    bought = book.orders[book.open_order[s]].quantity > 0
    c.last_cash[c.group] = c.cash_before + (-(value + result.fees) if bought else value - result.fees)
    c.last_position[s] = c.position_before + (result.size if bought else -result.size)
    k = book.open_order[s]
    book.fill_order[book.counts[_FILLS]] = k
    book.counts[_FILLS] += 1
    order = book.orders[k]
    order.filled = result.size if bought else -result.size
    order.commission = result.fees
    order.fills = 1
    whole = abs(order.quantity - order.filled) <= QUANTITY_TOLERANCE
    _close(c.i, s, _FILLED if whole else _CANCELLED, 0 if whole else _BUYING_POWER, book)


@_compiled
def _close(i: int, s: int, state: int, reason: int, book: Book) -> None:
    order = book.orders[book.open_order[s]]
    order.state, order.reason, order.closed_step = state, reason, i
    book.open_order[s] = -1


@_compiled
def after_row(c: Any, market: Market, terms: Terms, book: Book) -> None:
    """Close a step: expire the orders of a session that ends, then decide."""
    i = c.i
    book.equity[i], book.cash[i] = c.last_value[c.group], c.last_cash[c.group]
    if market.ends_session[i]:
        for s in range(c.group_len):
            k = book.open_order[s]
            if k >= 0 and book.orders[k].session <= market.session[i]:
                _close(i, s, _EXPIRED, terms.expiry_reason, book)
    row = market.decision[i]
    if row < 0 or book.fault[0] != 0:
        return
    for s in range(c.group_len):
        if not np.isnan(market.targets[row, s]):
            _decide(c, s, market.targets[row, s], market, terms, book)


@_compiled
def _decide(c: Any, s: int, target: float, market: Market, terms: Terms, book: Book) -> None:
    """Order what is missing to a target, as ``kernel/sizing.py`` does."""
    mark = market.marks[c.i, s]
    if not terms.are_weights or target == 0.0:
        wanted = target
    elif np.isnan(mark):
        wanted = terms.lot  # of any size: without a price it is rejected
    else:
        wanted = whole_lots(target * c.last_value[c.group] / mark, terms.lot)
    k = book.open_order[s]
    under_way = book.orders[k].quantity if k >= 0 else 0.0
    quantity = wanted - (c.last_position[s] + under_way)
    if abs(quantity) <= QUANTITY_TOLERANCE:
        return
    if k >= 0:
        book.fault[0], book.fault[1], book.fault[2] = STILL_OPEN, c.i, s
        return
    k = book.counts[_ORDERS]
    book.counts[_ORDERS] += 1
    order = book.orders[k]
    order.quantity, order.symbol, order.submitted_step = quantity, s, c.i
    order.session = market.session[c.i] + (1 if market.ends_session[c.i] else 0)
    order.state = _WORKING
    book.open_order[s] = k
    if np.isnan(mark):
        _close(c.i, s, _REJECTED, _NO_PRICE, book)
