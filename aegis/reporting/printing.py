"""Numbers as a reader sees them, and the printed pieces a format lays out.

Belongs here: rounding, signs, units and the shapes of printed tables. Which pieces a report has is
:mod:`aegis.reporting.sections`; where they stand on a page is the format's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from aegis.reporting.charts import Chart

MISSING = "n/a"
_NO_BREAK = "\u00a0"


@dataclass(frozen=True)
class Figure:
    """A labelled number, with a line of context below it."""

    label: str
    value: str
    context: str = ""


@dataclass(frozen=True)
class PrintedTable:
    """A table of text.

    Parameters
    ----------
    title : str
    columns : tuple of str
        Headings.
    rows : tuple of tuple of str
    text_columns : tuple of int
        Columns that are read rather than compared: set flush left.
    widths : tuple of float
        Share of the line for each column.
    strong_columns : tuple of int
        Columns in bold.
    shades : tuple of tuple of float or None
        For a heat table, -1 (loss) to 1 (gain) for each cell; empty otherwise.
    when_empty : str
        What a table without rows says.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: tuple[int, ...] = (0,)
    widths: tuple[float, ...] = ()
    strong_columns: tuple[int, ...] = ()
    shades: tuple[tuple[float | None, ...], ...] = ()
    when_empty: str = "None."

    @property
    def column_shares(self) -> tuple[float, ...]:
        """Widths that add up to 1."""
        widths = self.widths or tuple(1.0 for _ in self.columns)
        return tuple(width / sum(widths) for width in widths)


@dataclass(frozen=True)
class Section:
    """A chapter of the report; charts stand in rows of one or two."""

    anchor: str
    title: str
    text: str = ""
    figures: tuple[Figure, ...] = ()
    charts: tuple[tuple[Chart, ...], ...] = ()
    tables: tuple[PrintedTable, ...] = field(default=())


def percent(value: float | None, decimals: int = 2) -> str:
    """Return a share as a percentage: ``12.34 %``."""
    return MISSING if value is None or pd.isna(value) else f"{_signless_zero(value * 100, decimals)}{_NO_BREAK}%"


def signed_percent(value: float | None, decimals: int = 2) -> str:
    """Return a share as a percentage with its sign: ``+12.34 %``."""
    return MISSING if value is None or pd.isna(value) else f"{_signed_zero(value * 100, decimals)}{_NO_BREAK}%"


def number(value: float | None, decimals: int = 2) -> str:
    """Return a plain number with thousands separated."""
    return MISSING if value is None or pd.isna(value) else _signless_zero(value, decimals)


def usd(value: float | None, decimals: int = 0) -> str:
    """Return dollars: ``1,234,567`` with the sign only when negative."""
    return MISSING if value is None or pd.isna(value) else _signless_zero(value, decimals)


def signed_usd(value: float | None, decimals: int = 0) -> str:
    """Return dollars with their sign."""
    return MISSING if value is None or pd.isna(value) else _signed_zero(value, decimals)


def day(value: date | pd.Timestamp | None) -> str:
    """Return a session as ``2014-01-02``."""
    return MISSING if value is None or pd.isna(value) else f"{value:%Y-%m-%d}"


def count(value: int) -> str:
    """Return a count with thousands separated."""
    return f"{int(value):,}"


def _signless_zero(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.,") else text


def _signed_zero(value: float, decimals: int) -> str:
    text = f"{value:+,.{decimals}f}"
    return text[1:] if not text.strip("+-0.,") else text
