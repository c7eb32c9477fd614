"""Data Docs: pages that show every data check of every session, without a server and without a script.

Belongs here: turning verdicts, quarantined bars and repaired values into pages. How such a page looks, and that every
text on it is escaped, is :mod:`aegis.reporting.data_docs_page`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from aegis.durable_files import replace_file
from aegis.reporting.data_docs_page import (
    count,
    folded,
    heading,
    lines,
    link,
    name,
    outcome,
    page,
    paragraph,
    reference,
    table,
    text,
)

INDEX = "index.html"
OUTCOMES = ("block", "quarantine", "repair", "warn", "pass")
LISTED_FINDINGS = 1_000
"""What a page of a run lists at most, the worst first; a browser shows tens of thousands of rows with difficulty."""
_COUNTS = ("observed", "threshold")


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
        Of all sessions that were judged, at least one.
    folder : Path
        Created when missing.

    Returns
    -------
    Path
        The page that lists the sessions, ``index.html``.
    """
    counts = pd.crosstab(rows.check_results["session"], rows.check_results["outcome"])
    counts = counts.reindex(columns=list(OUTCOMES), fill_value=0)
    said = rows.check_results.loc[_has_words(rows.check_results), "session"]
    has_page = counts.drop(columns="pass").any(axis=1) | counts.index.isin(said)
    has_page.iloc[-1] = True
    for session in counts.index[has_page]:
        replace_file(folder / "sessions" / f"{session:%Y-%m-%d}.html", _session_page(_of(rows, session)).encode())
    return replace_file(folder / INDEX, _overview_page(rows, counts, has_page).encode())


def write_run_page(rows: JudgedRows, folder: Path) -> Path:
    """Write one page about the sessions that one run judged, and return it: ``runs/<first>_<last>.html``.

    Notes
    -----
    One file, whatever was found: a run does not write thousands of pages before its bars are used. Judged again, the
    same sessions replace their page.
    """
    results = rows.check_results
    first, last = results["session"].min(), results["session"].max()
    span = f"{first:%Y-%m-%d}" if first == last else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    found = _worst_first(results[_has_words(results)])
    more = len(found) - LISTED_FINDINGS
    written = page(
        f"Data checks of {span}",
        _summary(results),
        heading("What was found"),
        _checks(found.head(LISTED_FINDINGS)),
        paragraph(f"{more} more findings are in quality/check_results.") if more > 0 else "",
        *_changed(rows),
        heading("Checks"),
        _by_check(results),
    )
    return replace_file(folder / "runs" / f"{first:%Y-%m-%d}_{last:%Y-%m-%d}.html", written.encode())


def _overview_page(rows: JudgedRows, counts: pd.DataFrame, has_page: pd.Series) -> str:
    listed = [
        (link(f"{session:%Y-%m-%d}", f"sessions/{session:%Y-%m-%d}.html"), *(map(count, row, OUTCOMES)))
        for session, row in zip(counts.index[has_page], counts[has_page].to_numpy().tolist(), strict=True)
    ]
    clean = [(name(f"{session:%Y-%m-%d}"), count(passed)) for session, passed in counts.loc[~has_page, "pass"].items()]
    return page(
        f"Data checks {counts.index[0]:%Y-%m-%d} to {counts.index[-1]:%Y-%m-%d}",
        _summary(rows.check_results),
        heading("Sessions with something to say"),
        table(("session", *OUTCOMES), listed, numbers=OUTCOMES),
        folded(
            f"{_sessions(len(clean))} in which every check passed", table(("session", "pass"), clean, numbers=("pass",))
        ),
        heading("Checks"),
        _by_check(rows.check_results),
    )


def _session_page(rows: JudgedRows) -> str:
    results = rows.check_results
    found = _has_words(results)
    passed = results[~found]
    return page(
        f"Data checks of {results['session'].iloc[0]:%Y-%m-%d}",
        _summary(results),
        reference("All sessions", f"../{INDEX}"),
        heading("What was found"),
        _checks(_worst_first(results[found])),
        *_changed(rows),
        folded(f"{len(passed)} checks passed", _by_name(passed)),
    )


def _has_words(results: pd.DataFrame) -> pd.Series:
    """Return which verdicts are shown with their words: what did not pass, and what passed as a person confirmed it."""
    return (results["outcome"] != "pass") | results["detail"].notna()


def _summary(results: pd.DataFrame) -> str:
    """Return the number of sessions, of verdicts and of each outcome, and the snapshots that were judged."""
    numbers = results["outcome"].value_counts()
    outcomes = ", ".join(f"{numbers[each]:,} {each}" for each in OUTCOMES if each in numbers.index)
    first, last = int(results["snapshot_id"].min()), int(results["snapshot_id"].max())
    snapshots = f"lake snapshot {first}" if first == last else f"lake snapshots {first} to {last}"
    return paragraph(f"{_sessions(results['session'].nunique())}: {outcomes}; read at {snapshots}.")


def _sessions(number: int) -> str:
    return f"{number:,} session{'' if number == 1 else 's'}"


def _checks(results: pd.DataFrame) -> str:
    cells = [
        (
            name(f"{session:%Y-%m-%d}"),
            outcome(found),
            name(check),
            count(observed),
            count(threshold),
            lines((detail or "").split(" | ")),
        )
        for session, found, check, observed, threshold, detail in _rows(
            results, "session", "outcome", "check", "observed", "threshold", "detail"
        )
    ]
    return table(("session", "outcome", "check", "observed", "threshold", "detail"), cells, numbers=_COUNTS)


def _by_check(results: pd.DataFrame) -> str:
    failed = results["outcome"] != "pass"
    sums = results.assign(failed=failed).groupby("check").agg(failed=("failed", "sum"), observed=("observed", "sum"))
    ordered = sums.sort_values(["failed", "observed"], ascending=False, kind="stable")
    return table(
        ("check", "sessions that failed it", "offending rows"),
        [(name(check), count(failing), count(rows)) for check, failing, rows in ordered.itertuples(name=None)],
        numbers=("sessions that failed it", "offending rows"),
    )


def _by_name(results: pd.DataFrame) -> str:
    return table(
        ("check", "observed", "threshold"),
        [
            (name(check), count(seen), count(most))
            for check, seen, most in _rows(results, "check", "observed", "threshold")
        ],
        numbers=_COUNTS,
    )


def _changed(rows: JudgedRows) -> Iterator[str]:
    aside, mended = rows.quarantined_bars, rows.repaired_values
    yield heading("Rows set aside")
    yield table(
        ("session", "symbol", "check", "reason"),
        [
            (name(f"{session:%Y-%m-%d}"), text(symbol), name(check), text(reason))
            for session, symbol, check, reason in _rows(aside, "session", "symbol", "check", "reason")
        ],
    )
    yield heading("Values repaired")
    yield table(
        ("session", "symbol", "column", "original", "taken as", "check"),
        [
            (
                name(f"{session:%Y-%m-%d}"),
                text(symbol),
                text(column),
                text(ascii(original)),
                text(ascii(taken)),
                name(check),
            )
            for session, symbol, column, original, taken, check in _rows(
                mended, "session", "symbol", "column", "original", "repaired", "check"
            )
        ],
    )


def _worst_first(results: pd.DataFrame) -> pd.DataFrame:
    ranked = results.assign(rank=results["outcome"].map(OUTCOMES.index))
    return ranked.sort_values(["rank", "session"], kind="stable")


def _of(rows: JudgedRows, session: pd.Timestamp) -> JudgedRows:
    frames = (rows.check_results, rows.quarantined_bars, rows.repaired_values)
    return JudgedRows(*(frame[frame["session"] == session] for frame in frames))


def _rows(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    return frame[list(columns)].itertuples(index=False, name=None)
