"""The shrunk covariance against numbers worked by hand and against skfolio."""

import numpy as np
import pytest
from skfolio.moments import LedoitWolf

from aegis.portfolio.covariance import shrunk_covariance


def test_four_observations_of_two_names_by_hand():
    """Ledoit and Wolf (2004), section 3.2, norms divided by p = 2.

    S = [[2.5, 1.5], [1.5, 1]], m = 1.75, d2 = (0.75^2 + 0.75^2 + 2 * 1.5^2) / 2 = 2.8125.
    x x' - S is +-[[1.5, 0.5], [0.5, 0]] for all four: b2 = 4 * (2.25 + 0.5) / 2 / 4^2 = 0.34375.
    Intensity b2 / d2 = 11/90; the estimate is 79/90 S + 11/90 * 1.75 I.
    """
    returns = np.array([[2.0, 1.0], [-2.0, -1.0], [1.0, 1.0], [-1.0, -1.0]])

    covariance, shrinkage = shrunk_covariance(returns)

    assert shrinkage == pytest.approx(11 / 90, rel=1e-14)
    np.testing.assert_allclose(covariance, np.array([[216.75, 118.5], [118.5, 98.25]]) / 90, rtol=1e-14)


def test_the_mean_of_the_window_does_not_matter():
    returns = np.array([[2.0, 1.0], [-2.0, -1.0], [1.0, 1.0], [-1.0, -1.0]]) + np.array([10.0, -3.0])

    covariance, shrinkage = shrunk_covariance(returns)

    assert shrinkage == pytest.approx(11 / 90, rel=1e-12)
    assert covariance[0, 1] == pytest.approx(118.5 / 90, rel=1e-12)


def test_a_missing_return_stands_at_the_name_s_mean():
    # the second name has 1, -1, 0.6: mean 0.2; centred 0.8, -1.2, 0.4 and 0 for the missing one
    gap = np.array([[2.0, 1.0], [-2.0, -1.0], [1.0, np.nan], [-1.0, 0.6]])
    centred = np.array([[2.0, 0.8], [-2.0, -1.2], [1.0, 0.0], [-1.0, 0.4]])

    covariance, shrinkage = shrunk_covariance(gap)

    sample = centred.T @ centred / 4
    mean_variance = np.trace(sample) / 2
    np.testing.assert_allclose(covariance, (1 - shrinkage) * sample + shrinkage * mean_variance * np.eye(2), rtol=1e-14)


@pytest.mark.parametrize(("sessions", "names"), [(252, 30), (60, 5), (40, 50)])
def test_the_estimate_agrees_with_skfolio(sessions, names):
    random = np.random.default_rng(names)
    market = random.normal(scale=0.01, size=(sessions, 1))
    returns = market * random.uniform(0.5, 1.5, size=names) + random.standard_t(4, size=(sessions, names)) * 0.01

    covariance, shrinkage = shrunk_covariance(returns)

    peer = LedoitWolf().fit(returns)
    np.testing.assert_allclose(covariance, peer.covariance_, rtol=1e-10, atol=1e-16)
    assert shrinkage == pytest.approx(peer.shrinkage_, rel=1e-10)
    assert 0.0 < shrinkage < 1.0


def test_more_names_than_sessions_still_give_a_positive_definite_matrix():
    returns = np.random.default_rng(3).normal(scale=0.01, size=(20, 40))

    covariance, _ = shrunk_covariance(returns)

    assert (covariance == covariance.T).all()
    assert np.linalg.eigvalsh(covariance)[0] > 0.0


def test_one_name_alone_keeps_its_variance():
    covariance, shrinkage = shrunk_covariance(np.array([[0.01], [-0.01], [0.03], [-0.03]]))

    assert covariance == pytest.approx(np.array([[5e-4]]))
    assert shrinkage == 0.0
