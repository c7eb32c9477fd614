"""The one function that decides simulated fills.

Belongs here: from orders and the bars of their execution session to executions, arrays in and array out, so that a
compiled kernel can take its place. The conventions are written down in ``docs/fills.md``. Who the orders belong to,
positions and cash books are the simulated broker's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.costs import CostModel
from aegis.errors import ExecutionError
from aegis.execution.orders import Algorithm, Order

ORDER_DTYPE: Final = np.dtype([("bar_row", "i8"), ("quantity_shares", "f8"), ("algorithm", "i1")])
"""Orders of one session, in the order of their client order ids. `bar_row` is -1 where the symbol has no bar."""

BAR_DTYPE: Final = np.dtype(
    [("open_usd", "f8"), ("high_usd", "f8"), ("low_usd", "f8"), ("close_usd", "f8"), ("volume_shares", "f8")]
)
"""Bars of one session, raw as traded."""

EXECUTION_DTYPE: Final = np.dtype(
    [
        ("quantity_shares", "f8"),
        ("price_usd", "f8"),
        ("reference_price_usd", "f8"),
        ("commission_usd", "f8"),
        ("slippage_usd", "f8"),
        ("outcome", "i1"),
    ]
)
"""One row for each order: what was executed (signed, 0 for nothing) and what stopped the rest."""

ALGORITHM_CODES: Final[Mapping[Algorithm, int]] = {"market": 0, "vwap": 1}
COMPLETE, NO_VOLUME, VOLUME_CAP, BUYING_POWER = 0, 1, 2, 3

_WHOLE_SHARE_TOLERANCE = 1e-9


def whole_shares(quantity_shares: float) -> float:
    """Return a quantity rounded towards zero to whole shares.

    Notes
    -----
    Within 1e-9 below a whole share counts as that share: 49 * (1/49) falls just short of 1 in floating point and is one
    share.
    """
    return math.copysign(math.floor(abs(quantity_shares) + _WHOLE_SHARE_TOLERANCE), quantity_shares)


def rescale_for_split(order: Order, ratio: float) -> Order | None:
    """Return an open order in the shares of after a split, or None where no whole share is left.

    Parameters
    ----------
    order : Order
        Decided before the ex-date.
    ratio : float
        New shares for one old share: 2 for a two-for-one split, 0.1 for a one-for-ten reverse split.

    Raises
    ------
    ExecutionError
        The ratio is not a positive finite number.

    Notes
    -----
    The quantity is multiplied by the ratio and rounded towards zero to whole shares, the arrival price divided by it. A
    position is rounded the same way, so a sale of at most the position stays one.
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise ExecutionError(
            f"{order.symbol} {order.execution_session}: split ratio {ratio!r} must be positive; correct the action"
        )
    quantity = whole_shares(order.quantity_shares * ratio)
    if quantity == 0:
        return None
    return replace(order, quantity_shares=quantity, arrival_price_usd=order.arrival_price_usd / ratio)


def match_session(
    orders: NDArray[np.void],
    bars: NDArray[np.void],
    costs: CostModel,
    *,
    participation_rate: float,
    cash_usd: float = math.inf,
) -> NDArray[np.void]:
    """Match the orders of one session against its daily bars.

    Parameters
    ----------
    orders : ndarray of ORDER_DTYPE, shape (orders,)
        Whole signed quantities in the session's own shares, sorted by client order id.
    bars : ndarray of BAR_DTYPE, shape (symbols,)
        Raw bars; zero volume is a halt.
    costs : CostModel
        Slippage and commission.
    participation_rate : float
        Largest share of a bar's volume that all orders of the bar may take together.
    cash_usd : float
        Cash before the session's fills; infinite where buying power is not limited.

    Returns
    -------
    ndarray of EXECUTION_DTYPE, shape (orders,)
        Row i is about order i.

    Notes
    -----
    A market order's reference price is the open, a VWAP order's (open + high + low + close) / 4: a daily bar has no
    intraday path. Volume is handed out in the order of the order ids. Sales are booked before purchases; a purchase
    takes the whole shares that the cash still pays for, and volume it leaves is not handed out again. Nothing but the
    volume cap, known only afterwards to anyone, makes the quantity depend on the execution session.

    The loop runs over plain floats because a session has few orders: a dozen array operations cost more.
    """
    quantities: list[float] = orders["quantity_shares"].tolist()
    rows: list[int] = orders["bar_row"].tolist()
    taken, outcomes = _share_volume(quantities, rows, bars, participation_rate)
    prices = [
        (0.0, 0.0) if take == 0 else _prices(bars[row].item(), algorithm, quantity, costs)
        for take, row, algorithm, quantity in zip(taken, rows, orders["algorithm"].tolist(), quantities, strict=True)
    ]
    _limit_to_cash(taken, outcomes, [price for _, price in prices], cash_usd, costs)
    executions = [
        (
            take,
            price,
            reference,
            costs.commission_usd(abs(take) * price),
            take * (price - reference),
            outcome,
        )
        for take, (reference, price), outcome in zip(taken, prices, outcomes, strict=True)
    ]
    return np.array(executions, dtype=EXECUTION_DTYPE)


def _share_volume(
    quantities: list[float], rows: list[int], bars: NDArray[np.void], participation_rate: float
) -> tuple[list[float], list[int]]:
    """Hand out each bar's capacity in order; return signed quantities and what stopped the rest."""
    volumes = bars["volume_shares"]
    capacities: dict[int, float] = {}
    taken: list[float] = []
    outcomes: list[int] = []
    for quantity, row in zip(quantities, rows, strict=True):
        volume = float(volumes[row]) if row >= 0 else 0.0
        if not volume > 0:
            taken.append(0.0)
            outcomes.append(NO_VOLUME)
            continue
        capacity = capacities.get(row)
        if capacity is None:
            capacity = whole_shares(participation_rate * volume)
        take = min(abs(quantity), capacity)
        capacities[row] = capacity - take
        taken.append(math.copysign(take, quantity))
        outcomes.append(COMPLETE if take == abs(quantity) else VOLUME_CAP)
    return taken, outcomes


def _prices(
    bar: tuple[float, float, float, float, float], algorithm: int, quantity: float, costs: CostModel
) -> tuple[float, float]:
    """Return reference price and fill price."""
    opened, high, low, close, _ = bar
    reference = opened if algorithm == ALGORITHM_CODES["market"] else (opened + high + low + close) / 4.0
    return reference, costs.fill_price_usd(reference, quantity)


def _limit_to_cash(
    taken: list[float], outcomes: list[int], prices: list[float], cash_usd: float, costs: CostModel
) -> None:
    """Book sales, then cut purchases to what the cash still pays for; `taken` and `outcomes` change in place."""
    for take, price in zip(taken, prices, strict=True):
        if take < 0:
            notional = -take * price
            cash_usd += notional - costs.commission_usd(notional)
    for i, (take, price) in enumerate(zip(taken, prices, strict=True)):
        if take <= 0:
            continue
        affordable = _affordable_shares(take, price, cash_usd, costs)
        if affordable < take:
            taken[i] = affordable
            outcomes[i] = BUYING_POWER
        notional = affordable * price
        cash_usd -= notional + costs.commission_usd(notional)


def _affordable_shares(wanted: float, price: float, cash_usd: float, costs: CostModel) -> float:
    """Return the largest whole quantity up to `wanted` whose notional and commission `cash_usd` covers."""

    def cost(shares: float) -> float:
        notional = shares * price
        return notional + costs.commission_usd(notional)

    if cost(wanted) <= cash_usd:
        return wanted
    shares = max(0.0, float(math.floor(cash_usd / cost(1.0))))
    while shares > 0 and cost(shares) > cash_usd:
        shares -= 1.0
    return shares
