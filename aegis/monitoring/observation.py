"""Making one snapshot of an account from what the trading process knows.

Belongs here: reading each part and putting them together, as functions of their arguments. Nothing here asks a broker,
writes or decides.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aegis.calendars import TradingCalendar
from aegis.execution.order_states import OrderStatus
from aegis.live_trading.broker_account import AccountReview
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.limit_use import LimitUse
from aegis.live_trading.live_feeds import Heard, StandingStop
from aegis.live_trading.live_trader import TraderReport
from aegis.live_trading.standing_breakers import BreakerRecord
from aegis.monitoring.feed_health import FeedReading
from aegis.monitoring.journal_projection import JournalProjection
from aegis.monitoring.order_timing import OrderInstants
from aegis.monitoring.profit_start import ProfitStart
from aegis.monitoring.snapshot import (
    BrokerHeartbeat,
    Exposure,
    HeldPosition,
    Money,
    MonitorSnapshot,
    OpenOrder,
)


class WatchedRules(Protocol):
    """What a monitor reads of the rules at the door: :class:`~aegis.live_trading.risk_manager.LiveRiskManager`."""

    def breakers(self) -> tuple[StandingStop, ...]:
        """Return all that stops orders now."""
        ...

    def limits_used(self) -> tuple[LimitUse, ...]:
        """Return how much of each limit on the whole account is used."""
        ...

    def heard(self) -> Heard:
        """Return how old is what it knows."""
        ...

    def record(self) -> BreakerRecord:
        """Return what losses are measured from."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known beside the account's own books.

    Parameters
    ----------
    feeds : sequence of FeedReading
        Sources of market data.
    lease_holder : str
        Who holds the lease, for people; empty where nobody does.
    has_lease : bool
        Whether it is this process.
    drift : sequence of str
        What drift led to and nobody has released.
    failures : sequence of str
        What went wrong in the monitor itself.
    silent_channels : sequence of str
        What keeps alerts from arriving.
    """

    feeds: Sequence[FeedReading] = ()
    lease_holder: str = ""
    has_lease: bool = False
    drift: Sequence[str] = ()
    failures: Sequence[str] = ()
    silent_channels: Sequence[str] = ()


def snapshot_of(
    system: ExecutionSystem,
    report: TraderReport,
    rules: WatchedRules,
    projection: JournalProjection | None,
    *,
    start: ProfitStart | None,
    unexplained_usd: float | None,
    surroundings: Surroundings,
    calendar: TradingCalendar,
    account: str,
) -> MonitorSnapshot:
    """Return the account at the instant of the trader's report.

    Parameters
    ----------
    system : ExecutionSystem
        Its last statement, open orders and doubts are read; it is not asked to do anything.
    report : TraderReport
        The trader's last step.
    rules : WatchedRules
        Limits, breakers, heartbeats and quotes.
    projection : JournalProjection or None
        The journal since the start, up to date; None before there was a start.
    start : ProfitStart or None
        From when profit is counted.
    unexplained_usd : float or None
        See :class:`~aegis.monitoring.snapshot.Money`.
    surroundings : Surroundings
        Feeds, lease, drift.
    calendar : TradingCalendar
        Of the venue.
    account : str
        Its name.
    """
    now = report.at_utc
    session = system.session_of(now)
    review, stated_at = system.last_review
    heard = rules.heard()
    marks = marks_of(review, heard)
    positions = _positions(projection, review, marks)
    slippage_total, slippage_by_order = (projection or JournalProjection({}, after=0)).slippage()
    failures = dict.fromkeys((*report.failures, system.last_failure, *surroundings.failures))
    return MonitorSnapshot(
        account=account,
        at_utc=now,
        session=session,
        is_session_open=calendar.open_utc(session) <= now < calendar.close_utc(session),
        process=os.getpid(),
        host=socket.gethostname(),
        positions=positions,
        money=_money(review, stated_at, rules, projection, start, unexplained_usd, marks),
        exposure=_exposure(positions, None if review is None else review.balance.equity_usd),
        limits=rules.limits_used(),
        stops=rules.breakers(),
        latencies=(projection or JournalProjection({}, after=0)).latencies(),
        broker=BrokerHeartbeat(
            stream_silence_seconds=heard.stream_silence_seconds,
            statement_age_seconds=heard.account_age_seconds,
            clock_skew_seconds=heard.clock_skew_seconds,
        ),
        feeds=tuple(surroundings.feeds),
        slippage_total=slippage_total,
        slippage_by_order=slippage_by_order,
        open_orders=tuple(_open_order(status, projection) for status in system.open_orders()),
        unknown_orders=system.door.doubtful(),
        breaks=report.breaks,
        failures=tuple(said for said in failures if said),
        rejects_in_a_row=0 if projection is None else projection.rejects_in_a_row,
        lease_holder=surroundings.lease_holder,
        has_lease=surroundings.has_lease,
        kill_switch=report.stopped,
        drift=tuple(surroundings.drift),
        silent_channels=tuple(surroundings.silent_channels),
    )


def marks_of(review: AccountReview | None, heard: Heard) -> dict[str, tuple[float, str]]:
    """Return the mark of each symbol and where it is from: the newest usable quote, or else the statement."""
    stated = {} if review is None else {held.symbol: (held.mark_price_usd, "statement") for held in review.positions}
    quoted = {
        symbol: (float(quote.middle_usd), "quote")
        for symbol, quote in heard.quotes.items()
        if quote is not None and quote.is_usable
    }
    return {**stated, **quoted}


def stated_marks(review: AccountReview) -> dict[str, float]:
    """Return the marks of a statement, by symbol."""
    return {held.symbol: held.mark_price_usd for held in review.positions}


def stated_shares(review: AccountReview) -> dict[str, float]:
    """Return the signed shares of a statement, by symbol, without zeros."""
    return {held.symbol: held.quantity_shares for held in review.positions if held.quantity_shares}


def _positions(
    projection: JournalProjection | None, review: AccountReview | None, marks: Mapping[str, tuple[float, str]]
) -> tuple[HeldPosition, ...]:
    if projection is None:
        return ()
    book, stated = projection.profit, None if review is None else stated_shares(review)
    found = []
    for symbol, shares in book.shares().items():
        mark, source = marks.get(symbol, (book.last_price_usd(symbol), "fill"))
        found.append(
            HeldPosition(
                symbol=symbol,
                shares=shares,
                stated_shares=None if stated is None else stated.get(symbol, 0.0),
                mark_usd=mark,
                mark_source=source,
                value_usd=shares * mark,
                average_cost_usd=book.average_cost_usd(symbol),
                profit=book.of_symbol(symbol, mark),
            )
        )
    return tuple(found)


def _money(
    review: AccountReview | None,
    stated_at: datetime | None,
    rules: WatchedRules,
    projection: JournalProjection | None,
    start: ProfitStart | None,
    unexplained_usd: float | None,
    marks: Mapping[str, tuple[float, str]],
) -> Money:
    balance, first = None if review is None else review.balance, rules.record().marks
    prices = {symbol: mark for symbol, (mark, _) in marks.items()}
    return Money(
        cash_usd=None if balance is None else balance.cash_usd,
        equity_usd=None if balance is None else balance.equity_usd,
        buying_power_usd=None if balance is None else balance.buying_power_usd,
        stated_at_utc=None if balance is None else stated_at,
        since_utc=None if start is None else start.at_utc,
        start_equity_usd=None if start is None else start.equity_usd,
        profit=None if projection is None else projection.profit.of_account(prices),
        by_strategy={} if projection is None else projection.profit.by_strategy(prices),
        unexplained_usd=unexplained_usd,
        day_profit_usd=None if first is None else first.now_usd - first.first_usd,
    )


def _exposure(positions: Sequence[HeldPosition], equity_usd: float | None) -> Exposure:
    long = math.fsum(held.value_usd for held in positions if held.value_usd > 0)
    short = -math.fsum(held.value_usd for held in positions if held.value_usd < 0)
    return Exposure(
        long_usd=long,
        short_usd=short,
        gross_usd=long + short,
        net_usd=long - short,
        gross_share_of_equity=(long + short) / equity_usd if equity_usd is not None and equity_usd > 0 else None,
    )


def _open_order(status: OrderStatus, projection: JournalProjection | None) -> OpenOrder:
    order = status.order
    instants: OrderInstants | None = None if projection is None else projection.instants(order.client_order_id)
    return OpenOrder(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        quantity_shares=order.quantity_shares,
        filled_shares=status.filled_shares,
        state=str(status.state),
        order_type=order.order_type,
        limit_price_usd=order.limit_price_usd,
        execution_session=order.execution_session,
        submitted_at_utc=None if instants is None else instants.submitted_at_utc,
        acknowledged_at_utc=None if instants is None else instants.acknowledged_at_utc,
    )
