"""Driving parent orders: clock and market in, children out, and every state kept before anything is sent.

Belongs here: the order in which things happen. What is decided is the algorithms'; whether a child may leave, and how
it does, is the business of what stands behind :class:`ChildVenue`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from aegis.clock import Clock
from aegis.errors import ExecutionError
from aegis.execution.algorithms.actions import Action, ReplaceChild, Step, SubmitChild
from aegis.execution.algorithms.child_orders import cancelled, told, unsent
from aegis.execution.algorithms.observation import MarketObservation
from aegis.execution.algorithms.parent_records import WorkingAlgorithm
from aegis.execution.algorithms.parent_state import ParentState
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order


class ChildVenue(Protocol):
    """Where children go: gate, journal and broker, or a simulation.

    Notes
    -----
    What is refused or rejected is the status of the child, not an exception. Submitting an id again is the same order.
    """

    def submit(self, order: Order) -> None:
        """Send a child."""
        ...

    def replace(self, order: Order, *, revision: int) -> None:
        """Ask for other terms of an open child."""
        ...

    def cancel(self, client_order_id: str) -> None:
        """Ask for the end of a child."""
        ...

    def statuses(self) -> Mapping[str, OrderStatus]:
        """Return where all orders stand that were ever sent, by client order id."""
        ...


class ParentStore(Protocol):
    """Where the states of parents are kept."""

    def keep(self, state: ParentState, algorithm: WorkingAlgorithm) -> None:
        """Make a state durable; only then are its actions taken."""
        ...


@dataclass(slots=True)
class _Parent:
    state: ParentState
    algorithm: WorkingAlgorithm


class ParentDesk:
    """Works parent orders through their children.

    Parameters
    ----------
    venue : ChildVenue
        Where children go.
    store : ParentStore
        Where states are kept.
    clock : Clock
        The simulation's or the machine's.
    observe : callable
        From a permanent symbol to what is known of its market now.
    """

    def __init__(
        self,
        venue: ChildVenue,
        store: ParentStore,
        *,
        clock: Clock,
        observe: Callable[[str], MarketObservation],
    ) -> None:
        self._venue = venue
        self._store = store
        self._clock = clock
        self._observe = observe
        self._parents: dict[str, _Parent] = {}
        self._next_turn = ""

    def take(self, state: ParentState, algorithm: WorkingAlgorithm) -> None:
        """Take over a parent order, new or as it was kept before a restart.

        Raises
        ------
        ExecutionError
            It is worked already.

        Notes
        -----
        Children that the state wanted and of which the venue has not heard are sent, once, under their own id.
        """
        name = state.order.client_order_id
        if name in self._parents:
            raise ExecutionError(f"parent order {name} ({state.order.symbol}) is worked already; take it once")
        statuses = self._venue.statuses()
        parent = self._parents[name] = _Parent(told(state, statuses, now_utc=self._clock.now_utc()), algorithm)
        self._store.keep(parent.state, algorithm)
        for order in unsent(parent.state, statuses):
            self._venue.submit(order)

    def on_clock(self, has_room: Callable[[], bool] = lambda: True) -> None:
        """Hear of all children, and let every parent decide, in the order of their ids.

        Parameters
        ----------
        has_room : callable, optional
            Whether one more order may be sent now. Where none may, the parents whose turn did not come are the first
            the next time, so that what the venue takes in a second is shared and nothing is turned down for it.
        """
        statuses = self._venue.statuses()
        names = sorted(self._parents)
        first = bisect_left(names, self._next_turn)
        for name in (*names[first:], *names[:first]):
            if not has_room():
                self._next_turn = name
                return
            parent = self._parents[name]
            # The time is asked after the market: what is told this very moment would be of the future otherwise.
            market = self._observe(parent.state.order.symbol)
            now = self._clock.now_utc()
            state = told(parent.state, statuses, now_utc=now)
            self._do(parent, parent.algorithm.on_clock(now, market, state=state))

    def cancel(self, client_order_id: str, *, reason: str) -> ParentState:
        """End a parent and all its children, and return where it stands.

        Raises
        ------
        ExecutionError
            It is not worked here.
        """
        parent = self._parents.get(client_order_id)
        if parent is None:
            raise ExecutionError(f"parent order {client_order_id} is not worked here; ask the broker for its orders")
        now = self._clock.now_utc()
        state = told(parent.state, self._venue.statuses(), now_utc=now)
        self._do(parent, cancelled(state, now_utc=now, reason=reason))
        return parent.state

    def release(self, client_order_id: str) -> ParentState:
        """Forget a parent that has ended, and return where it stood.

        Raises
        ------
        ExecutionError
            It is not worked here, or has not ended: cancel it first.
        """
        parent = self._parents.get(client_order_id)
        if parent is None or not parent.state.has_ended:
            stands = "not worked here" if parent is None else f"'{parent.state.phase}'"
            raise ExecutionError(f"parent order {client_order_id} is {stands}; only one that has ended is released")
        del self._parents[client_order_id]
        return parent.state

    def states(self) -> tuple[ParentState, ...]:
        """Return where the parents stand, sorted by id, as of the last time that they were looked at."""
        return tuple(self._parents[name].state for name in sorted(self._parents))

    def _do(self, parent: _Parent, step: Step) -> None:
        if step.state != parent.state:
            self._store.keep(step.state, parent.algorithm)
            parent.state = step.state
        self._act(step.actions)

    def _act(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, SubmitChild):
                self._venue.submit(action.order)
            elif isinstance(action, ReplaceChild):
                self._venue.replace(action.order, revision=action.revision)
            else:
                self._venue.cancel(action.client_order_id)
