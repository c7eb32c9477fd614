"""What a simulated fill costs: one model composed of slippage, impact, commission, fees and financing.

Belongs here: how the parts go together, which settings describe them, and the record that compiled code reads. Each
formula is in its own module; see ``docs/fills.md``.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from aegis.backtesting.commissions import (
    COMMISSION_FIELDS,
    COMMISSION_FLAGS,
    Bps,
    CommissionModel,
    PerShare,
    PerTrade,
    Tiered,
)
from aegis.backtesting.financing import FINANCING_FIELDS, Financing
from aegis.backtesting.market_impact import (
    IMPACT_FIELDS,
    IMPACT_FLAGS,
    Almgren,
    ImpactModel,
    NoImpact,
    PowerLaw,
    SquareRoot,
)
from aegis.backtesting.slippage import (
    BASIS_POINT,
    SLIPPAGE_FIELDS,
    SLIPPAGE_FLAGS,
    FixedBps,
    FixedSpread,
    NoSlippage,
    SlippageModel,
    Volatility,
    VolumeShare,
)
from aegis.config_eval import BacktestingEval
from aegis.errors import ConfigurationError

COSTS: Final = np.dtype(
    [
        *SLIPPAGE_FIELDS,
        *IMPACT_FIELDS,
        *COMMISSION_FIELDS,
        *FINANCING_FIELDS,
        *SLIPPAGE_FLAGS,
        *IMPACT_FLAGS,
        *COMMISSION_FLAGS,
        ("regulatory_fees", "i1"),
    ],
    align=True,
)
"""The whole cost model; each module says what its fields hold."""

_SLIPPAGE_MODELS: Final[dict[str, type[SlippageModel]]] = {
    "none": NoSlippage,
    "fixed_spread": FixedSpread,
    "volume_share": VolumeShare,
    "volatility": Volatility,
}
_IMPACT_MODELS: Final[dict[str, type[ImpactModel]]] = {
    "none": NoImpact,
    "square_root": SquareRoot,
    "almgren": Almgren,
    "power_law": PowerLaw,
}
_COMMISSION_MODELS: Final[dict[str, type[CommissionModel]]] = {
    "per_share": PerShare,
    "per_trade": PerTrade,
    "tiered": Tiered,
}

_PARTS: Final[tuple[tuple[str, Any, str], ...]] = (
    ("slippage", SlippageModel, "for basis points of the price write slippage_bps=..."),
    ("commission", CommissionModel, "for basis points of the value write commission_bps=..."),
    ("impact", ImpactModel, "leave it out for none"),
    ("financing", Financing, "leave it out for none"),
    ("regulatory_fees", bool, "write True or False"),
    ("slippage_within_bar", bool, "write True or False"),
)
"""What each part may be, and what to write instead."""

_Short = TypeVar("_Short", FixedBps, Bps)


@dataclass(frozen=True, slots=True)
class CostModel:
    """Everything that trading and holding costs.

    Parameters
    ----------
    slippage_bps, commission_bps : float
        Short for ``slippage=FixedBps(...)`` and ``commission=Bps(...)``, basis points of the reference price and of the
        notional at the fill price.
    slippage : SlippageModel
        Distance of the fill price from the reference price.
    commission : CommissionModel
        The broker's plan.
    impact : ImpactModel
        What the order's size adds to the distance.
    financing : Financing
        Interest and borrow fees.
    regulatory_fees : bool
        Whether sales pay the fees of :mod:`aegis.backtesting.regulatory_fees`.
    slippage_within_bar : bool
        Whether slippage stops at the bar's high or low.

    Raises
    ------
    ConfigurationError
        A parameter is out of its bounds, a part is no model of its kind, or a short form contradicts the model beside
        it.
    """

    slippage_bps: float = 0.0
    commission_bps: float = 0.0
    slippage: SlippageModel = field(default_factory=NoSlippage)
    commission: CommissionModel = field(default_factory=Bps)
    impact: ImpactModel = field(default_factory=NoImpact)
    financing: Financing = field(default_factory=Financing)
    regulatory_fees: bool = False
    slippage_within_bar: bool = False

    def __post_init__(self) -> None:
        self._require_types()
        slippage: SlippageModel = self.slippage
        if self.slippage_bps != 0:
            slippage = _short_form(FixedBps(self.slippage_bps), slippage, default=NoSlippage())
        commission: CommissionModel = self.commission
        if self.commission_bps != 0:
            commission = _short_form(Bps(self.commission_bps), commission, default=Bps())
        object.__setattr__(self, "slippage", slippage)
        object.__setattr__(self, "commission", commission)
        object.__setattr__(self, "slippage_bps", getattr(slippage, "slippage_bps", 0.0))
        object.__setattr__(self, "commission_bps", getattr(commission, "commission_bps", 0.0))

    def _require_types(self) -> None:
        for name, kind, remedy in _PARTS:
            found = getattr(self, name)
            if not isinstance(found, kind):
                known = " or ".join(model.__name__ for model in get_args(kind) or (kind,))
                raise ConfigurationError(
                    f"CostModel: {name} is {found!r} and must be {known}, a value and not the class; {remedy}"
                )

    @property
    def needs_liquidity(self) -> bool:
        """Whether a part of it reads the volatility or the average volume of the sessions before."""
        return isinstance(self.slippage, Volatility) or not isinstance(self.impact, NoImpact)

    @classmethod
    def from_settings(cls, settings: BacktestingEval) -> CostModel:
        """Return the model that ``eval.backtesting`` describes; ``slippage_model: none`` sets slippage to zero.

        Raises
        ------
        ConfigurationError
            A model lacks a parameter, has one it does not know, or has one out of bounds.

        Notes
        -----
        ``slippage_basis_points`` belongs to ``slippage_model: fixed`` and ``transaction_cost_bps`` to
        ``commission.model: bps``; other models do not read them.
        """
        where = "eval.backtesting"
        by_bps = settings.commission.model == "bps"
        fixed = settings.slippage_model == "fixed"
        return cls(
            slippage_bps=settings.slippage_basis_points if fixed else 0.0,
            commission_bps=settings.transaction_cost_bps if by_bps else 0.0,
            slippage=_built(
                NoSlippage if fixed else _SLIPPAGE_MODELS[settings.slippage_model],
                settings.slippage,
                where=f"{where}.slippage, model {settings.slippage_model}",
            ),
            commission=_built(
                Bps if by_bps else _COMMISSION_MODELS[settings.commission.model],
                settings.commission,
                where=f"{where}.commission, model {settings.commission.model}",
            ),
            impact=_built(
                _IMPACT_MODELS[settings.impact.model],
                settings.impact,
                where=f"{where}.impact, model {settings.impact.model}",
            ),
            financing=_built(Financing, settings.financing, where=f"{where}.financing"),
            regulatory_fees=settings.regulatory_fees,
            slippage_within_bar=settings.slippage_within_bar,
        )

    def pack(self) -> NDArray[np.void]:
        """Return the model as the compiled functions read it.

        Returns
        -------
        ndarray of COSTS, shape (1,)
        """
        packed = np.zeros(1, COSTS)
        record = packed[0]
        self.slippage.write(record)
        self.impact.write(record)
        self.commission.write(record)
        self.financing.write(record)
        record["slippage_within_bar"] = self.slippage_within_bar
        record["regulatory_fees"] = self.regulatory_fees
        return packed

    def fill_price_usd(self, reference_price_usd: float, quantity_shares: float) -> float:
        """Return the price of a fill: above the reference for a buy (positive quantity), below it for a sale.

        Raises
        ------
        ConfigurationError
            The model needs to know more than the reference price.
        """
        if (
            not isinstance(self.slippage, NoSlippage | FixedBps)
            or self.impact != NoImpact()
            or self.slippage_within_bar
        ):
            raise ConfigurationError(
                "the session matcher knows slippage of none or fixed basis points and no impact, found "
                f"{self.slippage!r} and {self.impact!r}; set eval.backtesting.slippage_model to none or fixed, and "
                "leave eval.backtesting.impact and slippage_within_bar out"
            )
        shift = self.slippage_bps * BASIS_POINT
        return reference_price_usd * (1.0 + shift if quantity_shares > 0 else 1.0 - shift)

    def commission_usd(self, notional_usd: float) -> float:
        """Return the commission on an absolute notional in USD, zero or positive.

        Raises
        ------
        ConfigurationError
            The plan needs to know more than the notional, or fees and financing are set that would not be charged.
        """
        if not isinstance(self.commission, Bps) or self.regulatory_fees or self.financing != Financing():
            raise ConfigurationError(
                "the session matcher knows commissions in basis points, no regulatory fees and no financing, found "
                f"{self.commission!r}, regulatory_fees={self.regulatory_fees} and {self.financing!r}; set "
                "eval.backtesting.commission.model to bps, and leave regulatory_fees and financing out"
            )
        return notional_usd * (self.commission_bps * BASIS_POINT)


def _short_form(short: _Short, model: object, *, default: object) -> _Short:
    """Return the model that basis points stand for, unless another one stands beside them."""
    if model not in (default, short):
        raise ConfigurationError(f"CostModel: basis points mean {short!r}, and {model!r} is given too; leave one out")
    return short


def _built(model: Any, section: BaseModel, *, where: str) -> Any:
    """Return a model with the parameters that a section of the settings gives; the rest have the model's defaults."""
    given = {name: value for name, value in section if name != "model" and value is not None}
    known = fields(model)
    names = [parameter.name for parameter in known]
    if unknown := [name for name in given if name not in names]:
        raise ConfigurationError(
            f"{where}: does not take {', '.join(unknown)}; it takes {', '.join(names) or 'no parameters'}"
        )
    required = [parameter.name for parameter in known if parameter.default is MISSING]
    if missing := [name for name in required if name not in given]:
        raise ConfigurationError(f"{where}: needs {', '.join(missing)}; add it and run again")
    return model(**given)
