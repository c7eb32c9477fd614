"""What a user writes for a venue of their own: its words, behind the port that the template broker asks.

Belongs here: the port and its values. What is done with the answers is :mod:`aegis.execution.brokers.template`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance
from aegis.execution.brokers.broker_book import Execution
from aegis.execution.orders import Order, OrderEventKind


class VenueRefusal(Exception):
    """The venue says no, and why; what is no clear answer is :class:`aegis.errors.BrokerUnavailable` instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue holds it.

    Parameters
    ----------
    client_order_id : str
        Ours.
    ticker : str
    quantity_shares, filled_shares : float
        Signed: bought positive, sold negative.
    limit_price_usd, stop_price_usd : float, optional
    end : OrderEventKind, optional
        Cancelled, expired or rejected, where it ended so; None while it works, and where it filled.
    reason : str
        Why it ended, as :func:`~aegis.execution.order_reasons.reason_text` writes it.
    accepted_at_utc, changed_at_utc : datetime
        By the venue's clock; aware.
    """

    client_order_id: str
    ticker: str
    quantity_shares: float
    filled_shares: float
    limit_price_usd: float | None
    stop_price_usd: float | None
    end: OrderEventKind | None
    reason: str
    accepted_at_utc: datetime
    changed_at_utc: datetime

    @property
    def venue_id(self) -> str:
        """Return its name for people, as a foreign order; return the venue's own here where it has one."""
        return self.client_order_id


class VenueClient(Protocol):
    """What you write: one venue's words, each method one question or request, with a timeout.

    Notes
    -----
    Every method raises :class:`aegis.errors.BrokerUnavailable` where it gets no usable answer: silence, a broken
    connection, an answer that cannot be read. Nothing is sent twice in here: whoever calls decides that. The methods
    are called from several threads.
    """

    def send(self, order: Order) -> None:
        """Send an order under its client order id; raise :class:`VenueRefusal` where the venue refuses it."""
        ...

    def cancel(self, client_order_id: str) -> None:
        """Ask for an order's end; raise :class:`VenueRefusal` where the venue will not."""
        ...

    def change(self, order: Order) -> None:
        """Ask for other terms of an order; raise :class:`VenueRefusal` where the venue will not."""
        ...

    def find(self, client_order_id: str) -> VenueOrder | None:
        """Return an order, also one that is over; None only where the venue says that it has none."""
        ...

    def open_orders(self) -> Sequence[VenueOrder]:
        """Return all open orders of the account, whoever sent them."""
        ...

    def executions(self, client_order_id: str) -> Sequence[Execution]:
        """Return all executions of an order."""
        ...

    def positions(self) -> tuple[Position, ...]:
        """Return what is held, sorted by symbol."""
        ...

    def balance(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
