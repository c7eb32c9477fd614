"""The market-data source that asks Interactive Brokers for daily bars, through TWS or IB Gateway.

Belongs here: one delivery: which contract a symbol is, which ranges are asked for, and bars put back to as-traded. The
connection is :mod:`aegis.market_data.sources.interactive_brokers_gateway`.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config_vendors import InteractiveBrokersSettings
from aegis.errors import ConfigurationError, MalformedData, SourceRefused, SourceUnavailable
from aegis.instruments import require_symbol
from aegis.market_data.sources.call_policy import FailedAttempt, Vendor, VendorCalls
from aegis.market_data.sources.delivered import DeliveredSource
from aegis.market_data.sources.delivery import ParsedFiles
from aegis.market_data.sources.interactive_brokers_gateway import (
    IDENTICAL_SECONDS,
    GatewayConnection,
    GatewayError,
    failure_of,
    is_no_data,
)
from aegis.market_data.sources.split_adjusted import as_traded, stated_splits_and_dividends
from aegis.market_data.sources.vendor_rows import bars_frame, finite, shown

SOURCE_NAME = "interactive_brokers"
INTERACTIVE_BROKERS = Vendor("Interactive Brokers", "market_data.interactive_brokers")
YEARS_A_REQUEST = 8
"""About 2000 daily bars, which every subscription may have in one answer."""

_SETTINGS = "market_data.interactive_brokers"
_TICKER = re.compile(r"[A-Z][A-Z0-9]*(\.[A-Z])?")
_LONGEST_IN_DAYS = 365
"""A longer duration must be asked for in years."""
_FIELDS = (("open", "open_raw_usd"), ("high", "high_raw_usd"), ("low", "low_raw_usd"), ("close", "close_raw_usd"))


class InteractiveBrokersSource(DeliveredSource):
    """Daily bars of Interactive Brokers; splits and dividends from the user's file.

    Parameters
    ----------
    settings : InteractiveBrokersSettings
        Where the gateway is, symbols, first session, the actions file and how the gateway is asked.
    calendar : TradingCalendar
        Decision calendar.
    benchmark_symbol : str
        Asked for as well when it is not among the symbols.
    last_session : date
        Last session whose bars are final; later bars are not used.
    vendor_delay : timedelta
        Time from a session's close until its bars count as known.
    calls : VendorCalls, optional
        The policy; default one with the settings' numbers.

    Notes
    -----
    The bars are ``TRADES`` of regular hours, which Interactive Brokers documents as adjusted for splits and not for
    dividends; no type of its bars is as traded, and no message states a split. So the splits must be given, up to the
    gateway's own date: a split after `last_session` has to be taken out of the prices before it, and that is the only
    use made of later facts. Without the file nothing is asked. Volume is taken to be adjusted as prices are, which the
    documentation leaves open. Volume counts fewer kinds of trades than the tape's.

    A symbol is the company that has the ticker today, under which all of its history is stored. Instruments that trade
    no more are not known to Interactive Brokers. Sector and name are those of today.

    References
    ----------
    Interactive Brokers, "TWS API", Historical Bar whatToShow; Historical Data Limitations.
    """

    def __init__(
        self,
        settings: InteractiveBrokersSettings,
        calendar: TradingCalendar,
        *,
        benchmark_symbol: str,
        last_session: date,
        vendor_delay: timedelta,
        calls: VendorCalls | None = None,
    ) -> None:
        super().__init__(SOURCE_NAME, calendar, benchmark_symbol=benchmark_symbol, vendor_delay=vendor_delay)
        self._settings = settings
        self._last_session = last_session
        self._calls = calls or VendorCalls(INTERACTIVE_BROKERS, settings)

    def _ask(self) -> ParsedFiles:
        symbols = _requested(self._settings, self._benchmark_symbol)
        actions = stated_splits_and_dividends(self._settings.actions_file, symbols, setting=f"{_SETTINGS}.actions_file")
        with GatewayConnection(self._settings) as gateway:
            asking = _Asking(self._settings, self._calendar, self._last_session, self._calls, gateway)
            today, contracts = asking.today(), asking.contracts(symbols)
            bars = [row for symbol in symbols for row in asking.bars(symbol, contracts[symbol].contract)]
        _refuse_missing(symbols, bars, self._settings.first_session, self._last_session)
        traded, notes = as_traded(bars_frame(bars), actions, today=today)
        traded["volume_shares"] *= self._settings.volume_unit_shares
        return ParsedFiles(
            bars=traded,
            actions=actions[actions["session"] <= pd.Timestamp(self._last_session)].reset_index(drop=True),
            instruments={symbol: _facts(details) for symbol, details in contracts.items()},
            notes=(f"Interactive Brokers: {self._calls.counts}", *notes),
        )


class _Asking:
    """The requests of one delivery."""

    def __init__(
        self,
        settings: InteractiveBrokersSettings,
        calendar: TradingCalendar,
        last_session: date,
        calls: VendorCalls,
        gateway: GatewayConnection,
    ) -> None:
        self._settings = settings
        self._calendar = calendar
        self._last_session = last_session
        self._calls = calls
        self._gateway = gateway

    def today(self) -> date:
        """Return the gateway's date at the exchange: splits until then are in its prices."""

        def ask(timeout: float) -> Any:
            try:
                return self._gateway.answer(lambda ib, _: ib.reqCurrentTimeAsync(), timeout)
            except GatewayError as error:
                return failure_of(error)

        now = pd.Timestamp(self._calls.call(ask, what="the time"))
        return now.tz_convert(self._calendar.time_zone).date()

    def contracts(self, symbols: Sequence[str]) -> dict[str, Any]:
        """Return the details of the one stock that each symbol is; all are asked for at once."""

        async def one(ib: Any, library: Any, symbol: str) -> Any:
            primary = self._settings.primary_exchanges.get(symbol, "")
            stock = library.Stock(_gateway_symbol(symbol), "SMART", "USD", primaryExchange=primary)
            try:
                return await ib.reqContractDetailsAsync(stock)
            except library.wrapper.RequestError as error:
                return GatewayError(error.code, error.message)

        def requests(ib: Any, library: Any) -> Any:
            return asyncio.gather(*(one(ib, library, symbol) for symbol in symbols))

        def ask(timeout: float) -> list[Any] | FailedAttempt:
            try:
                answers = self._gateway.answer(requests, timeout)
            except GatewayError as error:
                return failure_of(error)
            return _first_failure(symbols, answers) or answers

        found = self._calls.call(ask, what=f"the contracts of {', '.join(symbols)}")
        return {symbol: _only(symbol, details) for symbol, details in zip(symbols, found, strict=True)}

    def bars(self, symbol: str, contract: Any) -> list[dict[str, Any]]:
        """Return a row for each bar, split-adjusted as stated; repeated ones are the gate's to name."""
        rows: list[dict[str, Any]] = []
        for first, last in self._ranges():
            page = self._page(symbol, contract, first, last)
            rows += [row for row in page if first <= row["session"] <= last]
            if not page:
                break
        return rows

    def _ranges(self) -> Iterator[tuple[date, date]]:
        """Yield the ranges to ask for, newest first, so that an empty one ends the history."""
        first, last = self._settings.first_session, self._last_session
        while first <= last:
            begin = max(first, last - timedelta(days=YEARS_A_REQUEST * 365 - 1))
            yield begin, last
            last = begin - timedelta(days=1)

    def _page(self, symbol: str, contract: Any, first: date, last: date) -> list[dict[str, Any]]:
        days = (last - first).days + 1
        duration = f"{days} D" if days <= _LONGEST_IN_DAYS else f"{math.ceil(days / 365)} Y"
        end = f"{last:%Y%m%d}-23:59:59"  # UTC

        def request(ib: Any, _: Any) -> Any:
            return ib.reqHistoricalDataAsync(
                contract, end, duration, "1 day", "TRADES", useRTH=True, formatDate=1, timeout=0
            )

        def ask(timeout: float) -> list[Any] | FailedAttempt:
            try:
                return list(self._gateway.answer(request, timeout))
            except GatewayError as error:
                return [] if is_no_data(error) else failure_of(error)
            except ConnectionRefusedError as error:
                return FailedAttempt(f"{type(error).__name__}: {error}")
            except OSError as error:  # it may have been received: the same request is refused within 15 s
                return FailedAttempt(f"{type(error).__name__}: {error}", IDENTICAL_SECONDS)

        found = self._calls.call(ask, what=f"daily bars of {symbol} from {first} to {last}")
        return [_row(symbol, bar) for bar in found]


def _requested(settings: InteractiveBrokersSettings, benchmark_symbol: str) -> list[str]:
    symbols = list(dict.fromkeys([*settings.symbols, benchmark_symbol]))
    for symbol in symbols:
        require_symbol(symbol)
        if _TICKER.fullmatch(symbol) is None:
            raise ConfigurationError(
                f"{_SETTINGS}.symbols: {symbol!r}: expected capitals and digits; a share class has a dot (BRK.B)"
            )
    return symbols


def _gateway_symbol(symbol: str) -> str:
    """Return a symbol as Interactive Brokers writes it: ``BRK.B`` is ``BRK B``."""
    return symbol.replace(".", " ")


def _first_failure(symbols: Sequence[str], answers: Sequence[Any]) -> FailedAttempt | None:
    """Return why contracts are missing: an unknown symbol before a reason that may pass."""
    errors = {
        symbol: answer for symbol, answer in zip(symbols, answers, strict=True) if isinstance(answer, GatewayError)
    }
    if not errors:
        return None
    failures = {symbol: failure_of(error) for symbol, error in errors.items()}
    first = next((failure for failure in failures.values() if failure.is_final), next(iter(failures.values())))
    named = [symbol for symbol, failure in failures.items() if failure.cause == first.cause]
    return FailedAttempt(
        f"{', '.join(named)}: {first.cause}",
        first.retry_after_seconds,
        is_final=first.is_final,
        remedy=first.remedy,
    )


def _only(symbol: str, answer: Sequence[Any]) -> Any:
    """Return the one stock among the details, or refuse to guess."""
    found = {details.contract.conId: details for details in answer}
    for details in found.values():
        got = (details.contract.symbol, details.contract.secType, details.contract.currency)
        if got != (_gateway_symbol(symbol), "STK", "USD"):
            raise MalformedData(
                f"{symbol}: Interactive Brokers answered with {shown(' '.join(got))}, expected a stock of that symbol "
                f"in USD; remove it from {_SETTINGS}.symbols or use another source"
            )
    if not found:
        raise SourceUnavailable(
            f"{symbol}: Interactive Brokers gave no contract and no error; run again, or remove it from "
            f"{_SETTINGS}.symbols"
        )
    if len(found) > 1:
        listed = sorted(str(details.contract.primaryExchange) for details in found.values())
        raise SourceRefused(
            f"{symbol}: stands for {len(found)} stocks, listed at {', '.join(listed)}; set "
            f"{_SETTINGS}.primary_exchanges: {{{symbol}: {listed[0]}}} or the other"
        )
    details = next(iter(found.values()))
    details.contract.exchange = "SMART"
    return details


def _facts(details: Any) -> Mapping[str, str]:
    facts = {"name": details.longName, "sector": details.industry}
    return {name: text for name, value in facts.items() if (text := str(value).strip()).isprintable() and text}


def _row(symbol: str, bar: Any) -> dict[str, Any]:
    if type(bar.date) is not date:
        raise MalformedData(
            f"{symbol}: a daily bar of Interactive Brokers is dated {shown(bar.date)}, expected a day; use another "
            "source until the gateway answers as documented"
        )
    what = f"Interactive Brokers {symbol} {bar.date}"
    row: dict[str, Any] = {"session": bar.date, "symbol": symbol, "ticker": symbol}
    for field, column in _FIELDS:
        row[column] = finite(getattr(bar, field), f"{what} {column}")
    row["volume_shares"] = finite(bar.volume, f"{what} volume_shares")
    return row


def _refuse_missing(symbols: Sequence[str], bars: Sequence[Mapping[str, Any]], first: date, last: date) -> None:
    missing = [symbol for symbol in symbols if symbol not in {row["symbol"] for row in bars}]
    if missing:
        raise SourceUnavailable(
            f"Interactive Brokers gave no bars for {len(missing)} of {len(symbols)} symbols ({', '.join(missing)}) "
            f"from {first} to {last}; correct {_SETTINGS}.symbols or first_session, or use another source"
        )
