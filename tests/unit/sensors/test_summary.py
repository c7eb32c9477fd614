"""What the summary says of events, counted by hand: sessions and not rows, one and not ones, 80 columns."""

from __future__ import annotations

import dataclasses
import io
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from aegis.lake import tables
from aegis.reporting.performance import performance_report
from aegis.reporting.report import PerformanceReport, ReportIdentity, ReportInputs
from aegis.workspace import Workspace
from aegis_sensors.summary import print_failures, print_summary
from aegis_sensors.whole_chain import NOTHING_TO_DO, ChainRun, FailedCheck

WORKSPACE = Workspace("simulated-simulated", Path("/home/simulated-simulated"), Path("/reports"))
SESSION = pd.Timestamp("2024-01-30")


@pytest.fixture
def report() -> PerformanceReport:
    """Return one session of a flat account, without any event."""
    identity = ReportIdentity(
        source="simulated",
        is_simulated=True,
        account="simulated",
        workspace="simulated-simulated",
        snapshot_id=1,
        code_version="1",
        config_hash="cafe",
        benchmark_symbol="SIMX",
        risk_free_rate_annual=0.0,
        created_at_utc=datetime(2024, 2, 6, tzinfo=UTC),
    )
    value = (SESSION, "simulated", 1000.0, 0.0, 0.0, 1000.0, 1000.0, 0.0, 1.0)
    pnl = (SESSION, "simulated", *(0.0,) * (len(tables.DAILY_PNL.column_names) - 3), None)
    held = {
        tables.ACCOUNT_VALUES: [value],
        tables.DAILY_PNL: [pnl],
    }
    frames = {
        table.name: table.conform(pd.DataFrame(held.get(table, []), columns=table.column_names))
        for table in (
            tables.ACCOUNT_VALUES,
            tables.DAILY_PNL,
            tables.FILLS,
            tables.POSITIONS,
            tables.ORDERS,
            tables.RISK_REPORT,
            tables.PRE_TRADE_GATE,
            tables.CHECK_RESULTS,
            tables.LISTINGS,
        )
    }
    return performance_report(ReportInputs(identity=identity, **frames))


def _printed(report: PerformanceReport, *, run: ChainRun | None = None, notes: tuple[str, ...] = ()) -> list[str]:
    page = io.StringIO()
    print_summary(Console(file=page, width=80), report, WORKSPACE, run=run, notes=notes)
    return [line.rstrip() for line in page.getvalue().splitlines()]


def _stopped(report: PerformanceReport, *reasons: tuple[str, str, str, str], sessions: int) -> PerformanceReport:
    frame = pd.DataFrame(reasons, columns=["session", "by", "rule", "detail"])
    frame["session"] = pd.to_datetime(frame["session"])
    checks = dataclasses.replace(report.data_checks, sessions_stopped=sessions)
    return dataclasses.replace(report, blocked_sessions=frame, data_checks=checks)


def test_no_line_is_wider_than_the_terminal(report: PerformanceReport) -> None:
    long = "TVZQ 2015-06-15: open 106.95, high 110.06, low -106.49: every price must be above 0; correct it"
    lines = _printed(_stopped(report, ("2015-06-15", "data check", "prices_are_positive", long), sessions=1))
    assert max(map(len, lines)) <= 80
    assert "Blocked 2015-06-15  prices_are_positive: TVZQ 2015-06-15: open 106.95, high" in lines


def test_one_is_written_in_the_singular(report: PerformanceReport) -> None:
    lines = _printed(report, run=ChainRun([date(2024, 1, 30)], "0123456789", 1.0, ()))
    assert "Materialised 1 session, 2024-01-30 to 2024-01-30, in 1.0 s (Dagster run" in lines
    assert "Account simulated, 1 session from 2024-01-30 to 2024-01-30." in lines


def test_a_session_is_one_line_whatever_stopped_it(report: PerformanceReport) -> None:
    reasons = (
        ("2015-06-15", "data check", "prices_are_positive", "low -1"),
        ("2015-06-15", "data check", "wicks_stay_near_the_body", "long"),
        ("2015-06-15", "pre-trade gate", "data_checks_passed", "blocked"),
        ("2015-06-12", "pre-trade gate", "kill_switch_is_off", "stopped by ann"),
    )
    lines = _printed(_stopped(report, *reasons, sessions=2))
    assert [line for line in lines if line.startswith("Blocked")] == [
        "Blocked 2015-06-15  prices_are_positive (and 1 other rule): low -1",
        "Blocked 2015-06-12  kill_switch_is_off: stopped by ann",
    ]
    assert not any("earlier session" in line for line in lines)


def test_sessions_that_are_not_shown_are_counted_beyond_those_that_the_report_holds(report: PerformanceReport) -> None:
    reasons = [(f"2015-06-{day:02d}", "data check", "prices_are_positive", "low -1") for day in range(20, 0, -1)]
    lines = _printed(_stopped(report, *reasons, sessions=100))
    assert sum(line.startswith("Blocked") for line in lines) == 5
    assert any(line.strip().startswith("95 earlier sessions blocked or refused") for line in lines)


def test_breaker_trips_are_short_and_the_rest_is_counted(report: PerformanceReport) -> None:
    trips = pd.DataFrame(
        {
            "first_session": pd.to_datetime(["2016-09-23"] * 6),
            "last_session": pd.to_datetime(["2016-10-21"] * 6),
            "sessions": 21,
            "breaker_state": "tripped: daily loss",
            "drawdown": -0.0289,
            "exposure_scale": 0.5,
        }
    )
    lines = _printed(dataclasses.replace(report, breaker_trips=trips))
    assert lines.count("Breaker 2016-09-23  daily loss, 21 sessions to 2016-10-21; exposure 50\u00a0%") == 5
    assert "                    1 earlier trip in the report" in lines


def test_what_the_source_leaves_out_is_said_and_the_rest_counted(report: PerformanceReport) -> None:
    lines = _printed(report, run=NOTHING_TO_DO, notes=tuple(f"AAA: note {n}" for n in range(1, 8)))
    assert "What the source leaves out (7 notes; all are with market_data/listings):" in lines
    assert [line for line in lines if line.startswith("  - ")] == [
        *(f"  - AAA: note {n}" for n in range(1, 6)),
        "  - and 2 more",
    ]


def test_failed_steps_and_checks_are_printed_as_they_are() -> None:
    page = io.StringIO()
    checks = [FailedCheck("a/b c", "x [y] z", is_error=True), FailedCheck("a/b d", "odd", is_error=False)]
    print_failures(Console(file=page, width=80), ChainRun((), "r", 1.0, ["a/b: no [space] left"], checks))
    assert page.getvalue().splitlines()[:3] == [
        "failed: a/b: no [space] left",
        "check failed: a/b c: x [y] z",
        "warning: a/b d: odd",
    ]
