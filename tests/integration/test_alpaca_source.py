"""Alpaca through alpaca-py itself, against a server on this machine that speaks its API and goes wrong as told."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_vendors import AlpacaSettings
from aegis.errors import AegisError, ConfigurationError, MalformedData, SourceRefused, SourceUnavailable
from aegis.market_data.ingestion import fetch_raw_bars
from aegis.market_data.sources.alpaca import AlpacaSource, alpaca_vendor
from aegis.market_data.sources.call_policy import VendorCalls
from tests.fake_stopwatch import FakeStopwatch
from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY, AlpacaServer, alpaca_bar
from tests.integration.vendors.transport_faults import PASSING, REFUSALS, WRONG_SYMBOLS
from tests.integration.vendors.vendor_server import Altered, Fault, Status

XNYS = trading_calendar("XNYS")
FIRST, LAST = date(2024, 6, 3), date(2024, 6, 14)
DAYS = XNYS.sessions(FIRST, LAST)


def closes(first_close: float, days: Sequence[date] = DAYS) -> list[Any]:
    return [alpaca_bar(day, first_close + number) for number, day in enumerate(days)]


BARS = {"AAPL": closes(100), "MSFT": closes(200), "SPY": closes(500)}


@pytest.fixture
def server() -> Iterator[AlpacaServer]:
    with AlpacaServer({ticker: list(rows) for ticker, rows in BARS.items()}) as started:
        assert isinstance(started, AlpacaServer)
        yield started


def source(
    server: AlpacaServer, *, symbols: Sequence[str] = ("AAPL", "MSFT"), watch: FakeStopwatch | None = None, **more: Any
) -> AlpacaSource:
    last = more.pop("last", LAST)
    given = {
        "symbols": symbols, "first_session": FIRST, "url": server.url, "key_id": KEY_ID, "secret_key": SECRET_KEY,
        "attempts": 3, "timeout_seconds": 0.3, **more,
    }  # fmt: skip
    settings = AlpacaSettings.model_validate(given)
    calls = VendorCalls(
        alpaca_vendor(settings), settings, stopwatch=watch or FakeStopwatch(), generator=np.random.default_rng(1)
    )
    return AlpacaSource(
        settings, XNYS, benchmark_symbol="SPY", last_session=last, vendor_delay=timedelta(minutes=15), calls=calls
    )


@pytest.fixture(scope="module")
def healthy() -> pd.DataFrame:
    """Return what a server without faults gives."""
    with AlpacaServer({ticker: list(rows) for ticker, rows in BARS.items()}) as started:
        assert isinstance(started, AlpacaServer)
        return source(started).bars(FIRST, LAST)


def test_bars_are_as_traded_and_known_after_the_close(server: AlpacaServer) -> None:
    alpaca = source(server)
    bars = alpaca.bars(FIRST, LAST)
    apple = bars[bars["symbol"] == "AAPL"]
    assert apple["close_raw_usd"].tolist() == [100.0 + number for number in range(10)]
    assert apple["session"].dt.date.tolist() == DAYS
    assert set(bars["source"]) == {"alpaca"}
    assert apple["known_at_utc"].iloc[0] == pd.Timestamp("2024-06-03 20:15", tz="UTC")
    assert alpaca.session_range() == (FIRST, LAST)
    assert server.count == 2  # bars and actions


def test_what_is_asked_for_is_raw_and_ends_at_the_last_close(server: AlpacaServer) -> None:
    source(server, feed="iex").session_range()
    query = server.requests[0].query
    assert (query["adjustment"], query["feed"]) == ("raw", "iex")
    assert pd.Timestamp(query["start"]) == pd.Timestamp("2024-06-03 04:00", tz="UTC")
    assert pd.Timestamp(query["end"]) == pd.Timestamp("2024-06-14 20:00", tz="UTC")


def test_every_page_is_fetched_and_a_fault_on_one_does_not_begin_again(server: AlpacaServer) -> None:
    server.page_bars = 4
    server.script(None, None, Status(503), None, Status(429))
    assert len(source(server).bars(FIRST, LAST)) == 30
    tokens = [request.query.get("page_token") for request in server.requests if "bars" in request.path]
    assert tokens == [None, "4", "8", "8", "12", "12", "16", "20", "24", "28"]


def test_pages_out_of_order_are_put_in_order(server: AlpacaServer, healthy: pd.DataFrame) -> None:
    server.page_bars = 3
    server.bars = {ticker: rows[::-1] for ticker, rows in server.bars.items()}
    pd.testing.assert_frame_equal(source(server).bars(FIRST, LAST), healthy)


@pytest.mark.parametrize("other", ["TSLA", "aapl", "BRK-B", "../x"])
def test_bars_of_a_symbol_that_was_not_asked_for_are_refused(server: AlpacaServer, other: str) -> None:
    server.always = Altered(
        lambda answer: {**answer, "bars": {**answer["bars"], other: closes(7)}} if "bars" in answer else answer
    )
    with pytest.raises(MalformedData, match=re.escape(f"answered with {other!r} (str) as well (1 that were not asked")):
        source(server).bars(FIRST, LAST)


def test_a_share_class_under_another_name_is_not_taken_for_the_one_asked_for(server: AlpacaServer) -> None:
    server.always = Altered(
        lambda answer: (
            {**answer, "bars": {name.replace("AAPL", "BRK-B"): rows for name, rows in answer["bars"].items()}}
            if "bars" in answer
            else answer
        )
    )
    with pytest.raises(MalformedData, match=r"asked for BRK\.B, .* answered with 'BRK-B'"):
        source(server, symbols=("BRK.B", "AAPL")).bars(FIRST, LAST)


def test_a_row_given_twice_is_kept_for_the_gate_to_name(server: AlpacaServer) -> None:
    server.bars["AAPL"].insert(3, server.bars["AAPL"][3])
    bars = source(server).bars(FIRST, LAST)
    assert int(bars.duplicated(["session", "symbol"]).sum()) == 1


@pytest.mark.parametrize(("fault", "cause"), PASSING.values(), ids=PASSING)
def test_a_fault_that_passes_is_outlived(server: AlpacaServer, healthy: pd.DataFrame, fault: Fault, cause: str) -> None:
    server.script(fault)
    assert cause
    pd.testing.assert_frame_equal(source(server).bars(FIRST, LAST), healthy)
    assert server.count == 3


@pytest.mark.parametrize(("fault", "cause"), PASSING.values(), ids=PASSING)
def test_a_fault_that_stays_is_named_after_every_attempt(server: AlpacaServer, fault: Fault, cause: str) -> None:
    server.always = fault
    with pytest.raises(SourceUnavailable) as failure:
        source(server).session_range()
    message = str(failure.value)
    assert message.startswith(
        "Alpaca: daily bars of AAPL, MSFT, SPY from 2024-06-03 to 2024-06-14: no answer in 3 of 3 attempt(s): "
    )
    assert re.search(cause, message)
    assert message.endswith("or raise market_data.alpaca.attempts or total_timeout_seconds")
    assert server.count == 3


@pytest.mark.parametrize(("fault", "cause"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_final(server: AlpacaServer, fault: Fault, cause: str) -> None:
    server.always = fault
    with pytest.raises(SourceRefused, match=f"AAPL.*in 1 of 3 attempt.*{cause}.*market_data.alpaca"):
        source(server).session_range()
    assert server.count == 1


def test_retry_after_is_waited_for(server: AlpacaServer) -> None:
    watch = FakeStopwatch()
    server.script(Status(429, retry_after="7"))
    source(server, watch=watch).session_range()
    assert watch.slept == [7.0]


def test_a_busy_actions_endpoint_is_a_failure_and_never_no_actions(server: AlpacaServer) -> None:
    server.script(None, *[Status(503)] * 3)
    with pytest.raises(SourceUnavailable, match="corporate actions of AAPL, MSFT, SPY from 2024-06-03 to 2024-06-17"):
        source(server).bars(FIRST, LAST)


@pytest.mark.parametrize(
    "answer",
    [
        {"bars": {}, "next_page_token": None},
        {"bars": {"SPY": []}, "next_page_token": None},
        {"quotes": {}, "next_page_token": None},
    ],
    ids=["no symbol", "no bar", "nothing but quotes"],
)
def test_an_empty_answer_is_a_failure(server: AlpacaServer, answer: Any) -> None:
    server.always = Altered(lambda _: answer)
    with pytest.raises(SourceUnavailable, match=r"no bars for 3 of 3 symbols \(AAPL, MSFT, SPY\) from 2024-06-03"):
        source(server).bars(FIRST, LAST)


def test_one_symbol_missing_of_many_is_named(server: AlpacaServer) -> None:
    with pytest.raises(SourceUnavailable, match=r"no bars for 1 of 4 symbols \(WRONG\)"):
        source(server, symbols=("AAPL", "MSFT", "WRONG")).bars(FIRST, LAST)


def test_a_stale_answer_is_a_late_vendor(server: AlpacaServer) -> None:
    server.bars = {ticker: rows[:-1] for ticker, rows in server.bars.items()}
    alpaca = source(server)
    assert alpaca.session_range() == (FIRST, date(2024, 6, 13))
    with pytest.raises(SourceUnavailable, match="2024-06-14: the session has closed, but the source's last is 2024-06"):
        fetch_raw_bars(alpaca, DAYS, last_complete=LAST, has_ended=False)


def test_bars_after_the_last_final_session_are_not_used(server: AlpacaServer) -> None:
    later = alpaca_bar(date(2024, 6, 17), 1.0)
    server.always = Altered(lambda answer: _with_bar(answer, later))
    assert source(server).session_range() == (FIRST, LAST)


def _with_bar(answer: Any, bar: Any) -> Any:
    for rows in answer.get("bars", {}).values():
        rows.append(bar)
    return answer


def _first_bar_with(**values: Any) -> Altered:
    def change(answer: Any) -> Any:
        for rows in answer.get("bars", {}).values():
            rows[0] = {**rows[0], **values}
        return answer

    return Altered(change)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Altered(lambda _: []), "cannot read the answer"),
        (Altered(lambda _: "soon"), "cannot read the answer"),
        (Altered(lambda _: None), "cannot read the answer"),
        (Altered(lambda _: {"bars": [], "next_page_token": None}), "cannot read the answer"),
        (Altered(lambda _: {"bars": {"AAPL": {}, "MSFT": {"a": 1}, "SPY": 7}, "next_page_token": None}), "AAPL|MSFT"),
        (Altered(lambda _: {"bars": {name: ["row"] for name in BARS}, "next_page_token": None}), "a bar was expected"),
        (_first_bar_with(c="101.5"), r"AAPL 2024-06-03 close_raw_usd: expected a number, found '101.5' \(str\)"),
        (_first_bar_with(v=None), r"AAPL 2024-06-03 volume_shares: expected a number, found None"),
        (_first_bar_with(t="yesterday"), "the time 'yesterday'"),
        (_first_bar_with(t="2024-06-03T04:00:00"), "the time '2024-06-03T04:00:00'"),
        (_first_bar_with(t="2024-06-03T13:30:00Z"), "expected midnight in America/New_York"),
    ],
    ids=[
        "a list", "a text", "null", "a list of bars", "mappings of bars", "texts as bars",
        "a price as text", "no volume", "a time that is none", "a time without a zone", "a bar within the day",
    ],
)  # fmt: skip
def test_an_answer_of_another_shape_is_refused(server: AlpacaServer, fault: Fault, message: str) -> None:
    server.always = fault
    with pytest.raises(MalformedData, match=message):
        source(server).bars(FIRST, LAST)


@pytest.mark.parametrize("symbol", WRONG_SYMBOLS.values(), ids=WRONG_SYMBOLS)
def test_a_wrong_symbol_is_refused_before_anything_is_asked(server: AlpacaServer, symbol: str) -> None:
    with pytest.raises((ConfigurationError, MalformedData)) as refusal:
        source(server, symbols=("AAPL", symbol)).bars(FIRST, LAST)
    assert server.count == 0
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400


def test_without_keys_nothing_is_asked(server: AlpacaServer) -> None:
    with pytest.raises(ConfigurationError, match="AEGIS_MARKET_DATA__ALPACA__SECRET_KEY"):
        source(server, secret_key=None).bars(FIRST, LAST)
    assert server.count == 0


def test_no_message_log_or_note_shows_a_key(server: AlpacaServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"message": f"bad credentials {KEY_ID} {SECRET_KEY}"}
    said = [repr(source(server)), *source(server).coverage_notes()]
    for fault in (Status(401, body=echo), Status(503, body=echo), Altered(lambda _: [SECRET_KEY])):
        server.always = fault
        with pytest.raises(AegisError) as failure:
            source(server).bars(FIRST, LAST)
        said += traceback.format_exception(failure.value)
    said += [record.getMessage() for record in caplog.records]
    assert "***" in "".join(said)
    assert not [text for text in said if KEY_ID in text or SECRET_KEY in text]


def test_a_wrong_key_is_told_from_the_vendors_answer(server: AlpacaServer) -> None:
    with pytest.raises(SourceRefused, match=r"HTTP 401.*check the credentials.*market_data\.alpaca"):
        source(server, key_id="PKANOTHER").bars(FIRST, LAST)


def test_what_asking_cost_is_said(server: AlpacaServer) -> None:
    server.script(Status(503))
    assert source(server).coverage_notes()[0].startswith("Alpaca's sip feed: 2 request(s) in 3 attempt(s), 1 of which")


def test_many_symbols_are_asked_for_in_parts(server: AlpacaServer) -> None:
    names = [f"A{number:03d}" for number in range(120)]
    server.bars = {name: closes(50, DAYS[:2]) for name in [*names, "SPY"]}
    assert source(server, symbols=names).listings()["symbol"].nunique() == 121
    asked = [len(request.query["symbols"].split(",")) for request in server.requests]
    assert asked == [50, 50, 21] * 2
