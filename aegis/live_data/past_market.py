"""What past sessions of the lake tell of a symbol, for the planning of an order.

Belongs here: from stored bars to :class:`~aegis.execution.algorithms.planning.PastMarket`. What is made of it, and what
stands in where it is thin, is the planner's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.execution.algorithms.almgren_chriss import LinearImpact
from aegis.execution.algorithms.planning import PastMarket
from aegis.execution.algorithms.volume_curve import SessionVolume
from aegis.lake.lake import Lake
from aegis.lake.tables import CORPORATE_ACTIONS, DAILY_BARS, MINUTE_BARS
from aegis.market_data.adjustments import total_return_panel

CURVE_SESSIONS = 20
"""Past sessions whose minutes are read; `volume_curve_min_sessions` of them are enough for a curve."""
DAILY_SESSIONS = 21
"""Past sessions of the expected volume and the volatility: a month."""
_FEWEST_RETURNS = 10


def past_market(
    lake: Lake,
    symbol: str,
    session: date,
    *,
    calendar: TradingCalendar,
    spread_fraction: float | None = None,
    curve_sessions: int = CURVE_SESSIONS,
    daily_sessions: int = DAILY_SESSIONS,
) -> PastMarket:
    """Return what the sessions before one tell of a symbol.

    Parameters
    ----------
    lake : Lake
        Read only: ``market_data/minute_bars``, ``daily_bars`` and ``corporate_actions``.
    symbol : str
        Permanent symbol.
    session : date
        The session to be traded; neither it nor anything later is read.
    calendar : TradingCalendar
        Sessions and their hours.
    spread_fraction : float, optional
        Spread between bid and ask, of the price, to make the impact of; None: no impact, and Implementation Shortfall
        is traded evenly in time.
    curve_sessions, daily_sessions : int
        How many sessions before are read.

    Returns
    -------
    PastMarket
        Volumes by minute of the sessions that have minute bars; the median daily volume in the units of `session`
        (volumes before a split count times its ratio); impact by the rules of thumb of Almgren and Chriss (2000),
        section 3.4, with the standard deviation of daily total returns. What is not known is left out: fewer than ten
        returns make no volatility.

    Raises
    ------
    CalendarError
        `session` is none.
    LakeError
        The lake cannot be read.

    Notes
    -----
    *Known when*: before the opening of `session`: rows that were known later, such as a correction that came during it,
    are not read.
    """
    last = calendar.previous(calendar.require_session(session))
    volumes = _volumes(lake, symbol, session, calendar, curve_sessions)
    first = calendar.offset(last, -daily_sessions)
    opens = pd.Timestamp(calendar.open_utc(session))
    daily = lake.read(DAILY_BARS, first=first, last=last, symbols=[symbol])
    daily = daily[daily["known_at_utc"] <= opens].sort_values("session")
    # The ex-session's own split is in force at its opening, and is known by then.
    actions = lake.read(CORPORATE_ACTIONS, first=first, last=session, symbols=[symbol])
    actions = actions[actions["known_at_utc"] <= opens]
    daily_volume = _median_volume(daily.tail(daily_sessions), _splits(actions))
    full = max((len(day.shares_by_minute) for day in volumes), default=0) * 60.0
    return PastMarket(
        volumes=volumes,
        daily_volume_shares=daily_volume,
        impact=None
        if spread_fraction is None or daily_volume is None
        else _impact(daily, actions, symbol, calendar, daily_volume, spread_fraction, session),
        full_session_seconds=full or _longest_session_seconds(calendar, last),
    )


def last_closes(lake: Lake, symbols: Iterable[str], session: date, *, calendar: TradingCalendar) -> dict[str, float]:
    """Return the last raw closes of symbols before a session, USD; a symbol without a bar in ten sessions is left out.

    Parameters
    ----------
    lake : Lake
        Read only: ``market_data/daily_bars``.
    symbols : iterable of str
        Permanent symbols.
    session : date
        Neither it nor anything later is read.
    calendar : TradingCalendar
        Sessions and their hours.

    Raises
    ------
    LakeError
        The lake cannot be read.
    """
    last = calendar.previous(session)
    rows = lake.read(DAILY_BARS, first=calendar.offset(last, -9), last=last, symbols=sorted(symbols))
    rows = rows[rows["known_at_utc"] <= pd.Timestamp(calendar.open_utc(session))].sort_values("session")
    newest = rows.groupby("symbol")["close_raw_usd"].last()
    return {str(symbol): float(close) for symbol, close in newest.items()}


def _volumes(
    lake: Lake, symbol: str, session: date, calendar: TradingCalendar, sessions: int
) -> tuple[SessionVolume, ...]:
    last = calendar.previous(session)
    rows = lake.read(MINUTE_BARS, first=calendar.offset(last, 1 - sessions), last=last, symbols=[symbol])
    rows = rows[rows["known_at_utc"] <= pd.Timestamp(calendar.open_utc(session))]
    return tuple(
        SessionVolume.of_bars(
            calendar,
            pd.Timestamp(str(day)).date(),
            closes_at=np.asarray(bars["closes_at_utc"].astype("datetime64[ns, UTC]").astype("int64"), dtype=np.int64),
            shares=bars["volume_shares"].to_numpy(dtype=np.float64),
        )
        for day, bars in rows.groupby("session")
    )


def _splits(actions: pd.DataFrame) -> Mapping[pd.Timestamp, float]:
    splits = actions[actions["action"] == "split"]
    products = splits.groupby("session")["split_ratio"].prod()
    return dict(zip(pd.DatetimeIndex(products.index), products.tolist(), strict=True))


def _median_volume(daily: pd.DataFrame, splits: Mapping[pd.Timestamp, float]) -> float | None:
    """Return the median over sessions in which it traded, each volume times the splits that came after it."""
    later = [
        math.prod(ratio for day, ratio in splits.items() if day > pd.Timestamp(session)) for session in daily["session"]
    ]
    volumes = daily["volume_shares"].to_numpy(dtype=np.float64) * np.array(later, dtype=np.float64)
    traded = volumes[np.isfinite(volumes) & (volumes > 0.0)]
    return float(np.median(traded)) if len(traded) else None


def _impact(
    daily: pd.DataFrame,
    actions: pd.DataFrame,
    symbol: str,
    calendar: TradingCalendar,
    daily_volume: float,
    spread_fraction: float,
    session: date,
) -> LinearImpact | None:
    sessions = calendar.sessions(daily["session"].min().date(), calendar.previous(session))
    known = calendar.open_utc(session)
    returns = total_return_panel(daily, actions, [symbol], sessions, as_known_at=known).ravel()
    measured = returns[np.isfinite(returns)]
    if len(measured) < _FEWEST_RETURNS:
        return None
    today = math.prod(ratio for day, ratio in _splits(actions).items() if day == pd.Timestamp(session))
    price = float(daily["close_raw_usd"].iloc[-1]) / today
    return LinearImpact.of_market(
        price_usd=price,
        spread_usd=price * spread_fraction,
        daily_volatility=float(measured.std(ddof=1)),
        daily_volume_shares=daily_volume,
    )


def _longest_session_seconds(calendar: TradingCalendar, last: date) -> float:
    """Return the length of a full session: the longest of the last five."""
    days = [calendar.offset(last, -number) for number in range(5)]
    return max((calendar.close_utc(day) - calendar.open_utc(day)).total_seconds() for day in days)
