"""Minute bars that Alpaca's stream did not tell, asked of its history through alpaca-py.

Belongs here: one question. Which minutes are missing, and when they are asked for, is :mod:`aegis.live_data.alpaca`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from aegis.config_vendors import AlpacaSettings
from aegis.errors import MalformedData
from aegis.execution.brokers.alpaca_requests import load_alpaca_py
from aegis.market_data.sources.call_policy import VendorCalls
from aegis.market_data.sources.http_calls import GovernedSession

_MINUTE = timedelta(minutes=1)
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)


class AlpacaMinutes:
    """Minute bars of the last hours.

    Parameters
    ----------
    settings : AlpacaSettings
        Keys, feed and address.
    calls : VendorCalls
        How the vendor is called.
    """

    def __init__(self, settings: AlpacaSettings, calls: VendorCalls) -> None:
        self._settings = settings
        self._calls = calls

    def bars(self, tickers: Sequence[str], after_utc: datetime, until_utc: datetime) -> Mapping[str, Any]:
        """Return Alpaca's raw bars by ticker of the minutes that end after one instant and until another.

        Raises
        ------
        SourceUnavailable, SourceRefused, MalformedData
            There is no usable answer.
        """
        load_alpaca_py()
        from alpaca.data.enums import Adjustment, DataFeed  # noqa: PLC0415
        from alpaca.data.historical.stock import StockHistoricalDataClient  # noqa: PLC0415
        from alpaca.data.requests import StockBarsRequest  # noqa: PLC0415
        from alpaca.data.timeframe import TimeFrame, TimeFrameUnit  # noqa: PLC0415

        settings = self._settings
        assert settings.key_id is not None  # noqa: S101 - asked for when the source is made
        assert settings.secret_key is not None  # noqa: S101
        client: Any = StockHistoricalDataClient(
            api_key=settings.key_id.get_secret_value(),
            secret_key=settings.secret_key.get_secret_value(),
            raw_data=True,
            url_override=settings.url,
        )
        client._session = session = GovernedSession(client._session, self._calls)
        session.purpose = what = f"minute bars of {', '.join(tickers)} after {after_utc} until {until_utc}"
        request = StockBarsRequest(
            symbol_or_symbols=list(tickers),
            timeframe=TimeFrame(1, TimeFrameUnit.Minute),
            start=after_utc,
            end=until_utc - _MINUTE,  # included, and a bar is named by its opening
            adjustment=Adjustment.RAW,
            feed=DataFeed(settings.feed),
        )
        try:
            answer = client.get_stock_bars(request)
        except _UNREADABLE as error:
            raise MalformedData(
                f"Alpaca: {what}: alpaca-py cannot read the answer ({type(error).__name__}); install the pinned "
                "alpaca-py"
            ) from error
        if not isinstance(answer, Mapping) or not all(isinstance(rows, list) for rows in answer.values()):
            raise MalformedData(f"Alpaca: {what}: expected lists of bars by symbol; ask again, or use another source")
        return answer
