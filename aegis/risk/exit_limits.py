"""What an account may do in live trading, as data.

Belongs here: the numbers and what they may be. The rules that compare with them are :mod:`aegis.risk.exit_rules`; the
settings that they come from are ``eval.live_trading.risk_limits``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from aegis.config_eval import LiveRiskLimits
from aegis.errors import RiskError


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitLimits:
    """Limits of one live account. Each holds up to and including its value.

    Parameters
    ----------
    max_position_weight, max_gross_exposure : float
        Largest absolute weight of one name, and sum of them over names, as shares of equity; open orders included.
    max_daily_loss, max_drawdown : float
        Largest fall of the equity below the day's first and below its highest, as fractions of those.
    price_collar_fraction : float
        How far an order's price may be on the dear side of a fresh quote, and a quote from the arrival price of an
        order without a limit, as a fraction.
    max_quote_age_seconds, max_account_age_seconds, max_stream_silence_seconds : float
        How old the quote and the broker's statement of account may be, and how long its order stream may be silent.
    max_clock_skew_seconds, max_clock_check_age_seconds : float
        How far the machine's clock may be from the broker's, and how old that measurement may be.
    max_order_shares, max_order_notional_usd : float
        Largest order.
    max_order_equity_fraction, max_order_volume_fraction : float
        Largest order as a share of equity, and of the symbol's median daily volume.
    max_day_shares, max_day_notional_usd : float
        Most shares, and largest value, of what was traded in a session and may still trade.
    max_day_orders, max_orders_per_second, max_orders_per_minute : float
        Most orders of a session, of any second and of any minute; whole numbers. A replacement counts as an order.
    duplicate_window_seconds : float
        For how long no equal order may follow under another id.
    max_rejects_in_a_row, max_fills_in_a_row : float
        Most rejections, and executions, within `runaway_window_seconds` without a person; whole numbers.
    runaway_window_seconds : float
        See above.
    open_auction_cutoff_seconds, close_auction_cutoff_seconds : float
        How long before the auction its orders are taken last.

    Raises
    ------
    RiskError
        A limit is not a finite number above 0, or a cut-off is below 0.

    References
    ----------
    SEC Rule 15c3-5 (17 CFR 240.15c3-5), (c)(1) and (2): capital thresholds, price, size, duplicate and restricted-name
    controls before an order is routed. FIA (2024), Best practices for automated trading risk controls and system
    safeguards: price collars, message throttles, repeated-execution and repeated-rejection controls.
    """

    max_position_weight: float
    max_gross_exposure: float
    max_daily_loss: float
    max_drawdown: float
    price_collar_fraction: float
    max_quote_age_seconds: float
    max_account_age_seconds: float
    max_stream_silence_seconds: float
    max_clock_skew_seconds: float
    max_clock_check_age_seconds: float
    max_order_shares: float
    max_order_notional_usd: float
    max_order_equity_fraction: float
    max_order_volume_fraction: float
    max_day_shares: float
    max_day_notional_usd: float
    max_day_orders: float
    max_orders_per_second: float
    max_orders_per_minute: float
    duplicate_window_seconds: float
    max_rejects_in_a_row: float
    max_fills_in_a_row: float
    runaway_window_seconds: float
    open_auction_cutoff_seconds: float
    close_auction_cutoff_seconds: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            may_be_zero = field.name.endswith("cutoff_seconds")
            if not math.isfinite(value) or value < 0.0 or (value == 0.0 and not may_be_zero):
                raise RiskError(
                    f"eval.live_trading.risk_limits, {field.name}: expected a finite number above 0, found {value}; "
                    "correct the limit"
                )

    @classmethod
    def from_settings(cls, settings: LiveRiskLimits) -> ExitLimits:
        """Return the limits of ``eval.live_trading.risk_limits``; ``max_position_size`` is a weight."""
        named = {field.name: getattr(settings, field.name) for field in fields(cls) if field.name in _SAME_NAME}
        return cls(max_position_weight=settings.max_position_size, **named)


_SAME_NAME = frozenset(LiveRiskLimits.model_fields)
