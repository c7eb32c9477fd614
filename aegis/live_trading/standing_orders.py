"""An account within the day, after what earlier decisions of its last session came to: what a later one is made on.

Belongs here: fills since the close as shares and cash, and what is left of the orders as orders at work. Prices stay
those of the close.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aegis.execution.account_state import AccountState, Position
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderState, OrderStatus
from aegis.execution.orders import Fill, Order
from aegis.live_trading.traded_journal import TradedJournal


def account_within_the_day(
    account: AccountState, earlier: Sequence[Order], journal: TradedJournal, *, before: int | None
) -> AccountState:
    """Return an account with the fills since its session, and what the orders of earlier decisions have left to do.

    Parameters
    ----------
    account : AccountState
        After the close.
    earlier : sequence of Order
        Approved orders of the earlier decisions of its session.
    journal : TradedJournal
        Of the account.
    before : int, optional
        Place in the journal of the decision that is made on it; None for all that there is.

    Notes
    -----
    What is left of an order counts as at work until its end is recorded, whoever works it: a later decision adds to it,
    and never replaces it.
    """
    if account.session is None:
        return account
    fills = journal.fills_after(account.session, before=before)
    at_work = []
    for order in earlier:
        if journal.has_ended(order.client_order_id, before=before):
            continue
        filled = sum(
            fill.quantity_shares
            for fill in fills
            if (fill.decision_id, fill.symbol) == (order.decision_id, order.symbol)
        )
        if abs(order.quantity_shares - filled) > FILL_TOLERANCE_SHARES:
            at_work.append(OrderStatus(order, OrderState.APPROVED, filled_shares=filled))
    return replace(
        account,
        cash_usd=account.cash_usd - sum(f.quantity_shares * f.price_usd + f.commission_usd for f in fills),
        positions=_with_fills(account, fills),
        open_orders=(*account.open_orders, *at_work),
    )


def _with_fills(account: AccountState, fills: Sequence[Fill]) -> tuple[Position, ...]:
    held = {position.symbol: position for position in account.positions}
    for fill in fills:
        position = held.pop(fill.symbol, None)
        if position is None:
            mark, session = fill.arrival_price_usd, account.session or fill.session
            held[fill.symbol] = Position(fill.symbol, fill.ticker, fill.quantity_shares, fill.price_usd, mark, session)
        elif abs(position.quantity_shares + fill.quantity_shares) > FILL_TOLERANCE_SHARES:
            quantity = position.quantity_shares + fill.quantity_shares
            held[fill.symbol] = replace(position, quantity_shares=quantity)
    return tuple(held[symbol] for symbol in sorted(held))
