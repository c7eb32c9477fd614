"""How much of an account's limits is used, for a monitor to show.

Belongs here: reading the book against the limits. Whether an order fits is :mod:`aegis.risk.exit_rules`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from aegis.execution.brokers.broker import AccountBalance
from aegis.live_trading.live_book import LiveBook
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.live_breakers import EquityMarks, loss_at_most


@dataclass(frozen=True, slots=True)
class LimitUse:
    """A limit: its name with the unit, what is used, what is allowed; infinite and 0 where they are not known."""

    name: str
    used: float
    limit: float


def limits_used(
    book: LiveBook, balance: AccountBalance | None, marks: EquityMarks | None, limits: ExitLimits
) -> tuple[LimitUse, ...]:
    """Return the use of each limit that is about the whole account, in a fixed order."""
    equity = 0.0 if balance is None or not math.isfinite(balance.equity_usd) else balance.equity_usd
    now = None if marks is None else marks.now_usd
    day = loss_at_most(now, None if marks is None else marks.first_usd, limits.max_daily_loss)
    peak = loss_at_most(now, None if marks is None else marks.peak_usd, limits.max_drawdown)
    return (
        LimitUse("day notional, USD", float(book.day_usd()), limits.max_day_notional_usd),
        LimitUse("day orders", float(book.orders.total.day_orders), limits.max_day_orders),
        LimitUse("gross exposure, USD", float(book.exposure_usd()), limits.max_gross_exposure * equity),
        LimitUse(
            "buying power, USD", float(book.committed_usd()), 0.0 if balance is None else balance.buying_power_usd
        ),
        LimitUse("daily loss", day.observed, limits.max_daily_loss),
        LimitUse("drawdown", peak.observed, limits.max_drawdown),
    )
