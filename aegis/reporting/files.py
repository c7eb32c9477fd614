"""Write a performance report into a folder.

Belongs here: which format makes which file. How a file is replaced as a whole is :mod:`aegis.durable_files`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from aegis.durable_files import replace_file
from aegis.errors import ReportingError
from aegis.reporting.csv_files import csv_files
from aegis.reporting.html_report import html_page
from aegis.reporting.pdf_report import pdf_bytes
from aegis.reporting.report import PerformanceReport

HTML_FILE = "performance.html"
PDF_FILE = "performance.pdf"

_FORMATS: Mapping[str, Callable[[PerformanceReport], dict[str, bytes]]] = {
    "html": lambda report: {HTML_FILE: html_page(report).encode()},
    "pdf": lambda report: {PDF_FILE: pdf_bytes(report)},
    "csv": lambda report: {name: text.encode() for name, text in csv_files(report).items()},
}


def write_report(report: PerformanceReport, folder: Path, formats: Iterable[str]) -> dict[str, Path]:
    """Write `report` in each of `formats`.

    Parameters
    ----------
    report : PerformanceReport
    folder : Path
        Created when missing.
    formats : iterable of {"html", "pdf", "csv"}

    Returns
    -------
    dict of str to Path
        Paths by file name: ``performance.html``, ``performance.pdf``, ``summary.csv``, ``equity.csv``, ...

    Raises
    ------
    ReportingError
        A format is unknown, or a file cannot be written. Every file is made before the first is written, and each
        replaces its predecessor in one step.
    """
    files: dict[str, bytes] = {}
    for name in formats:
        if name not in _FORMATS:
            raise ReportingError(f"report format {name!r} is unknown; eval.reporting.formats knows {sorted(_FORMATS)}")
        files |= _FORMATS[name](report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {name: replace_file(folder / name, content) for name, content in files.items()}
    except OSError as error:
        raise ReportingError(
            f"report cannot be written to {folder}: {error}; set eval.reporting.storage_path to a folder you may write"
        ) from error
