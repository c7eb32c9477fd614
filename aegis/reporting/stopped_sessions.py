"""Sessions that a data check or the pre-trade gate stopped: each with every reason, and told in one line a stretch.

Belongs here: which sessions they are and why. How many there are is counted in :mod:`aegis.reporting.control_review`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from aegis.reporting.report import ReportInputs

LAST_BLOCKED_SESSIONS = 20
_BY_DATA = "data check"
_BY_GATE = "pre-trade gate"
_COLUMNS = ["session", "by", "rule", "detail"]
_STRETCH_COLUMNS = ["first_session", "last_session", "sessions", "reason"]


@dataclass(frozen=True)
class StoppedSessions:
    """What was stopped, newest first; columns as in the report."""

    blocked_sessions: pd.DataFrame
    stopped_stretches: pd.DataFrame


def stopped_sessions(inputs: ReportInputs) -> StoppedSessions:
    """Return the sessions that were stopped.

    Notes
    -----
    Sessions that follow each other and were stopped for the same reason are one stretch: a kill switch that stays
    engaged for a month is one event. They follow each other when no session lies between them that checks or gate saw.
    """
    reasons = _reasons(inputs)
    shown = reasons["session"].drop_duplicates().head(LAST_BLOCKED_SESSIONS)
    return StoppedSessions(
        blocked_sessions=reasons[reasons["session"].isin(shown)].reset_index(drop=True),
        stopped_stretches=pd.DataFrame(_stretches(inputs, reasons), columns=_STRETCH_COLUMNS),
    )


def _reasons(inputs: ReportInputs) -> pd.DataFrame:
    """Return every reason why a session was stopped, newest session first."""
    checks, gate = inputs.check_results, inputs.pre_trade_gate
    by_data = checks[checks["outcome"] == "block"].rename(columns={"check": "rule"}).assign(by=_BY_DATA)
    by_gate = gate[gate["outcome"] == "refuse"].assign(by=_BY_GATE)
    parts = [part[_COLUMNS] for part in (by_data, by_gate) if len(part)]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in _COLUMNS})
    rows = pd.concat(parts, ignore_index=True)
    return rows.sort_values(["session", "by"], ascending=[False, True], kind="stable", ignore_index=True)


def _stretches(inputs: ReportInputs, reasons: pd.DataFrame) -> list[tuple[pd.Timestamp, pd.Timestamp, int, str]]:
    seen = pd.concat([inputs.check_results["session"], inputs.pre_trade_gate["session"]]).drop_duplicates()
    place = {session: position for position, session in enumerate(seen.sort_values())}
    found: list[tuple[pd.Timestamp, pd.Timestamp, int, str]] = []
    for session, reason in _told(reasons, inputs.identity.account):
        if found and found[-1][3] == reason and place[found[-1][0]] == place[session] + 1:
            _, last, sessions, _ = found[-1]
            found[-1] = (session, last, sessions + 1, reason)
        else:
            found.append((session, session, 1, reason))
    return found


def _told(reasons: pd.DataFrame, account: str) -> Iterator[tuple[pd.Timestamp, str]]:
    """Yield each stopped session with what is wrong with its data, which the gate repeats; else why the gate refused.

    The account and the session that the gate's words begin with are left out: they stand beside them.
    """
    for _, rows in reasons.groupby("session", sort=False):
        session = pd.Timestamp(rows["session"].iloc[0])
        by_data = rows[rows["by"] == _BY_DATA]
        told = by_data if len(by_data) else rows
        others = len(told) - 1
        more = f" (and {others} other rule{'s' if others > 1 else ''})" if others else ""
        detail = str(told["detail"].iloc[0] or "no detail was recorded").removeprefix(f"{account} {session:%Y-%m-%d}: ")
        yield session, f"{told['rule'].iloc[0]}{more}: {detail}"
