"""The market-data source that asks a crypto exchange without a key, through ccxt.

Belongs here: one delivery of daily bars, which are UTC days. ccxt is imported when it is first needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config_vendors import CryptoSettings
from aegis.errors import ConfigurationError, MalformedData, SourceRefused, SourceUnavailable
from aegis.instruments import require_symbol
from aegis.market_data.sources.call_policy import Vendor, VendorCalls
from aegis.market_data.sources.delivered import DeliveredSource
from aegis.market_data.sources.delivery import ParsedFiles
from aegis.market_data.sources.http_calls import GovernedSession
from aegis.market_data.sources.vendor_rows import bars_frame, finite, shown

SOURCE_NAME = "crypto"
DAYS_A_PAGE = 300
"""Daily candles that Coinbase Exchange gives at most for one request."""

_SETTINGS = "market_data.crypto"
_PAIR = re.compile(r"[A-Z0-9]{1,11}/USD")
_COLUMNS = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd", "volume_shares")
_DAY_MS = 86_400_000
_BENCHMARK = "eval.metrics.benchmark_symbol"


class CryptoSource(DeliveredSource):
    """Daily bars of a crypto exchange.

    Parameters
    ----------
    settings : CryptoSettings
        Exchange, pairs, first session and how it is called.
    calendar : TradingCalendar
        Decision calendar; one in which every UTC day is a session (``24/7``).
    benchmark_symbol : str
        Permanent symbol, ``BTC-USD``; asked for as well when its pair is not among the symbols.
    last_session : date
        Last day that is over; nothing later is asked for or used.
    vendor_delay : timedelta
        Time from a day's end until its bar counts as known.
    calls : VendorCalls, optional
        The policy; default one with the settings' numbers.

    Raises
    ------
    ConfigurationError
        The calendar has days without a session.

    Notes
    -----
    The pair ``BTC/USD`` has the permanent symbol and ticker ``BTC-USD``. ``volume_shares`` counts units of the base
    currency, coins with fractions, so that volume x price is US dollars as everywhere. There are no corporate actions.
    A day on which nothing traded has no candle, and the quality gate names it. ccxt's own rate limit is off.
    """

    def __init__(
        self,
        settings: CryptoSettings,
        calendar: TradingCalendar,
        *,
        benchmark_symbol: str,
        last_session: date,
        vendor_delay: timedelta,
        calls: VendorCalls | None = None,
    ) -> None:
        if not calendar.trades_every_day:
            raise ConfigurationError(
                f"market_data.calendar: {calendar.name!r} has days without a session, crypto exchanges have none; "
                "set market_data.calendar to '24/7' for run.source: crypto"
            )
        super().__init__(SOURCE_NAME, calendar, benchmark_symbol=benchmark_symbol, vendor_delay=vendor_delay)
        self._settings = settings
        self._last_session = last_session
        self._calls = calls or VendorCalls(crypto_vendor(settings), settings)

    def _ask(self) -> ParsedFiles:
        pairs = _requested(self._settings, self._benchmark_symbol)
        client, session = self._governed()
        self._require_pairs(client, session, pairs)
        bars: list[dict[str, Any]] = []
        empty: list[str] = []
        for pair in pairs:
            found = self._bars_of(client, session, pair)
            bars += found
            empty += [] if found else [pair]
        if empty:
            raise SourceUnavailable(
                f"{self._settings.exchange} gave no bars for {len(empty)} of {len(pairs)} pairs ({', '.join(empty)}) "
                f"from {self._settings.first_session} to {self._last_session}; correct {_SETTINGS}.symbols or use "
                "another source"
            )
        note = f"{self._settings.exchange}: {self._calls.counts}"
        return ParsedFiles(bars=bars_frame(bars), actions=pd.DataFrame(), notes=(note,))

    def _governed(self) -> tuple[Any, GovernedSession]:
        import ccxt  # type: ignore[import-untyped]  # noqa: PLC0415 - takes seconds to import and is needed by this source only

        client = getattr(ccxt, self._settings.exchange)({"enableRateLimit": False, "has": {"fetchCurrencies": False}})
        if self._settings.url is not None:
            client.urls["api"] = dict.fromkeys(client.urls["api"], self._settings.url)
        client.session = GovernedSession(client.session, self._calls)
        return client, client.session

    def _require_pairs(self, client: Any, session: GovernedSession, pairs: Sequence[str]) -> None:
        session.purpose = f"the markets of {self._settings.exchange}"
        known = self._readable(session.purpose, client.load_markets)
        unknown = [pair for pair in pairs if pair not in known]
        if unknown:
            raise SourceRefused(
                f"{self._settings.exchange} does not list {', '.join(unknown)}; correct {_SETTINGS}.symbols to pairs "
                "such as BTC/USD, quoted in USD"
            )

    def _bars_of(self, client: Any, session: GovernedSession, pair: str) -> list[dict[str, Any]]:
        """Return a row for each candle, page by page; repeated ones are the gate's to name."""
        rows: list[dict[str, Any]] = []
        first = self._settings.first_session
        while first <= self._last_session:
            last = min(first + timedelta(days=DAYS_A_PAGE - 1), self._last_session)
            session.purpose = f"daily bars of {pair} from {first} to {last}"
            page = self._readable(session.purpose, partial(_candles, client, pair, first, last))
            if not isinstance(page, list):
                raise MalformedData(f"{self._settings.exchange}: {session.purpose}: found {shown(page)}, no list")
            rows += [_row(pair, candle) for candle in page]
            first = last + timedelta(days=1)
        wanted = (self._settings.first_session, self._last_session)
        return [row for row in rows if wanted[0] <= row["session"] <= wanted[1]]

    def _readable(self, what: str, ask: Callable[[], Any]) -> Any:
        import ccxt  # noqa: PLC0415 - the same

        try:
            return ask()
        except (AttributeError, KeyError, TypeError, ValueError, IndexError, ccxt.BaseError) as error:
            raise MalformedData(
                f"{self._settings.exchange}: {what}: ccxt cannot read the answer ({type(error).__name__}: "
                f"{self._calls.vendor.without_secrets(str(error))}); install the pinned ccxt, or use another source"
            ) from error


def crypto_vendor(settings: CryptoSettings) -> Vendor:
    """Return the exchange as messages name it."""
    return Vendor(settings.exchange, _SETTINGS)


def permanent_symbol(pair: str) -> str:
    """Return the permanent symbol of a pair: ``BTC/USD`` is ``BTC-USD``."""
    return require_symbol(pair.replace("/", "-"))


def _requested(settings: CryptoSettings, benchmark_symbol: str) -> list[str]:
    benchmark = benchmark_symbol.replace("-", "/")
    for pair, setting in [*((pair, f"{_SETTINGS}.symbols") for pair in settings.symbols), (benchmark, _BENCHMARK)]:
        if _PAIR.fullmatch(pair) is None:
            raise ConfigurationError(
                f"{setting}: {ascii(pair)[:80]}: expected a pair quoted in USD, such as BTC/USD (as a benchmark "
                "BTC-USD); amounts in other currencies are refused"
            )
    return list(dict.fromkeys([*settings.symbols, benchmark]))


def _candles(client: Any, pair: str, first: date, last: date) -> Any:
    """Return ccxt's reading of one page.

    The range goes in the exchange's own parameters: given ccxt's ``since`` and ``limit``, it would leave out rows whose
    time it cannot read, and cut the newest one off when another is there twice.
    """
    return client.fetch_ohlcv(pair, "1d", params={"start": f"{first}T00:00:00Z", "end": f"{last}T00:00:00Z"})


def _row(pair: str, candle: Any) -> dict[str, Any]:
    if not isinstance(candle, list) or len(candle) != len(_COLUMNS) + 1:
        raise MalformedData(
            f"{pair}: expected time, four prices and a volume, found {shown(candle)}; use another source"
        )
    began = finite(candle[0], f"{pair}: time of a daily bar")
    if began % _DAY_MS:
        raise MalformedData(
            f"{pair}: a daily bar begins at {began:.0f} ms, expected midnight UTC; use another source until the "
            "exchange answers as documented"
        )
    session = datetime.fromtimestamp(began / 1000, tz=UTC).date()
    symbol = permanent_symbol(pair)
    values = {
        column: finite(value, f"{pair} {session} {column}") for column, value in zip(_COLUMNS, candle[1:], strict=True)
    }
    return {"session": session, "symbol": symbol, "ticker": symbol, **values}
