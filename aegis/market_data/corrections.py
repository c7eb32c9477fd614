"""Correcting stored bars: new rows with a reason, judged by the quality gate before anything is written.

Belongs here: which rows a correction changes, and writing it as new snapshots. Rules are
:mod:`aegis.market_data.quality_gate`; what rests on the rows as they were is :mod:`aegis.lake.consequences`. Nothing
stored is lost: the rows as they were stay readable at the snapshots before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config_quality import QualitySettings
from aegis.errors import MalformedData, QualityGateBlocked
from aegis.instruments import require_symbol
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.marks import required_reason
from aegis.lake.schema import TableSchema
from aegis.lake.tables import (
    CHECK_RESULTS,
    CONFIRMED_CLOSES,
    CORPORATE_ACTIONS,
    DAILY_BARS,
    LISTINGS,
    QUARANTINED_BARS,
    RAW_BARS,
    REPAIRED_VALUES,
    SOURCE_AGREEMENT,
)
from aegis.lake.unchanged_rows import UnchangedRows
from aegis.market_data.kept_corrections import CORRECTION_SOURCE, WRITTEN_BY
from aegis.market_data.price_jumps import LOOKBACK_SESSIONS
from aegis.market_data.quality_gate import GateResult, run_quality_gate
from aegis.market_data.quarantine import untradable_symbols

_KEY = ["session", "symbol"]
_GIVEN = [name for name in RAW_BARS.column_names if name not in ("source", "known_at_utc")]
_BLOCKS_SHOWN = 3
_JUDGED = (RAW_BARS, CORPORATE_ACTIONS, SOURCE_AGREEMENT, CONFIRMED_CLOSES)


@dataclass(frozen=True)
class Correction:
    """What a correction wrote.

    Parameters
    ----------
    before : int
        Snapshot before it.
    after : int
        Snapshot that holds the corrected bars and the gate's verdict on them.
    first, last : date
        Sessions whose verdict or trusted bars were written again.
    """

    before: int
    after: int
    first: date
    last: date


def given_bars(given: pd.DataFrame, stored: pd.DataFrame, *, known_at: Mapping[date, datetime]) -> pd.DataFrame:
    """Return `stored` with the rows of `given` in the place of those with the same session and symbol.

    Parameters
    ----------
    given : DataFrame
        ``session``, ``symbol`` and any other columns of ``market_data/raw_bars``; what it leaves out is as stored.
        Dates may be text. A row that is not stored needs every column.
    stored : DataFrame
        :data:`aegis.lake.tables.RAW_BARS` of the sessions of `given`.
    known_at : mapping of date to datetime
        When each session's bars were known, for rows that are new.

    Returns
    -------
    DataFrame
        :data:`aegis.lake.tables.RAW_BARS`. Corrected rows have the source ``correction`` and keep their
        ``known_at_utc``: the world knew the right price then, and the snapshot says since when the lake does.

    Raises
    ------
    MalformedData
        A column is missing or unknown, a session or a symbol is none, a row is given twice, or a new row lacks a value.
    """
    rows = _checked(given)
    merged = rows.merge(stored.drop_duplicates(_KEY), on=_KEY, how="left", suffixes=("", " stored"), indicator=True)
    is_new = (merged["_merge"] == "left_only").to_numpy()
    for name in (name for name in _GIVEN if name not in _KEY):
        if name not in rows.columns and is_new.any():
            first = merged.loc[is_new, _KEY].iloc[0]
            raise MalformedData(
                f"{first['symbol']} {first['session'].date()}: the row is not stored, and the correction has no column "
                f"{name}; give every column of a new row: {', '.join(_GIVEN)}"
            )
    times = merged["session"].dt.date.map(known_at)
    merged["known_at_utc"] = merged["known_at_utc"].where(~is_new, pd.to_datetime(times, utc=True))
    corrected = RAW_BARS.conform(merged.assign(source=CORRECTION_SOURCE)[RAW_BARS.column_names])
    replaced = pd.MultiIndex.from_frame(corrected[_KEY])
    kept = stored[~pd.MultiIndex.from_frame(stored[_KEY]).isin(replaced)]
    return RAW_BARS.conform(pd.concat([kept, corrected], ignore_index=True) if len(kept) else corrected)


def correct_bars(
    lake: Lake,
    bars: pd.DataFrame,
    *,
    read_at: int,
    first: date,
    last: date,
    calendar: TradingCalendar,
    settings: QualitySettings,
    reason: str,
    person: str,
    code_version: str,
) -> Correction:
    """Put `bars` in the place of all raw bars of a range, judge them, and write bars, verdict and trusted bars.

    Parameters
    ----------
    lake : Lake
    bars : DataFrame
        :data:`aegis.lake.tables.RAW_BARS` of the range, all rows.
    read_at : int
        Snapshot that `bars` were made from; the gate reads everything else there as well.
    first, last : date
        Range of sessions, inclusive.
    calendar : TradingCalendar
    settings : QualitySettings
    reason : str
        Why; goes into the snapshots.
    person : str
        Who.
    code_version : str

    Raises
    ------
    LakeError
        There is no reason, other writers held the lake, or one changed what was read at `read_at`.
    MalformedData
        The bars are those that are stored.
    QualityGateBlocked
        The gate blocks a session of the range, or one after it that it let through before, or sets a bar aside that it
        did not set aside before. Nothing has been written.

    Notes
    -----
    The gate looks back, so sessions after the range are judged again and written again where the verdict differs. Bars
    and verdict are two snapshots: the verdict names the snapshot of the bars. After a crash between them the pre-trade
    gate refuses the sessions, and the same correction again completes it.
    """
    said = required_reason(reason)
    start, end = _judged_range(lake, first, last, calendar)
    stored = lake.read(RAW_BARS, first=start, last=end, snapshot_id=read_at)
    result = _judged(lake, bars, stored, read_at, first=first, last=last, end=end, calendar=calendar, settings=settings)
    _refuse_blocks(result, lake, first, last)
    _refuse_new_quarantines(result, lake, read_at)
    is_stored = _same(RAW_BARS, _within(stored, first, last), bars)
    low, high = _rewritten(result, lake, first, last)
    gated = {
        CHECK_RESULTS: result.check_results,
        QUARANTINED_BARS: result.quarantined_bars,
        REPAIRED_VALUES: result.repaired_values,
        DAILY_BARS: result.daily_bars,
    }
    trusted = _within(result.daily_bars, low, high)
    if is_stored and _same(DAILY_BARS, lake.read(DAILY_BARS, first=low, last=high), trusted):
        raise MalformedData(f"{first}..{last}: the bars are those that are stored already; there is nothing to correct")
    snapshot = read_at

    def message(asset: str, sessions: tuple[date, date]) -> CommitMessage:
        return CommitMessage(asset, "..".join(map(str, sessions)), f"{WRITTEN_BY} {person}", code_version, said)

    def judged_at(number: int) -> list[UnchangedRows]:
        sessioned = [UnchangedRows(table, number, start, end) for table in _JUDGED]
        return [UnchangedRows(LISTINGS, number), *sessioned]

    if not is_stored:
        bars_message = message(RAW_BARS.key, (first, last))
        replaced = [Replacement(RAW_BARS, bars, first, last)]
        snapshot = lake.write(replaced, bars_message, based_on=judged_at(read_at))
    gated[CHECK_RESULTS] = result.check_results.assign(snapshot_id=snapshot)
    after = lake.write(
        [Replacement(table, _within(rows, low, high), low, high) for table, rows in gated.items()],
        message(", ".join(table.key for table in gated), (low, high)),
        based_on=judged_at(snapshot),
    )
    return Correction(read_at, after, low, high)


def _checked(given: pd.DataFrame) -> pd.DataFrame:
    unknown = [ascii(str(name))[:40] for name in given.columns if name not in _GIVEN]
    missing = [name for name in _KEY if name not in given.columns]
    if unknown or missing or given.empty or len(given.columns) == len(_KEY):
        raise MalformedData(
            f"a correction of {len(given)} rows has the columns missing {missing} and unknown {unknown[:5]}; give rows "
            f"with session, symbol and what is corrected of {', '.join(_GIVEN)}"
        )
    for name in ("symbol", "ticker"):
        if name in given.columns:
            for text in given[name]:
                require_symbol(text)
    try:
        sessions = pd.to_datetime(given["session"], format="ISO8601").astype("datetime64[ns]")
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedData(f"column session holds what is no date: {error}; write it as 2024-05-31") from error
    rows = given.assign(session=sessions)
    repeated = rows.duplicated(_KEY)
    if repeated.any():
        row = rows.loc[repeated].iloc[0]
        raise MalformedData(f"{row['symbol']} {row['session'].date()}: the row is given twice; keep one")
    return rows


def _judged_range(lake: Lake, first: date, last: date, calendar: TradingCalendar) -> tuple[date, date]:
    """Return the first session that the gate looks back at, and the last stored one that looks back on the range."""
    stored_last = lake.last_session(RAW_BARS) or last
    end = max(last, min(calendar.offset(last, LOOKBACK_SESSIONS), stored_last))
    return calendar.offset(first, -LOOKBACK_SESSIONS), end


def _judged(
    lake: Lake,
    bars: pd.DataFrame,
    stored: pd.DataFrame,
    read_at: int,
    *,
    first: date,
    last: date,
    end: date,
    calendar: TradingCalendar,
    settings: QualitySettings,
) -> GateResult:
    """Return the gate's result of the range and of the later stored sessions that look back on it.

    As in the daily graph only what no book may hold is never set aside: a bar of another symbol that was, stays so.
    """
    outside = stored[~stored["session"].between(pd.Timestamp(first), pd.Timestamp(last))]
    start = calendar.offset(first, -LOOKBACK_SESSIONS)
    listings = lake.read(LISTINGS, snapshot_id=read_at)
    return run_quality_gate(
        pd.concat([outside, bars], ignore_index=True) if len(outside) else bars,
        listings=listings,
        actions=lake.read(CORPORATE_ACTIONS, first=start, last=end, snapshot_id=read_at),
        calendar=calendar,
        settings=settings,
        snapshot_id=read_at,
        first=first,
        last=end,
        protected=untradable_symbols(listings, calendar.sessions(first, end)),
        agreement=lake.read(SOURCE_AGREEMENT, first=first, last=end, snapshot_id=read_at),
        confirmed=lake.read(CONFIRMED_CLOSES, first=start, last=end, snapshot_id=read_at),
    )


def _refuse_blocks(result: GateResult, lake: Lake, first: date, last: date) -> None:
    trusted = set(lake.sessions(DAILY_BARS))
    refused = [day for day in result.blocked_sessions if first <= day <= last or day in trusted]
    if not refused:
        return
    rows = result.check_results
    blocking = rows[(rows["outcome"] == "block") & rows["session"].dt.date.isin(refused)].head(_BLOCKS_SHOWN)
    told = "; ".join(f"{row.session.date()} {row.check}: {row.detail}" for row in blocking.itertuples())
    raise QualityGateBlocked(
        f"{len(refused)} sessions would be blocked with this correction, so nothing was written: {told}. Correct those "
        "rows as well, record the corporate action that explains them, or confirm a true move (aegis data confirm)"
    )


def _refuse_new_quarantines(result: GateResult, lake: Lake, read_at: int) -> None:
    """Refuse a correction that takes a bar out of the trusted ones: it was given to be believed."""
    rows = result.quarantined_bars
    if rows.empty:
        return
    low, high = rows["session"].min().date(), rows["session"].max().date()
    before = pd.MultiIndex.from_frame(lake.read(QUARANTINED_BARS, first=low, last=high, snapshot_id=read_at)[_KEY])
    new = rows[~pd.MultiIndex.from_frame(rows[_KEY]).isin(before)]
    if len(new):
        told = "; ".join(f"{row.check}: {row.reason}" for row in new.head(_BLOCKS_SHOWN).itertuples())
        raise QualityGateBlocked(
            f"{len(new)} bars would be set aside with this correction, so nothing was written: {told}. Correct those "
            "rows as well, record the corporate action that explains them, or confirm a true move (aegis data confirm)"
        )


def _rewritten(result: GateResult, lake: Lake, first: date, last: date) -> tuple[date, date]:
    """Return the first and last session whose verdict or trusted bars differ from what is stored, or were corrected."""
    end = result.check_results["session"].max().date()
    differing = {first, last}
    verdict = result.check_results.assign(snapshot_id=0)  # of other rows with the same verdict
    for table, rows in ((CHECK_RESULTS, verdict), (DAILY_BARS, result.daily_bars)):
        stored = lake.read(table, first=first, last=end)
        was = table.content_hashes(stored.assign(snapshot_id=0) if table is CHECK_RESULTS else stored)
        now = table.content_hashes(rows)
        differing |= {day for day in was.keys() | now.keys() if was.get(day) != now.get(day)}
    return min(differing), max(differing)


def _same(table: TableSchema, stored: pd.DataFrame, rows: pd.DataFrame) -> bool:
    return table.content_hashes(stored) == table.content_hashes(rows)


def _within(frame: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    found: pd.DataFrame = frame[frame["session"].between(pd.Timestamp(first), pd.Timestamp(last))]
    return found
