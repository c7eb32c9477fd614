"""What changed an account's equity in a session, part by part.

Belongs here: the conservation identity. It is computed from the state before, the market and the fills, never from the
broker's own bookings, so that the residual is a check of them and not zero by construction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aegis.backtesting.session_market import SessionMarket
from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState, Position
from aegis.execution.order_splits import shares_after_split
from aegis.execution.orders import Fill


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPnl:
    """The parts of one session's equity change, in USD.

    Parameters
    ----------
    equity_change_usd : float
        Equity after minus equity before.
    price_pnl_usd : float
        Positions held overnight, close to close on split-adjusted prices, before dividends.
    trading_pnl_usd : float
        Fills, from their reference price to the close.
    dividends_usd : float
        Dividends that went ex in this session.
    interest_usd : float
        Interest on cash; of a traded account fees, transfers and what came in kind as well.
    slippage_usd, commission_usd : float
        Costs paid, zero or negative.
    residual_usd : float
        Equity change that the parts do not explain.
    return_daily : float
        (Equity change - transfers) / equity before.
    """

    equity_change_usd: float
    price_pnl_usd: float
    trading_pnl_usd: float
    dividends_usd: float
    interest_usd: float
    slippage_usd: float
    commission_usd: float
    residual_usd: float
    return_daily: float


def session_pnl(
    before: AccountState,
    after: AccountState,
    *,
    market: SessionMarket,
    fills: Sequence[Fill],
    transfers_usd: float = 0.0,
) -> SessionPnl:
    """Split the equity change of one session into its causes.

    Parameters
    ----------
    before, after : AccountState
        The account after the previous session and after this one.
    market : SessionMarket
        Bars and actions of this session.
    fills : sequence of Fill
        The account's fills in this session.
    transfers_usd : float
        Of the account's interest, what was paid in or out and is no gain: it counts at the close.

    Raises
    ------
    ExecutionError
        The equity before is not positive, so that a return does not exist.

    Notes
    -----
    A symbol without a close in this session is worth what it was last filled at in it, else its mark less the session's
    dividends. Cash in lieu of a fraction is paid at the previous mark / ratio and a delisted position turns to cash at
    its mark: neither is a gain. What a merger pays above the mark is price P&L: cash, or cash and the acquirer's shares
    at their close. Dividends are per share held before the ex-date, before a split of the same day. Sums are correctly
    rounded (:func:`math.fsum`).
    """
    equity_before = before.equity_usd
    if not equity_before > 0:
        raise ExecutionError(
            f"account {before.account} {market.session}: equity before the session is {equity_before} USD and must be "
            "positive for a return; close the account or add cash"
        )
    change = after.equity_usd - equity_before
    held = {position.symbol: position.quantity_shares for position in before.positions}
    filled_at = {fill.symbol: fill.reference_price_usd for fill in fills}
    parts = {
        "price_pnl_usd": math.fsum(
            _price_pnl(position, market, filled_at.get(position.symbol)) for position in before.positions
        ),
        "trading_pnl_usd": math.fsum(_trading_pnl(fill, market, filled_at[fill.symbol]) for fill in fills),
        "dividends_usd": math.fsum(
            held.get(action.symbol, 0.0) * action.dividend_usd
            for action in market.actions
            if action.action == "dividend"
        ),
        "interest_usd": after.interest_usd,
        "slippage_usd": -math.fsum(fill.slippage_usd for fill in fills),
        "commission_usd": -math.fsum(fill.commission_usd for fill in fills),
    }
    return SessionPnl(
        equity_change_usd=change,
        residual_usd=change - math.fsum(parts.values()),
        return_daily=(change - transfers_usd) / equity_before,
        **parts,
    )


def _price_pnl(position: Position, market: SessionMarket, filled_at_usd: float | None) -> float:
    ratio = market.split_ratio(position.symbol)
    before = position.mark_price_usd / ratio
    close = market.merger_cash_usd(position.symbol)
    if close is None:
        close = _last_value_usd(position.symbol, market)
    if close is None:
        close = filled_at_usd
    if close is None:
        paid = math.fsum(
            a.dividend_usd for a in market.actions if a.action == "dividend" and a.symbol == position.symbol
        )
        close = max(before - paid / ratio, 0.0)
    return shares_after_split(position.quantity_shares, ratio) * (close - before)


def _trading_pnl(fill: Fill, market: SessionMarket, last_filled_at_usd: float) -> float:
    close = _last_value_usd(fill.symbol, market)
    return fill.quantity_shares * ((last_filled_at_usd if close is None else close) - fill.reference_price_usd)


def _last_value_usd(symbol: str, market: SessionMarket) -> float | None:
    """Return what a share is worth when the session ends: what it is exchanged for, else its close; None without."""
    exchanged = market.exchange_value_usd(symbol)
    return market.close_usd(symbol) if exchanged is None else exchanged


def expected_quantities(before: AccountState, *, market: SessionMarket, fills: Sequence[Fill]) -> dict[str, float]:
    """Return the shares that must be held after a session, by symbol, computed without the broker's bookings.

    Parameters
    ----------
    before : AccountState
        The account after the previous session.
    market : SessionMarket
        Corporate actions of this session.
    fills : sequence of Fill
        The account's fills in this session.

    Notes
    -----
    Known corporate actions are booked first, so that reconciliation sees only what they do not explain: a split
    multiplies and drops the fraction, a merger for cash or a delisting leaves nothing, one for shares leaves whole
    shares of the acquirer.
    """
    held = {p.symbol: shares_after_split(p.quantity_shares, market.split_ratio(p.symbol)) for p in before.positions}
    for fill in fills:
        held[fill.symbol] = held.get(fill.symbol, 0.0) + fill.quantity_shares
    for merger in [found for symbol in tuple(held) if (found := market.exchange(symbol)) is not None]:
        received = shares_after_split(held.pop(merger.symbol), merger.merger_ratio)
        if merger.acquirer is not None and received != 0.0:
            held[merger.acquirer] = held.get(merger.acquirer, 0.0) + received
    for action in market.actions:
        if action.action in ("delisting", "merger"):
            held.pop(action.symbol, None)
    return {symbol: quantity for symbol, quantity in held.items() if quantity != 0.0}
