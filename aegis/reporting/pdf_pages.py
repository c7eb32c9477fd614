"""Pages of paper: a cursor that moves down, and the pieces that it sets.

Belongs here: A4 geometry, page breaks and how a piece looks on paper. Which pieces a report has is
:mod:`aegis.reporting.sections`; :mod:`aegis.reporting.pdf_report` puts them in order.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aegis.reporting import theme
from aegis.reporting.charts import Chart
from aegis.reporting.printing import Figure, PrintedTable, Section

if TYPE_CHECKING:
    from matplotlib.backends.backend_pdf import PdfPages

_POINTS_PER_INCH = 72.0
_PAGE_WIDTH, _PAGE_HEIGHT = 595.3, 841.9
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 547.3, 78.0, 796.0
_LINE = _RIGHT - _LEFT
_ROW = 13.2
_CELL_SIZE = 7.4
_CELL_LINE = 9.4
_MEAN_CHARACTER_WIDTH = 0.5
_KEPT_TOGETHER = 0.6 * (_BOTTOM - _TOP)
_GUTTER = 9.0
_FIGURES_ACROSS = 4
_FIGURES_HEIGHT = 48.0
_CHART_GAP, _CHART_MARGIN = 26.0, 48.0
_CHARACTERS_A_LINE = 118


class Paper:
    """A4 pages in points from the top left corner, written to a PDF one by one.

    Parameters
    ----------
    pages : PdfPages
        Open file.
    label : str
        Where the prices come from; printed at the top of every page.
    is_warning : bool
        Whether the label warns that prices are not real.
    footer : str
        Printed at the foot of every page, beside the page number.
    """

    def __init__(self, pages: PdfPages, *, label: str, is_warning: bool, footer: str) -> None:
        self._pages = pages
        self._label = label
        self._is_warning = is_warning
        self._footer = footer
        self._number = 0
        self._figure: Any = None
        self._y = _TOP

    def new_page(self) -> None:
        """Finish the page and begin the next."""
        self.finish()
        self._figure = theme.new_figure(_PAGE_WIDTH / _POINTS_PER_INCH, _PAGE_HEIGHT / _POINTS_PER_INCH)
        self._figure.set_layout_engine("none")
        self._number += 1
        self._y = _TOP
        colour = theme.CAUTION if self._is_warning else theme.MUTED
        self._write(_LEFT, 40.0, self._label, size=7.5, colour=colour, bold=self._is_warning)
        self._rule(46.0, colour if self._is_warning else theme.RULE)
        self._write(_LEFT, 820.0, self._footer, size=6.5, colour=theme.MUTED)
        self._write(_RIGHT, 820.0, str(self._number), size=6.5, colour=theme.MUTED, align="right")

    def finish(self) -> None:
        """Write the page, if one is open."""
        if self._figure is not None:
            self._pages.savefig(self._figure)
            self._figure = None

    def title(self, kicker: str, title: str, subtitle: str) -> None:
        """Set the title of the report."""
        self._write(_LEFT, self._y + 4, kicker.upper(), size=8, colour=theme.ACCOUNT, bold=True)
        self._write(_LEFT, self._y + 32, title, size=22, bold=True)
        self._write(_LEFT, self._y + 48, subtitle, size=8.5, colour=theme.MUTED)
        self._y += 60.0
        self._rule(self._y, theme.INK)
        self._y += 18.0

    def chapter(self, section: Section, report: Any, *, with_heading: bool = True) -> None:
        """Set a chapter; its heading and text stand on the page of its first figures, picture or table."""
        if with_heading:
            self.heading(section.title, self._beginning(section))
        if section.text:
            self.paragraph(section.text)
        if section.figures:
            self.figures(section.figures)
        for row in section.charts:
            self.charts(row, report)
        for table in section.tables:
            self.table(table)

    def _beginning(self, section: Section) -> float:
        """Return the height of a chapter's text and of the first piece after it."""
        text = _text_height(section.text) if section.text else 0.0
        if section.figures:
            return text + _FIGURES_HEIGHT
        if section.charts:
            return text + _charts_height(section.charts[0])[1] + _CHART_MARGIN
        return text + (_table_height(section.tables[0]) if section.tables else 0.0)

    def heading(self, text: str, room_for: float) -> None:
        """Set the heading of a chapter, with room below it for what follows."""
        self._need(34.0 + room_for)
        if self._y > _TOP:
            self._y += 14.0
        self._y += 14.0
        self._write(_LEFT, self._y, text, size=14, bold=True)
        self._y += 12.0

    def paragraph(self, text: str) -> None:
        """Set running text."""
        lines = textwrap.wrap(text, _CHARACTERS_A_LINE)
        self._need(_text_height(text))
        for line in lines:
            self._y += 12.0
            self._write(_LEFT, self._y, line, size=8.5)
        self._y += 10.0

    def figures(self, figures: Sequence[Figure]) -> None:
        """Set labelled numbers, four to a line."""
        width = _LINE / _FIGURES_ACROSS
        for start in range(0, len(figures), _FIGURES_ACROSS):
            self._need(_FIGURES_HEIGHT)
            self._rule(self._y, theme.RULE)
            for position, figure in enumerate(figures[start : start + _FIGURES_ACROSS]):
                x = _LEFT + position * width
                self._write(x, self._y + 12, figure.label, size=7, colour=theme.MUTED)
                self._write(x, self._y + 28, figure.value, size=13, bold=True)
                self._write(x, self._y + 39, _fitted(figure.context, width - 6.0, 6.5), size=6.5, colour=theme.MUTED)
            self._y += 46.0
        self._rule(self._y, theme.RULE)
        self._y += 14.0

    def charts(self, row: Sequence[Chart], report: Any) -> None:
        """Set one picture across the page, or two beside each other."""
        width, height = _charts_height(row)
        self._need(height + _CHART_MARGIN)
        for position, chart in enumerate(row):
            left = _LEFT + position * (width + _CHART_GAP)
            self._write(left, self._y + 9, chart.caption, size=8, bold=True)
            inset = 78.0 if chart.name == "sectors" else 30.0
            axes = self._figure.add_axes(
                (
                    (left + inset) / _PAGE_WIDTH,
                    1.0 - (self._y + 30.0 + height) / _PAGE_HEIGHT,
                    (width - inset) / _PAGE_WIDTH,
                    height / _PAGE_HEIGHT,
                )
            )
            chart.draw(axes, report)
            axes.tick_params(labelsize=6.5)
        self._y += height + 52.0

    def table(self, table: PrintedTable) -> None:
        """Set a table; its heading row is repeated after a page break."""
        self._need(_table_height(table))
        self._y += 9.0
        self._write(_LEFT, self._y, table.title, size=8, bold=True)
        self._y += 4.0
        if not table.rows:
            self._y += _ROW
            self._write(_LEFT, self._y, table.when_empty, size=_CELL_SIZE, colour=theme.MUTED)
        else:
            self._head(table)
            for index, cells in enumerate(table.rows):
                if self._y + _row_height(table, cells) > _BOTTOM:
                    self.new_page()
                    self._head(table)
                self._row(table, index, cells)
        self._y += 18.0

    def _head(self, table: PrintedTable) -> None:
        if any(table.columns):
            self._cells(table, table.columns, size=6.8, colour=theme.MUTED)
            self._rule(self._y + 4.0, theme.INK)

    def _row(self, table: PrintedTable, index: int, cells: Sequence[str]) -> None:
        if table.shades:
            self._shade(table, index)
        self._cells(table, cells, size=_CELL_SIZE, colour=theme.INK)
        self._y += _row_height(table, cells) - _ROW
        if not table.shades:
            self._rule(self._y + 4.0, theme.RULE)

    def _cells(self, table: PrintedTable, cells: Sequence[str], *, size: float, colour: str) -> None:
        self._y += _ROW
        x = _LEFT
        for position, (text, share) in enumerate(zip(cells, table.column_shares, strict=True)):
            width = share * _LINE
            room = _room(table, position)
            bold = position in table.strong_columns
            if position in table.text_columns:
                for number, line in enumerate(_lines(text, room, size)):
                    self._write(x, self._y + number * _CELL_LINE, line, size=size, colour=colour, bold=bold)
            else:
                fitted = _fitted(text, room, size)
                self._write(x + room, self._y, fitted, size=size, colour=colour, bold=bold, align="right")
            x += width

    def _shade(self, table: PrintedTable, index: int) -> None:
        x = _LEFT
        for shade, share in zip(table.shades[index], table.column_shares, strict=True):
            width = share * _LINE
            if shade is not None:
                self._box(x, width, theme.GAIN if shade >= 0.0 else theme.LOSS, opacity=abs(shade) * 0.6)
            x += width

    def _box(self, x: float, width: float, colour: str, *, opacity: float) -> None:
        from matplotlib.patches import Rectangle  # noqa: PLC0415 - half a second

        corner = (x / _PAGE_WIDTH, 1.0 - (self._y + _ROW + 4.0) / _PAGE_HEIGHT)
        size = (width / _PAGE_WIDTH, _ROW / _PAGE_HEIGHT)
        self._figure.add_artist(Rectangle(corner, *size, color=colour, alpha=opacity, linewidth=0))

    def _need(self, height: float) -> None:
        if self._y + height > _BOTTOM:
            self.new_page()

    def _rule(self, y: float, colour: str) -> None:
        from matplotlib.lines import Line2D  # noqa: PLC0415 - half a second

        height = 1.0 - y / _PAGE_HEIGHT
        ends = (_LEFT / _PAGE_WIDTH, _RIGHT / _PAGE_WIDTH)
        self._figure.add_artist(Line2D(ends, (height, height), color=colour, linewidth=0.5))

    def _write(
        self, x: float, y: float, text: str, *, size: float, colour: str = theme.INK, bold: bool = False,
        align: str = "left",
    ) -> None:  # fmt: skip
        weight = "bold" if bold else "medium"
        self._figure.text(
            x / _PAGE_WIDTH, 1.0 - y / _PAGE_HEIGHT, text, fontsize=size, color=colour, weight=weight, ha=align,
            va="baseline",
        )  # fmt: skip


def _text_height(text: str) -> float:
    return 12.0 * len(textwrap.wrap(text, _CHARACTERS_A_LINE)) + 10.0


def _charts_height(row: Sequence[Chart]) -> tuple[float, float]:
    """Return width and height of the pictures of a row."""
    width = (_LINE - _CHART_GAP * (len(row) - 1)) / len(row)
    return width, max(chart.aspect for chart in row) * width


def _table_height(table: PrintedTable) -> float:
    """Return the height of a table, or of its beginning where it is too long to be kept together."""
    whole = 2 * _ROW + sum(_row_height(table, cells) for cells in table.rows) + 14.0
    return whole if whole < _KEPT_TOGETHER else 4 * _ROW + 14.0


def _row_height(table: PrintedTable, cells: Sequence[str]) -> float:
    lines = [len(_lines(cells[at], _room(table, at), _CELL_SIZE)) for at in table.text_columns if at < len(cells)]
    return _ROW + (max(lines, default=1) - 1) * _CELL_LINE


def _room(table: PrintedTable, position: int) -> float:
    """Return the width of a column's text."""
    return table.column_shares[position] * _LINE - (_GUTTER if position + 1 in table.text_columns else 2.0)


def _lines(text: str, width: float, size: float) -> list[str]:
    """Return `text` in as many lines of `width` points as it needs."""
    return textwrap.wrap(text, max(int(width / (size * _MEAN_CHARACTER_WIDTH)), 1)) or [""]


def _fitted(text: str, width: float, size: float) -> str:
    """Return `text`, shortened with an ellipsis when it would be wider than `width` points."""
    longest = max(int(width / (size * _MEAN_CHARACTER_WIDTH)), 1)
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
