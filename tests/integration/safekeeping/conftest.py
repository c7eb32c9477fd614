"""One short history for all tests here; each works on a copy of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_sensors.jobs import FETCH_MARKET_DATA
from tests.integration.conftest import FIRST
from tests.integration.safekeeping.decided import LAST, LAST_BOOKED, decided_chain


@pytest.fixture(scope="session")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a platform that is booked up to the session before the last, which is fetched."""
    home = tmp_path_factory.mktemp("decided")
    made = decided_chain(home)
    made.fetch_and_trade(FIRST, LAST_BOOKED)
    made.run(FETCH_MARKET_DATA, LAST, LAST)
    return home
