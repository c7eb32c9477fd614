"""The performance report as a PDF, drawn by matplotlib: no browser, no font to ship.

Belongs here: the order of the pieces on paper. How a piece looks is :mod:`aegis.reporting.pdf_pages`.
"""

from __future__ import annotations

import io

from aegis.reporting import theme
from aegis.reporting.pdf_pages import Paper
from aegis.reporting.report import PerformanceReport
from aegis.reporting.sections import sections


def pdf_bytes(report: PerformanceReport) -> bytes:
    """Return `report` as PDF bytes, the same bytes for the same report."""
    from matplotlib.backends.backend_pdf import PdfPages  # noqa: PLC0415 - half a second

    identity = report.identity
    buffer = io.BytesIO()
    metadata = {
        "Title": f"Performance report, {identity.account}, {report.last_session}",
        "Subject": identity.data_label,
        "CreationDate": identity.created_at_utc,
    }
    footer = (
        f"{identity.account} · {identity.workspace} · snapshot {identity.snapshot_id} · code {identity.code_version}"
    )
    with theme.print_style(), PdfPages(buffer, metadata=metadata) as pages:
        paper = Paper(pages, label=identity.data_label, is_warning=identity.is_simulated, footer=footer)
        paper.new_page()
        period = f"{report.first_session} to {report.last_session} · benchmark {identity.benchmark_symbol}"
        account = f"account {identity.account}, workspace {identity.workspace}"
        paper.title(identity.data_label, "Performance report", f"{period} · {account}")
        for position, section in enumerate(sections(report)):
            paper.chapter(section, report, with_heading=position > 0)
        paper.finish()
    return buffer.getvalue()
