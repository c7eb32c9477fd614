"""Whether live results are still within what was expected out of sample: a sequential test that may be read daily.

Belongs here: the test of a mean against a band. It stays valid however often it is looked at, which a t-test does not.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from aegis.drift.mean_shift import MINIMUM_REFERENCE, standardised
from aegis.drift.measures import DriftMeasure, finite_values
from aegis.errors import DriftError

SEQUENTIAL_MEAN = "sequential mean"
FALSE_ALARM_RATE = 0.05
MIXTURE = 0.1
BAND_CONFIDENCE = 1.0

_CLIP = 4.0


def sequential_mean(
    expected: ArrayLike,
    live: ArrayLike,
    *,
    false_alarm_rate: float = FALSE_ALARM_RATE,
    band_confidence: float = BAND_CONFIDENCE,
    mixture: float = MIXTURE,
) -> DriftMeasure:
    """Judge after every session whether the live mean has left the band of the expected one.

    Parameters
    ----------
    expected : array_like of float, shape (n,)
        Returns out of sample, oldest first, at least 60.
    live : array_like of float, shape (m,)
        Returns since, oldest first, at least one.
    false_alarm_rate : float
        Probability that results within the band ever alarm, however long they are watched.
    band_confidence : float
        Half the width of the band, in standard errors of the expected mean.
    mixture : float
        Shift for which the test is quickest, in long-run deviations a session.

    Returns
    -------
    DriftMeasure
        `observed` is the largest likelihood ratio so far, `threshold` 1 / rate; `at` is the first session at which it
        was beyond. `direction` is -1 where live results are worse.

    Raises
    ------
    DriftError
        Values are too few or not finite, the expected ones never change, or a setting is out of bounds.

    Notes
    -----
    The mixture sequential probability ratio test: under no change the ratio is a martingale of mean 1, so that it
    reaches 1 / rate with at most that probability. Sums are reduced by the band before they enter it. Values are
    standardised as in :func:`aegis.drift.mean_shift.standardised`, cut at four deviations.

    References
    ----------
    Robbins (1970), Annals of Mathematical Statistics 41, equation 17; Johari, Koomen, Pekelis and Walsh (2022),
    Operations Research 70, equation 10.
    """
    if not (0.0 < false_alarm_rate < 1.0 and band_confidence >= 0.0 and mixture > 0.0):
        raise DriftError(
            f"sequential mean: rate {false_alarm_rate}, band {band_confidence}, mixture {mixture}; expected a rate "
            "between 0 and 1, a band of 0 or more and a mixture above 0"
        )
    old = finite_values(expected, "expected", minimum=MINIMUM_REFERENCE)
    new = finite_values(live, "live", minimum=1)
    sums = np.cumsum(standardised(old, new, clip=_CLIP))
    counts = np.arange(1, new.size + 1)
    beyond_band = np.maximum(np.abs(sums) - counts * band_confidence / math.sqrt(old.size), 0.0)
    spread = 1.0 + counts * mixture**2
    log_ratio = 0.5 * (mixture * beyond_band) ** 2 / spread - 0.5 * np.log(spread)
    limit = -math.log(false_alarm_rate)
    crossed = np.flatnonzero(log_ratio >= limit)
    at = int(crossed[0]) if crossed.size else int(np.argmax(log_ratio))
    return DriftMeasure(
        detector=SEQUENTIAL_MEAN,
        observed=math.exp(min(float(log_ratio.max()), 700.0)),
        threshold=1.0 / false_alarm_rate,
        is_drift=bool(crossed.size),
        is_judged=True,
        at=at,
        direction=int(np.sign(sums[at])),
    )
