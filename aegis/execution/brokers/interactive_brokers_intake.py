"""What TWS's orders, statuses, executions and commissions mean for our orders.

Belongs here: which of our orders is meant, and which events follow. Events and answers end here alike, so what one has
told the other does not tell again. Executions decide what is filled; a status only says how many there must be.

Notes
-----
An execution waits for its commission, which is told apart from it, up to ``commission_wait_seconds`` and one more
question; a commission that comes later still is a fee of the account. An order's end is told when the executions that
the gateway counts have been. Statuses carry no time: they are dated when they arrive, by the gateway's clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.brokers.broker_book import BrokerBook, Execution
from aegis.execution.brokers.followed_actions import HeldTerms
from aegis.execution.brokers.interactive_brokers_ends import end_of, unexplained_fills
from aegis.execution.brokers.interactive_brokers_numbers import OrderNumbers
from aegis.execution.brokers.interactive_brokers_reports import (
    CANCELLED,
    ENDED,
    GatewayExecution,
    GatewayOrder,
    GatewayRefusal,
    GatewayStatus,
)
from aegis.execution.brokers.interactive_brokers_terms import has_terms, held_terms
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import FILL_TOLERANCE_SHARES
from aegis.execution.orders import Order, OrderEvent, OrderEventKind

_E = OrderEventKind
_WORKING = frozenset({"PreSubmitted", "Submitted"})


class InteractiveBrokersIntake:
    """Takes what the gateway says into a :class:`BrokerBook`; safe to share between threads.

    Parameters
    ----------
    book : BrokerBook
        Our orders.
    session_of : callable
        Which session an instant belongs to.
    now : callable
        The gateway's time.
    closes : callable
        When a session closes, UTC.
    client_id : int
        Ours.
    wants : callable
        Called when something is missing that a question would bring.
    waits : callable
        Called with each execution's id that waits for its commission; calls :meth:`asks_for_commission` later.
    tells_time : callable
        Takes the gateway's time whenever it is told.
    """

    def __init__(
        self,
        book: BrokerBook,
        session_of: Callable[[datetime], date],
        *,
        now: Callable[[], datetime],
        closes: Callable[[date], datetime],
        client_id: int,
        wants: Callable[[], None],
        waits: Callable[[str], None],
        tells_time: Callable[[datetime], None],
    ) -> None:
        self._book = book
        self._session_of = session_of
        self._now = now
        self._closes = closes
        self._client_id = client_id
        self._numbers = OrderNumbers(client_id)
        self._wants = wants
        self._waits = waits
        self.take_time = tells_time
        self._lock = threading.RLock()
        self._orders: dict[str, GatewayOrder] = {}
        self._filled: dict[str, float] = {}
        self._ended: dict[str, GatewayOrder | GatewayStatus] = {}
        self._words: dict[str, str] = {}
        self._refused: dict[str, GatewayRefusal] = {}
        self._asked: dict[tuple[str, int], Order] = {}
        self._cancelling: set[str] = set()
        self._uncancelled: set[str] = set()
        self._executed: dict[str, str] = {}
        self._told: set[str] = set()
        self._executed_at: dict[str, datetime] = {}
        self._uncharged: dict[str, tuple[str, GatewayExecution, bool]] = {}
        self._commissions: dict[str, float] = {}
        self._late: dict[str, AccountFee] = {}
        self._foreign: dict[int, GatewayOrder] = {}
        self.account_code = ""

    def recall(self, events: Iterable[OrderEvent]) -> None:
        """Take note of recorded fills and of changes that were asked for and not answered."""
        with self._lock:
            for event in events:
                if event.fill is not None and event.fill.execution_id is not None:
                    execution_id = event.fill.execution_id
                    self._executed[execution_id.rpartition(".")[0] or execution_id] = execution_id
                    self._told.add(execution_id)
                    if event.fill.commission_usd != 0:  # 0 may be one that had not come yet
                        self._commissions[execution_id] = event.fill.commission_usd
                elif event.kind is _E.REPLACE_REQUESTED and event.order is not None:
                    self._asked[event.client_order_id, event.revision] = event.order
                elif event.kind in (_E.REPLACED, _E.REPLACE_REJECTED):
                    self._asked.pop((event.client_order_id, event.revision), None)

    def expect_order(self, client_order_id: str, order_id: int) -> None:
        """Take note of the number under which an order of ours is sent."""
        with self._lock:
            self._numbers.expect(client_order_id, order_id)

    def expect_replacement(self, order: Order, revision: int) -> None:
        """Take note of the terms that we ask for."""
        with self._lock:
            self._asked[order.client_order_id, revision] = order

    def decline_replacement(self, client_order_id: str, revision: int, reason: str) -> None:
        """Take note that these terms were refused."""
        with self._lock:
            self._asked.pop((client_order_id, revision), None)
            self._tell(client_order_id, _E.REPLACE_REJECTED, revision=revision, reason=reason)

    def awaits_replacement(self, client_order_id: str, revision: int) -> bool:
        """Whether terms that we asked for are not answered."""
        with self._lock:
            return (client_order_id, revision) in self._asked

    def expect_cancel(self, client_order_id: str) -> None:
        """Take note that we ask for an order's end."""
        with self._lock:
            self._cancelling.add(client_order_id)
            self._uncancelled.discard(client_order_id)

    def decline_cancel(self, client_order_id: str, reason: str) -> None:
        """Take note that the gateway does not end an order."""
        with self._lock:
            self._uncancelled.add(client_order_id)
            self._tell(client_order_id, _E.CANCEL_REJECTED, reason=reason)

    def has_declined_cancel(self, client_order_id: str) -> bool:
        """Whether the last request for an order's end was declined."""
        with self._lock:
            return client_order_id in self._uncancelled

    def held(self, client_order_id: str) -> GatewayOrder | None:
        """Return an order of ours as the gateway last described it, its place among the open ones included."""
        with self._lock:
            return self._orders.get(client_order_id)

    def held_terms(self) -> dict[str, HeldTerms]:
        """Return orders of ours on the terms that the gateway last described, by client order id."""
        with self._lock:
            return {name: held_terms(order) for name, order in self._orders.items()}

    def order_id(self, client_order_id: str) -> tuple[int, int] | None:
        """Return the client id and number of an order, our own client's where it has one; see :class:`OrderNumbers`."""
        with self._lock:
            return self._numbers.newest(client_order_id)

    def awaiting_end(self, client_order_id: str) -> tuple[int, ...]:
        """Return our numbers of an order that are neither over nor being cancelled; one reference may have several."""
        with self._lock:
            return self._numbers.awaiting_end(client_order_id)

    def unended(self) -> frozenset[str]:
        """Return the references of our own client's orders that are told to be open, those of a second one included."""
        with self._lock:
            return self._numbers.unended()

    def foreign_orders(self) -> tuple[GatewayOrder, ...]:
        """Return open orders of the account that are not ours."""
        with self._lock:
            return tuple(self._foreign[number] for number in sorted(self._foreign))

    def forget_foreign_orders(self) -> None:
        """Begin a new list of foreign orders."""
        with self._lock:
            self._foreign.clear()

    def late_commissions(self) -> tuple[AccountFee, ...]:
        """Return commissions that were told after their fills had been."""
        with self._lock:
            return tuple(self._late[name] for name in sorted(self._late))

    def reject(self, client_order_id: str, reason: str) -> None:
        """Tell that an order of ours was not taken."""
        with self._lock:
            self._tell(client_order_id, _E.REJECTED, reason=reason)

    def take_order(self, order: GatewayOrder) -> None:
        """Take an order as the gateway holds it."""
        with self._lock:
            name = order.reference
            if not self._book.knows(name) or order.account not in ("", self.account_code):
                if order.status not in ENDED:
                    self._foreign[order.permanent_id] = order
                else:
                    self._foreign.pop(order.permanent_id, None)
                return
            self._recognise(name, order)
            if order.order_id or name not in self._orders:
                self._orders[name] = order
            self._filled[name] = max(self._filled.get(name, 0.0), order.filled_shares)
            self._follow(name, order)
            self._compare(name, order)

    def take_status(self, status: GatewayStatus) -> None:
        """Take how far an order is."""
        with self._lock:
            name = self._numbers.name_of(status.client_id, status.order_id, permanent_id=status.permanent_id)
            if name is None:
                return
            self._recognise(name, status)
            self._filled[name] = max(self._filled.get(name, 0.0), status.filled_shares)
            self._follow(name, status)
            if self._filled[name] > self._counted(name) + FILL_TOLERANCE_SHARES:
                self._wants()

    def take_execution(self, execution: GatewayExecution) -> None:
        """Take an execution; those of foreign orders are not ours to tell."""
        with self._lock:
            name = execution.reference if self._book.knows(execution.reference) else None
            name = name or self._numbers.name_of(permanent_id=execution.permanent_id)
            if name is None or execution.account not in ("", self.account_code):
                return
            self._recognise(name, execution)
            known = self._executed.setdefault(execution.root, execution.execution_id)
            if known != execution.execution_id:
                self._book.note(
                    f"order {name}: Interactive Brokers corrected execution {known} by {execution.execution_id} "
                    f"({execution.quantity_shares:g} at {execution.price_usd:g}); what was booked stands until a "
                    "person has compared it with the statement"
                )
                return
            commission = self._commissions.get(execution.execution_id)
            if execution.execution_id in self._told:
                return
            if commission is not None:
                self._tell_execution(name, execution, commission)
            elif execution.execution_id not in self._uncharged:
                self._uncharged[execution.execution_id] = (name, execution, False)
                self._waits(execution.execution_id)

    def take_commission(self, execution_id: str, amount: float, currency: str) -> None:
        """Take what an execution cost."""
        with self._lock:
            waiting = self._uncharged.get(execution_id)
            if currency != "USD":
                if waiting is not None or execution_id in self._told:
                    self._book.note(
                        f"execution {execution_id}: its commission is {amount:g} {currency}, and only USD is booked; "
                        "book it by hand"
                    )
                return
            is_first = execution_id not in self._commissions
            self._commissions.setdefault(execution_id, amount)
            if waiting is not None:
                del self._uncharged[execution_id]
                self._tell_execution(waiting[0], waiting[1], amount)
            elif is_first and amount != 0 and execution_id in self._told:
                day = self._now().date()
                self._late[execution_id] = AccountFee(
                    execution_id, day, amount, f"commission of execution {execution_id}, told after its fill"
                )

    def take_refusal(self, refusal: GatewayRefusal) -> None:
        """Take an error that names an order."""
        with self._lock:
            name = self._numbers.name_of(self._client_id, refusal.order_id)
            if name is None or refusal.is_remark:
                return
            if refusal.code == CANCELLED:
                self._words[name] = refusal.words.partition("reason:")[2].strip() or refusal.words
            elif refusal.rejects and not any(asked == name for asked, _ in self._asked):
                self._refused.setdefault(name, refusal)
            self._wants()

    def asks_for_commission(self, execution_id: str) -> None:
        """Take note that a commission has been waited for long enough: one more question, and the fill is told."""
        with self._lock:
            waiting = self._uncharged.get(execution_id)
            if waiting is not None:
                self._uncharged[execution_id] = (waiting[0], waiting[1], True)
                self._wants()

    def filled_there(self) -> dict[str, float]:
        """Return how many shares of our open orders Interactive Brokers counts as filled, as far as it told."""
        with self._lock:
            return {name: self._filled[name] for name in self._book.open_ids() if name in self._filled}

    def end_of_sweep(self, filled_before: Mapping[str, float]) -> None:
        """Tell fills that waited for their commission, and what executions lack of :meth:`filled_there` before it."""
        with self._lock:
            due = [(key, name, found) for key, (name, found, has_waited) in self._uncharged.items() if has_waited]
            for key, name, execution in due:
                del self._uncharged[key]
                self._tell_execution(name, execution, 0.0)
            for name in self._book.open_ids():
                self._note_other_terms(name)
                lacking = unexplained_fills(name, filled=filled_before.get(name, 0.0), told=self._counted(name))
                self._book.doubt(name, "executions", lacking)

    def _recognise(self, name: str, told: GatewayOrder | GatewayStatus | GatewayExecution) -> None:
        """Take note of the numbers that a message has for an order of ours."""
        if said := self._numbers.take(name, told):
            self._book.note(said)

    def _follow(self, name: str, told: GatewayOrder | GatewayStatus) -> None:
        if told.status in _WORKING:
            self._refused.pop(name, None)
            self._tell(name, _E.ACCEPTED)
        elif told.status == "PendingCancel":
            self._tell(name, _E.CANCEL_REQUESTED)
        elif told.status in ENDED and told.status != "Filled":
            if name not in self._ended or isinstance(told, GatewayOrder):
                self._ended[name] = told
            self._tell_end(name)

    def _compare(self, name: str, order: GatewayOrder) -> None:
        """Tell the replacement that the gateway's terms show to have been made."""
        for (asked, revision), terms in sorted(self._asked.items(), key=lambda item: item[0]):
            if asked == name and has_terms(order, terms):
                del self._asked[asked, revision]
                reason = reason_text(OrderReason.REPLACED_ON_REQUEST)
                self._tell(name, _E.REPLACED, revision=revision, reason=reason, order=terms)
                return

    def _note_other_terms(self, name: str) -> None:
        """Doubt an open order that the gateway holds on terms that are not ours."""
        held, ours = self._orders.get(name), self._book.status(name).order
        if held is None or held.status in ENDED or any(asked == name for asked, _ in self._asked):
            return
        said = (
            f"order {name} ({ours.symbol}): Interactive Brokers holds {held.quantity_shares:g} {held.ticker} at "
            f"{held.limit_price_usd} / {held.auxiliary_usd}, expected {ours.quantity_shares:g} {ours.ticker} at "
            f"{ours.limit_price_usd} / {ours.stop_price_usd}; somebody else changed it"
        )
        self._book.doubt(name, "terms", "" if has_terms(held, ours) else said)

    def _counted(self, name: str) -> float:
        """Return the unsigned shares of the executions that came, told or waiting for their commission."""
        waiting = sum(abs(found.quantity_shares) for other, found, _ in self._uncharged.values() if other == name)
        return self._book.told_shares(name) + waiting

    def _tell_execution(self, name: str, execution: GatewayExecution, commission_usd: float) -> None:
        at = self._executed_at[name] = max(
            execution.executed_at_utc, self._executed_at.get(name, execution.executed_at_utc)
        )
        self._told.add(execution.execution_id)
        if not self._book.told_shares(name):
            self._tell(name, _E.ACCEPTED, at_utc=at)
        self._book.tell_execution(
            Execution(
                client_order_id=name,
                execution_id=execution.execution_id,
                quantity_shares=execution.quantity_shares,
                price_usd=execution.price_usd,
                commission_usd=commission_usd,
                executed_at_utc=execution.executed_at_utc,
            )
        )
        self._tell_end(name)

    def _tell_end(self, name: str) -> None:
        told = self._ended.get(name)
        filled = self._filled.get(name, 0.0)
        if told is None or self._numbers.is_open(name) or self._book.told_shares(name) < filled - FILL_TOLERANCE_SHARES:
            return
        at = told.ended_at_utc if isinstance(told, GatewayOrder) and told.ended_at_utc is not None else self._now()
        at = max(at, self._executed_at.get(name, at))
        kind, reason = end_of(
            self._book.status(name).order,
            at_utc=at,
            words=self._words.get(name) or (told.words if isinstance(told, GatewayOrder) else ""),
            refusal=self._refused.get(name),
            is_inactive=told.status == "Inactive",
            has_fills=filled > 0 or self._book.told_shares(name) > 0,
            was_asked_for=name in self._cancelling,
            closes=self._closes,
        )
        if kind is not _E.REJECTED:
            self._tell(name, _E.ACCEPTED, at_utc=at)
        self._tell(name, kind, at_utc=at, reason=reason)

    def _tell(self, name: str, kind: OrderEventKind, *, at_utc: datetime | None = None, **parts: Any) -> None:
        at = at_utc or self._now()
        self._book.tell(OrderEvent(kind=kind, client_order_id=name, session=self._session_of(at), at_utc=at, **parts))
