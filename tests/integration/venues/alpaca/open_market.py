"""Fixtures: Alpaca's venue, once a module, with its market open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.live_trading.trading_process import IN_SESSION
from tests.integration.venues.alpaca.server import AlpacaVenue


@pytest.fixture(scope="module")
def running() -> Iterator[AlpacaVenue]:
    with AlpacaVenue() as started:
        yield started


@pytest.fixture
def venue(running: AlpacaVenue) -> AlpacaVenue:
    running.begin_again()
    running.book.is_open, running.book.now_utc = True, IN_SESSION
    return running
