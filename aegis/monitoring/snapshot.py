"""One account at one instant, as a monitor shows it: the values.

Belongs here: what a snapshot holds and how it is written as JSON. How it is made is
:mod:`aegis.monitoring.observation`, what of it is worth an alert :mod:`aegis.monitoring.causes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from aegis.live_trading.limit_use import LimitUse
from aegis.live_trading.live_feeds import StandingStop
from aegis.monitoring.arrival_slippage import Slippage
from aegis.monitoring.feed_health import FeedReading
from aegis.monitoring.order_timing import StageLatency
from aegis.monitoring.profit_and_loss import Profit


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPosition:
    """Shares of a symbol by the journal, with what they are worth and earned since the start.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    shares : float
        Signed, by the journal.
    stated_shares : float or None
        By the broker's last statement; None before the first.
    mark_usd : float
        Middle of the newest usable quote, or else the statement's mark, or else the last fill's price.
    mark_source : {"quote", "statement", "fill"}
        Which of them.
    value_usd : float
        Shares x mark, signed.
    average_cost_usd : float
        Of an open share, without commission.
    profit : Profit
        Since the start.
    """

    symbol: str
    shares: float
    stated_shares: float | None
    mark_usd: float
    mark_source: str
    value_usd: float
    average_cost_usd: float
    profit: Profit


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What the account is worth and has earned; USD, None where it is not known.

    Parameters
    ----------
    cash_usd, equity_usd, buying_power_usd : float or None
        The broker's last statement.
    stated_at_utc : datetime or None
        When the broker was asked for it.
    since_utc : datetime or None
        The start, from which profit is counted: the first statement that agreed with the journal here.
    start_equity_usd : float or None
        The statement's equity then.
    profit : Profit or None
        By fills since the start, at the marks of now.
    by_strategy : mapping of str to Profit
        The same by book and kind of decision; their totals add up to it.
    unexplained_usd : float or None
        Change of the statement's equity since the start less profit at the statement's own marks: dividends, interest,
        fees, transfers and trades by hand. Measured at the newest statement whose positions are the journal's.
    day_profit_usd : float or None
        The statement's equity less the first of the trading day.
    """

    cash_usd: float | None = None
    equity_usd: float | None = None
    buying_power_usd: float | None = None
    stated_at_utc: datetime | None = None
    since_utc: datetime | None = None
    start_equity_usd: float | None = None
    profit: Profit | None = None
    by_strategy: Mapping[str, Profit]
    unexplained_usd: float | None = None
    day_profit_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Positions at their marks, USD: long, short (positive), their sum and difference, and the sum by equity."""

    long_usd: float
    short_usd: float
    gross_usd: float
    net_usd: float
    gross_share_of_equity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """An order that is not at its end: terms, where it stands, and when it was sent."""

    client_order_id: str
    symbol: str
    quantity_shares: float
    filled_shares: float
    state: str
    order_type: str
    limit_price_usd: float | None
    execution_session: date
    submitted_at_utc: datetime | None
    acknowledged_at_utc: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHeartbeat:
    """How old is what the broker said, and how far the clocks are apart, in seconds; None for never."""

    stream_silence_seconds: float | None
    statement_age_seconds: float | None
    clock_skew_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSnapshot:
    """One account at one instant.

    Parameters
    ----------
    account : str
        Its name.
    at_utc : datetime
        When; aware UTC.
    session : date
        The session that had begun last.
    is_session_open : bool
        Whether its market is open.
    process, host : int, str
        Who made the snapshot.
    positions, money, exposure
        See their classes; `exposure` is at the positions' marks.
    limits : tuple of LimitUse
        Use of each limit on the whole account.
    stops : tuple of StandingStop
        Breakers and what is stale: all that stops orders now.
    latencies : tuple of StageLatency
        Of the newest orders.
    broker : BrokerHeartbeat
    feeds : tuple of FeedReading
        Sources of market data.
    slippage_total, slippage_by_order : Slippage, tuple of Slippage
        Of the newest session that filled.
    open_orders : tuple of OpenOrder
    unknown_orders : tuple of str
        Orders of which nobody knows whether they arrived.
    breaks, failures : tuple of str
        What differs from the broker, and what went wrong since the last snapshot.
    rejects_in_a_row : int
        Orders that the venue rejected, since it last executed one or one ended in another way.
    lease_holder, has_lease : str, bool
        Who trades the account, and whether it is this process.
    kill_switch : str
        Why nothing may leave; empty while orders may.
    drift : tuple of str
        What drift led to and nobody has released.
    silent_channels : tuple of str
        What keeps alerts from arriving, each with its channel.
    """

    account: str
    at_utc: datetime
    session: date
    is_session_open: bool
    process: int
    host: str
    positions: tuple[HeldPosition, ...]
    money: Money
    exposure: Exposure
    limits: tuple[LimitUse, ...]
    stops: tuple[StandingStop, ...]
    latencies: tuple[StageLatency, ...]
    broker: BrokerHeartbeat
    feeds: tuple[FeedReading, ...]
    slippage_total: Slippage
    slippage_by_order: tuple[Slippage, ...]
    open_orders: tuple[OpenOrder, ...]
    unknown_orders: tuple[str, ...]
    breaks: tuple[str, ...]
    failures: tuple[str, ...]
    rejects_in_a_row: int
    lease_holder: str
    has_lease: bool
    kill_switch: str
    drift: tuple[str, ...] = ()
    silent_channels: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Return the snapshot as a mapping that JSON can hold: instants as ISO 8601, infinite numbers as None."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
