"""An account at a venue: what others did there, sessions that are over, and parents that a restart finds again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from aegis.errors import ExecutionError, OrderRejected
from aegis.execution.journal import Journal
from aegis.execution.order_projections import order_statuses
from aegis.execution.order_states import OrderState
from aegis.execution.orders import OrderEventKind
from aegis.live_trading.held_positions import journalled_positions, split_entry
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.worked_parents import ChildrenThroughTheDoor
from tests.integration.live_trading.trading_process import ACCOUNT, IN_SESSION
from tests.integration.live_trading.venue_process import FRIDAY, commit

TAKEN = (OrderState.SUBMITTED, OrderState.ACCEPTED)
"""The venue acknowledges through its stream, which may be later than its answer."""


def test_a_parent_is_worked_in_slices_that_add_up_whatever_restarts(venue, start, tmp_path, parent) -> None:
    commit(tmp_path, parent)
    ticks = [IN_SESSION + timedelta(minutes=30 * number) for number in range(13)]
    for number, at_utc in enumerate(ticks):
        if number % 3 == 0:
            process = start(at_utc)
        process.tick(at_utc)
        if number % 3 == 2 or number == len(ticks) - 1:
            process.close()
    quantities = [Decimal(order["qty"]) for order in venue.book.orders.values()]
    assert sum(quantities) == 130
    assert len(quantities) >= 12, "half-hour slices of a session of six and a half hours"
    assert max(quantities) - min(quantities) <= 1
    assert set(venue.book.accepted.values()) == {1}
    with Journal.open(tmp_path / "journal.sqlite", account=ACCOUNT) as journal:
        journal.verify()
        assert journalled_positions(journal) == {"ABC": 130.0}
        statuses = order_statuses(journal.events())
    assert statuses[parent.client_order_id].state is OrderState.WORKED
    assert sorted(str(s.state) for n, s in statuses.items() if n != parent.client_order_id) == ["filled"] * len(
        quantities
    )


def test_the_kill_switch_ends_a_parent_and_its_open_child(venue, start, tmp_path, parent) -> None:
    commit(tmp_path, parent)
    process = start()
    process.trader.step()
    assert len(venue.book.orders) == 1
    KillSwitch(tmp_path / "kill.json").engage("enough", actor="ada", at_utc=IN_SESSION)
    process.trader.step()
    process.broker.catch_up()
    report = process.trader.step()
    process.close()
    assert report.stopped.endswith("by ada: enough")
    assert [order["status"] for order in venue.book.orders.values()] == ["canceled"]
    later = start()
    later.tick(IN_SESSION + timedelta(hours=1))
    later.close()
    assert len(venue.book.orders) == 1


def test_a_decision_of_a_session_that_is_over_is_not_made_up_for(venue, start, tmp_path, parent) -> None:
    commit(tmp_path, parent)
    monday = datetime(2014, 6, 9, 13, 31, tzinfo=UTC)
    process = start(monday)
    process.tick(monday)
    process.close()
    assert venue.book.orders == {}
    with Journal.open(tmp_path / "journal.sqlite", account=ACCOUNT) as journal:
        (end,) = journal.events(client_order_ids=[parent.client_order_id], kinds=[OrderEventKind.CANCELLED])
    assert end.payload["reason"] == "never sent: nobody released it, and session 2014-06-06 is over"


def test_a_parent_that_nobody_came_back_to_for_weeks_ends_as_worked(venue, start, tmp_path, parent) -> None:
    commit(tmp_path, parent)
    process = start()
    process.tick(IN_SESSION)
    process.close()
    (sent,) = venue.book.orders.values()
    july = datetime(2014, 7, 1, 13, 31, tzinfo=UTC)
    process = start(july)
    process.trader.step()
    process.close()
    with Journal.open(tmp_path / "journal.sqlite", account=ACCOUNT) as journal:
        status = order_statuses(journal.events())[parent.client_order_id]
        (end,) = journal.events(client_order_ids=[parent.client_order_id], kinds=[OrderEventKind.WORKED])
    assert status.state is OrderState.WORKED
    assert f"{sent['filled_qty']} of 130 shares filled by 1 children" in end.payload["reason"]
    assert len(venue.book.orders) == 1


def test_a_trade_by_hand_blocks_what_opens_until_a_person_takes_it_over(venue, start) -> None:
    venue.book.book("ABC", Decimal(40), Decimal(10))
    process = start()
    system = process.system
    assert journalled_positions(process.journal) == {"ABC": 40.0}, "taken over at the first start"
    venue.book.trade_by_hand("ABC", "-15", "10")
    (said,) = system.reconcile().breaks
    assert "ABC: our books say 40 shares, the broker 25 (difference -15)" in said
    with pytest.raises(ExecutionError, match=r"ABC 10\) was not sent: account paper differs from the broker"):
        system.submit_order(system.order("ABC", 10, name="opens", arrival_price_usd=10.0))
    reducing = system.order("ABC", -10, name="reduces", arrival_price_usd=10.0, is_reducing=True)
    assert system.submit_order(reducing).state in TAKEN
    assert len(venue.book.orders) == 1
    with pytest.raises(ExecutionError, match="with a reason and an actor"):
        system.take_over_positions(reason=" ", actor="ada")
    assert system.take_over_positions(reason="sold by hand on the phone", actor="ada").is_clean
    opens = system.order("ABC", 10, name="opens", arrival_price_usd=10.0)
    assert system.submit_order(opens).state in TAKEN
    process.close()


def test_a_fill_that_the_stream_lost_is_asked_for_before_it_counts_as_a_break(venue, start, monkeypatch) -> None:
    process = start()
    system = process.system
    status = system.submit_order(system.order("ABC", 10, name="opens", arrival_price_usd=10.0))
    monkeypatch.setattr(venue.book, "listeners", [])
    venue.book.fill(status.order.client_order_id, "10", "10.00")
    assert system.reconcile().breaks == ()
    assert journalled_positions(process.journal) == {"ABC": 10.0}
    process.close()


def test_a_fill_that_another_thread_wrote_down_meanwhile_is_no_break(venue, start, monkeypatch) -> None:
    process = start()
    system, broker = process.system, process.broker
    status = system.submit_order(system.order("ABC", 10, name="opens", arrival_price_usd=10.0))
    held = broker.positions

    def filled_before():
        venue.book.fill(status.order.client_order_id, "10", "10.00")
        monkeypatch.undo()
        found = held()
        broker.catch_up()
        system.door.take_events()  # as a thread does that submits
        return found

    monkeypatch.setattr(broker, "positions", filled_before)
    assert system.reconcile().breaks == system.breaks == ()
    process.close()


def test_fills_without_a_pause_are_no_break_and_do_not_hide_one_for_long(venue, start, monkeypatch) -> None:
    process = start()
    system, broker = process.system, process.broker
    status = system.submit_order(system.order("ABC", 100, name="fills on", arrival_price_usd=10.0))
    asked = broker.positions

    def filled_and_asked():
        venue.book.fill(status.order.client_order_id, "1", "10.00")
        return asked()

    monkeypatch.setattr(broker, "positions", filled_and_asked)
    for seconds in (0, 12, 24, 36):
        process.clock.advance_to(IN_SESSION + timedelta(seconds=seconds))
        assert "our books say" in system.reconcile().breaks[0]
        assert system.breaks == ()
    before = len(venue.rest.calls)
    process.clock.advance_to(IN_SESSION + timedelta(seconds=39))
    system.step()  # it was tried three seconds ago
    assert [call.path for call in venue.rest.calls[before:] if "positions" in call.path] == []
    process.clock.advance_to(IN_SESSION + timedelta(seconds=40))  # two pauses between looks
    assert "our books say" in system.reconcile().breaks[0]
    assert "our books say" in system.breaks[0]
    monkeypatch.undo()
    process.clock.advance_to(IN_SESSION + timedelta(seconds=45))  # a quarter of a pause: none was settled yet
    system.step()
    assert system.breaks == ()
    process.close()


def test_an_order_of_somebody_else_is_a_break_that_names_it(venue, start) -> None:
    process = start()
    stranger = {"symbol": "DEF", "qty": "3", "side": "buy", "type": "market", "time_in_force": "day"}
    venue.book.submit({**stranger, "client_order_id": "typed-by-hand"})
    process.broker.catch_up()
    (said,) = process.system.reconcile().breaks
    assert "DEF: an open order of 3 shares" in said
    assert "is not ours" in said
    process.close()


def test_a_booked_split_leaves_no_break(venue, start) -> None:
    venue.book.book("ABC", Decimal(25), Decimal(10))
    process = start()
    venue.book.positions["ABC"] = (Decimal(50), Decimal(5))
    assert not process.system.reconcile().is_clean
    with process.journal.batch() as batch:
        batch.append(split_entry("ABC", 2.0, session=FRIDAY, at_utc=IN_SESSION))
    assert process.system.reconcile().is_clean
    process.close()


def test_other_terms_under_a_committed_id_are_refused_and_nothing_is_sent(venue, start) -> None:
    process = start()
    system = process.system
    system.submit_order(system.order("ABC", 10, name="one", arrival_price_usd=10.0))
    with pytest.raises(OrderRejected, match=r"10 ABC market was committed under this id, found 11 ABC"):
        system.submit_order(system.order("ABC", 11, name="one", arrival_price_usd=10.0))
    with pytest.raises(OrderRejected, match=r"10 ABC market was committed under this id, found -10 ABC"):
        system.submit_order(system.order("ABC", -10, name="one", arrival_price_usd=10.0))
    process.close()
    assert len(venue.book.orders) == 1


def test_new_terms_that_may_not_leave_are_noted_and_the_child_works_on(venue, start, tmp_path) -> None:
    process = start()
    system = process.system
    terms = {"order_type": "limit", "limit_price_usd": 9.0, "arrival_price_usd": 10.0}
    order = system.order("ABC", 10, name="one", **terms)
    children = ChildrenThroughTheDoor(system.door)
    children.submit(order)
    KillSwitch(tmp_path / "kill.json").engage("enough", actor="ada", at_utc=IN_SESSION)
    children.replace(replace(order, limit_price_usd=9.5), revision=1)
    (said,) = children.failures
    assert "was not replaced: the kill switch engaged since" in said
    (made,) = venue.book.orders.values()
    assert (made["limit_price"], made["replaced_by"]) == ("9", None)
