"""What Alpaca's orders, trade updates and activities mean for our orders.

Belongs here: which of our orders an order of Alpaca's is, replacements included, and which events follow. Both channels
end here, so what one has told the other does not tell again.

Notes
-----
Alpaca makes another order of each replacement. Ours keeps its id; the replacement carries
:func:`~aegis.execution.order_ids.replacement_id`, and what fills before and after belongs to the one order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from aegis.errors import BrokerUnavailable, JournalError
from aegis.execution.brokers.alpaca_reports import ENDED, VenueExecution, VenueOrder, streamed_execution, venue_order
from aegis.execution.brokers.broker_book import BrokerBook, Execution, Recall
from aegis.execution.brokers.followed_actions import HeldTerms
from aegis.execution.order_ids import replaced_order
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import FILL_TOLERANCE_SHARES
from aegis.execution.orders import Order, OrderEvent, OrderEventKind

_E = OrderEventKind
_ENDS = {"canceled": _E.CANCELLED, "expired": _E.EXPIRED, "rejected": _E.REJECTED}
_SILENT = frozenset({"pending_new", "rejected", "held"})
"""Statuses that acknowledge nothing."""
_FILLS = frozenset({"fill", "partial_fill"})
_TAKEN_BACK = frozenset({"trade_bust", "trade_correct"})
_DECLINED = {"order_cancel_rejected": _E.CANCEL_REJECTED, "order_replace_rejected": _E.REPLACE_REJECTED}
_WHY_ENDED = {
    "IOC": OrderReason.NOT_IMMEDIATE,
    "FOK": OrderReason.NOT_WHOLE,
    "OPG": OrderReason.MISSED_AUCTION,
    "CLS": OrderReason.MISSED_AUCTION,
}


class AlpacaIntake:
    """Takes what Alpaca says into a :class:`BrokerBook`; safe to share between threads.

    Parameters
    ----------
    book : BrokerBook
        Our orders.
    session_of : callable
        Which session an instant belongs to.
    """

    def __init__(self, book: BrokerBook, session_of: Callable[[datetime], date]) -> None:
        self._book = book
        self._session_of = session_of
        self._lock = threading.RLock()
        self._roots: dict[str, tuple[str, int]] = {}
        self._orders: dict[str, VenueOrder] = {}
        self._newest: dict[str, str] = {}
        self._told: dict[str, float] = {}
        self._lacking: set[str] = set()
        self._foreign: dict[str, VenueOrder] = {}
        self._asked: dict[tuple[str, int], Order] = {}
        self._cancelling: set[str] = set()
        self._words: dict[str, str] = {}

    def recall(self, events: Iterable[OrderEvent]) -> None:
        """Take note of all fills that are recorded of an order, so that they are not asked for again."""
        told: dict[str, float] = {}
        for event in events:
            if event.fill is not None and event.fill.execution_id is not None:
                venue_id = event.fill.execution_id.partition(":")[0]
                told[venue_id] = told.get(venue_id, 0.0) + abs(event.fill.quantity_shares)
        with self._lock:
            self._told |= told

    def let_go(self, client_order_id: str) -> None:
        """Forget what Alpaca said of an order of ours that has ended."""
        with self._lock:
            self._newest.pop(client_order_id, None)
            # Replacements that were rejected are among them, which none of those that stood for it names.
            for venue_id in [name for name, (root, _) in self._roots.items() if root == client_order_id]:
                del self._roots[venue_id]
                for told in (self._told, self._orders, self._words):
                    told.pop(venue_id, None)
                self._lacking.discard(venue_id)
            self._cancelling.discard(client_order_id)
            for asked in [key for key in self._asked if key[0] == client_order_id]:
                del self._asked[asked]

    def bring_back(self, client_order_id: str, *, recall: Recall) -> tuple[Order, tuple[OrderEvent, ...]] | None:
        """Return an order that was let go, and take note of its recorded fills; None for one that is not ours.

        Raises
        ------
        BrokerUnavailable
            What is recorded of it cannot be read.
        """
        try:
            found = recall(client_order_id)
        except JournalError as error:
            raise BrokerUnavailable(
                f"order {client_order_id}: Alpaca tells of it after its end, and its record cannot be read: {error}"
            ) from error
        if found is not None:
            self.recall(found[1])
        return found

    def expect_cancel(self, client_order_id: str) -> None:
        """Take note that we ask for an order's end."""
        self._cancelling.add(client_order_id)

    def expect_replacement(self, order: Order, revision: int) -> None:
        """Take note of the terms that we ask for."""
        self._asked[order.client_order_id, revision] = order

    def newest(self, client_order_id: str) -> VenueOrder | None:
        """Return the order of Alpaca's that now stands for ours, as it was last told."""
        with self._lock:
            venue_id = self._newest.get(client_order_id)
            return None if venue_id is None else self._orders[venue_id]

    def held_terms(self) -> dict[str, HeldTerms]:
        """Return our open orders on the terms that Alpaca holds them on, by client order id."""
        with self._lock:
            found = {}
            for name in self._book.open_ids():
                order = self.newest(name)
                if order is not None and order.status not in ENDED:
                    found[name] = HeldTerms(
                        ticker=order.ticker,
                        quantity_shares=self._total(name, order, self._book.status(name).order.quantity_shares),
                        limit_price_usd=order.limit_price_usd,
                        stop_price_usd=order.stop_price_usd,
                    )
            return found

    def foreign_orders(self) -> tuple[VenueOrder, ...]:
        """Return open orders of the account that are not ours, by Alpaca's id."""
        with self._lock:
            return tuple(self._foreign[name] for name in sorted(self._foreign))

    def forget_foreign_orders(self) -> None:
        """Begin a new list of foreign orders."""
        with self._lock:
            self._foreign.clear()

    def lacks_since(self) -> datetime | None:
        """Return since when executions are missing that Alpaca counts in our orders; None if none are."""
        with self._lock:
            lacking = [self._orders[name].submitted_at_utc for name in self._lacking]
        return min(lacking, default=None)

    def take_order(self, order: VenueOrder) -> str | None:
        """Take an order as Alpaca holds it and return which of ours it is, None for a foreign one."""
        with self._lock:
            place = self._place(order)
            if place is None:
                if order.status not in ENDED:
                    self._foreign[order.venue_id] = order
                else:
                    self._foreign.pop(order.venue_id, None)
                return None
            root, revision = self._roots[order.venue_id] = place
            order = self._remember(order)
            newest = self._newest.get(root)
            if newest is None or revision >= self._roots[newest][1]:
                self._newest[root] = order.venue_id
            if revision == 0:
                self._tell_acknowledgement(root, order)
            else:
                self._tell_replacement(root, revision, order)
            self._tell_end(root, revision, order)
            self._count(order)
            return root

    def take_execution(self, execution: VenueExecution) -> bool:
        """Take an execution and return whether it is new; those of foreign orders are not ours to tell."""
        with self._lock:
            place = self._roots.get(execution.venue_id)
            if place is None:
                return False
            is_new = self._book.tell_execution(
                Execution(
                    client_order_id=place[0],
                    execution_id=execution.execution_id,
                    quantity_shares=execution.quantity_shares,
                    price_usd=execution.price_usd,
                    commission_usd=0.0,  # Alpaca charges none by execution; what it charges are fees of the account
                    executed_at_utc=execution.executed_at_utc,
                )
            )
            if is_new:
                before = self._told.get(execution.venue_id, 0.0)
                self._told[execution.venue_id] = before + abs(execution.quantity_shares)
                order = self._orders.get(self._newest[place[0]])
                while order is not None:
                    self._count(order)
                    order = self._orders.get(order.replaces or "")
            return is_new

    def take_update(self, data: Mapping[str, Any]) -> None:
        """Take a trade update of the stream.

        Raises
        ------
        BrokerUnavailable
            It cannot be read.
        """
        event, order = str(data.get("event")), venue_order(data.get("order"))
        execution = streamed_execution(data) if event in _FILLS else None
        with self._lock:
            self._words[order.venue_id] = str(data.get("reason") or "")
            root = self.take_order(order)
            if root is None or not self._words[order.venue_id]:
                del self._words[order.venue_id]
            if root is None:
                return
            if execution is not None:
                self.take_execution(execution)
            elif event in _DECLINED:
                revision = (
                    self._roots[order.venue_id][1] if event == "order_cancel_rejected" else self._asked_last(root)
                )
                self._tell(root, _DECLINED[event], order.changed_at_utc, revision=revision, reason=_said(data))
            elif event in _TAKEN_BACK:
                self._book.note(
                    f"order {root} ({order.ticker}): Alpaca took an execution back or corrected it ('{event}', "
                    f"{_said(data)}); what was booked stands until a person has compared it with Alpaca's statement"
                )

    def _place(self, order: VenueOrder) -> tuple[str, int] | None:
        known = self._roots.get(order.venue_id)
        if known is not None:
            return known
        root, revision = replaced_order(order.client_order_id)
        if self._book.knows(order.client_order_id):
            return order.client_order_id, 0
        if self._book.knows(root):
            return root, revision
        before = self._roots.get(order.replaces or "")
        return None if before is None else (before[0], before[1] + 1)

    def _remember(self, order: VenueOrder) -> VenueOrder:
        """Keep the later of two tellings of one order: channels overtake each other."""
        known = self._orders.get(order.venue_id)
        if known is None or _lateness(order) >= _lateness(known):
            self._orders[order.venue_id] = order
            return order
        return known

    def _tell_acknowledgement(self, root: str, order: VenueOrder) -> None:
        if order.status == "held":
            self._tell(root, _E.HELD, order.submitted_at_utc)
        elif order.status not in _SILENT:
            self._tell(root, _E.ACCEPTED, order.submitted_at_utc)
        if order.status == "pending_cancel":
            self._tell(root, _E.CANCEL_REQUESTED, order.changed_at_utc)

    def _tell_replacement(self, root: str, revision: int, order: VenueOrder) -> None:
        if order.status in _SILENT or order.status == "accepted":
            return
        base = self._book.status(root).order
        asked = self._asked.get((root, revision), base)
        terms = replace(
            base,
            quantity_shares=self._total(root, order, asked.quantity_shares),
            limit_price_usd=order.limit_price_usd,
            stop_price_usd=order.stop_price_usd,
            trail_usd=order.trail_usd,
            trail_fraction=asked.trail_fraction,
        )
        reason = reason_text(OrderReason.REPLACED_ON_REQUEST)
        self._tell(root, _E.REPLACED, order.submitted_at_utc, revision=revision, reason=reason, order=terms)

    def _tell_end(self, root: str, revision: int, order: VenueOrder) -> None:
        kind = _ENDS.get(order.status)
        if kind is None:
            return
        if kind is _E.REJECTED and revision > 0:
            self._tell(root, _E.REPLACE_REJECTED, order.changed_at_utc, revision=revision, reason=_UNEXPLAINED)
            self._newest[root] = order.replaces or order.venue_id
            return
        event = self._event(root, kind, order.changed_at_utc, reason=self._why(root, kind, order.venue_id))
        self._book.tell_end(event, filled_shares=abs(self._filled(root, order)))

    def _why(self, root: str, kind: OrderEventKind, venue_id: str) -> str:
        order = self._book.status(root).order
        if kind is _E.EXPIRED:
            return reason_text(_WHY_ENDED.get(order.time_in_force, OrderReason.END_OF_SESSION))
        if kind is _E.CANCELLED:
            if root in self._cancelling:
                return str(OrderReason.BY_REQUEST)
            said = self._words.get(venue_id, "")
            if said:
                return reason_text(OrderReason.VENUE, said[:200])
            return reason_text(_WHY_ENDED.get(order.time_in_force, OrderReason.VENUE))
        return _UNEXPLAINED

    def _total(self, root: str, order: VenueOrder, asked_shares: float) -> float:
        """Return all shares of an order whose replacement may or may not count what was filled before it."""
        before = self._orders.get(order.replaces or "")
        if order.quantity_shares == asked_shares or before is None:
            return order.quantity_shares
        return order.quantity_shares + self._filled(root, before)

    def _filled(self, root: str, order: VenueOrder) -> float:
        before = self._orders.get(order.replaces or "")
        if before is None or order.quantity_shares == self._book.status(root).order.quantity_shares:
            return order.filled_shares
        return order.filled_shares + self._filled(root, before)

    def _count(self, order: VenueOrder) -> None:
        """Note whether executions of an order are missing."""
        if abs(order.filled_shares) > self._counted(order) + FILL_TOLERANCE_SHARES:
            self._lacking.add(order.venue_id)
        else:
            self._lacking.discard(order.venue_id)

    def _counted(self, order: VenueOrder) -> float:
        """Return the shares told of an order, those of the orders before it included where it counts them."""
        told = self._told.get(order.venue_id, 0.0)
        root = self._roots[order.venue_id][0]
        before = self._orders.get(order.replaces or "")
        if before is not None and order.quantity_shares == self._book.status(root).order.quantity_shares:
            return told + self._counted(before)
        return told

    def _asked_last(self, root: str) -> int:
        return max((revision for name, revision in self._asked if name == root), default=0)

    def _tell(self, root: str, kind: OrderEventKind, at_utc: datetime, **parts: Any) -> None:
        self._book.tell(self._event(root, kind, at_utc, **parts))

    def _event(self, root: str, kind: OrderEventKind, at_utc: datetime, **parts: Any) -> OrderEvent:
        return OrderEvent(kind=kind, client_order_id=root, session=self._session_of(at_utc), at_utc=at_utc, **parts)


_UNEXPLAINED = reason_text(OrderReason.VENUE)


def _lateness(order: VenueOrder) -> tuple[bool, float, datetime]:
    return order.status in ENDED, abs(order.filled_shares), order.changed_at_utc


def _said(data: Mapping[str, Any]) -> str:
    return reason_text(OrderReason.VENUE, str(data.get("reason") or "")[:200])
