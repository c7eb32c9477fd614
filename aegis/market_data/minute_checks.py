"""What minute bars must be before they are stored.

Belongs here: the checks and their verdict on each session. They look at nothing but the session itself and its daily
bars, which have passed the quality gate; daily bars are judged by :mod:`aegis.market_data.quality_gate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.calendars import TradingCalendar
from aegis.config import MinuteBarsSettings
from aegis.lake.tables import MINUTE_BAR_CHECKS, MINUTE_BARS
from aegis.market_data.sources.minute_source import DELIVERED_MINUTES

_SHOWN = 3
_MINUTE_NS = 60_000_000_000
_PRICES = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd")

CHECKS: Mapping[str, str] = {
    "minutes_are_unique": "A symbol has one bar for each minute.",
    "minutes_lie_in_trading_hours": "Minutes are whole and end between the session's opening and its close, which is "
    "early on a half day.",
    "minute_prices_are_consistent": "Prices are positive, low is lowest and high is highest, and volume is positive.",
    "traded_symbols_have_minutes": "A symbol whose daily bar has volume has minute bars.",
    "minutes_agree_with_the_daily_bar": "A session's minutes add up to its daily bar within the tolerances of "
    "market_data.minute_bars.",
}


@dataclass(frozen=True)
class JudgedMinutes:
    """The verdict.

    Parameters
    ----------
    bars : DataFrame
        :data:`aegis.lake.tables.MINUTE_BARS` of the sessions that passed every check.
    checks : DataFrame
        :data:`aegis.lake.tables.MINUTE_BAR_CHECKS`.
    blocked_sessions : tuple of date
        Sessions of which nothing is to be stored.
    """

    bars: pd.DataFrame
    checks: pd.DataFrame
    blocked_sessions: tuple[date, ...]


@dataclass(frozen=True)
class _Offenders:
    """Sessions of the offenders, and a sentence for each by its position."""

    sessions: NDArray[np.datetime64]
    sentence: Callable[[int], str]


def judge_minute_bars(
    delivered: pd.DataFrame,
    daily: pd.DataFrame,
    *,
    sessions: Sequence[date],
    calendar: TradingCalendar,
    settings: MinuteBarsSettings,
) -> JudgedMinutes:
    """Check the minute bars of some sessions.

    Parameters
    ----------
    delivered : DataFrame
        :data:`~aegis.market_data.sources.minute_source.DELIVERED_MINUTES` of `sessions`.
    daily : DataFrame
        :data:`aegis.lake.tables.DAILY_BARS`; other sessions than `sessions` are not looked at.
    sessions : sequence of date
        Ascending sessions of the calendar.

    Returns
    -------
    JudgedMinutes

    Notes
    -----
    Closed rather than patched: one offender blocks its session, since an intraday strategy that trades many symbols
    would see a market that never was. A session blocked by the quality gate has no daily bars, so it is blocked here.
    """
    rows = DELIVERED_MINUTES.adopt(delivered)
    own_sessions = daily["session"].isin(pd.DatetimeIndex(list(sessions)))
    asked = daily[daily["symbol"].isin(list(settings.symbols)) & own_sessions]
    sums = _added_up(rows)
    found = {
        "minutes_are_unique": _repeated(rows),
        "minutes_lie_in_trading_hours": _outside_hours(rows, sessions, calendar),
        "minute_prices_are_consistent": _inconsistent(rows),
        "traded_symbols_have_minutes": _without_minutes(sums, asked),
        "minutes_agree_with_the_daily_bar": _disagreeing(sums, asked, settings),
    }
    checks = pd.concat([_results(name, offenders, sessions) for name, offenders in found.items()], ignore_index=True)
    blocked = pd.unique(checks.loc[checks["outcome"] == "block", "session"])
    bars = rows if not len(blocked) else rows[~rows["session"].isin(blocked)]
    return JudgedMinutes(
        MINUTE_BARS.adopt(bars),
        MINUTE_BAR_CHECKS.conform(checks),
        tuple(sorted(pd.Timestamp(session).date() for session in blocked)),
    )


def _results(check: str, offenders: _Offenders, sessions: Sequence[date]) -> pd.DataFrame:
    days = np.array(sessions, dtype="datetime64[ns]")
    counts = np.bincount(np.searchsorted(days, offenders.sessions), minlength=len(days))
    details: list[str | None] = []
    for day, count in zip(days, counts, strict=True):
        own = np.flatnonzero(offenders.sessions == day)[:_SHOWN] if count else np.empty(0, dtype=np.intp)
        details.append("; ".join(offenders.sentence(int(position)) for position in own) or None)
    return pd.DataFrame(
        {
            "session": days,
            "check": check,
            "outcome": np.where(counts > 0, "block", "pass"),
            "observed": counts.astype(np.float64),
            "threshold": 0.0,
            "detail": details,
        }
    )


def _of_rows(rows: pd.DataFrame, wrong: NDArray[np.bool_], expected: str, columns: Sequence[str]) -> _Offenders:
    places = np.flatnonzero(wrong)

    def sentence(position: int) -> str:
        row = rows.iloc[places[position]]
        values = ", ".join(f"{name} {row[name]}" for name in columns)
        return f"{row['symbol']} {row['closes_at_utc']:%Y-%m-%d %H:%M:%S} UTC: {values}: {expected}"

    return _Offenders(rows["session"].to_numpy()[places], sentence)


def _repeated(rows: pd.DataFrame) -> _Offenders:
    ends = rows["closes_at_utc"].to_numpy("datetime64[ns]")
    symbols = rows["symbol"].to_numpy()
    repeated = np.zeros(len(rows), dtype=bool)
    repeated[1:] = (ends[1:] == ends[:-1]) & (symbols[1:] == symbols[:-1])
    return _of_rows(rows, repeated, "the minute is there twice; keep one of them", ["close_raw_usd"])


def _outside_hours(rows: pd.DataFrame, sessions: Sequence[date], calendar: TradingCalendar) -> _Offenders:
    opens = calendar.opens_utc(sessions).tz_localize(None).to_numpy("datetime64[ns]")
    closes = calendar.closes_utc(sessions).tz_localize(None).to_numpy("datetime64[ns]")
    place = np.searchsorted(np.array(sessions, dtype="datetime64[ns]"), rows["session"].to_numpy())
    ends = rows["closes_at_utc"].to_numpy("datetime64[ns]")
    wrong = (ends <= opens[place]) | (ends > closes[place]) | (ends.astype(np.int64) % _MINUTE_NS != 0)
    return _of_rows(
        rows,
        wrong,
        "not the end of a minute of the session's hours; correct the times or their zone, or leave such rows out with "
        "market_data.minute_bars.outside_hours",
        ["close_raw_usd"],
    )


def _inconsistent(rows: pd.DataFrame) -> _Offenders:
    opened, high, low, close = (rows[name].to_numpy() for name in _PRICES)
    volume = rows["volume_shares"].to_numpy()
    # A comparison with a missing value is false, so each condition says what must hold.
    right = (low > 0.0) & (low <= opened) & (low <= close) & (high >= opened) & (high >= close) & np.isfinite(high)
    return _of_rows(
        rows,
        ~(right & (volume > 0.0) & np.isfinite(volume)),
        "prices must be positive, low lowest, high highest and volume positive; correct the row or leave it out",
        [*_PRICES, "volume_shares"],
    )


def _added_up(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each session and symbol: first open, highest high, lowest low, last close, summed volume."""
    sessions, symbols = rows["session"].to_numpy(), rows["symbol"].to_numpy()
    changes = np.ones(len(rows), dtype=bool)
    changes[1:] = (sessions[1:] != sessions[:-1]) | (symbols[1:] != symbols[:-1])
    starts = np.flatnonzero(changes)
    ends = np.append(starts[1:], len(rows))[: len(starts)] - 1
    opened, high, low, close = (rows[name].to_numpy() for name in _PRICES)
    volume = rows["volume_shares"].to_numpy()
    return pd.DataFrame(
        {
            "session": sessions[starts],
            "symbol": symbols[starts],
            "open_raw_usd": opened[starts],
            "high_raw_usd": np.maximum.reduceat(high, starts) if len(starts) else high,
            "low_raw_usd": np.minimum.reduceat(low, starts) if len(starts) else low,
            "close_raw_usd": close[ends],
            "volume_shares": np.add.reduceat(volume, starts) if len(starts) else volume,
        }
    )


def _without_minutes(sums: pd.DataFrame, daily: pd.DataFrame) -> _Offenders:
    traded = daily.loc[daily["volume_shares"] > 0.0, ["session", "symbol", "volume_shares"]]
    both = traded.merge(sums[["session", "symbol"]], on=["session", "symbol"], how="left", indicator=True)
    lacking = both[both["_merge"] == "left_only"].reset_index(drop=True)

    def sentence(position: int) -> str:
        row = lacking.iloc[position]
        return (
            f"{row['symbol']} {row['session']:%Y-%m-%d}: no minute bar, and {row['volume_shares']:.0f} shares were "
            "traded; add them, or take the symbol out of market_data.minute_bars.symbols"
        )

    return _Offenders(lacking["session"].to_numpy("datetime64[ns]"), sentence)


def _disagreeing(sums: pd.DataFrame, daily: pd.DataFrame, settings: MinuteBarsSettings) -> _Offenders:
    both = sums.merge(
        daily[["session", "symbol", *_PRICES, "volume_shares"]],
        on=["session", "symbol"],
        how="left",
        suffixes=("", "_daily"),
    )
    agrees = np.ones(len(both), dtype=bool)
    for name in (*_PRICES, "volume_shares"):
        tolerance = settings.volume_tolerance if name == "volume_shares" else settings.price_tolerance
        ours, theirs = both[name].to_numpy(), both[f"{name}_daily"].to_numpy()
        agrees &= np.abs(ours - theirs) <= tolerance * np.abs(theirs)
    wrong = both[~agrees].reset_index(drop=True)

    def sentence(position: int) -> str:
        row = wrong.iloc[position]
        if pd.isna(row["close_raw_usd_daily"]):
            return f"{row['symbol']} {row['session']:%Y-%m-%d}: no daily bar passed the quality gate; mend that first"
        pairs = ", ".join(f"{name} {row[name]} and {row[f'{name}_daily']}" for name in (*_PRICES, "volume_shares"))
        return (
            f"{row['symbol']} {row['session']:%Y-%m-%d}: minutes and daily bar have {pairs}; correct the one that is "
            "wrong, or raise the tolerances of market_data.minute_bars"
        )

    return _Offenders(wrong["session"].to_numpy("datetime64[ns]"), sentence)
