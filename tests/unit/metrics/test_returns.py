from datetime import date

import numpy as np
import pytest

from aegis.errors import RiskError
from aegis.metrics.returns import (
    MonthlyReturn,
    annualised_return,
    compounded_levels,
    finite_series,
    hit_rate,
    level_series,
    monthly_returns,
    return_series,
    session_rate,
    simple_returns,
    total_return,
)


def test_simple_returns_relate_each_level_to_the_one_before() -> None:
    assert simple_returns([100.0, 110.0, 99.0]) == pytest.approx([0.1, -0.1], abs=1e-15)


def test_compounded_levels_start_at_one() -> None:
    assert compounded_levels([0.1, -0.1]) == pytest.approx([1.0, 1.1, 0.99], abs=1e-15)


def test_total_return_compounds() -> None:
    assert total_return([0.1, -0.1]) == pytest.approx(-0.01, abs=1e-15)


def test_ten_percent_in_half_a_year_is_twenty_one_percent_a_year() -> None:
    assert annualised_return([0.1, *[0.0] * 125]) == pytest.approx(0.21, abs=1e-12)


def test_annualised_return_of_a_total_loss_is_minus_one() -> None:
    assert annualised_return([-1.0, 0.0]) == -1.0


def test_session_rate_compounds_back_to_the_annual_rate() -> None:
    assert session_rate(0.21, sessions_per_year=2) == pytest.approx(0.1, abs=1e-15)


@pytest.mark.parametrize("rate", [-1.0, -2.0, np.nan, np.inf])
def test_session_rate_refuses_what_is_no_rate(rate: float) -> None:
    with pytest.raises(RiskError, match="annual rate"):
        session_rate(rate)


def test_hit_rate_leaves_out_sessions_without_gain_or_loss() -> None:
    assert hit_rate([0.01, -0.02, 0.0, 0.03]) == pytest.approx(2 / 3)


def test_hit_rate_of_an_idle_account_does_not_exist() -> None:
    with pytest.raises(RiskError, match="none of 3 sessions"):
        hit_rate([0.0, 0.0, 0.0])


def test_monthly_returns_compound_within_the_month_and_count_its_sessions() -> None:
    sessions = [date(2014, 1, 30), date(2014, 1, 31), date(2014, 2, 3), date(2015, 2, 2)]
    months = monthly_returns(sessions, [0.1, 0.1, -0.5, 0.25])
    assert [(m.year, m.month, m.sessions) for m in months] == [(2014, 1, 2), (2014, 2, 1), (2015, 2, 1)]
    assert [m.total_return for m in months] == pytest.approx([0.21, -0.5, 0.25], abs=1e-15)
    assert isinstance(months[0], MonthlyReturn)


@pytest.mark.parametrize(
    "sessions", [[date(2014, 1, 3), date(2014, 1, 2)], [date(2014, 1, 2), date(2014, 1, 2)], [date(2014, 1, 2)]]
)
def test_monthly_returns_refuse_sessions_that_do_not_ascend_or_do_not_fit(sessions: list[date]) -> None:
    with pytest.raises(RiskError, match="monthly returns"):
        monthly_returns(sessions, [0.1, 0.1])


@pytest.mark.parametrize("function", [total_return, annualised_return, compounded_levels, hit_rate])
@pytest.mark.parametrize("returns", [[], [0.1, np.nan], [np.inf], [[0.1], [0.2]], [-1.01]])
def test_no_metric_of_returns_answers_to_unusable_input(function, returns) -> None:
    with pytest.raises(RiskError, match="returns"):
        function(returns)


@pytest.mark.parametrize("levels", [[], [100.0], [100.0, 0.0], [100.0, -1.0], [100.0, np.nan]])
def test_returns_of_unusable_levels_are_refused(levels: list[float]) -> None:
    with pytest.raises(RiskError, match="levels"):
        simple_returns(levels)


def test_the_refusal_names_the_series_the_value_and_its_position() -> None:
    with pytest.raises(RiskError, match="equity: 1 of 3 values are not finite, the first is nan at position 1"):
        finite_series([1.0, np.nan, 2.0], "equity")
    with pytest.raises(RiskError, match=r"equity: expected values above 0, found -5.0 at position 2"):
        level_series([1.0, 2.0, -5.0], "equity")
    with pytest.raises(RiskError, match="at least 3 values, found 2"):
        return_series([0.1, 0.1], minimum=3)
