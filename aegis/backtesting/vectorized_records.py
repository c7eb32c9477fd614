"""What vectorbt did, in the kernel's records.

Belongs here: fills from vectorbt's orders, and the positions and the account that they lead to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.kernel.codes import Pass
from aegis.backtesting.kernel.records import ACCOUNT, FILL, POSITION

if TYPE_CHECKING:
    import vectorbt

    from aegis.backtesting.vectorbt_orders import Book, Market


def fills_of(portfolio: vectorbt.Portfolio, market: Market, book: Book, passes: tuple[Pass, Pass]) -> NDArray[np.void]:
    """Return vectorbt's order records as the kernel's fills."""
    made = np.sort(portfolio.orders.values, order="id")
    fills: NDArray[Any] = np.zeros(len(made), dtype=FILL)
    is_sale = made["side"] == 1
    fills["quantity"] = np.where(is_sale, -made["size"], made["size"])
    fills["price"], fills["commission"] = made["price"], made["fees"]
    fills["reference"] = market.reference[made["idx"], made["col"]]
    fills["order"], fills["symbol"] = book.fill_order[: len(made)], made["col"]
    fills["step"], fills["session"] = made["idx"], market.session[made["idx"]]
    fills["number"] = 1
    fills["at"] = np.where(is_sale, *passes)
    return fills


def positions_after(fills: NDArray[Any], marks: NDArray[np.float64]) -> NDArray[np.void]:
    """Return what is held in the end; longs only, so a purchase averages its price in and a sale realises."""
    positions: NDArray[Any] = np.zeros(len(marks), dtype=POSITION)
    positions["mark"] = marks
    for fill in fills:
        position, quantity, price = positions[fill["symbol"]], fill["quantity"], fill["price"]
        held = position["quantity"]
        if quantity > 0:
            position["average_cost"] = (held * position["average_cost"] + quantity * price) / (held + quantity)
        else:
            position["realised"] -= quantity * (price - position["average_cost"])
        position["quantity"] = held + quantity
        if position["quantity"] == 0:
            position["average_cost"] = 0.0
    return positions


def account_after(fills: NDArray[Any], positions: NDArray[Any], book: Book) -> NDArray[np.void]:
    """Return the account after the last fill."""
    account: NDArray[Any] = np.zeros(1, dtype=ACCOUNT)
    account["cash"], account["equity_now"] = book.cash[-1], book.equity[-1]
    held = positions["quantity"] != 0
    account["long_value"] = (positions["quantity"][held] * positions["mark"][held]).sum()
    account["commissions"] = fills["commission"].sum()
    account["slippage"] = (fills["quantity"] * (fills["price"] - fills["reference"])).sum()
    return account
