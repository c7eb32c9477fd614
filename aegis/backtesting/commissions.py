"""Commissions: what a broker charges for executing an order.

Belongs here: the plans, their parameters, and what each adds for one more fill. Fees of regulators are
:mod:`aegis.backtesting.regulatory_fees`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any, ClassVar, Final

from aegis.backtesting.compilation import compiled
from aegis.backtesting.parameter_bounds import require_within
from aegis.backtesting.slippage import BASIS_POINT
from aegis.errors import ConfigurationError

MAX_TIERS: Final = 8

COMMISSION_FIELDS: Final = (
    ("commission_rate", "f8"),
    ("commission_min", "f8"),
    ("commission_max", "f8"),
    ("commission_max_fraction", "f8"),
    ("commission_tier_from", "f8", (MAX_TIERS,)),
    ("commission_tier_rate", "f8", (MAX_TIERS,)),
    ("commission_tiers", "i8"),
)
COMMISSION_FLAGS: Final = (("commission_model", "i1"),)
"""Its part of the record of all costs. `commission_rate`: a fraction of the value, USD per share, or USD per order.
`commission_max_fraction`: of the order's traded value. `commission_tier_from`: shares of the month."""


class CommissionCode(IntEnum):
    """What the commission is counted by."""

    BPS = 0
    PER_SHARE = 1
    PER_TRADE = 2
    TIERED = 3


@dataclass(frozen=True, slots=True)
class Bps:
    """A share of the traded value.

    Parameters
    ----------
    commission_bps : float
        Basis points of quantity times fill price.
    """

    commission_bps: float = 0.0
    code: ClassVar[CommissionCode] = CommissionCode.BPS

    def __post_init__(self) -> None:
        require_within("Bps.commission_bps", self.commission_bps, at_most=1e4)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["commission_model"] = self.code
        record["commission_rate"] = self.commission_bps * BASIS_POINT


@dataclass(frozen=True, slots=True)
class PerTrade:
    """A fixed amount for an order, charged with its first fill.

    Parameters
    ----------
    usd_per_order : float
        USD.
    """

    usd_per_order: float
    code: ClassVar[CommissionCode] = CommissionCode.PER_TRADE

    def __post_init__(self) -> None:
        require_within("PerTrade.usd_per_order", self.usd_per_order, at_most=1e9)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["commission_model"] = self.code
        record["commission_rate"] = self.usd_per_order


@dataclass(frozen=True, slots=True)
class PerShare:
    """An amount for each share, with bounds on what an order costs in total.

    Parameters
    ----------
    usd_per_share : float
        USD.
    min_usd_per_order, max_usd_per_order : float
        Bounds of an order's total, USD.
    max_fraction_of_value : float
        Bound of an order's total, as a fraction of its traded value. It wins over the minimum.
    """

    usd_per_share: float
    min_usd_per_order: float = 0.0
    max_usd_per_order: float = math.inf
    max_fraction_of_value: float = math.inf
    code: ClassVar[CommissionCode] = CommissionCode.PER_SHARE

    def __post_init__(self) -> None:
        require_within("PerShare.usd_per_share", self.usd_per_share, at_most=1e6)
        _require_limits(self)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["commission_model"] = self.code
        record["commission_rate"] = self.usd_per_share
        _write_limits(self, record)


@dataclass(frozen=True, slots=True)
class Tiered:
    """An amount for each share that changes with the shares traded in the calendar month, at the margin.

    Parameters
    ----------
    tiers : tuple of (float, float)
        Shares of the month from which a rate holds, ascending and beginning with 0, and the rate, USD per share. At
        most `MAX_TIERS`.
    min_usd_per_order, max_usd_per_order : float
        Bounds of an order's total, USD.
    max_fraction_of_value : float
        Bound of an order's total, as a fraction of its traded value. It wins over the minimum.
    """

    tiers: tuple[tuple[float, float], ...]
    min_usd_per_order: float = 0.0
    max_usd_per_order: float = math.inf
    max_fraction_of_value: float = math.inf
    code: ClassVar[CommissionCode] = CommissionCode.TIERED

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.tiers]
        ascending = all(before < after for before, after in pairwise(starts)) and all(map(math.isfinite, starts))
        if not 1 <= len(starts) <= MAX_TIERS or starts[0] != 0 or not ascending:
            raise ConfigurationError(
                f"Tiered.tiers must be 1 to {MAX_TIERS} pairs (shares of the month, USD per share), the shares "
                f"ascending from 0, found {self.tiers!r}; correct them and run again"
            )
        for _, rate in self.tiers:
            require_within("Tiered.tiers, USD per share,", rate, at_most=1e6)
        _require_limits(self)

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["commission_model"] = self.code
        record["commission_tiers"] = len(self.tiers)
        for i, (start, rate) in enumerate(self.tiers):
            record["commission_tier_from"][i] = start
            record["commission_tier_rate"][i] = rate
        _write_limits(self, record)


CommissionModel = Bps | PerTrade | PerShare | Tiered


def _require_limits(plan: PerShare | Tiered) -> None:
    name = type(plan).__name__
    require_within(f"{name}.min_usd_per_order", plan.min_usd_per_order, at_most=1e9)
    require_within(f"{name}.max_usd_per_order", plan.max_usd_per_order, at_least=plan.min_usd_per_order)
    require_within(f"{name}.max_fraction_of_value", plan.max_fraction_of_value, above=0.0)


def _write_limits(plan: PerShare | Tiered, record: Any) -> None:
    record["commission_min"] = plan.min_usd_per_order
    record["commission_max"] = plan.max_usd_per_order
    record["commission_max_fraction"] = plan.max_fraction_of_value


INTERACTIVE_BROKERS_FIXED: Final = PerShare(0.005, min_usd_per_order=1.0, max_fraction_of_value=0.01)
"""Interactive Brokers' fixed plan for US stocks as published in 2025: without regulatory fees."""

INTERACTIVE_BROKERS_TIERED: Final = Tiered(
    ((0, 0.0035), (300_000, 0.0020), (3_000_000, 0.0015), (20_000_000, 0.0010), (100_000_000, 0.0005)),
    min_usd_per_order=0.35,
    max_fraction_of_value=0.01,
)
"""Interactive Brokers' tiered plan for US stocks as published in 2025: its own part, without exchange, clearing and
regulatory fees."""

_BPS, _PER_TRADE = int(CommissionCode.BPS), int(CommissionCode.PER_TRADE)
_PER_SHARE = int(CommissionCode.PER_SHARE)


@compiled
def commission_usd(
    costs: Any,
    quantity: float,
    price_usd: float,
    filled_before_shares: float,
    charged_before_usd: float,
    month_shares: float,
    split_away_shares: float = 0.0,
) -> float:
    r"""Return what this fill adds to the commission of its order, USD, zero or positive.

    Parameters
    ----------
    costs : COSTS
        The packed cost model.
    quantity : float
        Signed shares of the fill.
    price_usd : float
        USD per share, slippage and impact included.
    filled_before_shares : float
        Shares of the order filled before, unsigned, in today's shares.
    charged_before_usd : float
        Commission of the order so far, USD.
    month_shares : float
        Shares the account traded this calendar month before this fill, unsigned; read by tiers only.
    split_away_shares : float
        What the fills before splits were more than they are in today's shares: shares are charged as they were traded.

    Notes
    -----
    Bounds hold for the order: the total after this fill is :math:`\min(\max(c, min), max, f v)` with the unbounded
    commission :math:`c` and the traded value :math:`v` of all its fills, and what was charged before is taken off. The
    traded value of earlier fills is counted at this fill's price. Nothing is ever paid back.

    In tiers, the earlier fills of an order are taken as the latest shares of the month, and as what was charged for
    them where that is more; both are exact unless the order's total is still below its minimum.

    References
    ----------
    Interactive Brokers, Commissions, stocks, United States, as published in 2025: tiers hold at the margin within a
    calendar month; where an order's maximum is below its minimum, the maximum is charged.
    """
    shares = abs(quantity)
    rate: float = costs.commission_rate
    total: float
    if costs.commission_model == _BPS:
        return shares * price_usd * rate
    if shares == 0.0:
        return 0.0
    if costs.commission_model == _PER_TRADE:
        return rate if filled_before_shares + split_away_shares == 0.0 else 0.0
    if costs.commission_model == _PER_SHARE:
        total = rate * (filled_before_shares + split_away_shares + shares)
    else:
        total = _tiered_usd(costs, max(month_shares - filled_before_shares - split_away_shares, 0.0), month_shares)
        if charged_before_usd > costs.commission_min:
            total = max(total, charged_before_usd)
        total += _tiered_usd(costs, month_shares, month_shares + shares)
    total = _bounded_usd(costs, total, (filled_before_shares + shares) * price_usd)
    return max(total - charged_before_usd, 0.0)


@compiled
def _bounded_usd(costs: Any, total_usd: float, value_usd: float) -> float:
    total: float = min(max(total_usd, costs.commission_min), costs.commission_max)
    if costs.commission_max_fraction < math.inf:
        total = min(total, costs.commission_max_fraction * value_usd)
    return total


@compiled
def _tiered_usd(costs: Any, first_share: float, last_share: float) -> float:
    """Return what the shares of a month from one count to another cost without bounds, USD."""
    total = 0.0
    for i in range(costs.commission_tiers):
        begins = max(first_share, costs.commission_tier_from[i])
        ends = last_share
        if i + 1 < costs.commission_tiers:
            ends = min(ends, costs.commission_tier_from[i + 1])
        if ends > begins:
            total += (ends - begins) * costs.commission_tier_rate[i]
    return total
