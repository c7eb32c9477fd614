"""What a backtest needs beside a strategy and data.

Belongs here: one frozen value with every setting of a simulation, and how the configuration file becomes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.calendars import TradingCalendar
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.metrics.returns import SESSIONS_PER_YEAR

_SESSIONS_WITHOUT_WEEKENDS: Final = 365

EngineName = Literal["event_driven", "vectorized", "walk_forward"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestConfig:
    """Settings of a backtest.

    Parameters
    ----------
    engine : {"event_driven", "vectorized", "walk_forward"}
        Which engine runs it; walk-forward is given its windows apart.
    initial_cash_usd : float
        To begin with.
    rules : TradingRules
        The venue's and the account's.
    costs : CostModel
        What fills, cash and borrowed shares cost.
    events : sequence of CorporateEvent
        Splits, dividends, renames, mergers, delistings, halts.
    tick_usd, borrow_rate_per_year : mapping of str to float
        For the symbols that have one; the rest has no tick and the rate of `costs.financing`.
    liquidity_window_sessions : int
        Sessions over which volatility and average volume are measured, for the costs that need them.
    sessions_per_chunk : int, optional
        Sessions in memory at once; all of them if not given.
    history_sessions : int
        Sessions of before that a strategy can still look back on at the beginning of a chunk.
    orders_per_step : int, optional
        Orders that a strategy may place at one close.
    risk_free_rate : float
        A year, for the ratios.
    sessions_per_year : int
        252 for an exchange with weekends, 365 for a market that never closes.
    source : str
        Where the prices come from, for reports.
    is_simulated : bool
        Whether they are invented; every report says so then.

    Raises
    ------
    ConfigurationError
        A number is out of bounds.
    """

    engine: EngineName = "event_driven"
    initial_cash_usd: float = 1_000_000.0
    rules: TradingRules = field(default_factory=TradingRules)
    costs: CostModel = field(default_factory=CostModel)
    events: Sequence[CorporateEvent] = ()
    tick_usd: Mapping[str, float] = field(default_factory=dict)
    borrow_rate_per_year: Mapping[str, float] = field(default_factory=dict)
    liquidity_window_sessions: int = 21
    sessions_per_chunk: int | None = None
    history_sessions: int = 0
    orders_per_step: int | None = None
    risk_free_rate: float = 0.0
    sessions_per_year: int = SESSIONS_PER_YEAR
    source: str = "given"
    is_simulated: bool = False

    def __post_init__(self) -> None:
        for name, least in (
            ("initial_cash_usd", 1e-9),
            ("liquidity_window_sessions", 2),
            ("history_sessions", 0),
            ("sessions_per_year", 1),
        ):
            found = getattr(self, name)
            if not least <= found < float("inf"):
                raise ConfigurationError(f"backtest: {name} is {found!r} and must be at least {least:g}; correct it")
        if self.sessions_per_chunk is not None and self.sessions_per_chunk < 1:
            raise ConfigurationError(
                f"backtest: sessions_per_chunk is {self.sessions_per_chunk} and must be at least 1, or None for all"
            )

    @classmethod
    def from_settings(cls, config: AegisConfig, calendar: TradingCalendar) -> BacktestConfig:
        """Return what ``eval.backtesting``, ``eval.execution`` and ``eval.metrics`` describe, on the bars' calendar."""
        execution, backtesting = config.eval.execution, config.eval.backtesting
        return cls(
            engine=backtesting.engine,
            initial_cash_usd=config.run.initial_cash_usd,
            rules=TradingRules(
                participation_rate=execution.participation_rate,
                target_orders="vwap" if execution.default_algorithm == "vwap" else "market",
            ),
            costs=CostModel.from_settings(backtesting),
            liquidity_window_sessions=backtesting.liquidity_window_sessions,
            risk_free_rate=config.eval.metrics.risk_free_rate,
            sessions_per_year=_SESSIONS_WITHOUT_WEEKENDS if calendar.trades_every_day else SESSIONS_PER_YEAR,
            source=config.run.source,
            is_simulated=config.run.source == "simulated",
        )

    def described(self) -> dict[str, dict[str, Any]]:
        """Return what a reader of the results must know of how they came about, as plain values."""
        rules = {name: getattr(self.rules, name) for name in self.rules.__slots__}
        costs = {
            "slippage": repr(self.costs.slippage),
            "impact": repr(self.costs.impact),
            "commission": repr(self.costs.commission),
            "financing": repr(self.costs.financing),
            "regulatory_fees": self.costs.regulatory_fees,
        }
        return {"rules": rules, "costs": costs, "account": {"initial_cash_usd": self.initial_cash_usd}}
