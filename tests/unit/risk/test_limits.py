import math
from datetime import date

import pytest

from aegis.config import RiskSettings
from aegis.errors import RiskError
from aegis.risk.limits import (
    LIMIT_NAMES,
    RiskLimits,
    gross_exposure_check,
    participation_check,
    position_weight_check,
    value_at_risk_check,
)

SESSION = date(2014, 6, 9)
LIMITS = RiskLimits(
    max_position_weight=0.05, max_gross_exposure=1.0, max_value_at_risk_95=0.04, max_participation_of_volume=0.1
)
EDGES = [(-1e-12, True), (0.0, True), (1e-12, False), (math.inf, False), (math.nan, False)]


@pytest.mark.parametrize(("beyond", "within"), EDGES)
def test_position_weight_at_its_edge(beyond: float, within: bool) -> None:
    for sign in (1.0, -1.0):
        check = position_weight_check(SESSION, {"A": 0.01, "B": sign * (0.05 + beyond)}, limits=LIMITS)
        assert check.is_within is within
        assert within or (check.detail and "B 2014-06-09" in check.detail)
        assert not math.isnan(check.observed)


@pytest.mark.parametrize(("beyond", "within"), EDGES)
def test_gross_exposure_at_its_edge_counts_shorts(beyond: float, within: bool) -> None:
    check = gross_exposure_check(SESSION, {"A": 0.5, "B": -(0.5 + beyond)}, limits=LIMITS)
    assert check.is_within is within
    assert not math.isnan(check.observed)


@pytest.mark.parametrize(("beyond", "within"), EDGES)
def test_value_at_risk_at_its_edge(beyond: float, within: bool) -> None:
    check = value_at_risk_check(SESSION, 0.04 + beyond, limits=LIMITS)
    assert check.is_within is within
    assert not math.isnan(check.observed)


@pytest.mark.parametrize(("beyond", "within"), EDGES)
def test_participation_at_its_edge(beyond: float, within: bool) -> None:
    check = participation_check(SESSION, {"A": 0.1 + beyond, "B": 0.01}, limits=LIMITS)
    assert check.is_within is within
    assert within or (check.detail and "A 2014-06-09" in check.detail)


def test_an_empty_book_is_within_every_limit() -> None:
    checks = (
        position_weight_check(SESSION, {}, limits=LIMITS),
        gross_exposure_check(SESSION, {}, limits=LIMITS),
        value_at_risk_check(SESSION, 0.0, limits=LIMITS),
        participation_check(SESSION, {}, limits=LIMITS),
    )
    assert tuple(check.name for check in checks) == LIMIT_NAMES
    assert all(check.is_within and check.detail is None and check.observed == 0.0 for check in checks)


def test_limits_are_those_of_the_configuration() -> None:
    limits = RiskLimits.from_settings(RiskSettings(max_position_weight=0.07, max_value_at_risk_95=0.03))
    assert (limits.max_position_weight, limits.max_value_at_risk_95) == (0.07, 0.03)
    assert (limits.max_gross_exposure, limits.max_participation_of_volume) == (1.02, 0.1)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_malformed_limit_is_refused(value: float) -> None:
    with pytest.raises(RiskError, match="max_gross_exposure"):
        RiskLimits(
            max_position_weight=0.05,
            max_gross_exposure=value,
            max_value_at_risk_95=0.04,
            max_participation_of_volume=0.1,
        )
