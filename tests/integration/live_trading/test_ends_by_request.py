"""Ends and new terms that somebody asks for, against a thread that sends, a desk that works, and a stop that stands."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from aegis.errors import AnchorUnavailable, ExecutionError
from aegis.execution.journal import Journal
from aegis.execution.order_projections import order_statuses
from aegis.execution.order_states import OrderState
from aegis.execution.orders import OrderEventKind
from aegis.live_trading.kill_switch import KillSwitch
from tests.integration.live_trading.trading_process import ACCOUNT, IN_SESSION, NoRules
from tests.integration.live_trading.venue_process import commit

OPEN = ("new", "partially_filled", "accepted", "pending_cancel")


def test_an_order_that_is_sent_while_its_end_is_asked_for_is_not_left_at_the_venue(
    venue, start, tmp_path, order_of, parent, monkeypatch
) -> None:
    order = order_of(
        client_order_id=parent.client_order_id, decision_id=parent.decision_id, account=ACCOUNT, quantity_shares=10.0
    )
    commit(tmp_path, order)
    process = start()
    system = process.system
    asked = system.door._require
    senders = []

    def asked_and_sent(name):
        found = asked(name)
        if not senders:
            senders.append(threading.Thread(target=system.submit_order, args=(order,)))
            senders[0].start()
            senders[0].join(0.5)  # where it may: it leaves right after somebody has seen that it has not
        return found

    monkeypatch.setattr(system.door, "_require", asked_and_sent)
    system.cancel_order(order.client_order_id)
    senders[0].join()
    process.broker.catch_up()
    system.step()
    assert system.door.status(order.client_order_id).state is OrderState.CANCELLED
    assert [made for made in venue.book.orders.values() if made["status"] in OPEN] == []


def test_the_end_of_a_parent_ends_its_children_and_nothing_follows(venue, start, tmp_path, parent) -> None:
    commit(tmp_path, parent)
    process = start()
    process.trader.step()
    assert [order["status"] for order in venue.book.orders.values()] == ["new"]
    assert process.system.cancel_order(parent.client_order_id).state is OrderState.CANCELLED
    process.trader.step()
    process.broker.catch_up()
    process.trader.step()
    assert [order["status"] for order in venue.book.orders.values()] == ["canceled"]
    process.tick(IN_SESSION + timedelta(minutes=40))
    assert process.trader.step().parents == ()
    process.close()
    later = start(IN_SESSION + timedelta(minutes=80))
    later.tick(IN_SESSION + timedelta(minutes=90))
    later.close()
    assert len(venue.book.orders) == 1
    with Journal.open(tmp_path / "journal.sqlite", account=ACCOUNT) as journal:
        journal.verify()
        states = {status.state for status in order_statuses(journal.events()).values()}
    assert states == {OrderState.CANCELLED}


def _changed(system, **terms):
    """Return an order at the venue, and the same with a better limit."""
    given = {"name": "one", "arrival_price_usd": 10.0, "order_type": "limit", **terms}
    return (system.order("ABC", 10, limit_price_usd=limit, **given) for limit in (9.0, 9.5))


class Withdrawn(NoRules):
    """Rules that note what was taken back."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def withdraw(self, client_order_id: str) -> None:
        self.names.append(client_order_id)


def test_terms_that_a_stop_keeps_from_the_venue_are_asked_for_no_more(start, tmp_path) -> None:
    rules = Withdrawn()
    process = start(rules=lambda _: rules)
    system = process.system
    order, better = _changed(system)
    system.submit_order(order)
    switch = KillSwitch(tmp_path / "kill.json")
    switch.engage("enough", actor="ada", at_utc=IN_SESSION)
    with pytest.raises(ExecutionError, match="was not replaced: the kill switch engaged since"):
        system.replace_order(better, revision=1)
    (status,) = system.open_orders()
    assert (status.order.limit_price_usd, status.is_replace_requested) == (9.0, False)
    assert rules.names == [order.client_order_id], "nothing is reserved for them"
    (answer,) = process.journal.events(kinds=[OrderEventKind.REPLACE_REJECTED])
    assert answer.payload["reason"].startswith("never sent: ")
    switch.release("found", actor="ada", at_utc=IN_SESSION)
    system.replace_order(better, revision=2)
    process.broker.catch_up()
    system.step()
    (status,) = system.open_orders()
    assert (status.order.limit_price_usd, status.is_replace_requested) == (9.5, False)
    process.close()


def test_terms_that_cannot_be_anchored_are_not_written_down(start, monkeypatch) -> None:
    process = start()
    system = process.system
    order, better = _changed(system)
    system.submit_order(order)

    def away():
        message = "the anchor does not answer"
        raise AnchorUnavailable(message)

    monkeypatch.setattr(system.door._anchoring, "require", away)
    with pytest.raises(AnchorUnavailable):
        system.replace_order(better, revision=1)
    assert process.journal.events(kinds=[OrderEventKind.REPLACE_REQUESTED]) == []
    process.close()
