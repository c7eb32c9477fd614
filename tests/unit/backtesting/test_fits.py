"""Choosing among candidates by a number that may not exist."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aegis.backtesting.array_strategies import TargetShares
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.fits import ExhaustiveFit

DAY = 86_400_000_000_000


def bars(*prices: float) -> Bars:
    opened = np.array(prices)
    return Bars.from_arrays(
        *(opened,) * 4, np.full(len(prices), 1e6), closes_at=np.arange(1, len(prices) + 1) * DAY, symbols=["AAA"]
    )


def hold(parameters: Any) -> Any:
    return lambda seen: TargetShares(shares=np.full(seen.n_steps, float(parameters["shares"])))


@pytest.mark.parametrize(("candidates", "chosen"), [((0, 10), 10), ((10, 0), 10), ((0, 0), 0)])
def test_a_candidate_whose_score_does_not_exist_is_the_lowest(candidates: tuple[int, ...], chosen: int) -> None:
    """Who holds nothing has no Sharpe ratio: None, and no error."""
    fit = ExhaustiveFit(
        candidates=[{"shares": shares} for shares in candidates],
        rule=hold,
        score=lambda done: done.metrics.sharpe_ratio,
    )
    assert fit(bars(10.0, 11.0, 12.5, 13.0), BacktestConfig()).parameters == {"shares": chosen}


@pytest.mark.parametrize("lowest", [float("nan"), float("-inf"), None])
def test_a_number_that_is_none_never_beats_one(lowest: float | None) -> None:
    scores = iter([lowest, -5.0, lowest])
    fit = ExhaustiveFit(candidates=[{"shares": n} for n in (1, 2, 3)], rule=hold, score=lambda _done: next(scores))
    assert fit(bars(10.0, 11.0, 12.5), BacktestConfig()).parameters == {"shares": 2}
