"""What an account holds, and which of it an order to close it would miss.

Belongs here: the values, and the judgement of where a position stands. Who is asked is
:mod:`aegis.execution.brokers.multi`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aegis.execution.account_state import Position
from aegis.execution.brokers.broker_totals import total_positions
from aegis.execution.brokers.live_orders import reduces_only
from aegis.execution.orders import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class MisplacedPosition:
    """A position at a broker that today's rules send no order of its symbol to.

    Parameters
    ----------
    broker : str
        Where it is held.
    position : Position
        As that broker tells it.
    home : str or None
        Where an order to close it would go; None where no rule takes the symbol.
    home_shares : float
        Signed shares of the symbol that are held there.
    """

    broker: str
    position: Position
    home: str | None
    home_shares: float

    @property
    def symbol(self) -> str:
        """Its permanent symbol."""
        return self.position.symbol

    @property
    def told(self) -> str:
        """Symbol, broker, shares and remedy, for a person."""
        goes = "nowhere: no rule takes the symbol"
        if self.home is not None:
            goes = f"to {self.home!r}, which holds {self.home_shares:g}"
        return (
            f"{self.symbol}: {self.position.quantity_shares:g} shares are held at {self.broker!r}, and by "
            f"brokers.multi.routes an order to close them goes {goes}; close them at {self.broker!r} by hand, or, "
            f"where {self.symbol} is held there alone, add a rule that sends it there"
        )


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an account holds.

    Parameters
    ----------
    positions : tuple of Position
        Of all brokers together, sorted by symbol; what is long here and short there in equal parts is left out.
    misplaced : tuple of MisplacedPosition
        What stands where an order to close it would not go, sorted by symbol and broker.
    """

    positions: tuple[Position, ...]
    misplaced: tuple[MisplacedPosition, ...] = ()

    @property
    def misplaced_symbols(self) -> frozenset[str]:
        """Symbols of which shares stand where an order to close them would not go."""
        return frozenset(each.symbol for each in self.misplaced)


def holdings_at(held: Mapping[str, Sequence[Position]], home_of: Callable[[str], str | None]) -> Holdings:
    """Return what several brokers hold together.

    Parameters
    ----------
    held : mapping of str to sequence of Position
        By broker; a symbol once at each.
    home_of : callable
        Takes a symbol; names the broker that takes an order of it, None where none does.
    """
    shares = {(broker, found.symbol): found.quantity_shares for broker, all_of in held.items() for found in all_of}
    misplaced = [
        MisplacedPosition(
            broker=broker, position=found, home=home, home_shares=shares.get((home or "", found.symbol), 0.0)
        )
        for broker, all_of in held.items()
        for found in all_of
        if (home := home_of(found.symbol)) != broker and found.quantity_shares
    ]
    return Holdings(total_positions(held), tuple(sorted(misplaced, key=lambda found: (found.symbol, found.broker))))


def why_not_beside(order: Order, home: str, held: Sequence[Position]) -> str:
    """Return why an order may not leave while shares of its symbol are misplaced; empty where it may.

    Parameters
    ----------
    order : Order
        Of such a symbol.
    home : str
        The broker that it goes to.
    held : sequence of Position
        What is held there.
    """
    if reduces_only(order, held, ()):
        return ""
    there = math.fsum(found.quantity_shares for found in held if found.symbol == order.symbol)
    return (
        f"{order.quantity_shares:g} {order.symbol} goes to {home!r} by brokers.multi.routes, which holds {there:g}, "
        "while shares are held elsewhere that it would not reach; close those at their own broker first"
    )
