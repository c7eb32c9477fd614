r"""What fills cost against the price at the decision, by order and in total.

Belongs here: the one number that a monitor can know while orders are at work. The whole decomposition, with what did
not fill, is :mod:`aegis.execution.algorithms.shortfall_report`.

Notes
-----
Of fills of :math:`q_i` shares (sold negative) at :math:`p_i` with arrival prices :math:`a_i`:

.. math:: \text{slippage} = \sum q_i (p_i - a_i), \qquad
    \text{bps} = 10^4 \cdot \text{slippage} \,/ \sum |q_i| a_i.

Positive is a cost. Commissions are not in it.

References
----------
Perold, A. (1988), The implementation shortfall: paper versus reality, Journal of Portfolio Management 14(3), 4-9: delay
and impact of what filled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from aegis.execution.orders import Fill

_BPS = 10_000


@dataclass(slots=True)
class SlippageSums:
    """The sums over fills, exactly: slippage, the same shares at their arrival prices, and how many fills."""

    slippage_usd: Fraction = Fraction()
    arrival_usd: Fraction = Fraction()
    fills: int = 0

    def add(self, fill: Fill) -> None:
        """Count a fill."""
        shares, price, arrival = map(Fraction, (fill.quantity_shares, fill.price_usd, fill.arrival_price_usd))
        self.slippage_usd += shares * (price - arrival)
        self.arrival_usd += abs(shares) * arrival
        self.fills += 1

    def merge(self, other: SlippageSums) -> None:
        """Count what others counted."""
        self.slippage_usd += other.slippage_usd
        self.arrival_usd += other.arrival_usd
        self.fills += other.fills

    def read(self, name: str, symbol: str = "") -> Slippage:
        """Return the sums as they are shown."""
        bps = float(self.slippage_usd / self.arrival_usd * _BPS) if self.arrival_usd else None
        return Slippage(
            name=name,
            symbol=symbol,
            fills=self.fills,
            traded_usd=float(self.arrival_usd),
            slippage_usd=float(self.slippage_usd),
            slippage_bps=bps,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Slippage:
    """Slippage against arrival; positive is a cost.

    Parameters
    ----------
    name, symbol : str
        The decision that it belongs to and its symbol; ``total`` and nothing for all of them.
    fills : int
        How many were counted.
    traded_usd : float
        Their shares at the arrival prices, without sign.
    slippage_usd : float
        USD.
    slippage_bps : float or None
        Basis points of `traded_usd`; None while nothing filled.
    """

    name: str
    symbol: str
    fills: int
    traded_usd: float
    slippage_usd: float
    slippage_bps: float | None


def total_slippage(parts: Iterable[SlippageSums]) -> Slippage:
    """Return the slippage of all fills together."""
    total = SlippageSums()
    for part in parts:
        total.merge(part)
    return total.read("total")
