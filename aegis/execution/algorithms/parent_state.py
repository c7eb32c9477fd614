"""Where a parent order stands: its children, what they filled, and what was noted on the way.

Belongs here: the values. How they change is :mod:`aegis.execution.algorithms.child_orders`, how they are written down
:mod:`aegis.execution.algorithms.parent_records`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from aegis.errors import ExecutionError
from aegis.execution.order_ids import client_order_id
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderState, OrderStatus
from aegis.execution.orders import Order


class ParentPhase(StrEnum):
    """What is being done for a parent order."""

    WORKING = "working"
    WINDING_DOWN = "winding down"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    HALTED = "halted"


ENDS = frozenset({ParentPhase.COMPLETED, ParentPhase.CANCELLED, ParentPhase.EXPIRED, ParentPhase.HALTED})
"""Phases after which no child is ever sent."""


class NoteKind(StrEnum):
    """Why an algorithm did something else than planned."""

    STAND_IN_CURVE = "stand-in volume curve"
    NO_IMPACT = "no impact model"
    STALE_DATA = "stale data"
    NO_VOLUME = "no volume"
    VENUE_ENDED_CHILD = "venue ended child"
    TOO_MANY_FAILURES = "too many failures"
    OVERFILLED = "overfilled"
    CANCEL_REQUESTED = "cancel requested"
    ADOPTED_CHILD = "adopted child"


@dataclass(frozen=True, slots=True)
class ParentNote:
    """A line of a parent's record.

    Parameters
    ----------
    at_utc : datetime
        When.
    kind : NoteKind
        The word.
    text : str
        What was done instead, for a person.
    interval_number : int, optional
        The interval it concerns; each kind is noted once in an interval.
    """

    at_utc: datetime
    kind: NoteKind
    text: str
    interval_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child order.

    Parameters
    ----------
    number : int
        From 1; part of its client order id.
    interval_number : int
        The interval in which it was sent.
    sent_at_utc, priced_at_utc : datetime
        When it was sent, and when it got the price that it has.
    status : OrderStatus
        Where it stands, as far as it is known.
    revision : int
        How often new terms were asked for.
    cancel_asked_at_utc : datetime, optional
        When it was last asked to end.
    """

    number: int
    interval_number: int
    sent_at_utc: datetime
    priced_at_utc: datetime
    status: OrderStatus
    revision: int = 0
    cancel_asked_at_utc: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may still fill."""
        return not self.status.is_final

    @property
    def committed_shares(self) -> float:
        """Return the signed shares that it has filled or may still fill."""
        return self.status.order.quantity_shares if self.is_open else self.status.filled_shares

    @property
    def failed(self) -> bool:
        """Whether it ended with something unfilled, and nobody here asked it to."""
        return self.status.is_final and self.cancel_asked_at_utc is None and self.status.state is not OrderState.FILLED


@dataclass(frozen=True, slots=True)
class VolumeMark:
    """The session's volume, in shares, up to an instant."""

    at_utc: datetime
    volume_shares: float


@dataclass(frozen=True, slots=True)
class Pace:
    """What an interval is for, fixed by the first look at the market in it.

    Parameters
    ----------
    interval_number : int
        Which interval.
    due_lots : int
        Of the whole order, what shall have been traded by its end.
    cap_lots : int, optional
        The most that may be sent in it; None for no cap.
    """

    interval_number: int
    due_lots: int
    cap_lots: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentState:
    """A parent order at work.

    Parameters
    ----------
    order : Order
        The parent; it never reaches a venue itself.
    leg : int
        Its leg in the decision, from which its children are named.
    lot_shares : float
        What children are multiples of.
    phase : ParentPhase
        Where it is.
    ends_as : ParentPhase, optional
        While winding down: what it will be once its last child has ended.
    children : tuple of Child
        Number n at position n - 1.
    notes : tuple of ParentNote
        Oldest first.
    pace : Pace, optional
        Of the interval in which something was last decided.
    first_mark, last_mark : VolumeMark, optional
        The session's volume when the algorithm began to count it, and at the begin of the current interval.

    Raises
    ------
    ExecutionError
        The order's id is not that of this leg, it is no parent, or it is not a number of lots.
    """

    order: Order
    leg: int = 0
    lot_shares: float = 1.0
    phase: ParentPhase = ParentPhase.WORKING
    ends_as: ParentPhase | None = None
    children: tuple[Child, ...] = ()
    notes: tuple[ParentNote, ...] = ()
    pace: Pace | None = None
    first_mark: VolumeMark | None = None
    last_mark: VolumeMark | None = None

    def __post_init__(self) -> None:
        name = self.order.client_order_id
        if name != self.child_id(0):
            raise ExecutionError(
                f"parent order {name} ({self.order.symbol}): its id is not that of leg {self.leg} of decision "
                f"{self.order.decision_id}; pass the leg that it was made with"
            )
        lots = abs(self.order.quantity_shares) / self.lot_shares if self.lot_shares > 0 else math.nan
        if not abs(lots - round(lots if math.isfinite(lots) else 0)) <= FILL_TOLERANCE_SHARES * max(1.0, lots):
            raise ExecutionError(
                f"parent order {name} ({self.order.symbol}): {self.order.quantity_shares} shares are not a number of "
                f"lots of {self.lot_shares:g}; round the order before it is decided"
            )

    @property
    def side(self) -> int:
        """Return 1 for a purchase, -1 for a sale."""
        return 1 if self.order.quantity_shares > 0 else -1

    @property
    def total_lots(self) -> int:
        """Return the size of the order."""
        return round(abs(self.order.quantity_shares) / self.lot_shares)

    @property
    def filled_shares(self) -> float:
        """Return the signed shares that the children filled."""
        return math.fsum(child.status.filled_shares for child in self.children)

    @property
    def remaining_shares(self) -> float:
        """Return the signed shares that are not filled; of the other side where more was filled than ordered."""
        left = self.order.quantity_shares - self.filled_shares
        return 0.0 if abs(left) <= FILL_TOLERANCE_SHARES else left

    @property
    def uncommitted_shares(self) -> float:
        """Return how many shares no child has filled or may still fill, never negative."""
        committed = math.fsum(child.committed_shares for child in self.children) * self.side
        left = abs(self.order.quantity_shares) - committed
        return left if left > FILL_TOLERANCE_SHARES else 0.0

    @property
    def open_children(self) -> tuple[Child, ...]:
        """Return the children that may still fill."""
        return tuple(child for child in self.children if child.is_open)

    @property
    def has_ended(self) -> bool:
        """Whether no child will be sent any more and none is open."""
        return self.phase in ENDS

    def child_id(self, number: int) -> str:
        """Return the client order id of child `number`; 0 is the parent."""
        order = self.order
        return client_order_id(order.account, order.decision_id, symbol=order.symbol, leg=self.leg, child=number)

    def sent_shares(self, interval_number: int) -> float:
        """Return how many shares the children of an interval have filled or may still fill."""
        return abs(math.fsum(c.committed_shares for c in self.children if c.interval_number == interval_number))

    def with_child(self, child: Child) -> ParentState:
        """Return the state in which a child stands otherwise, or is new."""
        before, after = self.children[: child.number - 1], self.children[child.number :]
        return replace(self, children=(*before, child, *after))

    def noted(self, kind: NoteKind, text: str, *, at_utc: datetime, interval_number: int | None = None) -> ParentState:
        """Return the state with a note, unless the interval has one of its kind."""
        if any(note.kind == kind and note.interval_number == interval_number for note in self.notes):
            return self
        return replace(self, notes=(*self.notes, ParentNote(at_utc, kind, text, interval_number)))
