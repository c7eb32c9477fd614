"""The block ``brokers:``: how each broker is reached.

Belongs here: names, types, defaults and bounds. Which broker trades is ``eval.live_trading.broker``. Keys belong in the
environment: ``AEGIS_BROKERS__ALPACA__KEY_ID`` and ``AEGIS_BROKERS__ALPACA__SECRET_KEY``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from aegis.config_section import Section


class AlpacaBrokerSettings(Section):
    """Alpaca's trading through alpaca-py."""

    url: str = Field("https://paper-api.alpaca.markets", pattern=r"^https?://[^\s/]+$")
    stream_url: str | None = Field(None, pattern=r"^wss?://[^\s]+$", description="Default: /stream of the same host.")
    key_id: SecretStr | None = None
    secret_key: SecretStr | None = None
    account: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9]+$",
        description="Its number at Alpaca, compared at every start; needed to trade live.",
    )
    connect_timeout_seconds: float = Field(5.0, gt=0)
    read_timeout_seconds: float = Field(10.0, gt=0, description="Longest silence of one answer.")
    attempts: int = Field(4, ge=1, le=20, description="Times that a question is asked, or an order sent, at most.")
    first_pause_seconds: float = Field(0.5, ge=0, description="After the first failure; then doubled.")
    longest_pause_seconds: float = Field(8.0, ge=0)
    poll_seconds: float = Field(30.0, gt=0, description="REST is asked this often for what the stream may have lost.")
    reconnect_first_seconds: float = Field(1.0, gt=0, description="Before the stream is opened again; then doubled.")
    reconnect_longest_seconds: float = Field(30.0, gt=0)
    heartbeat_seconds: float = Field(10.0, gt=0, description="Between two pings of the stream, and for their answer.")


class InteractiveBrokersBrokerSettings(Section):
    """Interactive Brokers' trading through TWS or IB Gateway."""

    host: str = Field("127.0.0.1", pattern=r"^[A-Za-z0-9.:-]+$")
    port: int = Field(
        4002, ge=1, le=65535, description="IB Gateway: 4002 paper, 4001 live. TWS: 7497 paper, 7496 live."
    )
    client_id: int = Field(
        72, ge=1, lt=2**31, description="One that no other program uses, and always the same: others cannot cancel."
    )
    account: str | None = Field(
        None, pattern=r"^[A-Z][A-Z0-9]+$", description="Default: the only one that the gateway manages."
    )
    primary_exchanges: dict[str, str] = Field(
        default_factory=dict, description="Where a symbol that stands for several stocks is listed, such as NASDAQ."
    )
    time_zone: str = Field("America/New_York", description="Of times that the gateway states without one.")
    connect_timeout_seconds: float = Field(10.0, gt=0, description="Of connecting, and of waiting for a connection.")
    answer_timeout_seconds: float = Field(10.0, gt=0, description="Longest silence after one request.")
    attempts: int = Field(4, ge=1, le=20, description="Times that a question is asked, or an order sent, at most.")
    first_pause_seconds: float = Field(0.5, ge=0, description="After the first failure; then doubled.")
    longest_pause_seconds: float = Field(8.0, ge=0)
    poll_seconds: float = Field(30.0, gt=0, description="The gateway is asked this often for what events have lost.")
    reconnect_first_seconds: float = Field(1.0, gt=0, description="Before the gateway is reached again; then doubled.")
    reconnect_longest_seconds: float = Field(30.0, gt=0)
    commission_wait_seconds: float = Field(2.0, ge=0, description="How long a fill waits for its commission.")


class RouteSettings(Section):
    """One rule of ``brokers.multi``: which symbols go to which brokers."""

    brokers: dict[str, float] = Field(description="Names of brokers, and the part of the symbols that each takes.")
    symbols: tuple[str, ...] = Field((), description="Permanent symbols that it is for; none: all.")
    asset_kinds: tuple[Literal["stock", "crypto"], ...] = Field((), description="Kinds that it is for; none: all.")


class MultiBrokerSettings(Section):
    """Several brokers at once; the first rule that fits a symbol decides, and what none fits is rejected."""

    routes: tuple[RouteSettings, ...] = ()


class BrokersSettings(Section):
    """``brokers``: one block for each."""

    alpaca: AlpacaBrokerSettings = AlpacaBrokerSettings()
    interactive_brokers: InteractiveBrokersBrokerSettings = InteractiveBrokersBrokerSettings()
    multi: MultiBrokerSettings = MultiBrokerSettings()
