from __future__ import annotations

import math

import pytest

from aegis.errors import RiskError
from aegis.metrics.trades import average_loss, average_win, profit_factor, winning_share

# Two winners make 40, three losers lose 25, one trade is even.
PROFITS = (30.0, -5.0, 0.0, -12.0, 10.0, -8.0)


def test_numbers_of_six_trades_by_hand() -> None:
    assert winning_share(PROFITS) == 2 / 5
    assert profit_factor(PROFITS) == 1.6
    assert average_win(PROFITS) == 20.0
    assert average_loss(PROFITS) == pytest.approx(-25 / 3, rel=1e-15)


def test_without_winners_the_profit_factor_is_zero() -> None:
    assert profit_factor((-1.0, 0.0)) == 0.0


@pytest.mark.parametrize(
    ("metric", "profits", "message"),
    [
        (winning_share, (), "none of 0 trades won or lost"),
        (winning_share, (0.0, 0.0), "none of 2 trades won or lost"),
        (profit_factor, (1.0, 0.0), "none of 2 trades lost"),
        (average_win, (-1.0,), "none of 1 trades won"),
        (average_loss, (1.0,), "none of 1 trades lost"),
        (profit_factor, (1.0, math.nan), "not finite"),
    ],
)
def test_a_number_that_does_not_exist_is_refused(metric, profits, message) -> None:
    with pytest.raises(RiskError, match=message):
        metric(profits)
