"""A live risk manager that knows all that it must know, on a clock that tests move, and events of its orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from aegis.calendars import trading_calendar
from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind
from aegis.live_trading.risk_manager import LiveRiskManager
from aegis.risk.exit_view import SymbolFacts
from tests.unit.risk.exit_cases import LIMITS, NOW, order_with

ROOMY: Mapping[str, float] = {
    "max_position_weight": 1.0,
    "max_gross_exposure": 4.0,
    "max_order_shares": 1e9,
    "max_order_notional_usd": 1e12,
    "max_order_equity_fraction": 2.0,
    "max_order_volume_fraction": 1.0,
    "max_day_shares": 1e9,
    "max_day_notional_usd": 1e12,
    "max_day_orders": 1e6,
    "max_orders_per_second": 1e6,
    "max_orders_per_minute": 1e6,
    "duplicate_window_seconds": 1e-6,
    "max_fills_in_a_row": 1e6,
    "max_rejects_in_a_row": 1e6,
}
"""Limits that these tests do not reach, so that each reaches the one that it is about."""

SYMBOLS = ("ABC", "XYZ", "OTHER")


class TickingClock:
    """A clock that goes on by two microseconds whenever it is read, so that no two orders are of one instant."""

    def __init__(self, start_utc: datetime) -> None:
        self.instant_utc = start_utc

    def now_utc(self) -> datetime:
        self.instant_utc += timedelta(microseconds=2)
        return self.instant_utc


class SwitchedOff:
    """A kill switch that a test can engage."""

    def __init__(self) -> None:
        self.engaged = False

    def __call__(self) -> bool:
        return self.engaged


def position_of(symbol: str, shares: float, mark: float = 20.0) -> Position:
    """Hold shares at a mark of 20 USD."""
    return Position(
        symbol=symbol,
        ticker=symbol,
        quantity_shares=shares,
        average_cost_usd=mark,
        mark_price_usd=mark,
        mark_session=date(2014, 6, 5),
    )


class Door:
    """The manager with its clock and switch; everything told at the start, each piece may be told again."""

    def __init__(
        self, *, at_utc: datetime = NOW, positions: Mapping[str, float] | None = None, **limits: float
    ) -> None:
        self.limits = replace(LIMITS, **{**ROOMY, **limits})
        self.switch = SwitchedOff()
        self.positions = dict(positions or {})
        self.start(at_utc)
        self.tell()

    def start(self, at_utc: datetime) -> None:
        """Begin with a manager that knows nothing."""
        self.clock = TickingClock(at_utc)
        self.manager = LiveRiskManager(
            self.limits,
            account="paper",
            clock=self.clock,
            calendar=trading_calendar("XNYS"),
            kill_switch_engaged=self.switch,
        )

    def tell(
        self, *, equity: float = 1e6, buying_power: float = 1e9, ask: float = 20.0, at_utc: datetime | None = None
    ) -> None:
        """Tell everything that is asked for, as of now: bid and ask 20 USD, equity a million."""
        self.manager.observe_account(
            AccountBalance(account="paper", cash_usd=equity, equity_usd=equity, buying_power_usd=buying_power),
            [position_of(symbol, shares) for symbol, shares in self.positions.items()],
            at_utc=at_utc or self.clock.now_utc(),
        )
        self.manager.observe_reconciliation(is_clean=True)
        facts = SymbolFacts(median_daily_volume_shares=1e9, is_shortable=True)
        self.manager.observe_symbols(dict.fromkeys(SYMBOLS, facts))
        self.tell_feeds(ask=ask)

    def tell_feeds(self, *, ask: float = 20.0) -> None:
        """Tell what has to be told again and again: clock, order stream, quotes."""
        now = self.clock.now_utc()
        self.manager.observe_clock_skew(0.0)
        self.manager.observe_stream(now)
        for symbol in SYMBOLS:
            self.manager.observe_quote(symbol, bid_usd=ask, ask_usd=ask, at_utc=now)

    def event(self, kind: OrderEventKind, about: Order, /, **told: Any) -> OrderEvent:
        """Return an event of now."""
        at = self.clock.now_utc()
        return OrderEvent(
            kind=kind, client_order_id=about.client_order_id, session=about.execution_session, at_utc=at, **told
        )

    def fill(
        self, order: Order, shares: float, *, price: float = 20.0, number: int = 1, ends: bool = False
    ) -> OrderEvent:
        """Return an execution of now."""
        kind = OrderEventKind.FILLED if ends else OrderEventKind.PARTIALLY_FILLED
        return self.event(kind, order, fill=_fill(order, shares, price, number, self.clock.now_utc()))

    def go_to(self, instant_utc: datetime) -> None:
        """Set the clock."""
        self.clock.instant_utc = instant_utc

    def settle(self, order: Order, kinds: Iterable[OrderEventKind]) -> None:
        """Tell events of now."""
        for kind in kinds:
            self.manager.settle(self.event(kind, order))


def named(name: str, shares: float = 100.0, **terms: Any) -> Order:
    """Order ABC at the market under a name, arrival price 20 USD."""
    return order_with(client_order_id=name, quantity_shares=shares, **terms)


def _fill(order: Order, shares: float, price: float, number: int, at_utc: datetime) -> Fill:
    return Fill(
        client_order_id=order.client_order_id,
        decision_id=order.decision_id,
        account=order.account,
        fill_number=number,
        session=order.execution_session,
        symbol=order.symbol,
        ticker=order.ticker,
        quantity_shares=shares,
        price_usd=price,
        reference_price_usd=price,
        commission_usd=0.0,
        slippage_usd=0.0,
        arrival_price_usd=order.arrival_price_usd,
        filled_at_utc=at_utc.astimezone(UTC),
        execution_id=f"{order.client_order_id}/{number}",
    )
