"""Backtests of the configured strategies over what the lake holds.

Belongs here: what is simulated, on which prices, and the tables that come of it. How signals become weights is
:mod:`aegis.research.signal_weights`; every fill is the matching kernel's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from aegis import __version__
from aegis.backtesting.array_strategies import TargetWeights
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bar_rows import bars_from_daily_bars, bars_from_frame
from aegis.backtesting.bars import Bars
from aegis.backtesting.corporate_events import CorporateEvent, events_from_lake
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.vectorized import VectorizedBacktest
from aegis.calendars import TradingCalendar
from aegis.config import AegisConfig
from aegis.errors import BacktestError, ConfigurationError
from aegis.lake.schema import TableSchema
from aegis.lake.tables import BACKTEST_EQUITY, BACKTEST_TRADES, BACKTESTS
from aegis.market_data.adjustments import adjusted_closes
from aegis.market_data.panel_cells import cell_positions
from aegis.metrics.risk import drawdowns
from aegis.research.signal_weights import weekly_weights
from aegis.signals.strategy import find_strategies

ENSEMBLE: Final = "ensemble"
"""Name under which the combination of all strategies is simulated beside them."""

_TRADE_COLUMNS: Final = [name for name in BACKTEST_TRADES.column_names if name not in ("strategy", "trade_number")]


@dataclass(frozen=True, kw_only=True)
class BacktestInputs:
    """What the lake holds, read at one snapshot.

    Parameters
    ----------
    bars, actions : DataFrame
        ``market_data/daily_bars`` and ``corporate_actions``.
    strategy_signals, ensemble_signals : DataFrame
        ``signals/strategy_signals`` and ``ensemble_signals``.
    snapshot_id : int
        Lake snapshot that all of them were read at.
    """

    bars: pd.DataFrame
    actions: pd.DataFrame
    strategy_signals: pd.DataFrame
    ensemble_signals: pd.DataFrame
    snapshot_id: int

    def signals(self, names: Sequence[str]) -> dict[str, pd.DataFrame]:
        """Return the signals of each strategy and of the ensemble; those that have none are left out.

        Raises
        ------
        BacktestError
            A strategy is called like the ensemble, or nobody has a signal.
        """
        if ENSEMBLE in names:
            raise BacktestError(
                f"a strategy is called {ENSEMBLE!r}, the name of the combination of all; give it another `name`"
            )
        found = dict(iter(self.strategy_signals.groupby("strategy")))
        by_name = {name: found[name] for name in names if name in found}
        if not self.ensemble_signals.empty:
            by_name[ENSEMBLE] = self.ensemble_signals
        if not by_name:
            raise BacktestError(
                f"no signals of {', '.join(names)} are stored, so there is nothing to backtest; materialize "
                "signals/strategy_signals first (`make run` does; features need a year of bars)"
            )
        return by_name


def run_backtests(
    inputs: BacktestInputs, *, config: AegisConfig, calendar: TradingCalendar
) -> dict[str, BacktestResults]:
    """Simulate each configured strategy and the ensemble, from its first signal to the last bar.

    Parameters
    ----------
    inputs : BacktestInputs
    config : AegisConfig
        Read: ``signals.strategies``, ``portfolio.max_position_weight`` and ``max_gross_exposure``,
        ``eval.backtesting``, ``eval.execution``, ``eval.metrics.risk_free_rate``, ``run.initial_cash_usd``.
    calendar : TradingCalendar
        That of the bars.

    Returns
    -------
    dict of str to BacktestResults
        By name, strategies in the configuration's order, the ensemble last. One without signals is left out.

    Raises
    ------
    ConfigurationError
        The engine cannot run stored signals.
    BacktestError
        Nothing to simulate; or the vectorized engine cannot do what is configured, and the message says what.
    MalformedData
        A corporate action cannot be booked, or was known only after its ex-date.

    Notes
    -----
    The event-driven engine trades raw prices and books splits, dividends, renames and delistings on their dates. The
    vectorized engine knows no events: it trades prices adjusted for splits and dividends, and volumes that keep the
    dollar volume, and so gets no dividend cash. Adjusted prices of the past are scaled by later actions, which moves
    no weight, but whole shares are other whole shares.
    """
    simulator = _simulator(config)
    signals = inputs.signals([strategy.name for strategy in find_strategies(config.signals.strategies)])
    bars, events = _market(inputs, signals, calendar, is_adjusted=simulator is VectorizedBacktest)
    settings = replace(BacktestConfig.from_settings(config, calendar), events=events)
    rule = {
        "max_position_weight": config.portfolio.max_position_weight,
        "max_gross_exposure": config.portfolio.max_gross_exposure,
    }
    results: dict[str, BacktestResults] = {}
    for name, rows in signals.items():
        first = int(np.searchsorted(bars.session_days, rows["session"].min().to_datetime64()))
        part = bars.part(first, len(bars.session_days))
        days: list[date] = part.session_days.tolist()
        weights = weekly_weights(rows, sessions=days, symbols=part.symbols, calendar=calendar, **rule)
        done = simulator(TargetWeights(weights=weights), part, settings).run()
        results[name] = _labelled(done, name, settings, rule)
    return results


def backtest_tables(results: Mapping[str, BacktestResults], *, snapshot_id: int) -> dict[TableSchema, pd.DataFrame]:
    """Return the rows of ``research/backtests``, ``backtest_equity`` and ``backtest_trades``.

    Parameters
    ----------
    results : mapping of str to BacktestResults
        By name of the strategy, from :func:`run_backtests`; at least one.
    snapshot_id : int
        Lake snapshot of the inputs.
    """
    parts = {
        BACKTESTS: [_row(name, done, snapshot_id) for name, done in results.items()],
        BACKTEST_EQUITY: [_equity(name, done) for name, done in results.items()],
        BACKTEST_TRADES: [_trades(name, done) for name, done in results.items()],
    }
    # Conformed one by one: a strategy without a trade has columns of nothing, whose dtype pandas would have to guess.
    return {
        table: table.conform(pd.concat([table.conform(frame) for frame in frames], ignore_index=True))
        for table, frames in parts.items()
    }


def _simulator(config: AegisConfig) -> type[EventDrivenBacktest] | type[VectorizedBacktest]:
    engine = config.eval.backtesting.engine
    if engine == "walk_forward":
        raise ConfigurationError(
            "eval.backtesting.engine is walk_forward, which fits parameters on windows of the past, and stored signals "
            "have none to fit; set it to event_driven or vectorized for research/backtests, and walk forward in Python "
            "(docs/backtesting.md)"
        )
    return VectorizedBacktest if engine == "vectorized" else EventDrivenBacktest


def _market(
    inputs: BacktestInputs, signals: Mapping[str, pd.DataFrame], calendar: TradingCalendar, *, is_adjusted: bool
) -> tuple[Bars, Sequence[CorporateEvent]]:
    """Return the bars of all names with a signal from the first signal on, and what is booked beside them."""
    first = min(rows["session"].min() for rows in signals.values())
    symbols = {symbol for rows in signals.values() for symbol in rows["symbol"].unique()}
    frame = inputs.bars[inputs.bars["symbol"].isin(symbols)]
    wanted = frame["session"] >= first
    if not wanted.any():
        raise BacktestError(
            f"there are signals from {first:%Y-%m-%d} on and no bars of their symbols; materialize "
            "market_data/daily_bars first"
        )
    actions = inputs.actions[inputs.actions["symbol"].isin(frame.loc[wanted, "symbol"].unique())]
    if is_adjusted:
        return bars_from_frame(
            _adjusted(frame, actions, calendar)[wanted], sessions=calendar, price_mode="adjusted"
        ), ()
    return bars_from_daily_bars(frame[wanted], calendar), events_from_lake(actions)


def _adjusted(frame: pd.DataFrame, actions: pd.DataFrame, calendar: TradingCalendar) -> pd.DataFrame:
    """Return rows of ``daily_bars`` as bars scaled for splits and dividends, as known after the last of them."""
    symbols = sorted(frame["symbol"].unique())
    sessions = calendar.sessions(frame["session"].min().date(), frame["session"].max().date())
    closes = adjusted_closes(frame, actions, symbols, sessions, as_known_at=frame["known_at_utc"].max())
    rows, columns = cell_positions(frame, sessions=sessions, symbols=symbols)
    scale = closes[rows, columns] / frame["close_raw_usd"].to_numpy()
    scaled = {name: frame[f"{name}_raw_usd"] * scale for name in ("open", "high", "low", "close")}
    return frame[["session", "symbol"]].assign(**scaled, volume=frame["volume_shares"] / scale)


def _labelled(done: BacktestResults, name: str, settings: BacktestConfig, rule: Mapping[str, float]) -> BacktestResults:
    """Return results under the strategy's name, with everything that decided them and its hash."""
    described = {
        **done.settings,
        "metrics": {"risk_free_rate": settings.risk_free_rate, "sessions_per_year": settings.sessions_per_year},
        "weights": {"rule": "weekly, long only, score times confidence", **rule},
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return replace(done, strategy=name, settings=described, config_hash=digest, code_version=__version__)


def _row(name: str, done: BacktestResults, snapshot_id: int) -> pd.DataFrame:
    """Return the row of ``research/backtests``; a metric that does not exist is null."""
    metrics = {key: value for key, value in done.metrics.as_series().items() if key in BACKTESTS.column_names}
    return pd.DataFrame(
        [
            {
                **metrics,
                "strategy": name,
                "engine": done.settings["simulation"]["engine"],
                "price_mode": done.price_mode,
                "source": done.source,
                "is_simulated": done.is_simulated,
                "settings_hash": done.config_hash,
                "code_version": done.code_version,
                "input_snapshot_id": snapshot_id,
            }
        ]
    )


def _equity(name: str, done: BacktestResults) -> pd.DataFrame:
    levels = np.concatenate(([done.initial_cash_usd], done.daily_equity.to_numpy()))
    return pd.DataFrame(
        {
            "session": done.session_dates,
            "strategy": name,
            "equity_usd": levels[1:],
            "drawdown": drawdowns(levels)[1:],
        }
    )


def _trades(name: str, done: BacktestResults) -> pd.DataFrame:
    trades = done.trades[_TRADE_COLUMNS]
    return trades.astype(dict.fromkeys(("symbol", "side", "exit_by"), object)).assign(
        strategy=name, trade_number=np.arange(1, len(trades) + 1)
    )
