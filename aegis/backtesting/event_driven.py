"""The event-driven engine: one simulation, driven by a strategy of any form over bars of any length.

Belongs here: feeding chunks, asking the strategy, and collecting what came of it. Every fill is the kernel's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.array_strategies import Signals, TargetShares, TargetWeights, refuse_rows_of_other_times
from aegis.backtesting.backtest_config import BacktestConfig, EngineName
from aegis.backtesting.bar_liquidity import TrailingLiquidity
from aegis.backtesting.bars import Bars
from aegis.backtesting.chunk_history import with_history
from aegis.backtesting.corporate_events import event_records, refuse_double_counting, refuse_unpayable_dividends
from aegis.backtesting.jitted import JittedStrategy
from aegis.backtesting.kernel.simulation import MOST_ROOM, Simulation, Targets
from aegis.backtesting.python_runner import PythonRunner
from aegis.backtesting.regulatory_fees import fee_rate_rows
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.session_marks import last_closes
from aegis.backtesting.strategy import Strategy
from aegis.backtesting.streaming import BarSource
from aegis.backtesting.taken_chunks import TakenChunk, joined, joined_sessions
from aegis.errors import BacktestError

ArrayStrategy = TargetWeights | TargetShares | Signals
AnyStrategy = ArrayStrategy | JittedStrategy | Strategy

_EPOCH = date(1970, 1, 1)
_REBALANCES = 128


def refuse_second_run(*, has_begun: bool) -> None:
    """Refuse to run a backtest again: account, strategy and results would go on where the first run ended.

    Raises
    ------
    BacktestError
        It has begun before.
    """
    if has_begun:
        raise BacktestError(
            "the backtest was run before, and an account begins once; read what it did with results() or "
            "get_results(), or make a new backtest with a new strategy object to run it again"
        )


def require_bars(source: object) -> None:
    """Refuse what a backtest cannot run on.

    Raises
    ------
    BacktestError
        It is neither bars nor a source of them.
    """
    if not isinstance(source, Bars) and not (hasattr(source, "symbols") and hasattr(source, "chunks")):
        raise BacktestError(
            f"data are {type(source).__name__}, expected Bars or a source of chunks; make bars of a DataFrame with "
            "bar_rows.bars_from_frame(frame) and of arrays with Bars.from_arrays(...)"
        )


class EventDrivenBacktest:
    """A strategy, bars and settings, to be run once; other strategies may follow over the same bars.

    Parameters
    ----------
    strategy : TargetWeights, TargetShares, Signals, JittedStrategy or Strategy
        What decides.
    source : Bars or BarSource
        What it decides on.
    config : BacktestConfig
        How it is simulated.

    Notes
    -----
    If the strategy fails, :meth:`results` still returns all that was done until then.
    """

    _engine: ClassVar[EngineName] = "event_driven"

    def __init__(self, strategy: AnyStrategy, source: Bars | BarSource, config: BacktestConfig) -> None:
        require_bars(source)
        _require_strategy(strategy)
        self._strategy, self._source, self._config = strategy, source, config
        symbols = tuple(source.symbols)
        self._actions = event_records(config.events, symbols=symbols)
        self.simulation = Simulation(
            symbols,
            rules=config.rules,
            costs=config.costs,
            cash_usd=config.initial_cash_usd,
            actions=self._actions,
            tick_usd=_by_symbol("tick_usd", config.tick_usd, symbols, 0.0),
            borrow_rates=_by_symbol("borrow_rate_per_year", config.borrow_rate_per_year, symbols, np.nan),
            **_numbers_of(strategy),
            orders_per_step=config.orders_per_step,
            capacity=_first_room(source) if isinstance(source, Bars) else MOST_ROOM,
        )
        self._runner = PythonRunner(strategy, self.simulation) if isinstance(strategy, Strategy) else None
        self._liquidity = (
            TrailingLiquidity(config.liquidity_window_sessions, self._actions) if config.costs.needs_liquidity else None
        )
        self._taken: list[TakenChunk] = []
        self._targets: Targets | None = None
        self._rows = 0
        self._has_begun = False
        self._steps_before = 0
        self._history_steps = 0
        self._last_closes = np.full(len(symbols), np.nan)

    def run(self) -> BacktestResults:
        """Simulate all bars and return what came of it.

        Raises
        ------
        BacktestError
            It was run before, or its array has other rows than the bars have steps.
        StrategyFailed
            The strategy raised or asked for what cannot be.
        MalformedData
            The bars or the corporate events cannot be.
        """
        refuse_second_run(has_begun=self._has_begun)
        self._has_begun = True
        for bars, warm_up in self._chunks():
            if self._taken:
                self._last_closes = last_closes(self._taken[-1].session_closes(), self._last_closes)
            fresh = bars if warm_up == 0 else bars.part(warm_up, len(bars.sessions) - 1)
            refuse_double_counting(fresh, self._actions)
            refuse_unpayable_dividends(fresh, self._actions, previous_close=self._last_closes)
            self._feed(bars, fresh, warm_up)
            self._take(bars, warm_up)
            if self._config.sessions_per_chunk is not None:
                self._taken[-1].release()
            self._steps_before += fresh.n_steps
        if self._targets is not None and self._rows > self._steps_before:
            self._refuse_other_rows(self._steps_before)
        return self.results()

    def rerun(self, strategy: AnyStrategy) -> None:
        """Run another strategy over the same bars, from the beginning and in the memory that is there.

        For whoever reads a few numbers of each of many runs: bars, actions and what the liquidity was are looked at
        once, and the records of the run before are written over: results that it returned hold until then, and no
        longer. What must outlive this is written down first, or run by a new backtest. :meth:`results` are this run's.

        Parameters
        ----------
        strategy : TargetWeights, TargetShares, Signals, JittedStrategy or Strategy
            What decides. An object of a Python class that has run before still knows what it knew then.

        Raises
        ------
        BacktestError
            It was not run before, or its bars come in chunks; or as for :meth:`run`.
        StrategyFailed
            The strategy raised or asked for what cannot be. What it did until then is in :meth:`results`.
        """
        bars = self._source
        if not (self._has_begun and self.can_rerun and isinstance(bars, Bars)):
            raise BacktestError(
                "only a backtest that was run, over bars in one piece, can run another strategy; make a new one"
            )
        _require_strategy(strategy)
        self._taken.clear()  # a strategy that is refused from here on leaves no results, not another's
        self._strategy, self._runner, self._targets = strategy, None, None
        self._steps_before = self._history_steps = 0
        self.simulation.restart(**self._decisions(bars), **_numbers_of(strategy))
        if isinstance(strategy, Strategy):
            self._runner = PythonRunner(strategy, self.simulation)
        self._take(bars, warm_up=0)

    @cached_property
    def session_first_steps(self) -> NDArray[np.int64]:
        """First step of each session, and the number of steps, of bars in one piece; shape (sessions + 1,)."""
        assert isinstance(self._source, Bars)  # noqa: S101 - for the type checker; `can_rerun` says so
        return np.ascontiguousarray(self._source.sessions["first_step"])

    @property
    def can_rerun(self) -> bool:
        """Whether the bars come in one piece, so that :meth:`rerun` can go back to the first."""
        return isinstance(self._source, Bars) and self._config.sessions_per_chunk is None

    def results(self) -> BacktestResults:
        """Return what was done so far.

        Raises
        ------
        BacktestError
            No step was taken.
        """
        simulation, config = self.simulation, self._config
        taken = [chunk for chunk in self._taken if chunk.n_steps > 0]
        if not taken:
            raise BacktestError("the backtest has no results yet: it has taken no step; run it first")
        return BacktestResults(
            strategy=_name(self._strategy),
            source=config.source,
            is_simulated=config.is_simulated,
            symbols=simulation.symbols,
            closes_at=joined([chunk.closes_at for chunk in taken]),
            sessions=joined_sessions(taken),
            initial_cash_usd=config.initial_cash_usd,
            equity_usd=joined([chunk.equity for chunk in taken]),
            cash_usd=joined([chunk.cash for chunk in taken]),
            order_records=simulation.orders,
            fill_records=simulation.fills,
            amendment_records=simulation.amendments,
            action_records=self._actions,
            position_records=simulation.positions,
            account_record=simulation.account_array,
            lot_shares=config.rules.lot_shares,
            closes_usd=lambda: np.vstack([chunk.session_closes() for chunk in taken]),
            price_mode=taken[0].price_mode,
            settings=self._settings,
            risk_free_rate_annual=config.risk_free_rate,
            sessions_per_year=config.sessions_per_year,
        )

    @cached_property
    def _settings(self) -> dict[str, dict[str, Any]]:
        return self._config.described(self._engine)

    def _chunks(self) -> Iterator[tuple[Bars, int]]:
        """Yield the bars to feed, with how many of their first sessions are history only."""
        sessions = self._config.sessions_per_chunk
        if sessions is None and isinstance(self._source, Bars):
            yield self._source, 0
            return
        chunks = self._source.chunks(sessions or 2**31)
        yield from with_history(chunks, self._config.history_sessions)

    def _feed(self, bars: Bars, fresh: Bars, warm_up: int) -> None:
        self._history_steps = int(bars.sessions["first_step"][warm_up])
        sigma = average = None
        if self._liquidity is not None:
            sigma, average = self._liquidity.beside(fresh)
            if warm_up > 0:
                missing = np.full(bars.n_rows - fresh.n_rows, np.nan)
                sigma, average = np.r_[missing, sigma], np.r_[missing, average]
        if self._config.costs.regulatory_fees:
            days = bars.sessions["day"][:-1].astype(int)
            first, last = (_EPOCH + timedelta(days=int(day)) for day in (days[0], days[-1]))
            self.simulation.set_fee_rates(fee_rate_rows(first, last))
        self.simulation.feed(
            bars, **self._decisions(bars), sigma_daily=sigma, adv_shares=average, warm_up_sessions=warm_up
        )

    def _decisions(self, bars: Bars) -> dict[str, Any]:
        """Return what the strategy says of the next chunk beforehand: targets, or indicators to decide by."""
        strategy = self._strategy
        if isinstance(strategy, ArrayStrategy):
            return {"targets": self._targets_of(bars)}
        if isinstance(strategy, JittedStrategy) and strategy.indicators is not None:
            return {"indicators": strategy.indicators(bars)}
        return {}

    def _targets_of(self, bars: Bars) -> Targets:
        """Return the array's decisions that fall into the next chunk."""
        strategy = self._strategy
        assert isinstance(strategy, ArrayStrategy)  # noqa: S101 - for the type checker; _decisions asked
        if self._targets is None:
            self._rows = _rows(strategy) if self._config.sessions_per_chunk else bars.n_steps
            self._targets = strategy.targets(self._rows, bars.symbols)
        steps = self._targets.steps
        begins = self._steps_before - self._history_steps
        if begins + bars.n_steps > self._rows:
            self._refuse_other_rows(begins + bars.n_steps)
        refuse_rows_of_other_times(strategy, bars, first_row=begins)
        first = int(np.searchsorted(steps, self._steps_before))
        last = int(np.searchsorted(steps, begins + bars.n_steps))
        return Targets(
            steps=steps[first:last] - begins,
            values=self._targets.values[first:last],
            are_weights=self._targets.are_weights,
        )

    def _refuse_other_rows(self, n_steps: int) -> None:
        """Refuse an array that ends before the bars that have come in chunks, or after them."""
        more = " or more" if n_steps > self._rows else ""
        raise BacktestError(
            f"the strategy's array has {self._rows} rows, the bars {n_steps} steps{more}; give a row for each step"
        )

    def _take(self, bars: Bars, warm_up: int) -> None:
        """Go through the chunk that was fed, and keep what was recorded even if the strategy fails."""
        taken = TakenChunk(bars, int(bars.sessions["first_step"][warm_up]), warm_up, self.simulation)
        self._taken.append(taken)
        try:
            self._advance(bars)
        finally:
            taken.close()

    def _advance(self, bars: Bars) -> None:
        if self._runner is not None:
            self._runner.run(bars)
        elif isinstance(self._strategy, JittedStrategy):
            self.simulation.advance(on_bar=self._strategy.on_bar)
        else:
            self.simulation.advance()


def _first_room(bars: Bars) -> int:
    """Return for how many orders there is room at first: one for each step, and ten years of monthly rebalancing.

    More comes when it is needed. The process hands small blocks from one backtest to the next; large ones come from the
    system each time, which clears every page of them.
    """
    return min(bars.n_rows, bars.n_steps + _REBALANCES * len(bars.symbols), MOST_ROOM)


def _require_strategy(strategy: object) -> None:
    if not isinstance(strategy, AnyStrategy):
        raise BacktestError(
            f"{type(strategy).__name__} is no strategy; pass TargetWeights, TargetShares, Signals, a function "
            "decorated with jitted_strategy, or an instance of Strategy"
        )


def _numbers_of(strategy: AnyStrategy) -> dict[str, Any]:
    """Return what a jitted strategy reads and may keep; nothing for the others."""
    if not isinstance(strategy, JittedStrategy):
        return {}
    return {"parameters": strategy.parameters, "memory_size": strategy.memory_size}


def _by_symbol(name: str, values: Mapping[str, float], symbols: tuple[str, ...], default: float) -> float | list[float]:
    if not values:
        return default
    unknown = sorted(set(values) - set(symbols))
    if unknown:
        raise BacktestError(f"{name} names {', '.join(unknown[:5])}, of which there are no bars; remove them")
    return [values.get(symbol, default) for symbol in symbols]


def _rows(strategy: ArrayStrategy) -> int:
    first = strategy.weights if isinstance(strategy, TargetWeights) else None
    if isinstance(strategy, TargetShares):
        first = strategy.shares
    elif isinstance(strategy, Signals):
        first = strategy.entries
    return len(np.asarray(first))


def _name(strategy: AnyStrategy) -> str:
    return strategy.name if isinstance(strategy, JittedStrategy) else type(strategy).__name__
