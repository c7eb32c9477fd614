"""Which of several brokers an order goes to: by its symbol, by the kind of its asset, by share.

Belongs here: the rules and their reading from the configuration. Sending is :mod:`aegis.execution.brokers.multi`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from aegis.config_brokers import RouteSettings
from aegis.errors import ConfigurationError

_BLOCK = "brokers.multi.routes"


def asset_kind(symbol: str) -> str:
    """Return what a symbol stands for: ``crypto`` for a pair such as ``BTC/USD``, else ``stock``."""
    return "crypto" if "/" in symbol else "stock"


@dataclass(frozen=True, slots=True)
class Route:
    """One rule.

    Parameters
    ----------
    shares : tuple of (str, float)
        Brokers and the part of the symbols that each takes; the parts add up to 1.
    symbols : frozenset of str
        Permanent symbols that it is for; empty for all.
    asset_kinds : frozenset of str
        Kinds of assets that it is for; empty for all.
    """

    shares: tuple[tuple[str, float], ...]
    symbols: frozenset[str] = frozenset()
    asset_kinds: frozenset[str] = frozenset()


class OrderRoutes:
    """Rules in order: the first that fits a symbol decides.

    Parameters
    ----------
    routes : sequence of Route
        Tried in this order.
    brokers : collection of str
        The brokers that there are.
    kind_of : callable, optional
        The kind of an asset, by its permanent symbol.

    Raises
    ------
    ConfigurationError
        A rule names a broker that there is not, or its shares are not parts of 1.

    Notes
    -----
    A share is a share of symbols, not of each order: every symbol has one broker, the same today and after a restart,
    because whoever bought must be able to sell, and one order has one venue that knows its id. The place of a symbol is
    the SHA-256 of its name as a fraction of 1.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        brokers: Collection[str],
        *,
        kind_of: Callable[[str], str] = asset_kind,
    ) -> None:
        for route in routes:
            _require_sound(route, brokers)
        self._routes = tuple(routes)
        self._kind_of = kind_of

    @classmethod
    def configured(cls, settings: Sequence[RouteSettings], brokers: Collection[str]) -> OrderRoutes:
        """Return the rules of ``brokers.multi.routes``."""
        routes = [
            Route(tuple(given.brokers.items()), frozenset(given.symbols), frozenset(given.asset_kinds))
            for given in settings
        ]
        return cls(routes, brokers)

    def broker_of(self, symbol: str) -> str | None:
        """Return the broker of a symbol, None where no rule fits."""
        kind = self._kind_of(symbol)
        for route in self._routes:
            fits_symbol = not route.symbols or symbol in route.symbols
            if fits_symbol and (not route.asset_kinds or kind in route.asset_kinds):
                return _by_share(route, symbol)
        return None


def _by_share(route: Route, symbol: str) -> str:
    place = int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:8], "big") / 2.0**64
    total = 0.0
    for broker, share in route.shares:
        total += share
        if place < total:
            return broker
    return route.shares[-1][0]  # the shares' rounding


def _require_sound(route: Route, brokers: Collection[str]) -> None:
    total = math.fsum(share for _, share in route.shares)
    if any(share <= 0 for _, share in route.shares) or not math.isclose(total, 1.0, abs_tol=1e-9):
        given = ", ".join(f"{name}: {share:g}" for name, share in route.shares) or "none"
        raise ConfigurationError(f"{_BLOCK}: the shares of a rule are above 0 and add up to 1, found {given}")
    for name, _ in route.shares:
        if name not in brokers:
            raise ConfigurationError(
                f"{_BLOCK}: there is no broker {name!r}, only {', '.join(sorted(brokers))}; correct the rule"
            )
