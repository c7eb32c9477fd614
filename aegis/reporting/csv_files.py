"""The performance report as CSV files: one table a file, one header line, a column that says what the prices are.

Belongs here: which columns a file has. Numbers are written as they are, unrounded, so that a spreadsheet can compute.
"""

from __future__ import annotations

import dataclasses

import pandas as pd

from aegis.reporting.report import PerformanceReport

_GROUPS = ("account", "benchmark", "relative", "pnl", "trading", "shortfall", "risk", "data_checks")


def csv_files(report: PerformanceReport) -> dict[str, str]:
    """Return the text of each file by file name.

    Returns
    -------
    dict of str to str
        ``summary.csv`` (group, name, value), ``equity.csv`` (one row a session), ``monthly_returns.csv``,
        ``pnl_by_year.csv``, ``drawdowns.csv`` and ``positions.csv``. Each row of each file carries ``data_label``.
    """
    frames = {
        "summary.csv": _summary(report),
        "equity.csv": report.sessions,
        "monthly_returns.csv": report.months,
        "pnl_by_year.csv": report.pnl_by_year,
        "drawdowns.csv": report.drawdowns,
        "positions.csv": report.positions,
    }
    label = report.identity.data_label
    return {
        name: frame.assign(data_label=label).to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n")
        for name, frame in frames.items()
    }


def _summary(report: PerformanceReport) -> pd.DataFrame:
    rows: list[tuple[str, str, object]] = [
        ("identity", field.name, getattr(report.identity, field.name)) for field in dataclasses.fields(report.identity)
    ]
    rows += [
        ("period", name, getattr(report, name))
        for name in (
            "first_session",
            "last_session",
            "session_count",
            "first_equity_usd",
            "last_equity_usd",
            "cash_usd",
        )
    ]
    for group in _GROUPS:
        values = getattr(report, group)
        if values is not None:
            rows += [(group, field.name, getattr(values, field.name)) for field in dataclasses.fields(values)]
    return pd.DataFrame(rows, columns=["group", "name", "value"])
