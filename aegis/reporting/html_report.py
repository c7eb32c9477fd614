"""Reports as one HTML page that needs nothing from elsewhere: inline CSS and SVG, no script, no network.

Belongs here: filling the templates. Text is escaped by Jinja; only the SVG of our own pictures is marked safe, and its
text is escaped by matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from aegis.reporting.charts import Chart, chart_svg
from aegis.reporting.printing import Section
from aegis.reporting.report import PerformanceReport
from aegis.reporting.sections import sections

DrawChart = Callable[[Chart, Literal["full", "half"]], str]
"""Draws a chart as SVG, over the page's full width or half of it."""


def html_page(report: PerformanceReport) -> str:
    """Return the performance report as a page."""
    return fill_template(
        "performance.html",
        sections(report),
        lambda chart, width: chart_svg(chart, report, width),
        report=report,
        identity=report.identity,
    )


def fill_template(template: str, chapters: Sequence[Section], draw: DrawChart, **values: Any) -> str:
    """Return a page: `values` are what the template reads beside the chapters."""
    environment = Environment(
        loader=PackageLoader("aegis.reporting", "templates"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def picture(chart: Chart, in_row: int) -> Markup:
        return Markup(draw(chart, "full" if in_row == 1 else "half"))  # noqa: S704 - drawn by matplotlib

    return environment.get_template(template).render(sections=chapters, picture=picture, **values)
