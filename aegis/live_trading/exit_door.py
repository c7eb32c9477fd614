"""The one door through which orders leave: asked, written down, then sent, and never twice.

Belongs here: the order of these steps, and what is done about an order of which nobody knows whether it left. What is
asked is :mod:`aegis.live_trading.risk_manager`, how it is written down :mod:`aegis.live_trading.door_record`.

Notes
-----
Before the first byte of an order leaves, one commit of the journal holds its intent, the verdict and 'submitted', and
the journal's head is kept at its anchor, where there is one. A process that dies after it leaves an order that is
perhaps at the venue; the next one asks the venue for it, and sends it only where the venue says that it has none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime

from aegis.clock import Clock
from aegis.errors import AnchorUnavailable, BrokerUnavailable, ExecutionError, SubmissionUnknown
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.broker_abilities import RepeatingBroker
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import UNSENT, OrderState, OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.anchoring import Anchoring
from aegis.live_trading.door_record import DoorRecord
from aegis.live_trading.doubtful_orders import DoubtfulOrders
from aegis.live_trading.exit_permits import ExitPermit, FlattenPermit, OrdinaryPermit, flatten_request, require_released
from aegis.live_trading.exit_review import ExitReview, MadeBy
from aegis.live_trading.heard_events import HeardEvents
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.opening_terms import OpeningTerms
from aegis.live_trading.sending_lock import SendingLock
from aegis.risk.exit_view import ExitVerdict


class ExitDoor:
    """The way out of one account.

    Parameters
    ----------
    broker : Broker
        Connected.
    ledger : WorkedLedger
        The account's page of the journal; this door is its only writer.
    rules : ExitReview
        What is asked of every order.
    switch : KillSwitch
        Asked last, while the lock is held.
    sending : SendingLock
        Held while an order is on its way.
    clock : Clock
        Dates what happens on this side.
    session_of : callable
        Which session an instant belongs to: the one that began last.
    made_by : MadeBy
        Written with orders that no asset decided.
    flatten : FlattenPermit
        Lets orders leave that close a position while the switch is engaged.
    anchoring : Anchoring, optional
        Keeps the journal's head a second time before anything is sent.

    Notes
    -----
    Safe to share between threads; orders leave one at a time.
    """

    def __init__(
        self,
        broker: Broker,
        ledger: WorkedLedger,
        *,
        rules: ExitReview,
        switch: KillSwitch,
        sending: SendingLock,
        clock: Clock,
        session_of: Callable[[datetime], date],
        made_by: MadeBy,
        flatten: FlattenPermit,
        anchoring: Anchoring | None = None,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._rules = rules
        self._ordinary = OrdinaryPermit(rules, switch)
        self._flatten = flatten
        self._switch = switch
        self._sending = sending
        self._anchoring = anchoring
        self._clock = clock
        self._session_of = session_of
        self._record = DoorRecord(ledger, clock=clock, session_of=session_of, made_by=made_by)
        self._heard = HeardEvents(broker, ledger, rules=rules, clock=clock)
        self._lock = threading.RLock()
        self._doubtful = DoubtfulOrders(broker, self._record, clock=clock)
        if isinstance(broker, RepeatingBroker):
            broker.repeat_unless(lambda order: bool(self._permit(order).stopped(order)))

    def submit(self, order: Order, *, is_child: bool = False) -> OrderStatus:
        """Let an order out, at most once, and return where it stands.

        Parameters
        ----------
        order : Order
            One of a committed decision, a child of one, or one that nobody decided before: then it is committed here,
            as a decision of its own.
        is_child : bool
            Whether it works an order of the decision that it names.

        Returns
        -------
        OrderStatus
            REFUSED or CANCELLED where a rule kept it, with the rule in the journal.

        Raises
        ------
        OrderRejected
            The id belongs to an order with other terms. Nothing was sent.
        SubmissionUnknown
            Nobody knows whether it arrived. :meth:`recover` finds out; until then the broker takes no other order.
        JournalError
            It could not be written down: it ends unsent. Or what was written could not be anchored: nothing was sent,
            and :meth:`settle_doubts` sends it once the anchor answers, if the rules still let it.
        """
        name = order.client_order_id
        with self._lock:
            status = self._record.known(order)
            order = order if status is None else self._ledger.committed_order(name)
            if status is not None and status.state is not OrderState.APPROVED:
                if status.is_final or (status.state is not OrderState.SUBMITTED and name not in self._doubtful):
                    return status
                return self._find_or_send(order)
            permit = self._permit(order)
            verdict = permit.review(order)
            refusal = verdict.refusal
            try:
                if status is None:
                    self._record.commit(order, refusal or None, is_child=is_child)
                elif refusal:
                    self._record.record(order, OrderEventKind.CANCELLED, reason_text(OrderReason.EXIT_RULE, refusal))
                self._record.note(order, verdict)
                if not refusal:
                    self._record.record(order, OrderEventKind.SUBMITTED)
                self._ledger.flush()
            except BaseException:  # whatever it was: what is pending is written by the next order's flush
                if not refusal:
                    permit.withdraw(name)
                    self._record.end_unwritten(order)
                raise
            return self._require(name) if refusal else self._send(order)

    def adjust(self, order: Order, terms: OpeningTerms) -> OrderStatus:
        """Give an order that was not sent the terms of its session, once, and return where it stands.

        Parameters
        ----------
        order : Order
            As it was committed.
        terms : OpeningTerms
            What the actions of its session make of it; without an order it ends here.

        Raises
        ------
        ExecutionError
            It was adjusted to other terms before: the actions of its session are not those of then. It stays as it is.
        """
        name = order.client_order_id
        with self._lock:
            status = self._require(name)
            if status.state is not OrderState.APPROVED or status.order == terms.order:
                return status
            self._ledger.record([self._record.adjustment(order, terms, standing=status.order)])
            self._ledger.flush()
            return self._require(name)

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Ask for the end of an order and return where it stands; never held up by a rule or the kill switch.

        Raises
        ------
        ExecutionError
            The order was never committed.
        BrokerUnavailable
            The venue gives no usable answer; ask again.
        """
        with self._lock:  # what another thread is sending is at the venue then
            status = self._require(client_order_id)
            if status.is_final:
                return status
            if status.state is OrderState.APPROVED:
                self._record.record(status.order, OrderEventKind.CANCELLED, reason_text(OrderReason.BY_REQUEST))
                self._ledger.flush()
                return self._require(client_order_id)
        self._doubtful.cancel(client_order_id)
        self.take_events()
        return self._require(client_order_id)

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Ask for other terms of an open order and return where it stands.

        Raises
        ------
        ExecutionError
            The order was never committed, a rule refuses the new terms, or the kill switch is engaged. The order keeps
            its terms.
        AnchorUnavailable
            The journal's head cannot be anchored; the order keeps its terms.
        """
        name = order.client_order_id
        with self._lock:
            status = self._require(name)
            if status.is_final:
                return status
            self._require_anchored(order)  # before anything is written of terms that cannot be sent now
            verdict = self._rules.review(order, is_replacement=True)
            if verdict.refusal:
                self._record.note(order, verdict)
                self._ledger.flush()
                raise ExecutionError(
                    f"order {name} ({order.symbol}) keeps its terms, the new ones were not sent: {verdict.refusal}"
                )
            self._send_terms(order, verdict, revision)
            self.take_events()
            return self._require(name)

    def take_events(self) -> tuple[OrderEvent, ...]:
        """Write down what the broker has told since the last time, and return it.

        Raises
        ------
        JournalError
            It could not be written; the same events are taken again.
        """
        with self._lock:
            return self._heard.take()

    @property
    def heard(self) -> int:
        """How many events of the broker are written down, by whichever thread."""
        return self._heard.sequence

    def contradictions(self) -> tuple[str, ...]:
        """Return what the broker told that the journal has otherwise; reconciliation decides."""
        with self._lock:
            return (*self._heard.contradictions, *self._doubtful.missing().values())

    def missing(self) -> tuple[str, ...]:
        """Return the doubtful orders that the venue was asked for and does not tell of, sorted."""
        with self._lock:
            return tuple(self._doubtful.missing())

    def doubtful(self) -> tuple[str, ...]:
        """Return the orders of which nobody knows whether they arrived, sorted; nothing is asked."""
        with self._lock:
            return self._doubtful.names()

    def recover(self) -> tuple[OrderStatus, ...]:
        """Take over what an earlier process left: ask the venue for every order that is not at its end.

        Returns
        -------
        tuple of OrderStatus
            Where they stand. What never reached the venue stays 'submitted'; :meth:`settle_doubts` goes on with it.

        Raises
        ------
        BrokerUnavailable
            The venue gives no usable answer; nothing is known, so nothing may be sent.
        """
        with self._lock:
            histories = self._ledger.histories()
            sent = {name: found for name, found in histories.items() if found[0].state not in UNSENT}
            for name, (_, answers) in sent.items():
                self._broker.adopt(self._ledger.committed_order(name), answers)
            self._broker.open_orders()  # what was a stranger before it was adopted is one of ours now
            self._doubtful.find([self._ledger.committed_order(name) for name in sent])
            self.take_events()
            return tuple(self._require(name) for name in sorted(sent))

    def settle_doubts(self) -> tuple[str, ...]:
        """Ask again for orders of which nobody knows whether they arrived; return those still unknown, sorted.

        Notes
        -----
        One that the venue never had is sent, if the rules still let it, and ended where its session is over. One that
        it acknowledged, or of which its answer proves nothing, stays until the venue, or a person, tells of it.
        """
        for name in self._doubtful.due():
            with self._lock:
                status = self._require(name)
                if status.is_final:
                    self._doubtful.discard(name)
                    continue
                with suppress(SubmissionUnknown, BrokerUnavailable, AnchorUnavailable):
                    self._find_or_send(self._ledger.committed_order(name))
        return self.doubtful()

    def give_up(self, client_order_id: str, reason: str) -> OrderStatus:
        """End an order that the venue never had, and return it.

        Raises
        ------
        ExecutionError
            The venue has it: cancel it instead. SubmissionUnknown where it had it, or its answer proves nothing.
        """
        with self._lock:
            status = self._require(client_order_id)
            if status.is_final:
                return status
            if status.state not in UNSENT and self._doubtful.is_at_venue(status.order):
                raise ExecutionError(
                    f"order {client_order_id} ({status.order.symbol}) is at the venue; cancel it, it cannot be given up"
                )
            ended = self._record.record(status.order, OrderEventKind.CANCELLED, reason)
            self._ledger.flush()
            self._doubtful.discard(client_order_id)
            self._rules.settle(ended)
            return self._require(client_order_id)

    def status(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands by the journal; None if it was never committed."""
        with self._lock:
            return self._ledger.status(client_order_id)

    def open_ids(self) -> tuple[str, ...]:
        """Return the orders that are not at their end by the journal, sorted."""
        with self._lock:
            return self._ledger.open_ids()

    @contextmanager
    def held(self) -> Iterator[WorkedLedger]:
        """Yield the ledger while nothing leaves; what is written into it is flushed afterwards."""
        with self._lock:
            yield self._ledger
            self._ledger.flush()

    def _find_or_send(self, order: Order) -> OrderStatus:
        """Return an order that the venue has; send one that it has not, if the rules still let it."""
        name = order.client_order_id
        if self._doubtful.is_at_venue(order):
            self.take_events()
            return self._require(name)
        if self._session_of(self._clock.now_utc()) > order.execution_session:
            return self.give_up(name, reason_text(OrderReason.NEVER_SENT, f"its session was {order.execution_session}"))
        self._require_anchored(order)  # before anything is written of an order that cannot be sent now
        # It was let through before; it is judged anew in the place of what was reserved then.
        verdict = self._permit(order).review(order, is_replacement=True)
        self._record.note(order, verdict)
        self._ledger.flush()
        if verdict.refusal:
            told = f"{verdict.refusal}; it never reached the venue"
            return self.give_up(name, reason_text(OrderReason.EXIT_RULE, told))
        return self._send(order)

    def _send(self, order: Order) -> OrderStatus:
        name = order.client_order_id
        self._doubtful.add(name)
        self._require_anchored(order)
        with self._sending.sending():
            stopped = self._permit(order).stopped(order)
            if not stopped:
                self._broker.submit(order)
                self._doubtful.discard(name)
        if stopped:
            return self.give_up(name, reason_text(OrderReason.KILL_SWITCH, stopped))
        self.take_events()
        return self._require(name)

    def _send_terms(self, order: Order, verdict: ExitVerdict, revision: int) -> None:
        """Write terms down and ask the venue for them; where it is not asked, whatever for, they are taken back."""
        is_written = is_asked = False
        try:
            self._record.request_terms(order, verdict, revision)
            is_written = True
            self._ledger.flush()
            self._require_anchored(order)
            with self._sending.sending():
                require_released(order, self._switch)
                is_asked = True
                self._broker.replace(order, revision=revision)
        except BaseException as error:
            if not is_asked:
                self._rules.withdraw(order.client_order_id)
            if is_written and not is_asked:
                self._record.decline(order, revision, why=str(error))
            raise

    def _require_anchored(self, order: Order) -> None:
        if self._anchoring is not None and not flatten_request(order.decision_id):  # a stop waits for nothing
            self._anchoring.require()

    def _permit(self, order: Order) -> ExitPermit:
        return self._flatten if flatten_request(order.decision_id) else self._ordinary

    def _require(self, client_order_id: str) -> OrderStatus:
        with self._lock:
            return self._record.require(client_order_id)
