"""What an account holds between two sessions: cash, positions, receivables and open orders, as one frozen value.

Belongs here: the value, its worth, and its JSON. How it changes is the simulated broker's; what the change was due to
is :mod:`aegis.execution.accounting`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from aegis.execution.order_records import status_from_record, status_record
from aegis.execution.order_states import OrderStatus


@dataclass(frozen=True, slots=True)
class Position:
    """Shares of one instrument.

    Parameters
    ----------
    symbol, ticker : str
        Permanent name, and the name it trades under.
    quantity_shares : float
        Signed whole shares, never zero.
    average_cost_usd : float
        Average fill price per share of the open quantity, without commission, split-adjusted.
    mark_price_usd : float
        Raw close that values it, in today's shares.
    mark_session : date
        Session of that close.
    """

    symbol: str
    ticker: str
    quantity_shares: float
    average_cost_usd: float
    mark_price_usd: float
    mark_session: date

    @property
    def market_value_usd(self) -> float:
        """Quantity times mark."""
        return self.quantity_shares * self.mark_price_usd

    @property
    def unrealised_pnl_usd(self) -> float:
        """Quantity times (mark - average cost)."""
        return self.quantity_shares * (self.mark_price_usd - self.average_cost_usd)


@dataclass(frozen=True, slots=True)
class DividendReceivable:
    """Dividend cash past its ex-date and not yet paid; negative when a short position owes it."""

    pay_session: date
    symbol: str
    amount_usd: float


@dataclass(frozen=True, slots=True)
class OrderProgress:
    """What an open order has come to beyond its status, in the shares of the last session.

    Parameters
    ----------
    client_order_id : str
        The order.
    watermark_usd : float, optional
        Best price since a trailing stop began; None before its first session.
    commission_usd : float
        Charged so far, for commissions with a minimum or maximum.
    split_away_shares : float
        What was filled before splits less what it is in the shares of now: commissions are for the shares traded.
    changes : int
        Changes of its terms and releases told so far; the next one has this number.
    ticker : str, optional
        The name that it trades under since a rename.
    released : date, optional
        The session in which an order that waited for its parent went to the venue: it is that old there.
    """

    client_order_id: str
    watermark_usd: float | None = None
    commission_usd: float = 0.0
    split_away_shares: float = 0.0
    changes: int = 0
    ticker: str | None = None
    released: date | None = None


_PROGRESS_FIELDS = tuple((field.name, field.default) for field in fields(OrderProgress))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """An account after a session.

    Parameters
    ----------
    account : str
        Its name.
    session : date or None
        The last session booked; None for an account that has not traded yet.
    cash_usd : float
        Settled and unsettled cash.
    interest_usd : float
        Interest credited in that session; of a traded account all that came and went beside trades and dividends.
    positions : tuple of Position
        Sorted by symbol.
    receivables : tuple of DividendReceivable
        Sorted by pay session, then symbol.
    open_orders : tuple of OrderStatus
        Orders that may still execute, sorted by client order id.
    order_progress : tuple of OrderProgress
        Of the open orders that have any, sorted by client order id.
    journal_facts : int
        Fills and bookings of the journal that a traded account holds so far; 0 for a simulated one.
    """

    account: str
    session: date | None
    cash_usd: float
    interest_usd: float = 0.0
    positions: tuple[Position, ...] = ()
    receivables: tuple[DividendReceivable, ...] = ()
    open_orders: tuple[OrderStatus, ...] = ()
    order_progress: tuple[OrderProgress, ...] = ()
    journal_facts: int = 0

    @classmethod
    def opening(cls, account: str, *, cash_usd: float) -> AccountState:
        """Return a new account that holds nothing but cash."""
        return cls(account=account, session=None, cash_usd=cash_usd)

    @property
    def positions_value_usd(self) -> float:
        """Sum of the positions' market values, correctly rounded so that no order of summing matters."""
        return math.fsum(position.market_value_usd for position in self.positions)

    @property
    def receivables_usd(self) -> float:
        """Sum of dividends not yet paid."""
        return math.fsum(receivable.amount_usd for receivable in self.receivables)

    @property
    def equity_usd(self) -> float:
        """Cash + receivables + positions."""
        return math.fsum((self.cash_usd, self.receivables_usd, self.positions_value_usd))

    def quantity_shares(self, symbol: str) -> float:
        """Return the signed shares held of a symbol, 0 where it is not held."""
        return next((p.quantity_shares for p in self.positions if p.symbol == symbol), 0.0)

    def to_record(self) -> dict[str, Any]:
        """Return the state as a mapping that JSON can hold; :meth:`from_record` restores it to the bit.

        Notes
        -----
        What most states do not have is not written: states from before it existed read the same.
        """
        record = {
            "account": self.account,
            "session": None if self.session is None else self.session.isoformat(),
            "cash_usd": self.cash_usd,
            "interest_usd": self.interest_usd,
            "positions": [
                [
                    p.symbol,
                    p.ticker,
                    p.quantity_shares,
                    p.average_cost_usd,
                    p.mark_price_usd,
                    p.mark_session.isoformat(),
                ]
                for p in self.positions
            ],
            "receivables": [[r.pay_session.isoformat(), r.symbol, r.amount_usd] for r in self.receivables],
            "open_orders": [status_record(status) for status in self.open_orders],
        }
        if self.order_progress:
            record["order_progress"] = [_progress_record(progress) for progress in self.order_progress]
        if self.journal_facts:
            record["journal_facts"] = self.journal_facts
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> AccountState:
        """Return the state that :meth:`to_record` described."""
        session = record["session"]
        return cls(
            account=record["account"],
            session=None if session is None else date.fromisoformat(session),
            cash_usd=record["cash_usd"],
            interest_usd=record["interest_usd"],
            positions=tuple(_position(*values) for values in record["positions"]),
            receivables=tuple(
                DividendReceivable(date.fromisoformat(day), symbol, amount)
                for day, symbol, amount in record["receivables"]
            ),
            open_orders=tuple(status_from_record(item) for item in record["open_orders"]),
            order_progress=tuple(_progress(**item) for item in record.get("order_progress", ())),
            journal_facts=record.get("journal_facts", 0),
        )


def _progress_record(progress: OrderProgress) -> dict[str, Any]:
    record = {name: found for name, default in _PROGRESS_FIELDS if (found := getattr(progress, name)) != default}
    if progress.released is not None:
        record["released"] = progress.released.isoformat()
    return record


def _progress(*, released: str | None = None, **others: Any) -> OrderProgress:
    return OrderProgress(released=None if released is None else date.fromisoformat(released), **others)


def _position(
    symbol: str, ticker: str, quantity: float, average_cost: float, mark_price: float, mark_session: str
) -> Position:
    return Position(symbol, ticker, quantity, average_cost, mark_price, date.fromisoformat(mark_session))
