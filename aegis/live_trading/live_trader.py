"""A session of trading: committed decisions are released, worked by their algorithms, and wound down when stopped.

Belongs here: what is done at each tick of the clock, and in which order. The account is
:mod:`aegis.live_trading.execution_system`, one order's way out :mod:`aegis.live_trading.exit_door`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config_eval import ExecutionEval
from aegis.errors import AegisError, DecisionConflict, JournalError
from aegis.execution.algorithms.parent_desk import ParentDesk
from aegis.execution.algorithms.parent_state import ParentState
from aegis.execution.algorithms.planning import PastMarket, plan
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalHead
from aegis.execution.order_projections import committed_decisions
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import OrderState
from aegis.execution.orders import Order
from aegis.live_data.port import MarketFeed
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.opening_terms import terms_at_opening
from aegis.live_trading.session_actions import no_actions
from aegis.live_trading.untraded_orders import end_untraded
from aegis.live_trading.worked_parents import ChildrenThroughTheDoor, JournalledParents

_AT_ONCE = "market"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraderReport:
    """Where the trader stands.

    Parameters
    ----------
    at_utc : datetime
        When it looked.
    stopped : str
        Why nothing may leave; empty while orders may.
    breaks : tuple of str
        What differs from the broker.
    parents : tuple of ParentState
        Parent orders at work, sorted by id.
    failures : tuple of str
        What went wrong since the last report.
    """

    at_utc: datetime
    stopped: str
    breaks: tuple[str, ...]
    parents: tuple[ParentState, ...]
    failures: tuple[str, ...]

    def with_failures(self, more: Sequence[str]) -> TraderReport:
        """Return the report with more that went wrong."""
        return replace(self, failures=(*more, *self.failures)) if more else self


class LiveTrader:
    """Trades what was committed for one account.

    Parameters
    ----------
    system : ExecutionSystem
        The account; recovered and reconciled.
    journal : Journal
        Of the account; other processes commit decisions to it.
    calendar : TradingCalendar
        Sessions of the venue.
    clock : Clock
        The machine's, or a simulation's.
    settings : ExecutionEval
        How orders are worked.
    feed : MarketFeed
        Quotes and volumes of now.
    past : callable
        From an order to what past sessions tell of its symbol.
    has_room : callable, optional
        Whether the order rates leave room for one more order now.
    actions : callable, optional
        From a session to its corporate actions, as they are known now; by default there are none.

    Notes
    -----
    Only decisions whose execution session is open, or the next one, are released: what was not traded in its session is
    not made up for. Parents that an earlier process was working are taken over as they were kept. An order that goes to
    the venue whole waits for a quote that is no older than ``max_data_age_seconds``: the rules at the door need one.

    An order was decided in the shares and under the ticker of an evening. Before it is released, on the day of its
    session, it takes the terms of the session (:mod:`aegis.live_trading.opening_terms`), so nothing is released while
    the session's corporate actions are not known. Before the opening they count as they were announced, and are asked
    for again when it comes: what is not at the venue then, and would go out on other terms, is ended.
    """

    def __init__(
        self,
        system: ExecutionSystem,
        journal: Journal,
        *,
        calendar: TradingCalendar,
        clock: Clock,
        settings: ExecutionEval,
        feed: MarketFeed,
        past: Callable[[Order], PastMarket],
        has_room: Callable[[], bool] = lambda: True,
        actions: Callable[[date], Sequence[CorporateAction]] = no_actions,
    ) -> None:
        self._system = system
        self._journal = journal
        self._calendar = calendar
        self._clock = clock
        self._settings = settings
        self._feed = feed
        self._past = past
        self._has_room = has_room
        self._actions = actions
        self._zone = ZoneInfo(calendar.time_zone)
        self._venue = ChildrenThroughTheDoor(system.door)
        parents = JournalledParents(system.ledger, clock=clock, session_of=system.session_of)
        self._desk = ParentDesk(self._venue, parents, clock=clock, observe=feed.observe)
        self._released: set[str] = set()
        self._waiting: dict[str, Order] = {}
        self._not_yet: dict[str, Order] = {}
        self._seen: tuple[JournalHead, date, bool, bool] | None = None
        self._ended_before: date | None = None
        for kept in parents.kept():
            self._released.add(kept.state.order.client_order_id)
            self._desk.take(kept.state, kept.algorithm)

    def step(self, learn: Callable[[], object] = lambda: None) -> TraderReport:
        """Look at everything once, do what is due, and return where the trader stands.

        Parameters
        ----------
        learn : callable, optional
            Called between the release of orders and the sending of the first: :meth:`symbols` may be others by then.

        Raises
        ------
        AegisError
            The journal cannot be written, or the broker does not answer; nothing more was done in this step.
        """
        system = self._system
        system.step()
        self._end_untraded()
        self._end_cancelled()
        stopped = system.stopped
        if stopped:
            self._wind_down(stopped)
        elif not system.breaks:
            self._release()
            learn()
            self._feed.watch(frozenset(self.symbols()))
            self._send_waiting()
            self._desk.on_clock(self._has_room)
        for state in self._desk.states():
            if state.has_ended:
                self._desk.release(state.order.client_order_id)
                self._venue.forget_children(state)
        with system.door.held():  # what parents noted without sending anything is durable too
            failures, self._venue.failures = tuple(self._venue.failures), []
        return TraderReport(
            at_utc=self._clock.now_utc(),
            stopped=stopped,
            breaks=system.breaks,
            parents=self._desk.states(),
            failures=failures,
        )

    def attempt(self, learn: Callable[[], object] = lambda: None) -> TraderReport:
        """Step; what fails is in the report and is tried again with the next step."""
        try:
            return self.step(learn)
        except AegisError as error:
            return TraderReport(
                at_utc=self._clock.now_utc(),
                stopped=self._system.stopped,
                breaks=self._system.breaks,
                parents=self._desk.states(),
                failures=(str(error),),
            )

    def symbols(self) -> set[str]:
        """Return the permanent symbols that matter now: of parents at work, orders that wait, and what is held."""
        ordered = {state.order.symbol for state in self._desk.states()}
        waiting = {order.symbol for order in (*self._waiting.values(), *self._not_yet.values())}
        return ordered | waiting | set(self._system.held_symbols)

    def waiting(self) -> tuple[str, ...]:
        """Return the ids of decided orders that have not come to their end, whoever works them, sorted."""
        approved = (s.order.client_order_id for s in self._system.open_orders() if s.state is OrderState.APPROVED)
        return tuple(sorted({*approved, *self._waiting, *self._not_yet}))

    def execution_session(self) -> date:
        """Return the session that is open, or comes next."""
        return self._execution_session(self._clock.now_utc())

    def _release(self) -> None:
        """Send, or begin to work, the approved orders of the session that is open or comes next, from its day on."""
        head = self._journal.head()
        now = self._clock.now_utc()
        session = self._execution_session(now)
        is_its_day = now.astimezone(self._zone).date() >= session
        is_open = now >= self._calendar.open_utc(session)
        looked_at = session, is_its_day, is_open
        if (head, *looked_at) == self._seen:
            return
        if is_open:
            self._end_outdated(session)
        decided_in = self._calendar.previous(session)
        have_begun = True
        # What a step before has read of the session need not be read again: the journal of a long day is large.
        after = self._seen[0].sequence if self._seen is not None and self._seen[1:] == looked_at else 0
        if after == 0:
            self._not_yet = {}
        for decision in committed_decisions(self._journal, first=decided_in, last=decided_in, after=after).values():
            for order in decision.approved:
                if order.execution_session == session and order.client_order_id not in self._released:
                    if is_its_day:
                        have_begun &= self._has_begun(order, now)
                    else:
                        self._not_yet[order.client_order_id] = order
        if have_begun:
            self._seen = (head, *looked_at)
            # Where the others stand is in the journal: they are asked for again if the session is read again.
            at_work = {state.order.client_order_id for state in self._desk.states()}
            self._released &= at_work | self._waiting.keys()

    def _has_begun(self, order: Order, now_utc: datetime) -> bool:
        """Begin with an order; where that fails it is told, the others go on, and the next step tries again."""
        try:
            self._begin(order, now_utc)
        except (DecisionConflict, JournalError):
            raise  # nothing more may be done
        except AegisError as error:
            self._venue.failures.append(str(error))
            return False
        return True

    def _end_outdated(self, session: date) -> None:
        """End what began before the opening on terms that the session's actions, known since, make others.

        Raises
        ------
        AegisError
            They are not known.
        """
        begun = [state.order for state in self._desk.states() if not state.has_ended and not state.children]
        if not self._waiting and not begun:
            return
        actions = self._actions(session)
        for order in (*begun, *self._waiting.values()):
            first = self._system.ledger.first_terms(order.client_order_id)
            terms = terms_at_opening(first, actions)
            if order.execution_session == session and terms.order != order:
                why = f"it began before the opening, when the session's actions were others: {terms.reason}"
                if order.client_order_id in self._waiting:
                    del self._waiting[order.client_order_id]
                    self._system.door.give_up(order.client_order_id, reason_text(OrderReason.NEVER_SENT, why))
                else:
                    self._desk.cancel(order.client_order_id, reason=why)

    def _begin(self, order: Order, now_utc: datetime) -> None:
        name = order.client_order_id
        status = self._system.door.status(name)
        if status is not None and status.state is OrderState.APPROVED:
            terms = terms_at_opening(order, self._actions(order.execution_session))
            status = self._system.door.adjust(order, terms)
        if status is None or status.state is not OrderState.APPROVED:
            self._released.add(name)
            return
        order = status.order
        if order.algorithm == _AT_ONCE:
            self._waiting[name] = order
        else:
            planned = plan(
                ParentState(order=order),
                settings=self._settings,
                calendar=self._calendar,
                past=self._past(order),
                released_at_utc=now_utc,
            )
            self._desk.take(planned.state, planned.algorithm)
        self._released.add(name)

    def _end_untraded(self) -> None:
        """Say, once for each session, how the orders of earlier ones ended that nobody traded."""
        now = self._clock.now_utc()
        session = self._execution_session(now)
        if session == self._ended_before:
            return
        late = {s.order.client_order_id for s in self._desk.states() if s.order.execution_session < session}
        end_untraded(
            self._system.door,
            self._journal,
            before=session,
            at_work=late,
            session=self._system.session_of(now),
            at_utc=now,
        )
        if not late:
            self._ended_before = session

    def _end_cancelled(self) -> None:
        """End the children of a parent whose order has ended in the journal: somebody has cancelled it."""
        for state in self._desk.states():
            name = state.order.client_order_id
            status = self._system.door.status(name)
            if not state.has_ended and status is not None and status.is_final:
                self._desk.cancel(name, reason=f"its order is {status.state}")

    def _send_waiting(self) -> None:
        session = self._execution_session(self._clock.now_utc())
        longest = timedelta(seconds=self._settings.max_data_age_seconds)
        for name, order in sorted(self._waiting.items()):
            if order.execution_session < session:
                del self._waiting[name]  # how it ended is said by whoever ends what nobody traded
                continue
            # The time is asked after the market: a quote of this very moment would be one of the future otherwise.
            market = self._feed.observe(order.symbol)
            if self._has_room() and market.has_quote(self._clock.now_utc(), longest):
                self._system.submit_order(order)
                del self._waiting[name]

    def _wind_down(self, reason: str) -> None:
        for state in self._desk.states():
            if not state.has_ended:
                self._desk.cancel(state.order.client_order_id, reason=reason)

    def _execution_session(self, now_utc: datetime) -> date:
        session = self._system.session_of(now_utc)
        return session if now_utc < self._calendar.close_utc(session) else self._calendar.next(session)
