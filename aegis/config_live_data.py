"""The block ``eval.live_trading.market_data``: which source tells a trader of quotes and minutes, and what is believed.

Belongs here: names, types, defaults and bounds. Keys, addresses of history and the policy of calls are those of the
vendor's block in ``market_data`` (:mod:`aegis.config_vendors`), which each source of live data reads as well.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis.config_section import Section

LiveDataSource = Literal["simulated", "yahoo", "alpaca", "interactive_brokers"]


class SimulatedFeedSettings(Section):
    """Quotes made from minute bars."""

    half_spread_bps: float = Field(1.0, ge=0, le=1_000, description="Of the last close, on either side of it.")
    quotes_before_open_minutes: int = Field(
        30, ge=0, le=330, description="How long before the opening the close before it is quoted."
    )


class AlpacaFeedSettings(Section):
    """Alpaca's stream of stock data; keys, feed and history are those of ``market_data.alpaca``."""

    url: str = Field("wss://stream.data.alpaca.markets", pattern=r"^wss?://[^\s/]+$")
    quote_unit_shares: Literal[1, 100] = Field(100, description="What sizes of quotes count: round lots, or shares.")
    trades: bool = True
    """Whether single trades are subscribed to as well; many messages."""


class InteractiveBrokersFeedSettings(Section):
    """Interactive Brokers' ticks; address and primary exchanges are those of ``market_data.interactive_brokers``."""

    client_id: int = Field(73, ge=1, lt=2**31, description="One that no other program uses.")
    quote_unit_shares: Literal[1, 100] = Field(
        1, description="100 where the gateway is set to send sizes of US stocks in lots."
    )


class YahooFeedSettings(Section):
    """Yahoo's quotes, which are asked for again and again; the policy of calls is that of ``market_data.yahoo``."""

    poll_seconds: float = Field(15.0, ge=1, le=900, description="From one round of questions to the next.")
    symbols_a_request: int = Field(50, ge=1, le=200)


class LiveDataSettings(Section):
    """``eval.live_trading.market_data``."""

    source: LiveDataSource | None = Field(None, description="Default: that of eval.live_trading.broker.")
    max_clock_ahead_seconds: float = Field(
        1.0, ge=0, le=60, description="How far a vendor's time may be ahead of ours; beyond it is refused."
    )
    max_spread_fraction: float = Field(
        0.25, gt=0, le=2, description="Of the middle; a wider quote is a stub that nobody means."
    )
    max_jump_fraction: float = Field(
        0.25, gt=0, le=10, description="From the quote before; a further one is believed when it is said again."
    )
    jump_confirmation_seconds: float = Field(2.0, ge=0, le=600, description="How long a jump has to be said.")
    silence_seconds: float = Field(
        30.0, gt=0, le=3600, description="Without any message while a session is open, a stream is connected anew."
    )
    minute_grace_seconds: float = Field(
        5.0, ge=0, le=300, description="After a minute's end, how long its bar may take; then it had no trade."
    )
    connect_timeout_seconds: float = Field(10.0, gt=0, le=300)
    heartbeat_seconds: float = Field(10.0, gt=0, le=300, description="Between two pings, and for their answer.")
    reconnect_first_seconds: float = Field(1.0, gt=0, description="Before connecting again; then doubled.")
    reconnect_longest_seconds: float = Field(30.0, gt=0)
    simulated: SimulatedFeedSettings = SimulatedFeedSettings()
    alpaca: AlpacaFeedSettings = AlpacaFeedSettings()
    interactive_brokers: InteractiveBrokersFeedSettings = InteractiveBrokersFeedSettings()
    yahoo: YahooFeedSettings = YahooFeedSettings()
