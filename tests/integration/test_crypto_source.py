"""Coinbase Exchange through ccxt itself, against a server here that speaks its API and goes wrong as told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_quality import QualitySettings
from aegis.config_vendors import CryptoSettings
from aegis.errors import ConfigurationError, MalformedData, SourceRefused, SourceUnavailable
from aegis.market_data.ingestion import fetch_raw_bars
from aegis.market_data.quality_gate import run_quality_gate
from aegis.market_data.sources.call_policy import VendorCalls
from aegis.market_data.sources.crypto import CryptoSource, crypto_vendor
from tests.fake_stopwatch import FakeStopwatch
from tests.integration.vendors.coinbase_server import CoinbaseServer, candle
from tests.integration.vendors.transport_faults import PASSING, REFUSALS, WRONG_SYMBOLS
from tests.integration.vendors.vendor_server import Altered, Fault, Status

EVERY_DAY = trading_calendar("24/7")
FIRST, LAST = date(2023, 3, 1), date(2024, 1, 10)  # 316 days: two pages
DAYS = EVERY_DAY.sessions(FIRST, LAST)


@pytest.fixture
def server() -> Iterator[CoinbaseServer]:
    days = EVERY_DAY.sessions(date(2023, 2, 1), date(2024, 2, 1))  # more than is asked for, at both ends
    candles = {
        "BTC-USD": [candle(day, 20_000.0 + number) for number, day in enumerate(days)],
        "ETH-USD": [candle(day, 1_500.25 + number, 0.125) for number, day in enumerate(days)],
        "ETH-EUR": [candle(day, 1.0) for day in days],
    }
    with CoinbaseServer(candles) as started:
        assert isinstance(started, CoinbaseServer)
        yield started


def source(
    server: CoinbaseServer,
    *,
    symbols: Sequence[str] = ("BTC/USD", "ETH/USD"),
    benchmark: str = "BTC-USD",
    watch: FakeStopwatch | None = None,
    **more: Any,
) -> CryptoSource:
    last = more.pop("last", LAST)
    given = {"symbols": symbols, "first_session": FIRST, "url": server.url, "attempts": 3, "timeout_seconds": 0.3}
    settings = CryptoSettings.model_validate({**given, **more})
    calls = VendorCalls(
        crypto_vendor(settings), settings, stopwatch=watch or FakeStopwatch(), generator=np.random.default_rng(1)
    )
    return CryptoSource(
        settings, EVERY_DAY, benchmark_symbol=benchmark, last_session=last, vendor_delay=timedelta(minutes=15),
        calls=calls,
    )  # fmt: skip


def test_bars_are_utc_days_under_permanent_symbols_with_volume_in_coins(server: CoinbaseServer) -> None:
    crypto = source(server)
    bars = crypto.bars(FIRST, LAST)
    ether = bars[bars["symbol"] == "ETH-USD"]
    assert ether["session"].dt.date.tolist() == DAYS
    first = ether.iloc[0]
    assert (first["open_raw_usd"], first["high_raw_usd"], first["low_raw_usd"], first["close_raw_usd"]) == (
        1528.25, 1529.25, 1527.25, 1528.25,
    )  # fmt: skip
    assert (first["volume_shares"], first["source"], first["ticker"]) == (0.125, "crypto", "ETH-USD")
    assert first["known_at_utc"] == pd.Timestamp("2023-03-02 00:15", tz="UTC")
    assert crypto.session_range() == (FIRST, LAST)
    assert crypto.corporate_actions(FIRST, LAST).empty


def test_pages_meet_without_gap_or_overlap(server: CoinbaseServer) -> None:
    source(server, symbols=("BTC/USD",)).session_range()
    asked = [(request.query["start"][:10], request.query["end"][:10]) for request in server.candle_requests]
    assert asked == [("2023-03-01", "2023-12-25"), ("2023-12-26", "2024-01-10")]
    assert server.count == 3  # the markets, and two pages


def test_the_unfinished_day_is_never_returned_even_when_it_is_delivered(server: CoinbaseServer) -> None:
    server.always = Altered(lambda rows: [candle(LAST + timedelta(days=1), 1.0), *rows])
    assert source(server).session_range() == (FIRST, LAST)


def test_a_pair_that_began_later_is_listed_from_then(server: CoinbaseServer) -> None:
    server.candles["ETH-USD"] = server.candles["ETH-USD"][200:]
    listings = source(server).listings().set_index("symbol")["first_session"]
    assert listings.to_dict() == {"BTC-USD": pd.Timestamp(FIRST), "ETH-USD": pd.Timestamp("2023-08-20")}


@pytest.mark.long  # imports Great Expectations
def test_weekends_pass_the_quality_gate(server: CoinbaseServer) -> None:
    crypto = source(server)
    saturday, sunday = date(2023, 12, 30), date(2023, 12, 31)
    assert saturday.strftime("%A") == "Saturday"
    result = run_quality_gate(
        crypto.bars(saturday - timedelta(days=40), sunday), listings=crypto.listings(),
        actions=crypto.corporate_actions(FIRST, LAST), calendar=EVERY_DAY, settings=QualitySettings(), snapshot_id=1,
        first=saturday, last=sunday,
    )  # fmt: skip
    assert result.blocked_sessions == {}
    assert len(result.daily_bars) == 4


@pytest.mark.parametrize(("fault", "cause"), PASSING.values(), ids=PASSING)
def test_a_fault_that_passes_is_outlived(server: CoinbaseServer, fault: Fault, cause: str) -> None:
    server.script(fault)
    assert cause
    assert len(source(server, symbols=("BTC/USD",)).bars(FIRST, LAST)) == len(DAYS)
    assert server.count == 4


@pytest.mark.parametrize(("fault", "cause"), PASSING.values(), ids=PASSING)
def test_a_fault_that_stays_is_named_after_every_attempt(server: CoinbaseServer, fault: Fault, cause: str) -> None:
    server.always = fault
    with pytest.raises(SourceUnavailable) as failure:
        source(server).session_range()
    message = str(failure.value)
    assert message.startswith(
        "coinbaseexchange: daily bars of BTC/USD from 2023-03-01 to 2023-12-25: no answer in 3 of 3 attempt(s): "
    )
    assert re.search(cause, message)
    assert message.endswith("or raise market_data.crypto.attempts or total_timeout_seconds")
    assert server.count == 4


@pytest.mark.parametrize(("fault", "cause"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_final(server: CoinbaseServer, fault: Fault, cause: str) -> None:
    server.always = fault
    with pytest.raises(SourceRefused, match=rf"BTC/USD.*in 1 of 3 attempt.*{cause}.*market_data\.crypto"):
        source(server).session_range()
    assert server.count == 2


def test_retry_after_is_waited_for_and_ccxts_own_limit_is_off(server: CoinbaseServer) -> None:
    watch = FakeStopwatch()
    server.script(Status(429, retry_after="7"))
    source(server, watch=watch).session_range()
    assert watch.slept == [7.0]


def test_an_empty_answer_is_a_failure(server: CoinbaseServer) -> None:
    server.always = Altered(lambda _: [])
    with pytest.raises(SourceUnavailable, match=r"no bars for 2 of 2 pairs \(BTC/USD, ETH/USD\) from 2023-03-01"):
        source(server).bars(FIRST, LAST)


def test_one_pair_missing_of_many_is_named(server: CoinbaseServer) -> None:
    with pytest.raises(SourceRefused, match=r"does not list XYZ/USD; correct market_data\.crypto\.symbols"):
        source(server, symbols=("BTC/USD", "XYZ/USD")).bars(FIRST, LAST)
    assert server.count == 1


def test_one_pair_without_bars_is_named(server: CoinbaseServer) -> None:
    server.candles["ETH-USD"] = []
    with pytest.raises(SourceUnavailable, match=r"no bars for 1 of 2 pairs \(ETH/USD\)"):
        source(server).bars(FIRST, LAST)


def test_a_stale_answer_is_a_late_vendor(server: CoinbaseServer) -> None:
    server.always = Altered(lambda rows: [row for row in rows if row[0] < datetime(2024, 1, 9, tzinfo=UTC).timestamp()])
    crypto = source(server)
    assert crypto.session_range() == (FIRST, date(2024, 1, 8))
    with pytest.raises(
        SourceUnavailable, match="2024-01-10: the session has closed, but the source's last is 2024-01-"
    ):
        fetch_raw_bars(crypto, DAYS, last_complete=LAST, has_ended=False)


def test_rows_out_of_order_are_put_in_order(server: CoinbaseServer) -> None:
    server.always = Altered(lambda rows: rows[1::2] + rows[::2])
    sessions = source(server, symbols=("BTC/USD",)).bars(FIRST, LAST)["session"]
    assert sessions.dt.date.tolist() == DAYS


def test_a_row_given_twice_is_kept_for_the_gate_to_name(server: CoinbaseServer) -> None:
    server.script(Altered(lambda rows: [rows[0], *rows]))
    bars = source(server).bars(FIRST, LAST)
    assert int(bars.duplicated(["session", "symbol"]).sum()) == 1


NOON = int(datetime(2023, 3, 1, 12, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"candles": []}, "cannot read the answer"),
        ("soon", "expected a number, found None"),
        (None, "cannot read the answer|expected a number, found None"),
        ({"message": "NotFound"}, "cannot read the answer"),
        ([["a", "b", "c", "d", "e", "f"]], "expected a number|cannot read the answer"),
        ([[NOON, 1, 2, 1, 2, 3]], "expected midnight UTC"),
        ([[NOON - 43200, 1, 2, 1, None, 3]], r"BTC/USD 2023-03-01 close_raw_usd: expected a number, found None"),
        ([[NOON - 43200, 1, 2, 1]], "expected a number, found None"),
        ([7, 8], "cannot read the answer|expected a number"),
    ],
    ids=["a mapping", "a text", "null", "an error with 200", "texts", "noon", "no close", "short rows", "numbers"],
)
def test_an_answer_of_another_shape_is_refused(server: CoinbaseServer, answer: Any, message: str) -> None:
    server.always = Altered(lambda _: answer)
    with pytest.raises(MalformedData, match=message):
        source(server, symbols=("BTC/USD",)).bars(FIRST, LAST)


@pytest.mark.parametrize("symbol", [*WRONG_SYMBOLS.values(), "BTC/EUR", "BTC/USDT", "btc/usd", "BTC-USD", "BTC/USD/X"])
def test_a_wrong_pair_is_refused_before_anything_is_asked(server: CoinbaseServer, symbol: str) -> None:
    with pytest.raises(ConfigurationError, match=r"market_data\.crypto\.symbols") as refusal:
        source(server, symbols=("BTC/USD", symbol)).bars(FIRST, LAST)
    assert server.count == 0
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400


def test_a_benchmark_of_another_market_is_refused_before_anything_is_asked(server: CoinbaseServer) -> None:
    with pytest.raises(ConfigurationError, match=r"eval\.metrics\.benchmark_symbol: 'SPY'"):
        source(server, benchmark="SPY").bars(FIRST, LAST)
    assert server.count == 0


def test_a_calendar_with_weekends_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"set market_data\.calendar to '24/7'"):
        CryptoSource(
            CryptoSettings(), trading_calendar("XNYS"), benchmark_symbol="BTC-USD", last_session=LAST,
            vendor_delay=timedelta(minutes=15),
        )  # fmt: skip
