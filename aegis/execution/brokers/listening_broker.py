"""What brokers have in common that tell what happens through a stream, which may lose, and are asked as well.

Belongs here: an account's page of orders with its questions, and the thread that catches up with what the stream has
lost. What is sent, and what a venue's words mean, is each broker's own.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from aegis.errors import BrokerUnavailable, ConfigurationError, ExecutionError
from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance, BrokerEvent
from aegis.execution.brokers.broker_book import BrokerBook
from aegis.execution.brokers.live_orders import why_not_live
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order, OrderEvent

_MOST_DOUBLINGS = 16


class CatchUpSettings(Protocol):
    """When a venue is asked for what its stream may have lost."""

    @property
    def poll_seconds(self) -> float:
        """Between two questions."""
        ...

    @property
    def reconnect_first_seconds(self) -> float:
        """Pause after a question that failed; it doubles."""
        ...

    @property
    def reconnect_longest_seconds(self) -> float:
        """The longest pause."""
        ...


class Intake(Protocol):
    """What a broker takes in."""

    def recall(self, told: tuple[OrderEvent, ...]) -> None:
        """Take note of what was told to an earlier process."""
        ...


class Sending(Protocol):
    """What a broker sends."""

    @property
    def unknown_orders(self) -> tuple[str, ...]:
        """Orders of which nobody knows whether they arrived."""
        ...


class Statement(Protocol):
    """What a venue says of an account."""

    def positions(self) -> tuple[Position, ...]:
        """Return what is held."""
        ...

    def balance(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        ...

    def clock_skew_seconds(self) -> float:
        """Return by how much the venue's clock is ahead of ours."""
        ...


class ListeningBroker(ABC):
    """One account at a venue with a stream.

    Parameters
    ----------
    settings : CatchUpSettings
    book : BrokerBook
        The account's orders.
    account : str
        Our name of the account.
    venue : str
        Names the thread.

    Notes
    -----
    A broker of this kind sets `_intake`, `_sending` and `_statement`, and starts `_poller` when it is connected.
    """

    _intake: Intake
    _sending: Sending
    _statement: Statement

    def __init__(self, settings: CatchUpSettings, book: BrokerBook, *, account: str, venue: str) -> None:
        self._pauses = settings
        self._book = book
        self._account = account
        self._sent: set[str] = set()
        self._catching = threading.Lock()
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._failure = ""
        self._poller = threading.Thread(target=self._poll, name=f"{venue}-catch-up", daemon=True)

    @abstractmethod
    def connect(self) -> None:
        """Reach the venue, and catch up with what happened before."""

    @abstractmethod
    def has_order(self, client_order_id: str) -> bool:
        """Whether the venue has an order of this id, known to this process or not."""

    @abstractmethod
    def catch_up(self) -> frozenset[str]:
        """Ask what became of our open orders, and return those that the venue does not tell of.

        Raises
        ------
        BrokerUnavailable
            The venue gives no usable answer.
        """

    def adopt(self, order: Order, answers: Iterable[OrderEvent] = ()) -> OrderStatus:
        """Make an order known that an earlier process may have sent, with what is recorded of it.

        Raises
        ------
        OrderRejected
            The id belongs to an order with other terms.

        Notes
        -----
        What is recorded is not told again by :meth:`events_since`.
        """
        told = tuple(answers)
        if self._book.know(order, told):
            self._intake.recall(told)
        return self._book.status(order.client_order_id)

    def find_order(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands by the venue's own word; see :meth:`Broker.find_order`."""
        if not self._book.knows(client_order_id):
            return None
        status = self._book.status(client_order_id)
        if status.is_final:
            return status
        return self._told_status(client_order_id) if self.has_order(client_order_id) else None

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return our orders that may still execute, sorted by id, those included of which nobody knows."""
        absent = self.catch_up()
        return tuple(self._book.status(name) for name in self._book.open_ids() if name not in absent)

    def known_open(self) -> tuple[OrderStatus, ...]:
        """Return our orders that are not at their end as far as was told, sorted by id; nothing is asked."""
        return tuple(self._book.status(name) for name in self._book.open_ids())

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol, whoever traded them."""
        return self._statement.positions()

    def account(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        return self._statement.balance()

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first; nothing is asked of the venue."""
        return self._book.events_since(sequence)

    def wait_for_events(self, sequence: int, *, timeout_seconds: float) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence` as soon as there are any, none after the timeout."""
        return self._book.wait_for_events(sequence, timeout_seconds=timeout_seconds)

    def contradictions(self) -> tuple[str, ...]:
        """Return what the venue told in two ways, corrected or took back; reconciliation decides."""
        return self._book.contradictions()

    def unknown_orders(self) -> tuple[str, ...]:
        """Return orders of which nobody knows whether they arrived; while there are any, nothing new is sent."""
        return self._sending.unknown_orders

    def clock_skew_seconds(self) -> float:
        """Return by how much the venue's clock is ahead of ours."""
        return self._statement.clock_skew_seconds()

    @property
    def last_failure(self) -> str:
        """Why the last catching up in the background failed; empty where it did not."""
        return self._failure

    def close(self) -> None:
        """Let go of the stream, the threads and the connections; orders at the venue stay as they are."""
        self._closing.set()
        self._wanted.set()
        self._stop_listening()
        if self._poller.is_alive():
            self._poller.join()
        self._hang_up()

    def __enter__(self) -> Self:
        """Connect; a broker that cannot is closed."""
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @abstractmethod
    def _require_allowed(self) -> None:
        """Refuse a venue or an account that trades real money without a person's word."""

    @abstractmethod
    def _stop_listening(self) -> None:
        """Close the stream."""

    def _hang_up(self) -> None:  # noqa: B027 - a venue with one connection has closed it with the stream
        """Close what questions are asked through; nothing is asked any more."""

    def _told_status(self, client_order_id: str) -> OrderStatus:
        """Return where an order stands that the venue has just been asked for."""
        return self._book.status(client_order_id)

    def _why_not_live(self, order: Order) -> str:
        return why_not_live(
            order,
            require=self._require_allowed,
            positions=self._statement.positions,
            open_orders=lambda: [self._book.status(name) for name in self._book.open_ids()],
        )

    def _poll(self) -> None:
        """Catch up whenever it is wanted, and every so often."""
        failures = 0
        while not self._closing.is_set():
            self._wanted.wait(self._pauses.poll_seconds)
            self._wanted.clear()
            if self._closing.is_set():
                return
            try:
                self.catch_up()
            except (BrokerUnavailable, ConfigurationError) as error:
                self._failure = str(error)
                pause = self._pauses.reconnect_first_seconds * 2.0**failures
                self._closing.wait(min(pause, self._pauses.reconnect_longest_seconds))
                failures = min(failures + 1, _MOST_DOUBLINGS)
                self._wanted.set()
            else:
                self._failure, failures = "", 0

    def _require_known(self, client_order_id: str) -> None:
        if not self._book.knows(client_order_id):
            raise ExecutionError(
                f"order {client_order_id}: unknown to account {self._account}; adopt it, or reconcile it as a foreign "
                "order"
            )
