"""Parent orders behind the exit door: their children leave through it, and where they stand is in the journal.

Belongs here: what joins the parents' desk to the door and the ledger. What is decided is the algorithms', in which
order things happen :mod:`aegis.execution.algorithms.parent_desk`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime

from aegis.clock import Clock
from aegis.errors import DecisionConflict, ExecutionError
from aegis.execution.algorithms.parent_records import (
    WorkingAlgorithm,
    algorithm_from_record,
    algorithm_record,
    state_from_record,
    state_record,
)
from aegis.execution.algorithms.parent_state import ParentState
from aegis.execution.algorithms.planning import Planned
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.exit_door import ExitDoor

_MOST_REMEMBERED = 10_000
"""Ended children that are remembered; then they are asked for again."""


class ChildrenThroughTheDoor:
    """Where the desk's children go: a :class:`~aegis.execution.algorithms.parent_desk.ChildVenue`.

    Parameters
    ----------
    door : ExitDoor
        Asks, writes down and sends.

    Notes
    -----
    A child of which nobody knows whether it arrived stays open, and the door finds out before anything else is sent. A
    request that met a venue without an answer, or that a rule refused, is noted; the child works on as it is, and the
    other parents go on.
    """

    def __init__(self, door: ExitDoor) -> None:
        self._door = door
        self._statuses = _JournalledStatuses(door)
        self.failures: list[str] = []
        """What went wrong since somebody emptied it."""

    def submit(self, order: Order) -> None:
        """Send a child."""
        self._attempt(lambda: self._door.submit(order, is_child=True))

    def replace(self, order: Order, *, revision: int) -> None:
        """Ask for other terms of an open child."""
        self._attempt(lambda: self._door.replace(order, revision=revision))

    def cancel(self, client_order_id: str) -> None:
        """Ask for the end of a child."""
        self._attempt(lambda: self._door.cancel(client_order_id))

    def statuses(self) -> Mapping[str, OrderStatus]:
        """Return where orders stand by the journal."""
        return self._statuses

    def forget_children(self, state: ParentState) -> None:
        """Forget where the children of a parent stand that is worked no more."""
        self._statuses.forget(child.status.order.client_order_id for child in state.children)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except DecisionConflict:
            raise  # another process writes this account: nothing more may be done
        except ExecutionError as error:
            self.failures.append(str(error))


class _JournalledStatuses(Mapping[str, OrderStatus]):
    """Orders by client order id, looked up one by one; those that have ended are asked for once."""

    def __init__(self, door: ExitDoor) -> None:
        self._door = door
        self._ended: dict[str, OrderStatus] = {}

    def __getitem__(self, client_order_id: str) -> OrderStatus:
        status = self._ended.get(client_order_id) or self._door.status(client_order_id)
        if status is None:
            raise KeyError(client_order_id)
        if status.is_final:
            if len(self._ended) >= _MOST_REMEMBERED:
                self._ended.clear()
            self._ended[client_order_id] = status
        return status

    def forget(self, client_order_ids: Iterable[str]) -> None:
        """Drop ended orders from memory; they are asked for again if somebody wants to know."""
        for name in client_order_ids:
            self._ended.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._door.open_ids())

    def __len__(self) -> int:
        return len(self._door.open_ids())


class JournalledParents:
    """Where the states of parents are kept: a :class:`~aegis.execution.algorithms.parent_desk.ParentStore`.

    Parameters
    ----------
    ledger : WorkedLedger
        The account's page of the journal.
    clock : Clock
        Dates the rows.
    session_of : callable
        Which session an instant belongs to.

    Notes
    -----
    A kept state is durable with the commit of the action that follows it, which comes before anything leaves.
    """

    def __init__(self, ledger: WorkedLedger, *, clock: Clock, session_of: Callable[[datetime], date]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._session_of = session_of

    def keep(self, state: ParentState, algorithm: WorkingAlgorithm) -> None:
        """Write a state down; the end of a parent is an event of its order as well."""
        now = self._clock.now_utc()
        session = self._session_of(now)
        record = {"state": state_record(state), "algorithm": algorithm_record(algorithm)}
        self._ledger.keep_parent(state.order, record, session=session, at_utc=now)
        status = self._ledger.status(state.order.client_order_id)
        if state.has_ended and not (status is not None and status.is_final):  # one that was cancelled has its end
            self._ledger.record([worked_event(state, session, now)])

    def kept(self) -> tuple[Planned, ...]:
        """Return the parents that an earlier process was working, sorted by id."""
        found = []
        for _, record in sorted(self._ledger.parents().items()):
            state = state_from_record(record["state"])
            if not state.has_ended:
                found.append(Planned(state=state, algorithm=algorithm_from_record(record["algorithm"])))
        return tuple(found)


def worked_event(state: ParentState, session: date, at_utc: datetime) -> OrderEvent:
    """Return the end of a parent as an event of its order."""
    filled, wanted = abs(state.filled_shares), abs(state.order.quantity_shares)
    return OrderEvent(
        kind=OrderEventKind.WORKED,
        client_order_id=state.order.client_order_id,
        session=session,
        at_utc=at_utc,
        reason=f"{state.phase}: {filled:g} of {wanted:g} shares filled by {len(state.children)} children",
    )
