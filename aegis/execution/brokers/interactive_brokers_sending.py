"""How orders, cancellations and changes leave for Interactive Brokers: each order at most once.

Belongs here: what is sent, and what is asked before anything is sent again. TWS refuses no second order of the same
reference, so two things keep an order single: it is looked up by its reference among open orders, orders that are over
and executions before it is sent again, and it is sent again under the number that it had, of which TWS makes a change
of the same order. Where the question stays unanswered, everything new is refused until it is answered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import date

from aegis.config_brokers import InteractiveBrokersBrokerSettings
from aegis.errors import BrokerUnavailable, ExecutionError, OrderRejected, SubmissionUnknown
from aegis.execution.brokers.broker_book import BrokerBook
from aegis.execution.brokers.interactive_brokers_connection import InteractiveBrokersConnection
from aegis.execution.brokers.interactive_brokers_ends import lost, why_unproven
from aegis.execution.brokers.interactive_brokers_intake import InteractiveBrokersIntake
from aegis.execution.brokers.interactive_brokers_messages import OrderAnswer
from aegis.execution.brokers.interactive_brokers_reports import (
    DUPLICATE_ORDER_ID,
    ENDED,
    GatewayOrder,
    GatewayRefusal,
    GatewayStatus,
)
from aegis.execution.brokers.interactive_brokers_terms import (
    contract_terms,
    has_terms,
    is_same_order,
    order_terms,
    why_not_replaced,
)
from aegis.execution.order_ids import replacement_id
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Order

_NOT_CANCELLABLE = 161
_CANNOT_CANCEL = frozenset({_NOT_CANCELLABLE, 10147, 10148})
_CANCELLING = frozenset({*ENDED, "PendingCancel"})


class InteractiveBrokersSending:
    """Sends for one account.

    Parameters
    ----------
    connection, intake, book : InteractiveBrokersConnection, InteractiveBrokersIntake, BrokerBook
        The way out, and where answers go.
    settings : InteractiveBrokersBrokerSettings
        Client id, attempts, exchanges of symbols.
    today : callable
        The day at the venue: what it tells of executions and of orders that are over is of this day.
    """

    def __init__(
        self,
        connection: InteractiveBrokersConnection,
        intake: InteractiveBrokersIntake,
        book: BrokerBook,
        *,
        settings: InteractiveBrokersBrokerSettings,
        today: Callable[[], date],
    ) -> None:
        self._connection = connection
        self._intake = intake
        self._book = book
        self._settings = settings
        self._today = today
        self._sending = threading.RLock()
        self._unknown: dict[str, str] = {}
        self._order_ids: dict[str, int] = {}

    @property
    def unknown_orders(self) -> tuple[str, ...]:
        """Orders of which nobody knows whether they, or a change of theirs, arrived; sorted."""
        return tuple(sorted(set(self._unknown.values())))

    def is_unknown(self, client_order_id: str) -> bool:
        """Whether nobody knows whether an order itself arrived; a change of it is another matter."""
        return client_order_id in self._unknown

    def forget(self, client_order_id: str) -> None:
        """Take note that an order is not at Interactive Brokers, as it said, and will not be sent."""
        self._unknown.pop(client_order_id, None)

    def sweep(self, *, attempts: int | None = None) -> frozenset[str]:
        """Ask for all that the gateway tells of, and return the references in it.

        Raises
        ------
        BrokerUnavailable
            It does not say.
        """
        filled_before = self._intake.filled_there()
        found = self._connection.ask(lambda session: session.sweep(), attempts=attempts)
        self._intake.end_of_sweep(filled_before)
        for name in found & set(self._unknown):
            self._unknown.pop(name, None)
        return found

    def look_up(self, client_order_id: str, *, attempts: int | None = None) -> bool:
        """Return whether Interactive Brokers has, or had today, an order of ours."""
        return client_order_id in self.sweep(attempts=attempts)

    def require_never_sent(self, client_order_id: str) -> None:
        """Refuse to take an order of ours for one that was never sent, where it proves nothing that it is not told of.

        Raises
        ------
        SubmissionUnknown
            It was acknowledged, or the venue's day is later than its session.
        """
        status = self._book.status(client_order_id)
        if status.state is not OrderState.SUBMITTED:
            raise SubmissionUnknown(lost(client_order_id))
        if why := why_unproven(status.order, today=self._today()):
            raise SubmissionUnknown(why)

    def submit(self, order: Order, *, is_retry: bool) -> OrderStatus:
        """Send an order of ours, at most once, and return where it stands."""
        name = order.client_order_id
        with self._sending:
            self._require_all_known(besides=name)
            if self._is_found(order, is_retry=is_retry):
                return self._book.status(name)
            self._connection.require_ready()
            if name not in self._order_ids:
                self._use_new_id(name)
            self._unknown[name] = name  # from here on the order may be there, whatever goes wrong
            why = self._send_until_known(order)
            if why:
                raise SubmissionUnknown(
                    f"order {name} ({order.quantity_shares:g} {order.symbol}): sent to Interactive Brokers and not "
                    f"answered in {self._settings.attempts} attempts, and nobody knows whether it arrived ({why}); no "
                    "other order is sent until it is known: submit it again, or find it in TWS by its order reference"
                )
            self._require_same(order)
            return self._book.status(name)

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Ask for other terms of an order of ours; TWS makes one change of it, however often it is asked."""
        name = order.client_order_id
        change = replacement_id(name, revision)
        with self._sending:
            self._require_all_known(besides=change)
            if not self.look_up(name):
                raise _not_at_venue(name)
            self._unknown.pop(change, None)
            status, held = self._book.status(name), self._intake.held(name)
            if status.is_final or status.order == order:
                return status
            refusal = why_not_replaced(status.order, order, filled_shares=status.filled_shares)
            if refusal:
                self._intake.decline_replacement(name, revision, refusal)
                return self._book.status(name)
            if held is None or held.status in ENDED:
                return status
            order_id = self._own_id(name)
            self._intake.expect_replacement(order, revision)
            self._connection.require_ready()
            self._unknown[change] = name
            self._change_until_known(order, order_id, revision)
            return self._book.status(name)

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Ask for the end of an order of ours; asking again does no harm, so this waits for nobody."""
        self._intake.expect_cancel(client_order_id)
        if self._intake.order_id(client_order_id) is None and not self.look_up(client_order_id):
            raise _not_at_venue(client_order_id)
        for attempt in range(self._settings.attempts):
            if attempt:
                self._connection.rest_after(attempt - 1)
            if self._is_over(client_order_id):
                break
            newest = self._own_id(client_order_id)
            try:
                answer = self._ask_for_ends(client_order_id, newest)
                if not self._is_over(client_order_id):
                    self.look_up(client_order_id, attempts=1)
            except BrokerUnavailable:
                continue
            if isinstance(answer, GatewayRefusal) and answer.code == _NOT_CANCELLABLE:
                self._intake.decline_cancel(client_order_id, answer.reason)
                break
        status = self._book.status(client_order_id)
        if self._is_over(client_order_id) or not self._is_open_at_venue(client_order_id):
            return status
        raise BrokerUnavailable(
            f"order {client_order_id} ({status.order.symbol}): Interactive Brokers gave no usable answer to "
            f"{self._settings.attempts} requests to cancel it, and it is still open; cancel it again, or in TWS"
        )

    def _ask_for_ends(self, name: str, newest: int) -> OrderAnswer:
        """Ask for the end of every order at TWS that has a reference, and return the answer about the newest.

        Raises
        ------
        BrokerUnavailable
            The newest got no usable answer. Another one that got none is asked again while it is open.
        """
        try:
            return self._ask_for_end(newest)
        finally:
            for other in self._intake.awaiting_end(name):
                if other != newest:
                    with suppress(BrokerUnavailable):
                        self._ask_for_end(other)

    def _ask_for_end(self, order_id: int) -> OrderAnswer:
        return self._connection.send(lambda session: session.cancel(order_id, _ends_or_not))

    def _is_over(self, name: str) -> bool:
        """Whether a request to cancel has been answered, one way or the other, for all orders of the reference."""
        status = self._book.status(name)
        is_told = status.is_final or status.is_cancel_requested
        return (is_told and not self._intake.awaiting_end(name)) or self._intake.has_declined_cancel(name)

    def _is_open_at_venue(self, name: str) -> bool:
        self.look_up(name)
        held, others = self._intake.held(name), self._intake.awaiting_end(name)
        return not self._is_over(name) and (bool(others) or (held is not None and held.status not in ENDED))

    def _is_found(self, order: Order, *, is_retry: bool) -> bool:
        """Look for an order that may have been sent before; refuse where the answer proves nothing."""
        name = order.client_order_id
        if not is_retry and name not in self._unknown:
            return False
        if self.look_up(name):
            self._require_same(order)
            return True
        try:
            self.require_never_sent(name)
        except SubmissionUnknown:
            self._unknown[name] = name
            raise
        return False

    def _send_until_known(self, order: Order) -> str:
        """Send until the gateway has the order or refuses it, and return why that stayed unknown; empty if not."""
        name, why = order.client_order_id, ""
        for attempt in range(self._settings.attempts):
            if attempt:
                self._connection.rest_after(attempt - 1)
            try:
                if attempt and self.look_up(name, attempts=1):
                    return ""
                answer = self._place(order, self._order_ids[name], _is_any)
                if not isinstance(answer, GatewayRefusal) or self.look_up(name, attempts=1):
                    self._unknown.pop(name, None)
                    return ""
                if answer.code != DUPLICATE_ORDER_ID:
                    self._refuse(name, answer)
                    return ""
                self._use_new_id(name)  # nothing was placed: the number is another order's
                why = str(answer.words)
            except BrokerUnavailable as error:
                why = str(error)
        try:
            return "" if self.look_up(name) else why or "Interactive Brokers knows no such order yet"
        except BrokerUnavailable as error:
            return str(error)

    def _change_until_known(self, order: Order, order_id: int, revision: int) -> None:
        name, why = order.client_order_id, ""
        change = replacement_id(name, revision)
        for attempt in range(self._settings.attempts + 1):
            if attempt:
                self._connection.rest_after(attempt - 1)
            try:
                if attempt:
                    self.look_up(name, attempts=1)
                if attempt < self._settings.attempts and not self._is_answered(name, revision):
                    self._place_change(order, order_id, revision)
            except BrokerUnavailable as error:
                why = str(error)
            if self._is_answered(name, revision):
                self._unknown.pop(change, None)
                return
        raise SubmissionUnknown(
            f"order {change} ({order.quantity_shares:g} {order.symbol}): a change was sent to Interactive Brokers and "
            f"not answered in {self._settings.attempts} attempts ({why or 'it holds the terms of before'}); no other "
            "order is sent until it is known: replace it again, or cancel it"
        )

    def _place_change(self, order: Order, order_id: int, revision: int) -> None:
        name = order.client_order_id
        answer = self._place(order, order_id, lambda told: _is_change(told, order))
        if isinstance(answer, GatewayRefusal):
            self.look_up(name, attempts=1)
            if not self._is_answered(name, revision):
                self._intake.decline_replacement(name, revision, answer.reason)

    def _is_answered(self, name: str, revision: int) -> bool:
        return self._book.status(name).is_final or not self._intake.awaits_replacement(name, revision)

    def _place(self, order: Order, order_id: int, is_answer: Callable[[OrderAnswer], bool]) -> OrderAnswer:
        contract = contract_terms(order, self._settings.primary_exchanges)
        terms = {**order_terms(order, account_code=self._intake.account_code), "orderId": order_id}
        terms["clientId"] = self._settings.client_id
        return self._connection.send(lambda session: session.place(order_id, contract, terms, is_answer))

    def _use_new_id(self, name: str) -> None:
        if name in self._order_ids:
            self._connection.ask(lambda session: session.next_order_id(), attempts=1)
        self._order_ids[name] = self._connection.take_order_id()
        self._intake.expect_order(name, self._order_ids[name])

    def _refuse(self, name: str, answer: GatewayRefusal) -> None:
        self._intake.reject(name, answer.reason)
        self._unknown.pop(name, None)

    def _own_id(self, name: str) -> int:
        """Return the number under which we may cancel or change an order.

        Raises
        ------
        BrokerUnavailable
            Another client placed it, and TWS lets no other touch it.
        """
        found = self._intake.order_id(name)
        if found is None:
            raise _not_at_venue(name)
        client_id, order_id = found
        if client_id != self._settings.client_id:
            raise BrokerUnavailable(
                f"order {name}: client {client_id} placed it, and TWS lets no other cancel or change it; set "
                f"brokers.interactive_brokers.client_id to {client_id}, or do it in TWS"
            )
        return order_id

    def _require_same(self, order: Order) -> None:
        """Refuse an order of another side, quantity or symbol that has our reference at the venue."""
        held = self._intake.held(order.client_order_id)
        now = self._book.status(order.client_order_id).order
        if held is not None and not is_same_order(held, order) and not has_terms(held, now):
            raise OrderRejected(
                f"order {order.client_order_id} ({order.symbol}): the id belongs to an order of "
                f"{held.quantity_shares:g} {held.ticker} at Interactive Brokers already, found "
                f"{order.quantity_shares:g} {order.symbol}; a changed order needs a new decision number or revision"
            )

    def _require_all_known(self, *, besides: str) -> None:
        """Ask what became of what is unknown, and refuse anything new while it stays so."""
        others = [name for name in self._unknown if name != besides]
        why = "Interactive Brokers knows no such order yet"
        if others:
            try:
                self.sweep()
                for change in [key for key, name in self._unknown.items() if key != name]:
                    self._forget_answered(change)
            except BrokerUnavailable as error:
                why = str(error)
        others = [name for name in self._unknown if name != besides]
        if others:
            raise SubmissionUnknown(
                f"order {besides} was not sent: nobody knows whether {', '.join(others[:5])} arrived at Interactive "
                f"Brokers ({why}); submit those again, or find them in TWS, before anything new"
            )

    def _forget_answered(self, change: str) -> None:
        name = self._unknown[change]
        revision = int(change.removeprefix(f"{name}.r"))
        if self._is_answered(name, revision):
            self._unknown.pop(change, None)


def _is_any(told: OrderAnswer) -> bool:
    return not (isinstance(told, GatewayRefusal) and told.is_remark)


def _is_change(told: OrderAnswer, order: Order) -> bool:
    if isinstance(told, GatewayOrder):
        return has_terms(told, order) or told.status in ENDED
    if isinstance(told, GatewayStatus):
        return told.status in ENDED
    return not told.is_remark


def _ends_or_not(told: OrderAnswer) -> bool:
    if isinstance(told, GatewayRefusal):
        return told.code in _CANNOT_CANCEL
    return told.status in _CANCELLING


def _not_at_venue(name: str) -> ExecutionError:
    return ExecutionError(
        f"order {name}: unknown to Interactive Brokers; reconcile before it is cancelled or replaced again"
    )
