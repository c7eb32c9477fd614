"""What Interactive Brokers does to an account in the night before a corporate action takes effect.

The API's description of the order field ``tif`` (repeated at stoqey.github.io/ib-doc/variables/TimeInForce-1.html): GTC
orders are cancelled by a corporate action that is a split, forward or reverse, an exchange for shares or a distribution
of shares; orders that remain in force for more than a day are not reduced for dividends. "Contract Management"
(ibkrcampus.eu/ibkr-api-page/contracts): contract ids are static and never change, whatever the symbol.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tests.integration.vendors.tws.wire import Contract, Fields
from tests.integration.venues.interactive_brokers.venue import CashDesk

REASON = "Corporate action"


def split(
    desk: CashDesk, contract: Contract, ratio: str, *, in_lieu_usd: float = 0.0, cancels: bool = True
) -> list[Fields]:
    """Split the shares held and cancel GTC orders, or leave them; return what is told."""
    new, old = (float(part) for part in ratio.split(":"))
    held, cost = desk.positions[contract.con_id]
    desk.positions[contract.con_id] = (float(math.floor(held * new / old + 1e-9)), cost * old / new)
    desk.quotes[contract.con_id] *= old / new
    desk.cash_usd += in_lieu_usd
    return cancel_orders(desk, contract) if cancels else []


def cancel_orders(desk: CashDesk, contract: Contract) -> list[Fields]:
    """End the open orders of a stock; return what is told."""
    ended = [order for order in desk.orders if order.is_open and order.contract.con_id == contract.con_id]
    return [told for order in ended for told in desk.cancel(order, REASON)]


def forget_ended_orders(desk: CashDesk) -> None:
    """Begin a new day: orders that are over are told of no more."""
    desk.orders = [order for order in desk.orders if order.is_open]


def pay_dividend(desk: CashDesk, contract: Contract, per_share_usd: float) -> None:
    """Pay a dividend on what is held; orders stay as they are."""
    desk.cash_usd += desk.positions[contract.con_id][0] * per_share_usd


def rename(desk: CashDesk, contract: Contract, symbol: str) -> Contract:
    """Give a stock another symbol under its contract id; its orders go on."""
    renamed = replace(contract, symbol=symbol)
    desk.contracts = [renamed if known.con_id == contract.con_id else known for known in desk.contracts]
    for order in desk.orders:
        if order.contract.con_id == contract.con_id:
            order.contract = renamed
    return renamed


def exchange(
    desk: CashDesk, contract: Contract, *, cash_usd: float, acquirer: Contract | None = None, shares: float = 0.0
) -> list[Fields]:
    """Take a stock's shares for cash and shares of an acquirer; return what is told."""
    del desk.positions[contract.con_id]
    desk.cash_usd += cash_usd
    if acquirer is not None:
        held, cost = desk.positions.get(acquirer.con_id, (0.0, 0.0))
        desk.positions[acquirer.con_id] = (held + shares, cost)
    return cancel_orders(desk, contract)
