"""The kernel's records, written by hand: one call for each fill, action, order or amendment."""

from __future__ import annotations

import numpy as np

from aegis.backtesting.kernel.codes import ActionKind, Amendment, OrderType, Pass, Reason, State, TimeInForce
from aegis.backtesting.kernel.records import ACTION, AMENDMENT, FILL, NEVER, NO_SYMBOL, ORDER

NAN = float("nan")


def fill(
    symbol: int, step: int, quantity: float, price: float, *, commission: float = 0.0, fees: float = 0.0,
    order: int = 0, number: int = 1, reference: float | None = None,
) -> np.void:  # fmt: skip
    row = np.zeros(1, FILL)[0]
    row["symbol"], row["step"], row["quantity"], row["price"] = symbol, step, quantity, price
    row["commission"], row["fees"], row["order"], row["number"] = commission, fees, order, number
    row["reference"], row["at"] = price if reference is None else reference, Pass.OPEN_BUY
    return row


def action(
    kind: ActionKind, symbol: int, day: int, *, ratio: float = 1.0, amount: float = 0.0, acquirer: int = NO_SYMBOL
) -> np.void:
    row = np.zeros(1, ACTION)[0]
    row["kind"], row["symbol"], row["day"], row["pay_day"] = kind, symbol, day, day
    row["ratio"], row["amount"], row["acquirer"] = ratio, amount, acquirer
    return row


def order(
    quantity: float, state: State, *, submitted: int = 0, closed: int = -1, filled: float = 0.0, fills: int = 0,
    reason: Reason = Reason.NONE, parent: int = -1, kind: OrderType = OrderType.MARKET, symbol: int = 0,
    limit: float = NAN, stop: float = NAN, in_force: TimeInForce = TimeInForce.DAY, expires: int = NEVER,
) -> np.void:  # fmt: skip
    row = np.zeros(1, ORDER)[0]
    row["quantity"], row["filled"], row["fills"], row["symbol"] = quantity, filled, fills, symbol
    row["state"], row["reason"], row["parent"] = state, reason, parent
    row["type"], row["time_in_force"], row["expires"] = kind, in_force, expires
    row["submitted_step"], row["closed_step"], row["triggered_step"] = submitted, closed, -1
    row["limit"], row["stop"], row["trail"], row["watermark"] = limit, stop, NAN, NAN
    row["sibling"] = row["child"] = -1
    return row


def amendment(
    order_number: int, step: int, kind: Amendment, quantity: float, *, limit: float = NAN, stop: float = NAN
) -> np.void:
    row = np.zeros(1, AMENDMENT)[0]
    row["order"], row["step"], row["kind"] = order_number, step, kind
    row["quantity"], row["limit"], row["stop"] = quantity, limit, stop
    return row


def fills(*rows: np.void) -> np.ndarray:
    return np.array([row.item() for row in rows], FILL)


def actions(*rows: np.void) -> np.ndarray:
    return np.array([row.item() for row in rows], ACTION)


def orders(*rows: np.void) -> np.ndarray:
    return np.array([row.item() for row in rows], ORDER)


def amendments(*rows: np.void) -> np.ndarray:
    return np.array([row.item() for row in rows], AMENDMENT)
