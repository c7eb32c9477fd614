"""What a strategy can do wrong, in words.

Belongs here: one sentence with a remedy for each :class:`~aegis.backtesting.kernel.codes.Fault`.
"""

from __future__ import annotations

from aegis.backtesting.kernel.codes import Fault

_FAULTS = {
    Fault.QUANTITY: "a quantity of {value} shares cannot be ordered; give a finite one other than 0, on the right side",
    Fault.PRICE: "{value} USD cannot be a price of this order; give positive ones where its type has them, else none",
    Fault.SYMBOL: "symbol number {symbol_number} does not exist; there are {n_symbols}",
    Fault.LOOK_AHEAD: "the strategy asked for a value {value} bars ahead; nothing later than this bar is known",
    Fault.TOO_MANY_ORDERS: "the strategy placed more than {value:.0f} orders at one close; raise orders_per_step",
    Fault.UNKNOWN_ORDER: "order {value:.0f} does not exist, or was not placed last; use the index that placing it gave",
    Fault.WEIGHT: "a target weight of {value} is no number; use NaN in an array to leave a symbol as it is",
    Fault.TIME_IN_FORCE: "a GTD order needs the time at which it expires",
    Fault.OUTSIDE_HISTORY: "the strategy asked for bar {value:.0f} before the first in memory; wait until enough have "
    "closed, or raise history_sessions where they come in chunks",
}


def fault_text(fault: Fault, *, value: float, symbol_number: int, n_symbols: int) -> str:
    """Return what the strategy did and what to do instead."""
    return _FAULTS[fault].format(value=value, symbol_number=symbol_number, n_symbols=n_symbols)
