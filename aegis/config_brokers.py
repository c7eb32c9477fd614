"""The block ``brokers:``: how each broker is reached.

Belongs here: names, types, defaults and bounds. Which broker trades is ``eval.live_trading.broker``. Keys belong in the
environment: ``AEGIS_BROKERS__ALPACA__KEY_ID`` and ``AEGIS_BROKERS__ALPACA__SECRET_KEY``.
"""

from __future__ import annotations

from pydantic import Field, SecretStr

from aegis.config_section import Section


class AlpacaBrokerSettings(Section):
    """Alpaca's trading through alpaca-py."""

    url: str = Field("https://paper-api.alpaca.markets", pattern=r"^https?://[^\s/]+$")
    stream_url: str | None = Field(None, pattern=r"^wss?://[^\s]+$", description="Default: /stream of the same host.")
    key_id: SecretStr | None = None
    secret_key: SecretStr | None = None
    connect_timeout_seconds: float = Field(5.0, gt=0)
    read_timeout_seconds: float = Field(10.0, gt=0, description="Longest silence of one answer.")
    attempts: int = Field(4, ge=1, le=20, description="Times that a question is asked, or an order sent, at most.")
    first_pause_seconds: float = Field(0.5, ge=0, description="After the first failure; then doubled.")
    longest_pause_seconds: float = Field(8.0, ge=0)
    poll_seconds: float = Field(30.0, gt=0, description="REST is asked this often for what the stream may have lost.")
    reconnect_first_seconds: float = Field(1.0, gt=0, description="Before the stream is opened again; then doubled.")
    reconnect_longest_seconds: float = Field(30.0, gt=0)
    heartbeat_seconds: float = Field(10.0, gt=0, description="Between two pings of the stream, and for their answer.")


class BrokersSettings(Section):
    """``brokers``: one block for each."""

    alpaca: AlpacaBrokerSettings = AlpacaBrokerSettings()
