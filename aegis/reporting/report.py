"""What goes into a performance report and what comes out: frozen values, no arithmetic.

Belongs here: the shapes. The numbers are assembled by :mod:`aegis.reporting.performance` from :mod:`aegis.metrics`; the
formats print these values and compute nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, datetime

import pandas as pd

from aegis.lake.schema import TableSchema
from aegis.lake.tables import ALL_TABLES, IMPLEMENTATION_SHORTFALL
from aegis.reporting.implementation_shortfall import ShortfallFigures

SIMULATED_LABEL = "SIMULATED MARKET - not real prices"


@dataclass(frozen=True)
class ReportIdentity:
    """Which history a report describes, and what it would take to compute it again.

    Parameters
    ----------
    source : str
        Market-data source, as in ``run.source``.
    is_simulated : bool
        Whether prices are invented. Every page then says so.
    account, workspace : str
        The book.
    snapshot_id : int
        Lake snapshot that the tables were read at.
    code_version, config_hash : str
        What computed them.
    benchmark_symbol : str
        Symbol behind ``benchmark_return_daily``.
    risk_free_rate_annual : float
        Simple annual rate, 0.02 for 2 %.
    created_at_utc : datetime
        Aware; from the caller's clock.
    """

    source: str
    is_simulated: bool
    account: str
    workspace: str
    snapshot_id: int
    code_version: str
    config_hash: str
    benchmark_symbol: str
    risk_free_rate_annual: float
    created_at_utc: datetime

    @property
    def data_label(self) -> str:
        """Say where prices come from; the warning when they are not real."""
        return SIMULATED_LABEL if self.is_simulated else f"Prices: {self.source}"


@dataclass(frozen=True)
class ReportInputs:
    """Rows of one account, each frame with the columns of its table in :mod:`aegis.lake.tables`."""

    identity: ReportIdentity
    account_values: pd.DataFrame
    daily_pnl: pd.DataFrame
    fills: pd.DataFrame
    positions: pd.DataFrame
    orders: pd.DataFrame
    risk_report: pd.DataFrame
    pre_trade_gate: pd.DataFrame
    check_results: pd.DataFrame
    listings: pd.DataFrame
    implementation_shortfall: pd.DataFrame = field(default_factory=IMPLEMENTATION_SHORTFALL.empty)


_TABLE_CALLED = {table.name: table for table in ALL_TABLES}
REPORT_TABLES: tuple[TableSchema, ...] = tuple(
    _TABLE_CALLED[part.name] for part in fields(ReportInputs) if part.name != "identity"
)
"""Tables that a report is made from: each field of :class:`ReportInputs` is called as its table."""


@dataclass(frozen=True)
class PerformanceFigures:
    """Performance of one return series; None where the series is too short or constant for the number to exist."""

    total_return: float
    annualised_return: float | None
    volatility_annualised: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown: float
    best_session: float | None
    worst_session: float | None
    hit_rate: float | None


@dataclass(frozen=True)
class RelativeFigures:
    """The account against its benchmark, over the sessions that both have; None as in :class:`PerformanceFigures`."""

    active_return_annualised: float
    tracking_error_annualised: float | None
    information_ratio: float | None
    beta: float | None
    alpha_annualised: float | None


@dataclass(frozen=True)
class ProfitAndLoss:
    """What changed equity over the report, USD; the parts and the residual add up to the change."""

    equity_change_usd: float
    price_usd: float
    trading_usd: float
    dividends_usd: float
    interest_usd: float
    slippage_usd: float
    commission_usd: float
    residual_usd: float
    largest_session_residual_usd: float


@dataclass(frozen=True)
class TradingFigures:
    """What was traded and what it cost. Costs are positive."""

    fill_count: int
    traded_usd: float
    turnover_annualised: float
    commission_usd: float
    slippage_usd: float
    cost_usd: float
    cost_bps: float | None
    orders_approved: int
    orders_refused: int


@dataclass(frozen=True)
class RiskFigures:
    """Risk at the last close, and how the forecasts fared. None where no risk report exists."""

    value_at_risk_95: float | None
    expected_shortfall_95: float | None
    forecast_volatility_annualised: float | None
    gross_exposure: float
    net_exposure: float
    largest_weight: float
    concentration_hhi: float | None
    forecasts_compared: int
    exceedances: int
    exceedances_expected: float
    breaker_state: str | None
    sessions_tripped: int


@dataclass(frozen=True)
class CheckFigures:
    """Data checks and the pre-trade gate, counted; a session that both stopped counts once in `sessions_stopped`."""

    evaluations: int
    passed: int
    warned: int
    repaired: int
    quarantined: int
    blocked: int
    sessions_blocked_by_data: int
    sessions_refused_by_gate: int
    sessions_stopped: int
    sessions_reduce_only: int


@dataclass(frozen=True)
class PerformanceReport:
    """Every number that any format prints.

    Parameters
    ----------
    sessions : DataFrame
        One row a session: ``session, equity_usd, growth, benchmark_growth, drawdown, benchmark_drawdown, return_daily,
        gross_exposure, net_exposure, position_count``. Growth is of one dollar from the close of the first session,
        when the account first decides; a benchmark that begins later grows from the close before its first return.
    rolling : DataFrame
        ``session, volatility_annualised, sharpe_ratio`` of the trailing window, sampled.
    value_at_risk : DataFrame
        ``session, return_daily, forecast, exceeded``: the forecast of the close before, where it was above 0.
    months : DataFrame
        ``year, 1 ... 12, year_return, benchmark_return``.
    pnl_by_year : DataFrame
        ``year`` and the parts of :class:`ProfitAndLoss`, with ``traded_usd``.
    drawdowns : DataFrame
        The deepest: ``peak_session, trough_session, recovery_session, depth, sessions``.
    positions, sectors : DataFrame
        The book at the last close; the 20 largest positions.
    breaker_trips, blocked_sessions, checks, gate_rules, last_orders, refused_orders : DataFrame
        Events, newest first. Blocked are the last 20 sessions that a data check or the gate stopped, with every reason;
        orders are the last 20, and the last 3 that the gate refused.
    stopped_stretches : DataFrame
        ``first_session, last_session, sessions, reason``, newest first: all stopped sessions, one row for those that
        follow each other with the same reason.
    data_warnings : tuple of str
        What the data themselves give reason to doubt, one sentence each, such as a history of survivors.
    shortfall : ShortfallFigures or None
        What orders cost against the decision to trade; None of an account that is not traded.
    """

    identity: ReportIdentity
    first_session: date
    last_session: date
    session_count: int
    first_equity_usd: float
    last_equity_usd: float
    cash_usd: float
    account: PerformanceFigures
    benchmark: PerformanceFigures | None
    relative: RelativeFigures | None
    pnl: ProfitAndLoss
    trading: TradingFigures
    risk: RiskFigures
    data_checks: CheckFigures
    rolling_window_sessions: int
    sessions: pd.DataFrame
    rolling: pd.DataFrame
    value_at_risk: pd.DataFrame
    months: pd.DataFrame
    pnl_by_year: pd.DataFrame
    drawdowns: pd.DataFrame
    positions: pd.DataFrame
    position_count: int
    sectors: pd.DataFrame
    breaker_trips: pd.DataFrame
    blocked_sessions: pd.DataFrame
    stopped_stretches: pd.DataFrame
    checks: pd.DataFrame
    gate_rules: pd.DataFrame
    last_orders: pd.DataFrame
    refused_orders: pd.DataFrame
    data_warnings: tuple[str, ...] = ()
    shortfall: ShortfallFigures | None = None
