"""An account whose journal is on a PostgreSQL that gives up: another session holds the journal's write lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa

from aegis.errors import JournalError, StorageUnavailable
from aegis.execution.journal import Journal, holds_journal
from aegis.execution.journal_tables import HEADS
from aegis.execution.order_states import OrderState
from aegis.live_trading.kill_switch import KillSwitch
from aegis.postgres import PostgresSchema
from tests.integration.live_trading.trading_process import IN_SESSION
from tests.integration.live_trading.venue_process import limit
from tests.integration.postgres_server import PostgresServer

pytestmark = pytest.mark.service

WAITS = "advisory_xact_lock(hashtextextended(current_schema"


@pytest.fixture
def schema(server: PostgresServer, request: pytest.FixtureRequest) -> PostgresSchema:
    return PostgresSchema.of(server.secret, request.node.name, "journal")


@pytest.fixture
def limited(server: PostgresServer) -> Iterator[None]:
    """Let the server end every statement of new connections that takes longer than 200 ms."""
    server.ask("ALTER ROLE aegis SET statement_timeout = '200ms'")
    yield
    server.ask("ALTER ROLE aegis RESET statement_timeout")


@contextmanager
def held(schema: PostgresSchema) -> Iterator[None]:
    """Hold the journal's write lock from another session, as a backup or a forgotten client does."""
    with other_session(schema) as other:
        key = {"key": f"{schema.name} journal"}
        other.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)
        yield


@contextmanager
def other_session(schema: PostgresSchema) -> Iterator[sa.Connection]:
    """Open a session that waits as long as it must."""
    engine = sa.create_engine(schema.server_url(), connect_args={"options": "-c statement_timeout=0"})
    try:
        with engine.connect() as other:
            yield other
    finally:
        engine.dispose()


def killed_while_it_waits(server: PostgresServer) -> threading.Thread:
    """End the session that waits for the lock, as soon as one does."""

    def kill() -> None:
        ends = time.monotonic() + 10.0
        while time.monotonic() < ends and not server.kill_backends(WAITS):
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.parametrize("ends_by", ["a timeout of the server", "a killed session"])
def test_an_order_that_waited_in_vain_for_the_journal_never_leaves(
    server: PostgresServer, schema: PostgresSchema, venue, start: Callable[..., object], request, ends_by: str
) -> None:
    if ends_by == "a timeout of the server":
        request.getfixturevalue("limited")
    process = start(journal=schema)
    system = process.system
    kept, next_one = limit(system, "kept"), limit(system, "next")
    with held(schema):
        killing = killed_while_it_waits(server) if ends_by == "a killed session" else None
        with pytest.raises(JournalError, match="gave up waiting" if killing is None else "connection .* was lost"):
            system.submit_order(kept)
        if killing is not None:
            killing.join()
    system.submit_order(next_one)
    process.close()
    later = start(IN_SESSION + timedelta(minutes=1), journal=schema)
    later.system.step()
    assert venue.book.accepted == {next_one.client_order_id: 1}
    assert later.system.door.status(kept.client_order_id).state is OrderState.CANCELLED


@pytest.mark.usefixtures("limited")
def test_a_journal_that_cannot_be_written_keeps_no_order_from_its_end(
    schema: PostgresSchema, venue, start: Callable[..., object], tmp_path
) -> None:
    process = start(journal=schema)
    system = process.system
    for name in ("one", "two"):
        system.submit_order(limit(system, name))
    with held(schema):
        KillSwitch(tmp_path / "kill.json").engage("enough", actor="ada", at_utc=IN_SESSION)
        with pytest.raises(JournalError):
            system.step()
        assert [order["status"] for order in venue.book.orders.values()] == ["canceled", "canceled"]
    system.step()
    assert system.sent_orders() == ()


@pytest.mark.usefixtures("limited")
def test_whoever_listens_goes_on_once_the_journal_can_be_written(
    schema: PostgresSchema, venue, start: Callable[..., object]
) -> None:
    process = start(journal=schema)
    system = process.system
    order = limit(system, "filled meanwhile")
    system.submit_order(order)
    with held(schema):
        system.listen()
        venue.book.fill(order.client_order_id, "10", "9.00")
        wait_until(lambda: "gave up waiting" in system.last_failure)
    wait_until(lambda: system.door.status(order.client_order_id).state is OrderState.FILLED)
    assert system.breaks == ()


@pytest.mark.usefixtures("limited")
def test_a_server_that_gives_up_while_the_journal_is_looked_for_is_none_that_has_no_journal(
    schema: PostgresSchema,
) -> None:
    Journal.open(schema, account="simulated").close()
    with other_session(schema) as other:
        other.execute(sa.text(f'LOCK TABLE "{schema.name}".{HEADS.name} IN ACCESS EXCLUSIVE MODE'))
        with pytest.raises(StorageUnavailable, match="statement timeout"):
            holds_journal(schema, account="simulated")


def wait_until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10.0
    while not is_so():
        assert time.monotonic() < ends, "it did not come to it within 10 s"
        time.sleep(0.01)
