"""What a backtest needs beside a strategy and data.

Belongs here: one frozen value with every setting of a simulation, and how the configuration file becomes one.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, Final, Literal, get_args

from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.costs import CostModel
from aegis.backtesting.parameter_bounds import require_within
from aegis.backtesting.rules import TradingRules
from aegis.calendars import TradingCalendar
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.metrics.returns import SESSIONS_PER_YEAR

_SESSIONS_WITHOUT_WEEKENDS: Final = 365

_COUNTS: Final = {
    "liquidity_window_sessions": 2,
    "history_sessions": 0,
    "sessions_per_year": 1,
    "sessions_per_chunk": 1,
    "orders_per_step": 1,
}
"""Whole numbers, and the least that each may be."""

_OPTIONAL_COUNTS: Final = ("sessions_per_chunk", "orders_per_step")

EngineName = Literal["event_driven", "vectorized", "walk_forward"]
ENGINES: Final = get_args(EngineName)

_TYPES: Final[tuple[tuple[str, Any, str], ...]] = (
    ("initial_cash_usd", Real, "a number of USD"),
    ("rules", TradingRules, "TradingRules(...)"),
    ("costs", CostModel, "CostModel(...)"),
    ("events", Sequence, "a list of CorporateEvent"),
    ("tick_usd", Mapping, "a mapping of symbols to USD"),
    ("borrow_rate_per_year", Mapping, "a mapping of symbols to rates"),
    ("liquidity_window_sessions", Real, "a number of sessions"),
    ("sessions_per_chunk", Real | None, "a number of sessions, or None for all"),
    ("history_sessions", Real, "a number of sessions"),
    ("orders_per_step", Real | None, "a number of orders, or None"),
    ("risk_free_rate", Real, "a rate a year"),
    ("sessions_per_year", Real, "a number of sessions"),
)
_SYMBOLS_NAMED: Final = 8


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
        A number is out of bounds, a part has another type, or no engine is called so.
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
        self._require_types()
        if self.engine not in ENGINES:
            near = difflib.get_close_matches(str(self.engine).lower(), ENGINES, n=1, cutoff=0.0)[0]
            raise ConfigurationError(
                f"backtest: engine is {self.engine!r} and must be {', '.join(ENGINES[:-1])} or {ENGINES[-1]}; the "
                f"nearest is {near!r}"
            )
        require_within("backtest: initial_cash_usd", self.initial_cash_usd, above=0.0, at_most=1e15)
        require_within("backtest: risk_free_rate", self.risk_free_rate, at_least=-1.0, at_most=10.0)
        for symbol, tick in self.tick_usd.items():
            require_within(f"backtest: tick_usd of {symbol}", tick, at_most=1e6)
        for symbol, rate in self.borrow_rate_per_year.items():
            require_within(f"backtest: borrow_rate_per_year of {symbol}", rate, at_most=10.0)
        for name, least in _COUNTS.items():
            found = getattr(self, name)
            if found is None and name in _OPTIONAL_COUNTS:
                continue
            if isinstance(found, bool) or not isinstance(found, int) or found < least:
                raise ConfigurationError(
                    f"backtest: {name} is {found!r} and must be a whole number of at least {least}; correct it"
                )

    def _require_types(self) -> None:
        for name, kind, expected in _TYPES:
            found = getattr(self, name)
            if not isinstance(found, kind):
                raise ConfigurationError(
                    f"backtest: {name} is {type(found).__name__} and must be {expected}; correct it, or leave it out "
                    "for the default"
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
                target_orders="market" if execution.default_algorithm == "market" else "vwap",
            ),
            costs=CostModel.from_settings(backtesting),
            liquidity_window_sessions=backtesting.liquidity_window_sessions,
            risk_free_rate=config.eval.metrics.risk_free_rate,
            sessions_per_year=_SESSIONS_WITHOUT_WEEKENDS if calendar.trades_every_day else SESSIONS_PER_YEAR,
            source=config.run.source,
            is_simulated=config.run.source == "simulated",
        )

    def described(self, engine: EngineName) -> dict[str, dict[str, Any]]:
        """Return what a reader must know of how results came about: every setting that decides one, by group.

        Parameters
        ----------
        engine : {"event_driven", "vectorized", "walk_forward"}
            The one that ran.

        Returns
        -------
        dict of str to dict
            Numbers, texts, booleans and None under the names of the settings; a model is its name and its parameters.

        Notes
        -----
        Events are data and stand in the results' records. Chunks decide no result but what a strategy can look back
        on, and rates and the year of the metrics are fields of the results.
        """
        costs = self.costs
        return {
            "rules": {each.name: getattr(self.rules, each.name) for each in fields(self.rules)},
            "costs": {
                "slippage": _model_in_words(costs.slippage),
                "slippage_within_bar": costs.slippage_within_bar,
                "impact": _model_in_words(costs.impact),
                "liquidity_window_sessions": self.liquidity_window_sessions,
                "commission": _model_in_words(costs.commission),
                "financing": _model_in_words(costs.financing),
                "borrow_rate_per_year": _by_symbol_in_words(self.borrow_rate_per_year),
                "regulatory_fees": costs.regulatory_fees,
            },
            "simulation": {
                "engine": engine,
                "initial_cash_usd": self.initial_cash_usd,
                "tick_usd": _by_symbol_in_words(self.tick_usd),
                "history_sessions": self.history_sessions,
            },
        }


def _model_in_words(model: Any) -> str:
    """Return a model's name and its parameters, as "FixedBps: slippage_bps 5"."""
    parameters = [f"{each.name} {_in_words(getattr(model, each.name))}" for each in fields(model)]
    return type(model).__name__ + (f": {', '.join(parameters)}" if parameters else "")


def _in_words(value: Any) -> str:
    """Return a parameter with all its digits; two numbers that differ never read the same."""
    if isinstance(value, tuple):
        return " and ".join(f"{_in_words(rate)} from {_in_words(first)}" for first, rate in value)
    number = float(value)
    return "without bound" if number == float("inf") else repr(number).removesuffix(".0")


def _by_symbol_in_words(values: Mapping[str, float]) -> str | None:
    """Return the symbols with their values; of many symbols the range and a digest of all."""
    if not values:
        return None
    pairs = [f"{symbol} {_in_words(values[symbol])}" for symbol in sorted(values)]
    if len(pairs) <= _SYMBOLS_NAMED:
        return ", ".join(pairs)
    digest = hashlib.sha256("\n".join(pairs).encode()).hexdigest()[:12]
    least, most = _in_words(min(values.values())), _in_words(max(values.values()))
    return f"{least} to {most} for {len(pairs)} symbols (SHA-256 {digest})"
