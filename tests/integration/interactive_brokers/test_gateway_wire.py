"""The gateway of the tests, byte by byte: what it sends is decoded here by hand, without the code that wrote it.

Expected fields are those of Interactive Brokers' protocol at version 176; the client library reads the same messages in
the other tests.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import date

import pytest

from tests.integration.interactive_brokers.small_market import AAPL, NOW
from tests.integration.vendors.tws.gateway import TwsGateway
from tests.integration.vendors.tws.history import Bar, HistoryDesk

HELLO = b"API\x00\x00\x00\x00\x09v157..176"


@pytest.fixture
def gateway() -> Iterator[TwsGateway]:
    bars = [Bar(date(2024, 6, day), 194.64, 195.32, 192.625, 194.03, 47_471_445) for day in (3, 4)]
    with TwsGateway(HistoryDesk([AAPL], {AAPL.con_id: bars}, now=NOW)) as started:
        yield started


class Wire:
    """A client of nothing but bytes."""

    def __init__(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=10)

    def send(self, text: str) -> None:
        body = text.replace("|", "\0").encode()
        self.connection.sendall(len(body).to_bytes(4, "big") + body)

    def next(self) -> list[str]:
        size = int.from_bytes(self._exactly(4), "big")
        body = self._exactly(size)
        assert body.endswith(b"\0")
        return body[:-1].decode("ascii").split("\0")

    def _exactly(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            received += self.connection.recv(size - len(received)) or pytest.fail("the gateway closed the connection")
        return received


@pytest.fixture
def wire(gateway: TwsGateway) -> Iterator[Wire]:
    client = Wire(gateway.port)
    with client.connection:
        client.connection.sendall(HELLO)
        assert client.next()[0] == "176"
        client.send("71|2|9||")
        assert client.next() == ["15", "1", "DU0000001"]
        assert client.next() == ["9", "1", "1"]
        greetings = [client.next()[:4] for _ in range(3)]
        assert greetings == [["4", "2", "-1", code] for code in ("2104", "2106", "2158")]
        yield client


def test_the_handshake_is_the_version_and_the_time_and_nothing_else(gateway: TwsGateway) -> None:
    client = Wire(gateway.port)
    with client.connection:
        client.connection.sendall(HELLO)
        assert client.connection.recv(4) == b"\x00\x00\x00\x1a"
        assert client._exactly(0x1A) == b"176\x0020241122 09:00:00 EST\x00"


def test_an_older_client_is_answered_in_its_own_version(gateway: TwsGateway) -> None:
    client = Wire(gateway.port)
    with client.connection:
        client.connection.sendall(b"API\x00\x00\x00\x00\x09v100..170")
        assert client.next()[0] == "170"


def test_the_current_time_is_in_seconds(wire: Wire) -> None:
    wire.send("49|1|")
    assert wire.next() == ["49", "1", "1718629200"]  # 2024-06-17 13:00 UTC


def test_contract_details_have_every_field_of_the_protocol(wire: Wire) -> None:
    wire.send("9|8|3|0|AAPL|STK||0.0|||SMART||USD|||0||||")
    told = wire.next()
    assert told[:2] == ["10", "3"]  # no version from protocol 164 on
    assert (told[2], told[3], told[7], told[8], told[12]) == ("AAPL", "STK", "SMART", "USD", "265598")
    assert (told[19], told[20], told[22]) == ("APPLE INC", "NASDAQ", "Technology")
    assert told[30] == "0"  # numbers by which others know it
    assert len(told) == 40
    assert wire.next() == ["52", "1", "3"]


def test_an_unknown_contract_is_error_200(wire: Wire) -> None:
    wire.send("9|8|4|0|XYZ|STK||0.0|||SMART||USD|||0||||")
    assert wire.next()[:4] == ["4", "2", "4", "200"]


def test_bars_come_in_one_message_with_eight_fields_each(wire: Wire) -> None:
    wire.send("20|5|265598|AAPL|STK||0.0|||SMART||USD|||0|20240614-23:59:59|1 day|12 D|1|TRADES|1|0||")
    told = wire.next()
    assert (told[:2], told[4]) == (["17", "5"], "2")
    assert told[5:13] == ["20240603", "194.64", "195.32", "192.625", "194.03", "47471445", "194.03", "1000"]
    assert len(told) == 5 + 2 * 8


def test_a_range_without_bars_is_error_162(wire: Wire) -> None:
    wire.send("20|6|265598|AAPL|STK||0.0|||SMART||USD|||0|20200614-23:59:59|1 day|12 D|1|TRADES|1|0||")
    told = wire.next()
    assert told[:4] == ["4", "2", "6", "162"]
    assert told[4].endswith("HMDS query returned no data: AAPL@SMART Trades")
    assert len(told) == 6  # the last field, the reason of a rejected order, is empty


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("20|7|265598|AAPL|STK||0.0|||SMART||USD|||0|20240614-23:59:59|1 day|366 D|1|TRADES|1|0||", "321"),
        ("20|7|265598|AAPL|STK||0.0|||SMART||USD|||0|20240614-23:59:59|1 hour|12 D|1|TRADES|1|0||", "321"),
        ("25|1|7|", "366"),
    ],
    ids=["too many days", "another bar size", "a cancel of nothing"],
)
def test_what_it_does_not_serve_is_refused_by_its_number(wire: Wire, request_: str, code: str) -> None:
    wire.send(request_)
    assert wire.next()[2:4] == ["7", code]


def test_an_unknown_message_is_error_505(wire: Wire) -> None:
    wire.send("999|1|")
    assert wire.next()[:4] == ["4", "2", "-1", "505"]


def test_the_same_client_id_is_error_326_and_the_end(gateway: TwsGateway, wire: Wire) -> None:
    second = Wire(gateway.port)
    with second.connection:
        second.connection.sendall(HELLO)
        second.next()
        second.send("71|2|9||")
        assert second.next()[:4] == ["4", "2", "-1", "326"]
        assert second.connection.recv(1) == b""
    wire.send("49|1|")
    assert wire.next()[0] == "49"
