"""The venue, once a module, and brokers that reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.execution.brokers.alpaca import AlpacaBroker
from tests.integration.venues.alpaca.connections import alpaca_settings
from tests.integration.venues.alpaca.server import AFTER_THE_CLOSE, AlpacaVenue


@pytest.fixture(scope="module")
def running() -> Iterator[AlpacaVenue]:
    with AlpacaVenue() as venue:
        yield venue


@pytest.fixture
def venue(running: AlpacaVenue) -> AlpacaVenue:
    running.begin_again()
    return running


@pytest.fixture
def order_of(order_of):
    """Make orders for 100 ABC at the market."""
    return partial(order_of, algorithm="market")


@pytest.fixture
def broker_of(venue: AlpacaVenue) -> Iterator[Callable[..., AlpacaBroker]]:
    """Make brokers of the account; they are closed at the end."""
    made: list[AlpacaBroker] = []

    def make(**terms) -> AlpacaBroker:
        broker = AlpacaBroker(
            alpaca_settings(venue, **terms),
            account="simulated",
            calendar=trading_calendar("XNYS"),
            clock=SimulatedClock(AFTER_THE_CLOSE),
        )
        made.append(broker)
        return broker

    yield make
    for broker in made:
        broker.close()
