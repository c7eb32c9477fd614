"""Parameter sweeps: one row of numbers for each set of parameters, and nothing else kept.

Belongs here: what is swept, over how many workers, and the numbers of a column. :func:`fused_sweep` runs a compiled
signal (:mod:`aegis.backtesting.sweep_signals`) over each symbol with an account of its own, some nanoseconds a bar;
:func:`sweep` runs any strategy, one full backtest for each set. Both leave the same sums behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import pairwise, product

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import ArrayLike

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bar_liquidity import TrailingLiquidity
from aegis.backtesting.bars import Bars
from aegis.backtesting.event_driven import AnyStrategy, EventDrivenBacktest, require_bars
from aegis.backtesting.kernel.records import ACTION
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.regulatory_fees import fee_rate_rows
from aegis.backtesting.strategy import Strategy
from aegis.backtesting.streaming import BarSource
from aegis.backtesting.sweep_columns import Columns
from aegis.backtesting.sweep_results import PORTFOLIO, SweepResults, metrics_of_sums
from aegis.backtesting.sweep_signals import Floats, SweepSignal
from aegis.backtesting.sweep_sums import N_SUMS, Sums, fill_sums
from aegis.errors import BacktestError, StrategyFailed

Parameters = Mapping[str, ArrayLike]

_TASKS_PER_WORKER = 4
_EPOCH = date(1970, 1, 1)


def parameter_grid(**values: Sequence[float]) -> dict[str, Floats]:
    """Return every combination of the values, the last name changing fastest."""
    rows = np.array(list(product(*values.values())), dtype=np.float64).reshape(-1, len(values))
    return {name: rows[:, k] for k, name in enumerate(values)}


def fused_sweep(
    signal: SweepSignal, bars: Bars, parameters: Parameters, config: BacktestConfig, *, workers: int | None = None
) -> SweepResults:
    """Simulate a signal with each set of parameters on each symbol alone.

    Parameters
    ----------
    signal : SweepSignal
        What decides at each close.
    bars : Bars
        Dense. A symbol's missing bars are left out: its account knows only its own sessions.
    parameters : mapping of str to array_like of float64, shape (sets,) or ()
        A value for each set, or one for all, under each name of the signal.
    config : BacktestConfig
        Every rule and cost; no corporate events and no chunks.
    workers : int, optional
        Threads; one for each processor if not given.

    Raises
    ------
    BacktestError
        What a fused sweep cannot do, parameters that do not fit, or a signal that sees later closes.
    StrategyFailed
        The signal raised, or asked for what cannot be; with symbol, parameters and bar.

    Notes
    -----
    Each number is that of an :class:`~aegis.backtesting.event_driven.EventDrivenBacktest` of
    ``signal.strategy(closes, parameters)`` on the symbol's bars, to rounding, and does not depend on `workers`. Extra
    memory is a few columns of bars for each worker.
    """
    require_bars(bars)
    _refuse_what_columns_cannot(bars, config)
    rows = _rows(signal.parameters, parameters)
    symbols = range(len(bars.symbols))
    sums = np.full((len(symbols), len(rows), N_SUMS), np.inf)
    n_workers = _workers(workers)
    parts = max(1, min(len(rows), -(-_TASKS_PER_WORKER * n_workers // len(symbols))))
    bounds = np.linspace(0, len(rows), parts + 1).astype(int)
    tasks = [(s, slice(first, end)) for s in symbols for first, end in pairwise(bounds)]

    def run(task: tuple[int, slice]) -> int:
        symbol, part = task
        own = _bars_of(bars, symbol)
        _simulate(signal, own, rows[part], sums[symbol, part], config)
        return len(own.sessions) - 1

    for row in rows[sorted({0, len(rows) // 2, len(rows) - 1})]:
        signal.refuse_look_ahead(_bars_of(bars, 0).close, row)
    with ThreadPoolExecutor(n_workers) as pool:
        n_sessions = dict(zip((symbol for symbol, _ in tasks), pool.map(run, tasks), strict=True))
    sessions = np.array([n_sessions[symbol] for symbol in symbols], dtype=np.float64)
    return SweepResults(
        names=signal.parameters, parameters=rows, accounts=bars.symbols, metrics=metrics_of_sums(sums, sessions, config)
    )


def sweep(
    strategy_of: Callable[..., AnyStrategy],
    data: Bars | BarSource,
    parameters: Parameters,
    config: BacktestConfig,
    *,
    workers: int = 1,
) -> SweepResults:
    """Run one full backtest for each set of parameters.

    Parameters
    ----------
    strategy_of : callable
        Makes the strategy from the parameters, given by name: of the same ones the same strategy. With several workers
        it is called by all of them at once, and once more for the first set; where they are other processes it is a
        function at the top of a module.
    data : Bars or BarSource
        What all of them decide on.
    parameters : mapping of str to array_like of float64, shape (sets,) or ()
        A value for each set, or one for all.
    config : BacktestConfig
        As for one backtest.
    workers : int
        As joblib counts them, -1 for all processors: threads for arrays and jitted strategies over Bars, for which the
        engine gives Python's lock up; processes for Python classes, which keep it, and for other sources, which need
        not bear threads. ``joblib.parallel_config`` puts something else in their place.

    Raises
    ------
    BacktestError
        The data are no bars, the parameters do not fit, or there is no worker.
    StrategyFailed
        A strategy went wrong.

    Notes
    -----
    Each number is that of a backtest of its own, to rounding, and does not depend on `workers`. The sets are parted
    among the workers; those of a part use one account at the venue, one after the other.
    """
    require_bars(data)
    if workers == 0:
        raise BacktestError("workers is 0; at least one is needed")
    names = tuple(parameters)
    rows = _rows(names, parameters)
    settings = [dict(zip(names, row.tolist(), strict=True)) for row in rows]
    n_workers = joblib.effective_n_jobs(workers)
    n_parts = 1 if n_workers == 1 else min(len(rows), _TASKS_PER_WORKER * n_workers)
    bears_threads = n_parts == 1 or (isinstance(data, Bars) and not isinstance(strategy_of(**settings[0]), Strategy))
    done = joblib.Parallel(n_jobs=n_workers, prefer="threads" if bears_threads else "processes")(
        joblib.delayed(_full_backtests)(strategy_of, data, [settings[k] for k in part], config)
        for part in np.array_split(np.arange(len(rows)), n_parts)
    )
    sums = np.concatenate([part for part, _ in done])[np.newaxis]
    sessions = np.array([done[0][1]], dtype=np.float64)
    return SweepResults(
        names=names, parameters=rows, accounts=(PORTFOLIO,), metrics=metrics_of_sums(sums, sessions, config)
    )


def _full_backtests(
    strategy_of: Callable[..., AnyStrategy],
    data: Bars | BarSource,
    settings: Sequence[dict[str, float]],
    config: BacktestConfig,
) -> tuple[Floats, int]:
    """Return a row of sums for each backtest, and how many sessions they had."""
    sums = np.zeros((len(settings), N_SUMS))
    backtest = None
    for row, setting in zip(sums, settings, strict=True):
        strategy = strategy_of(**setting)
        if backtest is not None and backtest.can_rerun:
            backtest.rerun(strategy)
        else:
            backtest = EventDrivenBacktest(strategy, data, config)
            backtest.run()
        n_sessions = fill_sums(row, backtest)
    return sums, n_sessions


def _refuse_what_columns_cannot(bars: Bars, config: BacktestConfig) -> None:
    """Refuse what is beyond one symbol's bars and one account's targets."""
    unknown = sorted({*config.tick_usd, *config.borrow_rate_per_year} - set(bars.symbols))
    refusals = {
        "bars in the sparse layout": not bars.is_dense,
        f"corporate events ({len(config.events)})": len(config.events) > 0,
        "chunks of sessions": config.sessions_per_chunk is not None,
        f"settings for symbols without bars ({', '.join(unknown[:5])})": bool(unknown),
    }
    found = [what for what, is_there in refusals.items() if is_there]
    if found:
        raise BacktestError(
            f"a fused sweep cannot do {' and '.join(found)}; leave that out (prices adjusted for splits and dividends "
            "need no events), or run aegis.backtesting.sweeps.sweep, which runs the full engine for each set"
        )


def _rows(names: Sequence[str], parameters: Parameters) -> Floats:
    """Return the parameters as one row for each set."""
    if set(names) != set(parameters) or not names:
        raise BacktestError(
            f"parameters are {sorted(parameters)}, expected {list(names)}: a value or an array for each"
        )
    columns = [np.atleast_1d(np.asarray(parameters[name], dtype=np.float64)) for name in names]
    sizes = {column.shape for column in columns if column.shape != (1,)} or {(1,)}
    if len(sizes) > 1 or any(column.ndim != 1 or column.size == 0 for column in columns):
        shapes = {name: column.shape for name, column in zip(names, columns, strict=True)}
        raise BacktestError(f"parameters have the shapes {shapes}; give one value for each set, or one for all")
    rows = np.ascontiguousarray(np.stack(np.broadcast_arrays(*columns), axis=1))
    if not np.isfinite(rows).all():
        bad = int(np.argmax(~np.isfinite(rows).all(axis=1)))
        raise BacktestError(f"parameters of set {bad} are {dict(zip(names, rows[bad], strict=True))}; numbers only")
    return rows


def _workers(workers: int | None) -> int:
    if workers is not None and workers < 1:
        raise BacktestError(f"workers is {workers}; at least one is needed")
    return workers or os.cpu_count() or 1


def _bars_of(bars: Bars, symbol: int) -> Bars:
    """Return one symbol's bars, without those that are missing."""
    if len(bars.symbols) == 1:
        return bars
    open_, high, low, close, volume = (
        column.reshape(bars.n_steps, len(bars.symbols))[:, symbol] for column in bars.columns
    )
    there = ~np.isnan(close)
    if not there.any():
        raise BacktestError(f"{bars.symbols[symbol]}: has no bar; leave it out of the sweep")
    days = np.repeat(bars.session_days, np.diff(bars.sessions["first_step"]))
    return Bars.from_arrays(
        *(np.where(there, column, 0.0)[there] for column in (open_, high, low, close, volume)),
        closes_at=bars.closes_at[there],
        symbols=[bars.symbols[symbol]],
        sessions=days[there],
        opens_at=None if bars.opens_at is None else bars.opens_at[there],
        bar_interval=bars.bar_interval if bars.opens_at is None else None,
        price_mode=bars.price_mode,
    )


def _simulate(signal: SweepSignal, bars: Bars, rows: Floats, sums: Floats, config: BacktestConfig) -> None:
    """Fill the sums of one symbol's columns.

    Raises
    ------
    StrategyFailed
        With the column's parameters and the bar.
    """
    simulation = _simulation(bars, config)
    try:
        done = Columns(simulation, bars, signal).simulate(rows, sums)
    except Exception:
        # The column that had begun and has no end; asked alone, the signal fails again and says where.
        column = int(np.isfinite(sums[:, Sums.FINAL_EQUITY]).sum()) - 1
        signal.decisions(bars.close, rows[column])
        raise
    if done < len(rows):
        try:
            simulation.raise_fault()
        except StrategyFailed as failed:
            raise StrategyFailed(
                f"signal {signal.name}, parameters {signal.described(rows[done])}: {failed}"
            ) from failed


def _simulation(bars: Bars, config: BacktestConfig) -> Simulation:
    """Return an account with one symbol's bars before it."""
    symbol = bars.symbols[0]
    longest = int(np.diff(bars.sessions["first_step"]).max())
    simulation = Simulation(
        bars.symbols,
        rules=config.rules,
        costs=config.costs,
        cash_usd=config.initial_cash_usd,
        tick_usd=config.tick_usd.get(symbol, 0.0),
        borrow_rates=config.borrow_rate_per_year.get(symbol, np.nan),
        capacity=4 * longest,  # an order or two a bar, all gone when the session ends
    )
    if config.costs.regulatory_fees:
        first, last = (_EPOCH + timedelta(days=int(day)) for day in bars.session_days[[0, -1]].astype(int))
        simulation.set_fee_rates(fee_rate_rows(first, last))
    sigma = average = None
    if config.costs.needs_liquidity:
        sigma, average = TrailingLiquidity(config.liquidity_window_sessions, np.zeros(0, ACTION)).beside(bars)
    simulation.feed(bars, sigma_daily=sigma, adv_shares=average)
    return simulation
