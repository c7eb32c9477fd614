"""A report of an account that has just begun is written to disk whole, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from aegis.errors import ReportingError
from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis.reporting.files import write_report
from aegis.reporting.performance import performance_report
from aegis.reporting.report import PerformanceReport, ReportIdentity, ReportInputs


@pytest.fixture
def report() -> PerformanceReport:
    def one_row(table: TableSchema, *values: object) -> pd.DataFrame:
        return table.conform(pd.DataFrame([values], columns=table.column_names))

    identity = ReportIdentity(
        source="simulated", is_simulated=True, account="a", workspace="w", snapshot_id=1, code_version="1",
        config_hash="0", benchmark_symbol="SIMX", risk_free_rate_annual=0.02,
        created_at_utc=datetime(2024, 1, 3, tzinfo=UTC),
    )  # fmt: skip
    return performance_report(
        ReportInputs(
            identity=identity,
            account_values=one_row(tables.ACCOUNT_VALUES, "2024-01-02", "a", 1e6, 0.0, 0.0, 1e6, 1e6, 0.0, 1.0),
            daily_pnl=one_row(tables.DAILY_PNL, "2024-01-02", "a", *([0.0] * 9), None),
            fills=tables.FILLS.empty(),
            positions=tables.POSITIONS.empty(),
            orders=tables.ORDERS.empty(),
            risk_report=tables.RISK_REPORT.empty(),
            pre_trade_gate=tables.PRE_TRADE_GATE.empty(),
            check_results=tables.CHECK_RESULTS.empty(),
            listings=tables.LISTINGS.empty(),
        )
    )


def test_each_format_makes_its_files_and_leaves_no_other(report: PerformanceReport, tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "a"
    written = write_report(report, folder, ("pdf", "html", "csv"))
    assert set(written) == {path.name for path in folder.iterdir()}
    assert {"performance.html", "performance.pdf", "summary.csv", "equity.csv", "monthly_returns.csv"} <= set(written)
    assert written["performance.pdf"].read_bytes().startswith(b"%PDF-")
    assert "No order was decided." in written["performance.html"].read_text()


def test_only_the_formats_asked_for_are_written(report: PerformanceReport, tmp_path: Path) -> None:
    assert set(write_report(report, tmp_path, ["html"])) == {"performance.html"}
    assert [path.name for path in tmp_path.iterdir()] == ["performance.html"]


def test_an_unknown_format_writes_nothing(report: PerformanceReport, tmp_path: Path) -> None:
    with pytest.raises(ReportingError, match="'docx' is unknown"):
        write_report(report, tmp_path, ("html", "docx"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(report: PerformanceReport, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(ReportingError, match=r"eval\.reporting\.storage_path"):
        write_report(report, tmp_path / "reports", ("html",))
    assert (tmp_path / "reports").read_text() == "a file"


def test_a_failed_write_keeps_the_old_report(report: PerformanceReport, tmp_path: Path) -> None:
    old = tmp_path / "performance.html"
    old.mkdir()  # os.replace refuses to put a file in a folder's place
    (old / "kept").write_text("old")
    with pytest.raises(ReportingError, match="cannot be written"):
        write_report(report, tmp_path, ("html",))
    assert [path.name for path in tmp_path.iterdir()] == ["performance.html"]
    assert (old / "kept").read_text() == "old"
