"""Cash, shares and dividend claims of a simulated account, and how fills and corporate actions change them.

Belongs here: the custodian's bookings, in the order in which a session brings them. Conventions: ``docs/fills.md``.
"""

from __future__ import annotations

import math
from datetime import date

from aegis.backtesting.matching import whole_shares
from aegis.backtesting.session_market import CorporateAction, SessionMarket
from aegis.execution.account_state import AccountState, DividendReceivable, Position
from aegis.execution.orders import Fill


class Custody:
    """Books of one account.

    Parameters
    ----------
    state : AccountState
        Cash, positions and receivables to begin with.
    """

    def __init__(self, state: AccountState) -> None:
        self.cash_usd = state.cash_usd
        self._positions = {position.symbol: position for position in state.positions}
        self._receivables = list(state.receivables)

    def quantity_shares(self, symbol: str) -> float:
        """Return the signed shares held of a symbol, 0 where it is not held."""
        position = self._positions.get(symbol)
        return 0.0 if position is None else position.quantity_shares

    def positions(self) -> tuple[Position, ...]:
        """Return the positions, sorted by symbol."""
        return tuple(self._positions[symbol] for symbol in sorted(self._positions))

    def receivables(self) -> tuple[DividendReceivable, ...]:
        """Return dividends not yet paid, sorted by pay session, then symbol."""
        return tuple(sorted(self._receivables, key=lambda claim: (claim.pay_session, claim.symbol)))

    def open_session(self, market: SessionMarket) -> None:
        """Book what a session brings before it trades: dividends on the shares of before, then splits and renames."""
        for book, kind in ((self._dividend, "dividend"), (self._split, "split"), (self._rename, "rename")):
            for action in market.actions:
                position = self._positions.get(action.symbol)
                if action.action == kind and position is not None:
                    book(action, position, market)
        self._collect(market)

    def book_fill(self, fill: Fill) -> None:
        """Move shares and cash for one fill."""
        self.cash_usd -= fill.quantity_shares * fill.price_usd + fill.commission_usd
        held = self._positions.get(fill.symbol)
        before = 0.0 if held is None else held.quantity_shares
        after = before + fill.quantity_shares
        if after == 0:
            del self._positions[fill.symbol]
            return
        self._positions[fill.symbol] = Position(
            fill.symbol,
            fill.ticker,
            after,
            _average_cost(0.0 if held is None else held.average_cost_usd, before, fill),
            fill.reference_price_usd,
            fill.session,
        )

    def close_session(self, market: SessionMarket) -> None:
        """Mark positions at the session's closes, and turn delisted ones into cash at their mark.

        Without a close the last price stands: a fill's of this session, else the mark less the session's dividends,
        which are in the receivables now.
        """
        for symbol, held in self._positions.items():
            close = market.close_usd(symbol)
            if close is not None:
                self._mark(held, close, market.session)
            elif held.mark_session != market.session:
                self._mark(held, _ex_dividend_mark(held, market), held.mark_session)
        for action in market.actions:
            if action.action == "delisting" and action.symbol in self._positions:
                self.cash_usd += self._positions.pop(action.symbol).market_value_usd

    def _mark(self, held: Position, price_usd: float, session: date) -> None:
        self._positions[held.symbol] = Position(
            held.symbol, held.ticker, held.quantity_shares, held.average_cost_usd, price_usd, session
        )

    def _dividend(self, action: CorporateAction, position: Position, market: SessionMarket) -> None:
        amount = position.quantity_shares * action.dividend_usd
        self._receivables.append(DividendReceivable(action.pay_session or market.session, action.symbol, amount))

    def _split(self, action: CorporateAction, position: Position, _market: SessionMarket) -> None:
        ratio = action.split_ratio
        exact = position.quantity_shares * ratio
        whole = whole_shares(exact)
        price = position.mark_price_usd / ratio
        self.cash_usd += (exact - whole) * price
        if whole == 0:
            del self._positions[action.symbol]
            return
        self._positions[action.symbol] = Position(
            position.symbol, position.ticker, whole, position.average_cost_usd / ratio, price, position.mark_session
        )

    def _rename(self, action: CorporateAction, position: Position, _market: SessionMarket) -> None:
        self._positions[action.symbol] = Position(
            position.symbol,
            action.new_ticker or position.ticker,
            position.quantity_shares,
            position.average_cost_usd,
            position.mark_price_usd,
            position.mark_session,
        )

    def _collect(self, market: SessionMarket) -> None:
        """Turn claims whose pay session has come into cash."""
        due = [claim for claim in self._receivables if claim.pay_session <= market.session]
        if due:
            self._receivables = [claim for claim in self._receivables if claim.pay_session > market.session]
            for claim in due:
                self.cash_usd += claim.amount_usd


def _ex_dividend_mark(position: Position, market: SessionMarket) -> float:
    """Return a position's mark, USD per share after the session's split, without the dividends that went ex in it."""
    paid = math.fsum(a.dividend_usd for a in market.actions if a.action == "dividend" and a.symbol == position.symbol)
    return max(position.mark_price_usd - paid / market.split_ratio(position.symbol), 0.0)


def _average_cost(average: float, before: float, fill: Fill) -> float:
    """Return the average cost per share after a fill: unchanged by a reduction, restarted by a crossing of zero."""
    quantity = fill.quantity_shares
    if before * quantity >= 0:
        return (before * average + quantity * fill.price_usd) / (before + quantity)
    return average if abs(quantity) < abs(before) else fill.price_usd
