"""The kernel's codes in the words of orders, and back.

Belongs here: one table for each code, and what its orders' beginnings and ends are as events. What the codes are is
:mod:`aegis.backtesting.kernel.codes`; what the words mean is :mod:`aegis.execution.orders`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aegis.backtesting.kernel import codes
from aegis.execution.order_reasons import OrderReason
from aegis.execution.order_states import OrderState
from aegis.execution.order_terms import OrderType, TimeInForce
from aegis.execution.orders import Algorithm, Order, OrderEventKind

ORDER_TYPE_WORDS: Final[Mapping[codes.OrderType, tuple[Algorithm, OrderType]]] = {
    codes.OrderType.MARKET: ("market", "market"),
    codes.OrderType.LIMIT: ("market", "limit"),
    codes.OrderType.STOP: ("market", "stop"),
    codes.OrderType.STOP_LIMIT: ("market", "stop_limit"),
    codes.OrderType.TRAILING_STOP: ("market", "trailing_stop"),
    codes.OrderType.MARKET_ON_OPEN: ("market", "market_on_open"),
    codes.OrderType.MARKET_ON_CLOSE: ("market", "market_on_close"),
    codes.OrderType.LIMIT_ON_OPEN: ("market", "limit_on_open"),
    codes.OrderType.LIMIT_ON_CLOSE: ("market", "limit_on_close"),
    # On a bar without a path the algorithm is a price of its own.
    codes.OrderType.BAR_AVERAGE: ("vwap", "market"),
}
"""Algorithm and order type of each code."""

TIME_IN_FORCE_WORDS: Final[Mapping[codes.TimeInForce, TimeInForce]] = {
    codes.TimeInForce.DAY: "DAY",
    codes.TimeInForce.GTC: "GTC",
    codes.TimeInForce.GTD: "GTD",
    codes.TimeInForce.IOC: "IOC",
    codes.TimeInForce.FOK: "FOK",
    codes.TimeInForce.OPG: "OPG",
    codes.TimeInForce.CLS: "CLS",
}

STATES: Final[Mapping[codes.State, OrderState]] = {
    codes.State.HELD: OrderState.HELD,
    codes.State.WORKING: OrderState.ACCEPTED,
    codes.State.PARTIALLY_FILLED: OrderState.PARTIALLY_FILLED,
    codes.State.FILLED: OrderState.FILLED,
    codes.State.CANCELLED: OrderState.CANCELLED,
    codes.State.EXPIRED: OrderState.EXPIRED,
    codes.State.REJECTED: OrderState.REJECTED,
}

REASONS: Final[Mapping[codes.Reason, OrderReason]] = {
    codes.Reason.BY_STRATEGY: OrderReason.BY_REQUEST,
    codes.Reason.END_OF_SESSION: OrderReason.END_OF_SESSION,
    codes.Reason.END_OF_LIFE: OrderReason.END_OF_LIFE,
    codes.Reason.NOT_IMMEDIATE: OrderReason.NOT_IMMEDIATE,
    codes.Reason.NOT_WHOLE: OrderReason.NOT_WHOLE,
    codes.Reason.SIBLING_FILLED: OrderReason.SIBLING_FILLED,
    codes.Reason.PARENT_ENDED: OrderReason.PARENT_ENDED,
    codes.Reason.BUYING_POWER: OrderReason.BUYING_POWER,
    codes.Reason.SHORT_SALE: OrderReason.SHORT_SALE,
    codes.Reason.TICK_SIZE: OrderReason.TICK_SIZE,
    codes.Reason.LOT_SIZE: OrderReason.LOT_SIZE,
    codes.Reason.HALTED: OrderReason.HALTED,
    codes.Reason.NO_PRICE: OrderReason.NO_PRICE,
    codes.Reason.CLOSED_SESSION: OrderReason.CLOSED_SESSION,
    codes.Reason.MIN_NOTIONAL: OrderReason.MINIMUM_NOTIONAL,
    codes.Reason.DELISTED: OrderReason.DELISTED,
    codes.Reason.SPLIT_LEAVES_NOTHING: OrderReason.SPLIT_LEAVES_NOTHING,
    codes.Reason.MISSED_AUCTION: OrderReason.MISSED_AUCTION,
    codes.Reason.LIQUIDATION: OrderReason.LIQUIDATION,
    codes.Reason.POSITION_CLOSED: OrderReason.POSITION_CLOSED,
    codes.Reason.REPLACED_TO_FILLED: OrderReason.REPLACED_TO_FILLED,
}
"""Every reason but NONE, which is no reason."""

BEGINNINGS: Final[Mapping[codes.State, tuple[OrderEventKind, ...]]] = {
    codes.State.HELD: (OrderEventKind.SUBMITTED, OrderEventKind.HELD),
    codes.State.WORKING: (OrderEventKind.SUBMITTED, OrderEventKind.ACCEPTED),
    codes.State.REJECTED: (OrderEventKind.SUBMITTED, OrderEventKind.REJECTED),
}
"""What happened to an approved order that the kernel took note of in one of these states."""

AMENDMENT_EVENTS: Final[Mapping[codes.Amendment, OrderEventKind]] = {
    codes.Amendment.REPLACED: OrderEventKind.REPLACED,
    codes.Amendment.RESCALED: OrderEventKind.RESCALED,
    codes.Amendment.TRIGGERED: OrderEventKind.TRIGGERED,
    codes.Amendment.REDUCED: OrderEventKind.REDUCED,
    codes.Amendment.RELEASED: OrderEventKind.RELEASED,
}

AMENDMENT_REASONS: Final[Mapping[codes.Amendment, OrderReason]] = {
    codes.Amendment.REPLACED: OrderReason.REPLACED_ON_REQUEST,
    codes.Amendment.RESCALED: OrderReason.SPLIT,
    codes.Amendment.TRIGGERED: OrderReason.STOP_REACHED,
    codes.Amendment.REDUCED: OrderReason.SIBLING_FILLED,
    codes.Amendment.RELEASED: OrderReason.ENTRY_FILLED,
}

END_EVENTS: Final[Mapping[codes.State, OrderEventKind]] = {
    codes.State.CANCELLED: OrderEventKind.CANCELLED,
    codes.State.EXPIRED: OrderEventKind.EXPIRED,
    codes.State.REJECTED: OrderEventKind.REJECTED,
}
"""The event of each end that is not a fill."""

_AUCTIONS: Final[Mapping[tuple[OrderType, TimeInForce], codes.OrderType]] = {
    ("market", "OPG"): codes.OrderType.MARKET_ON_OPEN,
    ("market", "CLS"): codes.OrderType.MARKET_ON_CLOSE,
    ("limit", "OPG"): codes.OrderType.LIMIT_ON_OPEN,
    ("limit", "CLS"): codes.OrderType.LIMIT_ON_CLOSE,
}
_TYPE_CODES: Final = {words: code for code, words in ORDER_TYPE_WORDS.items()}
_TIME_CODES: Final = {word: code for code, word in TIME_IN_FORCE_WORDS.items()}


def order_type_code(order: Order) -> codes.OrderType:
    """Return the type under which the kernel knows an order.

    Notes
    -----
    A market or limit order for an auction (OPG, CLS) is the on-open or on-close order of that price. A bar has no path
    to work an order along: whatever the algorithm, a market order trades at the bar's average and a limit order rests.
    """
    auction = _AUCTIONS.get((order.order_type, order.time_in_force))
    if auction is not None:
        return auction
    is_worked = order.algorithm != "market" and order.order_type == "market"
    return codes.OrderType.BAR_AVERAGE if is_worked else _TYPE_CODES["market", order.order_type]


def time_in_force_code(time_in_force: TimeInForce) -> codes.TimeInForce:
    """Return the kernel's code of a time in force."""
    return _TIME_CODES[time_in_force]
