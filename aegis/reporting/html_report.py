"""The performance report as one HTML page that needs nothing from elsewhere.

Belongs here: filling the template. Text is escaped by Jinja; only the SVG of our own pictures is marked safe, and its
text is escaped by matplotlib.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from aegis.reporting.charts import Chart, chart_svg
from aegis.reporting.report import PerformanceReport
from aegis.reporting.sections import sections

_TEMPLATE = "performance.html"


def html_page(report: PerformanceReport) -> str:
    """Return `report` as a self-contained page: inline CSS and SVG, no script, no network."""
    environment = Environment(
        loader=PackageLoader("aegis.reporting", "templates"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def picture(chart: Chart, in_row: int) -> Markup:
        return Markup(chart_svg(chart, report, "full" if in_row == 1 else "half"))  # noqa: S704 - drawn by matplotlib

    return environment.get_template(_TEMPLATE).render(
        report=report, identity=report.identity, sections=sections(report), picture=picture
    )
