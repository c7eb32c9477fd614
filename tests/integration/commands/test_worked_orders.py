"""An order that was worked by children: exported, and traced from either end."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from rich.tree import Tree

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.compliance.export_files import read_export
from aegis.compliance.order_export import COLUMN_NAMES
from aegis.config import load_config
from aegis.execution.algorithms.intervals import Interval
from aegis.execution.algorithms.parent_state import Child, NoteKind, ParentPhase, ParentState
from aegis.execution.algorithms.pov import ParticipationOfVolume
from aegis.execution.decisions import Decision
from aegis.execution.journal import Journal
from aegis.execution.order_ids import client_order_id
from aegis.execution.order_projections import committed_decisions
from aegis.execution.order_records import canonical_json
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.worked_parents import JournalledParents
from aegis.workspace import Workspace
from aegis_sensors.traced_orders import add_order, traced_order

K = OrderEventKind
CALENDAR = trading_calendar("XNYS")
DECIDED, SYMBOL = date(2014, 6, 12), "AVQR"
"""Ten sessions begin on 2014-06-02: nine of them up to the decision. The stock is the first of the simulated market."""
DOOR = {
    "decided_at_utc": "2014-06-13T13:31:00+00:00",
    "rows": [
        {"rule": "kill_switch_is_off", "outcome": "pass", "detail": None, "observed": 0.0, "threshold": 0.0},
        {"rule": "symbol_is_not_halted", "outcome": "warn", "detail": "halted [T1] before", "observed": 1.0},
    ],
}


class Written:
    """A decision of a second book whose order was worked by three children, written as a process that trades does."""

    def __init__(self, journal: Journal, order_of: Callable[..., Order]) -> None:
        snapshot_id = committed_decisions(journal, first=DECIDED, last=DECIDED).popitem()[1].input_snapshot_id
        self.session = CALENDAR.next(DECIDED)
        self.at_utc = CALENDAR.open_utc(self.session) + timedelta(minutes=1)
        name = f"simulated/second/{DECIDED}/rebalance/1"
        self.parent = order_of(
            client_order_id=client_order_id("simulated", name, symbol=SYMBOL), decision_id=name,
            session=DECIDED, execution_session=self.session, symbol=SYMBOL, ticker=SYMBOL,
            quantity_shares=30.0, algorithm="pov", reason="capped: 0.00% to 5.00%",
        )  # fmt: skip
        self.ledger = WorkedLedger(journal, first=DECIDED)
        self.ledger.commit(
            Decision(
                decision_id=name, account="simulated", session=DECIDED, orders=(self.parent,), refusals={},
                gate_rows=(), input_snapshot_id=snapshot_id, code_version="1", config_hash="abc",
            ),
            at_utc=CALENDAR.close_utc(DECIDED),
        )  # fmt: skip
        clock = SimulatedClock(self.at_utc)
        self.parents = JournalledParents(self.ledger, clock=clock, session_of=lambda _: self.session)
        self.algorithm = ParticipationOfVolume(
            intervals=(Interval(self.at_utc, self.at_utc + timedelta(minutes=5)),), participation_rate=0.1,
            opens_utc=CALENDAR.open_utc(self.session), catch_up_rate=0.2, max_data_age=timedelta(minutes=2),
        )  # fmt: skip

    def work(self) -> None:
        """Send 10 that fill in two parts, 10 that end on request, and 10 that the door refuses."""
        state = ParentState(order=self.parent)
        self._keep(state)
        filled = self._sent(1)
        self._tell(filled, K.PARTIALLY_FILLED, fill=self._fill(filled, 1, 4.0, 20.0))
        self._tell(filled, K.FILLED, fill=self._fill(filled, 2, 6.0, 21.0))
        ended = self._sent(2)
        self._tell(ended, K.CANCELLED, reason="cancelled on request")
        refused = self._order(3)
        self.ledger.commit_child(refused, "price_is_within_the_collar", session=self.session, at_utc=self.at_utc)
        stands = (
            OrderStatus(filled, OrderState.FILLED, filled_shares=10.0, fills=2),
            OrderStatus(ended, OrderState.CANCELLED),
            OrderStatus(refused, OrderState.REFUSED),
        )
        children = tuple(
            Child(number=number, interval_number=0, sent_at_utc=self.at_utc, priced_at_utc=self.at_utc, status=status)
            for number, status in enumerate(stands, start=1)
        )
        state = replace(state, children=children)
        self._keep(state)
        state = state.noted(NoteKind.CANCEL_REQUESTED, "engaged by ada [desk]: flatten", at_utc=self.at_utc)
        self._keep(replace(state, phase=ParentPhase.CANCELLED))
        self.ledger.flush()

    def child_id(self, number: int) -> str:
        return client_order_id("simulated", self.parent.decision_id, symbol=self.parent.symbol, child=number)

    def _keep(self, state: ParentState) -> None:
        self.parents.keep(state, self.algorithm)

    def _order(self, number: int) -> Order:
        reason = f"child {number} of {self.parent.client_order_id} by pov"
        return replace(
            self.parent, client_order_id=self.child_id(number), quantity_shares=10.0, algorithm="market", reason=reason
        )

    def _sent(self, number: int) -> Order:
        order = self._order(number)
        self.ledger.commit_child(order, None, session=self.session, at_utc=self.at_utc)
        self.ledger.note_verdict(order, canonical_json(DOOR), session=self.session, at_utc=self.at_utc)
        self._tell(order, K.SUBMITTED)
        return order

    def _tell(self, order: Order, kind: OrderEventKind, **more: object) -> None:
        event = OrderEvent(
            kind=kind, client_order_id=order.client_order_id, session=self.session, at_utc=self.at_utc, **more
        )
        assert self.ledger.record([event]) == ()

    def _fill(self, order: Order, number: int, shares: float, price: float) -> Fill:
        return Fill(
            client_order_id=order.client_order_id, decision_id=order.decision_id, account="simulated",
            fill_number=number, session=self.session, symbol=order.symbol, ticker=order.ticker, quantity_shares=shares,
            price_usd=price, reference_price_usd=price, commission_usd=0.25, slippage_usd=0.0, arrival_price_usd=20.0,
            filled_at_utc=self.at_utc, execution_id=f"x{number}",
        )  # fmt: skip


@pytest.fixture
def worked(own: Path, order_of: Callable[..., Order]) -> Written:
    location = Workspace.of(load_config(own)).journal("simulated")
    with Journal.open(location, account="simulated") as journal:
        written = Written(journal, order_of)
        written.work()
    return written


def test_children_are_exported_with_their_terms_and_the_file_verifies(
    ask, own: Path, worked: Written, tmp_path: Path
) -> None:
    file = tmp_path / "orders.csv"
    assert ask(own, "compliance", "export", str(file), "--from", str(worked.session))[::2] == (0, "")
    rows = [dict(zip(COLUMN_NAMES, row, strict=True)) for row in read_export(file, "csv").rows]
    told = {
        number: [
            (r["event"], str(r["order_quantity_shares"]), r["algorithm"])
            for r in rows
            if r["client_order_id"] == (worked.child_id(number))
        ]
        for number in range(4)
    }
    assert told == {
        0: [("worked", "30.0", "pov")],
        1: [
            (event, "10.0", "market")
            for event in ("child recorded", "approved", "submitted", "partially filled", "filled")
        ],
        2: [(event, "10.0", "market") for event in ("child recorded", "approved", "submitted", "cancelled")],
        3: [("child recorded", "10.0", "market"), ("refused", "10.0", "market")],
    }
    status, printed, _ = ask(own, "compliance", "verify", str(file))
    assert (status, "every row is the journal's, in its order, none is missing" in printed) == (0, True)


def _joined(printed: str) -> str:
    """Return a tree's words on one line: a narrow terminal breaks its lines."""
    return " ".join(printed.replace("│", " ").split())


def test_a_parent_is_traced_to_its_children_their_fills_and_its_end(own: Path, worked: Written) -> None:
    location = Workspace.of(load_config(own)).journal("simulated")
    tree, page = Tree("order"), io.StringIO()
    with Journal.open(location, account="simulated") as journal:
        add_order(tree, "simulated", traced_order(journal, worked.parent.client_order_id[:10]))
    Console(file=page, width=100).print(tree)
    said = _joined(page.getvalue())
    assert "parent kept" not in said
    # 4 at 20 and 6 at 21 are 10 at 20.6.
    assert "worked by pov: cancelled, 10 of 30 shares filled by 3 children at a mean of 20.6000 USD" in said
    assert f"child 1 {worked.child_id(1)[:8]} buy 10, filled: 10 filled at a mean of 20.6000 USD" in said
    assert f"child 2 {worked.child_id(2)[:8]} buy 10, cancelled: 0 filled; cancelled on request" in said
    assert f"child 3 {worked.child_id(3)[:8]} buy 10, refused: 0 filled; price_is_within_the_collar" in said
    assert "cancel requested: engaged by ada [desk]: flatten" in said
    assert "cancelled: 10 of 30 shares filled by 3 children" in said


def test_a_child_is_traced_to_its_parent_its_verdict_and_the_prices_of_the_decision(
    ask, own: Path, worked: Written
) -> None:
    status, printed, errors = ask(own, "trace", worked.child_id(1))
    assert (status, errors) == (0, "")
    said = _joined(printed)
    assert f"order {worked.child_id(1)} buy 10 {worked.parent.symbol} after the close of" in said
    assert "4 at 20.0000 USD, commission 0.25 USD" in said
    assert "6 at 21.0000 USD, commission 0.25 USD" in said
    assert "1 of 2 rules passed" in said
    assert "symbol_is_not_halted: warn halted [T1] before" in said
    assert f"parent {worked.parent.client_order_id} buy 30 {worked.parent.symbol}" in said
    assert "capped: 0.00% to 5.00%" in said
    assert "cancelled, 10 of 30 shares filled by 3 children" in said
    assert "prices read: 9 bars of AVQR from 2014-06-02 to 2014-06-12 of source simulated at snapshot" in said
    assert f"decision {worked.parent.decision_id}" in said
