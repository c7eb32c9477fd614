"""Which orders only reduce: the one definition, used when orders are made and when they are judged.

Belongs here: the rule. Orders that reduce may pass limits and breakers; see :mod:`aegis.risk.pre_trade_gate`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence


def are_reducing(
    orders_shares: Sequence[tuple[str, float]],
    positions_shares: Mapping[str, float],
    *,
    open_orders_shares: Iterable[tuple[str, float]] = (),
) -> tuple[bool, ...]:
    """Return for each order whether it only reduces the absolute position without crossing zero.

    Parameters
    ----------
    orders_shares : sequence of (symbol, signed shares)
        In the order in which they would be sent.
    positions_shares : mapping of str to float
        Signed shares held; absent means none.
    open_orders_shares : iterable of (symbol, signed shares)
        What remains of orders already at work.

    Returns
    -------
    tuple of bool
        One for each order.

    Notes
    -----
    A position of p shares can be reduced by p shares once. Open orders against the position use that up first, then the
    orders in sequence: of two sales each smaller than the position but together larger, the second does not reduce.
    An order that does not reduce uses nothing up, as it is not sent where only reducing orders are. Open orders in the
    direction of the position add nothing: they may never fill. A position or order
    that is not a finite number reduces nothing, and an open order that is not a number leaves nothing to reduce.
    """
    reducible = {symbol: abs(shares) for symbol, shares in positions_shares.items() if math.isfinite(shares)}
    for symbol, shares in open_orders_shares:
        if math.isnan(shares):
            reducible[symbol] = 0.0
        elif _is_against(shares, positions_shares.get(symbol, 0.0)):
            reducible[symbol] = reducible.get(symbol, 0.0) - abs(shares)
    verdicts: list[bool] = []
    for symbol, shares in orders_shares:
        left = reducible.get(symbol, 0.0)
        reduces = _is_against(shares, positions_shares.get(symbol, 0.0)) and abs(shares) <= left
        if reduces:
            reducible[symbol] = left - abs(shares)
        verdicts.append(reduces)
    return tuple(verdicts)


def _is_against(shares: float, position: float) -> bool:
    return shares * position < 0.0
