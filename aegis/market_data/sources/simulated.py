"""The embedded market as a source: generated prices, corporate actions and listings with known ground truth.

Belongs here: dates, tables and refusals. How the market is generated is the package ``simulated_market``; the model is
written out in ``docs/simulated_market.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config import SimulatedMarketSettings
from aegis.errors import CalendarError, ConfigurationError, SourceUnavailable
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, RAW_BARS
from aegis.market_data.instrument_facts import facts_of_listings, normalise_instruments
from aegis.market_data.sources.simulated_market.events import (
    DIVIDEND_PAID_AFTER_SESSIONS,
    LONGEST_NOTICE_SESSIONS,
    PlannedAction,
)
from aegis.market_data.sources.simulated_market.ground_truth import GroundTruth
from aegis.market_data.sources.simulated_market.instruments import (
    BENCHMARK_SECTOR,
    INDUSTRIES,
    INSTRUMENTS,
    TICK_USD,
    UNSHORTABLE,
    Instrument,
)
from aegis.market_data.sources.simulated_market.market import SimulatedMarket, generate_market
from aegis.market_data.sources.simulated_market.returns import BETAS

SOURCE_NAME = "simulated"
BENCHMARK_NAME = "Simulated Market Index (total return)"

_DATED_AHEAD_SESSIONS = LONGEST_NOTICE_SESSIONS + DIVIDEND_PAID_AFTER_SESSIONS[1]


class SimulatedSource:
    """A market that is generated from a seed, up to and including `last_session`.

    Parameters
    ----------
    settings : SimulatedMarketSettings
        Seed, first session and the benchmark's symbol.
    calendar : TradingCalendar
        Decision calendar.
    last_session : date
        Last session with bars.
    vendor_delay : timedelta
        Time from a session's close to its ``known_at_utc``.

    Raises
    ------
    CalendarError
        `last_session` or ``settings.first_session`` is not a session.
    ConfigurationError
        `last_session` lies before the first one, or the benchmark's symbol is a company's.

    Notes
    -----
    A later `last_session` changes no earlier row to the bit: bars and actions are only added, and a listing's
    ``last_session`` is filled in once it has passed. The market is generated at first use, in about half a second.
    """

    def __init__(
        self,
        settings: SimulatedMarketSettings,
        calendar: TradingCalendar,
        *,
        last_session: date,
        vendor_delay: timedelta,
    ) -> None:
        self._first = calendar.require_session(settings.first_session)
        self._last = calendar.require_session(last_session)
        if self._last < self._first:
            raise ConfigurationError(
                f"market_data.simulated.first_session: {self._first} is after {self._last}, the last session of the "
                "run; choose an earlier one"
            )
        if settings.benchmark_symbol in {name for i in INSTRUMENTS for name in _tickers(i)}:
            raise ConfigurationError(
                f"market_data.simulated.benchmark_symbol: {settings.benchmark_symbol} is a company of the simulated "
                "market; choose another symbol, such as SIMX"
            )
        self._settings = settings
        self._calendar = calendar
        self._vendor_delay = vendor_delay

    @property
    def name(self) -> str:
        """Name stored with each row."""
        return SOURCE_NAME

    @property
    def is_simulated(self) -> bool:
        """Always true."""
        return True

    @property
    def benchmark_symbol(self) -> str:
        """Permanent symbol of the benchmark."""
        return self._settings.benchmark_symbol

    def session_range(self) -> tuple[date, date]:
        """Return the first and last session with bars."""
        return self._first, self._last

    def listings(self) -> pd.DataFrame:
        """Return the listings as known at the last session's close: later ones are absent, open ones have no end."""
        rows = [row for instrument in INSTRUMENTS for row in self._intervals(instrument)]
        rows.append((self.benchmark_symbol, self.benchmark_symbol, 0, None, BENCHMARK_NAME, BENCHMARK_SECTOR, False))
        last = len(self._sessions) - 1
        frame = pd.DataFrame(
            [
                (
                    symbol,
                    ticker,
                    self._dates[first],
                    self._dates[end] if end is not None and end <= last else None,
                    *rest,
                )
                for symbol, ticker, first, end, *rest in rows
                if first <= last
            ],
            columns=[name for name in LISTINGS.column_names if name != "source"],
        )
        return LISTINGS.conform(frame.assign(source=SOURCE_NAME))

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return bars of the sessions in ``[first, last]``.

        Raises
        ------
        CalendarError
            `first` or `last` is not a session.
        SourceUnavailable
            The range is empty or reaches outside :meth:`session_range`.
        """
        self._calendar.require_session(first)
        self._calendar.require_session(last)
        if not self._first <= first <= last <= self._last:
            raise SourceUnavailable(
                f"simulated {first}..{last}: the market runs from {self._first} to {self._last}; choose sessions "
                "inside that range, first before last"
            )
        frame = self._all_bars
        lo, hi = np.searchsorted(
            frame["session"].to_numpy(), [_midnight(first), _midnight(last) + np.timedelta64(1, "D")]
        )
        return frame.iloc[lo:hi].reset_index(drop=True)

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        """Return actions with an ex-session in ``[first, last]`` that are announced by the last session.

        Notes
        -----
        Dates need be neither sessions nor inside the market: a delisting that is announced for the session after the
        last one is found by asking beyond it. None in the range is an answer, an empty frame.
        """
        frame = self._all_actions
        inside = (frame["session"] >= _midnight(first)) & (frame["session"] <= _midnight(last))
        return frame[inside].reset_index(drop=True)

    def coverage_notes(self) -> list[str]:
        """Return nothing: every instrument has a bar in each session of its listings."""
        return []

    def ground_truth(self) -> GroundTruth:
        """Return what was planted: for tests and research, never for a trading decision."""
        planted, end = self._market.planted, len(self._sessions)
        return GroundTruth(
            sessions=tuple(self._sessions),
            symbols=tuple(i.symbol for i in INSTRUMENTS),
            betas=BETAS.copy(),
            regime=planted.regime[:end],
            market_return=planted.market_return[:end],
            market_volatility=planted.market_volatility[:end],
            drift=planted.drift[:end],
            reversal=planted.reversal[:end],
        )

    @cached_property
    def _sessions(self) -> list[date]:
        return self._calendar.sessions(self._first, self._last)

    @cached_property
    def _dates(self) -> list[date]:
        """Sessions by number, on to the last one that an announced action can name."""
        try:
            end = self._calendar.offset(self._last, _DATED_AHEAD_SESSIONS)
        except CalendarError as error:
            raise SourceUnavailable(
                f"simulated: actions announced by {self._last} may name sessions up to {_DATED_AHEAD_SESSIONS} later, "
                f"which {self._calendar.name} does not know yet; choose an earlier run.last_session"
            ) from error
        return self._calendar.sessions(self._first, end)

    @cached_property
    def _market(self) -> SimulatedMarket:
        return generate_market(self._settings.seed, len(self._sessions))

    @cached_property
    def _all_bars(self) -> pd.DataFrame:
        market, end = self._market, len(self._sessions)
        symbols = [*(i.symbol for i in INSTRUMENTS), self.benchmark_symbol]
        by_symbol = sorted(range(len(symbols)), key=symbols.__getitem__)
        listed = market.listed[:end, by_symbol]
        tickers = self._ticker_table(symbols)[:, by_symbol]
        days = np.broadcast_to(np.array(self._sessions, dtype="datetime64[ns]")[:, None], listed.shape)
        known_at = self._calendar.closes_utc(self._sessions) + self._vendor_delay
        instants = np.broadcast_to(known_at.to_numpy()[:, None], listed.shape)
        bars = market.bars
        columns = {
            "session": days[listed],
            "symbol": np.broadcast_to(np.array(symbols, dtype=object)[by_symbol], listed.shape)[listed],
            "ticker": tickers[listed],
            "open_raw_usd": bars.open[:end, by_symbol][listed],
            "high_raw_usd": bars.high[:end, by_symbol][listed],
            "low_raw_usd": bars.low[:end, by_symbol][listed],
            "close_raw_usd": bars.close[:end, by_symbol][listed],
            "volume_shares": bars.volume[:end, by_symbol][listed],
            "source": SOURCE_NAME,
            "known_at_utc": pd.DatetimeIndex(instants[listed], tz="UTC"),
        }
        return RAW_BARS.conform(pd.DataFrame(columns))

    def instruments(self) -> pd.DataFrame:
        """Return sectors, industries, ticks and shortability, known from each listing's first opening on."""
        facts = facts_of_listings(self.listings())
        symbols = facts["symbol"]
        is_benchmark = symbols == self.benchmark_symbol
        shortability = pd.Series("yes", index=facts.index).where(~symbols.isin(UNSHORTABLE), "no")
        stated = facts.assign(
            industry=symbols.map(INDUSTRIES).where(~is_benchmark, BENCHMARK_SECTOR),
            tick_usd=TICK_USD,
            shortability=shortability,
        )
        return normalise_instruments(stated, self._calendar, source=SOURCE_NAME)

    def _ticker_table(self, symbols: list[str]) -> np.ndarray:
        table = np.empty((len(self._sessions), len(symbols)), dtype=object)
        table[:] = symbols
        for column, instrument in enumerate(INSTRUMENTS):
            if instrument.rename is not None:
                session, ticker = instrument.rename
                table[session:, column] = ticker
        return table

    @cached_property
    def _all_actions(self) -> pd.DataFrame:
        last = len(self._sessions) - 1
        announced = [action for action in self._market.actions if action.announced <= last]
        if not announced:
            return CORPORATE_ACTIONS.empty()
        closes = self._calendar.closes_utc([self._dates[action.announced] for action in announced])
        frame = pd.DataFrame([self._dated(action) for action in announced])
        return CORPORATE_ACTIONS.conform(frame.assign(source=SOURCE_NAME, known_at_utc=closes + self._vendor_delay))

    def _dated(self, action: PlannedAction) -> dict[str, object]:
        return {
            "session": self._dates[action.session],
            "symbol": action.symbol,
            "action": action.action,
            "split_ratio": action.split_ratio,
            "dividend_usd": action.dividend_usd,
            "pay_session": None if action.pay_session is None else self._dates[action.pay_session],
            "new_ticker": action.new_ticker,
        }

    def _intervals(self, instrument: Instrument) -> Iterator[tuple[str, str, int, int | None, str, str, bool]]:
        first, last = instrument.first_session, instrument.last_session
        common = (instrument.name, instrument.sector, True)
        if instrument.rename is not None:
            renamed, ticker = instrument.rename
            yield (instrument.symbol, instrument.symbol, first, renamed - 1, *common)
            yield (instrument.symbol, ticker, renamed, last, *common)
        else:
            yield (instrument.symbol, instrument.symbol, first, last, *common)


def _tickers(instrument: Instrument) -> tuple[str, ...]:
    return (instrument.symbol,) if instrument.rename is None else (instrument.symbol, instrument.rename[1])


def _midnight(day: date) -> np.datetime64:
    return np.datetime64(day, "ns")
