"""What one session's decision is made from, cut out of the lake's tables.

Belongs here: the values that the session loop reads and how frames become them. Nothing here decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.backtesting.session_market import MarketHistory, SessionMarket
from aegis.calendars import TradingCalendar
from aegis.errors import MalformedData
from aegis.lake.tables import CORPORATE_ACTIONS
from aegis.portfolio.rebalancing import decision_inputs
from aegis.risk.gate_inputs import CheckVerdict


@dataclass(frozen=True)
class InputTables:
    """Rows of the sessions to be decided, as read at one snapshot.

    Parameters
    ----------
    bars, actions, universe, ensemble, covariances, checks, quarantined : DataFrame
        ``market_data/daily_bars``, ``corporate_actions``, ``universe``, ``signals/ensemble_signals``,
        ``portfolio/covariances``, ``quality/check_results``, ``quality/quarantined_bars``.
    content_hashes : mapping of str to mapping of date to str
        By table, the content hash of each session's rows as they are now, to be compared with the hash that was
        checked: of the raw bars, and of the corporate actions. Sessions without rows are absent.
    outdated_tables : mapping of date to tuple of str
        For sessions where there are any: tables older than the bars that they rest on.
    benchmark_returns : mapping of date to float
        Total return of the benchmark in each session with a trusted bar.
    snapshot_id : int
        Lake snapshot that all of them were read at.
    """

    bars: pd.DataFrame
    actions: pd.DataFrame
    universe: pd.DataFrame
    ensemble: pd.DataFrame
    covariances: pd.DataFrame
    checks: pd.DataFrame
    quarantined: pd.DataFrame
    content_hashes: Mapping[str, Mapping[date, str]]
    outdated_tables: Mapping[date, tuple[str, ...]]
    benchmark_returns: Mapping[date, float]
    snapshot_id: int


@dataclass(frozen=True)
class SessionInputs:
    """All that the decision after one session's close may see.

    Parameters
    ----------
    session, next_session : date
        Decided after the close of the first, executed in the second: the first session that opens after the decision.
    next_open_utc : datetime
        When `next_session` opens.
    decided_at_utc : datetime
        The decision clock; in simulated history the close of `session` plus the vendor's delay.
    clock_session : date
        Last session whose final bars exist at `decided_at_utc`, by the calendar.
    market : SessionMarket
        Trusted bars and corporate actions of `session`; no bars where the session is blocked.
    members : frozenset of str
        Instruments that may be held.
    tickers : mapping of str to str
        What each listed instrument trades as.
    median_dollar_volume_usd : mapping of str to float
        Trailing median of close × volume.
    lot_shares : mapping of str to float
        Smallest quantity that is ordered; of an absent symbol one share.
    symbols : tuple of str
        Members with a signal and a covariance.
    expected_returns : ndarray of float64, shape (n,)
        Expected excess return of each of `symbols`, 1/session.
    covariance : ndarray of float64, shape (n, n)
        Covariance of daily returns, 1/session.
    checks : tuple of CheckVerdict
        Outcomes of the session's data checks.
    content_hashes : mapping of str to str
        By table, the hash of the session's raw bars and corporate actions as they are now. A session may be without
        actions, and has their hash of no rows; without raw bars it has none of them.
    inputs_known_at_utc : datetime or None
        When the newest bar of the session was known; None where the session is blocked.
    outdated_tables : tuple of str
        Tables of the decision that were not computed since the bars that they rest on were last written.
    benchmark_return : float or None
        Total return of the benchmark in the session.
    snapshot_id : int
        Lake snapshot of the inputs.
    quarantined : mapping of str to str
        Symbols whose bars the gate set aside in the session, each with the reason.
    """

    session: date
    next_session: date
    next_open_utc: datetime
    decided_at_utc: datetime
    clock_session: date
    market: SessionMarket
    members: frozenset[str]
    tickers: Mapping[str, str]
    median_dollar_volume_usd: Mapping[str, float]
    symbols: tuple[str, ...]
    expected_returns: NDArray[np.float64]
    covariance: NDArray[np.float64]
    checks: tuple[CheckVerdict, ...]
    content_hashes: Mapping[str, str]
    inputs_known_at_utc: datetime | None
    outdated_tables: tuple[str, ...]
    benchmark_return: float | None
    snapshot_id: int
    quarantined: Mapping[str, str] = field(default_factory=dict)
    lot_shares: Mapping[str, float] = field(default_factory=dict)


class InputHistory:
    """Sessions of :class:`InputTables`, cut once; pandas inside a session loop costs more than the loop."""

    def __init__(
        self,
        tables: InputTables,
        *,
        calendar: TradingCalendar,
        decision_times: Mapping[date, datetime],
        vendor_delay: timedelta,
    ) -> None:
        self._tables = tables
        self._calendar = calendar
        self._decision_times = decision_times
        self._vendor_delay = vendor_delay
        _refuse_late_actions(tables.actions, decision_times)
        self._market = MarketHistory(tables.bars, tables.actions, calendar=calendar)
        newest = tables.bars.groupby("session", as_index=False)["known_at_utc"].max()
        self._known_at = {
            session.date(): known.to_pydatetime()
            for session, known in zip(newest["session"], newest["known_at_utc"], strict=True)
        }
        self._universe = _Cuts(tables.universe)
        self._ensemble = _Cuts(tables.ensemble)
        self._covariances = _Cuts(tables.covariances)
        self._checks = _Cuts(tables.checks)
        self._quarantined = _Cuts(tables.quarantined)

    def session(self, day: date) -> SessionInputs:
        """Return the inputs of one session."""
        universe = self._universe.session(day)
        symbols, expected_returns, covariance = decision_inputs(
            self._ensemble.session(day), self._covariances.session(day)
        )
        names = universe["symbol"].to_numpy(dtype=object)
        decided_at = self._decision_times[day]
        market = self._market.session(day)
        execution = self._calendar.next(day)
        while self._calendar.open_utc(execution) < decided_at:
            execution = self._calendar.next(execution)
        return SessionInputs(
            session=day,
            next_session=execution,
            next_open_utc=self._calendar.open_utc(execution),
            decided_at_utc=decided_at,
            clock_session=self._calendar.last_complete_session(decided_at, self._vendor_delay),
            market=market,
            members=frozenset(names[universe["is_member"].to_numpy()]),
            tickers=dict(zip(names, universe["ticker"], strict=True)),
            median_dollar_volume_usd=dict(zip(names, universe["median_dollar_volume_usd"].tolist(), strict=True)),
            symbols=symbols,
            expected_returns=expected_returns,
            covariance=covariance,
            checks=_verdicts(self._checks.session(day)),
            content_hashes=self._content_hashes(day),
            inputs_known_at_utc=self._known_at.get(day),
            outdated_tables=self._tables.outdated_tables.get(day, ()) if market.rows else (),
            benchmark_return=self._tables.benchmark_returns.get(day),
            snapshot_id=self._tables.snapshot_id,
            quarantined=self._reasons(day),
            lot_shares=_larger_lots(names, universe["lot_shares"]),
        )

    def _reasons(self, day: date) -> dict[str, str]:
        rows = self._quarantined.session(day)
        return dict(zip(rows["symbol"], rows["reason"], strict=True))

    def _content_hashes(self, day: date) -> dict[str, str]:
        hashes = {table: found[day] for table, found in self._tables.content_hashes.items() if day in found}
        return {CORPORATE_ACTIONS.key: CORPORATE_ACTIONS.hash_of_no_rows, **hashes}


class _Cuts:
    """A frame sorted by session, with the row range of each."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame.sort_values("session", kind="stable", ignore_index=True)
        days = self._frame["session"].to_numpy(dtype="datetime64[D]")
        starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]]) if len(days) else np.array([], dtype=np.int64)
        ends = np.r_[starts[1:], len(days)]
        self._ranges = {days[lo].item(): (int(lo), int(hi)) for lo, hi in zip(starts, ends, strict=False)}

    def session(self, day: date) -> pd.DataFrame:
        lo, hi = self._ranges.get(day, (0, 0))
        return self._frame.iloc[lo:hi]


def _larger_lots(names: NDArray[np.object_], lots: pd.Series) -> dict[str, float]:
    """Return the lots that are more than a share; a universe of before lots were known has none."""
    known = lots.to_numpy(dtype=np.float64)
    larger = known > 1.0
    return dict(zip(names[larger], known[larger].tolist(), strict=True))


def _refuse_late_actions(actions: pd.DataFrame, decision_times: Mapping[date, datetime]) -> None:
    """Refuse what would be booked in its ex-session before anyone knew of it."""
    for row in actions.to_dict("records"):
        day = row["session"].date()
        decided = decision_times.get(day)
        if decided is not None and row["known_at_utc"] > decided:
            raise MalformedData(
                f"{row['symbol']} {day}: {row['action']} known at {row['known_at_utc']}, after the session's decision "
                f"at {decided}; correct known_at_utc, or date the action to the first session that knew of it"
            )


def _verdicts(rows: pd.DataFrame) -> tuple[CheckVerdict, ...]:
    names = ("check", "check_version", "table", "outcome", "is_blocking", "content_hash", "snapshot_id", "detail")
    return tuple(
        CheckVerdict(**dict(zip(names, values, strict=True)))
        for values in zip(*(rows[n].tolist() for n in names), strict=True)
    )
