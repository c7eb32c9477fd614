from __future__ import annotations

import io

import pandas as pd

from aegis.reporting.csv_files import csv_files
from aegis.reporting.report import SIMULATED_LABEL, PerformanceReport


def read(report: PerformanceReport, name: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(csv_files(report)[name]))


def test_every_row_of_every_file_is_labelled(report: PerformanceReport) -> None:
    files = csv_files(report)
    assert set(files) == {
        "summary.csv", "equity.csv", "monthly_returns.csv", "pnl_by_year.csv", "drawdowns.csv", "positions.csv",
    }  # fmt: skip
    for name in files:
        frame = read(report, name)
        assert len(frame) > 0
        assert (frame["data_label"] == SIMULATED_LABEL).all()


def test_summary_holds_the_figures_unrounded(report: PerformanceReport) -> None:
    values = read(report, "summary.csv").set_index(["group", "name"])["value"]
    assert float(values["account", "total_return"]) == -0.0625
    assert float(values["benchmark", "total_return"]) == 0.5
    assert float(values["trading", "cost_usd"]) == 14.5
    assert values["period", "first_session"] == "2024-01-30"


def test_equity_has_one_row_a_session(report: PerformanceReport) -> None:
    frame = read(report, "equity.csv")
    assert frame["session"].tolist() == ["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02", "2024-02-05"]
    assert frame["equity_usd"].tolist() == [1000.0, 1250.0, 625.0, 1250.0, 937.5]
