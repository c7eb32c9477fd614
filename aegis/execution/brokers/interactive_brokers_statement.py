"""What TWS says of the account itself: cash, positions, and what time it is there.

Belongs here: questions that concern no order of ours. Nothing is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime

from aegis.clock import Clock
from aegis.errors import BrokerUnavailable
from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance
from aegis.execution.brokers.interactive_brokers_connection import InteractiveBrokersConnection
from aegis.execution.brokers.interactive_brokers_messages import AccountNumber, HeldPosition


class InteractiveBrokersStatement:
    """The statement of one account.

    Parameters
    ----------
    connection : InteractiveBrokersConnection
        The way to ask.
    account : str
        Our name of the account.
    account_code : callable
        Interactive Brokers' name of it, known once connected.
    clock : Clock
        What the gateway's is compared with.
    session_of : callable
        Which session an instant belongs to.
    symbols : mapping of str to str
        Permanent symbols by ticker; others are their own.
    """

    def __init__(
        self,
        connection: InteractiveBrokersConnection,
        account: str,
        *,
        account_code: Callable[[], str],
        clock: Clock,
        session_of: Callable[[datetime], date],
        symbols: Mapping[str, str],
    ) -> None:
        self._connection = connection
        self._account = account
        self._account_code = account_code
        self._clock = clock
        self._session_of = session_of
        self._symbols = symbols

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol.

        Notes
        -----
        The average cost is Interactive Brokers', commissions included. The mark is the price at which the gateway
        values the position; where it has told none yet, as right after a first fill, it is the average cost.
        """
        code = self._account_code()
        rows = self._connection.ask(lambda session: session.positions())
        held = [row for row in rows if row.account == code and row.quantity_shares != 0]
        marks = self._connection.ask(lambda session: session.marks(code)) if held else {}
        session = self._session_of(self._clock.now_utc())
        return tuple(sorted((self._position(row, marks, session) for row in held), key=lambda found: found.symbol))

    def balance(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        code = self._account_code()
        rows = self._connection.ask(lambda session: session.summary())
        numbers = {row.tag: row for row in rows if row.account == code}
        return AccountBalance(
            account=self._account,
            cash_usd=_usd(numbers, "TotalCashValue", code),
            equity_usd=_usd(numbers, "NetLiquidation", code),
            buying_power_usd=_usd(numbers, "BuyingPower", code),
        )

    def clock_skew_seconds(self) -> float:
        """Return by how much the gateway's clock is ahead of ours; it tells whole seconds."""
        told = self._connection.ask(lambda session: session.time_utc())
        return (told - self._clock.now_utc()).total_seconds()

    def _position(self, row: HeldPosition, marks: Mapping[str, float], session: date) -> Position:
        mark = marks.get(row.ticker, 0.0)
        return Position(
            symbol=self._symbols.get(row.ticker, row.ticker),
            ticker=row.ticker,
            quantity_shares=row.quantity_shares,
            average_cost_usd=row.average_cost_usd,
            mark_price_usd=mark if mark > 0 and math.isfinite(mark) else row.average_cost_usd,
            mark_session=session,
        )


def _usd(numbers: Mapping[str, AccountNumber], tag: str, code: str) -> float:
    row = numbers.get(tag)
    if row is None:
        raise BrokerUnavailable(f"Interactive Brokers: expected {tag} of account {code}, found none; ask again")
    try:
        number = float(row.value)
    except ValueError:
        number = math.nan
    if row.currency != "USD" or not math.isfinite(number):
        raise BrokerUnavailable(
            f"Interactive Brokers: expected {tag} of account {code} in USD, found {row.value!r} {row.currency}; trade "
            "an account whose base currency is USD"
        )
    return number
