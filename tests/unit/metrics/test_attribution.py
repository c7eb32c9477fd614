from __future__ import annotations

import numpy as np
import pytest

from aegis.errors import RiskError
from aegis.metrics.attribution import credited_weights


def credit(weight: float, neutral: float, *opinions: float) -> list[float]:
    arrays = np.array([[weight]]), np.array([[neutral]]), np.array(opinions).reshape(-1, 1, 1)
    return credited_weights(*arrays)[:, 0, 0].tolist()


def test_an_overweight_belongs_to_those_who_expected_more_in_proportion() -> None:
    assert credit(0.05, 0.02, 1.0, 2.0, -4.0) == pytest.approx([0.01, 0.02, 0.0])


def test_an_underweight_belongs_to_those_who_expected_less_also_of_a_name_not_held() -> None:
    assert credit(0.0, 0.02, 1.0, -0.5, -1.5) == pytest.approx([0.0, -0.005, -0.015])


def test_a_weight_that_nobody_argued_for_is_nobodys() -> None:
    assert credit(0.05, 0.02, -1.0, 0.0) == [0.0, 0.0]
    assert credit(0.02, 0.02, 1.0, -1.0) == [0.0, 0.0]


def test_credited_weights_add_up_to_the_active_weight_wherever_someone_is_on_its_side() -> None:
    random = np.random.default_rng(11)
    weights, neutral = random.uniform(0, 0.1, (40, 30)), np.full((40, 30), 0.03)
    opinions = random.normal(size=(3, 40, 30))
    credited, active = credited_weights(weights, neutral, opinions), weights - neutral
    argued = (opinions * np.sign(active) > 0).any(axis=0)
    assert 0 < argued.sum() < argued.size
    np.testing.assert_allclose(credited.sum(axis=0), np.where(argued, active, 0.0), atol=1e-15)
    assert (credited * active >= 0).all()


def test_shapes_that_do_not_fit_and_missing_values_are_refused() -> None:
    one = np.zeros((1, 1))
    with pytest.raises(RiskError, match="shape"):
        credited_weights(one, np.zeros((1, 2)), np.zeros((1, 1, 1)))
    with pytest.raises(RiskError, match=r"opinions at \(0, 0, 0\) is nan"):
        credited_weights(one, one, np.full((1, 1, 1), np.nan))
