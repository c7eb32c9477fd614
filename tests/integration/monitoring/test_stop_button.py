"""The kill button and the sensor that presses it, as Dagster runs them, while the lake is locked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config import AegisConfig
from aegis.config_monitoring import MonitoringSettings
from aegis.durable_files import replace_json
from aegis.live_trading.kill_switch import KillSwitch
from aegis.monitoring.status_file import STATUS_FILE, status_of
from aegis.workspace import Workspace
from aegis_sensors.stop_button import KILL_SWITCH, stop_jobs, stop_sensors, why_to_stop

NOON = datetime(2014, 6, 6, 16, tzinfo=UTC)
ASKED = {"account": "paper", "reason": "odd fills", "actor": "ada", "flatten": True}


class Button:
    """The button and the sensor of one workspace, whose lake another process keeps locked."""

    def __init__(self, home: Path, **monitoring: Any) -> None:
        config = AegisConfig(run={"home": home, "account": "paper"}, monitoring=monitoring)
        self.workspace, self.clock = Workspace.of(config), SimulatedClock(NOON)
        self.switch = KillSwitch(self.workspace.kill_switch("paper"))
        self.definitions = dg.Definitions(
            jobs=stop_jobs(config, self.workspace, clock=self.clock),
            sensors=stop_sensors(config, self.workspace, clock=self.clock),
        )

    def press(self, **asked: Any) -> dg.ExecuteInProcessResult:
        job = self.definitions.get_repository_def().get_job(KILL_SWITCH)
        run_config = {"ops": {"engage_kill_switch": {"config": {**ASKED, **asked}}}}
        return job.execute_in_process(run_config=run_config, raise_on_error=False)

    def tick(self) -> str:
        (sensor,) = self.definitions.get_repository_def().sensor_defs
        with dg.DagsterInstance.ephemeral() as instance:
            return str(sensor.evaluate_tick(dg.build_sensor_context(instance=instance)).skip_message)

    def leave_status(self) -> None:
        """Leave the status of a process that had an order open at noon."""
        replace_json(self.workspace.monitor("paper") / STATUS_FILE, _record())


def _record(*, open_orders: int = 1, has_ended: bool = False, cause: str = "") -> dict[str, Any]:
    causes = [{"key": cause, "title": "What stands", "body": "since noon", "severity": "critical"}] if cause else []
    return {
        "account": "paper", "at_utc": NOON.isoformat(), "causes": causes, "has_ended": has_ended,
        "snapshot": {"open_orders": [{}] * open_orders},
    }  # fmt: skip


@pytest.fixture
def locked_lake(tmp_path: Path) -> Iterator[Path]:
    """Keep the catalog where the workspace's lake is locked by another connection."""
    home = tmp_path / "home"
    lake = Button(home).workspace.folder / "lake"
    lake.mkdir(parents=True)
    with closing(sqlite3.connect(lake / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE held (x)")
        connection.execute("BEGIN EXCLUSIVE")
        yield home


def test_the_button_stops_the_account_that_is_meant_and_no_other(locked_lake: Path) -> None:
    button = Button(locked_lake)
    assert not button.press(account="other").success
    assert not button.switch.is_engaged()
    assert button.press().success
    status = button.switch.status()
    assert (status.is_engaged, status.actor, status.reason) == (True, "ada", "odd fills")
    first = status.flatten
    assert first
    assert button.press(flatten=False).success
    assert button.switch.status().flatten == first, "a request that stands stays"


@pytest.mark.parametrize(
    ("stop_on", "status", "seconds", "stops"),
    [
        ((), {}, 3_600, False),
        (("stale",), {}, 30, False),
        (("stale",), {}, 31, True),
        (("stale",), {"open_orders": 0}, 31, False),
        (("stale",), {}, 5 * 3_600, False),  # after the close
        (("stale",), {"has_ended": True}, 1, True),
        (("stale",), {"cause": "lease_lost"}, 1, False),
        (("fatal",), {"cause": "lease_lost"}, 1, True),
        (("fatal",), {"cause": "breaker/drawdown"}, 1, True),
        (("fatal",), {"cause": "stale_quote/ABC"}, 1, False),
        (("fatal",), {}, 31, False),
    ],
)
def test_a_stop_is_asked_for_by_silence_with_open_orders_or_a_fatal_cause(stop_on, status, seconds, stops) -> None:
    found = status_of(_record(**status))
    settings = MonitoringSettings(stop_on=stop_on)
    why = why_to_stop(found, settings, trading_calendar("XNYS"), NOON + timedelta(seconds=seconds))
    assert bool(why) is stops, why


def test_the_sensor_stops_the_account_once(locked_lake: Path) -> None:
    button = Button(locked_lake, stop_on=("stale",))
    button.leave_status()
    assert button.tick() == "nothing asks for a stop"
    button.clock.advance_to(NOON + timedelta(seconds=31))
    assert button.tick().startswith(
        "stopped: the trading process has said nothing since 2014-06-06 16:00:00 UTC, and 1"
    )
    assert button.switch.status().actor == "sensor account_needs_a_stop"
    assert button.tick() == "the kill switch is engaged"
    assert len(button.switch.history()) == 1


def test_a_status_that_cannot_be_read_is_silence(locked_lake: Path) -> None:
    button = Button(locked_lake, stop_on=("stale",))
    button.leave_status()
    (button.workspace.monitor("paper") / STATUS_FILE).write_text("{", encoding="utf-8")
    assert button.tick().startswith("stopped: ")


def test_the_sensor_is_off_until_a_setting_asks_for_it(tmp_path: Path) -> None:
    (off,) = Button(tmp_path).definitions.get_repository_def().sensor_defs
    (on,) = Button(tmp_path, stop_on=("fatal",)).definitions.get_repository_def().sensor_defs
    assert (off.default_status, on.default_status) == (
        dg.DefaultSensorStatus.STOPPED,
        dg.DefaultSensorStatus.RUNNING,
    )
