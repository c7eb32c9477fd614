"""Interactive Brokers, alone and beside another broker: the confirmed account at the confirmed gateway, no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from aegis.errors import ConfigurationError
from aegis.execution.order_states import OrderState
from tests.integration.live_trading.live_world import ACCOUNT, ENVIRONMENT, NUMBER, LiveWorld
from tests.integration.venues.alpaca.server import AlpacaVenue
from tests.integration.venues.interactive_brokers.venue import InteractiveBrokersVenue, interactive_brokers_settings
from tests.integration.venues.live_host import AUTHORITY, LiveHost

CODE = "U1234567"


@pytest.fixture(scope="module")
def running() -> Iterator[InteractiveBrokersVenue]:
    with InteractiveBrokersVenue() as venue:
        yield venue


@pytest.fixture
def gateway(running: InteractiveBrokersVenue) -> Iterator[InteractiveBrokersVenue]:
    running.begin_again()
    running.gateway.accounts = running.desk.account = CODE
    yield running
    running.gateway.accounts = "DU0000001"


@pytest.fixture
def world(gateway: InteractiveBrokersVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveWorld:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    made = LiveWorld(tmp_path)
    made.settings["eval"]["live_trading"]["broker"] = "interactive_brokers"
    reached = interactive_brokers_settings(gateway).model_dump(exclude_none=True)
    made.settings["brokers"] = {"interactive_brokers": {**reached, "account": CODE}}
    return made


@pytest.fixture
def order_of(order_of):
    return partial(order_of, account=ACCOUNT, algorithm="market")


def test_the_confirmed_account_is_traded_through_the_confirmed_gateway(gateway, world, order_of):
    world.confirm()
    assert world.kept().terms.phrase.startswith(f"trade real money of fund in {CODE} at 127.0.0.1:")
    world.trade(order_of())
    assert gateway.desk.accepted == {"order-ABC": 1}
    assert gateway.gateway.requests != []


def _set(name: str, value: object) -> Callable[[LiveWorld], None]:
    return lambda world: world.settings["brokers"]["interactive_brokers"].update({name: value})


@pytest.mark.parametrize(
    "change",
    [
        _set("account", "U7654321"),
        _set("account", "DU1234567"),
        _set("account", None),
        _set("host", "localhost"),
        _set("client_id", 99),
        _set("port", 4001),
        _set("port", 7497),
        lambda world: world.kept().path.unlink(),
        lambda world: world.later(3.0),
    ],
)
def test_no_change_reaches_the_gateway(gateway, world, order_of, change):
    world.confirm()
    change(world)
    with pytest.raises(ConfigurationError):
        world.trade(order_of())
    assert gateway.gateway.requests == []
    assert gateway.desk.accepted == {}


def test_a_confirmation_of_one_broker_is_none_for_another_beside_it(gateway, world, order_of, monkeypatch):
    with AlpacaVenue() as venue, LiveHost(venue) as host:
        venue.book.account_number = NUMBER
        monkeypatch.setattr("socket.getaddrinfo", host.resolve)
        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(variable, str(AUTHORITY))
        world.settings["eval"]["live_trading"]["broker"] = "multi"
        del world.settings["brokers"]["interactive_brokers"]["account"]  # a gateway of paper trading, they thought
        world.settings["brokers"] |= {
            "alpaca": {"url": "https://api.alpaca.markets", "account": NUMBER, "poll_seconds": 3600.0},
            "multi": {
                "routes": [
                    {"symbols": ["ABC"], "brokers": {"alpaca": 1.0}},
                    {"brokers": {"interactive_brokers": 1.0}},
                ]
            },
        }
        world.confirm()
        assert [target.broker for target in world.kept().terms.targets] == ["alpaca"]
        broker = world.broker().broker
        try:
            assert f"account '{CODE}' may trade real money" in broker.connect()["interactive_brokers"]
            assert broker.submit(order_of()).state is OrderState.ACCEPTED
            with pytest.raises(ConfigurationError, match="may trade real money, and nobody has confirmed"):
                broker.submit(order_of(symbol="DEF"))
        finally:
            broker.close()
        assert (dict(venue.book.accepted), gateway.desk.accepted) == ({"order-ABC": 1}, {})
