"""Numbers that stand for words inside the kernel's records.

Belongs here: one integer for each order type, time in force, state, reason, corporate action and error. Outside the
kernel everything speaks the words of :mod:`aegis.execution.orders`.
"""

from __future__ import annotations

from enum import IntEnum


class OrderType(IntEnum):
    """How an order asks for its price."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3
    TRAILING_STOP = 4
    MARKET_ON_OPEN = 5
    MARKET_ON_CLOSE = 6
    LIMIT_ON_OPEN = 7
    LIMIT_ON_CLOSE = 8
    BAR_AVERAGE = 9
    """Volume-weighted average price on a bar without a path: (open + high + low + close) / 4."""


class TimeInForce(IntEnum):
    """How long an order lives."""

    DAY = 0
    GTC = 1
    GTD = 2
    IOC = 3
    FOK = 4
    OPG = 5
    CLS = 6


class State(IntEnum):
    """Where an order stands inside the kernel; each is one of :class:`aegis.execution.order_states.OrderState`."""

    HELD = 0
    """A child that waits for its parent; not at the venue yet."""
    WORKING = 1
    PARTIALLY_FILLED = 2
    FILLED = 3
    CANCELLED = 4
    EXPIRED = 5
    REJECTED = 6


class Reason(IntEnum):
    """Why an order ended, or was not accepted."""

    NONE = 0
    BY_STRATEGY = 1
    END_OF_SESSION = 2
    END_OF_LIFE = 3
    NOT_IMMEDIATE = 4
    NOT_WHOLE = 5
    SIBLING_FILLED = 6
    PARENT_ENDED = 7
    BUYING_POWER = 8
    SHORT_SALE = 9
    TICK_SIZE = 10
    LOT_SIZE = 11
    HALTED = 12
    NO_PRICE = 13
    CLOSED_SESSION = 14
    MIN_NOTIONAL = 15
    DELISTED = 16
    SPLIT_LEAVES_NOTHING = 17
    MISSED_AUCTION = 18
    LIQUIDATION = 19
    POSITION_CLOSED = 20
    REPLACED_TO_FILLED = 21


class Amendment(IntEnum):
    """What changed an order between its acceptance and its end, other than a fill."""

    REPLACED = 0
    RESCALED = 1
    TRIGGERED = 2
    REDUCED = 3
    RELEASED = 4
    """A held child goes to the venue, or grows with another fill of its parent."""


class ActionKind(IntEnum):
    """A corporate action or a change of listing, effective when the session of its ex-date opens.

    A delisting and a merger for shares are effective when it closes.
    """

    DIVIDEND = 0
    SPLIT = 1
    RENAME = 2
    CASH_MERGER = 3
    DELISTING = 4
    HALT = 5
    RESUME = 6
    SHARE_MERGER = 7


class Pass(IntEnum):
    """The order in which one bar executes what it can; the open, what happens inside the bar, the close."""

    OPEN_SELL = 0
    OPEN_BUY = 1
    STOP = 2
    LIMIT = 3
    AVERAGE_SELL = 4
    AVERAGE_BUY = 5
    CLOSE_SELL = 6
    CLOSE_BUY = 7
    NONE = 8


class Stopped(IntEnum):
    """Why the kernel returned."""

    REACHED = 0
    GROW_ORDERS = 1
    GROW_FILLS = 2
    GROW_AMENDMENTS = 3
    GROW_RECEIVABLES = 4
    STRATEGY_ERROR = 5


class Fault(IntEnum):
    """What a strategy did wrong; raised with symbol, time and remedy by :mod:`aegis.backtesting.kernel.simulation`."""

    NONE = 0
    QUANTITY = 1
    SYMBOL = 2
    LOOK_AHEAD = 3
    OUTSIDE_HISTORY = 4
    TOO_MANY_ORDERS = 5
    TOO_MANY_CHANGES = 6
    UNKNOWN_ORDER = 7
    WEIGHT = 8
    ORDER_TYPE = 9
    TIME_IN_FORCE = 10
    NO_EXPIRY = 11
    UNWANTED_EXPIRY = 12
    LIMIT_PRICE = 13
    UNWANTED_LIMIT = 14
    STOP_PRICE = 15
    UNWANTED_STOP = 16
    TRAIL = 17
    UNWANTED_TRAIL = 18
    NO_EXITS = 19
    STOP_LOSS = 20
    TAKE_PROFIT = 21
    EXIT_SIDES = 22
    NOT_AFTER_PARENT = 23
    CHILD_OF_CHILD = 24
    CHILD_TYPE = 25
    RING_SIZE = 26
    RING_MEMBER = 27
    RING_ENDED = 28
