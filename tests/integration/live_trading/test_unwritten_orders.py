"""Orders and terms that cannot be written down, whatever the reason: they never leave, and nothing stays reserved."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from aegis.errors import JournalError
from aegis.execution.order_states import OrderState
from tests.integration.live_trading.trading_process import IN_SESSION, NoRules
from tests.integration.live_trading.venue_process import limit


class Counting(NoRules):
    """Rules that count what was let through and not withdrawn."""

    def __init__(self) -> None:
        self.reserved: list[str] = []

    def review(self, order, *, is_replacement=False):
        self.reserved.append(order.client_order_id)
        return super().review(order, is_replacement=is_replacement)

    def withdraw(self, client_order_id: str) -> None:
        self.reserved.remove(client_order_id)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_an_order_whose_writing_is_broken_off_by_anything_ends_unsent(
    venue, start: Callable[..., object], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    rules = Counting()
    process = start(rules=lambda _: rules)
    system = process.system
    broken, next_one = limit(system, "broken off"), limit(system, "next")
    monkeypatch.setattr(type(system.ledger.journal._store), "append", _raising(error))
    with pytest.raises(error):
        system.submit_order(broken)
    monkeypatch.undo()
    assert rules.reserved == []
    system.submit_order(next_one)
    process.close()
    later = start(IN_SESSION + timedelta(minutes=1))
    later.system.step()
    assert later.system.door.status(broken.client_order_id).state is OrderState.CANCELLED
    assert venue.book.accepted == {next_one.client_order_id: 1}


@pytest.mark.parametrize("error", [sqlite3.OperationalError, MemoryError])
def test_terms_that_cannot_be_written_are_declined_and_the_order_keeps_its_own(
    venue, start: Callable[..., object], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    rules = Counting()
    process = start(rules=lambda _: rules)
    system = process.system
    order = limit(system, "kept")
    system.submit_order(order)
    monkeypatch.setattr(type(system.ledger.journal._store), "append", _raising(error))
    with pytest.raises(JournalError if error is sqlite3.OperationalError else error):
        system.replace_order(replace(order, limit_price_usd=8.0), revision=1)
    monkeypatch.undo()
    assert rules.reserved == [order.client_order_id], "what the order takes, without the terms that never left"
    system.submit_order(limit(system, "next"))
    process.close()
    later = start(IN_SESSION + timedelta(minutes=1))
    status = later.system.door.status(order.client_order_id)
    assert not status.is_replace_requested
    assert status.order.limit_price_usd == 9.0
    assert [row["limit_price"] for row in venue.book.orders.values()] == ["9", "9"]


def _raising(error: type[BaseException]) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise error

    return refuse
