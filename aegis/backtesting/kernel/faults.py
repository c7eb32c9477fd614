"""What a strategy can do wrong, in words.

Belongs here: one sentence with a remedy for each :class:`~aegis.backtesting.kernel.codes.Fault`.
"""

from __future__ import annotations

from aegis.backtesting.kernel.codes import Fault, OrderType, TimeInForce
from aegis.backtesting.kernel.order_checks import times_of

_FAULTS = {
    Fault.QUANTITY: "a quantity of {value} shares cannot be ordered; give a finite one other than 0, on the right side",
    Fault.SYMBOL: "symbol number {symbol_number} does not exist; there are {n_symbols}",
    Fault.LOOK_AHEAD: "the strategy asked for a value {value} bars ahead; nothing later than this bar is known",
    Fault.OUTSIDE_HISTORY: "the strategy asked for bar {value:.0f} before the first in memory; wait until enough have "
    "closed, or raise history_sessions where they come in chunks",
    Fault.TOO_MANY_ORDERS: "the strategy placed more than {value:.0f} orders at one close; raise orders_per_step",
    Fault.TOO_MANY_CHANGES: "order {value:.0f} was changed when there was no room for more changes at one close; "
    "change orders less often, or raise orders_per_step",
    Fault.UNKNOWN_ORDER: "order {value:.0f} does not exist; use the index that placing it gave",
    Fault.WEIGHT: "a target weight of {value} is no number; use NaN in an array to leave a symbol as it is",
    Fault.ORDER_TYPE: "order type {value:.0f} does not exist; use one of OrderType",
    Fault.TIME_IN_FORCE: "a {order_type} order cannot be {time_in_force}; choose one of {times}",
    Fault.NO_EXPIRY: "a GTD order needs the time at which it expires, and no part of a bracket and no child can have "
    "one; give the time, or use GTC",
    Fault.UNWANTED_EXPIRY: "a {time_in_force} order takes no time at which it expires; leave it out, or use GTD",
    Fault.LIMIT_PRICE: "the order needs a limit price above 0 USD, found {value}; give one, or another order type",
    Fault.UNWANTED_LIMIT: "the order takes no limit price, found {value} USD; leave it out, or use a limit order",
    Fault.STOP_PRICE: "the order needs a stop price above 0 USD, found {value}; give one, or another order type",
    Fault.UNWANTED_STOP: "the order takes no stop price, found {value} USD; leave it out, or use a stop order",
    Fault.TRAIL: "a trailing stop needs a trail above 0 USD, or a fraction between 0 and 1, found {value}; correct it",
    Fault.UNWANTED_TRAIL: "the order takes no trail, found {value}; leave it out, or use a trailing stop",
    Fault.NO_EXITS: "a bracket needs a stop-loss, a take-profit or both, found none; give one, or place a plain order",
    Fault.STOP_LOSS: "a stop-loss must be a price above 0 USD, found {value}; correct it, or leave it out",
    Fault.TAKE_PROFIT: "a take-profit must be a price above 0 USD, found {value}; correct it, or leave it out",
    Fault.EXIT_SIDES: "the stop-loss {value} USD is on the wrong side of the take-profit; a purchase needs it below, a "
    "sale above",
    Fault.NOT_AFTER_PARENT: "order {value:.0f} cannot be the parent of this one; place children directly after their "
    "parent",
    Fault.CHILD_OF_CHILD: "order {value:.0f} is a child itself and can have no children; make it wait for the first "
    "order, or place it when the child has filled",
    Fault.CHILD_TYPE: "a trailing stop can be neither a child nor the entry of a bracket; place it when the order "
    "before it has filled",
    Fault.RING_SIZE: "{value:.0f} orders cannot cancel one another; link two or more",
    Fault.RING_MEMBER: "order {value:.0f} is already one of orders that cancel one another; link each order once, "
    "or place the new one as a sibling of it",
    Fault.RING_ENDED: "order {value:.0f} has ended and can cancel no other; link orders at the close that places them",
}


def fault_text(fault: Fault, *, value: float, symbol_number: int, n_symbols: int) -> str:
    """Return what the strategy did and what to do instead."""
    words: dict[str, object] = {"value": value, "symbol_number": symbol_number, "n_symbols": n_symbols}
    if fault in (Fault.TIME_IN_FORCE, Fault.UNWANTED_EXPIRY):
        in_force, kind = divmod(int(value), len(OrderType))
        words |= {
            "order_type": OrderType(kind).name.lower(),
            "time_in_force": TimeInForce(in_force).name if 0 <= in_force < len(TimeInForce) else f"number {in_force}",
            "times": ", ".join(code.name for code in times_of(OrderType(kind))),
        }
    return _FAULTS[fault].format(**words)
