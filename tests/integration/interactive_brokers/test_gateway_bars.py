"""Interactive Brokers through its client library itself, against a gateway here that speaks TWS's wire protocol."""

from __future__ import annotations

import threading
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from aegis.errors import SourceUnavailable
from tests.fake_stopwatch import FakeStopwatch
from tests.integration.interactive_brokers.small_market import (
    CONTRACTS,
    DAYS,
    FIRST,
    HISTORY,
    LAST,
    SPY,
    XNYS,
    rising,
    source,
)
from tests.integration.vendors.tws.faults import (
    Altered,
    Cut,
    Refusal,
    Reset,
)
from tests.integration.vendors.tws.gateway import TwsGateway
from tests.integration.vendors.tws.history import HistoryDesk
from tests.integration.vendors.tws.wire import Contract, Fields, ToClient, ToGateway, error, message


def test_bars_come_under_their_symbols_and_are_known_after_the_close(gateway: TwsGateway, actions: Path) -> None:
    vendor = source(gateway, actions)
    bars = vendor.bars(FIRST, LAST)
    apple = bars[bars["symbol"] == "AAPL"]
    assert apple["close_raw_usd"].tolist() == [100.0 + number for number in range(10)]
    assert apple["session"].dt.date.tolist() == DAYS
    first = apple.iloc[0]
    assert (first["open_raw_usd"], first["high_raw_usd"], first["low_raw_usd"], first["volume_shares"]) == (
        100.0, 101.0, 99.0, 1_000_000.0,
    )  # fmt: skip
    assert set(bars["source"]) == {"interactive_brokers"}
    assert first["known_at_utc"] == pd.Timestamp("2024-06-03 20:15", tz="UTC")
    assert vendor.session_range() == (FIRST, LAST)
    listings = vendor.listings().set_index("symbol")
    assert listings.loc["AAPL", ["name", "sector"]].tolist() == ["APPLE INC", "Technology"]


def test_one_connection_serves_all_requests_and_is_closed(gateway: TwsGateway, actions: Path) -> None:
    source(gateway, actions).session_range()
    assert gateway.connections == 1
    assert [request.number for request in gateway.requests] == [
        ToGateway.START_API, ToGateway.CURRENT_TIME, *[CONTRACTS] * 3, *[HISTORY] * 3,
    ]  # fmt: skip
    assert [thread.name for thread in threading.enumerate() if thread.name == "interactive-brokers"] == []


def test_it_answers_within_a_thread_that_has_no_event_loop(gateway: TwsGateway, actions: Path) -> None:
    found: list[tuple[date, date]] = []
    thread = threading.Thread(target=lambda: found.append(source(gateway, actions).session_range()))
    thread.start()
    thread.join()
    assert found == [(FIRST, LAST)]


def test_what_is_asked_for_is_daily_trades_of_regular_hours_by_contract_id(gateway: TwsGateway, actions: Path) -> None:
    source(gateway, actions, client_id=5).session_range()
    asked = gateway.received(HISTORY)[0].fields
    assert (asked[2], asked[15:21]) == ("265598", ("20240614-23:59:59", "1 day", "12 D", "1", "TRADES", "1"))
    assert gateway.received(ToGateway.START_API)[0].fields[2] == "5"


def test_long_histories_are_asked_for_in_ranges_that_meet(
    gateway: TwsGateway, desk: HistoryDesk, actions: Path
) -> None:
    days = XNYS.sessions(date(2013, 6, 3), LAST)
    desk.bars[SPY.con_id] = rising(100, days)
    bars = source(gateway, actions, symbols=("SPY",), first_session=days[0]).bars(days[0], LAST)
    assert bars["session"].dt.date.tolist() == days
    asked = [(request.fields[15], request.fields[17]) for request in gateway.received(HISTORY)]
    assert asked == [("20240614-23:59:59", "8 Y"), ("20160616-23:59:59", "4 Y")]


def test_nothing_is_asked_before_a_range_without_bars(gateway: TwsGateway, actions: Path) -> None:
    source(gateway, actions, symbols=("SPY",), first_session=date(1993, 1, 29)).session_range()
    assert len(gateway.received(HISTORY)) == 2


def test_the_unfinished_session_is_not_returned_even_when_it_is_delivered(gateway: TwsGateway, actions: Path) -> None:
    earlier = date(2024, 6, 12)

    def with_today(answer: list[Fields]) -> list[Fields]:
        bars = [field for bar in rising(100) for field in bar.fields]
        return [message(ToClient.HISTORICAL_DATA, answer[0][1], "", "", len(DAYS), *bars)]

    gateway.always(HISTORY, Altered(with_today))
    assert source(gateway, actions, last=earlier).session_range() == (FIRST, earlier)


def test_many_symbols_keep_every_pacing_rule(gateway: TwsGateway, desk: HistoryDesk, actions: Path) -> None:
    watch = FakeStopwatch()
    desk.stopwatch = watch
    names = [f"A{number}" for number in range(70)]
    desk.contracts += [Contract(number + 1, name) for number, name in enumerate(names)]
    desk.bars |= {number + 1: rising(50) for number in range(70)}
    gateway.script(HISTORY, *[None] * 20, Refusal(162, "API historical data query cancelled"), None, Reset())
    vendor = source(gateway, actions, symbols=names, watch=watch, timeout_seconds=2.0)
    assert vendor.listings()["symbol"].nunique() == 71
    assert desk.violations == []
    assert len(gateway.received(HISTORY)) == 73
    assert watch.now > 600


@pytest.mark.long  # the client library sends 45 messages a second
def test_a_faster_rate_meets_the_gateways_rule_and_is_told_so(
    gateway: TwsGateway, desk: HistoryDesk, actions: Path
) -> None:
    watch = FakeStopwatch()
    desk.stopwatch = watch
    names = [f"A{number}" for number in range(70)]
    desk.contracts += [Contract(number + 1, name) for number, name in enumerate(names)]
    desk.bars |= {number + 1: rising(50) for number in range(70)}
    vendor = source(
        gateway, actions, symbols=names, watch=watch, timeout_seconds=5.0, requests_per_minute=600, burst_requests=100
    )
    with pytest.raises(SourceUnavailable, match=r"daily bars of A60.*pacing violation; the vendor asks to wait 60 s"):
        vendor.session_range()
    assert set(desk.violations) == {"more than 60 requests within ten minutes"}


def test_what_asking_cost_is_said(gateway: TwsGateway, actions: Path) -> None:
    gateway.script(HISTORY, Cut(0.5))
    note = source(gateway, actions).coverage_notes()[0]
    assert note.startswith("Interactive Brokers: 5 request(s) in 6 attempt(s), 1 of which failed")


def test_an_error_that_names_no_request_is_not_an_answer(
    gateway: TwsGateway, actions: Path, healthy: pd.DataFrame
) -> None:
    gateway.greetings = [*gateway.greetings, error(-1, 2103, "Market data farm connection is broken:usfarm")]
    pd.testing.assert_frame_equal(source(gateway, actions).bars(FIRST, LAST), healthy)
