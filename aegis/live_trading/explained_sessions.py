"""Whether a booked session explains itself: its P&L, and its positions computed in another way.

Belongs here: the checks of a booking that lead to the gate. The parts of the P&L are
:mod:`aegis.execution.accounting`, how numbers are compared :mod:`aegis.live_trading.reconciliation`.
"""

from __future__ import annotations

from aegis.backtesting.session_market import SessionMarket
from aegis.execution.account_state import AccountState
from aegis.execution.accounting import SessionPnl, expected_quantities, session_pnl
from aegis.live_trading.account_books import BookedSession
from aegis.live_trading.reconciliation import reconcile


def explained(
    before: AccountState, booked: BookedSession, *, market: SessionMarket
) -> tuple[SessionPnl, tuple[str, ...]]:
    """Return the parts of a session's equity change, and what of the session nothing explains, in words.

    Parameters
    ----------
    before : AccountState
        After the session before.
    booked : BookedSession
        The session.
    market : SessionMarket
        Its bars and corporate actions.

    Raises
    ------
    ExecutionError
        The equity before is not positive.
    """
    account = booked.account
    pnl = session_pnl(before, account, market=market, fills=booked.fills, transfers_usd=booked.transfers_usd)
    expected = expected_quantities(before, market=market, fills=booked.fills)
    for symbol, shares in booked.taken_over_shares.items():
        expected[symbol] = expected.get(symbol, 0.0) + shares
    found = reconcile(
        expected,
        {position.symbol: position.quantity_shares for position in account.positions},
        residual_usd=pnl.residual_usd,
        label=f"{account.account} {market.session}",
    )
    return pnl, (*(one.message for one in found.breaks), *booked.breaks)
