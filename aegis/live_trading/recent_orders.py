"""The orders that were let through within the last minute or so: how many, and which of each symbol.

Belongs here: keeping them in the order of their instants, and forgetting them. What they are asked for is
:mod:`aegis.risk.exit_moments`; what they take of the day's limits :mod:`aegis.live_trading.order_reservations`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from datetime import datetime, timedelta
from operator import attrgetter

from aegis.execution.orders import Order
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_moments import are_within_rates
from aegis.risk.exit_view import SentOrder

_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_SENT_AT = attrgetter("sent_at_utc")


class RecentOrders:
    """What was let through lately; a replacement is one more.

    Parameters
    ----------
    limits : ExitLimits
        Orders are kept for a minute, and for as long as an equal one counts as a duplicate.

    Notes
    -----
    What is asked of one order costs the orders of its symbol, not those of the minute.
    """

    def __init__(self, limits: ExitLimits) -> None:
        self._limits = limits
        self._kept = max(_MINUTE, timedelta(seconds=limits.duplicate_window_seconds))
        self._sent: list[SentOrder] = []
        self._by_symbol: dict[str, list[SentOrder]] = {}

    def add(self, order: Order, at_utc: datetime) -> None:
        """Take note that an order was let through, at whichever instant."""
        sent = SentOrder(order, at_utc)
        insort(self._sent, sent, key=_SENT_AT)
        insort(self._by_symbol.setdefault(order.symbol, []), sent, key=_SENT_AT)

    def withdraw(self, client_order_id: str) -> None:
        """Forget what was let through last under an id."""
        for item in reversed(self._sent):
            if item.order.client_order_id == client_order_id:
                self._sent.remove(item)
                self._forget(item)
                return

    def forget_old(self, now_utc: datetime) -> None:
        """Forget what is too old to be asked for now."""
        gone = bisect_left(self._sent, now_utc - self._kept, key=_SENT_AT)
        for item in self._sent[:gone]:
            self._forget(item)
        del self._sent[:gone]

    def of_symbol(self, symbol: str) -> tuple[SentOrder, ...]:
        """Return the orders of a symbol, oldest first."""
        return tuple(self._by_symbol.get(symbol, ()))

    def within_second(self, now_utc: datetime) -> int:
        """Return how many left within the last second; one sent exactly a second ago is outside."""
        return self._since(now_utc - _SECOND)

    def within_minute(self, now_utc: datetime) -> int:
        """Return how many left within the last minute; one sent exactly a minute ago is outside."""
        return self._since(now_utc - _MINUTE)

    def has_room(self, now_utc: datetime) -> bool:
        """Return whether one more order fits into the order rates."""
        return are_within_rates(self.within_second(now_utc) + 1, self.within_minute(now_utc) + 1, self._limits)

    def _since(self, instant_utc: datetime) -> int:
        return len(self._sent) - bisect_right(self._sent, instant_utc, key=_SENT_AT)

    def _forget(self, item: SentOrder) -> None:
        of_symbol = self._by_symbol[item.order.symbol]
        of_symbol.remove(item)
        if not of_symbol:
            del self._by_symbol[item.order.symbol]
