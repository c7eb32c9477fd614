"""Whether an engine did what the reference says, and how its speed compares with ours, round by round."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from benchmarks.backtesting.rounds import OUTCOME_FIELDS, Measured
from benchmarks.backtesting.tasks import Outcome

TOLERANCE = 1e-8
"""Relative. Money of two decimals over tens of thousands of fills stays below it; one share more or less does not."""


@dataclass(frozen=True)
class Ratio:
    """How many times as long an engine takes for a unit of work as ours: median and range over the rounds."""

    median: float
    lowest: float
    highest: float


EXPLAINED = 1e-3
"""Relative: as far as a difference may go that an engine's module explains; beyond it something else is wrong."""


def differences(outcome: Outcome, expected: Outcome, *, tolerance: float = TOLERANCE) -> list[str]:
    """Return a phrase for each number that disagrees; what an engine does not report is NaN and left out."""
    found = []
    for name in OUTCOME_FIELDS:
        got, wanted = getattr(outcome, name), getattr(expected, name)
        if not (math.isnan(got) or math.isnan(wanted) or math.isclose(got, wanted, rel_tol=tolerance)):
            found.append(f"{name} {got:,.10g} where the reference has {wanted:,.10g} ({got - wanted:+,.6g})")
    return found


def ratio(theirs: Measured, ours: Measured, kind: str = "seconds") -> Ratio:
    """Compare the rounds that both took part in; `kind` is ``seconds`` or ``running_seconds`` of theirs."""
    pairs = list(zip(theirs.seconds_per_unit(kind), ours.seconds_per_unit(), strict=False))
    quotients = [their / our for their, our in pairs]
    return Ratio(statistics.median(quotients), min(quotients), max(quotients))
