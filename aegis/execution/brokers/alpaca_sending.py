"""How orders, cancellations and replacements leave for Alpaca: each at most once.

Belongs here: what is sent, and what is asked before anything is sent again. A request without an answer may have been
done or not; the only way to know is to look the order up by its client id, so no order is ever sent again before that
question has been answered. Where it stays unanswered, everything new is refused until it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from aegis.clock import Clock
from aegis.errors import BrokerUnavailable, ConfigurationError, ExecutionError, OrderRejected, SubmissionUnknown
from aegis.execution.brokers.alpaca_intake import AlpacaIntake
from aegis.execution.brokers.alpaca_reports import ENDED, VenueOrder, refusal_reason, venue_order
from aegis.execution.brokers.alpaca_requests import AlpacaRequests, Refused
from aegis.execution.brokers.alpaca_terms import order_request, replacement_request, why_not_replaced
from aegis.execution.brokers.broker_book import BrokerBook
from aegis.execution.order_ids import replacement_id
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind

_DUPLICATE = 40010001
_NOT_FOUND = 404


class AlpacaSending:
    """Sends for one account.

    Parameters
    ----------
    requests, intake, book : AlpacaRequests, AlpacaIntake, BrokerBook
        The way out, and where answers go.
    attempts : int
        Times that one order is sent at most.
    clock : Clock
        Dates what is refused on this side.
    session_of : callable
        Which session an instant belongs to.
    why_not_live : callable
        Why an order may not leave for real money now; empty where it may.
    """

    def __init__(
        self,
        requests: AlpacaRequests,
        intake: AlpacaIntake,
        book: BrokerBook,
        *,
        attempts: int,
        clock: Clock,
        session_of: Callable[[datetime], date],
        why_not_live: Callable[[Order], str],
    ) -> None:
        self._requests = requests
        self._intake = intake
        self._book = book
        self._attempts = attempts
        self._clock = clock
        self._session_of = session_of
        self._why_not_live = why_not_live
        self.is_stopped: Callable[[Order], bool] = lambda _: False
        """Whether an order, or other terms of it, may be sent no more."""
        self._sending = threading.RLock()
        self._unknown: dict[str, str] = {}
        self._tried: dict[str, set[str]] = {}

    @property
    def unknown_orders(self) -> tuple[str, ...]:
        """Orders of which nobody knows whether they, or a replacement of theirs, arrived; sorted."""
        return tuple(sorted(set(self._unknown.values())))

    def is_unknown(self, client_order_id: str) -> bool:
        """Whether nobody knows whether an order itself arrived; a replacement of it is another matter."""
        return client_order_id in self._unknown

    def let_go(self, client_order_id: str) -> None:
        """Forget that an order, or a replacement of it, was tried which has ended."""
        self._tried.pop(client_order_id, None)

    def submit(self, order: Order, *, is_retry: bool) -> OrderStatus:
        """Send an order of ours, at most once, and return where it stands."""
        name = order.client_order_id
        with self._sending:
            self._require_all_known(besides=name)
            found = self._deliver(
                name,
                order,
                send=lambda: self._requests.send("POST", "/orders", order_request(order)),
                look=lambda attempts: self.look_up(name, attempts=attempts),
                is_retry=is_retry,
            )
            if isinstance(found, VenueOrder):
                _require_same(order, found)
            else:
                self._tell(name, OrderEventKind.REJECTED, reason=_reason(found))
            return self._book.status(name)

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Ask for other terms of an order of ours, at most once."""
        name = order.client_order_id
        with self._sending:
            venue_name = replacement_id(name, revision)
            self._require_all_known(besides=venue_name)
            newest = self.look_up(name)
            status = self._book.status(name)
            if newest is None:
                raise _not_at_venue(name)
            if status.is_final or newest.status in ENDED or newest.client_order_id == venue_name:
                return status
            refusal = why_not_replaced(status.order, order, filled_shares=status.filled_shares)
            if refusal:
                self._tell(name, OrderEventKind.REPLACE_REJECTED, reason=refusal, revision=revision)
                return self._book.status(name)
            self._intake.expect_replacement(order, revision)
            body = replacement_request(status.order, order, client_order_id=venue_name)
            found = self._deliver(
                venue_name,
                order,
                send=lambda: self._requests.send("PATCH", f"/orders/{newest.venue_id}", body),
                look=lambda attempts: self._look_up_replacement(name, venue_name, attempts=attempts),
                is_retry=False,
            )
            self.look_up(name)
            if not isinstance(found, VenueOrder) and not self._book.status(name).is_final:
                self._tell(name, OrderEventKind.REPLACE_REJECTED, reason=_reason(found), revision=revision)
            return self._book.status(name)

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Ask for the end of an order of ours; asking again does no harm, so this waits for nobody."""
        newest = self._intake.newest(client_order_id) or self.look_up(client_order_id)
        if newest is None:
            raise _not_at_venue(client_order_id)
        self._intake.expect_cancel(client_order_id)
        for attempt in range(self._attempts):
            if attempt:
                self._requests.rest_after(attempt - 1)
            try:
                asked = newest.venue_id
                answer = self._requests.send("DELETE", f"/orders/{asked}")
                newest = self.look_up(client_order_id, attempts=1) or newest
            except BrokerUnavailable:
                continue
            if newest.status in ENDED:
                return self._book.status(client_order_id)
            if newest.venue_id == asked:
                self._tell_cancelling(client_order_id, answer)
                return self._book.status(client_order_id)
            # What was asked to end has been replaced meanwhile; its replacement must end as well.
        newest = self.look_up(client_order_id) or newest
        if newest.status in ENDED or newest.status == "pending_cancel":
            return self._book.status(client_order_id)
        raise BrokerUnavailable(
            f"order {client_order_id} ({newest.ticker}): Alpaca gave no usable answer to {self._attempts} requests to "
            "cancel it, and it is still open; cancel it again, or in Alpaca's own pages"
        )

    def look_up(self, client_order_id: str, *, attempts: int | None = None) -> VenueOrder | None:
        """Return the order that stands for ours at the venue, replacements followed; None where it has none.

        Raises
        ------
        BrokerUnavailable
            Alpaca does not say.
        """
        query = {"client_order_id": client_order_id}
        answer = self._requests.ask("/orders:by_client_order_id", query, attempts=attempts)
        if answer is None:
            return None
        found = venue_order(answer)
        seen = {found.venue_id}
        self._intake.take_order(found)
        while found.replaced_by is not None and found.replaced_by not in seen:
            answer = self._requests.ask(f"/orders/{found.replaced_by}", attempts=attempts)
            if answer is None:
                break
            found = venue_order(answer)
            seen.add(found.venue_id)
            self._intake.take_order(found)
        # A replacement that was rejected leaves the order before it to work on.
        return self._intake.newest(client_order_id) or found

    def resolve(self) -> None:
        """Look up what is unknown.

        Raises
        ------
        BrokerUnavailable
            Alpaca does not say.
        """
        for venue_name, name in list(self._unknown.items()):
            if self._look_up_replacement(name, venue_name) is not None:
                self._unknown.pop(venue_name, None)

    def _deliver(
        self,
        venue_name: str,
        order: Order,
        *,
        send: Callable[[], object],
        look: Callable[[int | None], VenueOrder | None],
        is_retry: bool,
    ) -> VenueOrder | Refused | str:
        """Send until the venue has the order or refuses it; look for it before each time but the first.

        Returns
        -------
        VenueOrder, Refused or str
            The order, the venue's refusal, or why it may not leave for real money: the venue does not have it.
        """
        was_doubtful = is_doubtful = is_retry or venue_name in self._tried.get(order.client_order_id, ())
        for attempt in range(self._attempts):
            if attempt:
                self._requests.rest_after(attempt - 1)
                if self.is_stopped(order):
                    break  # it would leave after the stop
            try:
                before = self._before_sending(venue_name, order, look if is_doubtful else None)
                if before is not None:
                    return before
                # From here on the order may be at the venue, whatever goes wrong, this process included.
                self._unknown[venue_name] = order.client_order_id
                self._tried.setdefault(order.client_order_id, set()).add(venue_name)
                was_doubtful, is_doubtful = is_doubtful, True
                found = self._answered(venue_name, send(), look, was_doubtful=was_doubtful)
                if found is not None:
                    return found
            except BrokerUnavailable:
                if not is_doubtful:
                    raise  # nothing was sent
                continue
            except ConfigurationError:
                # Refused keys sent nothing; what an earlier attempt did is as unknown as it was.
                if not was_doubtful:
                    self._unknown.pop(venue_name, None)
                raise
        return self._known(venue_name, self._last_look(venue_name, order, look))

    def _before_sending(
        self, venue_name: str, order: Order, look: Callable[[int | None], VenueOrder | None] | None
    ) -> VenueOrder | str | None:
        """Return an order that is at the venue already, or why it may not leave for real money; None where it may."""
        if look is not None and (found := look(1)) is not None:
            return self._known(venue_name, found)
        refusal = self._why_not_live(order)
        if not refusal:
            return None
        self._unknown.pop(venue_name, None)
        return refusal

    def _answered(
        self, venue_name: str, answer: Any, look: Callable[[int | None], VenueOrder | None], *, was_doubtful: bool
    ) -> VenueOrder | Refused | None:
        """Return what an answer says; None where it says that the order lives, and the venue does not find it yet."""
        if not isinstance(answer, Refused):
            found = venue_order(answer)
            self._intake.take_order(found)
            return self._known(venue_name, found)
        if (was_doubtful or answer.code == _DUPLICATE) and (known := look(1)) is not None:
            return self._known(venue_name, known)
        if _says_duplicate(answer):
            return None
        self._unknown.pop(venue_name, None)
        return answer

    def _last_look(self, venue_name: str, order: Order, look: Callable[[int | None], VenueOrder | None]) -> VenueOrder:
        why = "Alpaca knows no such order yet"
        try:
            if (found := look(None)) is not None:
                return found
        except BrokerUnavailable as error:
            why = str(error)
        self._unknown[venue_name] = order.client_order_id
        raise SubmissionUnknown(
            f"order {venue_name} ({order.quantity_shares:g} {order.symbol}): sent to Alpaca without a usable "
            f"answer, and nobody knows whether it arrived ({why}); no other order is sent until it "
            "is known: submit it again, or find it in Alpaca's own pages"
        )

    def _look_up_replacement(
        self, client_order_id: str, venue_name: str, *, attempts: int | None = None
    ) -> VenueOrder | None:
        answer = self._requests.ask("/orders:by_client_order_id", {"client_order_id": venue_name}, attempts=attempts)
        if answer is None:
            return None
        if venue_name != client_order_id:
            self.look_up(client_order_id, attempts=attempts)
        found = venue_order(answer)
        self._intake.take_order(found)
        return found

    def _known(self, venue_name: str, found: VenueOrder) -> VenueOrder:
        self._unknown.pop(venue_name, None)
        return found

    def _require_all_known(self, *, besides: str) -> None:
        others = [name for name in self._unknown if name != besides]
        if not others:
            return
        try:
            self.resolve()
        except BrokerUnavailable as error:
            raise _blocked(others, besides, str(error)) from error
        others = [name for name in self._unknown if name != besides]
        if others:
            raise _blocked(others, besides, "Alpaca knows no such order yet")

    def _tell_cancelling(self, name: str, answer: object) -> None:
        if isinstance(answer, Refused) and answer.status != _NOT_FOUND and "pending cancel" not in answer.message:
            self._tell(name, OrderEventKind.CANCEL_REJECTED, reason=refusal_reason(answer.message))
        else:
            self._tell(name, OrderEventKind.CANCEL_REQUESTED)

    def _tell(self, name: str, kind: OrderEventKind, *, reason: str = "", revision: int = 0) -> None:
        now = self._clock.now_utc()
        session = self._session_of(now)
        self._book.tell(
            OrderEvent(kind=kind, client_order_id=name, session=session, at_utc=now, reason=reason, revision=revision)
        )


def _reason(found: Refused | str) -> str:
    return found if isinstance(found, str) else refusal_reason(found.message)


def _says_duplicate(answer: Refused) -> bool:
    return answer.code == _DUPLICATE and "client" in answer.message.lower()


def _require_same(order: Order, found: VenueOrder) -> None:
    """Refuse an order of another side, quantity or symbol that has our id at the venue."""
    is_same = (
        found.ticker == order.ticker and abs(found.quantity_shares - order.quantity_shares) <= FILL_TOLERANCE_SHARES
    )
    if not is_same and found.client_order_id == order.client_order_id:
        raise OrderRejected(
            f"order {order.client_order_id} ({order.symbol}): the id belongs to an order of {found.quantity_shares:g} "
            f"{found.ticker} at Alpaca already, found {order.quantity_shares:g} {order.symbol}; a changed order "
            "needs a new decision number or revision"
        )


def _not_at_venue(name: str) -> ExecutionError:
    return ExecutionError(f"order {name}: unknown to Alpaca; reconcile before it is cancelled or replaced again")


def _blocked(others: list[str], name: str, why: str) -> SubmissionUnknown:
    return SubmissionUnknown(
        f"order {name} was not sent: nobody knows whether {', '.join(others[:5])} arrived at Alpaca ({why}); submit "
        "those again, or find them in Alpaca's own pages, before anything new"
    )
