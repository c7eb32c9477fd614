"""What one rule of the pre-trade gate, or of the exit door, found.

Belongs here: the value that rules return, and how a list of violations becomes one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

_SHOWN = 3


class RuleFinding(NamedTuple):
    """Whether a rule holds, and what was seen.

    Parameters
    ----------
    holds : bool
        Whether orders may leave as far as this rule is concerned.
    observed, threshold : float
        What was measured and what is allowed; never NaN.
    detail : str or None
        Symbol, session, value and remedy; None when the rule holds, and of a comparison until the rule that made it
        has said :meth:`because`.
    """

    holds: bool
    observed: float
    threshold: float
    detail: str | None = None

    def because(self, detail: str) -> RuleFinding:
        """Return what a comparison found, with what there is to say of it."""
        return self._replace(detail=detail)


HOLDS = RuleFinding(holds=True, observed=0.0, threshold=0.0)
"""Of a rule that allows no violation and found none."""


def violated(detail: str) -> RuleFinding:
    """Return the finding of a rule that allows no violation and found one."""
    return RuleFinding(holds=False, observed=1.0, threshold=0.0, detail=detail)


def finding(violations: Iterable[str]) -> RuleFinding:
    """Return the finding of a rule that allows no violation: the number of them, and the first few in words."""
    found = list(violations)
    if not found:
        return HOLDS
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return RuleFinding(holds=False, observed=float(len(found)), threshold=0.0, detail="; ".join(found[:_SHOWN]) + more)
