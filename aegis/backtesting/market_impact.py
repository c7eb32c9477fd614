"""Market impact: what an order of this size does to its own price.

Belongs here: the models, their parameters, and the one formula of each. Daily volatility and average volume come from
:mod:`aegis.backtesting.liquidity`, which leaves today out. Impact is that of a fill, not of its order: it is what the
trading in one bar does to that bar's price, and the prices of later bars are data, made without the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final

from aegis.backtesting.compilation import compiled
from aegis.backtesting.parameter_bounds import require_within
from aegis.backtesting.slippage import BASIS_POINT

IMPACT_FIELDS: Final = (
    ("impact_temporary", "f8"),
    ("impact_permanent", "f8"),
    ("impact_exponent", "f8"),
    ("impact_duration_days", "f8"),
    ("impact_fallback", "f8"),
)
IMPACT_FLAGS: Final = (("impact_model", "i1"),)
"""Its part of the record of all costs. `impact_permanent`: its share of the price paid, one half of the whole."""

FALLBACK_BPS: Final = 10.0
"""Charged while volatility or average volume is not known; the figure of zipline's ``MarketImpactBase``."""


class ImpactCode(IntEnum):
    """Which formula gives the impact."""

    NONE = 0
    SQUARE_ROOT = 1
    ALMGREN = 2
    POWER_LAW = 3


@dataclass(frozen=True, slots=True)
class NoImpact:
    """Orders do not move the market."""

    code: ClassVar[ImpactCode] = ImpactCode.NONE

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["impact_model"] = self.code


@dataclass(frozen=True, slots=True)
class SquareRoot:
    """Impact grows with the square root of the order's share of a day's volume.

    Parameters
    ----------
    coefficient : float
        The paper's Y, of order one.
    fallback_bps : float
        Impact while volatility or average volume is not known, basis points of the price.

    References
    ----------
    Tóth, B. et al. (2011), Anomalous price impact and the critical nature of liquidity in financial markets, Physical
    Review X 1, 021006.
    """

    coefficient: float = 1.0
    fallback_bps: float = FALLBACK_BPS
    code: ClassVar[ImpactCode] = ImpactCode.SQUARE_ROOT

    def __post_init__(self) -> None:
        require_within("SquareRoot.coefficient", self.coefficient, at_most=100.0)
        require_within("SquareRoot.fallback_bps", self.fallback_bps, at_most=1e4)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["impact_model"] = self.code
        record["impact_temporary"] = self.coefficient
        record["impact_fallback"] = self.fallback_bps * BASIS_POINT


@dataclass(frozen=True, slots=True)
class Almgren:
    """Temporary impact of the trading rate, and half of the permanent impact of the size.

    Parameters
    ----------
    eta, beta : float
        Coefficient and exponent of the temporary impact.
    gamma : float
        Coefficient of the permanent impact.
    duration_days : float
        Time over which an order is worked, in trading days; the paper's T. Smaller is faster and dearer.
    inverse_turnover_days : float
        Shares outstanding over average daily volume, whose fourth root multiplies the permanent impact; the paper's
        ratio of Theta to V. 1 leaves the term out, which understates the permanent impact of most shares: it is 263 for
        IBM and 87 for Darden in the paper's example.
    fallback_bps : float
        Impact while volatility or average volume is not known, basis points of the price.

    References
    ----------
    Almgren, R., Thum, C., Hauptmann, E. and Li, H. (2005), Direct estimation of equity market impact, Risk 18(7):
    section 4.3 for the coefficients of large US stocks.
    """

    eta: float = 0.142
    gamma: float = 0.314
    beta: float = 0.6
    duration_days: float = 1.0
    inverse_turnover_days: float = 1.0
    fallback_bps: float = FALLBACK_BPS
    code: ClassVar[ImpactCode] = ImpactCode.ALMGREN

    def __post_init__(self) -> None:
        require_within("Almgren.eta", self.eta, at_most=100.0)
        require_within("Almgren.gamma", self.gamma, at_most=100.0)
        require_within("Almgren.beta", self.beta, above=0.0, at_most=2.0)
        require_within("Almgren.duration_days", self.duration_days, above=0.0, at_most=1000.0)
        require_within("Almgren.inverse_turnover_days", self.inverse_turnover_days, above=0.0, at_most=1e9)
        require_within("Almgren.fallback_bps", self.fallback_bps, at_most=1e4)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["impact_model"] = self.code
        record["impact_temporary"] = self.eta
        record["impact_permanent"] = self.gamma / 2.0 * self.inverse_turnover_days**0.25
        record["impact_exponent"] = self.beta
        record["impact_duration_days"] = self.duration_days
        record["impact_fallback"] = self.fallback_bps * BASIS_POINT


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """Impact grows with a power of the order's share of a day's volume.

    Parameters
    ----------
    coefficient, exponent : float
        Of the power law; with 0.5 it is the square root.
    fallback_bps : float
        Impact while volatility or average volume is not known, basis points of the price.
    """

    coefficient: float
    exponent: float
    fallback_bps: float = FALLBACK_BPS
    code: ClassVar[ImpactCode] = ImpactCode.POWER_LAW

    def __post_init__(self) -> None:
        require_within("PowerLaw.coefficient", self.coefficient, at_most=100.0)
        require_within("PowerLaw.exponent", self.exponent, above=0.0, at_most=2.0)
        require_within("PowerLaw.fallback_bps", self.fallback_bps, at_most=1e4)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["impact_model"] = self.code
        record["impact_temporary"] = self.coefficient
        record["impact_exponent"] = self.exponent
        record["impact_fallback"] = self.fallback_bps * BASIS_POINT


ImpactModel = NoImpact | SquareRoot | Almgren | PowerLaw

_NONE, _SQUARE_ROOT, _ALMGREN = int(ImpactCode.NONE), int(ImpactCode.SQUARE_ROOT), int(ImpactCode.ALMGREN)


@compiled
def impact_fraction(costs: Any, quantity: float, adv_shares: float, sigma_daily: float) -> float:
    r"""Return the adverse move of the price, as a fraction of it, from 0 to 1.

    Parameters
    ----------
    costs : COSTS
        The packed cost model.
    quantity : float
        Signed shares of the fill, whatever its order filled in other bars.
    adv_shares : float
        Average daily volume of the sessions before, shares; NaN if not known.
    sigma_daily : float
        Standard deviation of daily returns of the sessions before, fraction; NaN if not known.

    Notes
    -----
    With :math:`x = |q| / ADV` it is :math:`Y \sigma \sqrt{x}`, :math:`a \sigma x^b`, or, for Almgren et al.,

    .. math:: \tfrac12 \gamma \sigma x (\Theta / V)^{1/4} + \eta \sigma (x / T)^\beta .

    Where volatility or average volume is NaN, or the volume zero, it is the model's fallback: a symbol without enough
    history trades at a stated cost instead of none, and is not refused, because a new listing is part of the market.
    A fraction is at most 1, so that a sale is never below zero. A concave formula charges an order in parts less than
    one in a single fill: with the square root five equal parts cost :math:`1 / \sqrt 5` of it, 45 %.
    """
    if costs.impact_model == _NONE or quantity == 0.0:
        return 0.0
    if not (adv_shares > 0.0 and sigma_daily >= 0.0):
        fallback: float = costs.impact_fallback
        return fallback
    share = abs(quantity) / adv_shares
    moves: float
    if costs.impact_model == _SQUARE_ROOT:
        moves = costs.impact_temporary * share**0.5
    elif costs.impact_model == _ALMGREN:
        rate = share / costs.impact_duration_days
        moves = costs.impact_permanent * share + costs.impact_temporary * rate**costs.impact_exponent
    else:
        moves = costs.impact_temporary * share**costs.impact_exponent
    return min(moves * sigma_daily, 1.0)
