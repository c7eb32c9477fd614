"""A broker to copy: everything but the words of one venue, which a client speaks.

Belongs here: what keeps an order single and loses no fill, written for a venue that is asked rather than listened to.
Write a :class:`~aegis.execution.brokers.template_client.VenueClient` for your venue and use :class:`TemplateBroker` as
it is, or copy this module and change it where your venue differs. ``docs/brokers.md`` goes through it step by step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.errors import BrokerUnavailable, ExecutionError, OrderRejected, SubmissionUnknown
from aegis.execution.account_state import Position
from aegis.execution.brokers.begun_sessions import begun_sessions
from aegis.execution.brokers.broker import AccountBalance, BrokerEvent
from aegis.execution.brokers.broker_book import BrokerBook
from aegis.execution.brokers.template_client import VenueClient, VenueOrder, VenueRefusal
from aegis.execution.brokers.us_stock_terms import why_not_changed, why_not_meant, why_not_now, why_wrong_price
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind

_E = OrderEventKind
_ENDS = (_E.CANCELLED, _E.EXPIRED, _E.REJECTED)


class TemplateBroker:
    """One account at a venue.

    Parameters
    ----------
    client : VenueClient
        Speaks to the venue.
    account : str
        Our name of the account; orders for another are rejected.
    calendar : TradingCalendar
        Tells the session of an instant.
    clock : Clock
        Dates what is refused on this side.
    attempts : int, optional
        Times that an order is sent, or its end asked for, at most.
    pause : callable, optional
        Called before each attempt after the first, with the number of failures: wait longer after more.

    Notes
    -----
    Events are found by :meth:`catch_up`, which every question about orders begins with: call it every few seconds. A
    venue that pushes events may call it at each of them: what is told already is not told again.
    """

    def __init__(
        self,
        client: VenueClient,
        *,
        account: str,
        calendar: TradingCalendar,
        clock: Clock,
        attempts: int = 4,
        pause: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._account = account
        self._calendar = calendar
        self._clock = clock
        self._attempts = attempts
        self._pause = pause
        self._session_of = begun_sessions(calendar)
        self._book = BrokerBook(self._session_of)
        self._sending = threading.RLock()
        self._unknown: set[str] = set()
        self._asked: dict[tuple[str, int], Order] = {}
        self._foreign: tuple[VenueOrder, ...] = ()

    # 1. What an earlier process may have sent is made known, and looked for before it is sent.

    def adopt(self, order: Order, answers: Iterable[OrderEvent] = ()) -> OrderStatus:
        """Make an order known that an earlier process may have sent, with what is recorded of it."""
        self._book.know(order, answers)
        return self._book.status(order.client_order_id)

    # 2. An order is sent without a question once; after anything but a clear answer it is looked for first.

    def submit(self, order: Order) -> OrderStatus:
        """Hand an order to the venue, at most once; see :meth:`Broker.submit`."""
        name = order.client_order_id
        with self._sending:
            is_new = self._book.know(order)
            status = self._book.status(name)
            if status.is_final:
                return status
            self._require_all_known(besides=name)
            if not is_new and self._look_up(name):
                return self._book.status(name)
            refusal = "" if name in self._unknown else self._why_not(order)
            if refusal:
                self._tell(name, _E.REJECTED, reason=refusal)
                return self._book.status(name)
            self._deliver(order, is_doubtful=not is_new)
            return self._book.status(name)

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Ask for the rest of an order to be cancelled; see :meth:`Broker.cancel`. Waits for no submission."""
        self._require_known(client_order_id)
        for attempt in range(self._attempts):
            status = self._book.status(client_order_id)
            if status.is_final:
                return status
            if attempt:
                self._pause(attempt)
            try:
                self._client.cancel(client_order_id)
                self._look_up(client_order_id)
            except VenueRefusal as why:
                self._look_up(client_order_id)
                if not self._book.status(client_order_id).is_final:
                    self._tell(client_order_id, _E.CANCEL_REJECTED, reason=reason_text(OrderReason.VENUE, str(why)))
                return self._book.status(client_order_id)
            except BrokerUnavailable:
                continue
            if not self._book.status(client_order_id).is_final:
                self._tell(client_order_id, _E.CANCEL_REQUESTED)
            return self._book.status(client_order_id)
        raise BrokerUnavailable(
            f"order {client_order_id}: the venue gave no usable answer to {self._attempts} requests to cancel it; "
            "cancel it again, or in the venue's own pages"
        )

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Ask for other terms; see :meth:`Broker.replace`. Asking twice for the same terms makes them once."""
        name = order.client_order_id
        self._require_known(name)
        with self._sending:
            self._require_all_known(besides=name)
            if not self._look_up(name):
                raise ExecutionError(f"order {name}: unknown to the venue; reconcile before it is replaced again")
            status = self._book.status(name)
            if status.is_final or status.order == order:
                return status
            refusal = why_not_changed(status.order, order) or why_wrong_price(order)
            if not refusal and abs(order.quantity_shares) <= abs(status.filled_shares):
                refusal = reason_text(OrderReason.VENUE, "nothing of it would be left to fill; cancel the rest instead")
            if refusal:
                self._tell(name, _E.REPLACE_REJECTED, revision=revision, reason=refusal)
            else:
                self._change(order, revision)
            return self._book.status(name)

    # 3. What the venue says becomes events, each once.

    def catch_up(self) -> frozenset[str]:
        """Ask what became of our open orders, and return those that the venue does not know."""
        listed = self._client.open_orders()
        self._foreign = tuple(order for order in listed if not self._book.knows(order.client_order_id))
        return frozenset(name for name in self._book.open_ids() if not self._look_up(name)) - self._unknown

    def find_order(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands by the venue's own word; see :meth:`Broker.find_order`."""
        if not self._book.knows(client_order_id):
            return None
        status = self._book.status(client_order_id)
        if status.is_final:
            return status
        return self._book.status(client_order_id) if self._look_up(client_order_id) else None

    def has_order(self, client_order_id: str) -> bool:
        """Whether the venue has an order of this id, known to this process or not."""
        return self._client.find(client_order_id) is not None

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return our orders that may still execute, sorted by id, those included of which nobody knows."""
        absent = self.catch_up()
        return tuple(self._book.status(name) for name in self._book.open_ids() if name not in absent)

    def known_open(self) -> tuple[OrderStatus, ...]:
        """Return our orders that are not at their end as far as was told, sorted by id; a stop waits for no list."""
        return tuple(self._book.status(name) for name in self._book.open_ids())

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first; nothing is asked of the venue."""
        return self._book.events_since(sequence)

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol, whoever traded them."""
        return self._client.positions()

    def account(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        return self._client.balance()

    def foreign_orders(self) -> tuple[VenueOrder, ...]:
        """Return open orders of the account that are not ours, as of the last catching up."""
        return tuple(order for order in self._foreign if not self._book.knows(order.client_order_id))

    def unknown_orders(self) -> tuple[str, ...]:
        """Return orders of which nobody knows whether they arrived; while there are any, nothing new is sent."""
        return tuple(sorted(self._unknown))

    def contradictions(self) -> tuple[str, ...]:
        """Return what the venue told in two ways; reconciliation decides."""
        return self._book.contradictions()

    def close(self) -> None:
        """Let go of connections; orders at the venue stay as they are."""
        self._client.close()

    def _why_not(self, order: Order) -> str:
        """Return why an order is not sent, empty if it is: add what your venue has no words for."""
        if order.algorithm != "market" or order.parent_id is not None or order.oco_group is not None:
            return reason_text(OrderReason.VENUE, "only single orders that are not worked are sent to this venue")
        return (
            why_not_meant(order, account=self._account)
            or why_wrong_price(order)
            or why_not_now(order, clock=self._clock, calendar=self._calendar)
        )

    def _deliver(self, order: Order, *, is_doubtful: bool) -> None:
        """Send until the venue has the order or refuses it; look for it before each time but the first."""
        name, why = order.client_order_id, "the venue knows no such order yet"
        for attempt in range(self._attempts):
            if attempt:
                self._pause(attempt)
            try:
                if is_doubtful and self._look_up(name):
                    return
                self._unknown.add(name)  # from here on the order may be there, whatever goes wrong
                was_doubtful, is_doubtful = is_doubtful, True
                self._client.send(order)
                if self._look_up(name):
                    return
            except VenueRefusal as refusal:
                # A refusal of something sent before, such as a duplicate, may mean that it is there.
                if not was_doubtful or not self._is_there(name):
                    self._unknown.discard(name)
                    self._tell(name, _E.REJECTED, reason=str(refusal))
                return
            except BrokerUnavailable as error:
                why = str(error)
        if self._is_there(name):
            return
        raise SubmissionUnknown(
            f"order {name} ({order.quantity_shares:g} {order.symbol}): sent and not answered in {self._attempts} "
            f"attempts, and nobody knows whether it arrived ({why}); no other order is sent until it is known: submit "
            "it again, or find it in the venue's own pages"
        )

    def _is_there(self, name: str) -> bool:
        try:
            return self._look_up(name)
        except BrokerUnavailable as error:
            raise SubmissionUnknown(
                f"order {name}: sent, and the venue does not say whether it has it ({error}); no other order is sent "
                "until it is known: submit it again"
            ) from error

    def _change(self, order: Order, revision: int) -> None:
        name = order.client_order_id
        self._asked[name, revision] = order
        for attempt in range(self._attempts):
            if attempt:
                self._pause(attempt)
            try:
                self._client.change(order)
                self._look_up(name)
            except VenueRefusal as refusal:
                if self._look_up(name) and (name, revision) in self._asked:
                    del self._asked[name, revision]
                    self._tell(name, _E.REPLACE_REJECTED, revision=revision, reason=str(refusal))
            except BrokerUnavailable:
                continue  # the same terms again are the same terms
            if (name, revision) not in self._asked or self._book.status(name).is_final:
                return
        raise SubmissionUnknown(
            f"order {name} ({order.symbol}): revision {revision} was sent and not answered in {self._attempts} "
            "attempts; replace it again, or cancel it"
        )

    def _look_up(self, name: str) -> bool:
        """Ask the venue for an order, tell what is new of it, and return whether the venue has it."""
        found = self._client.find(name)
        if found is None:
            return False
        self._require_same(found)
        self._unknown.discard(name)
        if found.end is not _E.REJECTED:
            self._tell(name, _E.ACCEPTED, at_utc=found.accepted_at_utc)
        self._tell_change(found)
        if self._book.told_shares(name) < abs(found.filled_shares) - FILL_TOLERANCE_SHARES:
            for execution in self._client.executions(name):
                self._book.tell_execution(execution)
        if found.end in _ENDS:
            event = self._event(name, found.end, at_utc=found.changed_at_utc, reason=found.reason)
            self._book.tell_end(event, filled_shares=abs(found.filled_shares))
        return True

    def _tell_change(self, found: VenueOrder) -> None:
        for (name, revision), asked in list(self._asked.items()):
            if name == found.client_order_id and _terms(asked) == _held_terms(found):
                self._asked.pop((name, revision), None)  # another thread may have found the same
                reason = reason_text(OrderReason.REPLACED_ON_REQUEST)
                at = found.changed_at_utc
                self._tell(name, _E.REPLACED, at_utc=at, revision=revision, reason=reason, order=asked)

    def _require_same(self, found: VenueOrder) -> None:
        ours = self._book.status(found.client_order_id).order
        allowed = [ours, *(asked for (name, _), asked in self._asked.items() if name == found.client_order_id)]
        if all((found.ticker, found.quantity_shares) != (order.ticker, order.quantity_shares) for order in allowed):
            raise OrderRejected(
                f"order {found.client_order_id} ({ours.symbol}): the id belongs to an order of "
                f"{found.quantity_shares:g} {found.ticker} at the venue already, found {ours.quantity_shares:g} "
                f"{ours.symbol}; a changed order needs a new decision number or revision"
            )

    def _require_all_known(self, *, besides: str) -> None:
        others = [name for name in sorted(self._unknown) if name != besides]
        try:
            others = [name for name in others if not self._look_up(name)]
        except BrokerUnavailable as error:
            raise SubmissionUnknown(
                f"order {besides} was not sent: nobody knows of {', '.join(others)} ({error})"
            ) from error
        if others:
            raise SubmissionUnknown(
                f"order {besides} was not sent: nobody knows whether {', '.join(others)} arrived; submit those "
                "again first"
            )

    def _require_known(self, client_order_id: str) -> None:
        if not self._book.knows(client_order_id):
            raise ExecutionError(
                f"order {client_order_id}: unknown to account {self._account}; adopt it, or reconcile it as a foreign "
                "order"
            )

    def _tell(self, name: str, kind: OrderEventKind, *, at_utc: datetime | None = None, **parts: Any) -> None:
        self._book.tell(self._event(name, kind, at_utc=at_utc or self._clock.now_utc(), **parts))

    def _event(self, name: str, kind: OrderEventKind, *, at_utc: datetime, **parts: Any) -> OrderEvent:
        return OrderEvent(kind=kind, client_order_id=name, session=self._session_of(at_utc), at_utc=at_utc, **parts)


def _terms(order: Order) -> tuple[float, float | None, float | None]:
    return order.quantity_shares, order.limit_price_usd, order.stop_price_usd


def _held_terms(found: VenueOrder) -> tuple[float, float | None, float | None]:
    return found.quantity_shares, found.limit_price_usd, found.stop_price_usd
