"""The market-data source that asks Yahoo Finance through yfinance.

Belongs here: one download, turned back into prices as traded. Asking is
:mod:`aegis.market_data.sources.yahoo_download`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config_vendors import YahooSettings
from aegis.errors import ConfigurationError, MalformedData, SourceUnavailable
from aegis.instruments import require_symbol
from aegis.market_data.corporate_actions import shortest_decimal
from aegis.market_data.sources.call_policy import FailedAttempt, Vendor, VendorCalls
from aegis.market_data.sources.delivered import DeliveredSource
from aegis.market_data.sources.delivery import ParsedFiles
from aegis.market_data.sources.yahoo_download import Download, YahooDownload

SOURCE_NAME = "yahoo"
YAHOO = Vendor("Yahoo", "market_data.yahoo")

PRICE_RESOLUTION = 3e-7
"""Relative error of Yahoo's prices, which are single-precision numbers."""

_FIELDS = ("Open", "High", "Low", "Close", "Volume")
_EVENTS = ("Dividends", "Stock Splits", "Capital Gains")


class YahooSource(DeliveredSource):
    """Daily bars and corporate actions of Yahoo Finance.

    Parameters
    ----------
    settings : YahooSettings
        Symbols, first session and how the vendor is called.
    calendar : TradingCalendar
        Decision calendar.
    benchmark_symbol : str
        Downloaded as well when it is not among the symbols.
    last_session : date
        Last session whose bars are final; later rows are not used.
    vendor_delay : timedelta
        Time from a session's close until its bars count as known.
    download : Download, optional
        What asks Yahoo; default yfinance.
    calls : VendorCalls, optional
        The policy; default one with the settings' numbers. One attempt is the download of all symbols still missing.

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
        calls: VendorCalls | None = None,
    ) -> None:
        super().__init__(SOURCE_NAME, calendar, benchmark_symbol=benchmark_symbol, vendor_delay=vendor_delay)
        self._settings = settings
        self._last_session = last_session
        self._calls = calls or VendorCalls(YAHOO, settings)
        self._download = download or YahooDownload(self._calls)

    def _ask(self) -> ParsedFiles:
        frames = self._download_all(_requested(self._settings, self._benchmark_symbol))
        parsed = _parse(frames, self._calendar, last_session=self._last_session)
        return replace(parsed, notes=(f"Yahoo: {self._calls.counts}", *parsed.notes))

    def _download_all(self, symbols: Sequence[str]) -> dict[str, pd.DataFrame]:
        """Return the frame of each symbol, asking again for those that are missing."""
        found: dict[str, pd.DataFrame] = {}

        def ask(timeout: float) -> dict[str, pd.DataFrame] | FailedAttempt:
            missing = [symbol for symbol in symbols if symbol not in found]
            downloaded = self._download(missing, start=self._settings.first_session, timeout=timeout)
            found.update(_by_symbol(downloaded.frame, missing))
            missing = [symbol for symbol in missing if symbol not in found]
            return _failure(missing, len(symbols), downloaded.failures) if missing else found

        return self._calls.call(ask, what=f"daily bars from {self._settings.first_session} until today")


def _failure(missing: Sequence[str], asked: int, failures: Mapping[str, FailedAttempt]) -> FailedAttempt:
    """Return why symbols are missing: a final reason before one that may pass."""
    known = [failures.get(symbol, FailedAttempt("an empty answer")) for symbol in missing]
    reason = next((failure for failure in known if failure.is_final), known[0])
    named = [symbol for symbol, failure in zip(missing, known, strict=True) if failure.is_final or not reason.is_final]
    waits = [failure.retry_after_seconds for failure in known if failure.retry_after_seconds is not None]
    return FailedAttempt(
        f"no bars for {len(named)} of {asked} symbols ({', '.join(named)}): {reason.cause}",
        max(waits, default=None),
        is_final=reason.is_final,
        remedy=reason.remedy or "check the network, correct market_data.yahoo.symbols, or use run.source: files",
    )


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


def _by_symbol(answer: pd.DataFrame | None, symbols: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the rows with a close or an event for each symbol that has any close.

    yfinance answers a failure with an empty frame. An event whose day has no price, as before the first trade of a
    split's day, stands in a row without one: all earlier prices are adjusted for it.
    """
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
        frame = pd.DataFrame(answer[symbol])
        lacking = [field for field in _FIELDS if field not in frame.columns]
        if lacking:
            raise MalformedData(f"{symbol}: Yahoo's answer has no {', '.join(lacking)}; install the pinned yfinance")
        has_close = frame["Close"].notna()
        if has_close.any():
            events = pd.concat([_events(frame, field) for field in _EVENTS], axis=1)
            found[symbol] = frame[has_close | events.ne(0.0).any(axis=1)]
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
        bars.append(unadjusted[past & is_session & unadjusted["close_raw_usd"].notna()])
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
