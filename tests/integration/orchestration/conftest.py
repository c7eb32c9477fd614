"""The definitions of one workspace as Dagster's daemon sees them: ticks, and what they ask for.

The market is the embedded one from 2014-06-02 on. Instants are New York times of 2014 turned into UTC by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from dagster import DagsterEvent, DagsterEventType
from dagster._core.test_utils import freeze_time

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Replacement
from aegis.lake.schema import TableSchema
from aegis.workspace import Workspace
from aegis_assets.table_assets import asset_key
from aegis_sensors.definitions import build_definitions, lake_resource

CALENDAR = trading_calendar("XNYS")
FIRST = date(2014, 6, 2)
WEDNESDAY, THURSDAY, FRIDAY = date(2014, 6, 4), date(2014, 6, 5), date(2014, 6, 6)
FETCHED = [asset_key(table) for table in (tables.CHECK_RESULTS, tables.ENSEMBLE_SIGNALS, tables.COVARIANCES)]
TRADED = [asset_key(tables.BOOK_STATES)]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Platform:
    """The definitions of one workspace, its lake, an empty Dagster instance, and a clock that the test moves."""

    def __init__(self, home: Path, instance: dg.DagsterInstance, **sections: Any) -> None:
        self.clock = SimulatedClock(utc("2014-06-03 12:00"))  # a code server keeps running for days
        run = {"home": home, "first_session": FIRST, **sections.pop("run", {})}
        self.config = AegisConfig(run=run, **sections)
        self.instance = instance
        self.repository = build_definitions(self.config, clock=self.clock).get_repository_def()

    def tick(self, schedule: str, at_utc: str) -> dg.RunRequest | str:
        """Return what a schedule asks for at an instant, or why it asks for nothing."""
        context = dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=utc(at_utc),
            repository_def=self.repository,
        )
        return only(self.repository.get_schedule_def(schedule).evaluate_tick(context))

    def sense(self, sensor: str, at_utc: str) -> dg.RunRequest | str:
        """Return what a sensor asks for at an instant, or why it asks for nothing."""
        self.clock.advance_to(utc(at_utc))
        context = dg.build_sensor_context(
            instance=self.instance,
            repository_def=self.repository,
        )
        return only(self.repository.get_sensor_def(sensor).evaluate_tick(context))

    def start(self, request: dg.RunRequest | str, job: str) -> None:
        """Make the run that Dagster's daemon makes of a request."""
        assert isinstance(request, dg.RunRequest)
        self.instance.add_run(dg.DagsterRun(job, tags={**request.tags, "dagster/run_key": str(request.run_key)}))

    def fail(self, request: dg.RunRequest | str, job: str, at_utc: str) -> None:
        """Make the run of a request and let it fail at an instant."""
        assert isinstance(request, dg.RunRequest)
        tags = {**request.tags, "dagster/run_key": str(request.run_key)}
        with freeze_time(utc(at_utc)):
            run = self.instance.add_run(dg.DagsterRun(job, tags=tags, status=dg.DagsterRunStatus.STARTED))
            self.instance.report_run_failed(run)

    def finish_all(self) -> None:
        """Let every run end well."""
        for run in self.instance.get_runs():
            if not run.is_finished:
                self.instance.report_dagster_event(
                    DagsterEvent(DagsterEventType.RUN_SUCCESS.value, job_name=run.job_name), run_id=run.run_id
                )

    def materialize(self, keys: list[dg.AssetKey], session: date) -> None:
        for key in keys:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=session.isoformat()))

    def materialize_until(self, keys: list[dg.AssetKey], last: date) -> None:
        """Materialize the newest sessions up to `last`, as many as are looked at for a gap."""
        for session in CALENDAR.sessions(FIRST, last)[-62:]:
            self.materialize(keys, session)

    def decide(self, session: date, weights: dict[str, tuple[float, float]], account: str = "simulated") -> None:
        """Write a decision as the book would have: ``{symbol: (target, held)}`` of 1,000,000 USD at 100 USD."""
        at = {"session": pd.Timestamp(session), "account": account}
        known = {"known_at_utc": pd.Timestamp(f"{session} 20:15", tz="UTC")}
        symbols = sorted(weights)
        wanted, held = (np.array([weights[symbol][side] for symbol in symbols]) for side in (0, 1))
        targets = pd.DataFrame({"symbol": symbols, "target_weight": wanted, "current_weight": held})
        targets = targets.assign(optimized_return_daily=0.0, reason="optimal", **at, **known)
        orders = pd.DataFrame({"symbol": symbols, "ticker": symbols, "quantity_shares": (wanted - held) * 10_000})
        orders = orders.assign(
            client_order_id=symbols,
            decision_id="by hand",
            algorithm="vwap",
            time_in_force="DAY",
            execution_session=pd.Timestamp(FRIDAY),
            arrival_price_usd=100.0,
            target_weight=wanted,
            is_reducing=False,
            gate_outcome="approved",
            reason="by hand",
            input_snapshot_id=1,
            **at,
            **known,
        )
        values = pd.DataFrame([{**at, **dict.fromkeys(tables.ACCOUNT_VALUES.column_names[2:], 0.0)}])
        values = values.assign(equity_usd=1_000_000.0)
        self.write(
            {tables.TARGET_WEIGHTS: targets, tables.ORDERS: orders, tables.ACCOUNT_VALUES: values}, session, account
        )

    def close(self, session: date, closes: dict[str, float], splits: dict[str, float] | None = None) -> None:
        """Write a session's trusted closes, and splits that went ex in it."""
        at = {"session": pd.Timestamp(session), "known_at_utc": pd.Timestamp(f"{session} 20:15", tz="UTC")}
        bars = pd.DataFrame({"symbol": list(closes), "ticker": list(closes), "volume_shares": 1e6, "source": "hand"})
        prices = {f"{price}_raw_usd": list(closes.values()) for price in ("open", "high", "low", "close")}
        actions = pd.DataFrame(
            {"symbol": list(splits or {}), "split_ratio": list((splits or {}).values())}, dtype=object
        ).assign(action="split", dividend_usd=0.0, pay_session=pd.NaT, new_ticker=None, source="hand", **at)
        self.write({tables.DAILY_BARS: bars.assign(**prices, **at), tables.CORPORATE_ACTIONS: actions}, session)

    def write(self, frames: dict[TableSchema, pd.DataFrame], session: date, account: str | None = None) -> None:
        with lake_resource(Workspace.of(self.config)).open() as store:
            for table, frame in frames.items():
                message = CommitMessage(table.key, f"{session}..{session}", "by hand", "1")
                store.write([Replacement(table, table.conform(frame), session, session, account)], message)


def only(data: Any) -> dg.RunRequest | str:
    if not data.run_requests:
        return str(data.skip_message)
    (request,) = data.run_requests
    return request


def asked(request: dg.RunRequest | str) -> tuple[str | None, str | None]:
    assert isinstance(request, dg.RunRequest), request
    return request.run_key, request.partition_key


@pytest.fixture(scope="module")
def shared_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def make_platform(shared_instance: dg.DagsterInstance, tmp_path: Path) -> Callable[..., Platform]:
    shared_instance.wipe()
    return lambda **sections: Platform(tmp_path, shared_instance, **sections)


@pytest.fixture
def platform(make_platform: Callable[..., Platform]) -> Platform:
    return make_platform()
