"""Minute bars of Alpaca's historical stock data through alpaca-py.

Belongs here: which minutes are asked for, and reading them. Client and refusals are
:mod:`aegis.market_data.sources.alpaca_client`; whether the rows can be is said by
:mod:`aegis.market_data.minute_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config_vendors import AlpacaSettings
from aegis.errors import MalformedData, SourceUnavailable
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
from aegis.market_data.sources.minute_source import DELIVERED_MINUTES
from aegis.market_data.sources.vendor_rows import finite, shown

SOURCE_NAME = "alpaca"

_MINUTE = pd.Timedelta(minutes=1)
_FIELDS = (
    ("o", "open_raw_usd"),
    ("h", "high_raw_usd"),
    ("l", "low_raw_usd"),
    ("c", "close_raw_usd"),
    ("v", "volume_shares"),
)


class AlpacaMinutes:
    """Minute bars of regular trading hours.

    Parameters
    ----------
    settings : AlpacaSettings
        Keys, feed, ``symbols_as_of`` and how the vendor is called.
    calendar : TradingCalendar
        Says when a session opens and closes; half days close early.
    vendor_delay : timedelta
        Time from the end of a minute until it is known.
    calls : VendorCalls, optional
        The policy; default one with the settings' numbers.

    Notes
    -----
    Bars are asked for with ``adjustment=raw``, session by session from its opening to its last minute, so that nothing
    of the hours before and after is sent. Alpaca names a minute by its opening; here it is named by its end. A symbol
    stands for the company that traded under it on ``symbols_as_of``, as for daily bars: Alpaca follows its renames.
    """

    def __init__(
        self,
        settings: AlpacaSettings,
        calendar: TradingCalendar,
        *,
        vendor_delay: timedelta,
        calls: VendorCalls | None = None,
    ) -> None:
        self._settings = settings
        self._calendar = calendar
        self._vendor_delay = vendor_delay
        self._calls = calls or VendorCalls(alpaca_vendor(settings), settings)

    def minute_bars(self, sessions: Sequence[date], symbols: Sequence[str]) -> pd.DataFrame:
        """Return the minute bars of `sessions`.

        Raises
        ------
        ConfigurationError
            A symbol is none of Alpaca's tickers, or the keys are not set. Nothing has been sent.
        SourceUnavailable
            Alpaca does not answer, or has no minute of these sessions and symbols.
        SourceRefused
            Alpaca refuses the request.
        MalformedData
            The answer is of another shape, of other symbols, or of minutes that were not asked for.

        Notes
        -----
        A symbol or a session without a minute is left to the checks, which know whether it traded.
        """
        asked = checked_tickers(symbols, "market_data.minute_bars.symbols")
        load_alpaca_py()
        from alpaca.data.historical.stock import StockHistoricalDataClient  # noqa: PLC0415

        client, http = governed_client(StockHistoricalDataClient, self._settings, self._calls)
        rows: list[dict[str, Any]] = []
        for session in sessions:
            for some in symbol_chunks(asked):
                http.purpose = what = f"minute bars of {', '.join(some)} on {session}"
                rows += self._asked(client, what, session, some)
        if not rows:
            raise SourceUnavailable(
                f"Alpaca gave no minute bar of {', '.join(asked)} in {sessions[0]}..{sessions[-1]} "
                f"({self._settings.feed} feed); choose other sessions, or set {SETTINGS}.symbols_as_of to a day on "
                "which they traded"
            )
        frame = pd.DataFrame(rows)
        known_at = frame["closes_at_utc"] + self._vendor_delay
        return DELIVERED_MINUTES.adopt(frame.assign(source=SOURCE_NAME, known_at_utc=known_at))

    def _asked(self, client: Any, what: str, session: date, symbols: Sequence[str]) -> list[dict[str, Any]]:
        from alpaca.data.enums import Adjustment, DataFeed  # noqa: PLC0415
        from alpaca.data.requests import StockBarsRequest  # noqa: PLC0415
        from alpaca.data.timeframe import TimeFrame, TimeFrameUnit  # noqa: PLC0415

        opens_at = pd.Timestamp(self._calendar.open_utc(session))
        last_opens_at = pd.Timestamp(self._calendar.close_utc(session)) - _MINUTE
        request = StockBarsRequest(
            symbol_or_symbols=list(symbols),
            timeframe=TimeFrame(1, TimeFrameUnit.Minute),
            start=opens_at.to_pydatetime(),
            end=last_opens_at.to_pydatetime(),
            adjustment=Adjustment.RAW,
            feed=DataFeed(self._settings.feed),
            asof=str(self._settings.symbols_as_of) if self._settings.symbols_as_of else None,
        )
        answer = readable(what, partial(client.get_stock_bars, request))
        refuse_others(symbols, answer)
        found = [
            _minute(symbol, session, bar) for symbol in symbols if symbol in answer for bar in listed(answer, symbol)
        ]
        for row in found:
            _refuse_outside(row, opens_at, last_opens_at)
        return found


def _minute(symbol: str, session: date, bar: Any) -> dict[str, Any]:
    """Return one bar as a row; Alpaca stamps it with the opening of its minute."""
    if not isinstance(bar, Mapping):
        raise MalformedData(
            f"{symbol} {session}: Alpaca gave {shown(bar)} where a minute bar was expected; use another source"
        )
    try:
        opens_at = pd.Timestamp(str(bar.get("t"))).tz_convert("UTC")
    except (TypeError, ValueError) as error:
        raise MalformedData(
            f"{symbol} {session}: Alpaca's minute bar has the time {shown(bar.get('t'))}, expected one such as "
            "2024-01-02T14:30:00Z; use another source until Alpaca answers as documented"
        ) from error
    row: dict[str, Any] = {"session": pd.Timestamp(session), "symbol": symbol, "closes_at_utc": opens_at + _MINUTE}
    for field, column in _FIELDS:
        row[column] = finite(bar.get(field), f"Alpaca {symbol} {opens_at} {column}")
    return row


def _refuse_outside(row: Mapping[str, Any], opens_at: pd.Timestamp, last_opens_at: pd.Timestamp) -> None:
    """Refuse a minute that was not asked for: what else the answer mixes up cannot be known."""
    at = row["closes_at_utc"] - _MINUTE
    if not opens_at <= at <= last_opens_at:
        raise MalformedData(
            f"{row['symbol']}: Alpaca was asked for the minutes from {opens_at} to {last_opens_at} and answered with "
            f"{at}; use another source until Alpaca answers what it is asked"
        )
