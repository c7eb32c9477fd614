"""The port to a broker. Backtest, paper and live trading differ only in what stands behind it.

Belongs here: the protocol and the values it exchanges. Each broker is a module of its own beside this one and passes
``tests/contract/test_broker_contract.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from aegis.execution.account_state import Position
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order, OrderEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBalance:
    """What the broker says an account is worth.

    Parameters
    ----------
    account : str
        Its name.
    cash_usd : float
        Settled and unsettled cash.
    equity_usd : float
        Cash, receivables and positions at their last marks.
    buying_power_usd : float
        What purchases may cost; the cash of a cash account, never below zero.
    """

    account: str
    cash_usd: float
    equity_usd: float
    buying_power_usd: float


@dataclass(frozen=True, slots=True)
class BrokerEvent:
    """An event with its place in the broker's stream; the first is number 1."""

    sequence: int
    event: OrderEvent


class Broker(Protocol):
    """A broker account.

    Notes
    -----
    ``client_order_id`` makes submission idempotent: whoever lost an acknowledgement submits again or asks
    :meth:`find_order`, and finds the order. What a venue refuses is an event ('rejected', with the reason), not an
    exception: the order was submitted, and the journal must know how it ended.
    """

    def submit(self, order: Order) -> OrderStatus:
        """Hand an order to the venue and return where it stands.

        Raises
        ------
        OrderRejected
            The id belongs to an order with other terms. Nothing was sent.
        SubmissionUnknown
            It was sent and nobody knows whether it arrived. Submit it again until it is known; until then no other
            order is taken.
        """
        ...

    def adopt(self, order: Order, answers: Iterable[OrderEvent] = ()) -> OrderStatus:
        """Make an order known that an earlier process may have sent, with what is recorded of it; nothing is sent.

        Parameters
        ----------
        order : Order
            As it was committed.
        answers : iterable of OrderEvent
            What is recorded of it, oldest first; :meth:`events_since` does not tell it again.

        Raises
        ------
        OrderRejected
            The id belongs to an order with other terms.
        """
        ...

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Ask for the rest of an order to be cancelled and return where it stands; a final order stays as it is.

        Raises
        ------
        ExecutionError
            The broker does not know the order.

        Notes
        -----
        Safe to be called by several threads at once: a stop cancels orders side by side.
        """
        ...

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Ask for other terms of an order and return where it stands; a final order stays as it is.

        Parameters
        ----------
        order : Order
            All its terms as they shall be, under the id that it has.
        revision : int
            Number of this request among those of the order, from 1; the answer's event carries it.

        Raises
        ------
        ExecutionError
            The broker does not know the order.
        SubmissionUnknown
            It was sent and nobody knows whether it arrived.

        Notes
        -----
        What the venue declines is an event ('replace rejected', with the reason), and the order works on.
        """
        ...

    def find_order(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands, or None if the broker does not know it."""
        ...

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return the orders that may still execute, sorted by id."""
        ...

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol."""
        ...

    def account(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        ...

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first; 0 asks for all that this connection has seen."""
        ...

    def close(self) -> None:
        """Let go of connections and threads; orders at the venue stay as they are. Closing again does nothing."""
        ...
