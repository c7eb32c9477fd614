"""Venues, once a module: Alpaca's with its market open, Interactive Brokers'; and processes that trade at the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from aegis.execution.order_ids import client_order_id
from tests.integration.live_trading.trading_process import ACCOUNT, IN_SESSION
from tests.integration.live_trading.venue_process import DECISION, Process
from tests.integration.venues.alpaca.open_market import running, venue
from tests.integration.venues.alpaca.server import AlpacaVenue
from tests.integration.venues.interactive_brokers.venue import InteractiveBrokersVenue

__all__ = ["running", "venue"]


@pytest.fixture
def start(venue: AlpacaVenue, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start processes of the account at an instant; those that still live end with the test."""
    with ExitStack() as living:

        def started(at_utc: datetime = IN_SESSION, **terms: Any) -> Process:
            process = Process(venue, tmp_path, at_utc, **terms)
            living.callback(process.close)
            return process

        yield started


@pytest.fixture(scope="module")
def gateway() -> Iterator[InteractiveBrokersVenue]:
    """Interactive Brokers' venue, once a module."""
    with InteractiveBrokersVenue() as started:
        yield started


@pytest.fixture
def parent(order_of):
    """130 shares of ABC, to be worked in slices of half an hour."""
    return order_of(
        client_order_id=client_order_id(ACCOUNT, DECISION, symbol="ABC"),
        decision_id=DECISION,
        account=ACCOUNT,
        algorithm="twap",
        quantity_shares=130.0,
    )
