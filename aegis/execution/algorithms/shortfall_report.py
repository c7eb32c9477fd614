"""What an order cost against the decision to trade, part by part (Perold).

Belongs here: the one decomposition. Costs of many fills without their orders are :mod:`aegis.metrics.transactions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from aegis.errors import ExecutionError
from aegis.execution.order_states import FILL_TOLERANCE_SHARES
from aegis.execution.orders import Fill

_BPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortfallReport:
    """The implementation shortfall of one order; every amount in USD, positive is a cost.

    Parameters
    ----------
    ordered_shares, filled_shares : float
        Signed: bought positive, sold negative.
    delay_usd : float
        What the price did between the decision and the release of the order, on the shares that filled.
    market_usd : float
        What it did between the release and each fill: from the arrival price to the fill's reference price.
    spread_usd : float
        What each fill paid beyond its reference price: the spread and its own impact.
    fees_usd : float
        Commissions.
    opportunity_usd : float
        What the shares that did not fill would have gained between the decision and the end.
    total_usd : float
        The paper portfolio's gain minus the real one's.
    paper_notional_usd : float
        Value of the whole order at the decision, positive.
    """

    ordered_shares: float
    filled_shares: float
    delay_usd: float
    market_usd: float
    spread_usd: float
    fees_usd: float
    opportunity_usd: float
    total_usd: float
    paper_notional_usd: float

    @property
    def impact_usd(self) -> float:
        """Return what trading cost between release and fills: market and spread."""
        return self.market_usd + self.spread_usd

    @property
    def total_bps(self) -> float:
        """Return the shortfall in basis points of the order's value at the decision."""
        return self.total_usd / self.paper_notional_usd * _BPS


def shortfall_report(
    quantity_shares: float,
    fills: Sequence[Fill],
    *,
    decision_price_usd: float,
    arrival_price_usd: float,
    final_price_usd: float,
) -> ShortfallReport:
    r"""Return what an order cost against having it filled whole, at once and for nothing when it was decided.

    Parameters
    ----------
    quantity_shares : float
        Signed; all of the order, whether it filled or not.
    fills : sequence of Fill
        Of the order or of all its children, in any order; on its side.
    decision_price_usd : float
        When it was decided: the close of the decision session.
    arrival_price_usd : float
        When it was released to be worked.
    final_price_usd : float
        When it was filled, cancelled or expired. All prices and fills are in the shares of one session.

    Raises
    ------
    ExecutionError
        A price is not positive, a fill is on the other side, or the fills are more than the order.

    Notes
    -----
    With the order :math:`Q`, fills :math:`q_i` at :math:`p_i` with references :math:`r_i` and fees :math:`f_i`, and
    :math:`q = \sum q_i`:

    .. math:: Q(p_T - p_D) - \Big[\sum q_i (p_T - p_i) - \sum f_i\Big] =
        q (p_A - p_D) + \sum q_i (r_i - p_A) + \sum q_i (p_i - r_i) + \sum f_i + (Q - q)(p_T - p_D).

    Delay is charged to what filled; on the rest the whole way from the decision is opportunity. Each part is computed
    exactly and rounded once, so that they add up to rounding of the last digit.

    References
    ----------
    Perold, A. (1988), The implementation shortfall: paper versus reality, Journal of Portfolio Management 14(3), 4-9.
    """
    prices = {
        "decision_price_usd": decision_price_usd,
        "arrival_price_usd": arrival_price_usd,
        "final_price_usd": final_price_usd,
    }
    for name, price in prices.items():
        if not (math.isfinite(price) and price > 0):
            raise ExecutionError(f"shortfall of {quantity_shares:g} shares: {name} {price!r} must be above 0")
    ordered, decided, arrived, final = map(
        Fraction, (quantity_shares, decision_price_usd, arrival_price_usd, final_price_usd)
    )
    filled = sum((Fraction(fill.quantity_shares) for fill in fills), Fraction())
    most = abs(quantity_shares) + FILL_TOLERANCE_SHARES
    if ordered == 0 or any(fill.quantity_shares * quantity_shares <= 0 for fill in fills) or abs(filled) > most:
        raise ExecutionError(
            f"shortfall of an order of {quantity_shares:g} shares with fills of "
            f"{[fill.quantity_shares for fill in fills][:5]}: they must be on its side and not exceed it; pass the "
            "fills of this order only"
        )
    sides = [(Fraction(f.quantity_shares), Fraction(f.price_usd), Fraction(f.reference_price_usd)) for f in fills]
    zero = Fraction()
    delay = filled * (arrived - decided)
    market = sum((quantity * (reference - arrived) for quantity, _, reference in sides), zero)
    spread = sum((quantity * (price - reference) for quantity, price, reference in sides), zero)
    fees = sum((Fraction(fill.commission_usd) for fill in fills), zero)
    opportunity = (ordered - filled) * (final - decided)
    paper = ordered * (final - decided)
    real = sum((quantity * (final - price) for quantity, price, _ in sides), zero) - fees
    return ShortfallReport(
        ordered_shares=quantity_shares,
        filled_shares=float(filled),
        delay_usd=float(delay),
        market_usd=float(market),
        spread_usd=float(spread),
        fees_usd=float(fees),
        opportunity_usd=float(opportunity),
        total_usd=float(paper - real),
        paper_notional_usd=float(abs(ordered) * decided),
    )
