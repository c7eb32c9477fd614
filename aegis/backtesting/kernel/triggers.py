"""Whether a bar executes an order, when inside the bar, and at which price before costs.

Belongs here: the fill conventions of ``docs/fills.md``, one function for each kind of order. They see one order and one
bar's prices and change nothing. Purchases and sales are one formula: `side` is 1 or -1, `favourable` is the bar's
extreme in the order's favour (the low for a purchase), `adverse` the other one.
"""

from __future__ import annotations

from typing import Any

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.codes import OrderType, Pass, TimeInForce

_MARKET, _LIMIT, _STOP, _STOP_LIMIT = (
    int(OrderType.MARKET),
    int(OrderType.LIMIT),
    int(OrderType.STOP),
    int(OrderType.STOP_LIMIT),
)
_TRAILING, _ON_OPEN, _ON_CLOSE = (
    int(OrderType.TRAILING_STOP),
    int(OrderType.MARKET_ON_OPEN),
    int(OrderType.MARKET_ON_CLOSE),
)
_LIMIT_ON_OPEN, _LIMIT_ON_CLOSE = int(OrderType.LIMIT_ON_OPEN), int(OrderType.LIMIT_ON_CLOSE)
_AVERAGE = int(OrderType.BAR_AVERAGE)
_IOC, _FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
_OPEN_SELL, _OPEN_BUY = int(Pass.OPEN_SELL), int(Pass.OPEN_BUY)
_AT_STOP, _AT_LIMIT = int(Pass.STOP), int(Pass.LIMIT)
_AVERAGE_SELL, _AVERAGE_BUY = int(Pass.AVERAGE_SELL), int(Pass.AVERAGE_BUY)
_CLOSE_SELL, _CLOSE_BUY = int(Pass.CLOSE_SELL), int(Pass.CLOSE_BUY)
_NOT = int(Pass.NONE)


@compiled
def evaluate(  # noqa: PLR0911 - one answer for each kind of order
    order: Any,
    opened: float,
    high: float,
    low: float,
    close: float,
    opens_session: bool,
    closes_session: bool,
    needs_through: bool,
) -> tuple[int, float, bool]:
    """Return the pass in which a bar executes an order, the price before costs, and whether its stop is triggered.

    Parameters
    ----------
    order : ORDER
        Working, and old enough for this bar.
    opened, high, low, close : float
        The bar, USD.
    opens_session, closes_session : bool
        Whether it is the first, or the last, bar of its session.
    needs_through : bool
        Whether a resting limit needs a price beyond it, not only at it.

    Returns
    -------
    (int, float, bool)
        :class:`~aegis.backtesting.kernel.codes.Pass`, ``NONE`` if it is not executed; USD; the stop.
    """
    kind = order.type
    buying = order.quantity > 0
    side = 1.0 if buying else -1.0
    at_open = _OPEN_BUY if buying else _OPEN_SELL
    at_close = _CLOSE_BUY if buying else _CLOSE_SELL
    triggered = order.triggered_step >= 0
    if kind == _MARKET or (triggered and (kind in (_STOP, _TRAILING))):
        return at_open, opened, triggered
    if kind in (_ON_OPEN, _LIMIT_ON_OPEN):
        return _auction(at_open, opened, order.limit, side, happens=opens_session)
    if kind in (_ON_CLOSE, _LIMIT_ON_CLOSE):
        return _auction(at_close, close, order.limit, side, happens=closes_session)
    if kind == _AVERAGE:
        return (_AVERAGE_BUY if buying else _AVERAGE_SELL), (opened + high + low + close) / 4.0, False
    favourable, adverse = (low, high) if buying else (high, low)
    if kind in (_STOP, _TRAILING):
        return _stop(at_open, opened, adverse, order.stop, side)
    if kind == _STOP_LIMIT and not triggered:
        return _stop_limit(at_open, opened, favourable, adverse, close, order, side, needs_through)
    at_once = order.time_in_force in (_IOC, _FOK)
    where, price = _limit(at_open, opened, favourable, order.limit, side, needs_through)
    if at_once and where == _AT_LIMIT:
        return _NOT, price, triggered
    return where, price, triggered


@compiled
def _auction(where: int, price: float, limit: float, side: float, happens: bool) -> tuple[int, float, bool]:
    """Return an auction's price, if it is held and no worse than the limit; a market order's limit is NaN."""
    if not happens or side * (price - limit) > 0:
        return _NOT, price, False
    return where, price, False


@compiled
def _limit(
    at_open: int,
    opened: float,
    favourable: float,
    limit: float,
    side: float,
    needs_through: bool,
) -> tuple[int, float]:
    """Execute a limit order at the open if that is as good, else at the limit once the price comes to it."""
    if side * (opened - limit) <= 0:
        return at_open, opened
    distance = side * (favourable - limit)
    if distance < 0 or (distance == 0 and not needs_through):
        return _AT_LIMIT, limit
    return _NOT, limit


@compiled
def _stop(at_open: int, opened: float, adverse: float, stop: float, side: float) -> tuple[int, float, bool]:
    """Execute a stop order at the open if the price gapped through it, else at the stop once the price reaches it."""
    if side * (opened - stop) >= 0:
        return at_open, opened, True
    if side * (adverse - stop) >= 0:
        return _AT_STOP, stop, True
    return _NOT, stop, False


@compiled
def _stop_limit(
    at_open: int,
    opened: float,
    favourable: float,
    adverse: float,
    close: float,
    order: Any,
    side: float,
    needs_through: bool,
) -> tuple[int, float, bool]:
    """Execute a stop-limit order that has not been triggered.

    Triggered at the open, the whole bar lies behind it: it is a limit order. Triggered inside the bar, only the stop
    itself and the close are known to come no earlier than the trigger.
    """
    limit, stop = order.limit, order.stop
    if side * (opened - stop) >= 0:
        where, price = _limit(at_open, opened, favourable, limit, side, needs_through)
        return where, price, True
    if side * (adverse - stop) < 0:
        return _NOT, limit, False
    if side * (stop - limit) <= 0:
        return _AT_STOP, stop, True
    if side * (close - limit) <= 0:
        return _AT_LIMIT, limit, True
    return _NOT, limit, True


@compiled
def trailed_stop(watermark: float, trail: float, side: float, is_fraction: bool) -> float:
    """Return the stop of a trailing stop order, USD: `trail` (USD, or a fraction) beyond its watermark."""
    return watermark * (1.0 + side * trail) if is_fraction else watermark + side * trail


@compiled
def exits_in_entry_bar(
    order: Any, entered: int, entry_price: float, high: float, low: float, close: float, needs_through: bool
) -> tuple[int, float]:
    """Return whether a bracket's exit acts in the bar that filled its entry, and at which price before costs.

    Parameters
    ----------
    order : ORDER
        A stop or limit order that closes the entry.
    entered : int
        The pass that filled the entry.
    entry_price : float
        The entry's price before costs, USD.
    high, low, close : float
        The bar, USD.
    needs_through : bool
        See :func:`evaluate`.

    Notes
    -----
    The path inside the bar is unknown, so the answer is the worse one: a stop that lies in the bar's range is hit even
    if the price may have been there before the entry; a limit is filled only where the price must have come to it
    afterwards, which is anywhere in the bar after an entry at the open, beyond the entry after a stop entry, and at the
    close after a limit entry. An exit that the entry's own price has passed already is executed at that price.
    """
    side = 1.0 if order.quantity > 0 else -1.0
    favourable, adverse = (low, high) if side > 0 else (high, low)
    if order.type == _STOP and side * (adverse - order.stop) >= 0:
        return _AT_STOP, entry_price if side * (entry_price - order.stop) >= 0 else order.stop
    if order.type == _LIMIT:
        if side * (entry_price - order.limit) <= 0:
            return _AT_LIMIT, entry_price
        reached = close if entered == _AT_LIMIT else favourable
        distance = side * (reached - order.limit)
        if distance < 0 or (distance == 0 and not needs_through):
            return _AT_LIMIT, order.limit
    return _NOT, 0.0
