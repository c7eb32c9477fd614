"""Whether what a strategy asks for can be an order at all.

Belongs here: the checks that need nothing of the market: quantity, prices, and which type goes with which time in
force. What cannot be an order is a fault of the strategy; what the venue does not take is
:mod:`aegis.backtesting.kernel.acceptance`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aegis.backtesting.compilation import compiled, inlined
from aegis.backtesting.kernel.codes import Fault, OrderType, TimeInForce
from aegis.backtesting.kernel.memory import header_of
from aegis.backtesting.kernel.records import NEVER
from aegis.backtesting.kernel.sizing import fail
from aegis.backtesting.kernel.vocabulary import ORDER_TYPE_WORDS, TIME_IN_FORCE_WORDS
from aegis.execution.order_terms import RESTING, TIMES_OF

_QUANTITY, _SYMBOL = int(Fault.QUANTITY), int(Fault.SYMBOL)
_ORDER_TYPE, _IN_FORCE = int(Fault.ORDER_TYPE), int(Fault.TIME_IN_FORCE)
_NO_EXPIRY, _UNWANTED_EXPIRY = int(Fault.NO_EXPIRY), int(Fault.UNWANTED_EXPIRY)
_NO_LIMIT, _UNWANTED_LIMIT = int(Fault.LIMIT_PRICE), int(Fault.UNWANTED_LIMIT)
_NO_STOP, _UNWANTED_STOP = int(Fault.STOP_PRICE), int(Fault.UNWANTED_STOP)
_NO_TRAIL, _UNWANTED_TRAIL = int(Fault.TRAIL), int(Fault.UNWANTED_TRAIL)
_NO_EXITS, _EXIT_SIDES = int(Fault.NO_EXITS), int(Fault.EXIT_SIDES)
_STOP_LOSS, _TAKE_PROFIT = int(Fault.STOP_LOSS), int(Fault.TAKE_PROFIT)
_LIMIT, _STOP, _STOP_LIMIT = int(OrderType.LIMIT), int(OrderType.STOP), int(OrderType.STOP_LIMIT)
_TRAILING, _GTD = int(OrderType.TRAILING_STOP), int(TimeInForce.GTD)
_LIMIT_ON_OPEN, _LIMIT_ON_CLOSE = int(OrderType.LIMIT_ON_OPEN), int(OrderType.LIMIT_ON_CLOSE)
_TYPES, _TIMES = len(OrderType), len(TimeInForce)


def times_of(kind: OrderType) -> tuple[TimeInForce, ...]:
    """Return the times in force that an order type can have: the table of :mod:`aegis.execution.order_terms`."""
    algorithm, word = ORDER_TYPE_WORDS[kind]
    allowed = TIMES_OF[word] if algorithm == "market" else RESTING
    return tuple(code for code, in_force in TIME_IN_FORCE_WORDS.items() if in_force in allowed)


_ALLOWED: Final = tuple(sum(1 << code for code in times_of(kind)) for kind in OrderType)
"""For each order type a bit for each time in force that it can have."""


@inlined
def is_sound(
    handle: int,
    symbol: int,
    kind: int,
    quantity: float,
    limit: float,
    stop: float,
    trail: float,
    trail_is_fraction: int,
    time_in_force: int,
    expires: int,
) -> bool:
    """Whether an order can be one at all; notes the fault where it cannot."""
    if symbol < 0 or symbol >= header_of(handle).n_symbols:
        fail(handle, _SYMBOL, symbol, quantity)
        return False
    if not np.isfinite(quantity) or quantity == 0:
        fail(handle, _QUANTITY, symbol, quantity)
        return False
    return (
        _has_its_life(handle, symbol, kind, time_in_force, expires)
        and _has_its_limit(handle, symbol, kind, limit)
        and _has_its_stop(handle, symbol, kind, stop)
        and _has_its_trail(handle, symbol, kind, trail, trail_is_fraction)
    )


@compiled
def exits_are_sound(handle: int, symbol: int, quantity: float, stop_loss: float, take_profit: float) -> bool:
    """Whether a bracket's exits are prices on the right sides of each other; notes the fault where they are not."""
    has_stop, has_profit = not np.isnan(stop_loss), not np.isnan(take_profit)
    side = 1.0 if quantity > 0 else -1.0
    if not has_stop and not has_profit:
        fail(handle, _NO_EXITS, symbol, quantity)
    elif has_stop and not is_price(stop_loss):
        fail(handle, _STOP_LOSS, symbol, stop_loss)
    elif has_profit and not is_price(take_profit):
        fail(handle, _TAKE_PROFIT, symbol, take_profit)
    elif has_stop and has_profit and side * (take_profit - stop_loss) <= 0:
        fail(handle, _EXIT_SIDES, symbol, stop_loss)
    else:
        return True
    return False


@compiled
def changes_are_sound(
    handle: int, symbol: int, limit_before: float, stop_before: float, limit: float, stop: float
) -> bool:
    """Whether new prices, NaN for no change, are prices that the order has; notes the fault where they are not."""
    if not np.isnan(limit) and (np.isnan(limit_before) or not is_price(limit)):
        fail(handle, _UNWANTED_LIMIT if np.isnan(limit_before) else _NO_LIMIT, symbol, limit)
        return False
    if not np.isnan(stop) and (np.isnan(stop_before) or not is_price(stop)):
        fail(handle, _UNWANTED_STOP if np.isnan(stop_before) else _NO_STOP, symbol, stop)
        return False
    return True


@compiled
def is_price(value: float) -> bool:
    """Whether a number can be a price, USD."""
    return np.isfinite(value) and value > 0


@compiled
def _has_its_life(handle: int, symbol: int, kind: int, time_in_force: int, expires: int) -> bool:
    if kind < 0 or kind >= _TYPES:
        fail(handle, _ORDER_TYPE, symbol, kind)
    elif time_in_force < 0 or time_in_force >= _TIMES or not _ALLOWED[kind] & (1 << time_in_force):
        fail(handle, _IN_FORCE, symbol, kind + time_in_force * _TYPES)
    elif time_in_force == _GTD and expires == NEVER:
        fail(handle, _NO_EXPIRY, symbol, kind)
    elif time_in_force != _GTD and expires != NEVER:
        fail(handle, _UNWANTED_EXPIRY, symbol, kind + time_in_force * _TYPES)
    else:
        return True
    return False


@compiled
def _has_its_limit(handle: int, symbol: int, kind: int, limit: float) -> bool:
    is_needed = kind in (_LIMIT, _STOP_LIMIT, _LIMIT_ON_OPEN, _LIMIT_ON_CLOSE)
    return _is_there_if(is_needed, handle, symbol, limit, _NO_LIMIT, _UNWANTED_LIMIT)


@compiled
def _has_its_stop(handle: int, symbol: int, kind: int, stop: float) -> bool:
    is_needed = kind in (_STOP, _STOP_LIMIT)
    return _is_there_if(is_needed, handle, symbol, stop, _NO_STOP, _UNWANTED_STOP)


@compiled
def _has_its_trail(handle: int, symbol: int, kind: int, trail: float, trail_is_fraction: int) -> bool:
    is_needed = kind == _TRAILING
    if is_needed and trail_is_fraction and trail >= 1:
        fail(handle, _NO_TRAIL, symbol, trail)
        return False
    return _is_there_if(is_needed, handle, symbol, trail, _NO_TRAIL, _UNWANTED_TRAIL)


@compiled
def _is_there_if(is_needed: bool, handle: int, symbol: int, value: float, missing: int, unwanted: int) -> bool:
    """Whether a number is a price where one is needed and NaN where none is; notes the fault where it is not."""
    is_right = is_price(value) if is_needed else np.isnan(value)
    if not is_right:
        fail(handle, missing if is_needed else unwanted, symbol, value)
    return bool(is_right)
