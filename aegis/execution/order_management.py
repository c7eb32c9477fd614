"""Committing decisions to the journal once, and recording what happens to their orders.

Belongs here: the rules of what may be written. The table itself is :mod:`aegis.execution.journal`, which event may
follow which is :mod:`aegis.execution.order_states`, what the rows mean is :mod:`aegis.execution.order_projections`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from aegis.errors import DecisionConflict, DuplicateEvent, JournalError
from aegis.execution.decisions import (
    INTENTS,
    CommitOutcome,
    CommittedDecision,
    Decision,
    DecisionEventKind,
    describe_conflict,
)
from aegis.execution.journal import Journal, NewEvent
from aegis.execution.journal_chain import JournalHead, JournalRow
from aegis.execution.journal_entries import commitment_entries, order_entry, order_event_key, refusal_entry
from aegis.execution.order_projections import decision_from, order_event, order_statuses, rows_by_decision
from aegis.execution.order_records import event_from_payload, event_json, instant_text
from aegis.execution.order_states import FINAL_EVENTS, OrderState, OrderStatus, apply_event
from aegis.execution.orders import Order, OrderEvent, OrderEventKind

_HAPPENINGS = frozenset(OrderEventKind) - {OrderEventKind.APPROVED, OrderEventKind.REFUSED}
"""What happens to an order once it is decided."""
_TOLD_AGAIN = frozenset({*OrderEventKind, DecisionEventKind.DECISION_REFUSED})
"""What may be told once more; only of these is it kept what was said."""


class DecisionLedger:
    """The journal's page for a range of sessions: read once, answered from memory, written once.

    Parameters
    ----------
    journal : Journal
        The account's journal.
    first, last : date
        Sessions in which decisions will be committed and events recorded.

    Notes
    -----
    A session loop commits and records as it goes and calls :meth:`flush` at the end: one transaction for the whole
    backfill. Committing or recording again what the journal holds adds nothing.
    """

    def __init__(self, journal: Journal, *, first: date, last: date) -> None:
        self._journal = journal
        self._first, self._last = first, last
        self._pending: dict[str, NewEvent] = {}
        self._recorded: dict[str | None, dict[str, bytes]] = {}
        self._decisions: dict[str, CommittedDecision] = {}
        self._statuses: dict[str, OrderStatus] = {}
        self._open_rows: dict[str, list[JournalRow]] = {}
        self._closed: set[str] = set()
        self._newest = journal.newest_session()
        rows = journal.events(first=first, last=last)
        # Values are made from these rows only for the decisions that are asked for: a backfill re-reads all of them.
        self._decision_rows = rows_by_decision(rows)
        self._remember(rows)

    def commit(self, decision: Decision, *, at_utc: datetime) -> CommitOutcome:
        """Commit a decision, or find it committed; see :class:`CommitOutcome`.

        Parameters
        ----------
        decision : Decision
            With its orders and the gate's verdicts.
        at_utc : datetime
            When it was taken.

        Raises
        ------
        JournalError
            The decision is of another account or of a session outside the ledger.

        Notes
        -----
        A decision that the gate refuses as a whole is recorded as refused, once for each different content, and leaves
        its id free: a later recomputation that passes may commit.
        """
        self._require_own(decision.account, decision.session, decision.decision_id)
        committed = self._committed(decision.decision_id)
        if committed is not None:
            conflict = describe_conflict(committed, decision)
            return _outcome(committed, is_new=False, conflict=conflict)
        if decision.is_refused:
            return self._refuse(decision, at_utc)
        orders = tuple(sorted(decision.orders, key=lambda order: order.client_order_id))
        committed = CommittedDecision(
            orders=orders,
            refusals=dict(decision.refusals),
            gate_rows=decision.gate_rows,
            input_snapshot_id=decision.input_snapshot_id,
            code_version=decision.code_version,
            config_hash=decision.config_hash,
        )
        entries = tuple(commitment_entries(decision, committed, at_utc))  # whatever cannot be written raises here
        self._decisions[decision.decision_id] = committed
        for event in entries:
            self._add(event)
        for order in orders:
            self._begin(order, committed.refusals.get(order.client_order_id))
        return _outcome(committed, is_new=True)

    def record(self, events: Sequence[OrderEvent]) -> tuple[str, ...]:
        """Record what happened to committed orders; return how it differs from what is recorded already.

        Parameters
        ----------
        events : sequence of OrderEvent
            In the order in which they happened. An event that is recorded already, that is one with the same order,
            kind and fill number, is not recorded again; where it says something else, the recorded one stands and the
            difference is described, to be published as a failed check.

        Raises
        ------
        IllegalTransition
            An event cannot follow what happened to its order before.
        JournalError
            An event is about an order that was never committed, or a new one of a session outside the ledger.
        """
        self._find_orders_of(events)
        conflicts = []
        for event in events:
            recorded = self._recorded.get(event.client_order_id, {}).get(order_event_key(event))
            if recorded is None:  # a venue may tell once more what happened long ago
                self._require_own(self._journal.account, event.session, event.client_order_id)
            if recorded is not None:
                if recorded != _fingerprint(instant_text(event.at_utc), event_json(event)):
                    conflicts.append(f"order {event.client_order_id}: '{event.kind}' is recorded with other contents")
            elif event.client_order_id in self._closed:
                conflicts.append(f"order {event.client_order_id}: '{event.kind}' after the recorded end of the order")
            else:
                status = apply_event(self._status(event.client_order_id), event)
                self._add(order_entry(event, decision_id=status.order.decision_id))
                self._statuses[event.client_order_id] = status
        return tuple(conflicts)

    def recorded(self, session: date, client_order_ids: Iterable[str]) -> list[OrderEvent]:
        """Return what is recorded to have happened to orders in one session, oldest first, this run's events included.

        Parameters
        ----------
        session : date
            Session that the events were booked in.
        client_order_ids : iterable of str
            The orders; what was decided about them, as opposed to what happened to them, is left out.
        """
        names = set(client_order_ids)
        rows = self._journal.events(first=session, last=session, client_order_ids=sorted(names))
        written = [order_event(row) for row in rows if row.kind in _HAPPENINGS]
        pending = [
            event_from_payload(
                json.loads(entry.payload_json),
                kind=entry.kind,
                client_order_id=str(entry.client_order_id),
                session=session,
                at_utc=entry.at_utc,
            )
            for entry in self._pending.values()
            if entry.client_order_id in names and entry.session == session and entry.kind in _HAPPENINGS
        ]
        return written + pending

    def passed_by(self, decision_id: str, session: date) -> date | None:
        """Return the newest session that the account has gone on to without this decision, None if it may be taken.

        Notes
        -----
        Once a later session is in the journal, orders of this one would be made with hindsight and would fill in a
        session whose own decision knew nothing of them.
        """
        if self._newest is None or self._newest <= session or self._committed(decision_id) is not None:
            return None
        return self._newest

    def committed(self, decision_id: str) -> CommittedDecision | None:
        """Return a decision of the ledger's sessions as it is committed, None if it is not."""
        return self._committed(decision_id)

    def committed_row(self, decision_id: str) -> JournalRow | None:
        """Return the row by which a decision was committed; None if it is not in the journal."""
        rows = self._decision_rows.get(decision_id, ())
        return next((row for row in rows if row.kind == DecisionEventKind.DECISION_COMMITTED), None)

    @property
    def journal(self) -> Journal:
        """The account's journal, without what is not flushed yet."""
        return self._journal

    def head(self) -> JournalHead:
        """Return where the journal ends, without what is not flushed yet."""
        return self._journal.head()

    def flush(self) -> int:
        """Write everything new in one transaction and return the number of events written.

        Raises
        ------
        DecisionConflict
            Another process committed one of the decisions, or recorded one of the events, since this ledger was read.
            Nothing was written; read a new ledger and decide again.
        """
        if not self._pending:
            return 0
        try:
            with self._journal.batch() as batch:
                for event in self._pending.values():
                    batch.append(event)
        except DuplicateEvent as error:
            raise DecisionConflict(self._explain_race()) from error
        written = len(self._pending)
        self._pending.clear()
        return written

    def _committed(self, decision_id: str) -> CommittedDecision | None:
        known = self._decisions.get(decision_id)
        rows = self._decision_rows.get(decision_id)
        if known is None and rows is not None:
            known = self._decisions[decision_id] = decision_from(rows)
        return known

    def _refuse(self, decision: Decision, at_utc: datetime) -> CommitOutcome:
        entry = refusal_entry(decision, at_utc)
        is_new = str(entry.idempotency_key) not in self._recorded.get(None, {})
        if is_new:
            self._add(entry)
        return CommitOutcome((), {}, is_new=is_new, is_refused=True)

    def _begin(self, order: Order, refusal: str | None) -> None:
        """Know where an order stands that was written down just now, with the rule that refused it."""
        state = OrderState.APPROVED if refusal is None else OrderState.REFUSED
        self._statuses[order.client_order_id] = OrderStatus(order, state)

    def _add(self, event: NewEvent) -> None:
        """Write down with the next flush, and keep the fingerprint of what may be told once more."""
        key = str(event.idempotency_key)
        self._pending[key] = event
        if event.kind in _TOLD_AGAIN:
            told = self._recorded.setdefault(event.client_order_id, {})
            told[key] = _fingerprint(instant_text(event.at_utc), event.payload_json)

    def _remember(self, rows: Iterable[JournalRow]) -> None:
        """Keep what recorded events say, as fingerprints, and the rows of orders that are not at their end."""
        for row in rows:
            name = row.client_order_id
            if row.idempotency_key is not None and row.kind in _TOLD_AGAIN:
                told = self._recorded.setdefault(name, {})
                told[row.idempotency_key] = _fingerprint(row.at_utc, row.payload_json)
            if name is None:
                continue
            if row.kind in INTENTS:
                self._open_rows[name] = [row]
            elif row.kind in FINAL_EVENTS:
                self._closed.add(name)
                self._open_rows.pop(name, None)
            elif name in self._open_rows:
                self._open_rows[name].append(row)

    def _status(self, client_order_id: str) -> OrderStatus:
        known = self._statuses.get(client_order_id)
        return known or order_statuses(self._open_rows[client_order_id])[client_order_id]

    def _find_orders_of(self, events: Sequence[OrderEvent]) -> None:
        """Read the orders that were decided before the ledger's first session."""
        # Of an order from before the first session only the later rows were read with it, so it is read again.
        missing = {
            event.client_order_id
            for event in events
            if event.session < self._first or not self._knows(event.client_order_id)
        }
        if not missing:
            return
        names = sorted(missing)
        self._remember(self._journal.events(client_order_ids=names))
        unknown = [name for name in names if not self._knows(name)]
        if unknown:
            raise JournalError(
                f"journal of {self._journal.account}: events of orders that were never committed: {unknown}; commit "
                "the decision before its orders are sent"
            )

    def _knows(self, client_order_id: str) -> bool:
        return (
            client_order_id in self._statuses or client_order_id in self._closed or client_order_id in self._open_rows
        )

    def _require_own(self, account: str, session: date, subject: str) -> None:
        if account != self._journal.account or not self._first <= session <= self._last:
            raise JournalError(
                f"{subject} of account {account}, session {session}: this ledger is of account "
                f"{self._journal.account}, sessions {self._first} to {self._last}; read the ledger that it belongs to"
            )

    def _explain_race(self) -> str:
        rows = self._journal.events(first=self._first, last=self._last)
        taken = [row for row in rows if row.idempotency_key in self._pending]
        found = ", ".join(f"{row.decision_id} ('{row.kind}', sequence {row.sequence})" for row in taken[:3])
        return (
            f"journal of {self._journal.account}: another process recorded {len(taken)} of the {len(self._pending)} "
            f"new events first: {found}. Nothing was written; read the ledger again and recompute"
        )


def _outcome(committed: CommittedDecision, *, is_new: bool, conflict: str | None = None) -> CommitOutcome:
    return CommitOutcome(
        committed.approved,
        committed.refusals,
        is_new=is_new,
        conflict=conflict,
        refused_orders=committed.refused,
        input_snapshot_id=committed.input_snapshot_id,
    )


def commit_decision(journal: Journal, decision: Decision, *, at_utc: datetime) -> CommitOutcome:
    """Commit one decision durably, or return the committed one; intents and risk decision are one transaction.

    Raises
    ------
    DecisionConflict
        Others kept committing at the same moment; nothing was written by this call.
    """

    def attempt() -> CommitOutcome:
        ledger = DecisionLedger(journal, first=decision.session, last=decision.session)
        outcome = ledger.commit(decision, at_utc=at_utc)
        ledger.flush()
        return outcome

    try:
        return attempt()
    except DecisionConflict:
        # The race is lost: a second reading finds the winner's decision.
        return attempt()


def _fingerprint(at_utc: str, payload_json: str) -> bytes:
    return hashlib.sha256(f"{at_utc}{payload_json}".encode()).digest()
