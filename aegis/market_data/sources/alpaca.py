"""The market-data source that asks Alpaca's historical stock data through alpaca-py.

Belongs here: one delivery: which requests are made, and bars as Alpaca states them. What its corporate actions mean is
:mod:`aegis.market_data.sources.alpaca_actions`; its minute bars are :mod:`aegis.market_data.sources.alpaca_minutes`;
the client and what every answer must be is :mod:`aegis.market_data.sources.alpaca_client`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config_vendors import AlpacaSettings
from aegis.errors import MalformedData, SourceUnavailable
from aegis.market_data.sources.alpaca_actions import (
    REQUESTED_TYPES,
    StatedActions,
    TickerHistory,
    earlier_and_later_tickers,
    read_actions,
    without_later_changes,
)
from aegis.market_data.sources.alpaca_client import (
    SETTINGS,
    alpaca_vendor,
    checked_tickers,
    governed_client,
    listed,
    load_alpaca_py,
    readable,
    refuse_others,
    symbol_chunks,
)
from aegis.market_data.sources.call_policy import VendorCalls
from aegis.market_data.sources.delivered import DeliveredSource
from aegis.market_data.sources.delivery import ParsedFiles
from aegis.market_data.sources.vendor_rows import bars_frame, finite, shown

SOURCE_NAME = "alpaca"

_MOST_RENAMES = 8
_FIELDS = (("o", "open_raw_usd"), ("h", "high_raw_usd"), ("l", "low_raw_usd"), ("c", "close_raw_usd"))


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
        symbols = checked_tickers([*self._settings.symbols, self._benchmark_symbol], f"{SETTINGS}.symbols")
        asking = _Asking(self._settings, self._calendar, self._last_session, self._calls)
        bars = asking.bars(symbols)
        stated, tickers = asking.actions(symbols)
        actions = read_actions(stated, tickers, self._calendar)
        if not bars:
            raise SourceUnavailable(
                f"Alpaca gave no bar on or before {self._last_session}; choose a later run.last_session, or an earlier "
                f"{SETTINGS}.first_session"
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


class _Asking:
    """The requests of one delivery."""

    def __init__(
        self,
        settings: AlpacaSettings,
        calendar: TradingCalendar,
        last_session: date,
        calls: VendorCalls,
    ) -> None:
        self._settings = settings
        self._calendar = calendar
        self._last_session = last_session
        self._calls = calls

    def bars(self, symbols: Sequence[str]) -> list[dict[str, Any]]:
        """Return a row for each bar, in the order of the pages; repeated ones are the gate's to name."""
        load_alpaca_py()
        from alpaca.data.enums import Adjustment, DataFeed  # noqa: PLC0415
        from alpaca.data.historical.stock import StockHistoricalDataClient  # noqa: PLC0415
        from alpaca.data.requests import StockBarsRequest  # noqa: PLC0415
        from alpaca.data.timeframe import TimeFrame, TimeFrameUnit  # noqa: PLC0415

        client, session = governed_client(StockHistoricalDataClient, self._settings, self._calls)
        start, end = self._instants()
        rows: list[dict[str, Any]] = []
        for some in symbol_chunks(symbols):
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
            answer = readable(what, partial(client.get_stock_bars, request))
            refuse_others(some, answer)
            self._refuse_missing(some, answer)
            for symbol in some:
                rows += [_bar(symbol, bar, self._calendar) for bar in listed(answer, symbol)]
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
            for some in symbol_chunks(to_ask):
                stated = stated.with_answer(self._actions_of(some))
            asked |= set(to_ask)
            history = earlier_and_later_tickers(symbols, stated.renames, as_of=as_of)
            to_ask = sorted(history.all_tickers - asked)
            if not to_ask:
                return stated, history
        raise MalformedData(
            f"Alpaca: renames lead from {', '.join(symbols[:5])} on to {', '.join(to_ask[:5])} without an end; remove "
            f"the symbol from {SETTINGS}.symbols"
        )

    def _actions_of(self, tickers: Sequence[str]) -> Mapping[str, Any]:
        load_alpaca_py()
        from alpaca.data.enums import CorporateActionsType  # noqa: PLC0415
        from alpaca.data.historical.corporate_actions import CorporateActionsClient  # noqa: PLC0415
        from alpaca.data.requests import CorporateActionsRequest  # noqa: PLC0415

        client, session = governed_client(CorporateActionsClient, self._settings, self._calls)
        # Splits and dividends of the session that opens next are announced: who trades at its opening needs them.
        first, last = self._settings.first_session, self._calendar.next(self._last_session)
        what = f"corporate actions of {', '.join(tickers)} from {first} to {last}"
        session.purpose = what
        request = CorporateActionsRequest(
            symbols=list(tickers),
            types=[CorporateActionsType(kind) for kind in REQUESTED_TYPES],
            start=first,
            end=last,
            limit=None,  # alpaca-py's default of 1000 is the whole answer's, and cuts it off without a word
        )
        answer: Mapping[str, Any] = readable(what, lambda: client.get_corporate_actions(request))
        return without_later_changes(answer, self._last_session)

    def _instants(self) -> tuple[datetime, datetime]:
        """Return the interval to ask for: to the last close, as a free subscription refuses the last 15 minutes."""
        midnight = pd.Timestamp(self._settings.first_session).tz_localize(self._calendar.time_zone)
        return midnight.tz_convert("UTC").to_pydatetime(), self._calendar.close_utc(self._last_session)

    def _refuse_missing(self, asked: Sequence[str], answer: Mapping[str, Any]) -> None:
        missing = [symbol for symbol in asked if not answer.get(symbol)]
        if missing:
            raise SourceUnavailable(
                f"Alpaca gave no bars for {len(missing)} of {len(asked)} symbols ({', '.join(missing)}) from "
                f"{self._settings.first_session} to {self._last_session}; correct {SETTINGS}.symbols, begin earlier, "
                f"or set {SETTINGS}.symbols_as_of to a day on which they traded"
            )


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
