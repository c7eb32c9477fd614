"""The walk-forward engine: fit on a window of the past, trade the sessions that follow, move on.

Belongs here: one simulation that goes on while the strategy in charge changes, so that positions, cash and open orders
pass from one test window to the next and nothing is reset, and what came of each window. How parameters are searched
for is the fit's own business (:mod:`aegis.backtesting.fits`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import pandas as pd

from aegis.backtesting.array_strategies import refuse_rows_of_other_times
from aegis.backtesting.backtest_config import BacktestConfig, EngineName
from aegis.backtesting.bars import Bars
from aegis.backtesting.event_driven import AnyStrategy, ArrayStrategy, EventDrivenBacktest, refuse_second_run
from aegis.backtesting.fits import Fit, Fitted, require_rule, run_rule, strategy_for
from aegis.backtesting.jitted import JittedStrategy
from aegis.backtesting.kernel.simulation import Targets
from aegis.backtesting.python_runner import PythonRunner
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.return_metrics import ReturnMetrics, return_metrics
from aegis.backtesting.splits import Splits, Window
from aegis.backtesting.strategy import Strategy
from aegis.backtesting.streaming import BarSource
from aegis.errors import BacktestError


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForward:
    """A fit and the windows it is repeated on: what the walk-forward engine takes as its strategy."""

    fit: Fit
    splits: Splits


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOutcome:
    """One window, what was chosen on it, and how it went before and after.

    Parameters
    ----------
    window : Window
    fitted : Fitted
    in_sample : ReturnMetrics
        Of the choice on its own training window, from the initial cash.
    out_of_sample : ReturnMetrics
        Of the test window's part of the chained equity.
    """

    window: Window
    fitted: Fitted
    in_sample: ReturnMetrics
    out_of_sample: ReturnMetrics


@dataclass(frozen=True, kw_only=True)
class WalkForwardResults:
    """A walk through all windows.

    Parameters
    ----------
    chained : BacktestResults
        The one simulation over all test windows.
    windows : tuple of WindowOutcome
    """

    chained: BacktestResults
    windows: tuple[WindowOutcome, ...]

    @property
    def trials(self) -> int:
        """How many candidates were tried in all windows together."""
        return sum(outcome.fitted.trials for outcome in self.windows)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a window: ``test_first, test_last``, each parameter, and both samples' metrics."""
        return pd.DataFrame([self._row(outcome) for outcome in self.windows])

    def _row(self, outcome: WindowOutcome) -> dict[str, Any]:
        days, offset = self.chained.session_dates, self.windows[0].window.test_first
        window = outcome.window
        row: dict[str, Any] = {
            "window": window.number,
            "test_first": days[window.test_first - offset],
            "test_last": days[window.test_end - offset - 1],
            "trials": outcome.fitted.trials,
        }
        row |= {f"parameter_{name}": value for name, value in outcome.fitted.parameters.items()}
        for sample in ("in_sample", "out_of_sample"):
            metrics: ReturnMetrics = getattr(outcome, sample)
            for name in ("total_return", "sharpe_ratio", "max_drawdown"):
                row[f"{sample}_{name}"] = getattr(metrics, name)
        return row


class WalkForwardBacktest:
    """A walk over bars in memory, to be run once.

    Parameters
    ----------
    walk : WalkForward
        The fit and its windows.
    source : Bars
        All sessions, those of the first training window included.
    config : BacktestConfig
        Of every simulation, in and out of sample.

    Raises
    ------
    BacktestError
        `walk` is no WalkForward, the bars are not in memory, or leave no session to test on.

    Notes
    -----
    Fits depend on bars only, so all are done before the simulation begins, each on its own training window. The fill of
    an order that a window's last close decides belongs to the next window, as in real trading.
    """

    def __init__(self, walk: WalkForward, source: Bars | BarSource, config: BacktestConfig) -> None:
        if not isinstance(walk, WalkForward):
            raise BacktestError(
                f"walk-forward: {type(walk).__name__} cannot be fitted; pass WalkForward(fit=..., splits=Splits(...))"
            )
        if not isinstance(source, Bars):
            raise BacktestError(
                f"walk-forward: {type(source).__name__} is read in chunks, and training windows overlap; pass Bars"
            )
        self._walk, self._bars, self._config = walk, source, replace(config, sessions_per_chunk=None)
        self.windows = walk.splits.windows(len(source.sessions) - 1)
        self.fitted: list[Fitted] = []
        self._simulation: _Relay | None = None
        self._has_begun = False

    def run(self) -> WalkForwardResults:
        """Fit every window, then simulate all test windows as one.

        Raises
        ------
        BacktestError
            A fit returned no rule, or it was run before.
        StrategyFailed
            A strategy went wrong; :meth:`results` returns what was done until then.
        """
        refuse_second_run(has_begun=self._has_begun)
        self._has_begun = True
        for window in self.windows:
            self.fitted.append(require_rule(window, self._walk.fit(self._train(window), self._config)))
        self._simulation = _Relay(self._bars, self.windows, self.fitted, self._config)
        self._simulation.run()
        return WalkForwardResults(
            chained=self.results(),
            windows=tuple(self._outcome(*pair) for pair in zip(self.windows, self.fitted, strict=True)),
        )

    def results(self) -> BacktestResults:
        """Return the chained simulation as far as it came.

        Raises
        ------
        BacktestError
            No step was taken.
        """
        if self._simulation is None:
            raise BacktestError("walk-forward: nothing is simulated yet; run it first")
        done, splits = self._simulation.results(), self._walk.splits
        described = {name: getattr(splits, name) for name in splits.__slots__}
        return replace(done, strategy="walk-forward", settings={**done.settings, "walk_forward": described})

    def _train(self, window: Window) -> Bars:
        return self._bars.part(window.train_first, window.train_end)

    def _outcome(self, window: Window, fitted: Fitted) -> WindowOutcome:
        before = run_rule(fitted.rule, self._train(window), self._config)
        offset = self.windows[0].test_first
        after = self._chained_returns.iloc[window.test_first - offset : window.test_end - offset]
        return WindowOutcome(
            window=window, fitted=fitted, in_sample=self._metrics(before.returns), out_of_sample=self._metrics(after)
        )

    @cached_property
    def _chained_returns(self) -> pd.Series[float]:
        return self.results().returns

    def _metrics(self, returns: pd.Series[float]) -> ReturnMetrics:
        config = self._config
        return return_metrics(
            returns, risk_free_rate_annual=config.risk_free_rate, sessions_per_year=config.sessions_per_year
        )


class _Relay(EventDrivenBacktest):
    """One event-driven simulation in which each test window has a strategy of its own."""

    _engine: ClassVar[EngineName] = "walk_forward"

    def __init__(self, bars: Bars, windows: Sequence[Window], fitted: Sequence[Fitted], config: BacktestConfig) -> None:
        self._legs = list(zip(windows, fitted, strict=True))
        super().__init__(self._taking_over(bars, *self._legs[0]), bars, config)
        self._all_bars = bars

    @staticmethod
    def _taking_over(bars: Bars, window: Window, fitted: Fitted) -> AnyStrategy:
        return strategy_for(fitted.rule, bars.part(_seen_from(window, fitted), window.test_end))

    def _chunks(self) -> Iterator[tuple[Bars, int]]:
        """Yield each test window behind its history, with its strategy in charge."""
        if self._liquidity is not None:
            self._liquidity.beside(self._all_bars.part(0, self._legs[0][0].test_first))
        for window, fitted in self._legs:
            seen = _seen_from(window, fitted)
            bars = self._all_bars.part(seen, window.test_end)
            self._hand_over(self._strategy if window.number == 0 else strategy_for(fitted.rule, bars))
            yield bars, window.test_first - seen

    def _targets_of(self, bars: Bars) -> Targets:
        """Return the decisions of the strategy in charge, which was made for these bars."""
        assert isinstance(self._strategy, ArrayStrategy)  # noqa: S101 - for the type checker; the caller asked
        refuse_rows_of_other_times(self._strategy, bars, first_row=0)
        return self._strategy.targets(bars.n_steps, bars.symbols)

    def _hand_over(self, strategy: AnyStrategy) -> None:
        """Put a strategy in charge of the account as it is, with parameters and memory of its own."""
        self._strategy = strategy
        simulation = self.simulation
        if isinstance(strategy, JittedStrategy):
            simulation.set_parameters(strategy.parameters, memory_size=strategy.memory_size)
        self._runner = None
        if isinstance(strategy, Strategy):
            self._runner = PythonRunner(strategy, simulation)


def _seen_from(window: Window, fitted: Fitted) -> int:
    return max(window.test_first - fitted.history_sessions, 0)
