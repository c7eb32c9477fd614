"""A session of an account that somebody else traded: its fills as they are recorded, booked by the matching kernel.

Belongs here: cash, positions, dividends, splits and marks of such a session. What the account's orders came to is the
journal's; the simulated broker, which also follows its orders, is :mod:`aegis.execution.brokers.simulated`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import SessionMarket
from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.kernel_account import KernelAccount
from aegis.execution.brokers.kernel_orders import LoadedOrders
from aegis.execution.orders import Fill

_BOOKED_ONLY = (TradingRules(), CostModel())
"""Nothing is traded here, so no rule and no cost is ever asked for: commissions are what the fills carry."""


def book_session(before: AccountState, market: SessionMarket, fills: Sequence[Fill]) -> AccountState:
    """Return an account after a session; its orders are not looked at.

    Parameters
    ----------
    before : AccountState
        After the session before.
    market : SessionMarket
        Corporate actions of the session, and closes for marks.
    fills : sequence of Fill
        All executions of the account in the session, oldest first.

    Raises
    ------
    ExecutionError
        The account is booked up to this session or beyond.

    Notes
    -----
    Corporate actions are booked before the fills, as they take effect at the opening.
    """
    if before.session is not None and market.session <= before.session:
        raise ExecutionError(
            f"session {market.session} cannot be booked: account {before.account} is booked up to {before.session}; "
            "restore the state of the session before it"
        )
    rules, costs = _BOOKED_ONLY
    none = LoadedOrders((), {}, session=market.session)
    kernel = KernelAccount(before, market, orders=none, recorded=fills, rules=rules, costs=costs)
    kernel.open()
    for fill in fills:
        kernel.book_recorded(fill)
    kernel.value()
    return replace(
        before,
        session=market.session,
        cash_usd=kernel.cash_usd,
        interest_usd=0.0,
        positions=kernel.positions(),
        receivables=kernel.receivables(),
    )
