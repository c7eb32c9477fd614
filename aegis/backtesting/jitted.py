"""Strategies compiled to machine code, and all that they may ask.

Belongs here: the vocabulary of a jitted strategy. It is a function of one argument, the market's handle, called at the
close of every step; whatever it decides executes from the next bar on::

    @jitted_strategy
    def cross(market):
        held = position(market, 0)
        if indicator(market, 0, 0) > indicator(market, 1, 0):
            if held == 0:
                order_target_weight(market, 0, 1.0)
        elif held > 0:
            order_target_weight(market, 0, 0.0)

Symbols are their numbers. Values are those of the current bar (`lag` 0) and earlier ones; asking ahead, or before the
first bar, is a fault that stops the run. Lags need the dense layout (:class:`aegis.backtesting.bars.Bars`). Orders with
a time limit, and orders that depend on each other, are in :mod:`aegis.backtesting.jitted_orders`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bars import Bars
from aegis.backtesting.compilation import callback, compiled
from aegis.backtesting.kernel import sizing, submission
from aegis.backtesting.kernel.codes import Fault, OrderType, TimeInForce
from aegis.backtesting.kernel.memory import (
    account_of,
    cursor_of,
    header_of,
    load_f8,
    order_of,
    position_of,
    rules_of,
    store_f8,
    symbol_of,
)
from aegis.backtesting.kernel.records import NEVER, NO_ORDER
from aegis.backtesting.kernel.stepping import ON_BAR

_LOOK_AHEAD, _OUTSIDE, _SYMBOL = int(Fault.LOOK_AHEAD), int(Fault.OUTSIDE_HISTORY), int(Fault.SYMBOL)
_UNKNOWN = int(Fault.UNKNOWN_ORDER)

MARKET, LIMIT, STOP, STOP_LIMIT = (
    int(OrderType.MARKET),
    int(OrderType.LIMIT),
    int(OrderType.STOP),
    int(OrderType.STOP_LIMIT),
)
TRAILING_STOP = int(OrderType.TRAILING_STOP)
BAR_AVERAGE = int(OrderType.BAR_AVERAGE)
"""Types of orders. A market or limit order with the time in force OPG or CLS is for that auction."""

DAY, GTC, GTD = int(TimeInForce.DAY), int(TimeInForce.GTC), int(TimeInForce.GTD)
IOC, FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
OPG, CLS = int(TimeInForce.OPG), int(TimeInForce.CLS)
"""Times in force, as in ``docs/fills.md``."""

_NAN = np.nan
_NUMBER = (int, float, np.integer, np.floating)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JittedStrategy:
    """A compiled strategy.

    Parameters
    ----------
    name : str
        The function's.
    on_bar : compiled function
        Called with the handle at every close.
    parameters : ndarray of float64, shape (parameters,)
        What :func:`parameter` returns.
    memory_size : int
        How many numbers :func:`keep` has room for.
    indicators : callable, optional
        From bars to an array of shape (indicators, n_rows), see :meth:`aegis.backtesting.strategy.Strategy.indicators`.
    """

    name: str
    on_bar: Any
    parameters: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    memory_size: int = 0
    indicators: Callable[[Bars], NDArray[np.float64]] | None = None

    def using(
        self,
        *parameters: float | NDArray[np.float64],
        memory_size: int = 0,
        indicators: Callable[[Bars], NDArray[np.float64]] | None = None,
    ) -> JittedStrategy:
        """Return the strategy with numbers, memory and indicators of its own; nothing is compiled again.

        An array among the parameters is as many numbers as it has elements, row after row.
        """
        if all(isinstance(each, _NUMBER) for each in parameters):
            numbers = np.array(parameters, dtype=np.float64)
        else:
            numbers = np.concatenate([np.ravel(each) for each in parameters]).astype(np.float64, copy=False)
        return replace_fields(self, parameters=numbers, memory_size=memory_size, indicators=indicators)


def jitted_strategy(function: Callable[[int], None]) -> JittedStrategy:
    """Compile a strategy; its machine code is kept on disk and used again until a source changes."""
    return JittedStrategy(name=function.__name__, on_bar=callback(ON_BAR)(function))


@compiled
def _row(market: int, symbol: int, lag: int) -> int:
    """Return the row of a symbol's bar `lag` steps ago, -1 and a fault where there is none."""
    header, cursor = header_of(market), cursor_of(market)
    if symbol < 0 or symbol >= header.n_symbols:
        sizing.fail(market, _SYMBOL, symbol, lag)
        return -1
    if lag < 0:
        sizing.fail(market, _LOOK_AHEAD, symbol, -lag)
        return -1
    if lag > cursor.step or header.row_symbol != 0:
        sizing.fail(market, _OUTSIDE, symbol, cursor.step - lag)
        return -1
    return (cursor.step - lag) * header.n_symbols + symbol


@compiled
def open_price(market: int, symbol: int, lag: int) -> float:
    """Return an opening price, USD."""
    row = _row(market, symbol, lag)
    return load_f8(header_of(market).open, row) if row >= 0 else _NAN


@compiled
def high(market: int, symbol: int, lag: int) -> float:
    """Return a bar's highest price, USD."""
    row = _row(market, symbol, lag)
    return load_f8(header_of(market).high, row) if row >= 0 else _NAN


@compiled
def low(market: int, symbol: int, lag: int) -> float:
    """Return a bar's lowest price, USD."""
    row = _row(market, symbol, lag)
    return load_f8(header_of(market).low, row) if row >= 0 else _NAN


@compiled
def close(market: int, symbol: int, lag: int) -> float:
    """Return a closing price, USD; NaN where the bar is missing."""
    row = _row(market, symbol, lag)
    return load_f8(header_of(market).close, row) if row >= 0 else _NAN


@compiled
def volume(market: int, symbol: int, lag: int) -> float:
    """Return a bar's volume, shares."""
    row = _row(market, symbol, lag)
    return load_f8(header_of(market).volume, row) if row >= 0 else _NAN


@compiled
def indicator(market: int, number: int, lag: int) -> float:
    """Return a value of an indicator column of a market with one symbol."""
    return indicator_of(market, number, 0, lag)


@compiled
def indicator_of(market: int, number: int, symbol: int, lag: int) -> float:
    """Return a symbol's value of an indicator column."""
    header = header_of(market)
    if number < 0 or number >= header.n_indicators:
        sizing.fail(market, _OUTSIDE, symbol, number)
        return _NAN
    row = _row(market, symbol, lag)
    return load_f8(header.indicators, number * header.n_rows + row) if row >= 0 else _NAN


@compiled
def parameter(market: int, number: int) -> float:
    """Return one of the strategy's numbers."""
    header = header_of(market)
    if number < 0 or number >= header.n_parameters:
        sizing.fail(market, _OUTSIDE, 0, number)
        return _NAN
    return load_f8(header.parameters, number)


@compiled
def recall(market: int, number: int) -> float:
    """Return what was kept under a number, 0 at first."""
    header = header_of(market)
    if number < 0 or number >= header.n_memory:
        sizing.fail(market, _OUTSIDE, 0, number)
        return _NAN
    return load_f8(header.memory, number)


@compiled
def keep(market: int, number: int, value: float) -> None:
    """Keep a value for later bars."""
    header = header_of(market)
    if number < 0 or number >= header.n_memory:
        sizing.fail(market, _OUTSIDE, 0, number)
        return
    store_f8(header.memory, number, value)


@compiled
def step_number(market: int) -> int:
    """Return how many steps came before this one, those of earlier chunks included."""
    cursor = cursor_of(market)
    return cursor.steps_before + cursor.step


@compiled
def now(market: int) -> int:
    """Return when the current bar closes, nanoseconds since 1970 in UTC."""
    return cursor_of(market).now


@compiled
def closes_session(market: int) -> bool:
    """Whether this is the last step of its session."""
    cursor = cursor_of(market)
    return cursor.step + 1 >= cursor.next_session_step


@compiled
def n_symbols(market: int) -> int:
    """Return the number of symbols."""
    return header_of(market).n_symbols


@compiled
def position(market: int, symbol: int) -> float:
    """Return the signed shares held."""
    if symbol < 0 or symbol >= header_of(market).n_symbols:
        sizing.fail(market, _SYMBOL, symbol, 0.0)
        return _NAN
    return position_of(market, symbol).quantity


@compiled
def equity(market: int) -> float:
    """Return the account's equity at this close, USD."""
    return account_of(market).equity_now


@compiled
def cash(market: int) -> float:
    """Return the account's cash, USD."""
    return account_of(market).cash


@compiled
def has_open_orders(market: int, symbol: int) -> bool:
    """Whether a symbol has orders at the venue."""
    if symbol < 0 or symbol >= header_of(market).n_symbols:
        sizing.fail(market, _SYMBOL, symbol, 0.0)
        return False
    return symbol_of(market, symbol).first_order != NO_ORDER


@compiled
def is_open(market: int, order: int) -> bool:
    """Whether anything can still happen to an order."""
    return 0 <= order < cursor_of(market).orders and order_of(market, order).closed_step < 0


@compiled
def order_quantity(market: int, order: int) -> float:
    """Return the signed shares that an order is for, filled or not, as it stands now."""
    if order < 0 or order >= cursor_of(market).orders:
        sizing.fail(market, _UNKNOWN, 0, order)
        return _NAN
    return order_of(market, order).quantity


@compiled
def order_filled(market: int, order: int) -> float:
    """Return the signed shares that an order has filled."""
    if order < 0 or order >= cursor_of(market).orders:
        sizing.fail(market, _UNKNOWN, 0, order)
        return _NAN
    return order_of(market, order).filled


@compiled
def market_order(market: int, symbol: int, quantity: float) -> int:
    """Order signed shares at the next open; return the order's index."""
    return submission.place(market, symbol, MARKET, quantity, _NAN, _NAN, _NAN, 0, DAY, NEVER)


@compiled
def limit_order(market: int, symbol: int, quantity: float, limit: float, time_in_force: int) -> int:
    """Order signed shares at `limit` USD or better; return the order's index."""
    return submission.place(market, symbol, LIMIT, quantity, limit, _NAN, _NAN, 0, time_in_force, NEVER)


@compiled
def stop_order(market: int, symbol: int, quantity: float, stop: float, time_in_force: int) -> int:
    """Order signed shares once the price comes to `stop` USD; return the order's index."""
    return submission.place(market, symbol, STOP, quantity, _NAN, stop, _NAN, 0, time_in_force, NEVER)


@compiled
def stop_limit_order(market: int, symbol: int, quantity: float, stop: float, limit: float, time_in_force: int) -> int:
    """Order signed shares at `limit` USD or better once the price comes to `stop` USD; return the order's index."""
    return submission.place(market, symbol, STOP_LIMIT, quantity, limit, stop, _NAN, 0, time_in_force, NEVER)


@compiled
def trailing_stop_order(market: int, symbol: int, quantity: float, trail: float, time_in_force: int) -> int:
    """Order signed shares once the price comes back by `trail` USD from its best; return the order's index."""
    return submission.place(market, symbol, TRAILING_STOP, quantity, _NAN, _NAN, trail, 0, time_in_force, NEVER)


@compiled
def bracket(market: int, symbol: int, quantity: float, stop_loss: float, take_profit: float) -> int:
    """Order signed shares at the next open with two exits, NaN for none; return the entry's index."""
    return submission.place_bracket(market, symbol, MARKET, quantity, _NAN, _NAN, DAY, stop_loss, take_profit)


@compiled
def order_target_weight(market: int, symbol: int, weight: float) -> int:
    """Order what is missing to a weight of equity; return the order's index, -1 for none."""
    if symbol < 0 or symbol >= header_of(market).n_symbols:
        sizing.fail(market, _SYMBOL, symbol, weight)
        return NO_ORDER
    return sizing.order_target_weight(market, symbol, weight, rules_of(market).target_order_type, DAY)


@compiled
def order_target_shares(market: int, symbol: int, quantity: float) -> int:
    """Order what is missing to a signed number of shares; return the order's index, -1 for none."""
    if symbol < 0 or symbol >= header_of(market).n_symbols:
        sizing.fail(market, _SYMBOL, symbol, quantity)
        return NO_ORDER
    return sizing.order_target_quantity(market, symbol, quantity, rules_of(market).target_order_type, DAY)


@compiled
def cancel(market: int, order: int) -> bool:
    """Cancel the rest of an order; false if it had ended."""
    return submission.cancel_order(market, order)


@compiled
def replace(market: int, order: int, quantity: float, limit: float, stop: float) -> bool:
    """Change an open order, NaN for no change; false if it had ended or one is off tick or lot."""
    return submission.replace_order(market, order, quantity, limit, stop)
