import numpy as np
import pytest

from aegis.errors import RiskError
from aegis.metrics.transactions import CostTotals, cost_totals, turnover


def test_cost_totals_add_both_sides_and_both_costs() -> None:
    totals = cost_totals([100.0, -50.0], [10.0, 20.0], commissions_usd=[1.0, 0.5], slippages_usd=[0.5, -0.25])
    assert totals == CostTotals(fills=2, traded_usd=2000.0, commission_usd=1.5, slippage_usd=0.25)
    assert totals.total_usd == 1.75
    assert totals.in_bps() == pytest.approx(8.75)


def test_no_fills_cost_nothing_and_have_no_cost_in_basis_points() -> None:
    totals = cost_totals([], [], commissions_usd=[], slippages_usd=[])
    assert totals == CostTotals(0, 0.0, 0.0, 0.0)
    with pytest.raises(RiskError, match="basis points"):
        totals.in_bps()


@pytest.mark.parametrize("commissions", [[1.0], [1.0, np.nan]])
def test_cost_totals_refuse_a_missing_cost(commissions: list[float]) -> None:
    with pytest.raises(RiskError, match=r"cost totals|commissions"):
        cost_totals([1.0, 2.0], [1.0, 2.0], commissions_usd=commissions, slippages_usd=[0.0, 0.0])


def test_turnover_of_the_whole_book_sold_and_bought_once_in_half_a_year_is_two_a_year() -> None:
    quiet = [0.0] * 125
    bought, sold = [100.0, *quiet], [100.0, *quiet]
    assert turnover(bought, sold, equity_usd=[100.0] * 126) == pytest.approx(2.0, rel=1e-12)


def test_building_a_book_from_cash_is_half_a_turn() -> None:
    assert turnover([100.0], [0.0], equity_usd=[100.0], sessions_per_year=1) == 0.5


@pytest.mark.parametrize(
    ("bought", "sold", "equity"),
    [
        ([1.0], [1.0, 1.0], [1.0, 1.0]),
        ([1.0, 1.0], [1.0, 1.0], [1.0]),
        ([-1.0], [1.0], [1.0]),
        ([1.0], [1.0], [0.0]),
        ([np.nan], [1.0], [1.0]),
        ([], [], []),
    ],
)
def test_turnover_refuses_what_cannot_be_related(bought, sold, equity) -> None:
    with pytest.raises(RiskError):
        turnover(bought, sold, equity_usd=equity)
