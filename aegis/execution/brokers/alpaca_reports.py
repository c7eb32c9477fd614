"""What Alpaca says of orders and executions, read into values.

Belongs here: the reading of its JSON, strict on what money hangs on. What follows from it for our orders is
:mod:`aegis.execution.brokers.alpaca_intake`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from aegis.errors import BrokerUnavailable
from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.order_reasons import OrderReason, reason_text

ENDED = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
"""Statuses after which nothing happens to an order of Alpaca's."""

_STAMPS = {
    "filled": "filled_at",
    "canceled": "canceled_at",
    "expired": "expired_at",
    "rejected": "failed_at",
    "replaced": "replaced_at",
}
_REASONS = (
    ("buying power", OrderReason.BUYING_POWER),
    ("not allowed to short", OrderReason.SHORT_SALE),
    ("insufficient qty", OrderReason.SHORT_SALE),
    ("cannot be sold short", OrderReason.SHORT_SALE),
    ("sub-penny", OrderReason.TICK_SIZE),
    ("halted", OrderReason.HALTED),
    ("market is closed", OrderReason.CLOSED_SESSION),
)
"""What Alpaca's words mean, by a part of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as Alpaca holds it.

    Parameters
    ----------
    venue_id, client_order_id : str
        Alpaca's name of it, and its sender's.
    status : str
        In Alpaca's words.
    ticker : str
    quantity_shares, filled_shares : float
        Signed: bought positive, sold negative. The quantity is 0 where it was ordered by its notional value.
    limit_price_usd, stop_price_usd, trail_usd, trail_percent : float, optional
    submitted_at_utc, changed_at_utc : datetime
        By Alpaca's clock; an order that ended changed when it did.
    replaces, replaced_by : str, optional
        Alpaca's names of the orders before and after it.
    """

    venue_id: str
    client_order_id: str
    status: str
    ticker: str
    quantity_shares: float
    filled_shares: float
    limit_price_usd: float | None
    stop_price_usd: float | None
    trail_usd: float | None
    trail_percent: float | None
    submitted_at_utc: datetime
    changed_at_utc: datetime
    replaces: str | None
    replaced_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueExecution:
    """Shares that changed hands at Alpaca.

    Parameters
    ----------
    venue_id : str
        The order's.
    execution_id : str
        The order and how much of it is filled with this execution. Both the stream and the activities say that, and
        no two executions of an order share it; that the ids which they give agree is nowhere promised.
    quantity_shares : float
        Signed.
    price_usd : float
    executed_at_utc : datetime
        By Alpaca's clock.
    """

    venue_id: str
    execution_id: str
    quantity_shares: float
    price_usd: float
    executed_at_utc: datetime


def venue_order(body: Any) -> VenueOrder:
    """Read an order.

    Raises
    ------
    BrokerUnavailable
        It is not one.
    """
    try:
        sign = _sign(body["side"])
        return VenueOrder(
            venue_id=_text(body["id"]),
            client_order_id=_text(body["client_order_id"]),
            status=_text(body["status"]),
            ticker=_text(body["symbol"]),
            quantity_shares=sign * _number(body.get("qty") or 0),
            filled_shares=sign * _number(body.get("filled_qty") or 0),
            limit_price_usd=_optional(body.get("limit_price")),
            stop_price_usd=_optional(body.get("stop_price")),
            trail_usd=_optional(body.get("trail_price")),
            trail_percent=_optional(body.get("trail_percent")),
            submitted_at_utc=instant(body["submitted_at"]),
            changed_at_utc=instant(_changed_at(body)),
            replaces=body.get("replaces"),
            replaced_by=body.get("replaced_by"),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation, AttributeError) as error:
        raise _unreadable("an order", error) from error


def streamed_execution(data: Mapping[str, Any]) -> VenueExecution:
    """Read the execution of a trade update of kind fill or partial_fill.

    Raises
    ------
    BrokerUnavailable
        There is none in it.
    """
    try:
        order = data["order"]
        return VenueExecution(
            venue_id=_text(order["id"]),
            execution_id=_execution_id(order["id"], order["filled_qty"]),
            quantity_shares=_sign(order["side"]) * _number(data["qty"]),
            price_usd=_number(data["price"]),
            executed_at_utc=instant(data["timestamp"]),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation, AttributeError) as error:
        raise _unreadable("a fill", error) from error


def listed_execution(row: Any) -> VenueExecution:
    """Read an activity of kind FILL.

    Raises
    ------
    BrokerUnavailable
        It is not one.
    """
    try:
        return VenueExecution(
            venue_id=_text(row["order_id"]),
            execution_id=_execution_id(row["order_id"], row["cum_qty"]),
            quantity_shares=_sign(row["side"]) * _number(row["qty"]),
            price_usd=_number(row["price"]),
            executed_at_utc=instant(row["transaction_time"]),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation, AttributeError) as error:
        raise _unreadable("a fill", error) from error


def account_fee(row: Any) -> AccountFee:
    """Read an activity of kind FEE.

    Raises
    ------
    BrokerUnavailable
        It is not one.
    """
    try:
        paid = -_number(row["net_amount"])
        return AccountFee(_text(row["id"]), date.fromisoformat(row["date"]), paid, str(row.get("description") or ""))
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise _unreadable("a fee", error) from error


def instant(text: Any) -> datetime:
    """Read an instant, UTC; Alpaca writes up to nanoseconds.

    Raises
    ------
    ValueError
        It is not an aware instant.
    """
    found = datetime.fromisoformat(_text(text))
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return found.astimezone(UTC)


def refusal_reason(message: str) -> str:
    """Return Alpaca's refusal as events carry reasons, its own words after ours."""
    lowered = message.lower()
    word = next((word for part, word in _REASONS if part in lowered), OrderReason.VENUE)
    return reason_text(word, message)


def _changed_at(body: Mapping[str, Any]) -> Any:
    return body.get(_STAMPS.get(body["status"], "updated_at")) or body.get("updated_at") or body["submitted_at"]


def _execution_id(venue_id: Any, filled: Any) -> str:
    return f"{_text(venue_id)}:{Decimal(str(filled)).normalize():f}"


def _sign(side: Any) -> int:
    if side not in ("buy", "sell"):
        raise ValueError(f"side {side!r} is neither buy nor sell")
    return 1 if side == "buy" else -1


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, found {value!r}")
    return value


def _number(value: Any) -> float:
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError(f"expected a finite number, found {value!r}")
    return float(number)


def _optional(value: Any) -> float | None:
    return None if value in (None, "") else _number(value)


def _unreadable(what: str, error: Exception) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"Alpaca: expected {what}, and cannot read what came ({type(error).__name__}: {str(error)[:120]}); ask again, "
        "and look at Alpaca's status page if it stays"
    )
