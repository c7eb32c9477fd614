"""The keys of a live session are in nothing that it leaves: files, logs at their loudest, exceptions, events."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aegis.errors import AegisError
from aegis.execution.order_states import OrderState
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.workspace import Workspace
from tests.integration.canary_search import Canaries
from tests.integration.live_trading.live_world import ACCOUNT, ENVIRONMENT, NUMBER, LiveWorld
from tests.integration.live_trading.trading_process import config_in
from tests.integration.vendors.vendor_server import Html, Status
from tests.integration.venues.alpaca.rest import KEY_ID, SECRET_KEY, Before
from tests.integration.venues.alpaca.server import AlpacaVenue
from tests.integration.venues.live_host import AUTHORITY, LiveHost

CANARIES = Canaries(KEY_ID, SECRET_KEY)
ATTEMPTS = 2
REPEATS_THE_KEYS = {"message": f"{KEY_ID} and {SECRET_KEY} are busy"}


@pytest.fixture(scope="module")
def running() -> Iterator[LiveHost]:
    with AlpacaVenue() as venue, LiveHost(venue) as host:
        yield host


@pytest.fixture
def world(running: LiveHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveWorld:
    running.venue.begin_again()
    running.venue.book.account_number = NUMBER
    monkeypatch.setattr("socket.getaddrinfo", running.resolve)
    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, str(AUTHORITY))
    secrets = tmp_path.parent / f"{tmp_path.name}-secrets"
    secrets.write_text("".join(f"{name}={ENVIRONMENT[name]}\n" for name in ENVIRONMENT if "ALPACA" in name))
    secrets.chmod(0o600)
    monkeypatch.setenv("AEGIS_SECRETS_FILE", str(secrets))
    monkeypatch.setenv("AEGIS_LIVE_TRADING", ACCOUNT)
    made = LiveWorld(tmp_path)
    made.settings["brokers"]["alpaca"]["attempts"] = ATTEMPTS
    made.confirm()
    return made


def _refusal_of(act: Callable[[], object]) -> str:
    """Return all that an error and its causes say."""
    with pytest.raises(AegisError) as refusal:
        act()
    return "".join(traceback.format_exception(refusal.value)) + repr(refusal.value)


def test_a_live_session_with_faults_leaves_no_key_anywhere(running, world, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    rest, folder = running.venue.rest, Workspace.of(world.config()).folder
    made = world.broker()
    broker, told = made.broker, []
    try:
        for fault in (Status(500, body=REPEATS_THE_KEYS), Status(401, body=REPEATS_THE_KEYS), Html()):
            rest.script("GET", *[Before(fault)] * ATTEMPTS)
            told.append(_refusal_of(broker.connect))
            rest.reset(running.venue.book)
        broker.connect()
        config = config_in(folder, world.clock, account=ACCOUNT, why_only_reducing=made.why_only_reducing)
        with ExecutionSystem(broker, config) as system:
            rest.script("POST", Before(Status(500, body=REPEATS_THE_KEYS)))
            system.submit_order(system.order("ABC", 10, name="first", arrival_price_usd=10.0))
            rest.script("POST", Before(Status(422, body=REPEATS_THE_KEYS)))
            refused = system.submit_order(system.order("ABC", 10, name="second", arrival_price_usd=10.0))
            assert refused.state is OrderState.REJECTED
            rest.script("GET", *[Before(Status(403, body=REPEATS_THE_KEYS))] * ATTEMPTS)
            told.append(_refusal_of(system.reconcile))
            rest.reset(running.venue.book)
        assert running.venue.book.accepted.total() == 1
        world.kept().revoke(actor="ada", reason="done", now_utc=world.clock.now_utc())
        told.append(made.why_only_reducing())
    finally:
        broker.close()
    config = world.config()
    told.append(f"{made!r}{broker!r}{config!r}{config.model_dump_json()}{world.kept()!r}")
    printed = capfd.readouterr()
    said = "\n".join([caplog.text, printed.out, printed.err, *told])
    assert "> GET /stream HTTP/1.1" in said or "started trading stream" in said  # there was something to search
    assert CANARIES.in_bytes(said.encode()) == set()
    assert (folder / "journal.sqlite").exists()
    assert CANARIES.in_folder(world.folder) == {}
