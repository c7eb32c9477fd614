"""What is said of the rows that break a check: symbol, session, value and remedy.

Belongs here: wording only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from aegis.errors import MalformedData
from aegis.instruments import require_symbol
from aegis.market_data.check_definition import CheckDefinition
from aegis.market_data.jump_causes import words_for

SHOWN_OFFENDERS = 3


def offender_details(check: CheckDefinition, offenders: pd.DataFrame, settled: pd.DataFrame) -> dict[int, str]:
    """Return one text for each session with offending rows: the first three of them and the number of others.

    Rows that a person confirmed are said after them, all of them.

    Parameters
    ----------
    check : CheckDefinition
        The check that they break.
    offenders : DataFrame
        Its offending rows of evidence, in key order.
    settled : DataFrame
        Rows of evidence that would offend if nobody had confirmed them.

    Returns
    -------
    dict of int to str
        By session number. Whole missing sessions are said once, not once for each symbol.
    """
    counts = offenders["session_number"].value_counts()
    first = offenders.groupby("session_number", sort=True).head(SHOWN_OFFENDERS).to_dict("records")
    said: dict[int, list[str]] = {}
    is_whole: dict[int, bool] = {}
    for row in first:
        number = int(row["session_number"])
        is_whole[number] = _is_whole_session(row)
        said.setdefault(number, []).append(row_detail(check, {str(name): value for name, value in row.items()}))
    confirmed: dict[int, list[str]] = {}
    if check.settled_by is not None:
        for number, words in zip(settled["session_number"], settled[check.settled_by], strict=True):
            confirmed.setdefault(int(number), []).append(str(words))
    return {
        number: said[number][0]
        if is_whole.get(number)
        else _joined(said.get(number, []), int(counts.get(number, 0)), confirmed.get(number, []))
        for number in sorted(said.keys() | confirmed.keys())
    }


def _joined(lines: list[str], count: int, confirmed: list[str]) -> str:
    more = [f"and {count - len(lines)} more row(s)"] if count > len(lines) else []
    return " | ".join([*dict.fromkeys([*lines, *confirmed]), *more])


def row_detail(check: CheckDefinition, row: dict[str, Any]) -> str:
    """Return what is said of one offending row of evidence: symbol, session, value and remedy."""
    words: dict[str, str] = {}
    if check.evidence == "expected_bars":
        words = _absence_words(row)
    elif check.evidence == "bars":
        words = {**words_for(row), **_date_words(row)}
    is_whole = _is_whole_session(row)
    symbol = "" if is_whole else _shown(row["symbol"])
    who = "" if is_whole else f"{symbol} "
    return f"{who}{row['session']:%Y-%m-%d}: {check.says.format(**{**row, **words, 'symbol': symbol})}"


def _absence_words(row: dict[str, Any]) -> dict[str, str]:
    if row["symbol"] is None:
        return {"absence": "no instrument is listed in this session"}
    if _is_whole_session(row):
        return {"absence": "the whole session is missing, no symbol has a bar"}
    return {"absence": "the bar is missing though the symbol is listed"}


def _date_words(row: dict[str, Any]) -> dict[str, str]:
    is_late = pd.isna(row["calendar_session"]) and row["is_after_range"]
    return {"misdated": "after the last session asked for" if is_late else "not a session of the calendar"}


def _is_whole_session(row: Mapping[Any, Any]) -> bool:
    return "session_rows" in row and (row["session_rows"] == 0 or row["symbol"] is None)


def _shown(symbol: object) -> str:
    """Return the symbol as it may be printed: escaped unless it is clean."""
    try:
        return require_symbol(symbol)
    except MalformedData:
        return ascii(symbol)[:40]
