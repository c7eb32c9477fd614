"""A process that trades for weeks: what its ledger forgets it answers from the journal."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from aegis.errors import DecisionConflict, JournalError
from aegis.execution import worked_ledger
from aegis.execution.account_state import Position
from aegis.execution.decisions import Decision, DecisionEventKind
from aegis.execution.journal import Journal
from aegis.execution.journal_sqlite import OF_ORDER, SqliteStore
from aegis.execution.order_states import OrderState
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.held_positions import adoption_entry, journalled_positions, split_entry
from aegis.live_trading.journalled_account import JournalledAccount

THURSDAY, FRIDAY = date(2014, 6, 5), date(2014, 6, 6)
AT = datetime(2014, 6, 6, 13, 31, tzinfo=UTC)
KEPT = 3
_E = OrderEventKind


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.sqlite", account="simulated") as opened:
        yield opened


@pytest.fixture
def ledger(journal, monkeypatch):
    monkeypatch.setattr(worked_ledger, "_KEPT_ENDED_ORDERS", KEPT)
    return WorkedLedger(journal, first=THURSDAY)


def event(kind: OrderEventKind, name: str, fill: Fill | None = None) -> OrderEvent:
    return OrderEvent(kind=kind, client_order_id=name, session=FRIDAY, at_utc=AT, fill=fill)


def _decision(order: Order) -> Decision:
    return Decision(
        decision_id=order.decision_id,
        account="simulated",
        session=THURSDAY,
        orders=(order,),
        refusals={},
        gate_rows=(),
        input_snapshot_id=0,
        code_version="1",
        config_hash="1",
    )


@pytest.fixture
def traded(ledger, order_of):
    """Commit, send and fill an order of its own decision."""

    def trade(number: int, shares: float = 10.0, *, symbol: str = "ABC"):
        decision = f"simulated/desk/2014-06-05/asked:{number}/1"
        order = order_of(client_order_id=f"o-{number}", decision_id=decision, symbol=symbol, quantity_shares=shares)
        made = _decision(order)
        ledger.commit(made, at_utc=AT)
        fill = Fill(
            fill_number=1,
            client_order_id=order.client_order_id,
            decision_id=decision,
            account="simulated",
            session=FRIDAY,
            symbol=symbol,
            ticker=symbol,
            quantity_shares=shares,
            price_usd=10.0,
            reference_price_usd=10.0,
            commission_usd=0.0,
            slippage_usd=0.0,
            arrival_price_usd=10.0,
            filled_at_utc=AT,
            execution_id=f"x-{number}",
        )
        told = [event(_E.SUBMITTED, order.client_order_id), event(_E.FILLED, order.client_order_id, fill)]
        ledger.record(told)
        ledger.flush()
        return made, told

    return trade


def test_ended_orders_beyond_the_newest_are_let_go_and_answered_from_the_journal(ledger, traded) -> None:
    made = [traded(number) for number in range(5)]
    assert ledger.let_go() == ("o-0", "o-1")
    assert ledger.let_go() == ()
    status = ledger.status("o-0")
    assert (status.state, status.filled_shares) == (OrderState.FILLED, 10.0)
    assert ledger.committed_order("o-0") == made[0][0].orders[0]
    assert ledger.recall("o-0") == (made[0][0].orders[0], (made[0][1][1],))
    assert ledger.open_ids() == ()


def test_what_is_told_again_of_an_order_that_was_let_go_is_not_recorded_again(journal, ledger, traded) -> None:
    made = [traded(number) for number in range(5)]
    before = journal.head()
    assert ledger.record(made[0][1]) == ()
    again = ledger.commit(made[0][0], at_utc=AT)
    assert (again.is_new, again.conflict) == (False, None)
    other = replace(made[1][0], orders=(replace(made[1][0].orders[0], quantity_shares=11.0),))
    assert ledger.commit(other, at_utc=AT).conflict is not None
    assert (ledger.flush(), journal.head()) == (0, before)
    assert ledger.record([event(_E.CANCELLED, "o-0")]) == (
        "order o-0: 'cancelled' after the recorded end of the order",
    )


def test_a_stranger_is_recalled_as_none_and_a_new_decision_is_none_of_the_forgotten(ledger, traded) -> None:
    made = [traded(number) for number in range(5)]
    assert ledger.recall("nobody's") is None
    assert ledger.committed(made[0][0].decision_id) is not None
    assert ledger.committed("simulated/desk/2014-06-05/asked:6/1") is None


def test_what_is_kept_of_an_order_goes_on_being_numbered_after_it_was_forgotten(journal, ledger, traded) -> None:
    order = traded(0)[0].orders[0]
    for number in range(1, 3):
        ledger.keep_parent(order, {"place": number}, session=FRIDAY, at_utc=AT)
    for number in range(1, 8):
        traded(number)
    assert "o-0" in ledger.let_go()
    ledger.keep_parent(order, {"place": 3}, session=FRIDAY, at_utc=AT)
    ledger.flush()
    assert [row.payload["place"] for row in journal.events(kinds=[DecisionEventKind.PARENT_KEPT])] == [1, 2, 3]


def test_a_verdict_that_is_told_again_is_compared_with_what_was_committed(journal, ledger, order_of) -> None:
    order = order_of(client_order_id="o-1", decision_id="simulated/desk/2014-06-05/asked:1/1")
    ledger.commit(_decision(order), at_utc=AT)
    ledger.flush()
    told = OrderEvent(kind=_E.APPROVED, client_order_id="o-1", session=THURSDAY, at_utc=AT)
    for found in (ledger, WorkedLedger(journal, first=THURSDAY)):
        assert found.record([told]) == ()
        assert found.record([replace(told, reason="x")]) == ("order o-1: 'approved' is recorded with other contents",)
        assert found.flush() == 0


def test_an_order_that_is_open_is_never_let_go(ledger, traded, order_of) -> None:
    first, _ = traded(0)
    child = order_of(client_order_id="child", decision_id=first.decision_id, quantity_shares=5.0)
    ledger.commit_child(child, None, session=FRIDAY, at_utc=AT)
    for number in range(1, 6):
        traded(number)
    assert "child" not in ledger.let_go()
    assert ledger.open_ids() == ("child",)


def test_what_happened_before_the_first_session_may_be_told_again_and_nothing_new(journal, ledger, order_of) -> None:
    """The order was acknowledged on Thursday and ended on Friday, from which the next process reads."""
    order = order_of(client_order_id="o-1", decision_id="simulated/desk/2014-06-05/asked:1/1")
    ledger.commit(_decision(order), at_utc=AT)
    sent = replace(event(_E.SUBMITTED, "o-1"), session=THURSDAY)
    acknowledged = replace(event(_E.ACCEPTED, "o-1"), session=THURSDAY)
    ledger.record([sent, acknowledged, event(_E.CANCELLED, "o-1")])
    ledger.flush()

    later = WorkedLedger(journal, first=FRIDAY)
    assert later.record([acknowledged, event(_E.CANCELLED, "o-1")]) == ()
    assert later.flush() == 0
    with pytest.raises(JournalError, match="this ledger is of account simulated, sessions 2014-06-06"):
        later.record([replace(event(_E.CANCEL_REQUESTED, "o-1"), session=THURSDAY)])


def test_positions_read_on_are_those_of_the_whole_journal(journal, traded) -> None:
    read_on = JournalledAccount(journal)
    assert read_on.read().held is None
    held = Position("ABC", "ABC", 7.0, 10.0, 10.0, THURSDAY)
    steps = [
        lambda: _append(journal, adoption_entry([held], reason="start", actor="ada", session=THURSDAY, at_utc=AT)),
        lambda: traded(1),
        lambda: _append(journal, split_entry("ABC", 2.0, session=FRIDAY, at_utc=AT)),
        lambda: traded(2, -34.0),
        lambda: traded(3, 3.0, symbol="DEF"),
    ]
    found = []
    for step in steps:
        step()
        found.append(read_on.read().held)
        assert found[-1] == journalled_positions(journal) == read_on.read().held
    assert found == [{"ABC": 7.0}, {"ABC": 17.0}, {"ABC": 34.0}, {}, {"DEF": 3.0}]


OF_BEFORE = (
    "DROP INDEX journal_events_by_order",
    "CREATE INDEX journal_events_by_order ON journal_events (client_order_id)",
)


@pytest.mark.parametrize("changes", [(), OF_BEFORE], ids=["new file", "file of before"])
def test_the_events_of_an_order_are_found_by_its_index_however_long_the_journal_is(tmp_path, changes) -> None:
    with Journal.open(tmp_path / "journal.sqlite", account="simulated"):
        pass
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as connection:
        for change in changes:
            connection.execute(change)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {OF_ORDER}", ("o-1", "simulated")).fetchall()
    assert "journal_events_by_order (client_order_id=?)" in str(plan)


def _append(journal: Journal, entry) -> None:
    with journal.batch() as batch:
        batch.append(entry)


def lose_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next batch be committed and the connection break before that is said, as when a server dies."""
    append = SqliteStore.append

    def committed(store, account, continued):
        append(store, account, continued)
        monkeypatch.setattr(SqliteStore, "append", append)
        raise sqlite3.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(SqliteStore, "append", committed)


def test_a_commit_whose_answer_was_lost_is_found_in_the_journal_and_the_ledger_goes_on(
    journal, ledger, order_of, monkeypatch
) -> None:
    order = order_of(client_order_id="o-1")
    ledger.commit(_decision(order), at_utc=AT)
    lose_the_answer(monkeypatch)
    with pytest.raises(JournalError, match="server closed the connection"):
        ledger.flush()
    assert ledger.record([event(_E.SUBMITTED, "o-1")]) == ()
    assert ledger.flush() == 1
    assert ledger.flush() == 0
    assert [row.kind for row in journal.events()] == ["decision committed", "intent recorded", "approved", "submitted"]
    assert journal.verify() == 4


@pytest.mark.parametrize("difference", ["another instant", "another payload"])
def test_what_stands_in_the_journal_otherwise_stays_a_conflict(journal, ledger, order_of, difference) -> None:
    order = order_of(client_order_id="o-1")
    other = WorkedLedger(journal, first=THURSDAY)
    changed = replace(order, quantity_shares=99.0) if difference == "another payload" else order
    other.commit(_decision(changed), at_utc=AT if changed != order else AT.replace(microsecond=1))
    other.flush()
    before = journal.head()
    ledger.commit(_decision(order), at_utc=AT)
    for _ in range(2):
        with pytest.raises(DecisionConflict, match="another process recorded 3 of the 3 new events first"):
            ledger.flush()
    assert journal.head() == before
