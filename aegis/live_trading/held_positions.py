"""What the journal says an account holds at a real broker: what was found there once, and what happened since.

Belongs here: the projection, and the row by which a person or a policy takes over what the broker holds. Whether the
broker agrees is :mod:`aegis.live_trading.reconciliation`.

Notes
-----
An account at a broker has a past of its own. Its first positions are taken over into the journal with their source; a
difference later is a break until its cause is booked or somebody takes the broker's word, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum

from aegis.errors import ExecutionError
from aegis.execution.account_state import Position
from aegis.execution.journal import Journal, NewEvent
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_projections import order_event
from aegis.execution.order_records import canonical_json
from aegis.execution.order_splits import shares_after_split
from aegis.execution.orders import OrderEventKind

_FILLS = frozenset({OrderEventKind.FILLED, OrderEventKind.PARTIALLY_FILLED})


class AccountEventKind(StrEnum):
    """What the journal says of an account rather than of an order."""

    POSITIONS_ADOPTED = "positions adopted"
    SPLIT_BOOKED = "split booked"
    BREAKERS_KEPT = "breakers kept"
    CASH_BOOKED = "cash booked"
    DIVIDEND_BOOKED = "dividend booked"
    SHARES_EXCHANGED = "shares exchanged"
    OPENING_BOOKED = "opening booked"
    CASH_PAID = "cash paid"
    CASH_STATED = "cash stated"
    ANCHOR_BEGUN = "anchor begun"


def adoption_entry(
    positions: Sequence[Position],
    *,
    reason: str,
    actor: str,
    session: date,
    at_utc: datetime,
    cash_usd: float | None = None,
) -> NewEvent:
    """Return the row that takes over what a broker holds.

    Parameters
    ----------
    positions : sequence of Position
        As the broker tells them.
    cash_usd : float, optional
        As the broker tells it, where cash is counted from here.
    reason, actor : str
        Why, and who decided it; neither empty.
    session : date
        The session that had begun last.
    at_utc : datetime
        When.

    Raises
    ------
    ExecutionError
        Reason or actor is empty.
    """
    if not reason.strip() or not actor.strip():
        raise ExecutionError(
            f"positions are taken over from the broker with a reason and an actor; found {reason!r}, {actor!r}"
        )
    shares = {held.symbol: held.quantity_shares for held in positions}
    payload: dict[str, object] = {"shares": shares, "reason": reason, "actor": actor}
    if cash_usd is not None:
        payload["cash_usd"] = cash_usd
    return account_entry(AccountEventKind.POSITIONS_ADOPTED, payload, session=session, at_utc=at_utc)


def split_entry(
    symbol: str, ratio: float, *, session: date, at_utc: datetime, in_lieu_usd: float | None = None
) -> NewEvent:
    """Return the row of a split of shares that are held: `ratio` new shares for one old share, from `session` on.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    ratio : float
        New shares for one old share.
    session : date
        Its ex-date.
    at_utc : datetime
        When it is booked.
    in_lieu_usd : float, optional
        What the fraction that whole shares leave over is about worth.
    """
    payload: dict[str, object] = {"symbol": symbol, "ratio": ratio}
    if in_lieu_usd is not None:
        payload["in_lieu_usd"] = in_lieu_usd
    key = f"{AccountEventKind.SPLIT_BOOKED}:{symbol}:{session}"
    return account_entry(AccountEventKind.SPLIT_BOOKED, payload, session=session, at_utc=at_utc, key=key)


def breakers_entry(record: Mapping[str, object], *, session: date, at_utc: datetime) -> NewEvent:
    """Return the row of what an account's breakers must remember over a restart."""
    return account_entry(AccountEventKind.BREAKERS_KEPT, record, session=session, at_utc=at_utc)


def anchor_entry(place: str, *, session: date, at_utc: datetime) -> NewEvent:
    """Return the row that says that the journal's head is kept at a place from now on."""
    key = f"{AccountEventKind.ANCHOR_BEGUN}:{place}"
    return account_entry(AccountEventKind.ANCHOR_BEGUN, {"place": place}, session=session, at_utc=at_utc, key=key)


def held_shares(rows: Iterable[JournalRow], *, before: Mapping[str, float] | None = None) -> dict[str, float] | None:
    """Return the signed shares that an account should hold, by permanent symbol and without zeros.

    Parameters
    ----------
    rows : iterable of JournalRow
        By ascending sequence: the whole journal, or what followed `before`.
    before : mapping of str to float, optional
        Signed shares that were held before the first of the rows, where that is known.

    Returns
    -------
    dict or None
        None while nothing was ever taken over: what the account held before is not known.
    """
    held = None if before is None else dict(before)
    for row in rows:
        if row.kind == AccountEventKind.POSITIONS_ADOPTED:
            held = {str(symbol): float(shares) for symbol, shares in row.payload["shares"].items()}
        elif held is None:
            continue
        elif row.kind in _FILLS:
            fill = order_event(row).fill
            if fill is not None:
                held[fill.symbol] = held.get(fill.symbol, 0.0) + fill.quantity_shares
        elif row.kind == AccountEventKind.SPLIT_BOOKED:
            symbol = row.payload["symbol"]
            is_fractional = not float(held.get(symbol, 0.0)).is_integer()
            held[symbol] = shares_after_split(held.get(symbol, 0.0), row.payload["ratio"], is_fractional=is_fractional)
        elif row.kind == AccountEventKind.SHARES_EXCHANGED:
            held.pop(row.payload["symbol"], None)
            if row.payload["received_shares"]:
                acquirer = row.payload["acquirer"]
                held[acquirer] = held.get(acquirer, 0.0) + row.payload["received_shares"]
    return None if held is None else {symbol: shares for symbol, shares in sorted(held.items()) if shares}


def journalled_positions(journal: Journal) -> dict[str, float] | None:
    """Return what the journal says the account holds; see :func:`held_shares`."""
    return held_shares(journal.events())


def account_entry(
    kind: AccountEventKind,
    payload: Mapping[str, object],
    *,
    session: date,
    at_utc: datetime,
    key: str | None = None,
) -> NewEvent:
    """Return a row about the account; one with a key is written once."""
    return NewEvent(
        kind=kind, session=session, at_utc=at_utc, payload_json=canonical_json(payload), idempotency_key=key
    )
