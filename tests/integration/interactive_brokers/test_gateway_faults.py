"""Every fault of a gateway and of the way to it, met by the client library itself."""

from __future__ import annotations

import re
import socket
import struct
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aegis.errors import MalformedData, SourceRefused, SourceUnavailable
from aegis.market_data.ingestion import fetch_raw_bars
from tests.integration.interactive_brokers.small_market import (
    AAPL,
    CONTRACTS,
    DAYS,
    FIRST,
    HISTORY,
    LAST,
    MSFT,
    source,
)
from tests.integration.vendors.tws.faults import (
    Altered,
    Cut,
    Fault,
    Notice,
    RawBytes,
    Refusal,
    Reset,
    Silence,
    Stalled,
)
from tests.integration.vendors.tws.gateway import CONNECTED, TwsGateway
from tests.integration.vendors.tws.history import PACING, HistoryDesk
from tests.integration.vendors.tws.wire import Fields, ToGateway, frame

PASSING: dict[str, tuple[Fault, str]] = {
    "silence": (Silence(), "no answer within 1 s"),
    "a connection that ends before the answer": (Cut(0), "the connection ended"),
    "a connection that ends within the answer": (Cut(0.5), "the connection ended"),
    "half a frame and then silence": (Stalled(0.5), "no answer within 1 s"),
    "a reset": (Reset(), "the connection ended .*[Rr]eset"),
    "a pacing violation": (Refusal(162, PACING), "error 162.*pacing violation; the vendor asks to wait 60 s"),
    "a pacing violation by another number": (Refusal(420, "Invalid: pacing violation"), "error 420.*to wait 60 s"),
    "a cancelled query": (Refusal(162, "API historical data query cancelled"), "error 162: API historical"),
    "a query that is not known": (Refusal(366, "No historical data query found for ticker id:3"), "error 366"),
    "too many open queries": (Refusal(322, "Maximum number of queries exceeded"), "error 322"),
    "the gateway without its server": (Notice(1100, "Connectivity has been lost", is_cut_off=True), "error 1100"),
    "a broken data farm": (Notice(2105, "HMDS data farm is broken:ushmds", is_cut_off=True), "within 1 s.*error 2105"),
    "bytes that are no message": (RawBytes(b"\x00\x00\x00\x05abcd\x00"), "the client library cannot read: ValueError"),
    "a length beyond all measure": (RawBytes(b"\x7f\xff\xff\xff" + b"x" * 64), "no answer within 1 s"),
    "a page of a web server": (RawBytes(b"HTTP/1.1 200 OK\r\n\r\n<html></html>"), "no answer within 1 s"),
    "fewer bars than announced": (
        Altered(lambda answer: [(*answer[0][:4], "99", *answer[0][5:])]),
        "the client library cannot read: StopIteration",
    ),
    "a text in the place of a price": (
        Altered(lambda answer: [(*answer[0][:6], "high", *answer[0][7:])]),
        "the client library cannot read: ValueError: could not convert string to float: 'high'",
    ),
    "a day that is none": (
        Altered(lambda answer: [(*answer[0][:5], "20241399", *answer[0][6:])]),
        "the client library cannot read: ValueError",
    ),
    "an answer to another request": (
        Altered(lambda answer: [(answer[0][0], "9999", *answer[0][2:])]),
        "no answer within 1 s",
    ),
}  # fmt: skip
"""What may befall a request for bars, with a pattern of what a message calls it; asking again may help."""

REFUSALS: dict[str, tuple[Fault, str]] = {
    "no permission": (Refusal(162, "No market data permissions for ISLAND STK"), "error 162.*subscribe to the market"),
    "no subscription": (Refusal(354, "Requested market data is not subscribed"), "error 354.*subscribe"),
    "a parameter": (Refusal(321, "Error validating request"), "error 321.*does not accept a parameter"),
}


def _waiting_for(*waited_for: str) -> list[Any]:
    """Return the faults; of those that cost a timeout, all but the named ones are left to the long tests."""
    return [
        pytest.param(
            fault, cause, id=name, marks=[pytest.mark.long] if "1 s" in cause and name not in waited_for else []
        )
        for name, (fault, cause) in PASSING.items()
    ]


@pytest.mark.parametrize(("fault", "cause"), _waiting_for("silence", "half a frame and then silence"))
def test_a_fault_that_passes_is_outlived(
    gateway: TwsGateway, actions: Path, healthy: pd.DataFrame, fault: Fault, cause: str
) -> None:
    gateway.script(HISTORY, None, fault)
    assert cause
    pd.testing.assert_frame_equal(source(gateway, actions).bars(FIRST, LAST), healthy)
    assert len(gateway.received(HISTORY)) == 4


@pytest.mark.parametrize(("fault", "cause"), _waiting_for("silence"))
def test_a_fault_that_stays_is_named_after_every_attempt(
    gateway: TwsGateway, actions: Path, fault: Fault, cause: str
) -> None:
    gateway.always(HISTORY, fault)
    with pytest.raises(SourceUnavailable) as failure:
        source(gateway, actions, attempts=1).session_range()
    text = str(failure.value)
    assert text.startswith(
        "Interactive Brokers: daily bars of AAPL from 2024-06-03 to 2024-06-14: no answer in 1 of 1 attempt(s): "
    )
    assert re.search(cause, text)
    assert text.isprintable()
    assert len(gateway.received(HISTORY)) == 1


@pytest.mark.parametrize(("fault", "cause"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_final(gateway: TwsGateway, actions: Path, fault: Fault, cause: str) -> None:
    gateway.always(HISTORY, fault)
    with pytest.raises(SourceRefused, match=f"AAPL.*in 1 of 3 attempt.*{cause}"):
        source(gateway, actions).session_range()


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        pytest.param(CONNECTED, Silence(), marks=pytest.mark.long),
        (CONNECTED, Cut(0)),
        (CONNECTED, Cut(0.5)),
        (CONNECTED, Reset()),
        pytest.param(CONNECTED, RawBytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"), marks=pytest.mark.long),
        (CONNECTED, RawBytes(frame(("version", "soon")))),
        pytest.param(ToGateway.START_API, Silence(), marks=pytest.mark.long),
        (ToGateway.START_API, Cut(0.3)),
        (ToGateway.CURRENT_TIME, Silence()),
        (ToGateway.CURRENT_TIME, Cut(0.5)),
        pytest.param(CONTRACTS, Silence(), marks=pytest.mark.long),
        pytest.param(CONTRACTS, Stalled(0.9), marks=pytest.mark.long),
        (CONTRACTS, Cut(0.9)),
        (CONTRACTS, Refusal(322, "Error processing request")),
    ],
    ids=lambda value: f"{value}",
)
def test_a_fault_on_the_way_to_the_bars_is_outlived_and_named(
    gateway: TwsGateway, actions: Path, healthy: pd.DataFrame, number: int, fault: Fault
) -> None:
    gateway.script(number, fault)
    pd.testing.assert_frame_equal(source(gateway, actions).bars(FIRST, LAST), healthy)
    gateway.always(number, fault)
    with pytest.raises(
        SourceUnavailable, match=r"(the time|contracts of AAPL, MSFT, SPY): no answer in 1 of 1 attempt"
    ):
        source(gateway, actions, attempts=1).session_range()


def test_a_refused_connection_says_where_nobody_listens(actions: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        port = int(reserved.getsockname()[1])
    with pytest.raises(SourceUnavailable, match=rf"ConnectionRefusedError: .*{port}.*market_data\.interactive_brokers"):
        source(port, actions).session_range()


def test_every_attempt_after_a_lost_connection_connects_anew(gateway: TwsGateway, actions: Path) -> None:
    gateway.script(HISTORY, Cut(0.5), None, Silence())
    source(gateway, actions).session_range()
    assert gateway.connections == 3


def test_a_client_id_in_use_is_named_with_its_setting(gateway: TwsGateway, actions: Path) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port)) as other:
        other.sendall(b"API\0" + struct.pack(">I", 9) + b"v157..176")
        other.recv(64)
        other.sendall(frame(("71", "2", "71", "")))
        other.recv(64)  # logged on
        with pytest.raises(
            SourceUnavailable, match=r"3 of 3 attempt.*error 326.*set market_data\.interactive_brokers\.client_id"
        ):
            source(gateway, actions).session_range()


def test_a_gateway_that_states_volume_by_an_old_rule_is_refused(gateway: TwsGateway, actions: Path) -> None:
    gateway.server_version = 163
    with pytest.raises(SourceRefused, match=r"protocol 163 of the gateway is older than 164; update TWS"):
        source(gateway, actions).session_range()


def test_notices_that_all_is_well_change_nothing(gateway: TwsGateway, actions: Path, healthy: pd.DataFrame) -> None:
    gateway.always(HISTORY, Notice(2106, "HMDS data farm connection is OK:ushmds"))
    gateway.always(CONTRACTS, Notice(1102, "Connectivity has been restored - data maintained."))
    pd.testing.assert_frame_equal(source(gateway, actions).bars(FIRST, LAST), healthy)


def test_an_answer_without_bars_is_a_failure(gateway: TwsGateway, desk: HistoryDesk, actions: Path) -> None:
    desk.bars[AAPL.con_id] = desk.bars[MSFT.con_id] = []
    with pytest.raises(SourceUnavailable, match=r"no bars for 2 of 3 symbols \(AAPL, MSFT\) from 2024-06-03"):
        source(gateway, actions).bars(FIRST, LAST)


def test_an_empty_list_of_bars_is_a_failure(gateway: TwsGateway, actions: Path) -> None:
    gateway.always(HISTORY, Altered(lambda answer: [(*answer[0][:4], "0")]))
    with pytest.raises(SourceUnavailable, match="no bars for 3 of 3 symbols"):
        source(gateway, actions).bars(FIRST, LAST)


def test_a_stale_answer_is_a_late_vendor(gateway: TwsGateway, desk: HistoryDesk, actions: Path) -> None:
    desk.bars = {number: bars[:-2] for number, bars in desk.bars.items()}
    vendor = source(gateway, actions)
    assert vendor.session_range() == (FIRST, date(2024, 6, 12))
    with pytest.raises(SourceUnavailable, match="2024-06-14: the session has closed, but the source's last is 2024-06"):
        fetch_raw_bars(vendor, DAYS, last_complete=LAST, has_ended=False)


def test_a_late_answer_to_an_earlier_request_meets_nobody(
    gateway: TwsGateway, actions: Path, healthy: pd.DataFrame
) -> None:
    """The answer to a request that timed out comes just before that of the next one, with wrong prices."""
    late: list[Fields] = []

    def keep(answer: list[Fields]) -> list[Fields]:
        late.extend([(*answer[0][:6], *["7"] * (len(answer[0]) - 6))])
        return []

    gateway.script(HISTORY, Altered(keep), Altered(lambda answer: [*late, *answer]))
    pd.testing.assert_frame_equal(source(gateway, actions).bars(FIRST, LAST), healthy)


@pytest.mark.parametrize(
    ("at", "text", "message"),
    [
        (6, "nan", r"Interactive Brokers AAPL 2024-06-03 open_raw_usd: .*found nan"),
        (10, "inf", r"AAPL 2024-06-03 volume_shares: .*found inf"),
        (5, "20240603 10:00:00 America/New_York", "expected a day"),
        (5, "1717372800", "expected a day"),
    ],
    ids=["a price that is no number", "an endless volume", "an hour", "a second"],
)
def test_a_bar_of_another_shape_is_refused(
    gateway: TwsGateway, actions: Path, at: int, text: str, message: str
) -> None:
    gateway.always(HISTORY, Altered(lambda answer: [(*answer[0][:at], text, *answer[0][at + 1 :])]))
    with pytest.raises(MalformedData, match=message):
        source(gateway, actions).bars(FIRST, LAST)


def test_a_row_given_twice_is_kept_for_the_gate_to_name(gateway: TwsGateway, desk: HistoryDesk, actions: Path) -> None:
    desk.bars[AAPL.con_id].insert(3, desk.bars[AAPL.con_id][3])
    bars = source(gateway, actions).bars(FIRST, LAST)
    assert int(bars.duplicated(["session", "symbol"]).sum()) == 1


def test_rows_out_of_order_are_put_in_order(
    gateway: TwsGateway, desk: HistoryDesk, actions: Path, healthy: pd.DataFrame
) -> None:
    desk.bars = {number: bars[::-1] for number, bars in desk.bars.items()}
    pd.testing.assert_frame_equal(source(gateway, actions).bars(FIRST, LAST), healthy)
