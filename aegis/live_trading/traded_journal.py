"""What the journal says of a traded account's sessions: fills, bookings, and which orders have no end yet.

Belongs here: the journal's rows cut by session and by order, read once. What a book makes of them is
:mod:`aegis.live_trading.traded_books`.

Notes
-----
The process that trades is the only writer of what happens to orders. A book reads it, so it must not be made before
the process has said how every order of the session ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from aegis.calendars import TradingCalendar
from aegis.execution.decisions import INTENTS, DecisionEventKind
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_projections import order_event, order_statuses
from aegis.execution.order_records import order_from_record
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Fill, Order, OrderEventKind
from aegis.live_trading.cash_bookings import CashBooking, cash_bookings
from aegis.live_trading.held_positions import AccountEventKind

_FILLS = (OrderEventKind.FILLED, OrderEventKind.PARTIALLY_FILLED)
_CASH = (AccountEventKind.CASH_BOOKED, AccountEventKind.CASH_PAID)
_ADOPTED = AccountEventKind.POSITIONS_ADOPTED
_MOVES_SHARES = frozenset({*_FILLS, AccountEventKind.SPLIT_BOOKED, AccountEventKind.SHARES_EXCHANGED})


class TradedJournal:
    """The journal of a traded account from a session on.

    Parameters
    ----------
    journal : Journal
        The account's.
    calendar : TradingCalendar
        Says when sessions close.
    since : date or None
        The newest session that is booked already; None reads all of it.

    Notes
    -----
    What the broker's word was taken for after a close belongs to the next session: the book of the one that closed is
    being made.
    """

    def __init__(self, journal: Journal, *, calendar: TradingCalendar, since: date | None) -> None:
        self._journal = journal
        self._facts = journal.counts((*_FILLS, *_CASH))
        self._adoptions: dict[date, list[JournalRow]] = {}
        for row in journal.events(kinds=[_ADOPTED]):
            session = row.session_date
            if row.instant_utc > calendar.close_utc(session):
                session = calendar.next(session)
            self._adoptions.setdefault(session, []).append(row)
            self._facts[session] = self._facts.get(session, 0) + 1
        self._by_session: dict[str, list[JournalRow]] = {}
        self._by_order: dict[str, list[JournalRow]] = {}
        self._terms: dict[str, Order] = {}
        self._ended: set[str] = set()
        for row in journal.events(first=since or date.min):
            self._by_session.setdefault(row.session, []).append(row)
            self._remember(row)

    def fills(self, session: date) -> tuple[Fill, ...]:
        """Return the executions of a session, in the order in which they were recorded."""
        events = (order_event(row) for row in self._rows(session) if row.kind in _FILLS)
        return tuple(event.fill for event in events if event.fill is not None)

    def fills_after(self, session: date, *, before: int | None) -> list[Fill]:
        """Return the executions of later sessions that were recorded before a place of the journal, if one is given."""
        days = sorted(day for day in self._by_session if day > session.isoformat())
        rows = (row for day in days for row in self._by_session[day] if before is None or row.sequence < before)
        events = (order_event(row) for row in rows if row.kind in _FILLS)
        return [event.fill for event in events if event.fill is not None]

    def has_ended(self, client_order_id: str, *, before: int | None) -> bool:
        """Whether the end of an order that was read was recorded before a place of the journal, if one is given."""
        rows = self._by_order[client_order_id]
        told = [row for row in rows if before is None or row.sequence < before]
        return order_statuses(told)[client_order_id].is_final

    def cash(self, session: date) -> list[CashBooking]:
        """Return what cash somebody booked in a session."""
        return cash_bookings(self._rows(session))

    def has_taken_over(self, session: date) -> bool:
        """Whether the broker's word was taken in a session for what the account holds."""
        return session in self._adoptions

    def cash_taken_over(self, session: date) -> float | None:
        """Return the cash that the broker stated when the account was taken over first, if that was in a session."""
        first = min((row for rows in self._adoptions.values() for row in rows), key=_sequence, default=None)
        if first is None or first not in self._adoptions.get(session, ()):
            return None
        stated = first.payload.get("cash_usd")
        return None if stated is None else float(stated)

    def share_movements(self, session: date) -> list[JournalRow]:
        """Return the rows of a session that change what is held, oldest first."""
        rows = [row for row in self._rows(session) if row.kind in _MOVES_SHARES]
        return sorted((*rows, *self._adoptions.get(session, ())), key=_sequence)

    def share_movements_up_to(self, session: date) -> list[JournalRow]:
        """Return the rows that change what is held, of a session and all before that were read, by sequence."""
        days = {date.fromisoformat(day) for day in self._by_session} | self._adoptions.keys()
        rows = (row for day in days if day <= session for row in self.share_movements(day))
        return sorted(rows, key=_sequence)

    def facts(self, session: date) -> int:
        """Return how many fills and bookings there are of a session and all before it."""
        return sum(count for day, count in self._facts.items() if day <= session)

    def newest_trade_before(self, session: date) -> JournalRow | None:
        """Return the fill or cash booking of a session before `session` that was recorded last."""
        return self._newest(session, (*_FILLS, *_CASH))

    def newest_fact_before(self, session: date) -> JournalRow | None:
        """Return the fill or booking of a session before `session` that was recorded last."""
        return self._newest(session, (*_FILLS, *_CASH, _ADOPTED))

    def orders_without_end(self, session: date, *, also: Iterable[str]) -> list[OrderStatus]:
        """Return the approved orders that could not outlive a session and have no recorded end, sorted by id.

        Parameters
        ----------
        session : date
            The session; what was recorded after it counts as well.
        also : iterable of str
            Orders decided before what was read.
        """
        found = []
        self._find(also)
        for name, order in self._terms.items():
            if name in self._ended or order.execution_session > session or _outlives_its_session(order):
                continue
            status = self.status(name)
            if status.is_final:
                self._ended.add(name)
            else:
                found.append(status)
        return sorted(found, key=lambda status: status.order.client_order_id)

    def open_orders(self, at_utc: datetime, *, also: Iterable[str]) -> list[OrderStatus]:
        """Return the orders at a venue that outlive a session, as they stood at `at_utc`, sorted by id.

        Parameters
        ----------
        at_utc : datetime
            The session's close; what happened later belongs to the next one.
        also : iterable of str
            Orders decided before what was read.
        """
        self._find(also)
        names = sorted(name for name, order in self._terms.items() if _outlives_its_session(order))
        found = (self.status(name, until_utc=at_utc) for name in names)
        return [status for status in found if status.is_working or status.state is OrderState.HELD]

    def status(self, client_order_id: str, *, until_utc: datetime | None = None) -> OrderStatus:
        """Return where an order that was read stands, or stood at an instant.

        Raises
        ------
        IllegalTransition
            The recorded events cannot have followed each other.
        """
        rows = self._by_order[client_order_id]
        told = [row for row in rows if until_utc is None or row.kind in INTENTS or row.instant_utc <= until_utc]
        return order_statuses(told)[client_order_id]

    def is_worked(self, client_order_id: str) -> bool:
        """Whether children work an order, so that its end is theirs."""
        return any(row.kind == DecisionEventKind.PARENT_KEPT for row in self._by_order.get(client_order_id, ()))

    def _newest(self, session: date, kinds: Sequence[str]) -> JournalRow | None:
        rows = (row for row in self._journal.events(kinds=kinds) if row.session < session.isoformat())
        return max(rows, key=_sequence, default=None)

    def _rows(self, session: date) -> list[JournalRow]:
        return self._by_session.get(session.isoformat(), [])

    def _find(self, client_order_ids: Iterable[str]) -> None:
        """Read orders that were made before what was read."""
        missing = sorted(set(client_order_ids) - self._terms.keys())
        for name in missing:
            self._by_order.pop(name, None)
        for row in self._journal.events(client_order_ids=missing) if missing else ():
            self._remember(row)

    def _remember(self, row: JournalRow) -> None:
        if row.client_order_id is None:
            return
        self._by_order.setdefault(row.client_order_id, []).append(row)
        if row.kind in INTENTS:
            self._terms[row.client_order_id] = order_from_record(row.payload["order"])


def _sequence(row: JournalRow) -> int:
    return row.sequence


def _outlives_its_session(order: Order) -> bool:
    return order.time_in_force in ("GTC", "GTD")
