"""What several brokers hold and are worth together.

Belongs here: pure sums. Who is asked is :mod:`aegis.execution.brokers.multi`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance


def total_positions(held: Mapping[str, Sequence[Position]]) -> tuple[Position, ...]:
    """Return the positions of all brokers, one for each symbol, sorted by symbol.

    Parameters
    ----------
    held : mapping of str to sequence of Position
        By broker.

    Notes
    -----
    Quantities add up with their signs; what is long here and short there in equal parts is left out. The average cost
    is that of the shares on the side that remains, weighted by their number; the mark is the latest, of the largest
    holding among equals.
    """
    by_symbol: dict[str, list[Position]] = {}
    for positions in held.values():
        for position in positions:
            by_symbol.setdefault(position.symbol, []).append(position)
    totals = (_total(found) for _, found in sorted(by_symbol.items()))
    return tuple(total for total in totals if total is not None)


def total_balance(account: str, balances: Iterable[AccountBalance]) -> AccountBalance:
    """Return cash, equity and buying power of all brokers together, under our name of the account."""
    found = tuple(balances)
    return AccountBalance(
        account=account,
        cash_usd=math.fsum(balance.cash_usd for balance in found),
        equity_usd=math.fsum(balance.equity_usd for balance in found),
        buying_power_usd=math.fsum(balance.buying_power_usd for balance in found),
    )


def _total(found: Sequence[Position]) -> Position | None:
    quantity = math.fsum(position.quantity_shares for position in found)
    if quantity == 0:
        return None
    latest = max(found, key=lambda position: (position.mark_session, abs(position.quantity_shares)))
    side = [position for position in found if position.quantity_shares * quantity > 0]
    shares = math.fsum(position.quantity_shares for position in side)
    cost = math.fsum(position.quantity_shares * position.average_cost_usd for position in side) / shares
    return replace(latest, quantity_shares=quantity, average_cost_usd=cost)
