"""A decision: the orders it wants, what the gate said, and what it was made of.

Belongs here: the value and the comparison that tells a repeated decision from another one. Committing it is
:mod:`aegis.execution.order_management`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from aegis.errors import ExecutionError
from aegis.execution.orders import Order

GATE_REFUSES = "refuse"


class DecisionEventKind(StrEnum):
    """What the journal says of decisions and intents; what it says of orders is ``OrderEventKind``."""

    DECISION_COMMITTED = "decision committed"
    DECISION_REFUSED = "decision refused"
    INTENT_RECORDED = "intent recorded"
    CHILD_RECORDED = "child recorded"
    PARENT_KEPT = "parent kept"
    EXIT_VERDICT = "exit verdict"


INTENTS = frozenset({DecisionEventKind.INTENT_RECORDED, DecisionEventKind.CHILD_RECORDED})
"""The rows that begin an order: one of a decision, or a child that works one of them. A recomputed decision is compared
with the first kind only: how an order was worked is not what was decided."""

ASIDES = frozenset({DecisionEventKind.PARENT_KEPT, DecisionEventKind.EXIT_VERDICT})
"""Rows about an order that are no event of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be committed after one session's close.

    Parameters
    ----------
    decision_id : str
        See :func:`aegis.execution.order_ids.decision_id`.
    account : str
        Whose decision.
    session : date
        Session after whose close it was taken.
    orders : tuple of Order
        All orders that were wanted, the refused ones too.
    refusals : mapping of str to str
        For each order that the gate refused, by client order id, the rule that did.
    gate_rows : tuple of mapping
        The gate's verdicts as in :data:`aegis.lake.tables.PRE_TRADE_GATE`, as plain values, of which an
        infinite number is recorded as text. A verdict whose ``outcome`` is ``refuse`` refuses the whole decision.
    input_snapshot_id : int
        Lake snapshot of the inputs.
    code_version, config_hash : str
        What computed it.

    Raises
    ------
    ExecutionError
        An order belongs to another decision, account or session, two orders share an id, or a refusal names no order.
    """

    decision_id: str
    account: str
    session: date
    orders: tuple[Order, ...]
    gate_rows: tuple[Mapping[str, Any], ...]
    input_snapshot_id: int
    code_version: str
    config_hash: str
    refusals: Mapping[str, str]

    def __post_init__(self) -> None:
        names = set()
        for order in self.orders:
            names.add(order.client_order_id)
            found = (order.decision_id, order.account, order.session)
            if found != (self.decision_id, self.account, self.session):
                raise ExecutionError(
                    f"decision {self.decision_id}: order {order.client_order_id} ({order.symbol}) belongs to "
                    f"{found[0]}, account {found[1]}, session {found[2]}; an order is committed with its own decision"
                )
        if len(names) != len(self.orders):
            raise ExecutionError(
                f"decision {self.decision_id}: {len(self.orders)} orders share {len(names)} ids; net the orders of a "
                "symbol, or number their legs"
            )
        if not names.issuperset(self.refusals):
            unknown = sorted(set(self.refusals) - names)
            raise ExecutionError(f"decision {self.decision_id}: refusals of orders it does not have: {unknown}")

    @property
    def is_refused(self) -> bool:
        """Whether the gate let nothing leave."""
        return any(row["outcome"] == GATE_REFUSES for row in self.gate_rows)

    @property
    def refusing_rules(self) -> tuple[str, ...]:
        """The rules that refused the whole decision."""
        return tuple(str(row["rule"]) for row in self.gate_rows if row["outcome"] == GATE_REFUSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedDecision:
    """A decision as the journal holds it; fields as in :class:`Decision`."""

    orders: tuple[Order, ...]
    refusals: Mapping[str, str]
    gate_rows: tuple[Mapping[str, Any], ...]
    input_snapshot_id: int
    code_version: str
    config_hash: str

    @property
    def approved(self) -> tuple[Order, ...]:
        """The orders that may be submitted, sorted by id."""
        return tuple(order for order in self.orders if order.client_order_id not in self.refusals)

    @property
    def refused(self) -> tuple[Order, ...]:
        """The orders that may not, sorted by id."""
        return tuple(order for order in self.orders if order.client_order_id in self.refusals)


@dataclass(frozen=True, slots=True)
class CommitOutcome:
    """What came of committing a decision.

    Parameters
    ----------
    orders : tuple of Order
        The committed orders that may be submitted, sorted by id: those of the first commit, whatever was asked now.
    refusals : mapping of str to str
        Committed orders that may not, with the rule that refused them.
    is_new : bool
        Whether this call recorded anything.
    conflict : str or None
        How the recomputation differs from what is committed, None if it does not. To be published as a failed check.
    is_refused : bool
        Whether nothing is committed because the gate refused the decision.
    refused_orders : tuple of Order
        The committed orders that `refusals` names, sorted by id.
    input_snapshot_id : int or None
        Lake snapshot that the committed decision was made from, None where nothing is committed.
    """

    orders: tuple[Order, ...]
    refusals: Mapping[str, str]
    is_new: bool
    conflict: str | None = None
    is_refused: bool = False
    refused_orders: tuple[Order, ...] = ()
    input_snapshot_id: int | None = None


def describe_conflict(committed: CommittedDecision, decision: Decision) -> str | None:
    """Return how a recomputed decision differs from the committed one, or None.

    Notes
    -----
    Compared is what reaches a market: which orders exist, their side, quantity, algorithm, type and its prices, time in
    force, parent, OCO group and execution session, and whether the gate refused them. Arrival prices and weights that a
    recomputation on another machine changes in the last digits, snapshots and code versions are not.
    """
    if decision.is_refused:
        rules = ", ".join(decision.refusing_rules)
        return (
            f"decision {decision.decision_id} is committed with {len(committed.approved)} approved order(s), but its "
            f"recomputation is refused by: {rules}. The committed orders stand; cancel them if they must not"
        )
    before = {order.client_order_id: _market_terms(order, committed.refusals) for order in committed.orders}
    now = {order.client_order_id: _market_terms(order, decision.refusals) for order in decision.orders}
    if before == now:
        return None
    names = {order.client_order_id: order.symbol for order in (*committed.orders, *decision.orders)}
    changed = [
        f"{names[name]} {name}: committed {before.get(name, 'no order')}, recomputed {now.get(name, 'no order')}"
        for name in sorted(names, key=lambda name: (names[name], name))
        if before.get(name) != now.get(name)
    ]
    return (
        f"decision {decision.decision_id} was committed with other orders: {'; '.join(changed)}. The committed orders "
        "stand; find the input that changed, or take a new decision number for a new decision"
    )


_MARKET_TERMS = (
    "order_type",
    "limit_price_usd",
    "stop_price_usd",
    "trail_usd",
    "trail_fraction",
    "expires_at_utc",
    "parent_id",
    "oco_group",
)
"""Terms beyond quantity, algorithm and time in force; an order that does not use them does not mention them."""


def _market_terms(order: Order, refusals: Mapping[str, str]) -> str:
    verdict = "refused" if order.client_order_id in refusals else "approved"
    quantity = f"{order.quantity_shares:+.0f}" if not order.is_fractional else f"{order.quantity_shares:+.9g}"
    told = {name: getattr(order, name) for name in _MARKET_TERMS}
    others = "".join(f"{name} {_term(value)} " for name, value in told.items() if value not in (None, "market"))
    return (
        f"{quantity} {order.symbol} {order.algorithm} {order.time_in_force} {others}for "
        f"{order.execution_session} ({verdict})"
    )


def _term(value: object) -> str:
    # Ten digits: a limit price that is computed may differ in the last ones on another machine.
    return f"{value:.10g}" if isinstance(value, float) else str(value)
