"""The quality gate: which raw bars may be traded on, decided by the rule table.

Belongs here: running all checks over a range of sessions, turning verdicts into outcomes, and splitting the rows. The
rules are in :mod:`aegis.market_data.expectations`, explained in ``docs/data_quality.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config import QualitySettings
from aegis.lake.tables import CHECK_RESULTS, CORPORATE_ACTIONS, DAILY_BARS, RAW_BARS, SOURCE_AGREEMENT
from aegis.market_data.action_evidence import action_evidence
from aegis.market_data.bar_evidence import JudgedSessions, bar_evidence, expected_bars
from aegis.market_data.expectations import CHECKS, CheckDefinition
from aegis.market_data.offender_details import offender_details
from aegis.market_data.source_agreement import with_agreement
from aegis.market_data.validation import Mask, offending_rows

ALLOWED_OFFENDERS = 0.0

Counts = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class CheckSummary:
    """One check over the whole range, as Dagster's one evaluation shows it.

    Parameters
    ----------
    check : str
        Name of the check.
    passed : bool
        Whether no row of any session offends.
    is_blocking : bool
        Whether orders need the check.
    observed, threshold : float
        Offending rows found and allowed.
    failed_sessions : int
        Sessions with an offending row.
    first_detail : str or None
        Detail of the first failing session.
    """

    check: str
    passed: bool
    is_blocking: bool
    observed: float
    threshold: float
    failed_sessions: int
    first_detail: str | None

    @property
    def severity(self) -> str:
        """``ERROR`` where orders need the check, else ``WARN``."""
        return "ERROR" if self.is_blocking else "WARN"


@dataclass(frozen=True)
class GateResult:
    """What the gate found and what it let through.

    Parameters
    ----------
    check_results : DataFrame
        :data:`aegis.lake.tables.CHECK_RESULTS`: every check and every session, passed ones too.
    daily_bars : DataFrame
        :data:`aegis.lake.tables.DAILY_BARS`: rows of sessions that are not blocked, without quarantined rows.
    blocked_sessions : dict of date to list of str
        Blocked sessions, ascending, each with the checks that block it.
    summary : tuple of CheckSummary
        One for each check, in the order of the rule table.
    """

    check_results: pd.DataFrame
    daily_bars: pd.DataFrame
    blocked_sessions: dict[date, list[str]]
    summary: tuple[CheckSummary, ...]


@dataclass(frozen=True)
class _Verdict:
    """One check: which rows of its evidence offend, and for each session how many, what was said and what follows."""

    check: CheckDefinition
    offenders: Mask
    observed: Counts
    details: Texts
    outcomes: Texts


def run_quality_gate(
    raw_bars: pd.DataFrame,
    *,
    listings: pd.DataFrame,
    actions: pd.DataFrame,
    calendar: TradingCalendar,
    settings: QualitySettings,
    snapshot_id: int,
    first: date,
    last: date,
    protected: Mapping[date, frozenset[str]] | None = None,
    agreement: pd.DataFrame | None = None,
) -> GateResult:
    """Judge the sessions in ``[first, last]`` and return what may be traded on.

    Parameters
    ----------
    raw_bars : DataFrame
        :data:`aegis.lake.tables.RAW_BARS` of the range and of at least 30 sessions before it, as far as they exist.
        Earlier rows are looked back at and not judged.
    listings : DataFrame
        :data:`aegis.lake.tables.LISTINGS`.
    actions : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS` of the same time as the bars.
    calendar : TradingCalendar
        Decision calendar.
    settings : QualitySettings
        Bounds.
    snapshot_id : int
        Lake snapshot that the raw bars were read at.
    first, last : date
        Range, both included.
    protected : mapping of date to frozenset of str, optional
        Symbols held or targeted in each session, whose rows are never quarantined. All symbols are protected in a
        session that the mapping lacks, and everywhere without a mapping.
    agreement : DataFrame, optional
        :data:`aegis.lake.tables.SOURCE_AGREEMENT`; a bar that it lacks has no second opinion and agrees.

    Returns
    -------
    GateResult

    Raises
    ------
    SchemaMismatch
        A column of `raw_bars` is missing or has values that cannot take its type.
    CalendarError
        The range holds no session.
    ConfigurationError
        ``quality.stale_repeat_sessions`` exceeds the look-back.
    QualityGateBlocked
        An expectation could not be evaluated.

    Notes
    -----
    The result of a session is a function of its rows, the 30 sessions before them, the listings and the actions known
    with its bars: judged alone or within any range, it is the same. An action that became known later explains nothing
    earlier.
    """
    sessions = JudgedSessions.between(first, last, calendar)
    bars = RAW_BARS.conform(raw_bars)
    rows = bar_evidence(bars, actions, sessions=sessions, calendar=calendar, settings=settings)
    rows = with_agreement(rows, SOURCE_AGREEMENT.empty() if agreement is None else agreement, settings=settings)
    evidence = {
        "bars": rows,
        "expected_bars": expected_bars(bars, listings, sessions=sessions),
        "actions": action_evidence(bars, actions, rows, sessions=sessions),
    }
    offenders: dict[str, Mask] = {}
    for name, frame in evidence.items():
        checks = [check for check in CHECKS if check.evidence == name]
        offenders |= offending_rows(frame, checks, settings=settings)
    may_quarantine = _may_quarantine(rows, offenders, sessions=sessions, settings=settings, protected=protected)
    verdicts = [
        _verdict(check, evidence[check.evidence], offenders[check.name], sessions, may_quarantine) for check in CHECKS
    ]
    blocked = np.logical_or.reduce([verdict.outcomes == "block" for verdict in verdicts])
    removed = np.logical_or.reduce([v.offenders for v in verdicts if v.check.on_failure == "quarantine"])
    passes = ~blocked[rows["session_number"].to_numpy()]
    judged = rows[RAW_BARS.column_names]
    return GateResult(
        check_results=_check_results(verdicts, _content(judged, actions, sessions), sessions, snapshot_id),
        daily_bars=DAILY_BARS.conform(judged[passes & ~removed]),
        blocked_sessions={
            sessions.days[number].item(): [v.check.name for v in verdicts if v.outcomes[number] == "block"]
            for number in np.flatnonzero(blocked)
        },
        summary=tuple(_summary(verdict) for verdict in verdicts),
    )


def _may_quarantine(
    rows: pd.DataFrame,
    offenders: Mapping[str, Mask],
    *,
    sessions: JudgedSessions,
    settings: QualitySettings,
    protected: Mapping[date, frozenset[str]] | None,
) -> Mask:
    """Return for each session whether its offending rows of quarantine rules may be taken out instead of blocking."""
    suspects = np.logical_or.reduce([offenders[check.name] for check in CHECKS if check.on_failure == "quarantine"])
    numbers = rows["session_number"].to_numpy()
    counted = np.bincount(numbers, minlength=len(sessions.days))
    suspected = np.bincount(numbers[suspects], minlength=len(sessions.days))
    allowed = suspected <= settings.max_quarantined_share * counted
    for number, symbol in zip(numbers[suspects], rows["symbol"].to_numpy()[suspects], strict=True):
        kept = None if protected is None else protected.get(sessions.days[number].item())
        if kept is None or symbol in kept:
            allowed[number] = False
    return np.asarray(allowed, dtype=np.bool_)


def _verdict(
    check: CheckDefinition, frame: pd.DataFrame, offenders: Mask, sessions: JudgedSessions, may_quarantine: Mask
) -> _Verdict:
    numbers = frame["session_number"].to_numpy()[offenders]
    observed = np.bincount(numbers, minlength=len(sessions.days))
    outcomes: Texts = np.full(len(sessions.days), "pass", dtype=object)
    outcomes[observed > ALLOWED_OFFENDERS] = check.on_failure
    outcomes[(outcomes == "quarantine") & ~may_quarantine] = "block"
    details: Texts = np.full(len(sessions.days), None, dtype=object)
    for number, text in offender_details(check, frame[offenders]).items():
        details[number] = text
    return _Verdict(check, offenders, observed, details, outcomes)


def _content(judged: pd.DataFrame, actions: pd.DataFrame, sessions: JudgedSessions) -> dict[str, list[str]]:
    """Return for each table the content hash of each judged session's rows."""
    content = {}
    for table, rows in ((RAW_BARS, judged), (CORPORATE_ACTIONS, actions)):
        hashes = table.content_hashes(rows)
        content[table.key] = [hashes.get(day.item(), table.hash_of_no_rows) for day in sessions.days]
    return content


def _check_results(
    verdicts: list[_Verdict], content: Mapping[str, list[str]], sessions: JudgedSessions, snapshot_id: int
) -> pd.DataFrame:
    days = pd.DatetimeIndex(sessions.days)
    parts = [
        pd.DataFrame(
            {
                "session": days,
                "table": verdict.check.table.key,
                "check": verdict.check.name,
                "check_version": verdict.check.version,
                "outcome": verdict.outcomes,
                "is_blocking": verdict.check.is_blocking,
                "observed": verdict.observed.astype(np.float64),
                "threshold": ALLOWED_OFFENDERS,
                "detail": verdict.details,
                "content_hash": content[verdict.check.table.key],
                "snapshot_id": snapshot_id,
            }
        )
        for verdict in verdicts
    ]
    return CHECK_RESULTS.conform(pd.concat(parts, ignore_index=True))


def _summary(verdict: _Verdict) -> CheckSummary:
    failing = np.flatnonzero(verdict.observed > ALLOWED_OFFENDERS)
    return CheckSummary(
        check=verdict.check.name,
        passed=failing.size == 0,
        is_blocking=verdict.check.is_blocking,
        observed=float(verdict.observed.sum()),
        threshold=ALLOWED_OFFENDERS,
        failed_sessions=int(failing.size),
        first_detail=str(verdict.details[failing[0]]) if failing.size else None,
    )
