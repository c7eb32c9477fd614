"""What a strategy is, which ones exist, and how their signals become one table.

Belongs here: the protocol, the list of built-in strategies, and the checks on what a strategy answers. Each strategy
is a module of its own; ``docs/strategies.md`` shows how to add one.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from aegis.errors import ConfigurationError, FeatureError
from aegis.lake.tables import STRATEGY_SIGNALS
from aegis.signals.low_volatility_trend import LowVolatilityTrend
from aegis.signals.momentum import Momentum
from aegis.signals.short_term_reversal import ShortTermReversal


@runtime_checkable
class Strategy(Protocol):
    """A view on which members of the universe will do better than the others."""

    @property
    def name(self) -> str:
        """Name stored with each signal; unique among the strategies of a run."""
        ...

    def scores(self, features: pd.DataFrame) -> pd.DataFrame:
        """Score each row of `features`.

        Parameters
        ----------
        features : DataFrame
            Rows of ``features/daily_features`` of one or many sessions, in key order; features may be null.

        Returns
        -------
        DataFrame
            Same index, two columns: ``score``, in standard deviations of the session's cross-section, about -3 to 3,
            positive where the name is expected to beat the others; ``confidence``, from 0, no opinion, to 1: the share
            of the usual information coefficient that this score deserves. A null in either means no opinion.

        Notes
        -----
        The score of a session may use rows of that session only. Then a year computed at once equals the year computed
        day by day, and nothing can look ahead. Use :mod:`aegis.signals.cross_section`.
        """
        ...


BUILT_IN: Mapping[str, Callable[[], Strategy]] = {
    Momentum.name: Momentum,
    ShortTermReversal.name: ShortTermReversal,
    LowVolatilityTrend.name: LowVolatilityTrend,
}


def find_strategies(names: Sequence[str]) -> list[Strategy]:
    """Return the strategies that ``signals.strategies`` names, in its order.

    Parameters
    ----------
    names : sequence of str
        Each a built-in name, or ``package.module:Class`` for a class that needs no arguments.

    Raises
    ------
    ConfigurationError
        The list is empty; a name is unknown, cannot be imported or is not a strategy; two strategies share a name.
    """
    if not names:
        raise ConfigurationError(f"signals.strategies is empty; name at least one of {', '.join(BUILT_IN)}")
    strategies = [_find(name) for name in names]
    found = [strategy.name for strategy in strategies]
    repeated = sorted({name for name in found if found.count(name) > 1})
    if repeated:
        raise ConfigurationError(
            f"signals.strategies: {repeated[0]!r} is the name of more than one strategy; give each its own `name`"
        )
    return strategies


def strategy_signals(features: pd.DataFrame, strategies: Sequence[Strategy]) -> pd.DataFrame:
    """Let each strategy score the features.

    Parameters
    ----------
    features : DataFrame
        Rows of ``features/daily_features``.
    strategies : sequence of Strategy
        See :func:`find_strategies`.

    Returns
    -------
    DataFrame
        Rows of ``signals/strategy_signals``: one for each strategy and row of `features`. No opinion is score 0 with
        confidence 0. ``known_at_utc`` is that of the features.

    Raises
    ------
    FeatureError
        A strategy answers with other rows or columns than asked, an infinite score, or a confidence outside 0 to 1.
    """
    ordered = features.sort_values(["session", "symbol"], ignore_index=True)
    parts = [_signals_of(strategy, ordered) for strategy in strategies]
    return STRATEGY_SIGNALS.conform(pd.concat(parts, ignore_index=True) if parts else STRATEGY_SIGNALS.empty())


def _find(name: str) -> Strategy:
    if name in BUILT_IN:
        return BUILT_IN[name]()
    if ":" in name:
        return _imported(name)
    near = difflib.get_close_matches(name, BUILT_IN, n=1, cutoff=0.0)
    raise ConfigurationError(
        f"signals.strategies: {name!r} is not a strategy; the nearest is {near[0]!r}. Built in are "
        f"{', '.join(BUILT_IN)}; name your own as 'package.module:Class'"
    )


def _imported(path: str) -> Strategy:
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a person's own module may fail in any way, and its setting is what leads to it
        raise ConfigurationError(
            f"signals.strategies: {path!r}: module {module_name!r} cannot be imported "
            f"({type(error).__name__}: {error}); put its file under aegis/signals, install its package, or correct it"
        ) from error
    if not hasattr(module, class_name):
        near = difflib.get_close_matches(class_name, vars(module), n=1, cutoff=0.0)
        raise ConfigurationError(
            f"signals.strategies: {path!r}: {module_name} has no {class_name!r}; the nearest name is {near[0]!r}"
        )
    made = getattr(module, class_name)
    try:
        strategy = made()
    except TypeError as error:
        raise ConfigurationError(
            f"signals.strategies: {path!r} cannot be made without arguments ({error}); give each parameter a default"
        ) from error
    if not isinstance(strategy, Strategy):
        raise ConfigurationError(
            f"signals.strategies: {path!r} is not a strategy; it needs `name` and `scores(features)`"
        )
    return strategy


def _signals_of(strategy: Strategy, features: pd.DataFrame) -> pd.DataFrame:
    answer = strategy.scores(features.copy())
    if not {"score", "confidence"} <= set(answer.columns) or not answer.index.equals(features.index):
        raise FeatureError(
            f"strategy {strategy.name!r}: expected columns score and confidence for the {len(features)} rows "
            f"it was given, found columns {list(answer.columns)} and {len(answer)} rows; keep the index of `features`"
        )
    signals = features[["session", "symbol", "known_at_utc"]].assign(
        strategy=strategy.name,
        score=answer["score"].astype(np.float64),
        confidence=answer["confidence"].astype(np.float64),
    )
    silent = signals["score"].isna() | signals["confidence"].isna()
    signals.loc[silent, ["score", "confidence"]] = 0.0
    _refuse_impossible(signals, strategy.name)
    return signals


def _refuse_impossible(signals: pd.DataFrame, name: str) -> None:
    impossible = ~np.isfinite(signals["score"]) | ~signals["confidence"].between(0.0, 1.0)
    if impossible.any():
        row = signals[impossible].iloc[0]
        raise FeatureError(
            f"strategy {name!r}, {row['symbol']} {row['session']:%Y-%m-%d}: score {row['score']} with confidence "
            f"{row['confidence']}; a score must be finite and a confidence between 0 and 1"
        )
