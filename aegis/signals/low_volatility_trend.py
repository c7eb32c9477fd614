"""Low-volatility trend: steady risers are preferred to nervous ones, and believed less when markets are nervous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from aegis.signals import cross_section


@dataclass(frozen=True)
class LowVolatilityTrend:
    """Z-score of the 50/200 trend divided by the name's volatility.

    Parameters
    ----------
    calm_volatility : float, default=0.25
        Annualised volatility up to which the trend is fully believed, 1/year.

    Notes
    -----
    Confidence is the share of members with a full look-back, times ``min(1, calm_volatility / v)``, where ``v`` is the
    larger of the name's volatility and the session's median volatility: it falls for a nervous name and, in a nervous
    market, for all.

    References
    ----------
    Moskowitz, T., Ooi, Y. and Pedersen, L. (2012), Time series momentum, Journal of Financial Economics 104: trend
    scaled by inverse volatility.
    Barroso, P. and Santa-Clara, P. (2015), Momentum has its moments, Journal of Financial Economics 116: less of it
    when volatility is high.
    """

    name: ClassVar[str] = "low_volatility_trend"
    calm_volatility: float = 0.25

    def scores(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return ``score`` and ``confidence`` of each row of `features`."""
        session = features["session"]
        volatility = features["volatility_63"].where(features["volatility_63"] > 0.0)
        steadiness = features["trend_50_200"] / volatility
        nervousness = cross_section.median(volatility, session).clip(lower=volatility)
        belief = (self.calm_volatility / nervousness).clip(upper=1.0)
        return pd.DataFrame(
            {
                "score": cross_section.z_score(steadiness, session),
                "confidence": cross_section.coverage(steadiness, session) * belief,
            }
        )
