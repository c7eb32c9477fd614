"""What the summary says of events, counted by hand: sessions and not rows, one and not ones, 80 columns."""

from __future__ import annotations

import dataclasses
import io
import os
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from aegis.lake import tables
from aegis.live_trading.kill_switch import KillSwitchStatus
from aegis.reporting.performance import performance_report
from aegis.reporting.report import PerformanceReport, ReportIdentity, ReportInputs
from aegis.workspace import Workspace
from aegis_sensors.summary import print_failures, print_summary
from aegis_sensors.whole_chain import NOTHING_TO_DO, ChainRun, FailedCheck

WORKSPACE = Workspace("simulated-simulated", Path("/home/simulated-simulated"), Path("/reports"))
OFF = KillSwitchStatus(is_engaged=False, reason="", actor="", at_utc=None)
SESSION = pd.Timestamp("2024-01-30")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AEGIS_")]:
        monkeypatch.delenv(name)


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


def _printed(
    report: PerformanceReport,
    *,
    switch: KillSwitchStatus = OFF,
    run: ChainRun | None = None,
    notes: tuple[str, ...] = (),
    remarks: tuple[str, ...] = (),
    width: int = 80,
) -> list[str]:
    page = io.StringIO()
    console = Console(file=page, width=width)
    print_summary(console, report, WORKSPACE, kill_switch=switch, run=run, notes=notes, remarks=remarks)
    return [line.rstrip() for line in page.getvalue().splitlines()]


def _stopped(report: PerformanceReport, *stretches: tuple[str, str, int, str]) -> PerformanceReport:
    frame = pd.DataFrame(stretches, columns=["first_session", "last_session", "sessions", "reason"])
    for name in ("first_session", "last_session"):
        frame[name] = pd.to_datetime(frame[name])
    return dataclasses.replace(report, stopped_stretches=frame)


def test_no_line_is_wider_than_the_terminal(report: PerformanceReport) -> None:
    long = "prices_are_positive: TVZQ 2015-06-15: open 106.95, high 110.06, low -106.49: every price must be above 0"
    lines = _printed(_stopped(report, ("2015-06-15", "2015-06-15", 1, long)))
    assert max(map(len, lines)) <= 80
    assert "Blocked 2015-06-15  prices_are_positive: TVZQ 2015-06-15: open 106.95, high" in lines


def test_one_is_written_in_the_singular(report: PerformanceReport) -> None:
    lines = _printed(report, run=ChainRun([date(2024, 1, 30)], "0123456789", 1.0, ()))
    assert "Materialised 1 session, 2024-01-30 to 2024-01-30, in 1.0 s (Dagster run" in lines
    assert "Account simulated, 1 session from 2024-01-30 to 2024-01-30." in lines


def test_sessions_stopped_for_one_reason_are_one_line(report: PerformanceReport) -> None:
    stretches = (
        ("2016-01-04", "2016-01-08", 5, "kill_switch_is_off: stopped by ann"),
        ("2015-06-15", "2015-06-15", 1, "prices_are_positive (and 1 other rule): low -1"),
    )
    lines = _printed(_stopped(report, *stretches))
    assert [line for line in lines if line.startswith("Blocked")] == [
        "Blocked 2016-01-04  to 2016-01-08, 5 sessions; kill_switch_is_off: stopped by",
        "Blocked 2015-06-15  prices_are_positive (and 1 other rule): low -1",
    ]
    assert not any("earlier session" in line for line in lines)


def test_stopped_sessions_that_are_not_shown_are_counted(report: PerformanceReport) -> None:
    days = [f"2015-06-{day:02d}" for day in range(20, 12, -1)]
    stretches = [(day, day, 1, "prices_are_positive: low -1") for day in days[:6]]
    lines = _printed(_stopped(report, *stretches, ("2015-05-01", "2015-05-29", 20, "odd")))
    assert sum(line.startswith("Blocked") for line in lines) == 5
    assert any(line.strip().startswith("21 earlier sessions blocked or refused") for line in lines)


def test_refused_orders_are_named_with_their_reason_and_the_rest_is_counted(report: PerformanceReport) -> None:
    orders = pd.DataFrame(
        {
            "session": pd.to_datetime(["2024-01-30", "2024-01-29"]),
            "symbol": ["PHZQ", "AAA"],
            "quantity_shares": [90.0, -1250.0],
            "reason": ["restricted list", "no_breaker_is_tripped"],
        }
    )
    trading = dataclasses.replace(report.trading, orders_refused=7)
    lines = _printed(dataclasses.replace(report, refused_orders=orders, trading=trading))
    assert "Refused 2024-01-30  buy 90 PHZQ: restricted list" in lines
    assert "Refused 2024-01-29  sell 1,250 AAA: no_breaker_is_tripped" in lines
    assert "                    5 earlier orders refused" in lines
    assert not any("Refused" in line for line in _printed(report))


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
    assert lines.count("Breaker 2016-09-23  daily loss, 21 sessions to 2016-10-21; at most 50\u00a0% held") == 5
    assert "                    1 earlier trip in the report" in lines


def test_the_row_of_the_account_is_called_account(report: PerformanceReport) -> None:
    real = dataclasses.replace(report, identity=dataclasses.replace(report.identity, is_simulated=False))
    assert sum(line.startswith("account ") for line in _printed(real)) == 1
    assert not any(line.startswith("simulated ") for line in _printed(real))


def test_an_engaged_kill_switch_stands_above_the_figures(report: PerformanceReport) -> None:
    at_utc = datetime(2016, 1, 5, 14, 3, 20, tzinfo=UTC)
    engaged = KillSwitchStatus(is_engaged=True, reason="odd fills", actor="ann", at_utc=at_utc)
    lines = _printed(report, switch=engaged, width=200)
    said = (
        "KILL SWITCH ENGAGED since 2016-01-05 14:03 UTC by ann: odd fills. No new order leaves until "
        '`make release REASON="..."`.'
    )
    assert lines.index(said) < lines.index(next(line for line in lines if "Sharpe" in line))
    assert not any("KILL SWITCH" in line for line in _printed(report))


def test_a_kill_switch_that_cannot_be_read_says_so(report: PerformanceReport) -> None:
    lost = KillSwitchStatus(is_engaged=True, reason="/w/k.json cannot be read (bad)", actor="", at_utc=None)
    lines = _printed(report, switch=lost, width=200)
    assert any(line.startswith("KILL SWITCH CANNOT be read, which counts as engaged: /w/k.json") for line in lines)


def test_the_ui_that_is_named_is_that_of_this_history(
    report: PerformanceReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_RUN__WORKSPACE", "calm-names")
    lines = _printed(report, run=NOTHING_TO_DO, width=300)
    ui = "All of this history in the Dagster UI: make ui WORKSPACE=calm-names, then http://localhost:3000"
    assert ui in lines
    assert any("`make run FROM=<date> WORKSPACE=calm-names` decides again" in line for line in lines)


def test_remarks_are_printed_between_the_figures_and_the_notes(report: PerformanceReport) -> None:
    lines = _printed(report, remarks=("At most 40% of the money can be invested.",), notes=("AAA: gap",))
    said = lines.index("At most 40% of the money can be invested.")
    assert next(n for n, line in enumerate(lines) if line.startswith("Sessions")) < said
    assert said < next(n for n, line in enumerate(lines) if line.startswith("What the source leaves out"))


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
