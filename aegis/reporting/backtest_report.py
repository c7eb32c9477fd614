"""The report of one backtest in files.

Belongs here: which format makes which file. What is reported is :mod:`aegis.reporting.backtest_review`, which of it
stands where :mod:`aegis.reporting.backtest_sections`.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd

from aegis.backtesting.results import BacktestResults
from aegis.durable_files import replace_file
from aegis.errors import ReportingError
from aegis.reporting import theme
from aegis.reporting.backtest_review import BacktestReport, backtest_report
from aegis.reporting.backtest_sections import sections
from aegis.reporting.charts import chart_svg
from aegis.reporting.html_report import fill_template
from aegis.reporting.pdf_pages import Paper

_HTML_FILE = "backtest.html"
_PDF_FILE = "backtest.pdf"


def write_backtest_report(
    results: BacktestResults,
    folder: Path | str,
    formats: str | Iterable[str] = ("html",),
    *,
    benchmark_returns: pd.Series[float] | None = None,
) -> dict[str, Path]:
    """Write the report of `results` in each of `formats`.

    Parameters
    ----------
    results : BacktestResults
    folder : Path or str
        Created when missing.
    formats : {"html", "pdf", "csv"} or iterable of them
    benchmark_returns : Series of float, by session, optional
        See :func:`~aegis.reporting.backtest_review.backtest_report`.

    Returns
    -------
    dict of str to Path
        Paths by file name: ``backtest.html``, ``backtest.pdf``, and with "csv" ``metrics.csv``, ``equity.csv``,
        ``trades.csv``, ``fills.csv``, ``orders.csv`` and ``monthly_returns.csv``, unrounded, with the column
        ``data_label`` in each row.

    Raises
    ------
    ReportingError
        A format is unknown, the benchmark lacks a session, or a file cannot be written. Every file is made before the
        first is written, and each replaces its predecessor in one step.
    """
    folder, wanted = Path(folder), [formats] if isinstance(formats, str) else list(formats)
    unknown = sorted(set(wanted) - _FORMATS.keys())
    if unknown:
        raise ReportingError(f"backtest report: formats {unknown} are unknown; choose from {sorted(_FORMATS)}")
    report = backtest_report(results, benchmark_returns=benchmark_returns)
    files: dict[str, bytes] = {}
    for name in wanted:
        files |= _FORMATS[name](report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {name: replace_file(folder / name, content) for name, content in files.items()}
    except OSError as error:
        raise ReportingError(
            f"backtest report cannot be written to {folder}: {error}; choose a folder you may write"
        ) from error


def html_page(report: BacktestReport) -> str:
    """Return `report` as a self-contained page."""
    # The shared pictures read `sessions`, `months`, `benchmark` and `identity`, which this report has too.
    return fill_template(
        "backtest.html",
        sections(report),
        lambda chart, width: chart_svg(chart, cast("Any", report), width),
        identity=report.identity,
    )


def pdf_bytes(report: BacktestReport) -> bytes:
    """Return `report` as PDF bytes, the same bytes for the same report."""
    from matplotlib.backends.backend_pdf import PdfPages  # noqa: PLC0415 - half a second

    identity = report.identity
    buffer = io.BytesIO()
    metadata = {"Title": f"Backtest, {identity.strategy}", "Subject": identity.data_label, "CreationDate": None}
    with theme.print_style(), PdfPages(buffer, metadata=metadata) as pages:
        paper = Paper(pages, label=identity.data_label, is_warning=identity.is_simulated, footer=identity.footer)
        paper.new_page()
        paper.title(f"Backtest · {identity.data_label}", identity.strategy, identity.period)
        for position, section in enumerate(sections(report)):
            paper.chapter(section, report, with_heading=position > 0)
        paper.finish()
    return buffer.getvalue()


def csv_files(report: BacktestReport) -> dict[str, str]:
    """Return the text of each CSV file by file name."""
    metrics = report.metrics.as_series().rename_axis("metric").to_frame()
    if report.benchmark is not None:
        metrics["benchmark"] = pd.Series(dataclasses.asdict(report.benchmark), dtype=object)
    frames = {
        "metrics.csv": metrics.reset_index(),
        "equity.csv": report.sessions,
        "monthly_returns.csv": report.months,
        "trades.csv": report.results.trades,
        "fills.csv": report.results.fills,
        "orders.csv": report.results.orders.reset_index(),
    }
    label = report.identity.data_label
    return {
        name: frame.assign(data_label=label).to_csv(index=False, lineterminator="\n") for name, frame in frames.items()
    }


_FORMATS: Mapping[str, Callable[[BacktestReport], dict[str, bytes]]] = {
    "html": lambda report: {_HTML_FILE: html_page(report).encode()},
    "pdf": lambda report: {_PDF_FILE: pdf_bytes(report)},
    "csv": lambda report: {name: text.encode() for name, text in csv_files(report).items()},
}
