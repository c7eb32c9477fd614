"""The blocks of ``market_data:`` about vendors that are asked over a network.

Belongs here: names, types, defaults and bounds. The other blocks are :mod:`aegis.config`; how the numbers about calls
are kept is :mod:`aegis.market_data.sources.call_policy`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from aegis.config_section import Section


class CallSettings(Section):
    """How often and how long a vendor is asked; every network vendor has these, with defaults of its own."""

    attempts: int = Field(4, ge=1, le=20, description="Times that one request is sent at most.")
    timeout_seconds: float = Field(30.0, gt=0, description="Longest silence of one attempt.")
    total_timeout_seconds: float = Field(180.0, gt=0, description="Of all attempts of one request and their pauses.")
    first_pause_seconds: float = Field(1.0, ge=0, description="Longest pause after the first failure; then doubled.")
    longest_pause_seconds: float = Field(30.0, ge=0)
    requests_per_minute: float = Field(200.0, gt=0)
    burst_requests: int = Field(10, ge=1, description="Requests that may be sent at once after a quiet time.")

    @model_validator(mode="after")
    def _the_first_attempt_fits(self) -> Self:
        if self.total_timeout_seconds < self.timeout_seconds:
            raise ValueError(
                f"total_timeout_seconds {self.total_timeout_seconds:g} is less than timeout_seconds "
                f"{self.timeout_seconds:g}; raise the first or lower the second"
            )
        return self


class YahooSettings(CallSettings):
    """Yahoo Finance through yfinance."""

    symbols: tuple[str, ...] = (
        "AAPL", "MSFT", "AMZN", "GOOGL", "META", "NVDA", "JPM", "BAC", "WFC", "XOM", "CVX", "JNJ", "PFE", "MRK", "PG",
        "KO", "PEP", "WMT", "COST", "HD", "MCD", "NKE", "DIS", "CAT", "BA", "HON", "UNP", "IBM", "INTC", "CSCO",
    )  # fmt: skip
    first_session: date = date(2014, 1, 2)
    attempts: int = Field(3, ge=1, le=20)
    total_timeout_seconds: float = Field(600.0, gt=0)
    requests_per_minute: float = Field(120.0, gt=0)
    burst_requests: int = Field(20, ge=1)


class AlpacaSettings(CallSettings):
    """Alpaca's historical stock data through alpaca-py."""

    symbols: tuple[str, ...] = ("AAPL", "MSFT", "AMZN", "GOOGL", "META", "NVDA", "JPM", "XOM", "JNJ", "PG")
    symbols_as_of: date | None = Field(None, description="Day on which the symbols were the tickers; default today.")
    first_session: date = date(2016, 1, 4)
    feed: Literal["sip", "iex"] = "sip"
    key_id: SecretStr | None = None
    secret_key: SecretStr | None = None
    url: str = Field("https://data.alpaca.markets", pattern=r"^https?://[^\s/]+$")


class CryptoSettings(CallSettings):
    """Daily bars of a crypto exchange that asks for no key, through ccxt."""

    exchange: Literal["coinbaseexchange"] = "coinbaseexchange"
    symbols: tuple[str, ...] = ("BTC/USD", "ETH/USD", "LTC/USD", "SOL/USD", "LINK/USD")
    first_session: date = date(2018, 1, 1)
    url: str | None = Field(None, pattern=r"^https?://[^\s/]+$", description="Default: the exchange's own.")


class InteractiveBrokersSettings(CallSettings):
    """Interactive Brokers' historical bars through TWS or IB Gateway."""

    symbols: tuple[str, ...] = ("AAPL", "MSFT", "AMZN", "GOOGL", "META", "NVDA", "JPM", "XOM", "JNJ", "PG")
    first_session: date = date(2016, 1, 4)
    host: str = Field("127.0.0.1", pattern=r"^[A-Za-z0-9.:-]+$")
    port: int = Field(
        4002, ge=1, le=65535, description="IB Gateway: 4002 paper, 4001 live. TWS: 7497 paper, 7496 live."
    )
    client_id: int = Field(
        71, ge=1, lt=2**31, description="One that no other program uses; 0 would bind manual orders."
    )
    actions_file: Path | None = Field(
        None, description="Splits and dividends, which the gateway does not state, as in `actions.csv` of files."
    )
    primary_exchanges: dict[str, str] = Field(
        default_factory=dict, description="Where a symbol that stands for several stocks is listed, such as NASDAQ."
    )
    volume_unit_shares: Literal[1, 100] = Field(
        1, description="100 where the gateway is set to send market data in lots for US stocks."
    )
    attempts: int = Field(3, ge=1, le=20)
    timeout_seconds: float = Field(60.0, gt=0)
    total_timeout_seconds: float = Field(600.0, gt=0)
    requests_per_minute: float = Field(5.0, gt=0)
    burst_requests: int = Field(10, ge=1)
