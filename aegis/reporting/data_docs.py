"""Data Docs: pages that show every data check of every session, without a server and without a script.

Belongs here: turning verdicts, quarantined bars and repaired values into HTML. Every text is escaped: what a vendor
sent reaches a page as text only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from aegis.durable_files import replace_file

INDEX = "index.html"
OUTCOMES = ("block", "quarantine", "repair", "warn", "pass")

_STYLE = (
    "body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1c2430}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}"
    "th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #dfe3e8;vertical-align:top;"
    "overflow-wrap:anywhere}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".block{color:#a4161a;font-weight:600}.quarantine{color:#9c5b00;font-weight:600}"
    ".repair{color:#1f5f99}.warn{color:#7a6300}.pass{color:#2f6b3a}"
)


@dataclass(frozen=True)
class JudgedRows:
    """What the gate said of some sessions.

    Parameters
    ----------
    check_results, quarantined_bars, repaired_values : DataFrame
        The tables of those names.
    """

    check_results: pd.DataFrame
    quarantined_bars: pd.DataFrame
    repaired_values: pd.DataFrame


def write_data_docs(rows: JudgedRows, folder: Path) -> Path:
    """Write a page that lists the sessions, and one for each session with something to say, the newest always.

    Parameters
    ----------
    rows : JudgedRows
        Of the sessions of a run, or of all; at least one session.
    folder : Path
        Created when missing. Pages of other sessions are left as they are.

    Returns
    -------
    Path
        The page that lists the sessions of `rows`, ``<first>_<last>.html``; ``index.html`` is the same.
    """
    listed: list[tuple[str, pd.Series, bool]] = []
    newest = rows.check_results["session"].max()
    for session in sorted(rows.check_results["session"].unique()):
        results = rows.check_results[rows.check_results["session"] == session]
        day, counts = f"{session:%Y-%m-%d}", results["outcome"].value_counts()
        has_page = session == newest or set(counts.index) != {"pass"}
        if has_page:
            replace_file(folder / "sessions" / f"{day}.html", _session_page(rows, session, results).encode())
        listed.append((day, counts, has_page))
    overview = _overview_page(rows, listed).encode()
    replace_file(folder / INDEX, overview)
    return replace_file(folder / f"{listed[0][0]}_{listed[-1][0]}.html", overview)


def _overview_page(rows: JudgedRows, listed: list[tuple[str, pd.Series, bool]]) -> str:
    by_check = rows.check_results.groupby("check", sort=False).agg(
        failed=("outcome", lambda outcomes: int((outcomes != "pass").sum())), observed=("observed", "sum")
    )
    checks = [
        (_text(name), _number(failed), _number(observed)) for name, failed, observed in by_check.itertuples(name=None)
    ]
    sessions = [
        (
            f'<td><a href="sessions/{day}.html">{day}</a></td>' if has_page else _text(day),
            *(_number(int(counts.get(outcome, 0))) for outcome in OUTCOMES),
        )
        for day, counts, has_page in listed
    ]
    return _page(
        f"Data checks {listed[0][0]} to {listed[-1][0]}",
        _table(("check", "sessions that failed it", "offending rows"), checks),
        "<h2>Sessions</h2>",
        _table(("session", *OUTCOMES), sessions),
    )


def _session_page(rows: JudgedRows, session: pd.Timestamp, results: pd.DataFrame) -> str:
    ordered = results.assign(rank=results["outcome"].map(OUTCOMES.index)).sort_values("rank", kind="stable")
    checks = [
        (
            f'<td class="{escape(outcome)}">{escape(outcome)}</td>',
            _text(check),
            _number(observed),
            _number(threshold),
            _text(detail or ""),
        )
        for outcome, check, observed, threshold, detail in _rows(
            ordered, "outcome", "check", "observed", "threshold", "detail"
        )
    ]
    aside = rows.quarantined_bars[rows.quarantined_bars["session"] == session]
    mended = rows.repaired_values[rows.repaired_values["session"] == session]
    return _page(
        f"Data checks of {session:%Y-%m-%d}",
        f"<p>Lake snapshot {int(results['snapshot_id'].iloc[0])}. <a href='../{INDEX}'>All sessions</a></p>",
        _table(("outcome", "check", "observed", "threshold", "detail"), checks),
        "<h2>Rows set aside</h2>",
        _table(
            ("symbol", "check", "reason"), [tuple(map(_text, row)) for row in _rows(aside, "symbol", "check", "reason")]
        ),
        "<h2>Values repaired</h2>",
        _table(
            ("symbol", "column", "original", "taken as", "check"),
            [
                (_text(symbol), _text(column), _text(ascii(original)), _text(ascii(taken)), _text(check))
                for symbol, column, original, taken, check in _rows(
                    mended, "symbol", "column", "original", "repaired", "check"
                )
            ],
        ),
    )


def _rows(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    return frame[list(columns)].itertuples(index=False, name=None)


def _page(title: str, *parts: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{''.join(parts)}</body></html>"
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return "<p>None.</p>"
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    return f"<td>{escape(str(value))}</td>"


def _number(value: float) -> str:
    return f'<td class="n">{value:g}</td>'
