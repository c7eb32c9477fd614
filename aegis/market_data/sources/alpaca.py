"""The market-data source that asks Alpaca's historical stock data through alpaca-py.

Belongs here: one delivery: which requests are made, and bars as Alpaca states them. What its corporate actions mean is
:mod:`aegis.market_data.sources.alpaca_actions`. alpaca-py is imported when it is first needed.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config_vendors import AlpacaSettings
from aegis.errors import ConfigurationError, MalformedData, SourceUnavailable
from aegis.instruments import require_symbol
from aegis.market_data.sources.alpaca_actions import (
    REQUESTED_TYPES,
    StatedActions,
    TickerHistory,
    earlier_and_later_tickers,
    read_actions,
)
from aegis.market_data.sources.call_policy import Vendor, VendorCalls
from aegis.market_data.sources.delivered import DeliveredSource
from aegis.market_data.sources.delivery import ParsedFiles
from aegis.market_data.sources.http_calls import GovernedSession
from aegis.market_data.sources.vendor_rows import bars_frame, finite, shown

SOURCE_NAME = "alpaca"

_SETTINGS = "market_data.alpaca"
_TICKER = re.compile(r"[A-Z][A-Z0-9.]*")
_SYMBOLS_A_REQUEST = 50
"""Keeps the address of a request far below the 8 kB that servers accept."""
_MOST_RENAMES = 8
_FIELDS = (("o", "open_raw_usd"), ("h", "high_raw_usd"), ("l", "low_raw_usd"), ("c", "close_raw_usd"))
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
"""What alpaca-py's own reading raises for JSON of another shape."""


class AlpacaSource(DeliveredSource):
    """Daily bars and corporate actions of Alpaca.

    Parameters
    ----------
    settings : AlpacaSettings
        Keys, symbols, feed, first session and how the vendor is called.
    calendar : TradingCalendar
        Decision calendar; its time zone is the one in which Alpaca's daily bars begin.
    benchmark_symbol : str
        Asked for as well when it is not among the symbols.
    last_session : date
        Last session whose bars are final; nothing later is asked for.
    vendor_delay : timedelta
        Time from a session's close until its bars count as known.
    calls : VendorCalls, optional
        The policy; default one with the settings' numbers.

    Notes
    -----
    Bars are asked for with ``adjustment=raw``, so they are as traded. alpaca-py sends no timeout and repeats requests
    on its own; its session is replaced by one under our policy, which is therefore the only one. A symbol stands for
    the company that traded under it on ``symbols_as_of``: earlier and later tickers are followed through the renames
    that Alpaca states. Known when: an action at the opening of its ex-session, as Alpaca does not say when it was
    announced.
    """

    def __init__(
        self,
        settings: AlpacaSettings,
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
        self._calls = calls or VendorCalls(alpaca_vendor(settings), settings)

    def _ask(self) -> ParsedFiles:
        symbols = _requested(self._settings, self._benchmark_symbol)
        key_id, secret_key = _keys(self._settings)
        asking = _Asking(self._settings, self._calendar, self._last_session, self._calls, keys=(key_id, secret_key))
        bars = asking.bars(symbols)
        stated, tickers = asking.actions(symbols)
        actions = read_actions(stated, tickers, self._calendar)
        if not bars:
            raise SourceUnavailable(
                f"Alpaca gave no bar on or before {self._last_session}; choose a later run.last_session, or an earlier "
                f"{_SETTINGS}.first_session"
            )
        frame = bars_frame(bars)
        frame["ticker"] = tickers.of_each(frame["symbol"], frame["session"])
        note = f"Alpaca's {self._settings.feed} feed: {self._calls.counts}"
        return ParsedFiles(
            bars=frame,
            actions=actions.actions,
            announced_ends=actions.announced_ends,
            notes=(note, *actions.notes),
        )


def alpaca_vendor(settings: AlpacaSettings) -> Vendor:
    """Return Alpaca as messages name it, with the keys that they never show."""
    secrets = tuple(secret for secret in (settings.key_id, settings.secret_key) if secret is not None)
    return Vendor("Alpaca", _SETTINGS, secrets)


class _Asking:
    """The requests of one delivery."""

    def __init__(
        self,
        settings: AlpacaSettings,
        calendar: TradingCalendar,
        last_session: date,
        calls: VendorCalls,
        *,
        keys: tuple[str, str],
    ) -> None:
        self._settings = settings
        self._calendar = calendar
        self._last_session = last_session
        self._calls = calls
        self._keys = keys

    def bars(self, symbols: Sequence[str]) -> list[dict[str, Any]]:
        """Return a row for each bar, in the order of the pages; repeated ones are the gate's to name."""
        _load_alpaca_py()
        from alpaca.data.enums import Adjustment, DataFeed  # noqa: PLC0415
        from alpaca.data.historical.stock import StockHistoricalDataClient  # noqa: PLC0415
        from alpaca.data.requests import StockBarsRequest  # noqa: PLC0415
        from alpaca.data.timeframe import TimeFrame, TimeFrameUnit  # noqa: PLC0415

        client, session = self._governed(StockHistoricalDataClient)
        start, end = self._instants()
        rows: list[dict[str, Any]] = []
        for some in _chunks(symbols):
            what = f"daily bars of {', '.join(some)} from {self._settings.first_session} to {self._last_session}"
            session.purpose = what
            request = StockBarsRequest(
                symbol_or_symbols=some,
                timeframe=TimeFrame(1, TimeFrameUnit.Day),
                start=start,
                end=end,
                adjustment=Adjustment.RAW,
                feed=DataFeed(self._settings.feed),
                asof=str(self._settings.symbols_as_of) if self._settings.symbols_as_of else None,
            )
            answer = _readable(what, partial(client.get_stock_bars, request))
            _refuse_others(some, answer)
            self._refuse_missing(some, answer)
            for symbol in some:
                rows += [_bar(symbol, bar, self._calendar) for bar in _listed(answer, symbol)]
        return [row for row in rows if row["session"] <= self._last_session]

    def actions(self, symbols: Sequence[str]) -> tuple[StatedActions, TickerHistory]:
        """Return what Alpaca states about the symbols and the tickers they had before and after.

        Notes
        -----
        Alpaca answers by the ticker of the day, so each rename that turns up is a ticker to ask about.
        """
        stated = StatedActions()
        asked: set[str] = set()
        to_ask = list(symbols)
        as_of = self._settings.symbols_as_of
        for _ in range(_MOST_RENAMES):
            for some in _chunks(to_ask):
                stated = stated.with_answer(self._actions_of(some))
            asked |= set(to_ask)
            history = earlier_and_later_tickers(symbols, stated.renames, as_of=as_of)
            to_ask = sorted(history.all_tickers - asked)
            if not to_ask:
                return stated, history
        raise MalformedData(
            f"Alpaca: renames lead from {', '.join(symbols[:5])} on to {', '.join(to_ask[:5])} without an end; remove "
            f"the symbol from {_SETTINGS}.symbols"
        )

    def _actions_of(self, tickers: Sequence[str]) -> Mapping[str, Any]:
        _load_alpaca_py()
        from alpaca.data.enums import CorporateActionsType  # noqa: PLC0415
        from alpaca.data.historical.corporate_actions import CorporateActionsClient  # noqa: PLC0415
        from alpaca.data.requests import CorporateActionsRequest  # noqa: PLC0415

        client, session = self._governed(CorporateActionsClient)
        first, last = self._settings.first_session, self._last_session
        what = f"corporate actions of {', '.join(tickers)} from {first} to {last}"
        session.purpose = what
        request = CorporateActionsRequest(
            symbols=list(tickers),
            types=[CorporateActionsType(kind) for kind in REQUESTED_TYPES],
            start=first,
            end=last,
            limit=None,  # alpaca-py's default of 1000 is the whole answer's, and cuts it off without a word
        )
        answer: Mapping[str, Any] = _readable(what, lambda: client.get_corporate_actions(request))
        return answer

    def _governed(self, client_type: Callable[..., Any]) -> tuple[Any, GovernedSession]:
        key_id, secret_key = self._keys
        client = client_type(api_key=key_id, secret_key=secret_key, raw_data=True, url_override=self._settings.url)
        client._session = GovernedSession(client._session, self._calls)
        return client, client._session

    def _instants(self) -> tuple[datetime, datetime]:
        """Return the interval to ask for: to the last close, as a free subscription refuses the last 15 minutes."""
        midnight = pd.Timestamp(self._settings.first_session).tz_localize(self._calendar.time_zone)
        return midnight.tz_convert("UTC").to_pydatetime(), self._calendar.close_utc(self._last_session)

    def _refuse_missing(self, asked: Sequence[str], answer: Mapping[str, Any]) -> None:
        missing = [symbol for symbol in asked if not answer.get(symbol)]
        if missing:
            raise SourceUnavailable(
                f"Alpaca gave no bars for {len(missing)} of {len(asked)} symbols ({', '.join(missing)}) from "
                f"{self._settings.first_session} to {self._last_session}; correct {_SETTINGS}.symbols, begin earlier, "
                f"or set {_SETTINGS}.symbols_as_of to a day on which they traded"
            )


def _load_alpaca_py() -> None:
    """Import alpaca-py, which warns of a part of websockets that its streams use and we do not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "websockets", DeprecationWarning)
        importlib.import_module("alpaca.data.historical.stock")


def _requested(settings: AlpacaSettings, benchmark_symbol: str) -> list[str]:
    symbols = list(dict.fromkeys([*settings.symbols, benchmark_symbol]))
    for symbol in symbols:
        require_symbol(symbol)
        if _TICKER.fullmatch(symbol) is None:
            raise ConfigurationError(
                f"{_SETTINGS}.symbols: {symbol!r}: expected capitals and digits; a share class has a dot (BRK.B)"
            )
    return symbols


def _keys(settings: AlpacaSettings) -> tuple[str, str]:
    if settings.key_id is None or settings.secret_key is None:
        raise ConfigurationError(
            f"{_SETTINGS}.key_id and secret_key are not set; set AEGIS_MARKET_DATA__ALPACA__KEY_ID and "
            "AEGIS_MARKET_DATA__ALPACA__SECRET_KEY in the environment"
        )
    return settings.key_id.get_secret_value(), settings.secret_key.get_secret_value()


def _readable(what: str, ask: Callable[[], Any]) -> Any:
    try:
        answer = ask()
    except _UNREADABLE as error:
        raise MalformedData(
            f"Alpaca: {what}: alpaca-py cannot read the answer ({type(error).__name__}); install the pinned alpaca-py, "
            "or use another source"
        ) from error
    if not isinstance(answer, Mapping):
        raise MalformedData(
            f"Alpaca: {what}: expected a mapping, found {type(answer).__name__}; use another source until Alpaca "
            "answers as documented"
        )
    return answer


def _refuse_others(asked: Sequence[str], answer: Mapping[str, Any]) -> None:
    """Refuse bars of a symbol that was not asked for: what else the answer mixes up cannot be known."""
    others = sorted(str(symbol) for symbol in answer if symbol not in asked)
    if others:
        raise MalformedData(
            f"Alpaca was asked for {', '.join(asked[:5])} and answered with {shown(others[0])} as well "
            f"({len(others)} that were not asked for); correct {_SETTINGS}.symbols to the names that Alpaca uses, or "
            "use another source"
        )


def _listed(answer: Mapping[str, Any], symbol: str) -> Sequence[Any]:
    rows = answer[symbol]
    if not isinstance(rows, list):
        raise MalformedData(
            f"{symbol}: Alpaca gave {type(rows).__name__} where a list of bars was expected; use another source until "
            "Alpaca answers as documented"
        )
    return rows


def _bar(symbol: str, bar: Any, calendar: TradingCalendar) -> dict[str, Any]:
    """Return one bar as a row; Alpaca stamps a daily bar with its session's midnight in New York."""
    if not isinstance(bar, Mapping):
        raise MalformedData(f"{symbol}: Alpaca gave {shown(bar)} where a bar was expected; use another source")
    try:
        stamp = pd.Timestamp(str(bar.get("t")))
        begins = stamp.tz_convert(calendar.time_zone)
    except (TypeError, ValueError) as error:
        raise MalformedData(
            f"{symbol}: Alpaca's bar has the time {shown(bar.get('t'))}, expected one such as 2024-01-02T05:00:00Z; "
            "use another source until Alpaca answers as documented"
        ) from error
    if begins.time() != time(0):
        raise MalformedData(
            f"{symbol}: Alpaca's daily bar begins at {begins}, expected midnight in {calendar.time_zone}; use "
            "another source until Alpaca answers as documented"
        )
    row: dict[str, Any] = {"session": begins.date(), "symbol": symbol, "ticker": symbol}
    for field, column in _FIELDS:
        row[column] = finite(bar.get(field), f"Alpaca {symbol} {begins.date()} {column}")
    row["volume_shares"] = finite(bar.get("v"), f"Alpaca {symbol} {begins.date()} volume_shares")
    return row


def _chunks(symbols: Sequence[str]) -> list[list[str]]:
    return [list(symbols[at : at + _SYMBOLS_A_REQUEST]) for at in range(0, len(symbols), _SYMBOLS_A_REQUEST)]
