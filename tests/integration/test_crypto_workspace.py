"""A workspace whose decision calendar is every day, from the exchange's API to gated bars, through Dagster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from aegis.calendars import trading_calendar
from aegis.lake import tables
from aegis_sensors.jobs import FETCH_MARKET_DATA
from tests.integration.vendors.coinbase_server import CoinbaseServer, candle

FIRST, LAST = date(2014, 6, 1), date(2014, 6, 30)
COINS = ("BTC", "ETH", "LTC")


def _candles(seed: int) -> list[Any]:
    days = trading_calendar("24/7").sessions(date(2014, 1, 1), LAST)
    steps = np.random.default_rng(seed).uniform(-0.03, 0.03, len(days))
    return [
        candle(day, float(close), 1e4)
        for day, close in zip(days, np.round(300 * np.cumprod(1 + steps), 2), strict=True)
    ]


@pytest.mark.long
def test_every_day_of_the_week_is_fetched_gated_and_stored(make_chain: Callable[..., Any]) -> None:
    with CoinbaseServer({f"{coin}-USD": _candles(seed) for seed, coin in enumerate(COINS)}) as server:
        symbols = tuple(f"{coin}/USD" for coin in COINS)
        chain = make_chain(
            run={"source": "crypto", "first_session": FIRST, "last_session": LAST},
            market_data={
                "calendar": "24/7",
                "crypto": {"symbols": symbols, "first_session": date(2014, 1, 1), "url": server.url},
            },
            universe={"min_history_sessions": 20},
            eval={"metrics": {"benchmark_symbol": "BTC-USD"}},
        )
        result = chain.run(FETCH_MARKET_DATA, FIRST, LAST)
    bars = chain.read(tables.DAILY_BARS)
    assert bars.groupby("symbol").size().to_dict() == {f"{coin}-USD": 30 for coin in COINS}
    assert set(bars["session"].dt.day_name()) >= {"Saturday", "Sunday"}
    assert set(bars["source"]) == {"crypto"}
    assert [name for name, passed in chain.checks(result).items() if not passed] == []
