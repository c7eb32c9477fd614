"""``aegis data quality``: what the gate said of a session, or of one symbol in it.

Belongs here: reading the verdicts back and printing them. They are made in :mod:`aegis.market_data.quality_gate`; the
pages are :mod:`aegis.reporting.data_docs`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pandas as pd
from rich.console import Console

from aegis.calendars import trading_calendar
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError, LakeError
from aegis.instruments import require_symbol
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.lake.reading import Selection, require_symbols
from aegis.lake.schema import TableSchema
from aegis.reporting.data_docs import OUTCOMES, JudgedRows, write_data_docs
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
        The workspace has no history, or a session or symbol is chosen for pages, which are of all.
    LakeError
        The session was not judged, or the lake never had the symbol.
    MalformedData
        The symbol is no symbol.
    """
    symbol = None if request.symbol is None else require_symbol(request.symbol)
    if request.output == "pages" and (symbol or request.session):
        raise ConfigurationError("--docs writes the pages of every judged session; leave --session and --symbol out")
    workspace = Workspace.of(config)
    workspace.require_history()
    with connect(workspace.lake) as connection:
        store = Lake(connection)
        judged = store.sessions(tables.CHECK_RESULTS)
        session = request.session or (judged[-1] if judged else None)
        if session is None or session not in judged:
            raise LakeError(_not_judged(session, judged, config))
        if symbol is not None:
            _require_known(store, symbol)
        first, last = (judged[0], judged[-1]) if request.output == "pages" else (session, session)
        rows = JudgedRows(*(_read(store, table, first, last) for table in _TABLES))
    if request.output == "pages":
        page = write_data_docs(rows, workspace.data_docs)
        console.print(f"Data Docs of {len(judged)} sessions: {page}", highlight=False, soft_wrap=True)
        return
    for line in _lines(rows, session, symbol):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


_TABLES = (tables.CHECK_RESULTS, tables.QUARANTINED_BARS, tables.REPAIRED_VALUES)
_MORE = re.compile(r"\| and \d+ more row\(s\)$")
"""How a detail ends that does not name every offender."""


def _read(store: Lake, table: TableSchema, first: date, last: date) -> pd.DataFrame:
    return store.read(table, first=first, last=last)


def _not_judged(session: date | None, judged: list[date], config: AegisConfig) -> str:
    calendar = trading_calendar(config.market_data.calendar)
    if session is not None and not calendar.is_session(session):
        before = calendar.previous(session)
        return f"{session} is not a session of {config.market_data.calendar}; the one before is {before}"
    span = f"judged are {judged[0]} to {judged[-1]}" if judged else "none is judged"
    return f"session {session} has no verdict in quality/check_results: {span}; run it first"


def _require_known(store: Lake, symbol: str) -> None:
    """Refuse a symbol that was neither listed nor delivered: no check could have named it."""
    if symbol not in set(store.read(tables.LISTINGS)["symbol"]):
        require_symbols(store, Selection(tables.RAW_BARS, store.snapshot_id(), symbols=(symbol,)))


def _lines(rows: JudgedRows, session: date, symbol: str | None) -> list[str]:
    if symbol is None:
        ranks = rows.check_results["outcome"].map(OUTCOMES.index)
        results = rows.check_results.assign(rank=ranks).sort_values("rank", kind="stable")
        counts = ", ".join(f"{count} {outcome}" for outcome, count in results["outcome"].value_counts().items())
        return [f"session {session}: {counts}", *_said(results), *_changed(rows)]
    is_named = rows.check_results["detail"].fillna("").map(lambda text: _names(text, symbol))
    named, others = rows.check_results[is_named], rows.check_results[~is_named]
    about = f"{len(named)} of {len(rows.check_results)} checks name it"
    own = JudgedRows(
        named,
        rows.quarantined_bars[rows.quarantined_bars["symbol"] == symbol],
        rows.repaired_values[rows.repaired_values["symbol"] == symbol],
    )
    return [f"{symbol} {session}: {about}", *_said(named), *_changed(own), *_said_of_others(others, symbol)]


def _said(results: pd.DataFrame) -> list[str]:
    return [
        f"{row.outcome:>10}  {row.check}: {row.observed:g} offending, {row.threshold:g} allowed"
        + (f"\n            {row.detail}" if row.detail else "")
        for row in results.itertuples(index=False)
    ]


def _changed(rows: JudgedRows) -> list[str]:
    aside = [
        f" set aside  {row.symbol} by {row.check}: {row.reason}"
        for row in rows.quarantined_bars.itertuples(index=False)
    ]
    repaired = [
        f"  repaired  {row.symbol} {row.column}: {row.original!a} is taken as {row.repaired!a} ({row.check})"
        for row in rows.repaired_values.itertuples(index=False)
    ]
    return aside + repaired


def _said_of_others(results: pd.DataFrame, symbol: str) -> list[str]:
    """Return what holds for every symbol of the session, and where a detail is too short to tell."""
    cut = results[results["detail"].fillna("").str.contains(_MORE)]
    blocked = results.loc[results["outcome"] == "block", "check"].tolist()
    lines = [
        f"     maybe  {row.check} ({row.outcome}): {row.observed:g} rows offend and the first are named; {symbol} may "
        "be among the others"
        for row in cut.itertuples(index=False)
    ]
    if blocked:
        lines.append(f"   session  blocked by {', '.join(blocked)}: no row of it is used, this symbol's neither")
    return lines


def _names(detail: str, symbol: str) -> bool:
    """Return whether one of the offenders of a detail is `symbol`; each begins with it, and " | " parts them."""
    return any(part.split(" ", 1)[0] == symbol for part in detail.split(" | "))
