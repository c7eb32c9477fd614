"""Minute bars of the simulated market, which add up to its daily bars exactly.

Belongs here: how a session's bar is filled with minutes. The daily bars themselves are
:mod:`aegis.market_data.sources.simulated`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.calendars import TradingCalendar
from aegis.errors import SourceUnavailable
from aegis.market_data.sources.minute_source import DELIVERED_MINUTES
from aegis.market_data.sources.simulated_market.streams import Floats, stream

SOURCE_NAME = "simulated"
OPENING_AND_CLOSING_ACTIVITY = 2.0
"""How much more variance and volume the session's first and last minute have than its middle, less one."""

_MINUTE = np.timedelta64(60_000_000_000, "ns")


class DailyBars(Protocol):
    """What minutes are drawn within: any source of daily bars, or bars that were read already."""

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return the daily bars of the sessions in ``[first, last]``: session, symbol, raw prices and volume."""
        ...


class SimulatedMinutes:
    """Minutes within the bars of a source of daily bars.

    Parameters
    ----------
    daily : DailyBars
        Prices in whole cents, volumes in whole shares.
    calendar : TradingCalendar
        Says which minutes a session has; half days have fewer.
    seed : int
        ``market_data.simulated.seed``.
    vendor_delay : timedelta
        Time from the end of a minute until it is known.

    Notes
    -----
    First open, highest high, lowest low, last close and summed volume of a session's minutes are those of its daily bar
    to the bit. Between them the log price is a Brownian bridge on U-shaped business time, scaled to the day's range and
    cut at it. A symbol's session depends on the seed, its daily bar and its date, and on no other session. A halted
    session has no minutes; one of fewer shares than minutes has as many as shares.

    References
    ----------
    Wood, McInish and Ord (1985): U-shaped intraday variance and volume.
    """

    def __init__(self, daily: DailyBars, calendar: TradingCalendar, *, seed: int, vendor_delay: timedelta) -> None:
        self._daily = daily
        self._calendar = calendar
        self._seed = seed
        self._vendor_delay = vendor_delay

    def minute_bars(self, sessions: Sequence[date], symbols: Sequence[str]) -> pd.DataFrame:
        """Return the minute bars of `sessions`.

        Raises
        ------
        SourceUnavailable
            None of the symbols traded in these sessions.
        """
        daily = self._daily.bars(sessions[0], sessions[-1])
        daily = daily[daily["symbol"].isin(list(symbols)) & (daily["volume_shares"] > 0.0)]
        if daily.empty:
            raise SourceUnavailable(
                f"{SOURCE_NAME} {sessions[0]}..{sessions[-1]}: none of {', '.join(symbols)} traded; correct "
                "market_data.minute_bars.symbols"
            )
        opens = self._calendar.opens_utc(sessions).tz_localize(None).to_numpy("datetime64[ns]")
        hours = self._calendar.closes_utc(sessions) - self._calendar.opens_utc(sessions)
        lengths = (hours // pd.Timedelta(minutes=1)).tolist()
        places = pd.DatetimeIndex(list(sessions)).get_indexer(pd.DatetimeIndex(daily["session"])).tolist()
        numbers = daily[["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd", "volume_shares"]].to_numpy()
        parts, ends = [], []
        for symbol, place, bar in zip(daily["symbol"], places, numbers, strict=True):
            random = stream(self._seed, symbol, "minutes", sessions[place].toordinal())
            values, minutes = _drawn(random, bar, lengths[place])
            parts.append(values)
            ends.append(opens[place] + (minutes + 1) * _MINUTE)
        counts = [len(end) for end in ends]
        closes_at = pd.DatetimeIndex(np.concatenate(ends)).tz_localize("UTC")
        values = np.concatenate(parts, axis=1)
        names = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd", "volume_shares")
        columns = {
            "session": np.repeat(daily["session"].to_numpy(), counts),
            "symbol": np.repeat(daily["symbol"].to_numpy(dtype=object), counts),
            "closes_at_utc": closes_at,
            **dict(zip(names, values, strict=True)),
            "source": np.full(len(closes_at), SOURCE_NAME, dtype=object),
            "known_at_utc": closes_at + self._vendor_delay,
        }
        return DELIVERED_MINUTES.adopt(pd.DataFrame(columns, copy=False))


def _drawn(random: np.random.Generator, bar: Floats, length: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return open, high, low, close and volume of each minute that trades, shape (5, n), and their numbers."""
    shares = int(bar[4])
    count = min(length, shares)
    middle = (np.arange(count) + 0.5) / count
    activity = 1.0 + OPENING_AND_CLOSING_ACTIVITY * (2.0 * middle - 1.0) ** 2
    activity /= activity.sum()
    volume = 1.0 + random.multinomial(shares - count, activity)
    return np.vstack([_prices(random, bar, activity), volume]), np.arange(count) * length // count


def _prices(random: np.random.Generator, bar: Floats, activity: Floats) -> Floats:
    start, highest, lowest, end = bar[:4]
    elapsed = np.concatenate(([0.0], np.cumsum(activity)))
    walk = np.concatenate(([0.0], np.cumsum(random.standard_normal(len(activity)) * np.sqrt(activity))))
    bridge = walk - elapsed * walk[-1]
    width = max(float(np.ptp(bridge)), np.finfo(np.float64).tiny)
    path = np.log(start) + elapsed * np.log(end / start) + bridge * (np.log(highest / lowest) / width)
    points = np.clip(np.round(np.exp(path), 2), lowest, highest)
    points[0], points[-1] = start, end
    opened, closed = points[:-1], points[1:]
    highs, lows = np.maximum(opened, closed), np.minimum(opened, closed)
    highs[max(int(points.argmax()) - 1, 0)] = highest
    lows[max(int(points.argmin()) - 1, 0)] = lowest
    return np.vstack([opened, highs, lows, closed])
