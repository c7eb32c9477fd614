"""The words in which backtest, paper and live trading speak of orders: order, fill, event.

Belongs here: values without behaviour of their own. What may follow what is :mod:`aegis.execution.order_states`; how
they are written down is :mod:`aegis.execution.order_records`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from aegis.errors import ExecutionError

Algorithm = Literal["market", "vwap"]
TimeInForce = Literal["DAY"]


class OrderEventKind(StrEnum):
    """What can happen to an order after its intent was recorded."""

    APPROVED = "approved"
    REFUSED = "refused"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RESCALED = "rescaled"
    PARTIALLY_FILLED = "partially filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


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
        Session in which it may execute.
    symbol, ticker : str
        Permanent name, and the name it trades under.
    quantity_shares : float
        Whole shares, never zero: bought positive, sold negative.
    algorithm : {"market", "vwap"}
        How it is worked.
    time_in_force : {"DAY"}
        A DAY order expires at the close of its execution session.
    arrival_price_usd : float
        Close of the decision session, in the shares of that session.
    target_weight : float
        Weight of equity that it works towards.
    is_reducing : bool
        Whether it only reduces the absolute position without crossing zero.
    reason : str
        Why it exists.

    Raises
    ------
    ExecutionError
        The quantity is zero, fractional or not finite.
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

    def __post_init__(self) -> None:
        quantity = self.quantity_shares
        if not math.isfinite(quantity) or quantity == 0 or not float(quantity).is_integer():
            raise ExecutionError(
                f"order {self.client_order_id} ({self.symbol}, {self.session}): quantity {quantity!r} must be a whole "
                "number of shares other than 0; round it before the order is made"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of an order.

    Parameters
    ----------
    fill_number : int
        1 for the first fill of the order.
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
        Why, for a person; empty where the kind says it all.
    fill : Fill, optional
        The execution, for the two fill kinds only.
    order : Order, optional
        The order's new terms, for 'rescaled' only.
    """

    kind: OrderEventKind
    client_order_id: str
    session: date
    at_utc: datetime
    reason: str = ""
    fill: Fill | None = None
    order: Order | None = None
