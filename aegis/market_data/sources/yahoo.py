"""The market-data source that asks Yahoo Finance through yfinance.

Belongs here: one download, turned back into prices as traded. yfinance is imported when it is first needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config_vendors import YahooSettings
from aegis.errors import ConfigurationError, MalformedData, SourceUnavailable
from aegis.instruments import require_symbol
from aegis.market_data.corporate_actions import shortest_decimal
from aegis.market_data.sources.delivered import DeliveredSource
from aegis.market_data.sources.delivery import ParsedFiles

SOURCE_NAME = "yahoo"

PRICE_RESOLUTION = 3e-7
"""Relative error of Yahoo's prices, which are single-precision numbers."""

Download = Callable[..., "pd.DataFrame | None"]
"""``(symbols, *, start, timeout)`` -> columns (symbol, field), as ``yfinance.download(group_by="ticker")`` gives."""

_FIELDS = ("Open", "High", "Low", "Close", "Volume", "Dividends", "Stock Splits")
_FIRST_PAUSE_SECONDS = 1.0


class YahooSource(DeliveredSource):
    """Daily bars and corporate actions of Yahoo Finance.

    Parameters
    ----------
    settings : YahooSettings
        Symbols, first session, timeout and number of attempts.
    calendar : TradingCalendar
        Decision calendar.
    benchmark_symbol : str
        Downloaded as well when it is not among the symbols.
    last_session : date
        Last session whose bars are final; later rows are not used.
    vendor_delay : timedelta
        Time from a session's close until its bars count as known.
    download : callable, optional
        What asks Yahoo; default yfinance.
    sleep : callable, optional
        Pause between attempts, seconds.

    Notes
    -----
    Yahoo's prices, volumes and dividends are adjusted for every split until today,
    so the download always runs until today, later than `last_session`: a split after `last_session` has to be taken out
    of the prices before it. That is the only use made of later rows.
    """

    def __init__(
        self,
        settings: YahooSettings,
        calendar: TradingCalendar,
        *,
        benchmark_symbol: str,
        last_session: date,
        vendor_delay: timedelta,
        download: Download | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(SOURCE_NAME, calendar, benchmark_symbol=benchmark_symbol, vendor_delay=vendor_delay)
        self._settings = settings
        self._last_session = last_session
        self._download = download or _download_from_yahoo
        self._sleep = sleep

    def _ask(self) -> ParsedFiles:
        frames = self._download_all(_requested(self._settings, self._benchmark_symbol))
        return _parse(frames, self._calendar, last_session=self._last_session)

    def _download_all(self, symbols: Sequence[str]) -> dict[str, pd.DataFrame]:
        """Return the frame of each symbol, asking again for those that are missing."""
        found: dict[str, pd.DataFrame] = {}
        cause: OSError | SourceUnavailable | None = None
        for attempt in range(self._settings.attempts):
            if attempt:
                self._sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            missing = [symbol for symbol in symbols if symbol not in found]
            try:
                answer = self._download(
                    missing, start=self._settings.first_session, timeout=self._settings.timeout_seconds
                )
            except (OSError, SourceUnavailable) as error:
                cause = error
                continue
            found |= _by_symbol(answer, missing)
            if len(found) == len(symbols):
                return found
        missing = [symbol for symbol in symbols if symbol not in found]
        raise SourceUnavailable(
            f"Yahoo gave no bars for {len(missing)} of {len(symbols)} symbols ({', '.join(missing)}) in "
            f"{self._settings.attempts} attempt(s){f': {cause}' if cause else ''}; check the network, correct "
            "market_data.yahoo.symbols, or use run.source: files"
        ) from cause


def _requested(settings: YahooSettings, benchmark_symbol: str) -> list[str]:
    symbols = list(dict.fromkeys([*settings.symbols, benchmark_symbol]))
    for symbol in symbols:
        require_symbol(symbol)
        if "." in symbol or symbol != symbol.upper():
            raise ConfigurationError(
                f"market_data.yahoo.symbols: {symbol!r}: expected capitals without an exchange suffix; a suffix such "
                "as '.L' means prices that are not in USD, and a share class is written with '-' (BRK-B)"
            )
    return symbols


def _download_from_yahoo(symbols: Sequence[str], *, start: date, timeout: float) -> pd.DataFrame | None:
    import yfinance  # noqa: PLC0415 - takes a second to import and is needed by this source only
    from yfinance.exceptions import YFException  # noqa: PLC0415

    try:
        frame: pd.DataFrame | None = yfinance.download(
            list(symbols),
            start=start.isoformat(),
            interval="1d",
            actions=True,
            auto_adjust=False,
            back_adjust=False,
            repair=False,
            ignore_tz=True,
            group_by="ticker",
            progress=False,
            timeout=timeout,
            multi_level_index=True,
        )
    except YFException as error:
        raise SourceUnavailable(f"Yahoo refused the request ({error}); wait and try again") from error
    return frame


def _by_symbol(answer: pd.DataFrame | None, symbols: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the rows with a close for each symbol that has any; yfinance answers a failure with an empty frame."""
    if answer is None or answer.empty:
        return {}
    if not isinstance(answer.columns, pd.MultiIndex):
        raise MalformedData(
            f"Yahoo's answer has the columns {list(answer.columns)[:8]} where (symbol, field) was expected; install "
            "the pinned yfinance"
        )
    found: dict[str, pd.DataFrame] = {}
    for symbol in symbols:
        if symbol not in answer.columns.get_level_values(0):
            continue
        frame = answer[symbol]
        lacking = [field for field in _FIELDS[:5] if field not in frame.columns]
        if lacking:
            raise MalformedData(f"{symbol}: Yahoo's answer has no {', '.join(lacking)}; install the pinned yfinance")
        rows = frame[frame["Close"].notna()]
        if not rows.empty:
            found[symbol] = rows
    return found


def _parse(frames: Mapping[str, pd.DataFrame], calendar: TradingCalendar, *, last_session: date) -> ParsedFiles:
    bars: list[pd.DataFrame] = []
    actions: list[pd.DataFrame] = []
    notes: list[str] = []
    for symbol, frame in frames.items():
        days = _days(pd.DatetimeIndex(frame.index), calendar)
        unadjusted = _unadjust(frame.assign(session=days, symbol=symbol))
        is_session = unadjusted["session"].map(lambda day: calendar.is_session(day.date()))
        if not is_session.all():
            notes.append(f"{symbol}: {int((~is_session).sum())} row(s) on days without a session left out")
        past = unadjusted["session"] <= pd.Timestamp(last_session)
        bars.append(unadjusted[past & is_session])
        actions += [_dividends(unadjusted[past]), _splits(unadjusted[past])]
    delivered = pd.concat(bars, ignore_index=True)
    if delivered.empty:
        raise SourceUnavailable(
            f"Yahoo gave no bar on or before {last_session}; choose a later run.last_session, or an earlier "
            "market_data.yahoo.first_session"
        )
    return ParsedFiles(bars=delivered, actions=pd.concat(actions, ignore_index=True), notes=tuple(notes))


def _days(index: pd.DatetimeIndex, calendar: TradingCalendar) -> pd.DatetimeIndex:
    if index.tz is not None:
        index = index.tz_convert(calendar.time_zone).tz_localize(None)
    return index.normalize().as_unit("ns")


def _unadjust(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one symbol's rows as traded: prices x the product of later split ratios, volume / the same.

    A dividend is put per share held before its ex-date: x the ratio of a split on that very day as well.
    """
    ordered = frame.sort_values("session", kind="stable", ignore_index=True)
    own = _events(ordered, "Stock Splits").replace(0.0, 1.0).to_numpy()
    from_here = np.cumprod(own[::-1])[::-1]
    later = np.append(from_here[1:], 1.0)
    result = ordered[["session", "symbol"]].assign(ticker=ordered["symbol"], split_ratio=own)
    for field in ("Open", "High", "Low", "Close"):
        traded = ordered[field].to_numpy(dtype=np.float64) * later
        result[f"{field.lower()}_raw_usd"] = shortest_decimal(traded, np.abs(traded) * PRICE_RESOLUTION)
    result["volume_shares"] = np.round(ordered["Volume"].to_numpy(dtype=np.float64) / later)
    cash = (_events(ordered, "Dividends") + _events(ordered, "Capital Gains")).to_numpy() * from_here
    result["dividend_usd"] = shortest_decimal(cash, np.abs(cash) * PRICE_RESOLUTION)
    return result


def _events(frame: pd.DataFrame, field: str) -> pd.Series:
    """Return a column of events with 0 where there is none; a symbol without such events may lack the column."""
    if field not in frame.columns:
        return pd.Series(0.0, index=frame.index)
    return frame[field].astype("float64").fillna(0.0)


def _dividends(rows: pd.DataFrame) -> pd.DataFrame:
    paid = rows.loc[rows["dividend_usd"] != 0, ["session", "symbol", "dividend_usd"]]
    return paid.assign(action="dividend", split_ratio=1.0)


def _splits(rows: pd.DataFrame) -> pd.DataFrame:
    split = rows.loc[rows["split_ratio"] != 1.0, ["session", "symbol", "split_ratio"]]
    return split.assign(action="split", dividend_usd=0.0)
