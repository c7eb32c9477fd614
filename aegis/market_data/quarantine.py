"""Which offending rows may be taken out of a session, and what is kept of them.

Belongs here: the conditions of a quarantine that the market itself tells, and the table of rows that were set
aside. The condition that nobody holds or targets the symbol is the book's, which alone knows: see
:mod:`aegis.live_trading.quarantined_holdings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd

from aegis.lake.tables import QUARANTINED_BARS, RAW_BARS
from aegis.market_data.bar_evidence import JudgedSessions
from aegis.market_data.check_definition import CheckDefinition
from aegis.market_data.offender_details import row_detail
from aegis.market_data.validation import Mask

_EVIDENCE_WITH_SYMBOLS = ("bars", "expected_bars")


def untradable_symbols(listings: pd.DataFrame, days: Sequence[date]) -> dict[date, frozenset[str]]:
    """Return for each session the symbols whose rows are never set aside: those that no book may hold.

    Notes
    -----
    They are there to be compared with, as the benchmark is. Every book reads them, held or not.
    """
    names = frozenset(listings.loc[~listings["tradable"].astype(bool), "symbol"])
    return dict.fromkeys(days, names)


def may_quarantine(
    evidence: Mapping[str, pd.DataFrame],
    offenders: Mapping[str, Mask],
    checks: Sequence[CheckDefinition],
    *,
    sessions: JudgedSessions,
    largest_share: float,
    protected: Mapping[date, frozenset[str]] | None,
) -> Mask:
    """Return for each session whether its offending rows of quarantine checks may be taken out instead of blocking.

    Parameters
    ----------
    evidence : mapping of str to DataFrame
        Frames that were judged, by name.
    offenders : mapping of str to ndarray of bool
        Offending rows of each check's evidence.
    checks : sequence of CheckDefinition
        The rule table in force.
    sessions : JudgedSessions
        What is judged.
    largest_share : float
        Share of the session's symbols, due or delivered, that may be taken out.
    protected : mapping of date to frozenset of str or None
        Symbols that are not taken out; all of them in a session that the mapping lacks, and everywhere without one.

    Returns
    -------
    ndarray of bool, shape (sessions,)
    """
    due = pd.concat([evidence[name][["session_number", "symbol"]] for name in _EVIDENCE_WITH_SYMBOLS])
    suspects = [
        evidence[check.evidence].loc[offenders[check.name], ["session_number", "symbol"]]
        for check in checks
        if check.on_failure == "quarantine"
    ]
    suspected = pd.concat(suspects).drop_duplicates() if suspects else due.iloc[:0]
    counted = np.bincount(due.drop_duplicates()["session_number"], minlength=len(sessions.days))
    taken = np.bincount(suspected["session_number"], minlength=len(sessions.days))
    allowed = taken <= largest_share * counted
    for number, symbol in zip(suspected["session_number"], suspected["symbol"], strict=True):
        kept = None if protected is None else protected.get(sessions.days[number].item())
        if kept is None or symbol in kept:
            allowed[number] = False
    return np.asarray(allowed, dtype=np.bool_)


def quarantined_bars(
    evidence: Mapping[str, pd.DataFrame],
    offenders: Mapping[str, Mask],
    checks: Sequence[CheckDefinition],
    *,
    quarantined: Mask,
) -> pd.DataFrame:
    """Return the rows that were set aside, once for each check that they break.

    Parameters
    ----------
    quarantined : ndarray of bool, shape (sessions,)
        Sessions that go on without the offending rows.

    Returns
    -------
    DataFrame
        :data:`aegis.lake.tables.QUARANTINED_BARS`. A bar that is missing has no numbers.
    """
    parts = []
    for check in checks:
        if check.on_failure != "quarantine":
            continue
        rows = evidence[check.evidence][offenders[check.name]]
        rows = rows[quarantined[rows["session_number"].to_numpy()]]
        if rows.empty:
            continue
        reasons = [row_detail(check, {str(k): v for k, v in row.items()}) for row in rows.to_dict("records")]
        parts.append(rows.reindex(columns=RAW_BARS.column_names).assign(check=check.name, reason=reasons))
    if not parts:
        return QUARANTINED_BARS.empty()
    stacked = {
        name: [value for part in parts for value in part[name]] for name in (*RAW_BARS.column_names, "check", "reason")
    }
    return QUARANTINED_BARS.conform(pd.DataFrame(stacked))
