"""Position limits of an account: how many names, how large each, in USD, in days of volume, in shares outstanding.

Belongs here: the limits and which of several orders would break them. Limits of the whole book's risk are
:mod:`aegis.risk.limits`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from aegis.errors import ComplianceError
from aegis.execution.orders import Order
from aegis.risk.reducing import are_reducing


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLimits:
    """What an account may hold; None is no limit.

    Parameters
    ----------
    max_positions : int, optional
        Names held at once, long and short together.
    max_position_usd : float, optional
        Absolute value of one position.
    max_share_of_median_volume : float, optional
        Absolute value of one position as a share of the name's median daily dollar volume.
    max_share_of_outstanding : float, optional
        Absolute shares of one position as a share of all shares outstanding, where those are known.

    Raises
    ------
    ComplianceError
        A limit is not a finite number above 0.
    """

    max_positions: int | None = None
    max_position_usd: float | None = None
    max_share_of_median_volume: float | None = None
    max_share_of_outstanding: float | None = None

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ComplianceError(f"compliance.{limit.name}: expected a number above 0, found {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What is held and at work, and what is needed to measure it.

    Parameters
    ----------
    positions_shares : mapping of str to float
        Signed shares held.
    at_work_shares : sequence of (str, float)
        Signed shares that open orders may still fill.
    prices_usd, median_dollar_volume_usd : mapping of str to float
        By symbol.
    shares_outstanding : mapping of str to float
        By symbol, where known.
    """

    positions_shares: Mapping[str, float]
    at_work_shares: Sequence[tuple[str, float]]
    prices_usd: Mapping[str, float]
    median_dollar_volume_usd: Mapping[str, float]
    shares_outstanding: Mapping[str, float] = field(default_factory=dict)


def position_limit_breaches(orders: Sequence[Order], book: Book, *, limits: PositionLimits) -> dict[str, str]:
    """Return by client order id which orders would break a limit, and how.

    Parameters
    ----------
    orders : sequence of Order
        In the order in which they would be sent; one that breaks a limit is not counted for those after it.
    book : Book
        What is held and at work. Open orders count as filled where that makes a position larger.
    limits : PositionLimits
        Of the account.

    Notes
    -----
    An order that only reduces breaks no limit. What cannot be measured, because a price or a volume is missing, is
    beyond its limit. A position that is over a limit already, by a rise in price, may be kept and not added to.
    """
    at_work = _worst_case(book)
    proposed = [(order.symbol, order.quantity_shares) for order in orders]
    reducing = are_reducing(proposed, book.positions_shares, open_orders_shares=book.at_work_shares)
    breaches: dict[str, str] = {}
    held = dict(at_work)
    for order, reduces in zip(orders, reducing, strict=True):
        if reduces:
            continue
        after = held.get(order.symbol, 0.0) + order.quantity_shares
        breach = _breach(order.symbol, after, held, book, limits)
        if breach is None:
            held[order.symbol] = after
        else:
            breaches[order.client_order_id] = breach
    return breaches


def _worst_case(book: Book) -> dict[str, float]:
    """Return positions with the open orders that make them larger, or that open them."""
    held = {symbol: shares for symbol, shares in book.positions_shares.items() if shares != 0.0}
    for symbol, shares in book.at_work_shares:
        if shares * book.positions_shares.get(symbol, 0.0) >= 0.0:
            held[symbol] = held.get(symbol, 0.0) + shares
    return held


def _breach(symbol: str, shares: float, held: Mapping[str, float], book: Book, limits: PositionLimits) -> str | None:
    names = len({*(name for name, count in held.items() if count != 0.0), symbol})
    value = abs(shares) * book.prices_usd.get(symbol, math.nan)
    volume = book.median_dollar_volume_usd.get(symbol, math.nan)
    outstanding = book.shares_outstanding.get(symbol)
    measured = (
        ("names held", float(names), limits.max_positions),
        ("USD in one position", value, limits.max_position_usd),
        ("of median daily dollar volume", _ratio(value, volume), limits.max_share_of_median_volume),
        (
            "of the shares outstanding",
            0.0 if outstanding is None else _ratio(abs(shares), outstanding),
            limits.max_share_of_outstanding,
        ),
    )
    for unit, observed, limit in measured:
        if limit is not None and not observed <= limit:
            return f"{observed:.6g} {unit}, the limit is {limit:g}; make the order smaller, or let a position go first"
    return None


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else math.nan
