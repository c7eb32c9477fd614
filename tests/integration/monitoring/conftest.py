"""The venue and the watched accounts of these tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.monitoring.watched_account import WatchedAccount
from tests.integration.venues.alpaca.open_market import running, venue
from tests.integration.venues.alpaca.server import AlpacaVenue

__all__ = ["running", "venue", "watch"]


@pytest.fixture
def watch(venue: AlpacaVenue, tmp_path: Path) -> Iterator[Callable[..., WatchedAccount]]:
    """Start processes of the account; those that still live end with the test."""
    with ExitStack() as living:

        def started(*arguments: Any, **terms: Any) -> WatchedAccount:
            account = WatchedAccount(venue, tmp_path, *arguments, **terms)
            living.callback(account.close)
            return account

        yield started
