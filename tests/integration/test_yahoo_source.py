"""Yahoo through yfinance itself, against a server here that speaks its chart service and goes wrong as told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from aegis.calendars import trading_calendar
from aegis.config_vendors import YahooSettings
from aegis.errors import ConfigurationError, MalformedData, SourceRefused, SourceUnavailable
from aegis.market_data.ingestion import fetch_raw_bars
from aegis.market_data.sources.call_policy import VendorCalls
from aegis.market_data.sources.yahoo import YAHOO, YahooSource
from aegis.market_data.sources.yahoo_download import YahooDownload
from tests.fake_stopwatch import FakeStopwatch
from tests.integration.vendors.transport_faults import PASSING, WRONG_SYMBOLS
from tests.integration.vendors.vendor_server import Altered, Fault, Reset, Status
from tests.integration.vendors.yahoo_server import YahooServer, chart, forget_earlier_answers

XNYS = trading_calendar("XNYS")
FIRST, LAST = date(2014, 6, 2), date(2014, 6, 10)
DAYS = XNYS.sessions(FIRST, LAST)
# Apple around its 7:1 split of 2014-06-09, in Yahoo's terms: prices before it divided by 7, volumes multiplied.
CLOSES = [628.65, 637.54, 644.82, 647.35, 645.57, 93.70, 94.25]
VOLUMES = [13187600, 10447600, 11981500, 10850200, 12497800, 75415000, 62777000]
APPLE = {
    day: (close / 7 if day < date(2014, 6, 9) else close, volume * 7 if day < date(2014, 6, 9) else volume)
    for day, close, volume in zip(DAYS, CLOSES, VOLUMES, strict=True)
}
SPY = {day: (190.0 + number, 10**8) for number, day in enumerate(DAYS)}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[YahooServer]:
    """Serve two charts; yfinance remembers no time zone, cookie or crumb of another test, nor writes them to disk."""
    forget_earlier_answers(monkeypatch)
    with YahooServer({"AAPL": chart(APPLE, splits={date(2014, 6, 9): 7}), "SPY": chart(SPY)}) as started:
        assert isinstance(started, YahooServer)
        yield started


def source(
    server: YahooServer, *, symbols: Sequence[str] = ("SPY",), watch: FakeStopwatch | None = None, **more: Any
) -> YahooSource:
    given = {"symbols": symbols, "first_session": FIRST, "attempts": 3, "timeout_seconds": 0.5, **more}
    settings = YahooSettings.model_validate(given)
    calls = VendorCalls(YAHOO, settings, stopwatch=watch or FakeStopwatch(), generator=np.random.default_rng(1))
    return YahooSource(
        settings, XNYS, benchmark_symbol="SPY", last_session=LAST, vendor_delay=timedelta(minutes=15),
        download=YahooDownload(calls, new_session=server.new_session), calls=calls,
    )  # fmt: skip


def test_a_chart_becomes_prices_as_traded_and_a_split(server: YahooServer) -> None:
    yahoo = source(server, symbols=("AAPL",))
    apple = yahoo.bars(FIRST, LAST).query("symbol == 'AAPL'")
    assert apple["close_raw_usd"].tolist() == CLOSES
    assert apple["volume_shares"].tolist() == VOLUMES
    actions = yahoo.corporate_actions(FIRST, LAST)
    assert actions[["symbol", "action", "split_ratio"]].to_numpy().tolist() == [["AAPL", "split", 7.0]]
    assert yahoo.coverage_notes()[0].startswith("Yahoo: 1 request(s) in 1 attempt(s), 0 of which failed")


@pytest.mark.parametrize(("fault", "cause"), PASSING.values(), ids=PASSING)
def test_a_fault_that_passes_is_outlived(server: YahooServer, fault: Fault, cause: str) -> None:
    server.script(fault)
    assert cause
    assert source(server).bars(FIRST, LAST)["close_raw_usd"].tolist() == [190.0 + number for number in range(7)]
    assert len(server.chart_requests) == 3  # yfinance asks for the time zone first, and again after the fault


@pytest.mark.parametrize(("fault", "cause"), PASSING.values(), ids=PASSING)
def test_a_fault_that_stays_is_named_after_every_attempt(server: YahooServer, fault: Fault, cause: str) -> None:
    server.always = fault
    with pytest.raises(SourceUnavailable) as failure:
        source(server).session_range()
    message = str(failure.value)
    assert message.startswith(
        "Yahoo: daily bars from 2014-06-02 until today: no answer in 3 of 3 attempt(s): no bars for 1 of 1 symbols "
        "(SPY): "
    )
    assert re.search(cause, message)
    assert message.endswith("or use run.source: files")
    # libcurl itself sends a request once more when a connection that it kept turns out to be reset
    assert 3 <= len(server.chart_requests) <= (6 if isinstance(fault, Reset) else 3)


def test_retry_after_is_waited_for(server: YahooServer) -> None:
    watch = FakeStopwatch()
    server.script(Status(429, retry_after="7"))
    source(server, watch=watch).session_range()
    assert watch.slept == [7.0]


@pytest.mark.parametrize(
    "answer",
    [
        {"chart": {"result": [], "error": None}},
        {"chart": {"result": None, "error": None}},
        {"chart": {"result": [chart({}, symbol="SPY")], "error": None}},
        {
            "chart": {
                "result": [{"meta": {"symbol": "SPY", "currency": "USD", "exchangeTimezoneName": "America/New_York"}}]
            }
        },
    ],
    ids=["no result", "null", "no row", "no quotes"],
)
def test_an_empty_answer_is_a_failure(server: YahooServer, answer: Any) -> None:
    server.always = Altered(lambda _: answer)
    with pytest.raises(SourceUnavailable, match=r"no bars for 1 of 1 symbols \(SPY\): an empty answer"):
        source(server).bars(FIRST, LAST)


@pytest.mark.parametrize("answer", [[], "soon", None, 7, {"quote": 1}], ids=["list", "text", "null", "number", "other"])
def test_an_answer_of_another_shape_is_a_failure(server: YahooServer, answer: Any) -> None:
    server.always = Altered(lambda _: answer)
    with pytest.raises(SourceUnavailable, match=r"no bars for 1 of 1 symbols \(SPY\)"):
        source(server).bars(FIRST, LAST)


def _closes(values: list[Any]) -> Altered:
    def change(answer: Any) -> Any:
        answer = {**answer, "chart": {"result": [chart(SPY, symbol="SPY")], "error": None}}
        answer["chart"]["result"][0]["indicators"]["quote"][0]["close"] = values
        return answer

    return Altered(change)


@pytest.mark.parametrize("values", [["high"] * 7, [1.0] * 3, [{"a": 1}] * 7], ids=["texts", "too few", "mappings"])
def test_prices_of_another_type_are_no_prices(server: YahooServer, values: list[Any]) -> None:
    server.always = _closes(values)
    with pytest.raises((MalformedData, SourceUnavailable), match=r"SPY"):
        source(server).bars(FIRST, LAST)


def test_one_symbol_missing_of_many_is_named_and_not_asked_for_again(server: YahooServer) -> None:
    with pytest.raises(SourceRefused, match=r"in 1 of 3.*no bars for 1 of 3 symbols \(WRONG\): HTTP 404.*delisted"):
        source(server, symbols=("AAPL", "WRONG")).bars(FIRST, LAST)
    assert sum(request.path.endswith("WRONG") for request in server.chart_requests) == 1


def test_only_what_is_missing_is_asked_for_again(server: YahooServer) -> None:
    server.charts["AAPL"] = chart({})
    with pytest.raises(SourceUnavailable, match=r"no bars for 1 of 2 symbols \(AAPL\)"):
        source(server, symbols=("AAPL",)).bars(FIRST, LAST)
    asked = [request.path.removeprefix("/v8/finance/chart/") for request in server.chart_requests]
    assert asked.count("SPY") == 2
    assert asked.count("AAPL") > 3


def test_prices_in_another_currency_are_refused(server: YahooServer) -> None:
    server.charts["SPY"] = chart(SPY, currency="GBp")
    with pytest.raises(SourceRefused, match=r"SPY is priced in 'GBp', not in USD; remove it from market_data\.yahoo"):
        source(server).bars(FIRST, LAST)


@pytest.mark.parametrize("answered", ["SPY.MX", "spy", "SPYG"], ids=["exchange", "case", "another"])
def test_an_answer_in_the_name_of_another_symbol_is_refused(server: YahooServer, answered: str) -> None:
    server.charts["SPY"] = chart(SPY, symbol=answered)
    with pytest.raises(
        SourceRefused, match=rf"SPY was asked for and '{re.escape(answered)}' \(str\) answered; correct"
    ):
        source(server).bars(FIRST, LAST)


def test_an_answer_that_names_no_symbol_is_refused(server: YahooServer) -> None:
    server.always = Altered(lambda _: {"chart": {"result": [chart(SPY)], "error": None}})
    with pytest.raises(SourceRefused, match=r"SPY was asked for and None \(NoneType\) answered"):
        source(server).bars(FIRST, LAST)


def test_a_share_class_is_asked_for_and_answered_with_a_dash(server: YahooServer) -> None:
    server.charts["BRK-B"] = chart(SPY)
    bars = source(server, symbols=("BRK-B",)).bars(FIRST, LAST)
    assert set(bars["symbol"]) == {"BRK-B", "SPY"}
    server.charts["BRK-B"] = chart(SPY, symbol="BRK.B")
    with pytest.raises(SourceRefused, match=r"BRK-B was asked for and 'BRK\.B'"):
        source(server, symbols=("BRK-B",)).bars(FIRST, LAST)


def test_a_refused_crumb_is_fetched_again_before_it_is_a_failure(server: YahooServer) -> None:
    server.script(Status(401, body={"chart": {"result": None, "error": {"description": "Invalid Crumb"}}}))
    source(server).session_range()
    assert sum(request.path.endswith("getcrumb") for request in server.requests) == 2


def test_a_stale_answer_is_a_late_vendor(server: YahooServer) -> None:
    server.charts["SPY"] = chart({day: row for day, row in SPY.items() if day < LAST})
    yahoo = source(server)
    assert yahoo.session_range() == (FIRST, date(2014, 6, 9))
    with pytest.raises(SourceUnavailable, match="2014-06-10: the session has closed, but the source's last is 2014-06"):
        fetch_raw_bars(yahoo, DAYS, last_complete=LAST, has_ended=False)


def test_bars_after_the_last_final_session_are_not_used(server: YahooServer) -> None:
    server.charts["SPY"] = chart({**SPY, date(2014, 6, 11): (1.0, 1)})
    assert source(server).session_range() == (FIRST, LAST)


def test_rows_out_of_order_are_put_in_order(server: YahooServer) -> None:
    server.charts["SPY"] = chart(dict(reversed(SPY.items())))
    bars = source(server).bars(FIRST, LAST)
    assert bars["close_raw_usd"].tolist() == [190.0 + number for number in range(7)]


@pytest.mark.parametrize("symbol", WRONG_SYMBOLS.values(), ids=WRONG_SYMBOLS)
def test_a_wrong_symbol_is_refused_before_anything_is_asked(server: YahooServer, symbol: str) -> None:
    with pytest.raises((ConfigurationError, MalformedData)) as refusal:
        source(server, symbols=("AAPL", symbol)).bars(FIRST, LAST)
    assert server.count == 0
    assert str(refusal.value).isprintable()
