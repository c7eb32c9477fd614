"""Executions written as a person would: session, symbol, shares, price."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from aegis.compliance.executions import Execution


def traded(
    session: str,
    symbol: str,
    shares: float,
    price: float,
    *,
    clock: str = "10:00",
    order: str | None = None,
    commission: float = 0.0,
) -> Execution:
    """Return one execution; `clock` is UTC, and each is an order of its own unless named."""
    at = datetime.combine(date.fromisoformat(session), time.fromisoformat(clock), tzinfo=UTC)
    return Execution(
        order_id=order or f"{session} {clock} {symbol} {shares:g}",
        account="desk",
        session=date.fromisoformat(session),
        at_utc=at,
        symbol=symbol,
        quantity_shares=shares,
        price_usd=price,
        commission_usd=commission,
    )
