"""Cash that came or went beside trades and dividends: interest, fees, transfers. A person says what it was.

Belongs here: the event of the journal, reading it back, and recording one. A difference between our cash and the
broker's is never booked by itself: somebody explains it. How it enters a book is
:mod:`aegis.live_trading.traded_books`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from aegis.errors import DuplicateEvent, ExecutionError
from aegis.execution.journal import Journal, NewEvent
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_records import canonical_json
from aegis.live_trading.held_positions import AccountEventKind


class CashKind(StrEnum):
    """What it was for."""

    INTEREST = "interest"
    FEE = "fee"
    TRANSFER = "transfer"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class CashBooking:
    """Cash that came, positive, or went, negative.

    Parameters
    ----------
    session : date
        The session that it is booked in.
    amount_usd : float
        Finite, not zero.
    kind : CashKind
        A transfer is no gain and no loss; anything else is.
    reason, actor : str
        Why, and who says so; neither empty.

    Raises
    ------
    ExecutionError
        The amount is not a finite number other than 0, or reason or actor is empty.
    """

    session: date
    amount_usd: float
    kind: CashKind
    reason: str
    actor: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.amount_usd) or self.amount_usd == 0.0:
            raise ExecutionError(
                f"cash of {self.session}: {self.amount_usd!r} USD cannot be booked; give what came as a positive "
                "amount and what went as a negative one"
            )
        if not self.reason.strip() or not self.actor.strip():
            raise ExecutionError(
                f"cash of {self.session}: it is booked with a reason and an actor; found {self.reason!r}, "
                f"{self.actor!r}"
            )


def cash_entry(
    booking: CashBooking, *, at_utc: datetime, key: str | None = None, fee_id: str | None = None
) -> NewEvent:
    """Return the row of a booking.

    Parameters
    ----------
    booking : CashBooking
        What came or went.
    at_utc : datetime
        When somebody said so.
    key : str, optional
        What makes it the same booking, whatever else it says: a line of the broker's statement, for one.
    fee_id : str, optional
        The broker's own name of a fee that it states.

    Notes
    -----
    Without a key, the same amount for the same reason in the same session is the same booking, however often it is
    typed. Two equal amounts of one session need two reasons then.
    """
    said = canonical_json([booking.amount_usd, booking.kind, booking.reason])
    name = f"{booking.session}:{hashlib.sha256(said.encode()).hexdigest()}" if key is None else f"key:{key}"
    payload: dict[str, object] = {
        "amount_usd": booking.amount_usd,
        "cash_kind": str(booking.kind),
        "reason": booking.reason,
        "actor": booking.actor,
    }
    if fee_id is not None:
        payload["fee_id"] = fee_id
    return NewEvent(
        kind=AccountEventKind.CASH_BOOKED,
        session=booking.session,
        at_utc=at_utc,
        payload_json=canonical_json(payload),
        idempotency_key=f"{AccountEventKind.CASH_BOOKED}:{name}",
    )


def cash_bookings(rows: Iterable[JournalRow]) -> list[CashBooking]:
    """Return the bookings among `rows`, in their order; of a payment that was estimated, what it differs by."""
    found = []
    for row in rows:
        if row.kind == AccountEventKind.CASH_BOOKED:
            found.append(
                CashBooking(
                    session=row.session_date,
                    amount_usd=float(row.payload["amount_usd"]),
                    kind=CashKind(row.payload["cash_kind"]),
                    reason=str(row.payload["reason"]),
                    actor=str(row.payload["actor"]),
                )
            )
        elif row.kind == AccountEventKind.CASH_PAID:
            beyond = float(row.payload["amount_usd"]) - float(row.payload["expected_usd"])
            if beyond != 0.0:
                told = f"{row.payload['told']}: paid otherwise than expected"
                found.append(
                    CashBooking(
                        session=row.session_date,
                        amount_usd=beyond,
                        kind=CashKind.OTHER,
                        reason=told,
                        actor="the broker's cash",
                    )
                )
    return found


def book_cash(
    journal: Journal, booking: CashBooking, *, booked_up_to: date | None, at_utc: datetime, key: str | None = None
) -> bool:
    """Record a booking and return whether it is new; one that is recorded already stays as it is.

    Parameters
    ----------
    journal : Journal
        Of the account that is traded.
    booking : CashBooking
        What came or went.
    booked_up_to : date or None
        The newest session whose book exists: what is booked there is told already.
    at_utc : datetime
        When somebody said so.
    key : str, optional
        As in :func:`cash_entry`.

    Raises
    ------
    ExecutionError
        The book of the session exists already, or something else was booked under the key. Nothing was written.
    """
    entry = cash_entry(booking, at_utc=at_utc, key=key)
    for row in journal.events(kinds=[AccountEventKind.CASH_BOOKED]):
        if row.idempotency_key == entry.idempotency_key:
            _require_same(cash_bookings([row])[0], booking, key)
            return False
    if booked_up_to is not None and booking.session <= booked_up_to:
        raise ExecutionError(
            f"account {journal.account} {booking.session}: {booking.amount_usd:+,.2f} USD ({booking.kind}) cannot be "
            f"booked, the book exists up to session {booked_up_to}; book it in a later session"
        )
    try:
        with journal.batch() as batch:
            batch.append(entry)
    except DuplicateEvent:
        return False
    return True


def _require_same(known: CashBooking, asked: CashBooking, key: str | None) -> None:
    if (known.amount_usd, known.kind, known.session) != (asked.amount_usd, asked.kind, asked.session):
        raise ExecutionError(
            f"cash of {asked.session}: key {key!r} is that of {known.amount_usd:+,.2f} USD ({known.kind}) in session "
            f"{known.session}, found {asked.amount_usd:+,.2f} USD ({asked.kind}); nothing was booked. Give another "
            "booking another key"
        )
