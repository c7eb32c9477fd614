"""What cash an account at a broker should have by its journal, and which known payments explain a difference.

Belongs here: the projection, and the comparison as a pure function. When the broker is asked, and what is then written
down, is :mod:`aegis.live_trading.cash_agreement`.

Notes
-----
The balance begins with what the broker stated when the account was taken over. Fills, commissions and what a person
booked move it at once. Dividends, cash in lieu and what exchanges pay are *due* from their session on, and move it when
the broker's cash shows that they were paid: by an amount that they, and fees that the broker states, add up to. Nothing
else is ever booked by itself; a difference that is left is for a person.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations, islice

from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_projections import order_event
from aegis.execution.orders import OrderEventKind
from aegis.live_trading.held_positions import AccountEventKind

ROUNDING_USD = 0.005
"""Of each fill: brokers book cents."""
_FILLS = frozenset({OrderEventKind.FILLED, OrderEventKind.PARTIALLY_FILLED})
_DUE_KINDS = frozenset(
    {AccountEventKind.DIVIDEND_BOOKED, AccountEventKind.SPLIT_BOOKED, AccountEventKind.SHARES_EXCHANGED}
)
_NEAR = 0.1
"""An estimate is met by a payment that differs by at most this share of it."""
_MOST_TRIES = 20_000
_KEPT_FILLS = 500


@dataclass(frozen=True, slots=True)
class CashDue:
    """A payment that a corporate action brings, and that was not seen yet.

    Parameters
    ----------
    key : str
        Of the journal's row that says so.
    told : str
        What it is, for a person.
    due_session : date
        The first session in which it may be paid.
    amount_usd : float or None
        Signed; None where nothing is known.
    is_estimate : bool
        Whether the amount depends on a price that the broker makes.
    """

    key: str
    told: str
    due_session: date
    amount_usd: float | None
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class CashBalance:
    """Cash by the journal.

    Parameters
    ----------
    balance_usd : float or None
        What the account should have, without what is due; None where no statement was ever taken over.
    since : date or None
        Session of the broker's statement that the balance is counted from.
    dues : tuple of CashDue
        Not seen yet, oldest first.
    fee_ids : frozenset of str
        Fees of the broker that are booked already.
    fills_since : int
        Executions since the broker's cash was last found to agree.
    before_fills : tuple of (datetime, float)
        The balance before each of the last executions, oldest first.
    """

    balance_usd: float | None
    since: date | None = None
    dues: tuple[CashDue, ...] = ()
    fee_ids: frozenset[str] = frozenset()
    fills_since: int = 0
    before_fills: tuple[tuple[datetime, float], ...] = ()


@dataclass(frozen=True, slots=True)
class CashExplanation:
    """How a broker's cash compares.

    Parameters
    ----------
    difference_usd : float
        The broker's cash less the balance.
    paid : tuple of (CashDue, float)
        Dues that the difference shows to be paid, each with the amount.
    fees : tuple of AccountFee
        Fees that it shows to be charged.
    is_explained : bool
        Whether nothing is left.
    """

    difference_usd: float
    paid: tuple[tuple[CashDue, float], ...] = ()
    fees: tuple[AccountFee, ...] = ()
    is_explained: bool = True


def cash_balance(rows: Iterable[JournalRow]) -> CashBalance:
    """Return the cash that an account should have.

    Parameters
    ----------
    rows : iterable of JournalRow
        The whole journal, by ascending sequence.
    """
    reading = CashReading()
    for row in rows:
        reading.take(row)
    return reading.balance()


class CashReading:
    """A journal as far as its cash was read; rows come by ascending sequence, each once."""

    def __init__(self) -> None:
        self.usd: float | None = None
        self.since: date | None = None
        self.dues: dict[str, CashDue] = {}
        self.fee_ids: set[str] = set()
        self.fills = 0
        self.before_fills: deque[tuple[datetime, float]] = deque(maxlen=_KEPT_FILLS)

    def balance(self) -> CashBalance:
        """Return what the rows so far make of the account's cash."""
        dues = tuple(sorted(self.dues.values(), key=lambda due: (due.due_session, due.key)))
        known_fees, before = frozenset(self.fee_ids), tuple(self.before_fills)
        return CashBalance(self.usd, self.since, dues, known_fees, self.fills, before)

    def take(self, row: JournalRow) -> None:
        """Take the next row."""
        if self.usd is not None:
            self.usd = self._after(row, self.usd)
        elif row.kind == AccountEventKind.POSITIONS_ADOPTED and row.payload.get("cash_usd") is not None:
            self.usd, self.since = float(row.payload["cash_usd"]), row.session_date

    def _after(self, row: JournalRow, usd: float) -> float:
        payload = row.payload
        if row.kind in _FILLS:
            fill = order_event(row).fill
            if fill is None:
                return usd
            self.before_fills.append((row.instant_utc, usd))
            self.fills += 1
            return usd - fill.quantity_shares * fill.price_usd - fill.commission_usd
        if row.kind in _DUE_KINDS:
            due = _due(row)
            if due is not None:
                self.dues[due.key] = due
        elif row.kind == AccountEventKind.CASH_BOOKED:
            self.fee_ids.add(str(payload.get("fee_id")))
            return usd + float(payload["amount_usd"])
        elif row.kind == AccountEventKind.CASH_PAID:
            self.dues.pop(str(payload["due"]), None)
            return usd + float(payload["amount_usd"])
        elif row.kind == AccountEventKind.CASH_STATED:
            self.fills, self.since = 0, row.session_date
            return float(payload["cash_usd"])
        return usd


def explain(
    cash_usd: float,
    known: CashBalance,
    *,
    session: date,
    now_utc: datetime,
    tolerance_usd: float,
    lag: timedelta,
    fees: Sequence[AccountFee] = (),
) -> CashExplanation:
    """Return how a broker's cash compares with the journal's.

    Parameters
    ----------
    cash_usd : float
        As the broker tells it.
    known : CashBalance
        By the journal; its balance is known.
    session : date
        The session that had begun last: what is due later cannot have been paid.
    now_utc : datetime
        When the broker was asked.
    tolerance_usd : float
        Largest difference that is rounding.
    lag : timedelta
        How far a broker's cash may be behind its executions: it may then be the balance of before one of them.
    fees : sequence of AccountFee
        What the broker states; those that are booked already are left out.

    Notes
    -----
    Of all combinations of what is due and of fees, the first that adds up is taken, the largest first: what was
    announced longest is likeliest to be paid together.
    """
    difference = cash_usd - (known.balance_usd or 0.0)
    if abs(difference) <= tolerance_usd:
        return CashExplanation(difference)
    if any(at >= now_utc - lag and abs(cash_usd - usd) <= tolerance_usd for at, usd in known.before_fills):
        return CashExplanation(difference)
    dues = [due for due in known.dues if due.due_session <= session and due.amount_usd is not None]
    exact: list[CashDue | AccountFee] = [due for due in dues if not due.is_estimate]
    exact += [fee for fee in fees if fee.fee_id not in known.fee_ids]
    for group in _groups(exact):
        rest = difference - sum(_worth(item) for item in group)
        if abs(rest) <= tolerance_usd:
            return _explained(difference, group)
    for estimate in (due for due in dues if due.is_estimate):
        for group in _groups(exact, smallest=0):
            rest = difference - sum(_worth(item) for item in group)
            worth = estimate.amount_usd or 0.0
            if rest * worth > 0 and abs(rest - worth) <= max(tolerance_usd, _NEAR * abs(worth)):
                return _explained(difference, group, (estimate, rest))
    return CashExplanation(difference, is_explained=False)


def overdue(known: CashBalance, *, last_session: date) -> tuple[CashDue, ...]:
    """Return what was due in `last_session` or before and was never seen."""
    return tuple(due for due in known.dues if due.due_session <= last_session)


def _explained(
    difference: float, group: Sequence[CashDue | AccountFee], *estimates: tuple[CashDue, float]
) -> CashExplanation:
    paid = [(item, _worth(item)) for item in group if isinstance(item, CashDue)]
    fees = tuple(item for item in group if isinstance(item, AccountFee))
    return CashExplanation(difference, (*paid, *estimates), fees)


def _groups(items: Sequence[CashDue | AccountFee], *, smallest: int = 1) -> Iterator[tuple[CashDue | AccountFee, ...]]:
    """Yield groups of items, the largest first, no more than can be tried."""
    every = (group for size in range(len(items), smallest - 1, -1) for group in combinations(items, size))
    return islice(every, _MOST_TRIES)


def _worth(item: CashDue | AccountFee) -> float:
    return -item.amount_usd if isinstance(item, AccountFee) else item.amount_usd or 0.0


def _due(row: JournalRow) -> CashDue | None:
    payload, key, session = row.payload, str(row.idempotency_key), row.session_date
    symbol = payload["symbol"]
    if row.kind == AccountEventKind.DIVIDEND_BOOKED:
        pays = date.fromisoformat(payload["pay_session"])
        told = f"dividend of {symbol}, ex {session}, on {payload['shares']:g} shares"
        return CashDue(key, told, pays, float(payload["amount_usd"]), is_estimate=False)
    if row.kind == AccountEventKind.SPLIT_BOOKED:
        amount = payload.get("in_lieu_usd")
        if amount is None:
            return None
        told = f"cash in lieu of a fraction of {symbol}, split {session}"
        return CashDue(key, told, session, float(amount), is_estimate=True)
    amount = payload["amount_usd"]
    told = f"cash of the {payload['action']} of {symbol}, {session}, for {payload['shares']:g} shares"
    return None if amount == 0.0 else CashDue(key, told, session, amount, is_estimate=True)
