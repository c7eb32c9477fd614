"""A ledger of orders that are being worked now: children, where their parents stand, and what is still open.

Belongs here: what a process that trades writes beyond decisions and events. The rules of both are
:mod:`aegis.execution.order_management`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from aegis.errors import DecisionConflict, JournalError
from aegis.execution.decisions import ASIDES, INTENTS, CommittedDecision, DecisionEventKind
from aegis.execution.forgotten_names import ForgottenNames
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalRow
from aegis.execution.journal_entries import aside_entry, child_entries, commitment_key
from aegis.execution.order_management import DecisionLedger
from aegis.execution.order_projections import decision_from, order_event, order_statuses, rows_by_decision
from aegis.execution.order_records import canonical_json, instant_text, order_from_record
from aegis.execution.order_states import FINAL_EVENTS, OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind

TOLD_OF_ORDERS = frozenset(OrderEventKind) - {
    OrderEventKind.APPROVED,
    OrderEventKind.REFUSED,
    OrderEventKind.ADJUSTED,
    OrderEventKind.SUBMITTED,
}
"""What a venue says of an order that it was sent."""

_UNSENT_TERMS = (*sorted(INTENTS), OrderEventKind.ADJUSTED)
"""Rows with the terms that an order is sent on; the last one counts."""
_KEPT_ENDED_ORDERS = 256
"""Orders that are kept in memory after their end, for what a venue still tells of them; others are read again."""


class WorkedLedger(DecisionLedger):
    """The journal's page of a process that trades: from a session on, for as long as it runs.

    Parameters
    ----------
    journal : Journal
        The account's journal.
    first : date
        The oldest session whose decisions are looked at; orders from before are found by their ids.

    Notes
    -----
    A process trades for weeks. Of the orders that have ended only the newest are kept in memory; what is asked or told
    of an older one is answered from the journal, where all of it is.
    """

    def __init__(self, journal: Journal, *, first: date) -> None:
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._kept: dict[str, int] = {}
        self._terms: dict[str, Order] = {}
        self._first_terms: dict[str, Order] = {}
        self._verdicts: dict[str, int] = {}
        self._forgotten_decisions = ForgottenNames()
        self._let_go: list[str] = []
        super().__init__(journal, first=first, last=date.max)

    def status(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands by what is recorded, None if it was never committed.

        Notes
        -----
        Events on their way to :meth:`flush` count.
        """
        if not self._knows(client_order_id):
            self._remember(self._journal.events(client_order_ids=[client_order_id]))
        if client_order_id in self._statuses or client_order_id in self._open_rows:
            return self._status(client_order_id)
        if client_order_id not in self._closed:
            return None
        rows = self._journal.events(client_order_ids=[client_order_id])
        return order_statuses(rows)[client_order_id]

    def open_ids(self) -> tuple[str, ...]:
        """Return the orders known to this ledger that are not at their end, sorted."""
        names = sorted(self._statuses.keys() | self._open_rows.keys())
        return tuple(name for name in names if not self._status(name).is_final)

    def committed_order(self, client_order_id: str) -> Order:
        """Return an order's terms as they were committed or, before it was sent, adjusted, whatever became of them.

        Raises
        ------
        JournalError
            It was never committed.
        """
        known = self._terms.get(client_order_id)
        if known is None:
            for row in self._journal.events(client_order_ids=[client_order_id], kinds=_UNSENT_TERMS):
                if known is not None:
                    self._first_terms.setdefault(client_order_id, known)
                known = self._terms[client_order_id] = order_from_record(row.payload["order"])
        if known is None:
            raise _unknown(self._journal.account, client_order_id)
        return known

    def first_terms(self, client_order_id: str) -> Order:
        """Return an order's terms as they were committed, adjusted or not."""
        now = self.committed_order(client_order_id)
        return self._first_terms.get(client_order_id, now)

    def record(self, events: Sequence[OrderEvent]) -> tuple[str, ...]:
        """Record what happened to committed orders; see :meth:`DecisionLedger.record`."""
        conflicts = super().record(events)
        for event in events:
            if event.kind is OrderEventKind.ADJUSTED and event.order is not None:
                self._first_terms.setdefault(event.client_order_id, self.committed_order(event.client_order_id))
                self._terms[event.client_order_id] = event.order
            if event.kind in FINAL_EVENTS:
                self._ended[event.client_order_id] = None
        return conflicts

    def flush(self) -> int:
        """Write everything new in one transaction; see :meth:`DecisionLedger.flush`.

        Notes
        -----
        The answer to an earlier transaction may have been lost on its way though it was committed. What stands in the
        journal just as it would be written is not written again, and is not counted; anything else is a conflict.
        """
        try:
            written = super().flush()
        except DecisionConflict:
            if not self._drop_written():
                raise
            written = super().flush()
        while len(self._ended) > _KEPT_ENDED_ORDERS:
            self._forget(self._ended.popitem(last=False)[0])
        return written

    def _drop_written(self) -> bool:
        """Drop what is to be written and stands in the journal; False where something stands there otherwise."""
        written = []
        for key, event in self._pending.items():
            for row in self._journal.events(idempotency_key=key):
                if (row.at_utc, row.payload_json) != (instant_text(event.at_utc), event.payload_json):
                    return False
                written.append(key)
        for key in written:
            del self._pending[key]
        return bool(written)

    def let_go(self) -> tuple[str, ...]:
        """Return the ended orders forgotten since the last time, oldest first: the journal has all of them."""
        gone, self._let_go = tuple(self._let_go), []
        return gone

    def recall(self, client_order_id: str) -> tuple[Order, tuple[OrderEvent, ...]] | None:
        """Return an order as it was sent, and what a venue told of it, oldest first, from the journal alone.

        Returns
        -------
        tuple of (Order, tuple of OrderEvent) or None
            None where it was never committed.

        Raises
        ------
        JournalError
            The journal cannot be read.

        Notes
        -----
        Any thread may ask; what is not flushed yet is not in it.
        """
        rows = self._journal.events(client_order_ids=[client_order_id])
        orders = [order_from_record(row.payload["order"]) for row in rows if row.kind in _UNSENT_TERMS]
        if not orders:
            return None
        return orders[-1], tuple(order_event(row) for row in rows if row.kind in TOLD_OF_ORDERS)

    def commit_child(self, order: Order, refusal: str | None, *, session: date, at_utc: datetime) -> None:
        """Record a child of a committed order with the exit door's verdict; one that is recorded stays as it is.

        Parameters
        ----------
        order : Order
            Of the decision that its parent belongs to.
        refusal : str, optional
            The rule that refused it; None lets it go.
        session : date
            The session that had begun last.
        at_utc : datetime
            When it was made.

        Raises
        ------
        JournalError
            The child is of another account.
        """
        self._require_own(order.account, session, order.client_order_id)
        if self.status(order.client_order_id) is not None:
            return
        for entry in child_entries(order, refusal, session=session, at_utc=at_utc):
            self._add(entry)
        self._begin(order, refusal)

    def keep_parent(self, order: Order, record: Mapping[str, Any], *, session: date, at_utc: datetime) -> None:
        """Record where a parent order stands; durable with the next :meth:`flush`."""
        name = order.client_order_id
        self._require_own(order.account, session, name)
        kind = DecisionEventKind.PARENT_KEPT
        number = self._next_number(self._kept, name, kind)
        said = canonical_json(record)
        self._add(aside_entry(order, kind, said, session=session, at_utc=at_utc, number=number))

    def note_verdict(self, order: Order, said: str, *, session: date, at_utc: datetime) -> None:
        """Record what the exit door said of an order, as canonical JSON; durable with the next :meth:`flush`."""
        name, kind = order.client_order_id, DecisionEventKind.EXIT_VERDICT
        self._require_own(order.account, session, name)
        number = self._next_number(self._verdicts, name, kind)
        self._add(aside_entry(order, kind, said, session=session, at_utc=at_utc, number=number))

    def asides(self, client_order_id: str, kind: DecisionEventKind) -> list[Mapping[str, Any]]:
        """Return what was recorded about an order that is no event of it, oldest first."""
        rows = self._journal.events(client_order_ids=[client_order_id], kinds=[kind])
        return [row.payload for row in rows]

    def parents(self) -> dict[str, Mapping[str, Any]]:
        """Return the newest record of every parent in the ledger's sessions, by client order id."""
        newest: dict[str, Mapping[str, Any]] = {}
        for row in self._journal.events(first=self._first, kinds=[DecisionEventKind.PARENT_KEPT]):
            name = str(row.client_order_id)
            newest[name] = row.payload
            # What is kept from now on follows what an earlier process kept.
            self._kept[name] = int(str(row.idempotency_key).rpartition(":")[2])
        return newest

    def histories(self) -> dict[str, tuple[OrderStatus, tuple[OrderEvent, ...]]]:
        """Return every order that is not at its end, with where it stands and what happened to it, oldest first.

        Raises
        ------
        JournalError
            The recorded events cannot have followed each other.
        """
        rows = self._journal.events()
        statuses = order_statuses(rows)
        told: dict[str, list[OrderEvent]] = {name: [] for name, status in statuses.items() if not status.is_final}
        for row in rows:
            if row.client_order_id in told and row.kind in TOLD_OF_ORDERS:
                told[str(row.client_order_id)].append(order_event(row))
        return {name: (statuses[name], tuple(events)) for name, events in told.items()}

    def _next_number(self, counted: dict[str, int], name: str, kind: DecisionEventKind) -> int:
        """Return the number of an order's next row of a kind; those of one that was forgotten are in the journal."""
        if name not in counted:
            counted[name] = len(self.asides(name, kind)) if self.status(name) is not None else 0
        counted[name] += 1
        return counted[name]

    def _committed(self, decision_id: str) -> CommittedDecision | None:
        known = super()._committed(decision_id)
        if known is not None or not self._forgotten_decisions.may_have(decision_id):
            return known
        committed = self._journal.events(idempotency_key=commitment_key(decision_id))
        if not committed:
            return None
        session = committed[0].session_date
        rows = self._journal.events(first=session, last=session)
        return decision_from(rows_by_decision(rows)[decision_id])

    def _begin(self, order: Order, refusal: str | None) -> None:
        super()._begin(order, refusal)
        self._terms[order.client_order_id] = order
        self._verdicts[order.client_order_id] = 0
        if refusal is not None:
            self._ended[order.client_order_id] = None

    def _remember(self, rows: Iterable[JournalRow]) -> None:
        known = [row for row in rows if row.kind not in ASIDES]
        super()._remember(known)
        for row in known:
            if row.kind in FINAL_EVENTS:
                self._ended[str(row.client_order_id)] = None

    def _forget(self, name: str) -> None:
        """Drop from memory all that is known of an order whose end is in the journal."""
        order = self._terms.pop(name, None)
        self._first_terms.pop(name, None)
        self._statuses.pop(name, None)
        self._open_rows.pop(name, None)
        self._recorded.pop(name, None)
        self._verdicts.pop(name, None)
        self._kept.pop(name, None)
        self._closed.discard(name)
        self._let_go.append(name)
        if order is not None and order.decision_id in self._decisions:
            self._forget_decision(order.decision_id)

    def _forget_decision(self, decision_id: str) -> None:
        """Drop a decision that was committed here, once all of its orders are dropped."""
        orders = self._decisions[decision_id].orders
        if decision_id in self._decision_rows or any(self._knows(order.client_order_id) for order in orders):
            return
        del self._decisions[decision_id]
        self._forgotten_decisions.add(decision_id)


def _unknown(account: str, client_order_id: str) -> JournalError:
    return JournalError(f"order {client_order_id}: the journal of {account} does not know it; commit it first")
