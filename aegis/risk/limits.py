"""Limits of a book and its orders, as data: a sentence, what was observed, what is allowed.

Belongs here: the comparison. What a breach leads to is :mod:`aegis.risk.pre_trade_gate`.

Notes
-----
A limit holds when ``observed <= threshold``, with no tolerance: exactly at the limit is within it. What cannot be
measured is observed as infinity, which is within no limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date

from aegis.config import RiskSettings
from aegis.errors import RiskError

POSITION_WEIGHT = "each_position_weight_within_limit"
GROSS_EXPOSURE = "gross_exposure_within_limit"
VALUE_AT_RISK = "value_at_risk_within_limit"
PARTICIPATION = "participation_of_median_volume_within_limit"
LIMIT_NAMES = (POSITION_WEIGHT, GROSS_EXPOSURE, VALUE_AT_RISK, PARTICIPATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """What an account may do.

    Parameters
    ----------
    max_position_weight : float
        Largest absolute weight of one name, as a share of equity.
    max_gross_exposure : float
        Largest sum of absolute weights.
    max_value_at_risk_95 : float
        Largest one-session 95 % value at risk, as a share of equity.
    max_participation_of_volume : float
        Largest share of a name's median daily dollar volume that one decision may trade.

    Raises
    ------
    RiskError
        A limit is not a finite number above 0.
    """

    max_position_weight: float
    max_gross_exposure: float
    max_value_at_risk_95: float
    max_participation_of_volume: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value <= 0.0:
                raise RiskError(
                    f"risk.{field.name}: expected a finite number above 0, found {value}; correct the limit"
                )

    @classmethod
    def from_settings(cls, settings: RiskSettings) -> RiskLimits:
        """Return the limits of the simulated account."""
        return cls(
            max_position_weight=settings.max_position_weight,
            max_gross_exposure=settings.max_gross_exposure,
            max_value_at_risk_95=settings.max_value_at_risk_95,
            max_participation_of_volume=settings.max_participation_of_volume,
        )


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """One limit and how it stands.

    Parameters
    ----------
    name : str
        A sentence that is true when the limit holds.
    observed, threshold : float
        In the limit's own unit; `observed` is infinite where it cannot be measured.
    detail : str or None
        Symbol, session, value and remedy of a breach; None when the limit holds.
    """

    name: str
    observed: float
    threshold: float
    detail: str | None = None

    @property
    def is_within(self) -> bool:
        """Whether the limit holds."""
        return self.observed <= self.threshold


def position_weight_check(session: date, weights: Mapping[str, float], *, limits: RiskLimits) -> LimitCheck:
    """Compare the largest absolute weight with its limit.

    Parameters
    ----------
    session : date
        Named in the detail.
    weights : mapping of str to float
        Signed shares of equity; NaN or infinite counts as unmeasurable.
    """
    symbol, weight = _largest(weights)
    remedy = (
        f"{symbol} {session}: weight {weight:.6g} is above {limits.max_position_weight:g}; only reduce until it is not"
    )
    return _check(POSITION_WEIGHT, weight, limits.max_position_weight, remedy)


def gross_exposure_check(session: date, weights: Mapping[str, float], *, limits: RiskLimits) -> LimitCheck:
    """Compare the sum of absolute weights with its limit; see :func:`position_weight_check`."""
    gross = _measured(math.fsum(_measured(abs(weight)) for weight in weights.values()))
    remedy = (
        f"{session}: gross exposure {gross:.6g} is above {limits.max_gross_exposure:g}; only reduce until it is not"
    )
    return _check(GROSS_EXPOSURE, gross, limits.max_gross_exposure, remedy)


def value_at_risk_check(session: date, value_at_risk_95: float, *, limits: RiskLimits) -> LimitCheck:
    """Compare the target book's one-session 95 % value at risk with its limit."""
    observed = _measured(value_at_risk_95)
    remedy = (
        f"{session}: value at risk {observed:.6g} of equity is above {limits.max_value_at_risk_95:g}; "
        "lower the exposure or the risk of the target book"
    )
    return _check(VALUE_AT_RISK, observed, limits.max_value_at_risk_95, remedy)


def participation_check(session: date, participations: Mapping[str, float], *, limits: RiskLimits) -> LimitCheck:
    """Compare the largest share of median dollar volume with its limit.

    Parameters
    ----------
    session : date
        Named in the detail.
    participations : mapping of str to float
        See :func:`aegis.risk.exposure.participations`, of the orders that do not reduce.
    """
    symbol, share = _largest(participations)
    remedy = (
        f"{symbol} {session}: orders are {share:.6g} of the median dollar volume, above "
        f"{limits.max_participation_of_volume:g} (infinite: price or volume unknown); spread them over more sessions"
    )
    return _check(PARTICIPATION, share, limits.max_participation_of_volume, remedy)


def _check(name: str, observed: float, threshold: float, remedy: str) -> LimitCheck:
    return LimitCheck(name, observed, threshold, None if observed <= threshold else remedy)


def _largest(values: Mapping[str, float]) -> tuple[str, float]:
    found, largest = "", 0.0
    for symbol, value in values.items():
        size = _measured(abs(value))
        if size > largest or not found:
            found, largest = symbol, size
    return found, largest


def _measured(value: float) -> float:
    """Return `value`, or infinity for NaN: what cannot be measured is within no limit."""
    return math.inf if math.isnan(value) else value
