"""What Alpaca says of the account itself: cash, positions, fees, and what time it is there.

Belongs here: questions that concern no order of ours. Nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from aegis.clock import Clock
from aegis.errors import BrokerUnavailable
from aegis.execution.account_state import Position
from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.brokers.alpaca_reports import account_fee, instant
from aegis.execution.brokers.alpaca_requests import AlpacaRequests
from aegis.execution.brokers.broker import AccountBalance


class AlpacaStatement:
    """The statement of one account.

    Parameters
    ----------
    requests : AlpacaRequests
        The way to ask.
    account : str
        Our name of the account.
    clock : Clock
        What Alpaca's is compared with.
    session_of : callable
        Which session an instant belongs to.
    symbols : mapping of str to str
        Permanent symbols by ticker; others are their own.

    Attributes
    ----------
    account_number : str
        Alpaca's own name of the account, as of the last balance; empty before the first.
    """

    def __init__(
        self,
        requests: AlpacaRequests,
        account: str,
        *,
        clock: Clock,
        session_of: Callable[[datetime], date],
        symbols: Mapping[str, str],
    ) -> None:
        self._requests = requests
        self._account = account
        self._clock = clock
        self._session_of = session_of
        self._symbols = symbols
        self.account_number = ""

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol."""
        session = self._session_of(self._clock.now_utc())
        rows = self._requests.rows("/positions")
        return tuple(sorted((self._position(row, session) for row in rows), key=lambda held: held.symbol))

    def balance(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        row = self._requests.ask("/account")
        self.account_number = str(row.get("account_number") or "") if isinstance(row, Mapping) else ""
        return AccountBalance(
            account=self._account,
            cash_usd=_number(row, "cash"),
            equity_usd=_number(row, "equity"),
            buying_power_usd=_number(row, "buying_power"),
        )

    def fees(self, since: date) -> tuple[AccountFee, ...]:
        """Return the fees charged since a day."""
        after = datetime(since.year, since.month, since.day, tzinfo=UTC)
        return tuple(account_fee(row) for row in self._requests.activities("FEE", after=after))

    def clock_skew_seconds(self) -> float:
        """Return by how much Alpaca's clock is ahead of ours."""
        row = self._requests.ask("/clock")
        try:
            return (instant(row["timestamp"]) - self._clock.now_utc()).total_seconds()
        except (KeyError, TypeError, ValueError) as error:
            raise BrokerUnavailable(f"Alpaca: expected its time, found {str(row)[:80]!r}; ask again") from error

    def _position(self, row: Mapping[str, Any], session: date) -> Position:
        ticker = str(row.get("symbol"))
        return Position(
            symbol=self._symbols.get(ticker, ticker),
            ticker=ticker,
            quantity_shares=_number(row, "qty"),
            average_cost_usd=_number(row, "avg_entry_price"),
            mark_price_usd=_number(row, "current_price"),
            mark_session=session,
        )


def _number(row: Any, name: str) -> float:
    try:
        number = Decimal(str(row[name]))
    except (KeyError, TypeError, InvalidOperation) as error:
        raise BrokerUnavailable(f"Alpaca: expected a number for {name!r}, found none; ask again") from error
    if not number.is_finite():
        raise BrokerUnavailable(f"Alpaca: expected a number for {name!r}, found {number}; ask again")
    return float(number)
