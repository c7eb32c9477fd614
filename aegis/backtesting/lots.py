"""Lots: which shares of a fill are still held, and which were sold against which, first in, first out.

Belongs here: the compiled pass over fills and corporate actions. The kernel keeps positions at average cost for speed;
lots are worked out afterwards, when somebody asks. What is shown of them is :mod:`aegis.backtesting.trades`.

A fill that crosses zero closes every lot and opens the rest the other way round. A split multiplies the open lots and
divides their prices; what it leaves below a tradable step is paid in cash, from the oldest lot. A merger and a
delisting close all lots; shares that a merger pays open one of the acquirer, without a fill. Costs of a fill follow its
shares: each trade carries its part of the entry's and the exit's.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.codes import ActionKind
from aegis.backtesting.kernel.lot_sizes import is_nothing, whole_lots
from aegis.backtesting.kernel.records import FILL

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class ExitBy(IntEnum):
    """What closed a lot."""

    FILL = 0
    CASH_IN_LIEU = 1
    CASH_MERGER = 2
    DELISTING = 3
    SHARE_MERGER = 4


TRADE: Final = np.dtype(
    [
        ("quantity", "f8"),
        ("entry_price", "f8"),
        ("exit_price", "f8"),
        ("commission", "f8"),
        ("fees", "f8"),
        ("entry_fill", "i4"),
        ("entry_step", "i4"),
        ("exit_fill", "i4"),
        ("exit_step", "i4"),
        ("symbol", "i4"),
        ("exit_by", "i1"),
    ],
    align=True,
)
"""A closed lot, or the closed part of one. `quantity`: in the shares of the exit, negative for a short one.
`entry_price`: in the shares of the exit too. `entry_fill`, `exit_fill`: -1 where a corporate action opened or closed
it."""

LOT: Final = np.dtype(
    [
        ("quantity", "f8"),
        ("opened", "f8"),
        ("price", "f8"),
        ("commission", "f8"),
        ("fees", "f8"),
        ("symbol", "i4"),
        ("entry_fill", "i4"),
        ("entry_step", "i4"),
        ("next", "i4"),
    ],
    align=True,
)
"""An open lot, in today's shares. `opened`: its quantity before any of it was closed. `commission`, `fees`: of the
entry, for what is still open. `entry_fill`: -1 where a merger opened it. `next`: the symbol's next younger lot, -1 for
none."""

NO_FILL: Final = -1
NO_LOT: Final = -1
_DUST: Final = 1e-12
"""Share of a lot, or of an exit, that is rounding noise of earlier arithmetic and no quantity."""
_SPLIT, _MERGED, _DELISTED = int(ActionKind.SPLIT), int(ActionKind.CASH_MERGER), int(ActionKind.DELISTING)
_BY_FILL, _BY_LIEU, _BY_MERGER, _BY_DELISTING, _BY_EXCHANGE = (int(kind) for kind in ExitBy)
_EXCHANGED = int(ActionKind.SHARE_MERGER)
_OPENS_NOTHING: Final = -1
_FILL: Final = FILL


@compiled
def match_lots(
    fills: NDArray[Any],
    actions: NDArray[Any],
    first_steps: IntArray,
    days: IntArray,
    share_steps: FloatArray,
    marks: FloatArray,
    acquirer_closes: FloatArray,
    lots: NDArray[Any],
    heads: IntArray,
    trades: NDArray[Any],
    positions: FloatArray,
) -> tuple[int, int]:
    """Go through the sessions; see :func:`aegis.backtesting.trades.round_trips` for the inputs.

    `lots` has room for one of each fill and action, `heads` (-1) for the oldest lot of each symbol, `trades` for twice
    the fills and three times the actions; `positions` takes the shares at the end of each session.

    Returns
    -------
    tuple of int
        How many trades were closed, and the action whose payment has no price; -1 when there was none.
    """
    tails = heads.copy()
    position = np.zeros(share_steps.size)
    mark = np.full(share_steps.size, np.nan)
    closed = fill = action = 0
    for session in range(days.size):
        end = fill
        while end < fills.size and fills[end].step < first_steps[session + 1]:
            end += 1
        begin = action
        while action < actions.size and actions[action].day <= days[session]:
            if action == begin and 0 < session <= marks.shape[0]:
                mark[:] = marks[session - 1]
            closed = _act(
                actions[action], mark, first_steps[session], share_steps, lots, heads, tails, position, trades, closed
            )
            if closed < 0:
                return 0, action
            action += 1
        if fill < end:  # handing the arrays on costs more than the rest of a session
            closed = _match(fills, fill, end, _BY_FILL, 0, lots, heads, tails, position, trades, closed)
            fill = end
        last_step = first_steps[session + 1] - 1
        if begin < action:
            ends = marks[session] if session < marks.shape[0] else np.full(share_steps.size, np.nan)
            closed, unpaid = _leave(
                actions[begin:action], acquirer_closes[begin:action], ends, last_step, share_steps, fills.size + begin,
                lots, heads, tails, position, trades, closed,
            )  # fmt: skip
            if unpaid >= 0:
                return 0, begin + unpaid
        positions[session] = position
    return closed, -1


@compiled
def open_lots(lots: NDArray[Any], heads: IntArray) -> IntArray:
    """Return the positions of the open lots, by symbol, oldest first."""
    found = np.empty(lots.size, np.int64)
    count = 0
    for head in heads:
        index = head
        while index != NO_LOT:
            found[count] = index
            count += 1
            index = lots[index].next
    return found[:count]


@compiled
def _act(
    action: Any,
    mark: FloatArray,
    step: int,
    share_steps: FloatArray,
    lots: NDArray[Any],
    heads: IntArray,
    tails: IntArray,
    position: FloatArray,
    trades: NDArray[Any],
    closed: int,
) -> int:
    """Apply what a session's opening brings; return the trades so far, or -1 if a payment has no price."""
    symbol = action.symbol
    if position[symbol] == 0.0:
        return closed
    if action.kind == _MERGED:
        return _pay(  # type: ignore[no-any-return]
            symbol, -position[symbol], action.amount, step, _BY_MERGER, lots, heads, tails, position, trades, closed
        )
    if action.kind != _SPLIT:
        return closed
    mark[symbol] /= action.ratio
    index = heads[symbol]
    while index != NO_LOT:
        lots[index].quantity *= action.ratio
        lots[index].opened *= action.ratio
        lots[index].price /= action.ratio
        index = lots[index].next
    held = position[symbol] * action.ratio
    whole = whole_lots(held, share_steps[symbol])
    position[symbol] = held
    if not is_nothing(held - whole, held):
        if np.isnan(mark[symbol]):
            return -1
        closed = _pay(symbol, whole - held, mark[symbol], step, _BY_LIEU, lots, heads, tails, position, trades, closed)
    position[symbol] = whole
    return closed


@compiled
def _leave(
    actions: NDArray[Any],
    acquirer_closes: FloatArray,
    marks: FloatArray,
    step: int,
    share_steps: FloatArray,
    first_lot: int,
    lots: NDArray[Any],
    heads: IntArray,
    tails: IntArray,
    position: FloatArray,
    trades: NDArray[Any],
    closed: int,
) -> tuple[int, int]:
    """Apply what a session's close brings, exchanges first; return the trades so far and an action without a price."""
    for late in range(actions.size):
        if not np.isnan(acquirer_closes[late]):
            closed = _exchange(
                actions[late], acquirer_closes[late], step, share_steps, first_lot + late, lots, heads, tails, position,
                trades, closed,
            )  # fmt: skip
    for late in range(actions.size):
        if actions[late].kind in (_DELISTED, _EXCHANGED):
            price = marks[actions[late].symbol]
            closed = _delist(actions[late].symbol, price, step, lots, heads, tails, position, trades, closed)
            if closed < 0:
                return 0, late
    return closed, -1


@compiled
def _exchange(
    action: Any,
    close: float,
    step: int,
    share_steps: FloatArray,
    lot: int,
    lots: NDArray[Any],
    heads: IntArray,
    tails: IntArray,
    position: FloatArray,
    trades: NDArray[Any],
    closed: int,
) -> int:
    """Close what is held of a symbol at what a share of it is exchanged for, and take the acquirer's at their close."""
    held = position[action.symbol]
    if held == 0.0:
        return closed
    worth = action.amount + action.ratio * close
    closed = _pay(action.symbol, -held, worth, step, _BY_EXCHANGE, lots, heads, tails, position, trades, closed)
    received = whole_lots(held * action.ratio, share_steps[action.acquirer])
    if received == 0.0:
        return closed
    payment = np.zeros(1, _FILL)
    payment[0].symbol, payment[0].quantity = action.acquirer, received
    payment[0].price, payment[0].step = close, step
    return _match(payment, 0, 1, _BY_EXCHANGE, lot, lots, heads, tails, position, trades, closed)  # type: ignore[no-any-return]


@compiled
def _delist(
    symbol: int,
    price: float,
    step: int,
    lots: NDArray[Any],
    heads: IntArray,
    tails: IntArray,
    position: FloatArray,
    trades: NDArray[Any],
    closed: int,
) -> int:
    """Pay out what is held of a symbol that leaves; return the trades so far, or -1 if it has no price."""
    if position[symbol] == 0.0:
        return closed
    if np.isnan(price):
        return -1
    return _pay(  # type: ignore[no-any-return]
        symbol, -position[symbol], price, step, _BY_DELISTING, lots, heads, tails, position, trades, closed
    )


@compiled
def _pay(
    symbol: int,
    quantity: float,
    price: float,
    step: int,
    exit_by: int,
    lots: NDArray[Any],
    heads: IntArray,
    tails: IntArray,
    position: FloatArray,
    trades: NDArray[Any],
    closed: int,
) -> int:
    """Close `quantity` for cash, as if it had been filled without costs."""
    payment = np.zeros(1, _FILL)
    payment[0].symbol, payment[0].quantity, payment[0].price, payment[0].step = symbol, quantity, price, step
    return _match(  # type: ignore[no-any-return]
        payment, 0, 1, exit_by, _OPENS_NOTHING, lots, heads, tails, position, trades, closed
    )


@compiled
def _match(
    fills: NDArray[Any],
    first: int,
    last: int,
    exit_by: int,
    first_lot: int,
    lots: NDArray[Any],
    heads: IntArray,
    tails: IntArray,
    position: FloatArray,
    trades: NDArray[Any],
    closed: int,
) -> int:
    """Let each fill close the oldest lots of the other side and open one with the rest, the first at `first_lot`.

    Arrays stay in this function and only records and numbers are handed on: handing arrays on costs ten times the work.
    """
    for index in range(first, last):
        symbol = fills[index].symbol
        left = fills[index].quantity
        head = heads[symbol]
        while head != NO_LOT and lots[head].quantity * left < 0.0:
            exhausted, left = _close(lots[head], fills[index], left, trades[closed])
            trades[closed].exit_fill = index if exit_by == _BY_FILL else NO_FILL
            trades[closed].exit_by = exit_by
            closed += 1
            if exhausted:
                head = lots[head].next
        heads[symbol] = head
        position[symbol] += fills[index].quantity
        if left != 0.0 and first_lot != _OPENS_NOTHING:
            lot = first_lot + index
            _open(lots[lot], fills[index], left, index if exit_by == _BY_FILL else NO_FILL)
            if head == NO_LOT:
                heads[symbol] = lot
            else:
                lots[tails[symbol]].next = lot
            tails[symbol] = lot
        if heads[symbol] == NO_LOT:
            position[symbol] = 0.0
    return closed


@compiled
def _close(lot: Any, fill: Any, left: float, trade: Any) -> tuple[bool, float]:
    """Close what a fill can of one lot; return whether nothing remains of it, and what is left of the fill."""
    held = lot.quantity
    exhausted = abs(held) - abs(left) <= _DUST * abs(lot.opened)
    taken = held if exhausted else -left
    of_lot = 1.0 if exhausted else taken / held
    after = left + taken
    if abs(after) <= _DUST * abs(fill.quantity) or after * left < 0.0:
        after = 0.0
    of_fill = (left - after) / fill.quantity
    trade.quantity = taken
    trade.entry_price = lot.price
    trade.exit_price = fill.price
    trade.commission = lot.commission * of_lot + fill.commission * of_fill
    trade.fees = lot.fees * of_lot + fill.fees * of_fill
    trade.entry_fill = lot.entry_fill
    trade.entry_step = lot.entry_step
    trade.exit_step = fill.step
    trade.symbol = fill.symbol
    lot.commission -= lot.commission * of_lot
    lot.fees -= lot.fees * of_lot
    lot.quantity -= taken
    return exhausted, after


@compiled
def _open(lot: Any, fill: Any, quantity: float, index: int) -> None:
    lot.quantity = quantity
    lot.opened = quantity
    lot.price = fill.price
    lot.commission = fill.commission * (quantity / fill.quantity)
    lot.fees = fill.fees * (quantity / fill.quantity)
    lot.symbol = fill.symbol
    lot.entry_fill = index
    lot.entry_step = fill.step
    lot.next = NO_LOT
