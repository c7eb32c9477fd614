"""The words in which backtest, paper and live trading speak of orders: order, fill, event.

Belongs here: values without behaviour of their own. Which terms go together is :mod:`aegis.execution.order_terms`, what
may follow what is :mod:`aegis.execution.order_states`; how they are written down is
:mod:`aegis.execution.order_records`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from aegis.errors import ExecutionError
from aegis.execution.order_terms import RESTING, OrderType, TimeInForce, why_not

Algorithm = Literal["market", "limit", "twap", "vwap", "pov", "implementation_shortfall", "schedule"]


class OrderEventKind(StrEnum):
    """What can happen to an order after its intent was recorded."""

    APPROVED = "approved"
    REFUSED = "refused"
    ADJUSTED = "adjusted"
    SUBMITTED = "submitted"
    HELD = "held"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RELEASED = "released"
    TRIGGERED = "triggered"
    RESCALED = "rescaled"
    REPLACE_REQUESTED = "replace requested"
    REPLACED = "replaced"
    REPLACE_REJECTED = "replace rejected"
    REDUCED = "reduced"
    CANCEL_REQUESTED = "cancel requested"
    CANCEL_REJECTED = "cancel rejected"
    PARTIALLY_FILLED = "partially filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    WORKED = "worked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order of a committed decision.

    Parameters
    ----------
    client_order_id : str
        See :func:`aegis.execution.order_ids.client_order_id`.
    decision_id : str
        The decision it belongs to.
    account : str
        The account it is for.
    session : date
        Session after whose close it was decided.
    execution_session : date
        The first session in which it may execute.
    symbol, ticker : str
        Permanent name, and the name it trades under.
    quantity_shares : float
        All of the order, filled or not: bought positive, sold negative, never zero. Whole unless `is_fractional`.
    algorithm : str
        How it is worked, see ``docs/execution_algorithms.md``; 'market' hands it to the venue as it is.
    time_in_force : {"DAY", "GTC", "GTD", "IOC", "FOK", "OPG", "CLS"}
        A DAY order expires at the close of its execution session, a GTC order never, a GTD order at `expires_at_utc`.
        IOC fills at once what it can, FOK all or nothing. OPG and CLS are for the opening and the closing auction.
    arrival_price_usd : float
        Close of the decision session, in the shares of that session.
    target_weight : float
        Weight of equity that it works towards.
    is_reducing : bool
        Whether it only reduces the absolute position without crossing zero.
    reason : str
        Why it exists.
    order_type : str
        How it asks for its price; see :data:`aegis.execution.order_terms.PRICES_OF`.
    limit_price_usd, stop_price_usd : float, optional
        The worst price it takes; the price that triggers it.
    trail_usd, trail_fraction : float, optional
        How far a trailing stop stays behind the best price since it began; exactly one of them.
    expires_at_utc : datetime, optional
        When a GTD order ends; aware.
    parent_id : str, optional
        Client order id of the order that must fill before this one acts: the entry of a bracket, or one that triggers
        another (OTO).
    oco_group : str, optional
        Orders of one account with the same group cancel each other: what one fills, the others lose.
    is_fractional : bool
        Whether the quantity may be a fraction of a share.

    Raises
    ------
    ExecutionError
        The terms do not go together: quantity, prices, time in force, algorithm or parent; or the arrival price is no
        finite number.

    Notes
    -----
    Prices and quantities are in the shares of the session in which the order was last rescaled.
    """

    client_order_id: str
    decision_id: str
    account: str
    session: date
    execution_session: date
    symbol: str
    ticker: str
    quantity_shares: float
    algorithm: Algorithm
    time_in_force: TimeInForce
    arrival_price_usd: float
    target_weight: float
    is_reducing: bool
    reason: str
    order_type: OrderType = "market"
    limit_price_usd: float | None = None
    stop_price_usd: float | None = None
    trail_usd: float | None = None
    trail_fraction: float | None = None
    expires_at_utc: datetime | None = None
    parent_id: str | None = None
    oco_group: str | None = None
    is_fractional: bool = False

    def __post_init__(self) -> None:
        problem = why_not(
            quantity_shares=self.quantity_shares,
            is_fractional=self.is_fractional,
            order_type=self.order_type,
            time_in_force=self.time_in_force,
            limit_price_usd=self.limit_price_usd,
            stop_price_usd=self.stop_price_usd,
            trail_usd=self.trail_usd,
            trail_fraction=self.trail_fraction,
            expires_at_utc=self.expires_at_utc,
        )
        problem = problem or self._wrong_arrival() or self._wrong_relation()
        if problem is not None:
            raise ExecutionError(f"order {self.client_order_id} ({self.symbol}, {self.session}): {problem}")

    def _wrong_arrival(self) -> str | None:
        # A price of nothing is the gate's to refuse: a holding that is marked so must be sold all the same, and
        # journals hold orders that were refused for it.
        if math.isfinite(self.arrival_price_usd):
            return None
        return f"arrival_price_usd {self.arrival_price_usd!r} must be a finite number; find the price it is decided at"

    def _wrong_relation(self) -> str | None:
        workable = ("limit",) if self.algorithm == "limit" else ("market", "limit")
        if self.algorithm != "market" and (self.order_type not in workable or self.time_in_force not in RESTING):
            return (
                f"algorithm {self.algorithm!r} works {' and '.join(workable)} orders over a session, found a "
                f"{self.order_type} order that is {self.time_in_force!r}; use algorithm 'market'"
            )
        if self.parent_id == self.client_order_id:
            return "it cannot be its own parent; name the order that it waits for"
        if "" in (self.parent_id, self.oco_group):
            return "parent_id and oco_group are names or None; found an empty name"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of an order.

    Parameters
    ----------
    fill_number : int
        1 for the first fill of the order, in the order in which the sender tells them.
    session : date
        Session of the execution; quantities and prices are in the shares of this session.
    quantity_shares : float
        Bought positive, sold negative.
    price_usd, reference_price_usd : float
        Price paid or received per share, with and without slippage.
    commission_usd, slippage_usd : float
        Costs of this fill; slippage is positive when adverse.
    arrival_price_usd : float
        Close of the decision session, scaled by splits since.
    filled_at_utc : datetime
        When it filled; aware UTC.
    execution_id : str, optional
        The venue's name of the execution, unique in the order. What is told twice under one name happened once.
    """

    client_order_id: str
    decision_id: str
    account: str
    fill_number: int
    session: date
    symbol: str
    ticker: str
    quantity_shares: float
    price_usd: float
    reference_price_usd: float
    commission_usd: float
    slippage_usd: float
    arrival_price_usd: float
    filled_at_utc: datetime
    execution_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """Something that happened to one order.

    Parameters
    ----------
    kind : OrderEventKind
        What happened.
    client_order_id : str
        The order.
    session : date
        The session that had begun last when it happened; the decision session between a close and the next open.
    at_utc : datetime
        When; aware UTC.
    reason : str
        Why, for a person, as :func:`aegis.execution.order_reasons.reason_text` writes it; empty where the kind says it
        all.
    fill : Fill, optional
        The execution, for the two fill kinds only.
    order : Order, optional
        The order's terms after 'adjusted', 'rescaled', 'replaced' and 'reduced', and after 'released' where they
        change; what 'replace requested' asks for.
    revision : int
        Number of a change, request or release among those of its order, from 1; an answer has the number of its
        request. 0 where the sender does not count: then an order knows one event of each kind.
    split_ratio : float, optional
        New shares for one old share, for 'rescaled', needed once something is filled, and for 'adjusted'.
    """

    kind: OrderEventKind
    client_order_id: str
    session: date
    at_utc: datetime
    reason: str = ""
    fill: Fill | None = None
    order: Order | None = None
    revision: int = 0
    split_ratio: float | None = None

    @property
    def number(self) -> int:
        """Which of its order's events of this kind it is: the fill number of a fill, otherwise the revision."""
        return self.revision if self.fill is None else self.fill.fill_number
