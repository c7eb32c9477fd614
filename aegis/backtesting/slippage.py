"""Slippage: how far from its reference price a fill happens, whatever the order's size does to the market.

Belongs here: the models, their parameters, and the one formula of each. What a large order moves is
:mod:`aegis.backtesting.market_impact`; that a limit holds is the kernel's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final

from aegis.backtesting.compilation import compiled
from aegis.backtesting.parameter_bounds import require_within

BASIS_POINT: Final = 1e-4

SLIPPAGE_FIELDS: Final = (("slippage", "f8"), ("slippage_fallback", "f8"))
SLIPPAGE_FLAGS: Final = (("slippage_model", "i1"), ("slippage_within_bar", "i1"))
"""Its part of the record of all costs. `slippage`: what the model multiplies, a fraction or half a spread in USD."""


class SlippageCode(IntEnum):
    """Which formula moves the price."""

    NONE = 0
    FIXED_BPS = 1
    FIXED_SPREAD = 2
    VOLUME_SHARE = 3
    VOLATILITY = 4


@dataclass(frozen=True, slots=True)
class NoSlippage:
    """Fills at the reference price."""

    code: ClassVar[SlippageCode] = SlippageCode.NONE

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["slippage_model"] = self.code


@dataclass(frozen=True, slots=True)
class FixedBps:
    """A constant share of the price.

    Parameters
    ----------
    slippage_bps : float
        Basis points of the reference price.
    """

    slippage_bps: float
    code: ClassVar[SlippageCode] = SlippageCode.FIXED_BPS

    def __post_init__(self) -> None:
        require_within("FixedBps.slippage_bps", self.slippage_bps, at_most=1e4)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["slippage_model"] = self.code
        record["slippage"] = self.slippage_bps * BASIS_POINT


@dataclass(frozen=True, slots=True)
class FixedSpread:
    """A constant spread around the reference price, of which each fill pays one half.

    Parameters
    ----------
    spread_usd : float
        From bid to ask, USD per share.
    """

    spread_usd: float
    code: ClassVar[SlippageCode] = SlippageCode.FIXED_SPREAD

    def __post_init__(self) -> None:
        require_within("FixedSpread.spread_usd", self.spread_usd, at_most=1e6)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["slippage_model"] = self.code
        record["slippage"] = self.spread_usd / 2.0


@dataclass(frozen=True, slots=True)
class VolumeShare:
    """A share of the price that grows with the square of what is taken of the bar's volume.

    Parameters
    ----------
    price_impact : float
        Fraction of the price at a share of one.

    Notes
    -----
    The default is that of zipline's ``VolumeShareSlippage``. Its ``volume_limit`` of 2.5 % caps what a bar fills, which
    is :attr:`aegis.backtesting.rules.TradingRules.participation_rate` here; the share counts what the bar has filled
    before, as there.
    """

    price_impact: float = 0.1
    code: ClassVar[SlippageCode] = SlippageCode.VOLUME_SHARE

    def __post_init__(self) -> None:
        require_within("VolumeShare.price_impact", self.price_impact, at_most=1e4)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["slippage_model"] = self.code
        record["slippage"] = self.price_impact


@dataclass(frozen=True, slots=True)
class Volatility:
    """A multiple of the day's volatility.

    Parameters
    ----------
    sigma_multiple : float
        Slippage in daily standard deviations.
    fallback_bps : float
        Slippage while the volatility is not known yet, basis points of the reference price.

    Notes
    -----
    A symbol without enough history trades at `fallback_bps` rather than not at all: a new listing is part of the
    market, and a refusal would keep exactly the costliest trades out of the result. zipline's volatility models charge
    the same 10 basis points there.
    """

    sigma_multiple: float
    fallback_bps: float = 10.0
    code: ClassVar[SlippageCode] = SlippageCode.VOLATILITY

    def __post_init__(self) -> None:
        require_within("Volatility.sigma_multiple", self.sigma_multiple, at_most=100.0)
        require_within("Volatility.fallback_bps", self.fallback_bps, at_most=1e4)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["slippage_model"] = self.code
        record["slippage"] = self.sigma_multiple
        record["slippage_fallback"] = self.fallback_bps * BASIS_POINT


SlippageModel = NoSlippage | FixedBps | FixedSpread | VolumeShare | Volatility

_NONE, _SPREAD = int(SlippageCode.NONE), int(SlippageCode.FIXED_SPREAD)
_VOLUME_SHARE, _VOLATILITY = int(SlippageCode.VOLUME_SHARE), int(SlippageCode.VOLATILITY)


@compiled
def slipped_price(
    costs: Any,
    reference_usd: float,
    quantity: float,
    bar_volume: float,
    sigma_daily: float,
    high_usd: float,
    low_usd: float,
) -> float:
    r"""Return the reference price moved against the order, USD per share; never below zero.

    Parameters
    ----------
    costs : COSTS
        The packed cost model.
    reference_usd : float
        Price without costs, USD per share.
    quantity : float
        Signed shares whose share of the volume counts: the fill's own, or with what the bar gave before.
    bar_volume : float
        Shares traded in the bar. Without a positive volume, where the kernel fills nothing, the share is one.
    sigma_daily : float
        Standard deviation of daily returns of the sessions before, fraction; NaN if not known.
    high_usd, low_usd : float
        The bar's range, which the price does not leave if `slippage_within_bar` is set, USD per share.

    Notes
    -----
    With fraction :math:`f`, a purchase pays :math:`p (1 + f)` and a sale receives :math:`p (1 - f)`; :math:`f` is the
    constant share, :math:`k v^2` with :math:`v = |q| / V`, or :math:`k \sigma`. With a spread they are
    :math:`p + s / 2` and :math:`p - s / 2`. A reference outside the range, as after a gap, is not improved by it.

    References
    ----------
    zipline-reloaded, ``zipline.finance.slippage``: ``VolumeShareSlippage``, ``FixedSlippage``.
    """
    if costs.slippage_model == _NONE or quantity == 0.0:
        return reference_usd
    if costs.slippage_model == _SPREAD:
        half: float = costs.slippage
        price = reference_usd + half if quantity > 0.0 else reference_usd - half
    else:
        fraction: float = _slippage_fraction(costs, abs(quantity), bar_volume, sigma_daily)
        price = reference_usd * (1.0 + fraction) if quantity > 0.0 else reference_usd * (1.0 - fraction)
    if costs.slippage_within_bar:
        price = _within_bar(price, reference_usd, high_usd, low_usd)
    return max(price, 0.0)


@compiled
def _slippage_fraction(costs: Any, shares: float, bar_volume: float, sigma_daily: float) -> float:
    scale: float = costs.slippage
    if costs.slippage_model == _VOLUME_SHARE:
        share: float = shares / bar_volume if bar_volume > 0.0 else 1.0
        return scale * share * share
    if costs.slippage_model == _VOLATILITY:
        fallback: float = costs.slippage_fallback
        return scale * sigma_daily if sigma_daily >= 0.0 else fallback
    return scale


@compiled
def _within_bar(price: float, reference_usd: float, high_usd: float, low_usd: float) -> float:
    if price > reference_usd:
        return max(reference_usd, min(price, high_usd))
    return min(reference_usd, max(price, low_usd))
