"""What TWS or IB Gateway says of orders and executions, read into values, and what its errors mean.

Belongs here: the reading of the client library's objects, strict on what money hangs on, and the table of error codes.
What follows from it for our orders is :mod:`aegis.execution.brokers.interactive_brokers_intake`.

References
----------
Interactive Brokers, TWS API: "Message Codes", "Executions and Commissions", "Placing Orders".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aegis.execution.order_reasons import OrderReason, reason_text

ENDED = frozenset({"Filled", "Cancelled", "ApiCancelled", "Inactive"})
"""Statuses after which nothing happens to an order."""
DUPLICATE_ORDER_ID = 103
CANCELLED = 202
_LARGEST_NUMBER = 1e300
"""The library's word for 'not set' is the largest double."""
_REMARKS = frozenset({165, 399, 404, 434, 492, 10167, 10349})
"""Codes that come with an order and refuse nothing: it waits for the open, or for shares to borrow."""
_NO_REFUSAL = frozenset({CANCELLED, 104, 135, 161, 10147, 10148})
"""Codes about a request to cancel or change: the order's own end is told by its status."""
_BY_CODE = {
    103: (OrderReason.VENUE, "the order id was used before; reset the API order ids of TWS"),
    110: (OrderReason.TICK_SIZE, ""),
    200: (OrderReason.VENUE, "correct the ticker, or name brokers.interactive_brokers.primary_exchanges"),
    203: (OrderReason.VENUE, "the account may not trade it; ask for the permission in Account Management"),
    10243: (OrderReason.LOT_SIZE, ""),
}
_BY_WORDS = (
    ("insufficient", OrderReason.BUYING_POWER),
    ("available funds", OrderReason.BUYING_POWER),
    ("buying power", OrderReason.BUYING_POWER),
    ("short", OrderReason.SHORT_SALE),
    ("minimum price variation", OrderReason.TICK_SIZE),
    ("halt", OrderReason.HALTED),
    ("exchange is closed", OrderReason.CLOSED_SESSION),
    ("market is closed", OrderReason.CLOSED_SESSION),
)
"""What the words after 'Order rejected - reason:' mean, by a part of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOrder:
    """An order as the gateway holds it.

    Parameters
    ----------
    order_id, client_id : int
        Who placed it under which number; 0 for an order that is over, of which the gateway does not say.
    permanent_id : int
        Interactive Brokers' own name of it; 0 before it has one.
    reference : str
        What its sender called it; ours is the client order id.
    account, ticker : str
    quantity_shares : float
        All of it, signed: bought positive, sold negative.
    limit_price_usd, auxiliary_usd, trail_percent : float, optional
        The auxiliary price is the stop price of a stop order and the distance of a trailing one.
    status : str
        In the gateway's words.
    filled_shares : float
        Unsigned; told of orders that are over only, 0 otherwise.
    ended_at_utc : datetime, optional
    words : str
        Why it is over.
    """

    order_id: int
    client_id: int
    permanent_id: int
    reference: str
    account: str
    ticker: str
    quantity_shares: float
    limit_price_usd: float | None
    auxiliary_usd: float | None
    trail_percent: float | None
    status: str
    filled_shares: float = 0.0
    ended_at_utc: datetime | None = None
    words: str = ""

    @property
    def venue_id(self) -> str:
        """Return Interactive Brokers' own name of it, for people."""
        return str(self.permanent_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStatus:
    """How far an order is; `filled_shares` is unsigned."""

    order_id: int
    client_id: int
    permanent_id: int
    status: str
    filled_shares: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayExecution:
    """Shares that changed hands.

    Parameters
    ----------
    execution_id : str
        A correction differs from what it corrects in the digits after the last point only.
    order_id, client_id, permanent_id, reference, account
        As in :class:`GatewayOrder`.
    quantity_shares : float
        Signed.
    price_usd : float
    executed_at_utc : datetime
        By the venue's clock, to the second.
    """

    execution_id: str
    order_id: int
    client_id: int
    permanent_id: int
    reference: str
    account: str
    quantity_shares: float
    price_usd: float
    executed_at_utc: datetime

    @property
    def root(self) -> str:
        """Return what an execution and its corrections share."""
        return self.execution_id.rpartition(".")[0] or self.execution_id


@dataclass(frozen=True, slots=True)
class GatewayRefusal:
    """An error that names an order."""

    order_id: int
    code: int
    words: str

    @property
    def is_remark(self) -> bool:
        """Whether the order lives on as it is."""
        return self.code in _REMARKS or 2100 <= self.code < 2200  # noqa: PLR2004 - TWS's range of warnings

    @property
    def rejects(self) -> bool:
        """Whether it says why an order was not taken, rather than what became of a request about it."""
        return not self.is_remark and self.code not in _NO_REFUSAL

    @property
    def reason(self) -> str:
        """Return it as events carry reasons, the venue's own words after ours."""
        return refusal_reason(self.words, code=self.code)


def gateway_order(contract: Any, order: Any, state: Any) -> GatewayOrder:
    """Read an order that is open.

    Raises
    ------
    ValueError
        It is not one.
    """
    return GatewayOrder(
        order_id=int(order.orderId),
        client_id=int(order.clientId),
        permanent_id=int(order.permId),
        reference=str(order.orderRef),
        account=str(order.account),
        ticker=ticker_of(contract),
        quantity_shares=_sign(order.action) * _number(order.totalQuantity),
        limit_price_usd=_optional(order.lmtPrice),
        auxiliary_usd=_optional(order.auxPrice),
        trail_percent=_optional(order.trailingPercent),
        status=str(state.status),
    )


def completed_order(contract: Any, order: Any, state: Any) -> GatewayOrder:
    """Read an order that is over.

    Raises
    ------
    ValueError
        It is not one.
    """
    found = gateway_order(contract, order, state)
    words = str(getattr(state, "completedStatus", "") or "")
    return replace(
        found,
        order_id=0,
        client_id=0,
        filled_shares=_optional(order.filledQuantity) or 0.0,
        ended_at_utc=_instant(str(getattr(state, "completedTime", "") or "")),
        words=words,
    )


def gateway_execution(execution: Any) -> GatewayExecution:
    """Read an execution.

    Raises
    ------
    ValueError
        It is not one.
    """
    if execution.side not in ("BOT", "SLD"):
        raise ValueError(f"execution {execution.execId}: side {execution.side!r} is neither BOT nor SLD")
    sign = 1 if execution.side == "BOT" else -1
    return GatewayExecution(
        execution_id=str(execution.execId),
        order_id=int(execution.orderId),
        client_id=int(execution.clientId),
        permanent_id=int(execution.permId),
        reference=str(execution.orderRef),
        account=str(execution.acctNumber),
        quantity_shares=sign * _number(execution.shares),
        price_usd=_number(execution.price),
        executed_at_utc=execution.time.astimezone(UTC),
    )


def ticker_of(contract: Any) -> str:
    """Return a stock's symbol with a dot before its class: ``BRK B`` is ``BRK.B``."""
    return str(contract.symbol).replace(" ", ".")


def refusal_reason(words: str, *, code: int = 0) -> str:
    """Return a refusal as events carry reasons."""
    said = words.replace("Order rejected - reason:", "").strip()
    reason, remedy = _BY_CODE.get(code, (None, ""))
    lowered = said.lower()
    reason = reason or next((word for part, word in _BY_WORDS if part in lowered), OrderReason.VENUE)
    text = f"error {code}: {said}" if code else said
    return reason_text(reason, f"{text}; {remedy}" if remedy else text)


def _instant(text: str) -> datetime | None:
    """Read ``20140606 16:00:00 America/New_York``; None where it is not written so, or not at all."""
    stamp, _, zone = text.rpartition(" ")
    try:
        naive = datetime.strptime(stamp, "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - the zone stands beside it
        return naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, ZoneInfoNotFoundError):
        return None  # whoever asks dates it by when it was told


def _sign(action: Any) -> int:
    if action not in ("BUY", "SELL"):
        raise ValueError(f"action {action!r} is neither BUY nor SELL")
    return 1 if action == "BUY" else -1


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or abs(number) > _LARGEST_NUMBER:
        raise ValueError(f"expected a finite number, found {value!r}")
    return number


def _optional(value: Any) -> float | None:
    number = float(value or 0)
    return None if number == 0 or not math.isfinite(number) or abs(number) > _LARGEST_NUMBER else number
