"""What a simulated fill costs: slippage and commission.

Belongs here: the one formula for each. The matching kernel and every engine ask it; see ``docs/fills.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from aegis.config import BacktestingEval

_BASIS_POINT = 1e-4


@dataclass(frozen=True, slots=True)
class CostModel:
    """Proportional slippage and commission.

    Parameters
    ----------
    slippage_bps : float
        Distance of the fill price from the reference price, always adverse, in basis points of the reference.
    commission_bps : float
        Commission and fees in basis points of the notional at the fill price.
    """

    slippage_bps: float = 0.0
    commission_bps: float = 0.0

    @classmethod
    def from_settings(cls, settings: BacktestingEval) -> CostModel:
        """Return the model that ``eval.backtesting`` describes; ``slippage_model: none`` sets slippage to zero."""
        slippage = 0.0 if settings.slippage_model == "none" else settings.slippage_basis_points
        return cls(slippage_bps=slippage, commission_bps=settings.transaction_cost_bps)

    def fill_price_usd(self, reference_price_usd: float, quantity_shares: float) -> float:
        """Return the price of a fill: above the reference for a buy (positive quantity), below it for a sale."""
        shift = self.slippage_bps * _BASIS_POINT
        return reference_price_usd * (1.0 + shift if quantity_shares > 0 else 1.0 - shift)

    def commission_usd(self, notional_usd: float) -> float:
        """Return the commission on an absolute notional in USD, zero or positive."""
        return notional_usd * (self.commission_bps * _BASIS_POINT)
