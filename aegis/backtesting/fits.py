"""What chooses a strategy from the past, and what it leaves behind.

Belongs here: the protocol, the simplest search that follows it, and running what was found. An optimiser or a model in
training is another class with the same call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.event_driven import AnyStrategy, ArrayStrategy, EventDrivenBacktest
from aegis.backtesting.jitted import JittedStrategy
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.splits import Window
from aegis.backtesting.strategy import Strategy
from aegis.errors import BacktestError

Value = bool | int | float | str | None
Rule = JittedStrategy | Callable[[Bars], AnyStrategy]
"""What a fit leaves behind: a compiled strategy, or a function of bars that makes a strategy for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a fit found.

    Parameters
    ----------
    rule : JittedStrategy or function
        What trades the test window. A function gets bars and returns the strategy for them, an array strategy with one
        row for each of their steps; it is called anew for each simulation, so that nothing is carried over.
    parameters : mapping of str to bool, int, float, str or None
        What was chosen, for the record.
    history_sessions : int
        Sessions before the test window that the rule gets to see as well.
    trials : int
        How many candidates it was chosen from; the deflated Sharpe ratio needs the sum.
    """

    rule: Rule
    parameters: Mapping[str, Value]
    history_sessions: int = 0
    trials: int = 1


class Fit(Protocol):
    """Whoever chooses a strategy from the past: a list of candidates, an optimiser, a model that is trained."""

    def __call__(self, train: Bars, config: BacktestConfig, /) -> Fitted:
        """Return what to trade after `train`, of which nothing later is known.

        Parameters
        ----------
        train : Bars
            The training window.
        config : BacktestConfig
            The simulation's settings, for backtests on the training window.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhaustiveFit:
    """The best of a list of candidates on the training window; of equals the first.

    Parameters
    ----------
    candidates : sequence of mapping
        Parameters to try.
    rule : function
        From parameters to a rule.
    score : function
        From the results on the training window to a number, the higher the better. NaN and None, which a metric is
        where it does not exist, count as the lowest.
    history_sessions : int
        See :class:`Fitted`.
    """

    candidates: Sequence[Mapping[str, Value]]
    rule: Callable[[Mapping[str, Value]], Rule]
    score: Callable[[BacktestResults], float | None]
    history_sessions: int = 0

    def __call__(self, train: Bars, config: BacktestConfig) -> Fitted:
        """Return the best candidate.

        Raises
        ------
        BacktestError
            There is no candidate.
        """
        if not self.candidates:
            raise BacktestError("walk-forward: there is no candidate to fit; give at least one set of parameters")
        scores = [self.score(run_rule(self.rule(candidate), train, config)) for candidate in self.candidates]
        numbers = np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
        best = self.candidates[int(np.argmax(np.where(np.isnan(numbers), -np.inf, numbers)))]
        return Fitted(
            rule=self.rule(best),
            parameters=best,
            history_sessions=self.history_sessions,
            trials=len(self.candidates),
        )


def run_rule(rule: Rule, bars: Bars, config: BacktestConfig) -> BacktestResults:
    """Return a rule's backtest on bars, from the initial cash."""
    return EventDrivenBacktest(strategy_for(rule, bars), bars, config).run()


def strategy_for(rule: Rule, bars: Bars) -> AnyStrategy:
    """Return the strategy that a rule makes for some bars."""
    return rule if isinstance(rule, JittedStrategy) else rule(bars)


def require_rule(window: Window, fitted: Fitted) -> Fitted:
    """Return what was fitted, if it is something that can be run more than once."""
    if not isinstance(fitted, Fitted):
        raise BacktestError(
            f"walk-forward, window {window.number}: the fit returned {type(fitted).__name__}; return Fitted(rule=..., "
            "parameters=...)"
        )
    rule = fitted.rule
    if isinstance(rule, Strategy | ArrayStrategy) or not (isinstance(rule, JittedStrategy) or callable(rule)):
        raise BacktestError(
            f"walk-forward, window {window.number}: the rule is {type(rule).__name__}, made before the bars that it is "
            "to trade; return a function of bars that makes it, or a jitted strategy"
        )
    return fitted
