"""Cross-sectional momentum: last year's winners, without the last month, keep winning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from aegis.signals import cross_section


@dataclass(frozen=True)
class Momentum:
    """Z-score of the total return from 252 to 21 sessions ago.

    Notes
    -----
    Confidence is the share of the session's members whose look-back is full: the fewer there are to compare with, the
    less a rank among them says.

    References
    ----------
    Jegadeesh, N. and Titman, S. (1993), Returns to buying winners and selling losers, Journal of Finance 48.
    Asness, C. (1997), The interaction of value and momentum strategies, Financial Analysts Journal 53: the skipped
    month.
    """

    name: ClassVar[str] = "momentum"

    def scores(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return ``score`` and ``confidence`` of each row of `features`."""
        value, session = features["momentum_12_1"], features["session"]
        return pd.DataFrame(
            {"score": cross_section.z_score(value, session), "confidence": cross_section.coverage(value, session)}
        )
