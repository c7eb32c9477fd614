"""What the venue takes: the checks of an order when it arrives.

Belongs here: each reason to reject an order, except buying power, which is asked when it would be filled
(:mod:`aegis.backtesting.kernel.buying_power`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aegis.backtesting.compilation import compiled, inlined
from aegis.backtesting.kernel.codes import Reason, TimeInForce
from aegis.backtesting.kernel.lot_sizes import QUANTITY_TOLERANCE, is_multiple, is_on_tick
from aegis.backtesting.kernel.memory import cursor_of, position_of, rules_of, symbol_of
from aegis.backtesting.kernel.open_quantities import on_sale
from aegis.backtesting.kernel.records import IS_DELISTED, IS_HALTED

_GTD = int(TimeInForce.GTD)
_ACCEPTED = int(Reason.NONE)
_SHORT_SALE, _TICK_SIZE, _LOT_SIZE = int(Reason.SHORT_SALE), int(Reason.TICK_SIZE), int(Reason.LOT_SIZE)
_IS_HALTED, _NO_PRICE, _CLOSED = int(Reason.HALTED), int(Reason.NO_PRICE), int(Reason.CLOSED_SESSION)
_MIN_NOTIONAL, _DELISTED = int(Reason.MIN_NOTIONAL), int(Reason.DELISTED)


@inlined
def refusal(handle: int, order: Any) -> int:
    """Return why the venue does not take an order; the :class:`Reason`, 0 if it does."""
    reason = refused_terms(handle, order)
    return reason if reason != _ACCEPTED else refused_now(handle, order)


@compiled
def refused_terms(handle: int, order: Any) -> int:
    """Return why the venue does not take an order as it stands, a child that is to be held included; 0 if it does."""
    if symbol_of(handle, order.symbol).status & IS_DELISTED:
        return _DELISTED
    if np.isnan(position_of(handle, order.symbol).mark):
        return _NO_PRICE
    if not takes_terms(handle, order.symbol, order.quantity, np.nan, np.nan):
        return _LOT_SIZE
    if not takes_terms(handle, order.symbol, np.nan, order.limit, order.stop):
        return _TICK_SIZE
    return _ACCEPTED


@compiled
def refused_now(handle: int, order: Any) -> int:
    """Return why the venue does not take an order at this moment, its terms aside; 0 if it does.

    A child is asked when it is released: its terms were checked when it was placed, and a split may have taken them off
    the tick since. The simulated broker knows no price of a symbol that the account does not hold.
    """
    symbol = symbol_of(handle, order.symbol)
    position = position_of(handle, order.symbol)
    if symbol.status & IS_DELISTED:
        return _DELISTED
    if symbol.status & IS_HALTED:
        return _IS_HALTED
    if order.time_in_force == _GTD and order.expires <= cursor_of(handle).now:
        return _CLOSED
    return _refused_size(handle, order, position)


@compiled
def _refused_size(handle: int, order: Any, position: Any) -> int:
    """Return why the venue does not take an order of this size."""
    rules = rules_of(handle)
    closes = position.quantity + order.quantity == 0
    if rules.min_notional > 0 and not closes and abs(order.quantity) * position.mark < rules.min_notional:
        return _MIN_NOTIONAL
    if not rules.allow_short and order.quantity < 0 and not order.is_exit:
        held = position.quantity + on_sale(handle, order)
        if held + order.quantity < -QUANTITY_TOLERANCE:
            return _SHORT_SALE
    return _ACCEPTED


@compiled
def takes_terms(handle: int, symbol: int, quantity: float, limit: float, stop: float) -> bool:
    """Whether a quantity is in whole lots and prices are on the tick; NaN stands for no change."""
    terms = symbol_of(handle, symbol)
    if not np.isnan(quantity) and not is_multiple(abs(quantity), terms.lot):
        return False
    return terms.tick <= 0 or (is_on_tick(limit, terms.tick) and is_on_tick(stop, terms.tick))
