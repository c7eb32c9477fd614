"""A session's minute bars before they are played: from the lake, from the simulated market, or drawn within daily bars.

Belongs here: where they come from. They are the rows that a backtest of the same session reads. When which of them is
known is :mod:`aegis.live_data.simulated`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.errors import SourceUnavailable
from aegis.lake.lake import Lake
from aegis.lake.tables import CORPORATE_ACTIONS, DAILY_BARS, MINUTE_BARS
from aegis.market_data.sources.minute_source import open_minute_source
from aegis.market_data.sources.registry import open_source
from aegis.market_data.sources.simulated_minutes import SimulatedMinutes
from aegis.market_data.sources.source import MarketDataSource

OpenLake = Callable[[], AbstractContextManager[Lake]]


@dataclass(frozen=True)
class PlayedSession:
    """What a simulated venue tells in one session.

    Parameters
    ----------
    symbols : frozenset of str
        Those of which the session is known.
    closes_before_usd : mapping of str to float
        Last close before the session, in the session's own units: divided by a split whose ex-date it is. Symbols
        without one are left out.
    minutes : DataFrame
        :data:`aegis.lake.tables.MINUTE_BARS`, any order. A known symbol without rows does not trade: it is halted.
    """

    symbols: frozenset[str]
    closes_before_usd: Mapping[str, float]
    minutes: pd.DataFrame


class SessionHistory(Protocol):
    """Gives sessions to be played."""

    def session(self, session: date, symbols: Sequence[str]) -> PlayedSession:
        """Return what is told of some permanent symbols in a session.

        Raises
        ------
        MarketDataError, LakeError
            Nothing is known of the session.
        """
        ...

    def actions(self, session: date) -> pd.DataFrame:
        """Return the corporate actions with their ex-date in a session: :data:`aegis.lake.tables.CORPORATE_ACTIONS`."""
        ...


class GeneratedSessions:
    """Sessions of the simulated market, today's included.

    Parameters
    ----------
    config : AegisConfig
        ``run.source`` is simulated; ``run.last_session`` does not end what is played.
    calendar : TradingCalendar
        Sessions and hours.

    Notes
    -----
    The generator makes the same session whatever comes later, so minutes that are played today are those that the lake
    and a backtest get after the close.
    """

    def __init__(self, config: AegisConfig, calendar: TradingCalendar) -> None:
        run = config.run.model_copy(update={"last_session": None})
        self._config = config.model_copy(update={"run": run})
        self._calendar = calendar
        self._opened: tuple[date, MarketDataSource] | None = None

    def session(self, session: date, symbols: Sequence[str]) -> PlayedSession:
        """Return a session as the market's generator makes it."""
        source = self._source_of(session)
        daily = source.bars(session, session)
        daily = daily[daily["symbol"].isin(list(symbols))]
        minutes = MINUTE_BARS.empty()
        if (daily["volume_shares"] > 0.0).any():
            minutes = open_minute_source(self._config, self._calendar, source).minute_bars([session], symbols)
        day_before = self._calendar.previous(session)
        before = source.bars(day_before, day_before) if day_before >= source.session_range()[0] else daily.iloc[:0]
        closes = _closes_before(before, source.corporate_actions(session, session), symbols)
        return PlayedSession(frozenset(daily["symbol"]), closes, minutes)

    def actions(self, session: date) -> pd.DataFrame:
        """Return the session's corporate actions as the market's generator makes them."""
        return self._source_of(session).corporate_actions(session, session)

    def _source_of(self, session: date) -> MarketDataSource:
        if self._opened is None or self._opened[0] != session:
            final = self._calendar.close_utc(session) + self._config.market_data.vendor_delay
            self._opened = session, open_source(self._config, self._calendar, FixedClock(final))
        return self._opened[1]


class StoredSessions:
    """Past sessions of the lake: its minute bars, and for symbols without them minutes within its daily bars.

    Parameters
    ----------
    open_lake : callable
        Opens the lake for one reading.
    config : AegisConfig
        ``market_data.simulated.seed`` draws the minutes that are not stored.
    calendar : TradingCalendar
        Sessions and hours.
    """

    def __init__(self, open_lake: OpenLake, config: AegisConfig, calendar: TradingCalendar) -> None:
        self._open_lake = open_lake
        self._config = config
        self._calendar = calendar

    def session(self, session: date, symbols: Sequence[str]) -> PlayedSession:
        """Return a session as it was stored.

        Raises
        ------
        SourceUnavailable
            The lake has neither minute bars nor daily bars of these symbols in this session.
        """
        day_before = self._calendar.previous(session)
        with self._open_lake() as lake:
            stored = lake.read(MINUTE_BARS, first=session, last=session, symbols=symbols)
            daily = lake.read(DAILY_BARS, first=session, last=session, symbols=symbols)
            before = lake.read(DAILY_BARS, first=day_before, last=day_before, symbols=symbols)
            actions = lake.read(CORPORATE_ACTIONS, first=session, last=session, symbols=symbols)
        if stored.empty and daily.empty:
            raise SourceUnavailable(
                f"{session}: the lake has no bar of {', '.join(symbols)}; materialize the session, or choose one that "
                "`aegis data read market_data/daily_bars` shows"
            )
        drawn = daily[~daily["symbol"].isin(stored["symbol"]) & (daily["volume_shares"] > 0.0)]
        parts = [stored]
        if not drawn.empty:
            source = SimulatedMinutes(
                _Read(drawn),
                self._calendar,
                seed=self._config.market_data.simulated.seed,
                vendor_delay=self._config.market_data.vendor_delay,
            )
            parts.append(source.minute_bars([session], sorted(drawn["symbol"])))
        minutes = pd.concat([part for part in parts if len(part)] or [stored], ignore_index=True)
        known = frozenset(daily["symbol"]) | frozenset(stored["symbol"])
        return PlayedSession(known, _closes_before(before, actions, symbols), minutes)

    def actions(self, session: date) -> pd.DataFrame:
        """Return the corporate actions that were stored with the session."""
        with self._open_lake() as lake:
            return lake.read(CORPORATE_ACTIONS, first=session, last=session)


class _Read:
    """Daily bars that were read already."""

    def __init__(self, bars: pd.DataFrame) -> None:
        self._bars = bars

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return the bars of these sessions."""
        return self._bars[self._bars["session"].between(pd.Timestamp(first), pd.Timestamp(last))]


def _closes_before(bars: pd.DataFrame, actions: pd.DataFrame, symbols: Sequence[str]) -> dict[str, float]:
    splits = actions[actions["action"] == "split"].groupby("symbol")["split_ratio"].prod()
    closes = bars[bars["symbol"].isin(list(symbols)) & bars["close_raw_usd"].notna()]
    return {
        str(symbol): float(close) / float(splits.get(symbol, 1.0))
        for symbol, close in zip(closes["symbol"], closes["close_raw_usd"], strict=True)
    }
