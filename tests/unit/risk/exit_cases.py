"""An order that passes every rule of the exit door, and the view of it, with anything replaced."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from aegis.config_eval import LiveRiskLimits
from aegis.execution.orders import Order
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_prices import Quote
from aegis.risk.exit_view import ExitView, SymbolBook, SymbolFacts, TradingDay

SESSION = date(2014, 6, 6)
NOW = datetime(2014, 6, 6, 15, 0, tzinfo=UTC)
DAY = TradingDay(SESSION, datetime(2014, 6, 6, 13, 30, tzinfo=UTC), datetime(2014, 6, 6, 20, 0, tzinfo=UTC))
LIMITS = ExitLimits.from_settings(LiveRiskLimits())


def order_with(**replaced: Any) -> Order:
    """Buy 100 ABC at the market, decided at a close of 20 USD."""
    terms: dict[str, Any] = {
        "client_order_id": "o-1",
        "decision_id": "paper/main/2014-06-05/rebalance/1",
        "account": "paper",
        "session": date(2014, 6, 5),
        "execution_session": SESSION,
        "symbol": "ABC",
        "ticker": "ABC",
        "quantity_shares": 100.0,
        "algorithm": "market",
        "time_in_force": "DAY",
        "arrival_price_usd": 20.0,
        "target_weight": 0.02,
        "is_reducing": False,
        "reason": "rebalance",
    }
    return Order(**{**terms, **replaced})


def quote_with(bid: float = 20.19, ask: float = 20.2, *, age_seconds: float = 0.0) -> Quote:
    """Bid 20.19, ask 20.20, quoted now."""
    return Quote(bid, ask, NOW - timedelta(seconds=age_seconds))


def book_of(position: float = 0, bought: float = 0, sold: float = 0) -> SymbolBook:
    """Nothing held, nothing at work."""
    return SymbolBook(Decimal(str(position)), Decimal(str(bought)), Decimal(str(sold)))


def view_with(order: Order | None = None, **replaced: Any) -> ExitView:
    """An hour and a half after the open, equity 100,000 USD in cash, nothing held."""
    view: dict[str, Any] = {
        "account": "paper",
        "order": order or order_with(),
        "now_utc": NOW,
        "day": DAY,
        "quote": quote_with(),
        "facts": SymbolFacts(median_daily_volume_shares=1e6, is_shortable=False),
        "is_halted": False,
        "kill_switch_engaged": False,
        "reconciliation_clean": True,
        "clock_skew_seconds": 0.0,
        "stream_silence_seconds": 0.0,
        "account_age_seconds": 0.0,
        "equity_usd": 100_000.0,
        "first_equity_usd": 100_000.0,
        "peak_equity_usd": 100_000.0,
        "buying_power_usd": 100_000.0,
        "committed_usd": Decimal(0),
        "book": book_of(),
        "other_exposure_usd": Decimal(0),
        "day_notional_usd": Decimal(0),
        "day_shares": Decimal(0),
        "day_orders": 0,
        "second_orders": 0,
        "minute_orders": 0,
        "recent": (),
        "tripped": {},
    }
    return ExitView(**{**view, **replaced})
