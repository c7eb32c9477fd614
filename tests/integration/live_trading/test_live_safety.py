"""Real money is reached by the configuration that a person confirmed, and by no other."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from aegis.errors import ConfigurationError
from aegis.execution.order_states import OrderState
from aegis.live_trading.kept_confirmation import LONGEST_HOURS
from tests.integration.live_trading.changed_settings import each_changed
from tests.integration.live_trading.live_changes import LONGER, MUTATIONS, REASONS
from tests.integration.live_trading.live_world import ACCOUNT, ENDS, ENVIRONMENT, NUMBER, SETTINGS, LiveWorld
from tests.integration.venues.alpaca.server import AlpacaVenue
from tests.integration.venues.live_host import AUTHORITY, LiveHost


@pytest.fixture(scope="module")
def running() -> Iterator[LiveHost]:
    with AlpacaVenue() as venue, LiveHost(venue) as host:
        yield host


@pytest.fixture
def host(running: LiveHost, monkeypatch: pytest.MonkeyPatch) -> LiveHost:
    running.venue.begin_again()
    running.venue.book.account_number = NUMBER
    running.connections = 0
    running.names.clear()
    monkeypatch.setattr("socket.getaddrinfo", running.resolve)
    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, str(AUTHORITY))
    return running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture
def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveWorld]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    folder.mkdir(exist_ok=True)
    made = LiveWorld(folder)
    made.confirm()
    yield made
    shutil.rmtree(folder)


@pytest.fixture
def order_of(order_of):
    return partial(order_of, account=ACCOUNT, algorithm="market")


def test_what_was_confirmed_reaches_the_live_host(host, world, order_of):
    world.trade(order_of())
    assert host.venue.book.accepted == {"order-ABC": 1}
    assert set(host.names) == {"api.alpaca.markets"}
    assert host.connections >= 2  # requests, and the stream


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in LONGER else name for name in MUTATIONS]
)
def test_no_single_change_reaches_the_live_host(host, world, order_of, monkeypatch, name):
    MUTATIONS[name](world, monkeypatch)
    with pytest.raises(ConfigurationError, match=re.escape(REASONS.get(name, ": config_hash changed"))):
        world.trade(order_of(account=world.settings["run"]["account"]))
    assert host.connections == 0
    assert host.names == []
    assert host.venue.book.accepted == {}


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of values that no setting would take
def test_no_setting_at_all_may_change(host, world):
    count = 0
    for name, changed in each_changed(world.config()):
        world.change = lambda _, changed=changed: changed
        with pytest.raises(ConfigurationError):
            pytest.fail(f"{name}: {world.broker()}")
        count += 1
    assert count >= 300
    assert (host.connections, host.names) == (0, [])


def test_there_are_enough_changes_and_each_is_one():
    assert len(MUTATIONS.keys() - LONGER) >= 50
    assert MUTATIONS.keys() > LONGER
    assert REASONS.keys() < MUTATIONS.keys()
    assert SETTINGS["run"]["account"] == ACCOUNT  # no change has leaked into the next one


@pytest.mark.parametrize("hours", [0.0, -1.0, LONGEST_HOURS + 0.001, float("nan"), float("inf")])
def test_a_confirmation_lasts_no_longer_than_from_a_close_to_the_next_opening(world, hours):
    kept = world.kept()
    with pytest.raises(ConfigurationError, match="at most 16 hours"):
        kept.confirm(kept.terms.phrase, actor="ada", hours=hours, now_utc=world.clock.now_utc())


@pytest.mark.parametrize("typed", ["yes", pytest.param("trade real money of fund", marks=pytest.mark.long)])
def test_nothing_but_the_phrase_confirms_and_what_stood_stands(host, world, order_of, typed):
    kept = world.kept()
    with pytest.raises(ConfigurationError, match="something else was typed"):
        kept.confirm(typed, actor="ada", hours=1.0, now_utc=world.clock.now_utc())
    assert kept.terms.phrase == "trade real money of fund in 123456789 at api.alpaca.markets:443"
    world.trade(order_of())
    assert host.venue.book.accepted == {"order-ABC": 1}


def test_files_are_for_their_user_alone_and_the_history_only_grows(world):
    kept = world.kept()
    world.later(0.5)
    world.confirm()
    kept.revoke(actor="bob", reason="lunch", now_utc=world.clock.now_utc())
    lines = [json.loads(line) for line in kept.history_path.read_text(encoding="utf-8").splitlines()]
    assert [(line["kind"], line["actor"]) for line in lines] == [
        ("confirmed", "ada"),
        ("confirmed", "ada"),
        ("revoked", "bob"),
    ]
    assert lines[2]["reason"] == "lunch"
    assert {oct(path.stat().st_mode & 0o777) for path in (kept.history_path, kept.key)} == {"0o600"}


@pytest.mark.parametrize(
    "ending", ["expires", *(pytest.param(x, marks=pytest.mark.long) for x in ("revoked", "deleted"))]
)
def test_when_it_ends_while_trading_only_what_reduces_leaves_and_everything_can_be_cancelled(
    host, world, order_of, ending
):
    host.venue.book.trade_by_hand("ABC", "30", "10")
    configured = world.broker()
    broker = configured.broker
    broker.connect()
    try:
        assert configured.trades_real_money
        assert broker.submit(order_of(symbol="DEF", quantity_shares=10.0)).state is OrderState.ACCEPTED
        assert configured.why_only_reducing() == ""
        if ending == "expires":
            world.clock.advance_to(ENDS)
        elif ending == "revoked":
            world.kept().revoke(actor="ada", reason="enough", now_utc=world.clock.now_utc())
        else:
            world.kept().path.unlink()
        assert configured.why_only_reducing() != ""
        for terms in (
            {"client_order_id": "new", "symbol": "ABC", "quantity_shares": 1.0},
            {"client_order_id": "claims", "symbol": "ABC", "quantity_shares": 1.0, "is_reducing": True},
            {"client_order_id": "crosses", "symbol": "ABC", "quantity_shares": -31.0, "is_reducing": True},
            {"client_order_id": "short", "symbol": "XYZ", "quantity_shares": -1.0, "is_reducing": True},
        ):
            status = broker.submit(order_of(**terms))
            assert status.state is OrderState.REJECTED, terms
            assert broker.events_since(0)[-1].event.reason.startswith("not confirmed: ")
        assert broker.submit(order_of(client_order_id="half", quantity_shares=-20.0)).state is OrderState.ACCEPTED
        assert broker.submit(order_of(client_order_id="too much", quantity_shares=-11.0)).state is OrderState.REJECTED
        assert broker.submit(order_of(client_order_id="rest", quantity_shares=-10.0)).state is OrderState.ACCEPTED
        assert broker.cancel("order-DEF").state is OrderState.CANCELLED
        assert host.venue.book.accepted == {"order-DEF": 1, "half": 1, "rest": 1}
    finally:
        broker.close()


def test_a_tunnel_to_real_money_is_noticed_by_the_number_of_the_account(host, world, order_of):
    world.settings["brokers"]["alpaca"] |= {
        "url": host.venue.rest.url,
        "stream_url": host.venue.stream.url,
        "account": None,
    }
    world.settings["eval"]["live_trading"]["paper_trading"] = True
    with pytest.raises(ConfigurationError, match="account '123456789' may trade real money, and nobody has confirmed"):
        world.trade(order_of())
    assert host.venue.book.accepted == {}
    host.venue.book.account_number = "PA1"
    world.trade(order_of())
    assert host.venue.book.accepted == {"order-ABC": 1}


def test_keys_of_another_account_are_noticed(host, world, order_of):
    host.venue.book.account_number = "555555555"
    with pytest.raises(ConfigurationError, match="belong to account '555555555', expected '123456789'"):
        world.trade(order_of())
    assert host.venue.book.accepted == {}
