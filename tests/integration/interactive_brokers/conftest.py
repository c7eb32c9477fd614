"""A gateway of three stocks and a file that says that there were no splits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.integration.interactive_brokers.small_market import (
    AAPL,
    FIRST,
    HEADING,
    LAST,
    MSFT,
    NOW,
    SPY,
    rising,
    source,
)
from tests.integration.vendors.tws.gateway import TwsGateway
from tests.integration.vendors.tws.history import HistoryDesk


@pytest.fixture
def desk() -> HistoryDesk:
    bars = {AAPL.con_id: rising(100), MSFT.con_id: rising(200), SPY.con_id: rising(500)}
    return HistoryDesk([AAPL, MSFT, SPY], bars, now=NOW)


@pytest.fixture
def gateway(desk: HistoryDesk) -> Iterator[TwsGateway]:
    with TwsGateway(desk) as started:
        yield started


@pytest.fixture
def actions(tmp_path: Path) -> Path:
    file = tmp_path / "actions.csv"
    file.write_text(HEADING)
    return file


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return what a gateway without faults gives."""
    file = tmp_path_factory.mktemp("healthy") / "actions.csv"
    file.write_text(HEADING)
    bars = {AAPL.con_id: rising(100), MSFT.con_id: rising(200), SPY.con_id: rising(500)}
    with TwsGateway(HistoryDesk([AAPL, MSFT, SPY], bars, now=NOW)) as started:
        return source(started, file).bars(FIRST, LAST)
