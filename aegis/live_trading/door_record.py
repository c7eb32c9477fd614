"""What the exit door writes down of an order, and where the journal says that it stands.

Belongs here: the rows of one order's way out, and refusing other terms under an id that was used. When they are written
is :mod:`aegis.live_trading.exit_door`; what may be written :mod:`aegis.execution.worked_ledger`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime

from aegis.clock import Clock
from aegis.errors import ExecutionError, JournalError, OrderRejected
from aegis.execution.decisions import Decision
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.exit_review import MadeBy
from aegis.live_trading.opening_terms import OpeningTerms
from aegis.risk.exit_view import ExitVerdict


class DoorRecord:
    """The door's hand in the journal; durable with the ledger's next flush.

    Parameters
    ----------
    ledger : WorkedLedger
        The account's page of the journal.
    clock : Clock
        Dates what happens on this side.
    session_of : callable
        Which session an instant belongs to: the one that began last.
    made_by : MadeBy
        Written with orders that no asset decided.
    """

    def __init__(
        self, ledger: WorkedLedger, *, clock: Clock, session_of: Callable[[datetime], date], made_by: MadeBy
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._session_of = session_of
        self._made_by = made_by

    def commit(self, order: Order, refusal: str | None, *, is_child: bool) -> None:
        """Write the intent of an order down, with the rules that refused it.

        Raises
        ------
        OrderRejected
            Its decision was committed with other orders.
        """
        now = self._clock.now_utc()
        if is_child:
            self._ledger.commit_child(order, refusal, session=self._session_of(now), at_utc=now)
            return
        decision = Decision(
            decision_id=order.decision_id,
            account=order.account,
            session=order.session,
            orders=(order,),
            gate_rows=(),  # what the door said is a row of its own
            input_snapshot_id=self._made_by.input_snapshot_id,
            code_version=self._made_by.code_version,
            config_hash=self._made_by.config_hash,
            refusals={} if refusal is None else {order.client_order_id: refusal},
        )
        outcome = self._ledger.commit(decision, at_utc=now)
        if outcome.conflict is not None:
            raise OrderRejected(outcome.conflict)

    def note(self, order: Order, verdict: ExitVerdict) -> None:
        """Write down what the rules said."""
        now = self._clock.now_utc()
        self._ledger.note_verdict(order, verdict.to_json(), session=self._session_of(now), at_utc=now)

    def record(self, order: Order, kind: OrderEventKind, reason: str = "") -> OrderEvent:
        """Write down what happened on this side, and return it."""
        event = self.event(order, kind, reason=reason)
        self._ledger.record([event])
        return event

    def end_unwritten(self, order: Order) -> None:
        """See to it that an order that could not be written down ends unsent, once the journal can be written again."""
        status = self._ledger.status(order.client_order_id)
        if status is not None and status.state is OrderState.SUBMITTED:
            why = reason_text(OrderReason.NEVER_SENT, "the journal could not be written")
            self.record(order, OrderEventKind.CANCELLED, why)

    def request_terms(self, order: Order, verdict: ExitVerdict, revision: int) -> None:
        """Write down that the venue is about to be asked for other terms."""
        self.note(order, verdict)
        self._ledger.record([self.event(order, OrderEventKind.REPLACE_REQUESTED, revision=revision, terms=order)])

    def decline(self, order: Order, revision: int, *, why: str) -> None:
        """Write down that new terms never left; with the next flush, where the journal cannot be written now."""
        reason = reason_text(OrderReason.NEVER_SENT, why)
        self._ledger.record([self.event(order, OrderEventKind.REPLACE_REJECTED, revision=revision, reason=reason)])
        with suppress(JournalError):
            self._ledger.flush()

    def is_acknowledged(self, client_order_id: str) -> bool:
        """Whether the venue said that it has an order that was sent; its own changes and answers say so as well.

        Raises
        ------
        ExecutionError
            It was never committed.
        """
        status = self.require(client_order_id)
        changed = status.order != self._ledger.committed_order(client_order_id)
        return status.state is not OrderState.SUBMITTED or status.is_cancel_requested or changed

    def event(
        self, order: Order, kind: OrderEventKind, *, reason: str = "", revision: int = 0, terms: Order | None = None
    ) -> OrderEvent:
        """Return an event of now."""
        now = self._clock.now_utc()
        return OrderEvent(
            kind=kind,
            client_order_id=order.client_order_id,
            session=self._session_of(now),
            at_utc=now,
            reason=reason,
            revision=revision,
            order=terms,
        )

    def adjustment(self, order: Order, terms: OpeningTerms, *, standing: Order) -> OrderEvent:
        """Return the event of now by which an order takes the terms of its session, or ends without any.

        Parameters
        ----------
        order : Order
            As it was committed.
        terms : OpeningTerms
            What the session makes of it.
        standing : Order
            As it stands in the journal.

        Raises
        ------
        ExecutionError
            It was adjusted to other terms before.
        """
        if standing != order:
            raise ExecutionError(
                f"order {order.client_order_id} ({order.symbol}, session {order.execution_session}): it was adjusted "
                f"to {standing.quantity_shares:g} {standing.ticker}, and the session's corporate actions now make it "
                f"{0.0 if terms.order is None else terms.order.quantity_shares:g}; it is not sent. Correct the actions "
                "at the source, or let it end with its session"
            )
        if terms.order is None:
            return self.event(order, OrderEventKind.CANCELLED, reason=terms.reason)
        found = self.event(order, OrderEventKind.ADJUSTED, reason=terms.reason, revision=1, terms=terms.order)
        return replace(found, split_ratio=terms.split_ratio)

    def known(self, order: Order) -> OrderStatus | None:
        """Return where an order stands that was committed, None for a new one.

        Raises
        ------
        OrderRejected
            Other terms were committed under its id.
        """
        status = self._ledger.status(order.client_order_id)
        if status is None:
            return None
        committed = self._ledger.committed_order(order.client_order_id)
        if order not in (committed, self._ledger.first_terms(order.client_order_id)):
            raise OrderRejected(
                f"order {order.client_order_id} ({order.symbol}): {committed.quantity_shares:g} {committed.symbol} "
                f"{committed.order_type} was committed under this id, found {order.quantity_shares:g} {order.symbol} "
                f"{order.order_type} with other terms; nothing was sent. A changed order needs a new decision number"
            )
        return status

    def require(self, client_order_id: str) -> OrderStatus:
        """Return where an order stands.

        Raises
        ------
        ExecutionError
            It was never committed.
        """
        status = self._ledger.status(client_order_id)
        if status is None:
            raise ExecutionError(
                f"order {client_order_id}: the journal does not know it; a foreign order is cancelled at the broker"
            )
        return status
