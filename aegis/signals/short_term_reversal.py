"""Short-term reversal: last week's losers recover part of their loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from aegis.signals import cross_section


@dataclass(frozen=True)
class ShortTermReversal:
    """Z-score of minus the total return of the last 5 sessions.

    Parameters
    ----------
    confidence_ceiling : float, default=0.5
        Confidence with a full cross-section. Below 1 because the effect decays within days: it has faded before a book
        that decides at the close and trades in the next session has earned its turnover.

    Notes
    -----
    Confidence is the ceiling times the share of the session's members whose look-back is full.

    References
    ----------
    Lehmann, B. (1990), Fads, martingales, and market efficiency, Quarterly Journal of Economics 105.
    Jegadeesh, N. (1990), Evidence of predictable behavior of security returns, Journal of Finance 45.
    """

    name: ClassVar[str] = "short_term_reversal"
    confidence_ceiling: float = 0.5

    def scores(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return ``score`` and ``confidence`` of each row of `features`."""
        value, session = features["reversal_5"], features["session"]
        return pd.DataFrame(
            {
                "score": cross_section.z_score(value, session),
                "confidence": self.confidence_ceiling * cross_section.coverage(value, session),
            }
        )
