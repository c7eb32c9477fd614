"""What an account's journal says of one order: its events, what the exit door said, and how it was worked.

Belongs here: finding the order, its parent and its children, and the words for them. The tables behind the decision are
:mod:`aegis_sensors.trace`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text
from rich.tree import Tree

from aegis.errors import ConfigurationError
from aegis.execution.algorithms.parent_records import state_from_record
from aegis.execution.algorithms.parent_state import Child, ParentState
from aegis.execution.decisions import ASIDES, INTENTS, CommittedDecision, DecisionEventKind
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_projections import committed_decisions, order_event, order_statuses
from aegis.execution.order_records import order_from_record
from aegis.execution.orders import Fill, Order, OrderEventKind

_FILLS = (OrderEventKind.FILLED, OrderEventKind.PARTIALLY_FILLED)
_SHOWN_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class TracedOrder:
    """One order by the journal.

    Parameters
    ----------
    order : Order
        As it was recorded first.
    decision : CommittedDecision
        The decision that it belongs to; a child's is its parent's.
    events : tuple of JournalRow
        Its own, oldest first, without :data:`~aegis.execution.decisions.ASIDES`.
    verdicts : tuple of mapping
        What the exit door said before it left, oldest first.
    parent : ParentState or None
        Of a child: the order that it works, as it stands.
    worked : ParentState or None
        Of an order that is worked: where it stands.
    children : tuple of (Child, tuple of JournalRow)
        Of an order that is worked: what was sent, each with its own events.
    """

    order: Order
    decision: CommittedDecision
    events: tuple[JournalRow, ...]
    verdicts: tuple[Mapping[str, Any], ...]
    parent: ParentState | None
    worked: ParentState | None
    children: tuple[tuple[Child, tuple[JournalRow, ...]], ...]


def traced_order(journal: Journal, text: str) -> TracedOrder:
    """Return the one order, of a decision or a child, whose id begins with `text`.

    Raises
    ------
    ConfigurationError
        None does, or several do.
    JournalError
        The journal cannot be read.
    """
    order = _found(journal.events(kinds=sorted(INTENTS)), text)
    decisions = committed_decisions(journal, first=order.session, last=order.session)
    siblings = [each.client_order_id for each in decisions[order.decision_id].orders if each.symbol == order.symbol]
    states = _kept_states(journal, siblings)
    worked = states.get(order.client_order_id)
    names = [child.status.order.client_order_id for child in worked.children] if worked else []
    rows = journal.events(client_order_ids=[order.client_order_id, *names])
    events = tuple(row for row in rows if row.kind not in ASIDES)
    own = [row for row in rows if row.client_order_id == order.client_order_id]
    return TracedOrder(
        order=order,
        decision=decisions[order.decision_id],
        events=tuple(row for row in own if row.kind not in ASIDES),
        verdicts=tuple(row.payload for row in own if row.kind == DecisionEventKind.EXIT_VERDICT),
        parent=next((state for state in states.values() if _has_child(state, order.client_order_id)), None),
        worked=worked,
        children=tuple(
            (child, tuple(row for row in events if row.client_order_id == name))
            for child, name in zip(worked.children if worked else (), names, strict=True)
        ),
    )


def add_order(tree: Tree, account: str, traced: TracedOrder) -> None:
    """Add what the journal of `account` says of an order to a tree."""
    branch = tree.add(f"journal of {account}")
    for row in traced.events:
        branch.add(Text(f"{row.sequence}: {row.kind} at {row.at_utc}  hash {row.hash[:12]}{_said(row)}"))
    for verdict in traced.verdicts:
        _add_verdict(tree, verdict)
    if traced.parent is not None:
        parent = traced.parent.order
        above = tree.add(Text(f"parent {parent.client_order_id}  {order_line(parent)}"))
        above.add(Text(_progress(traced.parent)))
        _add_notes(above, traced.parent)
    if traced.worked is not None:
        _add_children(tree, traced.worked, traced.children)


def order_line(order: Order) -> str:
    """Return an order's terms in one line."""
    return (
        f"{_terms(order)} {order.symbol} after the close of {order.session}, {order.algorithm} for "
        f"{order.execution_session}; {order.reason}"
    )


def _found(intents: Sequence[JournalRow], text: str) -> Order:
    found = {str(row.client_order_id): row for row in intents if str(row.client_order_id).startswith(text.lower())}
    if len(found) == 1:
        return order_from_record(next(iter(found.values())).payload["order"])
    if not found:
        example = intents[-1].client_order_id if intents else "none: nothing was ordered yet"
        raise ConfigurationError(f"no order id begins with {text!r}; the newest order is {example}")
    raise ConfigurationError(f"{len(found)} order ids begin with {text!r}; give more of its digits")


def _kept_states(journal: Journal, names: Sequence[str]) -> dict[str, ParentState]:
    """Return where the worked ones of some orders stand, by client order id: the newest row of each counts."""
    rows = journal.events(client_order_ids=names, kinds=[DecisionEventKind.PARENT_KEPT])
    newest = {str(row.client_order_id): row for row in rows}
    return {name: state_from_record(row.payload["state"]) for name, row in newest.items()}


def _has_child(state: ParentState, name: str) -> bool:
    return any(child.status.order.client_order_id == name for child in state.children)


def _fills(rows: Sequence[JournalRow]) -> Iterator[Fill]:
    for row in rows:
        fill = order_event(row).fill if row.kind in _FILLS else None
        if fill is not None:
            yield fill


def _said(row: JournalRow) -> str:
    """Return the execution and the reason of an event, with two blanks before them; empty where there is neither."""
    if row.kind in INTENTS:
        return ""
    event = order_event(row)
    fill = "" if event.fill is None else (
        f"  {abs(event.fill.quantity_shares):,.9g} at {event.fill.price_usd:,.4f} USD, "
        f"commission {event.fill.commission_usd:,.2f} USD"
    )  # fmt: skip
    return f"{fill}  {event.reason}" if event.reason else fill


def _add_verdict(tree: Tree, verdict: Mapping[str, Any]) -> None:
    rows = verdict["rows"]
    passed = sum(row["outcome"] == "pass" for row in rows)
    branch = tree.add(f"exit door at {verdict['decided_at_utc']}  {passed} of {len(rows)} rules passed")
    for row in rows:
        if row["outcome"] != "pass":
            branch.add(Text(f"{row['rule']}: {row['outcome']}  {row['detail'] or ''}".rstrip()))


def _add_children(tree: Tree, state: ParentState, children: Sequence[tuple[Child, tuple[JournalRow, ...]]]) -> None:
    fills = [fill for _, rows in children for fill in _fills(rows)]
    branch = tree.add(Text(f"worked by {state.order.algorithm}: {_progress(state)}{_at(fills)}"))
    for child, rows in children:
        name = child.status.order.client_order_id
        status = order_statuses(rows).get(name, child.status)
        own = list(_fills(rows))
        why = next((event.reason for event in map(order_event, rows[:0:-1]) if event.reason), "")
        branch.add(
            Text(
                f"child {child.number}  {name[:_SHOWN_DIGITS]}  {_terms(status.order)}, {status.state}: "
                f"{abs(status.filled_shares):,.9g} filled{_at(own)}{f'; {why}' if why else ''}"
            )
        )
    _add_notes(branch, state)


def _add_notes(branch: Tree, state: ParentState) -> None:
    for note in state.notes:
        branch.add(Text(f"{note.at_utc:%Y-%m-%d %H:%M:%S} UTC  {note.kind}: {note.text}"))


def _progress(state: ParentState) -> str:
    filled, wanted, count = abs(state.filled_shares), abs(state.order.quantity_shares), len(state.children)
    children = "1 child" if count == 1 else f"{count} children"
    return f"{state.phase}, {filled:,.9g} of {wanted:,.9g} shares filled by {children}"


def _at(fills: Sequence[Fill]) -> str:
    """Return the price of some executions, their mean by shares where there are several; empty without one."""
    if not fills:
        return ""
    shares = math.fsum(fill.quantity_shares for fill in fills)
    price = math.fsum(fill.quantity_shares * fill.price_usd for fill in fills) / shares
    return f" at {'' if len(fills) == 1 else 'a mean of '}{price:,.4f} USD"


def _terms(order: Order) -> str:
    limit = "" if order.limit_price_usd is None else f" at most {order.limit_price_usd:,.4f} USD"
    if order.quantity_shares < 0:
        limit = limit.replace("at most", "at least")
    return f"{'buy' if order.quantity_shares > 0 else 'sell'} {abs(order.quantity_shares):,.9g}{limit}"
