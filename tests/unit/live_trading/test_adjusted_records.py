"""An order that was adjusted before it was sent, in the journal: what is sent, found again, counted and exported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aegis.compliance.order_export import COLUMNS, export_rows
from aegis.errors import IllegalTransition
from aegis.execution.decisions import Decision
from aegis.execution.journal import Journal
from aegis.execution.order_management import commit_decision
from aegis.execution.order_states import OrderState, OrderStatus, apply_event
from aegis.execution.orders import Order, OrderEvent, OrderEventKind
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.restored_orders import restored_orders

THURSDAY, FRIDAY = date(2014, 6, 5), date(2014, 6, 6)
EVENING, OPEN = datetime(2014, 6, 5, 20, 20, tzinfo=UTC), datetime(2014, 6, 6, 13, 30, tzinfo=UTC)
K = OrderEventKind


@pytest.fixture
def order(order_of: Callable[..., Order]) -> Order:
    """Buy 100 ABC, whose shares are doubled before Friday's opening."""
    return order_of(account="paper", decision_id="paper/main/2014-06-05/rebalance/1", algorithm="market")


@pytest.fixture
def doubled(order: Order) -> Order:
    return replace(order, quantity_shares=200.0, arrival_price_usd=5.0)


@pytest.fixture
def journal(tmp_path: Path, order: Order) -> Iterator[Journal]:
    decision = Decision(
        decision_id=order.decision_id, account="paper", session=THURSDAY, orders=(order,), gate_rows=(),
        input_snapshot_id=1, code_version="1", config_hash="c", refusals={},
    )  # fmt: skip
    with Journal.open(tmp_path / "journal.sqlite", account="paper") as opened:
        commit_decision(opened, decision, at_utc=EVENING)
        yield opened


def event(order: Order, kind: OrderEventKind, terms: Order | None = None, *, minute: int = 0) -> OrderEvent:
    number = 0 if terms is None else 1
    return OrderEvent(
        kind=kind, client_order_id=order.client_order_id, session=FRIDAY, at_utc=OPEN.replace(minute=30 + minute),
        order=terms, revision=number, split_ratio=None if terms is None else 2.0,
    )  # fmt: skip


def test_the_next_process_finds_the_terms_that_it_is_sent_on(journal: Journal, order: Order, doubled: Order) -> None:
    ledger = WorkedLedger(journal, first=THURSDAY)
    assert ledger.record([event(order, K.ADJUSTED, doubled)]) == ()
    ledger.flush()
    for found in (ledger, WorkedLedger(journal, first=THURSDAY)):
        status = found.status(order.client_order_id)
        assert status == OrderStatus(doubled, OrderState.APPROVED)
        assert found.committed_order(order.client_order_id) == doubled
        assert found.first_terms(order.client_order_id) == order
    ledger.record([event(order, K.SUBMITTED, minute=1), event(order, K.ACCEPTED, minute=2)])
    ledger.flush()
    # A venue is told what was sent, and what happened since.
    status, told = WorkedLedger(journal, first=THURSDAY).histories()[order.client_order_id]
    assert (status.order, [item.kind for item in told]) == (doubled, [K.ACCEPTED])


def test_it_is_exported_on_its_terms_of_then(journal: Journal, order: Order, doubled: Order) -> None:
    ledger = WorkedLedger(journal, first=THURSDAY)
    ledger.record([event(order, K.ADJUSTED, doubled), event(order, K.SUBMITTED, minute=1)])
    ledger.flush()
    names = [column.name for column in COLUMNS]
    rows = [dict(zip(names, row, strict=True)) for row in export_rows(journal.events())]
    assert [(row["event"], row["order_quantity_shares"]) for row in rows] == [
        ("intent recorded", 100.0), ("approved", 100.0), ("adjusted", 200.0), ("submitted", 200.0),
    ]  # fmt: skip


def test_after_a_restart_the_door_counts_what_was_sent_and_nothing_before(order: Order, doubled: Order) -> None:
    approved, adjusted = event(order, K.APPROVED), event(order, K.ADJUSTED, doubled)
    assert restored_orders([order], [approved, adjusted], touches_usd={}, collar=0.05) == ()
    sent = event(order, K.SUBMITTED, minute=1)
    (found,) = restored_orders([order], [approved, adjusted, sent], touches_usd={}, collar=0.05)
    assert (found.order, [item.kind for item in found.events]) == (doubled, [K.APPROVED, K.SUBMITTED])
    assert found.touch_usd == pytest.approx(5.0 * 1.05)


def test_what_is_at_the_venue_is_adjusted_no_more(order: Order, doubled: Order) -> None:
    status = OrderStatus(order, OrderState.SUBMITTED)
    with pytest.raises(IllegalTransition, match="event 'adjusted' cannot follow state 'submitted'"):
        apply_event(status, event(order, K.ADJUSTED, doubled))
