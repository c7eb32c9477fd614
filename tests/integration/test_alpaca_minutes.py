"""Alpaca's minute bars through alpaca-py itself, against a server on this machine that speaks its API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import AegisConfig
from aegis.config_vendors import AlpacaSettings
from aegis.errors import AegisError, ConfigurationError, MalformedData, SourceRefused, SourceUnavailable
from aegis.market_data.sources.alpaca_client import alpaca_vendor
from aegis.market_data.sources.alpaca_minutes import AlpacaMinutes
from aegis.market_data.sources.call_policy import VendorCalls
from aegis.market_data.sources.minute_source import open_minute_source
from tests.fake_stopwatch import FakeStopwatch
from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY, AlpacaServer, alpaca_minute
from tests.integration.vendors.transport_faults import PASSING, REFUSALS, WRONG_SYMBOLS
from tests.integration.vendors.vendor_server import Altered, Fault

XNYS = trading_calendar("XNYS")
WINTER, SUMMER, HALF_DAY = date(2024, 3, 8), date(2024, 3, 11), date(2024, 7, 3)
OPENS = {WINTER: "14:30", SUMMER: "13:30", HALF_DAY: "13:30"}
LAST_MINUTE = {WINTER: "20:59", SUMMER: "19:59", HALF_DAY: "16:59"}
"""In UTC: daylight saving begins on March 10, and the exchange closes at 13:00 on July 3."""


def instant(day: date, clock: str) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def minutes(first_close: float) -> list[Any]:
    """Return the first two minutes and the last of each session, and one before and one after its hours."""
    found = []
    for day, opens in OPENS.items():
        opened, last = instant(day, opens), instant(day, LAST_MINUTE[day])
        step = timedelta(minutes=1)
        for number, at in enumerate((opened - step, opened, opened + step, last, last + step)):
            found.append(alpaca_minute(at, first_close + number, 100.0 + number))
    return found


@pytest.fixture
def server() -> Iterator[AlpacaServer]:
    with AlpacaServer({}, minutes={"AAPL": minutes(100), "MSFT": minutes(200)}) as started:
        assert isinstance(started, AlpacaServer)
        yield started


def source(server: AlpacaServer, **more: Any) -> AlpacaMinutes:
    given = {
        "symbols": ("AAPL", "MSFT"), "first_session": WINTER, "url": server.url, "key_id": KEY_ID,
        "secret_key": SECRET_KEY, "attempts": 3, "timeout_seconds": 0.3, **more,
    }  # fmt: skip
    settings = AlpacaSettings.model_validate(given)
    calls = VendorCalls(
        alpaca_vendor(settings), settings, stopwatch=FakeStopwatch(), generator=np.random.default_rng(1)
    )
    return AlpacaMinutes(settings, XNYS, vendor_delay=timedelta(minutes=15), calls=calls)


def ask(server: AlpacaServer, *sessions: date, symbols: Sequence[str] = ("AAPL", "MSFT"), **more: Any) -> pd.DataFrame:
    return source(server, **more).minute_bars(sessions or (SUMMER,), symbols)


@pytest.mark.parametrize(
    ("day", "ends"),
    [
        (WINTER, ["14:31", "14:32", "21:00"]),
        (SUMMER, ["13:31", "13:32", "20:00"]),
        (HALF_DAY, ["13:31", "13:32", "17:00"]),
    ],
)
def test_minutes_of_regular_hours_are_named_by_their_end(server: AlpacaServer, day: date, ends: list[str]) -> None:
    rows = ask(server, day, symbols=("AAPL",))
    assert rows["closes_at_utc"].tolist() == [pd.Timestamp(instant(day, end)) for end in ends]
    assert (rows["known_at_utc"] - rows["closes_at_utc"] == timedelta(minutes=15)).all()
    assert rows["close_raw_usd"].tolist() == [101.0, 102.0, 103.0]
    assert rows["volume_shares"].tolist() == [101.0, 102.0, 103.0]
    assert set(rows["session"]) == {pd.Timestamp(day)}
    assert set(rows["source"]) == {"alpaca"}


def test_what_is_asked_for_is_raw_and_of_the_session_s_hours_and_symbols(server: AlpacaServer) -> None:
    ask(server, WINTER, HALF_DAY, feed="iex", symbols_as_of="2024-03-01")
    first, second = (request.query for request in server.requests)
    assert (first["adjustment"], first["feed"], first["timeframe"]) == ("raw", "iex", "1Min")
    assert (first["asof"], first["symbols"]) == ("2024-03-01", "AAPL,MSFT")
    spans = [(pd.Timestamp(query["start"]), pd.Timestamp(query["end"])) for query in (first, second)]
    assert spans == [(pd.Timestamp(instant(d, OPENS[d])), pd.Timestamp(instant(d, LAST_MINUTE[d]))) for d in
                     (WINTER, HALF_DAY)]  # fmt: skip


def test_every_page_is_fetched(server: AlpacaServer) -> None:
    whole = ask(server, WINTER, SUMMER)
    server.page_bars, before = 2, server.count
    pd.testing.assert_frame_equal(ask(server, WINTER, SUMMER), whole)
    assert len(whole) == 12
    assert server.count - before == 6


def test_a_symbol_that_did_not_trade_has_no_row_and_none_at_all_is_a_failure(server: AlpacaServer) -> None:
    server.minutes["MSFT"] = []
    assert set(ask(server)["symbol"]) == {"AAPL"}
    with pytest.raises(SourceUnavailable, match=r"no minute bar of MSFT in 2024-03-11\.\.2024-03-11 \(sip feed\)"):
        ask(server, symbols=("MSFT",))


def test_a_minute_given_twice_is_kept_for_the_checks_to_name(server: AlpacaServer) -> None:
    server.minutes["AAPL"].insert(1, server.minutes["AAPL"][1])
    rows = ask(server, WINTER)
    assert int(rows.duplicated(["symbol", "closes_at_utc"]).sum()) == 1


@pytest.mark.parametrize("fault", [PASSING[name][0] for name in ("429", "503", "a hang", "JSON cut in half")])
def test_a_fault_that_passes_is_outlived_and_one_that_stays_is_named(server: AlpacaServer, fault: Fault) -> None:
    healthy = ask(server)
    server.script(fault)
    pd.testing.assert_frame_equal(ask(server), healthy)
    server.always, before = fault, server.count
    with pytest.raises(SourceUnavailable, match=r"minute bars of AAPL, MSFT on 2024-03-11: no answer in 3 of 3"):
        ask(server)
    assert server.count - before == 3


@pytest.mark.parametrize(("fault", "cause"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_final(server: AlpacaServer, fault: Fault, cause: str) -> None:
    server.always = fault
    with pytest.raises(SourceRefused, match=f"AAPL.*in 1 of 3 attempt.*{cause}.*market_data.alpaca"):
        ask(server)
    assert server.count == 1


def altered(server: AlpacaServer, **changes: Any) -> None:
    """Let the first of Apple's minutes come with other values."""

    def change(answer: Any) -> Any:
        first, *others = answer["bars"]["AAPL"]
        return {**answer, "bars": {**answer["bars"], "AAPL": [{**first, **changes}, *others]}}

    server.always = Altered(change)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"t": "yesterday"}, "AAPL 2024-03-11: Alpaca's minute bar has the time 'yesterday'"),
        ({"t": "2024-03-08T14:30:00Z"}, "answered with 2024-03-08 14:30:00+00:00"),
        ({"t": "2024-03-11T20:00:00Z"}, "answered with 2024-03-11 20:00:00+00:00"),
        ({"c": "ten"}, "AAPL 2024-03-11 13:30:00+00:00 close_raw_usd"),
        ({"v": None}, "AAPL 2024-03-11 13:30:00+00:00 volume_shares"),
    ],
)
def test_a_minute_that_cannot_be_is_refused_with_its_place(
    server: AlpacaServer, changes: dict[str, Any], said: str
) -> None:
    altered(server, **changes)
    with pytest.raises(MalformedData, match=re.escape(said)):
        ask(server)


def test_minutes_of_a_symbol_that_was_not_asked_for_are_refused(server: AlpacaServer) -> None:
    server.always = Altered(lambda answer: {**answer, "bars": {**answer["bars"], "TSLA": []}})
    with pytest.raises(MalformedData, match=r"answered with 'TSLA' \(str\) as well \(1 that were not asked"):
        ask(server)


@pytest.mark.parametrize("symbol", WRONG_SYMBOLS.values(), ids=WRONG_SYMBOLS)
def test_a_symbol_that_cannot_be_one_is_refused_before_anything_is_sent(server: AlpacaServer, symbol: str) -> None:
    with pytest.raises(AegisError):
        ask(server, symbols=("AAPL", symbol))
    assert server.count == 0


def test_without_keys_nothing_is_sent_and_the_variables_are_named(server: AlpacaServer) -> None:
    with pytest.raises(ConfigurationError, match="AEGIS_MARKET_DATA__ALPACA__KEY_ID"):
        ask(server, secret_key=None)
    assert server.count == 0


def test_the_configuration_chooses_it(server: AlpacaServer) -> None:
    alpaca = {"symbols": ["AAPL"], "url": server.url, "key_id": KEY_ID, "secret_key": SECRET_KEY}
    chosen = {"alpaca": alpaca, "minute_bars": {"symbols": ["AAPL"]}, "vendor_delay_minutes": 20}
    config = AegisConfig(run={"source": "alpaca"}, market_data=chosen)
    rows = open_minute_source(config, XNYS, daily=None).minute_bars([SUMMER], ["AAPL"])  # type: ignore[arg-type]
    assert rows["known_at_utc"].iloc[0] == pd.Timestamp("2024-03-11 13:51", tz="UTC")
