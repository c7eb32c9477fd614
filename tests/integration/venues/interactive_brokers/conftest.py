"""The venue, once a module, and brokers that reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.execution.brokers.interactive_brokers import InteractiveBrokersBroker
from tests.integration.venues.interactive_brokers.venue import (
    AFTER_THE_CLOSE,
    InteractiveBrokersVenue,
    interactive_brokers_settings,
)


@pytest.fixture(scope="module")
def running() -> Iterator[InteractiveBrokersVenue]:
    with InteractiveBrokersVenue() as venue:
        yield venue


@pytest.fixture
def venue(running: InteractiveBrokersVenue) -> InteractiveBrokersVenue:
    running.begin_again()
    return running


@pytest.fixture
def order_of(order_of):
    """Make orders for 100 ABC at the market."""
    return partial(order_of, algorithm="market")


@pytest.fixture
def broker_of(venue: InteractiveBrokersVenue) -> Iterator[Callable[..., InteractiveBrokersBroker]]:
    """Make brokers of the account, connected unless asked otherwise; they are closed at the end."""
    made: list[InteractiveBrokersBroker] = []

    def make(*, connects: bool = True, confirmation=None, clock=None, **terms) -> InteractiveBrokersBroker:
        broker = InteractiveBrokersBroker(
            interactive_brokers_settings(venue, **terms),
            account="simulated",
            calendar=trading_calendar("XNYS"),
            clock=clock or SimulatedClock(AFTER_THE_CLOSE),
            confirmation=confirmation,
        )
        made.append(broker)
        if connects:
            broker.connect()
        return broker

    yield make
    for broker in made:
        broker.close()


@pytest.fixture
def broker(broker_of) -> InteractiveBrokersBroker:
    return broker_of()
