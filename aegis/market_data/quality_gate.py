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
from aegis.config_quality import QualitySettings
from aegis.errors import SchemaMismatch
from aegis.lake.tables import (
    CHECK_RESULTS,
    CONFIRMED_CLOSES,
    CORPORATE_ACTIONS,
    DAILY_BARS,
    RAW_BARS,
    REPAIRED_VALUES,
    SOURCE_AGREEMENT,
)
from aegis.market_data.action_evidence import action_evidence
from aegis.market_data.bar_evidence import JudgedSessions, bar_evidence, expected_bars
from aegis.market_data.check_definition import CheckDefinition
from aegis.market_data.configured_checks import configured_checks
from aegis.market_data.confirmed_closes import settled_rows, with_confirmations
from aegis.market_data.listing_evidence import listed_counts, listing_words
from aegis.market_data.offender_details import offender_details
from aegis.market_data.quarantine import may_quarantine, quarantined_bars
from aegis.market_data.repairs import repaired_bars
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
    confirmed : int
        Rows that would offend if a person had not confirmed them.
    first_detail : str or None
        Detail of the first failing session; of the first confirmed row where none fails.
    """

    check: str
    passed: bool
    is_blocking: bool
    observed: float
    threshold: float
    failed_sessions: int
    confirmed: int
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
        :data:`aegis.lake.tables.DAILY_BARS`: rows of sessions that are not blocked, repaired, without quarantined ones.
    quarantined_bars : DataFrame
        :data:`aegis.lake.tables.QUARANTINED_BARS`: the rows that were set aside in sessions that are not blocked.
    repaired_values : DataFrame
        :data:`aegis.lake.tables.REPAIRED_VALUES`: what differs between raw and daily bars, and why.
    blocked_sessions : dict of date to list of str
        Blocked sessions, ascending, each with the checks that block it.
    summary : tuple of CheckSummary
        One for each check, in the order of the rule table.
    confirmed_rows : DataFrame
        Rows that would offend if a person had not confirmed them: ``check``, ``session``, ``symbol`` and
        ``confirmed_session``, whose close it was.
    """

    check_results: pd.DataFrame
    daily_bars: pd.DataFrame
    quarantined_bars: pd.DataFrame
    repaired_values: pd.DataFrame
    blocked_sessions: dict[date, list[str]]
    summary: tuple[CheckSummary, ...]
    confirmed_rows: pd.DataFrame


@dataclass(frozen=True)
class _Verdict:
    """One check: which rows of its evidence offend, and for each session how many, what was said and what follows."""

    check: CheckDefinition
    offenders: Mask
    confirmed: int
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
    confirmed: pd.DataFrame | None = None,
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
        Symbols whose rows are never quarantined in each session. All symbols are protected in a session that the
        mapping lacks, and everywhere without a mapping. The daily graph protects what no book may hold
        (:func:`~aegis.market_data.quarantine.untradable_symbols`), and the book refuses a session in which a symbol
        that it holds or targets is quarantined.
    agreement : DataFrame, optional
        :data:`aegis.lake.tables.SOURCE_AGREEMENT`; a bar that it lacks has no second opinion and agrees.
    confirmed : DataFrame, optional
        :data:`aegis.lake.tables.CONFIRMED_CLOSES` that are known, look-back included. Checks of plausible moves take
        them; no other check does.

    Returns
    -------
    GateResult

    Raises
    ------
    SchemaMismatch
        A column of `raw_bars` is missing, unexpected or has another dtype, or a key or instant is null.
    CalendarError
        The range holds no session.
    ConfigurationError
        ``quality.stale_repeat_sessions`` exceeds the look-back, or ``quality.outcomes`` gives a check an outcome that
        it may not have.
    QualityGateBlocked
        An expectation could not be evaluated.

    Notes
    -----
    The result of a session is a function of its rows, the 30 sessions before them, what was confirmed of them, the
    listings and the actions known with its bars: judged alone or within any range, it is the same. An action that
    became known later explains nothing earlier.
    """
    checks = configured_checks(settings)
    sessions = JudgedSessions.between(first, last, calendar)
    raw = RAW_BARS.conform(_delivered_as_declared(raw_bars))
    repaired = repaired_bars(raw)
    bars = repaired.bars
    given = CONFIRMED_CLOSES.empty() if confirmed is None else confirmed
    rows = bar_evidence(bars, actions, sessions=sessions, calendar=calendar, settings=settings, confirmed=given)
    rows = with_confirmations(rows, bars, given, days=sessions.with_lookback)
    rows = with_agreement(rows, SOURCE_AGREEMENT.empty() if agreement is None else agreement, settings=settings)
    rows = pd.concat([rows, listing_words(rows, listings)], axis=1)
    evidence = {
        "bars": rows,
        "expected_bars": expected_bars(bars, listings, sessions=sessions),
        "actions": action_evidence(bars, actions, rows, sessions=sessions),
        "sessions": listed_counts(listings, sessions=sessions),
    }
    offenders: dict[str, Mask] = {}
    for name, frame in evidence.items():
        offenders |= offending_rows(frame, [c for c in checks if c.evidence == name], settings=settings)
    settled = {check.name: offenders[check.name] & _confirmed(check, evidence[check.evidence]) for check in checks}
    offenders = {name: found & ~settled[name] for name, found in offenders.items()}
    quarantine_allowed = may_quarantine(
        evidence,
        offenders,
        checks,
        sessions=sessions,
        largest_share=settings.max_quarantined_share,
        protected=protected,
    )
    verdicts = [
        _verdict(
            check, evidence[check.evidence], offenders[check.name], settled[check.name], sessions, quarantine_allowed
        )
        for check in checks
    ]
    blocked = np.logical_or.reduce([verdict.outcomes == "block" for verdict in verdicts])
    passes = ~blocked[rows["session_number"].to_numpy()]
    judged = raw[sessions.numbers_of(raw["session"].to_numpy(dtype="datetime64[D]")) >= 0]
    changes = bars[["session", "symbol"]].merge(repaired.changes, left_index=True, right_on="row")
    return GateResult(
        check_results=_check_results(verdicts, _content(judged, actions, sessions), sessions, snapshot_id),
        daily_bars=DAILY_BARS.conform(rows.loc[passes & ~_removed(verdicts, len(rows)), RAW_BARS.column_names]),
        quarantined_bars=quarantined_bars(evidence, offenders, checks, quarantined=~blocked),
        repaired_values=_in_sessions(changes, sessions, ~blocked),
        blocked_sessions={
            sessions.days[number].item(): [v.check.name for v in verdicts if v.outcomes[number] == "block"]
            for number in np.flatnonzero(blocked)
        },
        summary=tuple(_summary(verdict) for verdict in verdicts),
        confirmed_rows=settled_rows(rows, settled, checks, days=sessions.with_lookback),
    )


def _delivered_as_declared(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame, or refuse columns whose dtypes are not the table's: text, other time zones, short floats."""
    declared = RAW_BARS.empty().dtypes
    for name, dtype in frame.dtypes.items():
        expected = declared.get(str(name), dtype)
        if dtype != expected:
            raise SchemaMismatch(
                f"{RAW_BARS.key}.{name}: expected dtype {expected}, found {dtype} "
                f"(first value {ascii(frame[name].iloc[0])[:40] if len(frame) else 'none'}); convert the column in the "
                "source"
            )
    return frame


def _removed(verdicts: list[_Verdict], rows: int) -> Mask:
    taken = [v.offenders for v in verdicts if v.check.on_failure == "quarantine" and v.check.evidence == "bars"]
    removed: Mask = np.logical_or.reduce([np.zeros(rows, dtype=np.bool_), *taken])
    return removed


def _in_sessions(changes: pd.DataFrame, sessions: JudgedSessions, released: Mask) -> pd.DataFrame:
    numbers = sessions.numbers_of(changes["session"].to_numpy(dtype="datetime64[D]"))
    kept = changes[(numbers >= 0) & released[numbers]]
    return REPAIRED_VALUES.conform(kept[REPAIRED_VALUES.column_names])


def _confirmed(check: CheckDefinition, frame: pd.DataFrame) -> Mask:
    """Return which rows a person confirmed, as far as the check takes it."""
    if check.settled_by is None:
        return np.zeros(len(frame), dtype=np.bool_)
    return frame[check.settled_by].notna().to_numpy()


def _verdict(
    check: CheckDefinition,
    frame: pd.DataFrame,
    offenders: Mask,
    settled: Mask,
    sessions: JudgedSessions,
    may_quarantine: Mask,
) -> _Verdict:
    numbers = frame["session_number"].to_numpy()[offenders]
    observed = np.bincount(numbers, minlength=len(sessions.days))
    outcomes: Texts = np.full(len(sessions.days), "pass", dtype=object)
    outcomes[observed > ALLOWED_OFFENDERS] = check.on_failure
    outcomes[(outcomes == "quarantine") & ~may_quarantine] = "block"
    details: Texts = np.full(len(sessions.days), None, dtype=object)
    for number, text in offender_details(check, frame[offenders], frame[settled]).items():
        details[number] = text
    return _Verdict(check, offenders, int(settled.sum()), observed, details, outcomes)


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
    told = failing if failing.size else np.flatnonzero(pd.notna(verdict.details))
    return CheckSummary(
        check=verdict.check.name,
        passed=failing.size == 0,
        is_blocking=verdict.check.is_blocking,
        observed=float(verdict.observed.sum()),
        threshold=ALLOWED_OFFENDERS,
        failed_sessions=int(failing.size),
        confirmed=verdict.confirmed,
        first_detail=str(verdict.details[told[0]]) if told.size else None,
    )
