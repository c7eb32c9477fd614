"""Decisions and order events in a real journal: committed once, whatever runs again, in whatever pieces."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from aegis.errors import DecisionConflict, ExecutionError, IllegalTransition, JournalError
from aegis.execution.decisions import Decision
from aegis.execution.journal import Journal
from aegis.execution.order_management import DecisionLedger, commit_decision
from aegis.execution.order_projections import committed_decisions, order_statuses, recorded_fills
from aegis.execution.order_states import OrderState
from aegis.execution.orders import Fill, OrderEvent, OrderEventKind

THURSDAY, FRIDAY, MONDAY = date(2014, 6, 5), date(2014, 6, 6), date(2014, 6, 9)
AT = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)
PASS = {"rule": "orders are within limits", "outcome": "pass", "observed": 0.5, "threshold": 1.0}
REFUSE = {"rule": "data checks passed", "outcome": "refuse", "observed": 1.0, "threshold": 0.0}


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.sqlite", account="simulated") as opened:
        yield opened


@pytest.fixture
def decide(order_of):
    """Make a decision of 2014-06-05 from ``{symbol: quantity}``."""

    def make(quantities, *, gate=(PASS,), refusals=None, **fields):
        session = fields.get("session", THURSDAY)
        name = fields.setdefault("decision_id", f"simulated/main/{session}/rebalance/1")
        account = fields.setdefault("account", "simulated")
        orders = tuple(
            order_of(
                symbol=symbol,
                quantity_shares=quantity,
                session=session,
                execution_session=date(2014, 6, 10),
                decision_id=name,
                account=account,
            )
            for symbol, quantity in quantities.items()
        )
        defaults = {
            "session": session,
            "input_snapshot_id": 7,
            "code_version": "1",
            "config_hash": "abc",
        }
        return Decision(**{**defaults, **fields}, orders=orders, gate_rows=gate, refusals=refusals or {})

    return make


def _event(kind, *, session=FRIDAY, order_id="order-AAA", fill=None, reason=""):
    return OrderEvent(kind=kind, client_order_id=order_id, session=session, at_utc=AT, fill=fill, reason=reason)


def _fill(price=10.0, quantity=100.0):
    return Fill(
        client_order_id="order-AAA",
        decision_id="simulated/main/2014-06-05/rebalance/1",
        account="simulated",
        fill_number=1,
        session=FRIDAY,
        symbol="AAA",
        ticker="AAA",
        quantity_shares=quantity,
        price_usd=price,
        reference_price_usd=10.0,
        commission_usd=0.1,
        slippage_usd=0.0,
        arrival_price_usd=10.0,
        filled_at_utc=AT,
    )


def _life(price=10.0):
    return [
        _event(OrderEventKind.SUBMITTED, session=THURSDAY),
        _event(OrderEventKind.ACCEPTED, session=THURSDAY),
        _event(OrderEventKind.FILLED, fill=_fill(price)),
    ]


def test_intents_and_the_risk_decision_are_one_commit(journal, decide):
    outcome = commit_decision(journal, decide({"BBB": -5.0, "AAA": 100.0}), at_utc=AT)
    assert (outcome.is_new, outcome.conflict, outcome.is_refused) == (True, None, False)
    assert [(order.symbol, order.quantity_shares) for order in outcome.orders] == [("AAA", 100.0), ("BBB", -5.0)]
    rows = journal.events()
    assert [row.kind for row in rows] == [
        "decision committed",
        "intent recorded",
        "approved",
        "intent recorded",
        "approved",
    ]
    assert rows[0].payload == {"gate_rows": [PASS], "input_snapshot_id": 7, "code_version": "1", "config_hash": "abc"}


def test_committing_again_returns_the_committed_orders_and_writes_nothing(journal, decide):
    first = commit_decision(journal, decide({"AAA": 100.0}), at_utc=AT)
    head = journal.head()
    again = commit_decision(journal, decide({"AAA": 100.0}, input_snapshot_id=9, code_version="2"), at_utc=AT)
    assert (again.orders, again.is_new, again.conflict) == (first.orders, False, None)
    assert journal.head() == head


@pytest.mark.parametrize(
    ("quantities", "said"),
    [
        ({"AAA": 101.0}, r"committed \+100 AAA .* recomputed \+101 AAA"),
        ({"AAA": -100.0}, r"committed \+100 AAA .* recomputed -100 AAA"),
        ({}, r"committed \+100 AAA .* recomputed no order"),
        ({"AAA": 100.0, "BBB": 1.0}, r"BBB order-BBB: committed no order, recomputed \+1 BBB"),
    ],
)
def test_a_recomputation_that_differs_gets_the_committed_orders_and_the_difference(journal, decide, quantities, said):
    first = commit_decision(journal, decide({"AAA": 100.0}), at_utc=AT)
    head = journal.head()
    again = commit_decision(journal, decide(quantities), at_utc=AT)
    assert again.orders == first.orders
    assert not again.is_new
    assert re.search(said, again.conflict)
    assert journal.head() == head


def test_a_decision_without_orders_is_a_decision_too(journal, decide):
    assert commit_decision(journal, decide({}), at_utc=AT).is_new
    again = commit_decision(journal, decide({"AAA": 1.0}), at_utc=AT)
    assert again.orders == ()
    assert "recomputed +1 AAA" in again.conflict


def test_a_second_decision_number_is_a_new_decision(journal, decide):
    commit_decision(journal, decide({}), at_utc=AT)
    second = decide({}, decision_id="simulated/main/2014-06-05/rebalance/2")
    assert commit_decision(journal, second, at_utc=AT).is_new


def test_orders_that_the_gate_refused_are_recorded_and_not_handed_out(journal, decide):
    refusals = {"order-AAA": "exposure is within limits"}
    decision = decide({"AAA": 100.0, "BBB": -5.0}, refusals=refusals)
    outcome = commit_decision(journal, decision, at_utc=AT)
    assert ([order.symbol for order in outcome.orders], outcome.refusals) == (["BBB"], refusals)
    found = committed_decisions(journal, first=THURSDAY, last=THURSDAY)[decision.decision_id]
    assert ([order.symbol for order in found.approved], found.refusals) == (["BBB"], refusals)
    states = {name: status.state for name, status in order_statuses(journal.events()).items()}
    assert states == {"order-AAA": OrderState.REFUSED, "order-BBB": OrderState.APPROVED}
    changed = commit_decision(journal, decide({"AAA": 100.0, "BBB": -5.0}), at_utc=AT)
    assert [order.symbol for order in changed.orders] == ["BBB"]
    assert "(refused), recomputed" in changed.conflict


def test_a_refused_decision_leaves_its_id_to_a_recomputation_that_passes(journal, decide):
    refused = decide({"AAA": 100.0}, gate=(PASS, REFUSE))
    outcome = commit_decision(journal, refused, at_utc=AT)
    assert (outcome.orders, outcome.is_new, outcome.is_refused) == ((), True, True)
    assert not commit_decision(journal, refused, at_utc=AT).is_new
    assert [row.kind for row in journal.events()] == ["decision refused"]
    assert commit_decision(journal, decide({"AAA": 100.0}), at_utc=AT).is_new
    assert [row.kind for row in journal.events()][1:] == ["decision committed", "intent recorded", "approved"]


def test_another_refusal_of_the_same_decision_is_recorded(journal, decide):
    commit_decision(journal, decide({"AAA": 100.0}, gate=(REFUSE,)), at_utc=AT)
    commit_decision(journal, decide({"AAA": 100.0}, gate=({**REFUSE, "observed": 2.0},)), at_utc=AT)
    assert [row.kind for row in journal.events()] == ["decision refused", "decision refused"]


@pytest.mark.parametrize("outcome", ["pass", "refuse"])
def test_a_verdict_on_what_could_not_be_measured_is_recorded(journal, decide, outcome):
    gate = ({**REFUSE, "outcome": outcome, "observed": float("inf")},)
    assert commit_decision(journal, decide({"AAA": 100.0}, gate=gate), at_utc=AT).is_new
    assert not commit_decision(journal, decide({"AAA": 100.0}, gate=gate), at_utc=AT).is_new
    assert journal.events()[0].payload["gate_rows"][0]["observed"] == "inf"


def test_a_refusal_after_the_commit_changes_nothing_and_is_told(journal, decide):
    first = commit_decision(journal, decide({"AAA": 100.0}), at_utc=AT)
    again = commit_decision(journal, decide({"AAA": 100.0}, gate=(REFUSE,)), at_utc=AT)
    assert (again.orders, again.is_refused) == (first.orders, False)
    assert "refused by: data checks passed" in again.conflict


def test_a_ledger_writes_a_backfill_in_one_transaction(journal, decide):
    ledger = DecisionLedger(journal, first=THURSDAY, last=FRIDAY)
    ledger.commit(decide({"AAA": 100.0}), at_utc=AT)
    assert ledger.record(_life()) == ()
    assert journal.events() == []
    assert ledger.flush() == 6
    assert ledger.flush() == 0
    assert journal.verify() == 6
    assert order_statuses(journal.events())["order-AAA"].state is OrderState.FILLED
    assert recorded_fills(journal, first=FRIDAY, last=FRIDAY) == [_fill()]
    assert recorded_fills(journal, first=THURSDAY, last=THURSDAY) == []


def test_running_a_backfill_again_adds_nothing(journal, decide):
    for expected in (6, 0):
        ledger = DecisionLedger(journal, first=THURSDAY, last=FRIDAY)
        assert ledger.commit(decide({"AAA": 100.0}), at_utc=AT).conflict is None
        assert ledger.record(_life()) == ()
        assert ledger.flush() == expected


def test_two_halves_record_what_one_run_does(journal, decide, tmp_path):
    with Journal.open(tmp_path / "one.sqlite", account="simulated") as whole:
        ledger = DecisionLedger(whole, first=THURSDAY, last=FRIDAY)
        ledger.commit(decide({"AAA": 100.0}), at_utc=AT)
        ledger.record(_life())
        ledger.flush()
        in_one = whole.events()
    first = DecisionLedger(journal, first=THURSDAY, last=THURSDAY)
    first.commit(decide({"AAA": 100.0}), at_utc=AT)
    first.record(_life()[:2])
    first.flush()
    second = DecisionLedger(journal, first=FRIDAY, last=FRIDAY)
    second.record(_life()[2:])
    second.flush()
    assert journal.events() == in_one


def test_a_fill_recomputed_at_another_price_is_told_and_the_recorded_one_stands(journal, decide):
    ledger = DecisionLedger(journal, first=THURSDAY, last=FRIDAY)
    ledger.commit(decide({"AAA": 100.0}), at_utc=AT)
    ledger.record(_life())
    ledger.flush()
    again = DecisionLedger(journal, first=THURSDAY, last=FRIDAY)
    assert again.record(_life(price=11.0)) == ("order order-AAA: 'filled' is recorded with other contents",)
    assert again.record([_event(OrderEventKind.EXPIRED)]) == (
        "order order-AAA: 'expired' after the recorded end of the order",
    )
    assert again.flush() == 0
    assert recorded_fills(journal, first=FRIDAY, last=FRIDAY)[0].price_usd == 10.0


def test_an_event_that_cannot_follow_is_not_recorded(journal, decide):
    ledger = DecisionLedger(journal, first=THURSDAY, last=FRIDAY)
    ledger.commit(decide({"AAA": 100.0}), at_utc=AT)
    with pytest.raises(IllegalTransition, match="order-AAA: event 'filled' cannot follow state 'approved'"):
        ledger.record(_life()[2:])


def test_an_event_of_an_order_that_was_never_committed_is_refused(journal):
    ledger = DecisionLedger(journal, first=THURSDAY, last=FRIDAY)
    with pytest.raises(JournalError, match=r"never committed: .'order-AAA'"):
        ledger.record(_life())


def test_a_ledger_refuses_what_lies_outside_it(journal, decide):
    ledger = DecisionLedger(journal, first=FRIDAY, last=MONDAY)
    with pytest.raises(JournalError, match="2014-06-05: this ledger is of account simulated, sessions 2014-06-06"):
        ledger.commit(decide({}), at_utc=AT)
    other = decide({}, account="paper", decision_id="paper/main/2014-06-06/rebalance/1", session=FRIDAY)
    with pytest.raises(JournalError, match="of account paper"):
        ledger.commit(other, at_utc=AT)


def test_a_decision_that_another_process_committed_first_stops_the_flush_with_nothing_written(
    journal, decide, tmp_path
):
    ledger = DecisionLedger(journal, first=THURSDAY, last=FRIDAY)
    ledger.commit(decide({"BBB": 1.0}, decision_id="simulated/main/2014-06-05/rebalance/2"), at_utc=AT)
    ledger.commit(decide({"AAA": 100.0}), at_utc=AT)
    with Journal.open(tmp_path / "journal.sqlite", account="simulated") as elsewhere:
        commit_decision(elsewhere, decide({"AAA": 100.0}), at_utc=AT)
        head = elsewhere.head()
    with pytest.raises(
        DecisionConflict, match=r"rebalance/1 \('decision committed', sequence 1\).*Nothing was written"
    ):
        ledger.flush()
    assert journal.head() == head


def test_the_loser_of_a_race_gets_the_winners_orders(journal, decide, tmp_path, monkeypatch):
    winner = Journal.open(tmp_path / "journal.sqlite", account="simulated")
    flush, raced = DecisionLedger.flush, []

    def flush_after_the_winner(ledger):
        if not raced:
            raced.append(True)
            commit_decision(winner, decide({"AAA": 100.0}), at_utc=AT)
        return flush(ledger)

    monkeypatch.setattr(DecisionLedger, "flush", flush_after_the_winner)
    outcome = commit_decision(journal, decide({"AAA": 55.0}), at_utc=AT)
    winner.close()
    assert ([order.quantity_shares for order in outcome.orders], outcome.is_new) == ([100.0], False)
    assert "recomputed +55 AAA" in outcome.conflict
    assert journal.verify() == 3


def test_committed_decisions_are_read_in_one_query(journal, decide):
    for session in (THURSDAY, FRIDAY, MONDAY):
        commit_decision(journal, decide({f"S{session.day}": 1.0}, session=session), at_utc=AT)
    found = committed_decisions(journal, first=FRIDAY, last=MONDAY)
    assert {name: [order.symbol for order in decision.orders] for name, decision in found.items()} == {
        "simulated/main/2014-06-06/rebalance/1": ["S6"],
        "simulated/main/2014-06-09/rebalance/1": ["S9"],
    }


def test_orders_of_another_decision_cannot_be_committed_with_this_one(order_of):
    fields = {
        "decision_id": "simulated/main/2014-06-05/rebalance/1",
        "account": "simulated",
        "session": THURSDAY,
        "gate_rows": (PASS,),
        "input_snapshot_id": 1,
        "code_version": "1",
        "config_hash": "x",
    }
    with pytest.raises(ExecutionError, match="belongs to other"):
        Decision(**fields, orders=(order_of(decision_id="other"),), refusals={})
    with pytest.raises(ExecutionError, match="2 orders share 1 ids"):
        Decision(**fields, orders=(order_of(), order_of()), refusals={})
    with pytest.raises(ExecutionError, match="refusals of orders it does not have"):
        Decision(**fields, orders=(order_of(),), refusals={"nobody": "x"})


def test_a_decision_that_cannot_be_written_is_not_written_in_part(journal, decide):
    ledger = DecisionLedger(journal, first=THURSDAY, last=MONDAY)
    whole = decide({"AAA": 100.0, "BBB": 5.0})
    first, last = whole.orders
    broken = replace(whole, orders=(first, replace(last, target_weight=math.nan)))
    with pytest.raises(ExecutionError, match="cannot be recorded as JSON"):
        ledger.commit(broken, at_utc=AT)
    assert (ledger.flush(), journal.events(), ledger.committed(whole.decision_id)) == (0, [], None)
    assert ledger.commit(whole, at_utc=AT).is_new
    assert ledger.flush() == 5


def test_an_event_that_cannot_be_written_did_not_happen(journal, decide):
    commit_decision(journal, decide({"AAA": 100.0}), at_utc=AT)
    ledger = DecisionLedger(journal, first=THURSDAY, last=MONDAY)
    submitted, accepted, filled = _life()
    with pytest.raises(ExecutionError, match="cannot be recorded as JSON"):
        ledger.record([submitted, accepted, replace(filled, fill=replace(filled.fill, slippage_usd=math.nan))])
    assert ledger.record([filled]) == ()
    assert ledger.flush() == 3
    assert order_statuses(journal.events())["order-AAA"].filled_shares == 100.0
