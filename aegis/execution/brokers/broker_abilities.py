"""What some brokers can beyond the port, because their venue is reached over a network.

Belongs here: protocols. The port that every broker has is :mod:`aegis.execution.brokers.broker`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, Protocol, runtime_checkable

from aegis.backtesting.session_market import CorporateAction
from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.brokers.broker_book import Recall
from aegis.execution.brokers.holdings import Holdings
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order, OrderEvent


@runtime_checkable
class ConnectedBroker(Protocol):
    """A broker of a venue that is reached over a network."""

    def connect(self) -> None:
        """Reach the venue."""

    def adopt(self, order: Order, answers: Iterable[OrderEvent] = ()) -> OrderStatus:
        """Make an order of an earlier process known."""

    def has_order(self, client_order_id: str) -> bool:
        """Whether the venue has an order of this id, known to this process or not."""


@runtime_checkable
class TellsOfToday(Protocol):
    """A broker whose venue forgets orders of earlier days."""

    def why_unproven(self, order: Order) -> str:
        """Return why it proves nothing that the venue does not tell of an order; empty where it never had it then."""


@runtime_checkable
class SharedBroker(Protocol):
    """A broker whose account others can trade as well."""

    def foreign_orders(self) -> Iterable[Any]:
        """Return open orders that are not ours."""

    def contradictions(self) -> Iterable[str]:
        """Return what the venue told in two ways."""


@runtime_checkable
class FollowsActions(Protocol):
    """A broker whose venue changes orders and tickers by itself when a corporate action takes effect."""

    def follow_actions(self, actions: Sequence[CorporateAction], *, session: date) -> None:
        """Find out what the venue did to our open orders and to tickers; what it did is told as events.

        Raises
        ------
        BrokerUnavailable
            The venue gives no usable answer; ask again.
        """


@runtime_checkable
class StatesFees(Protocol):
    """A broker that states what it charged the account beside commissions of fills."""

    def fees(self, since: date) -> tuple[AccountFee, ...]:
        """Return the fees charged since a day."""


@runtime_checkable
class ForgettingBroker(Protocol):
    """A broker whose memory does not grow with every order."""

    def let_go(self, client_order_ids: Iterable[str], *, heard: int, recall: Recall) -> None:
        """Forget orders that have ended.

        Parameters
        ----------
        client_order_ids : iterable of str
            Orders whose end is recorded; one that is not known here, or not at its end, stays as it is.
        heard : int
            Events up to this number are recorded; :meth:`Broker.events_since` need not tell them again.
        recall : callable
            Brings an order back when the venue tells something of it later; any thread calls it.
        """


@runtime_checkable
class RepeatingBroker(Protocol):
    """A broker that sends a request once more where the venue gave no usable answer."""

    def repeat_unless(self, is_stopped: Callable[[Order], bool]) -> None:
        """Ask this before an order, or other terms of it, are sent once more; where it says so they are not."""


@runtime_checkable
class SeveralVenues(Protocol):
    """A broker that is made of several, each with orders and positions of its own."""

    def broker_of(self, client_order_id: str) -> str | None:
        """Return which of them an order was sent to, None where it is not known or was sent to none."""

    def holdings(self) -> Holdings:
        """Return what all hold together, and what stands where an order to close it would not go.

        Raises
        ------
        BrokerUnavailable
            One of them does not say.
        """


@runtime_checkable
class ClockedBroker(Protocol):
    """A broker whose venue says what time it is there."""

    def clock_skew_seconds(self) -> float:
        """Return by how much its clock is ahead of ours.

        Raises
        ------
        BrokerUnavailable
            It does not say.
        """


@runtime_checkable
class KnowsOpenOrders(Protocol):
    """A broker that tells what is open without asking its venue, which a stop does not wait for."""

    def known_open(self) -> tuple[OrderStatus, ...]:
        """Return our orders that may execute as far as was told, those on their way included, sorted by id."""
