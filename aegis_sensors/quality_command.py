"""``aegis data quality``: what the gate said of a session, or of one symbol in it.

Belongs here: reading the verdicts back and printing them. They are made in :mod:`aegis.market_data.quality_gate`; the
pages are :mod:`aegis.reporting.data_docs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import pandas as pd
from rich.console import Console

from aegis.config import AegisConfig
from aegis.errors import LakeError
from aegis.instruments import require_symbol
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.lake.schema import TableSchema
from aegis.reporting.data_docs import JudgedRows, write_data_docs
from aegis.workspace import Workspace


@dataclass(frozen=True)
class QualityRequest:
    """What is asked.

    Parameters
    ----------
    session : date or None
        The session; None is the newest that was judged.
    symbol : str or None
        Only what concerns this symbol.
    output : {"terminal", "pages"}
        Print it, or write the Data Docs of every judged session.
    """

    session: date | None
    symbol: str | None
    output: Literal["terminal", "pages"]


def quality_command(config: AegisConfig, request: QualityRequest, *, console: Console) -> None:
    """Print the verdicts of a session, or write the pages.

    Raises
    ------
    ConfigurationError
        The workspace has no history.
    LakeError
        The session was not judged.
    MalformedData
        The symbol is no symbol.
    """
    symbol = None if request.symbol is None else require_symbol(request.symbol)
    workspace = Workspace.of(config)
    workspace.require_history()
    with connect(workspace.lake) as connection:
        store = Lake(connection)
        judged = store.sessions(tables.CHECK_RESULTS)
        session = request.session or (judged[-1] if judged else None)
        if session is None or session not in judged:
            span = f"judged are {judged[0]} to {judged[-1]}" if judged else "none is judged"
            raise LakeError(f"session {session} has no verdict in quality/check_results: {span}; run it first")
        first, last = (judged[0], judged[-1]) if request.output == "pages" else (session, session)
        rows = JudgedRows(*(_read(store, table, first, last) for table in _TABLES))
    if request.output == "pages":
        page = write_data_docs(rows, workspace.data_docs)
        console.print(f"Data Docs of {len(judged)} sessions: {page}", highlight=False, soft_wrap=True)
        return
    for line in _lines(rows, session, symbol):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


_TABLES = (tables.CHECK_RESULTS, tables.QUARANTINED_BARS, tables.REPAIRED_VALUES)


def _read(store: Lake, table: TableSchema, first: date, last: date) -> pd.DataFrame:
    return store.read(table, first=first, last=last)


def _lines(rows: JudgedRows, session: date, symbol: str | None) -> list[str]:
    results, aside, repaired = rows.check_results, rows.quarantined_bars, rows.repaired_values
    if symbol is not None:
        aside, repaired = aside[aside["symbol"] == symbol], repaired[repaired["symbol"] == symbol]
        named = results["detail"].fillna("").map(lambda text: _names(text, symbol))
        results = results[named]
    counts = ", ".join(f"{count} {outcome}" for outcome, count in results["outcome"].value_counts().items())
    about = f"{symbol} {session}" if symbol else f"session {session}"
    lines = [f"{about}: {counts or 'nothing was said'}"]
    shown = results if symbol else results.sort_values("outcome", key=lambda column: column == "pass", kind="stable")
    lines += [
        f"{row.outcome:>10}  {row.check}: {row.observed:g} offending, {row.threshold:g} allowed"
        + (f"\n            {row.detail}" if row.detail else "")
        for row in shown.itertuples(index=False)
    ]
    lines += [f" set aside  {row.symbol} by {row.check}: {row.reason}" for row in aside.itertuples(index=False)]
    lines += [
        f"  repaired  {row.symbol} {row.column}: {row.original!a} is taken as {row.repaired!a} ({row.check})"
        for row in repaired.itertuples(index=False)
    ]
    return lines


def _names(detail: str, symbol: str) -> bool:
    """Return whether one of the offenders of a detail is `symbol`; each begins with it, and " | " parts them."""
    return any(part.split(" ", 1)[0] == symbol for part in detail.split(" | "))
