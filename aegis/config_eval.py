"""The ``eval:`` block of ``aegis.yaml``: how orders are simulated, worked, measured and reported.

Belongs here: names, types, defaults and bounds. The other blocks are :mod:`aegis.config`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from aegis.config_live_data import LiveDataSettings
from aegis.config_section import Section

LARGEST_COST_BPS = 1_000.0
"""A tenth of the price. At 10,000 a sale would bring nothing, beyond it the seller would pay."""


class SlippageSettings(Section):
    """Parameters of ``slippage_model``; what is left out has the model's default."""

    spread_usd: float | None = Field(None, ge=0)
    price_impact: float | None = Field(None, ge=0)
    sigma_multiple: float | None = Field(None, ge=0)
    fallback_bps: float | None = Field(None, ge=0, description="Charged while the volatility is not known yet.")


class ImpactSettings(Section):
    """What an order's size does to its price; what is left out has the model's default."""

    model: Literal["none", "square_root", "almgren", "power_law"] = "none"
    coefficient: float | None = Field(None, ge=0)
    exponent: float | None = Field(None, gt=0)
    eta: float | None = Field(None, ge=0)
    gamma: float | None = Field(None, ge=0)
    beta: float | None = Field(None, gt=0)
    duration_days: float | None = Field(None, gt=0)
    inverse_turnover_days: float | None = Field(None, gt=0)
    fallback_bps: float | None = Field(None, ge=0, description="Charged while volatility or volume is not known yet.")


class CommissionSettings(Section):
    """The broker's plan; ``bps`` charges ``transaction_cost_bps``."""

    model: Literal["bps", "per_share", "per_trade", "tiered"] = "bps"
    usd_per_share: float | None = Field(None, ge=0)
    usd_per_order: float | None = Field(None, ge=0)
    tiers: tuple[tuple[float, float], ...] | None = Field(
        None, description="Shares of the month from which a rate holds, and the rate in USD per share."
    )
    min_usd_per_order: float | None = Field(None, ge=0)
    max_usd_per_order: float | None = Field(None, ge=0)
    max_fraction_of_value: float | None = Field(None, gt=0)


class FinancingSettings(Section):
    """Interest on cash and fees for borrowed shares, fractions a year."""

    credit_rate_per_year: float | None = Field(None, ge=0)
    debit_rate_per_year: float | None = Field(None, ge=0)
    borrow_rate_per_year: float | None = Field(None, ge=0)
    interest_days_per_year: Literal[360, 365] | None = None
    borrow_days_per_year: Literal[360, 365] | None = None


class BacktestingEval(Section):
    """``eval.backtesting``: cost model of simulated fills."""

    engine: Literal["event_driven", "vectorized", "walk_forward"] = "event_driven"
    slippage_model: Literal["none", "fixed", "fixed_spread", "volume_share", "volatility"] = "fixed"
    slippage_basis_points: float = Field(5.0, ge=0, le=LARGEST_COST_BPS)
    transaction_cost_bps: float = Field(1.0, ge=0, le=LARGEST_COST_BPS)
    slippage: SlippageSettings = SlippageSettings()
    slippage_within_bar: bool = False
    impact: ImpactSettings = ImpactSettings()
    commission: CommissionSettings = CommissionSettings()
    regulatory_fees: bool = False
    financing: FinancingSettings = FinancingSettings()
    liquidity_window_sessions: int = Field(
        21, ge=2, description="Sessions of the volatility and the average volume that slippage and impact read."
    )


class ExecutionEval(Section):
    """``eval.execution``: how orders are worked."""

    default_algorithm: Literal["market", "twap", "vwap", "pov", "implementation_shortfall"] = "vwap"
    participation_rate: float = Field(0.1, gt=0, le=1)
    interval_minutes: int = Field(5, ge=1)
    risk_aversion: float = Field(
        1e-6, ge=0, allow_inf_nan=False, description="Of Implementation Shortfall, 1/USD; 0 is TWAP."
    )
    volume_curve_min_sessions: int = Field(5, ge=1, description="Fewer past sessions are too thin for a VWAP curve.")
    max_data_age_seconds: int = Field(120, ge=1, description="Without newer market data no child order is sent.")


class LiveRiskLimits(Section):
    """Limits of the live trader, asked of every order before it is sent; see ``docs/risk.md``."""

    max_position_size: float = Field(0.05, gt=0, le=1, description="Weight of one name, a share of equity.")
    max_daily_loss: float = Field(0.02, gt=0, lt=1)
    max_drawdown: float = Field(0.1, gt=0, lt=1)
    max_gross_exposure: float = Field(1.0, gt=0, le=4, description="Sum of absolute weights, open orders included.")
    price_collar_fraction: float = Field(0.05, gt=0, le=0.5, description="Distance from a fresh quote.")
    max_quote_age_seconds: float = Field(10.0, gt=0, le=900)
    max_account_age_seconds: float = Field(40.0, gt=0, le=3600, description="The broker is asked every 20 s.")
    max_stream_silence_seconds: float = Field(40.0, gt=0, le=3600, description="As above.")
    max_clock_skew_seconds: float = Field(1.0, gt=0, le=60)
    max_clock_check_age_seconds: float = Field(3600.0, gt=0, le=86_400)
    max_order_shares: float = Field(10_000.0, gt=0, le=1e9)
    max_order_notional_usd: float = Field(50_000.0, gt=0, le=1e12)
    max_order_equity_fraction: float = Field(0.1, gt=0, le=2)
    max_order_volume_fraction: float = Field(0.05, gt=0, le=1, description="Of the median daily volume.")
    max_day_shares: float = Field(200_000.0, gt=0, le=1e9)
    max_day_notional_usd: float = Field(1_000_000.0, gt=0, le=1e12)
    max_day_orders: int = Field(1_000, ge=1, le=1_000_000)
    max_orders_per_second: int = Field(10, ge=1, le=10_000)
    max_orders_per_minute: int = Field(180, ge=1, le=100_000, description="Alpaca takes 200 requests a minute.")
    duplicate_window_seconds: float = Field(5.0, gt=0, le=300)
    max_rejects_in_a_row: int = Field(5, ge=1, le=1_000)
    max_fills_in_a_row: int = Field(500, ge=1, le=100_000)
    runaway_window_seconds: float = Field(60.0, gt=0, le=3600)
    open_auction_cutoff_seconds: float = Field(120.0, ge=0, le=3600)
    close_auction_cutoff_seconds: float = Field(600.0, ge=0, le=7200)


class LiveTradingEval(Section):
    """``eval.live_trading``: read by the trader only."""

    broker: Literal["alpaca", "interactive_brokers", "multi", "simulated"] = "alpaca"
    paper_trading: bool = True
    risk_limits: LiveRiskLimits = LiveRiskLimits()
    market_data: LiveDataSettings = LiveDataSettings()
    cash_tolerance_usd: float = Field(
        0.05, ge=0, le=1e6, description="Difference from the broker's cash that is no break, beside half a cent a fill."
    )


class MetricsEval(Section):
    """``eval.metrics``."""

    reporting_currency: Literal["USD"] = "USD"
    risk_free_rate: float = Field(0.02, ge=0, lt=1)
    benchmark_symbol: str = "SPY"


class ReportingEval(Section):
    """``eval.reporting``."""

    frequency: Literal["daily", "weekly", "monthly"] = "daily"
    formats: tuple[Literal["pdf", "html", "csv"], ...] = ("pdf", "html", "csv")
    storage_path: Path = Path("./reports/")


class EvalSettings(Section):
    """The ``eval:`` block."""

    backtesting: BacktestingEval = BacktestingEval()
    execution: ExecutionEval = ExecutionEval()
    live_trading: LiveTradingEval = LiveTradingEval()
    metrics: MetricsEval = MetricsEval()
    reporting: ReportingEval = ReportingEval()
