"""The TWS wire: frames, message numbers, and how a contract and an error stand in a message.

Written from Interactive Brokers' published description of the protocol and from what its clients send. A message is its
length in four bytes, most significant first, and then its fields, each ended by a NUL.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

SIGNATURE = b"API\0"
SERVER_VERSION = 176
LONGEST_FRAME = 1 << 20


class ToGateway:
    """Numbers of the client's messages."""

    MARKET_DATA = 1
    CANCEL_MARKET_DATA = 2
    PLACE_ORDER = 3
    CANCEL_ORDER = 4
    OPEN_ORDERS = 5
    ACCOUNT_UPDATES = 6
    EXECUTIONS = 7
    NEXT_ORDER_ID = 8
    CONTRACT_DETAILS = 9
    AUTO_OPEN_ORDERS = 15
    ALL_OPEN_ORDERS = 16
    HISTORICAL_DATA = 20
    CANCEL_HISTORICAL_DATA = 25
    CURRENT_TIME = 49
    GLOBAL_CANCEL = 58
    MARKET_DATA_TYPE = 59
    POSITIONS = 61
    ACCOUNT_SUMMARY = 62
    CANCEL_ACCOUNT_SUMMARY = 63
    CANCEL_POSITIONS = 64
    START_API = 71
    ACCOUNT_UPDATES_MULTI = 76
    COMPLETED_ORDERS = 99


class ToClient:
    """Numbers of the gateway's messages."""

    TICK_PRICE = 1
    TICK_SIZE = 2
    ORDER_STATUS = 3
    ERROR = 4
    OPEN_ORDER = 5
    ACCOUNT_VALUE = 6
    PORTFOLIO_VALUE = 7
    NEXT_VALID_ID = 9
    CONTRACT_DETAILS = 10
    EXECUTION = 11
    MANAGED_ACCOUNTS = 15
    HISTORICAL_DATA = 17
    TICK_GENERIC = 45
    CURRENT_TIME = 49
    CONTRACT_DETAILS_END = 52
    OPEN_ORDER_END = 53
    ACCOUNT_DOWNLOAD_END = 54
    EXECUTION_END = 55
    MARKET_DATA_TYPE = 58
    COMMISSION_REPORT = 59
    POSITION = 61
    POSITION_END = 62
    ACCOUNT_SUMMARY = 63
    ACCOUNT_SUMMARY_END = 64
    ACCOUNT_UPDATE_MULTI = 73
    ACCOUNT_UPDATE_MULTI_END = 74
    HISTORICAL_DATA_UPDATE = 90
    COMPLETED_ORDER = 101
    COMPLETED_ORDERS_END = 102


Fields = tuple[str, ...]


@dataclass(frozen=True)
class Contract:
    """A stock as the gateway knows it."""

    con_id: int
    symbol: str
    primary_exchange: str = "NASDAQ"
    currency: str = "USD"
    name: str = ""
    industry: str = "Technology"
    security_type: str = "STK"
    trading_class: str = "NMS"


@dataclass(frozen=True)
class AskedContract:
    """The contract of a request, which may leave most of it open."""

    con_id: int
    symbol: str
    security_type: str
    exchange: str
    primary_exchange: str
    currency: str

    @classmethod
    def of(cls, fields: Fields) -> AskedContract:
        """Read the twelve fields in which a client names a contract."""
        con_id, symbol, kind, _expiry, _strike, _right, _multiplier, exchange, primary, currency, _, _ = fields
        return cls(int(con_id or 0), symbol, kind, exchange, primary, currency)

    def fits(self, contract: Contract) -> bool:
        """Whether what was asked allows this contract."""
        return all(
            not asked or asked == known
            for asked, known in (
                (self.con_id, contract.con_id),
                (self.symbol, contract.symbol),
                (self.security_type, contract.security_type),
                (self.primary_exchange, contract.primary_exchange),
                (self.currency, contract.currency),
            )
        )


def message(number: int, *fields: object) -> Fields:
    """Return a message's fields as they go over the wire."""
    return (str(number), *(("1" if value else "0") if isinstance(value, bool) else str(value) for value in fields))


def frame(fields: Fields) -> bytes:
    """Return a message as bytes."""
    body = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def error(request_id: int, code: int, text: str) -> Fields:
    """Return an error or notice; notices have the request id -1."""
    return message(ToClient.ERROR, 2, request_id, code, text, "")


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Return the next bytes, or raise `ConnectionError` when the client has gone."""
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise ConnectionError("the client closed the connection")
        received += part
    return received


def receive_frame(connection: socket.socket) -> bytes:
    """Return the body of the next frame."""
    (size,) = struct.unpack(">I", receive_exactly(connection, 4))
    if size > LONGEST_FRAME:
        raise ConnectionError(f"a frame of {size} bytes")
    return receive_exactly(connection, size)


def fields_of(body: bytes) -> Fields:
    """Return the fields of a frame's body."""
    return tuple(body.decode().split("\0")[:-1])
