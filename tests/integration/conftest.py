"""A whole platform in a temporary folder: embedded market, fixed clock, Dagster instance, lake and journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from aegis.calendars import trading_calendar
from aegis.clock import Clock, FixedClock
from aegis.config import AegisConfig
from aegis.lake.attachment import LakeLocation
from aegis.lake.schema import TableSchema
from aegis.market_data.sources.source import MarketDataSource
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_sensors.definitions import build_definitions, lake_resource
from aegis_sensors.instance import open_instance
from aegis_sensors.jobs import EXECUTE_TRADES, FETCH_MARKET_DATA
from tests.integration.postgres_server import PostgresServer, programs, running_server

LONG_AFTER = datetime(2025, 1, 2, 12, tzinfo=UTC)
FIRST, LAST = date(2014, 6, 2), date(2014, 12, 31)
CALENDAR = trading_calendar("XNYS")
SESSIONS = CALENDAR.sessions(FIRST, LAST)
THE_DAY = date(2014, 10, 15)
"""What goes wrong, or comes new, in this session; the history before it is made once, with positions in it."""
SETTINGS: dict[str, Any] = {
    "run": {"first_session": FIRST, "last_session": LAST},
    "universe": {"min_history_sessions": 20},
    "portfolio": {"covariance_lookback_sessions": 40},
    "risk": {"value_at_risk_lookback_sessions": 20, "max_daily_loss": 0.005, "rearm_after_sessions": 3},
}
SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Chain:
    """One workspace, driven as the UI drives it: jobs over partitions."""

    def __init__(self, config: AegisConfig, source: MarketDataSource | None = None, clock: Clock | None = None) -> None:
        self.config = config
        self.workspace = Workspace.of(config)
        self.desk = Desk.of(config)
        self.definitions = build_definitions(config, clock=clock or FixedClock(LONG_AFTER), source=source)

    def run(
        self,
        job: str,
        first: date,
        last: date,
        *,
        raise_on_error: bool = True,
        assets: Sequence[dg.AssetKey] | None = None,
    ) -> dg.ExecuteInProcessResult:
        with open_instance(self.workspace) as instance:
            return self._execute(instance, job, first, last, raise_on_error=raise_on_error, assets=assets)

    def fetch_and_trade(self, first: date, last: date) -> None:
        self.fetch_and_trade_each([(first, last)])

    def fetch_and_trade_each(self, ranges: Iterable[tuple[date, date]]) -> None:
        """Run the two jobs over one range of sessions after the other."""
        with open_instance(self.workspace) as instance:
            for first, last in ranges:
                self._execute(instance, FETCH_MARKET_DATA, first, last)
                self._execute(instance, EXECUTE_TRADES, first, last)

    def _execute(
        self,
        instance: dg.DagsterInstance,
        job: str,
        first: date,
        last: date,
        *,
        raise_on_error: bool = True,
        assets: Sequence[dg.AssetKey] | None = None,
    ) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            run_config=SILENT,
            asset_selection=assets,
            raise_on_error=raise_on_error,
            tags={
                ASSET_PARTITION_RANGE_START_TAG: first.isoformat(),
                ASSET_PARTITION_RANGE_END_TAG: last.isoformat(),
            },
        )

    def read(self, table: TableSchema, **where: Any) -> pd.DataFrame:
        with self.lake() as store:
            return store.read(table, **where)

    def lake(self) -> Any:
        return lake_resource(self.workspace).open()

    def hashes(self, table: TableSchema, last: date | None = None) -> dict[date, str]:
        """Hash each session's values, leaving out what may differ between runs: snapshot ids."""
        frame = self.read(table, last=last)
        for name in ("snapshot_id", "input_snapshot_id"):
            if name in frame:
                frame[name] = 0
        return table.content_hashes(frame)

    def checks(self, result: dg.ExecuteInProcessResult) -> dict[str, bool]:
        return {e.check_name: e.passed for e in result.get_asset_check_evaluations()}


def settings(**run: Any) -> dict[str, Any]:
    """Return the sections of a short, nervous history, with changes to its ``run`` section."""
    return {**SETTINGS, "run": {**SETTINGS["run"], **run}}


@pytest.fixture(scope="session")
def eve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a platform on the eve of the day, to be copied."""
    home = tmp_path_factory.mktemp("eve")
    Chain(AegisConfig(**settings(home=home))).fetch_and_trade(FIRST, CALENDAR.previous(THE_DAY))
    return home


@pytest.fixture(scope="module")
def server(require_service: Callable[[object, str], None]) -> Iterator[PostgresServer]:
    """A PostgreSQL of its own."""
    found = programs()
    require_service(found, "no PostgreSQL server; apt install postgresql")
    assert found is not None
    with running_server(found) as running:
        yield running


@pytest.fixture
def make_chain(tmp_path: Path) -> Callable[..., Chain]:
    """Return a maker of chains, each in a folder of its own; keyword arguments are sections of the configuration."""
    made = 0

    def make(source: MarketDataSource | None = None, **sections: Any) -> Chain:
        nonlocal made
        made += 1
        run = {"home": tmp_path / f"home{made}", **sections.pop("run", {})}
        return Chain(AegisConfig(run=run, **sections), source)

    return make


@pytest.fixture
def location(tmp_path: Path) -> LakeLocation:
    """Return where a lake would be, in a folder whose name needs quoting."""
    return LakeLocation(tmp_path / "lake of 'one' workspace")
