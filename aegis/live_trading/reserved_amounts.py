"""What orders take of the limits, as sums, and the day that they count to.

Belongs here: the values. Which order takes what is :mod:`aegis.live_trading.order_reservations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import add, sub
from typing import NamedTuple

_ZERO = Decimal(0)


class Reserved(NamedTuple):
    """What one order, or several, take of the limits.

    Parameters
    ----------
    bought_shares, sold_shares : Decimal
        Open, signless.
    traded_shares : Decimal
        Signed, executed since the broker's last statement of account.
    purchases_usd : Decimal
        Open purchases, and purchases executed since that statement.
    day_usd, day_shares : Decimal
        Executed today and open; signless.
    day_orders : int
        Let through today; each replacement counts as well.
    unpriced : int
        Orders with shares in the sums above and no price to value them at.
    """

    bought_shares: Decimal = _ZERO
    sold_shares: Decimal = _ZERO
    traded_shares: Decimal = _ZERO
    purchases_usd: Decimal = _ZERO
    day_usd: Decimal = _ZERO
    day_shares: Decimal = _ZERO
    day_orders: int = 0
    unpriced: int = 0

    def __add__(self, other: Reserved) -> Reserved:  # type: ignore[override] # amount by amount, not one after another
        if other is NOTHING:
            return self
        return Reserved._make(map(add, self, other))

    def __sub__(self, other: Reserved) -> Reserved:
        if other is NOTHING:
            return self
        return Reserved._make(map(sub, self, other))


NOTHING = Reserved()
"""What takes nothing; adding it and taking it away are free."""


@dataclass(frozen=True, slots=True)
class DayBounds:
    """A day, its beginning included and its end not, and when the broker last stated the account; aware UTC."""

    begins_at_utc: datetime
    ends_at_utc: datetime
    stated_at_utc: datetime | None

    def has(self, instant_utc: datetime) -> bool:
        """Whether an instant is of the day."""
        return self.begins_at_utc <= instant_utc < self.ends_at_utc

    def is_unstated(self, instant_utc: datetime) -> bool:
        """Whether the broker's statement need not know of an instant: it was asked for no later."""
        return self.stated_at_utc is None or instant_utc >= self.stated_at_utc
