"""The venue's and the account's rules of a simulation.

Belongs here: the switches of ``docs/fills.md`` with their defaults. What a fill costs is
:mod:`aegis.backtesting.costs`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.kernel.codes import OrderType
from aegis.backtesting.kernel.records import RULES, SETTLEMENT_RING
from aegis.errors import ConfigurationError
from aegis.execution.order_terms import FRACTION_OF_A_SHARE

_TARGET_ORDERS = {
    "market": OrderType.MARKET,
    "market on close": OrderType.MARKET_ON_CLOSE,
    "vwap": OrderType.BAR_AVERAGE,
}
_MARGIN_ONLY = ("initial_margin", "maintenance_margin", "max_leverage")


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingRules:
    """How a simulated venue fills and what a simulated account may do.

    Parameters
    ----------
    account_type : {"cash", "margin"}
        A cash account pays in full and holds no short positions.
    participation_rate : float
        Largest share of a bar's volume that all orders of the bar take together; infinite for no cap.
    initial_margin, maintenance_margin : float
        Equity per USD of gross exposure, to open and to keep it (Regulation T: 0.5 and 0.25). Margin accounts only.
    max_leverage : float
        Gross exposure / equity that no opening fill may exceed. Margin accounts only.
    settlement_sessions : int
        Sessions until the proceeds of a sale may be spent in a cash account; 1 is T+1, 0 at once.
    min_notional_usd : float
        Smaller orders are rejected, unless they close a position.
    fractional_shares : bool
        Whether quantities need not be whole; lots of 1e-6 shares.
    limit_needs_trade_through : bool
        Whether a resting limit is filled only by a price beyond it; otherwise a touch is enough.
    children_act_in_entry_bar : bool
        Whether the exits of a bracket may act in the bar that fills its entry.
    reject_unaffordable : bool
        Whether an order that the account can carry in part is rejected as a whole.
    target_orders : {"market", "market on close", "vwap"}
        How orders from target weights are worked.

    Raises
    ------
    ConfigurationError
        A value is outside its range, or the account's type cannot have it.
    """

    account_type: Literal["cash", "margin"] = "cash"
    participation_rate: float = 0.1
    initial_margin: float = 0.5
    maintenance_margin: float = 0.25
    max_leverage: float = math.inf
    settlement_sessions: int = 0
    min_notional_usd: float = 0.0
    fractional_shares: bool = False
    limit_needs_trade_through: bool = True
    children_act_in_entry_bar: bool = False
    reject_unaffordable: bool = False
    target_orders: Literal["market", "market on close", "vwap"] = "market"

    def __post_init__(self) -> None:
        _require(self.account_type in ("cash", "margin"), "account_type", self.account_type, "'cash' or 'margin'")
        _require(self.participation_rate > 0, "participation_rate", self.participation_rate, "above 0")
        _require(0 < self.initial_margin <= 1, "initial_margin", self.initial_margin, "above 0 and at most 1")
        _require(
            0 <= self.maintenance_margin <= self.initial_margin,
            "maintenance_margin",
            self.maintenance_margin,
            "from 0 to the initial margin",
        )
        _require(self.max_leverage > 0, "max_leverage", self.max_leverage, "above 0")
        _require(
            isinstance(self.settlement_sessions, int) and 0 <= self.settlement_sessions < SETTLEMENT_RING,
            "settlement_sessions",
            self.settlement_sessions,
            f"a whole number from 0 to {SETTLEMENT_RING - 1}",
        )
        _require(
            not (self.account_type == "margin" and self.settlement_sessions),
            "settlement_sessions",
            self.settlement_sessions,
            "0 in a margin account, where proceeds count at once",
        )
        for name in _MARGIN_ONLY if self.account_type == "cash" else ():
            default, found = type(self).__dataclass_fields__[name].default, getattr(self, name)
            _require(found == default, name, found, f"left out ({default}) in a cash account, which borrows nothing")
        _require(0 <= self.min_notional_usd < math.inf, "min_notional_usd", self.min_notional_usd, "0 or more")
        _require(self.target_orders in _TARGET_ORDERS, "target_orders", self.target_orders, " or ".join(_TARGET_ORDERS))

    @property
    def lot_shares(self) -> float:
        """Smallest step of a quantity, shares."""
        return FRACTION_OF_A_SHARE if self.fractional_shares else 1.0

    @property
    def target_order_code(self) -> OrderType:
        """The kernel's code of :attr:`target_orders`."""
        return _TARGET_ORDERS[self.target_orders]

    def pack(self) -> NDArray[np.void]:
        """Return the kernel's record, shape (1,)."""
        record: NDArray[Any] = np.zeros(1, dtype=RULES)
        record["participation_rate"] = self.participation_rate
        record["max_leverage"] = self.max_leverage
        record["initial_margin"] = self.initial_margin
        record["maintenance_margin"] = self.maintenance_margin
        record["min_notional"] = self.min_notional_usd
        record["settlement_sessions"] = self.settlement_sessions
        record["margin_account"] = record["allow_short"] = self.account_type == "margin"
        record["fractional"] = self.fractional_shares
        record["limit_needs_trade_through"] = self.limit_needs_trade_through
        record["children_act_in_entry_bar"] = self.children_act_in_entry_bar
        record["reject_unaffordable"] = self.reject_unaffordable
        record["target_order_type"] = self.target_order_code
        return record


def _require(holds: bool, name: str, found: object, expected: str) -> None:  # noqa: FBT001
    if not holds:
        raise ConfigurationError(f"trading rules: {name} is {found!r} and must be {expected}; correct the setting")
