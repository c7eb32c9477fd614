"""Whether our books and the broker's agree.

Belongs here: the comparison. Known corporate actions, interest, fees and transfers are booked before it, so that what
differs is unexplained. That no order leaves while something does is the pre-trade gate's rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from aegis.errors import ReconciliationError

MONEY = "money"
"""Name of a break in money; other breaks carry the symbol."""

RESIDUAL_TOLERANCE_USD = 1e-6
"""What the parts of a day's equity change may leave unexplained; more is a break."""


@dataclass(frozen=True, slots=True)
class Break:
    """One unexplained difference.

    Parameters
    ----------
    name : str
        The permanent symbol, or ``money``.
    ours, theirs : float
        What the journal and the broker say, in `unit`; NaN where that side has no number.
    unit : str
        ``shares`` or ``USD unexplained``.
    message : str
        Label, both values and the remedy.
    """

    name: str
    ours: float
    theirs: float
    unit: str
    message: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The answer for one account.

    Parameters
    ----------
    breaks : tuple of Break
        Money first, then symbols ascending; empty when all agree.
    """

    breaks: tuple[Break, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs by more than the tolerance."""
        return not self.breaks


def reconcile(
    journal_shares: Mapping[str, float],
    broker_shares: Mapping[str, float],
    *,
    residual_usd: float,
    tolerance_usd: float = RESIDUAL_TOLERANCE_USD,
    share_tolerance: float = 0.0,
    label: str = "the account",
) -> Reconciliation:
    """Compare positions, and the money that nothing explains.

    Parameters
    ----------
    journal_shares, broker_shares : mapping of str to float
        Signed shares by permanent symbol; absent means none.
    residual_usd : float
        The broker's cash, or change of equity, minus what our books explain of it.
    tolerance_usd : float
        Largest absolute residual that is rounding; a broker that books in cents needs 0.01 or more.
    share_tolerance : float
        Largest difference of shares that is rounding. Whole shares need none.
    label : str
        Account and session, named in the messages.

    Raises
    ------
    ReconciliationError
        A tolerance is negative or not finite.

    Notes
    -----
    Fails closed: a value that is not finite on either side is a break, also when both sides say the same.
    """
    for name, tolerance in (("tolerance_usd", tolerance_usd), ("share_tolerance", share_tolerance)):
        if not math.isfinite(tolerance) or tolerance < 0.0:
            raise ReconciliationError(f"{label}: {name} must be a finite number of at least 0, found {tolerance}")
    breaks: list[Break] = []
    if not abs(residual_usd) <= tolerance_usd:
        breaks.append(_break(label, MONEY, 0.0, residual_usd, "USD unexplained"))
    for symbol in sorted(journal_shares.keys() | broker_shares.keys()):
        ours, theirs = journal_shares.get(symbol, 0.0), broker_shares.get(symbol, 0.0)
        if not abs(ours - theirs) <= share_tolerance:
            breaks.append(_break(label, symbol, ours, theirs, "shares"))
    return Reconciliation(tuple(breaks))


def _break(label: str, name: str, ours: float, theirs: float, unit: str) -> Break:
    message = (
        f"{label} {name}: our books say {ours:,.6g} {unit}, the broker {theirs:,.6g} (difference "
        f"{theirs - ours:+,.6g}); find the fill, action, fee or transfer that explains it and book it"
    )
    return Break(name, ours, theirs, unit, message)
