"""How the journal's rows are chained by hash, and how the first row that does not fit is found.

Belongs here: the row as a value, its hash, and the proof. Where rows are kept is :mod:`aegis.execution.journal`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, NamedTuple

from aegis.errors import JournalError
from aegis.execution.order_records import instant_from_text

GENESIS_HASH = "0" * 64

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode
_quoted = json.encoder.encode_basestring_ascii


class JournalRow(NamedTuple):
    """One event as it is stored.

    Parameters
    ----------
    account : str
        Account of the chain.
    sequence : int
        Place in the account's chain, from 1.
    kind : str
        What happened.
    session : str
        Session it was booked in, ISO 8601.
    decision_id, client_order_id : str or None
        What it is about.
    at_utc : str
        When, ISO 8601 with microseconds and ``Z``.
    idempotency_key : str or None
        Unique in the account where given: the same thing is never recorded twice.
    payload_json : str
        Canonical JSON of the rest.
    previous_hash, hash : str
        SHA-256 of the row before, and of this row with it.
    """

    account: str
    sequence: int
    kind: str
    session: str
    decision_id: str | None
    client_order_id: str | None
    at_utc: str
    idempotency_key: str | None
    payload_json: str
    previous_hash: str
    hash: str

    @property
    def payload(self) -> dict[str, Any]:
        """The payload, decoded."""
        decoded: dict[str, Any] = json.loads(self.payload_json)
        return decoded

    @property
    def session_date(self) -> date:
        """The session as a date."""
        return date.fromisoformat(self.session)

    @property
    def instant_utc(self) -> datetime:
        """The instant as an aware datetime."""
        return instant_from_text(self.at_utc)


class JournalHead(NamedTuple):
    """Where a chain ends: the number and hash of its last row, 0 and zeros for an empty one."""

    sequence: int
    hash: str


EMPTY = JournalHead(0, GENESIS_HASH)


def event_hash(previous_hash: str, contents: tuple[str | int | None, ...]) -> str:
    """Return the SHA-256 that chains a row to the one before.

    Parameters
    ----------
    previous_hash : str
        Hash of the row before, zeros for the first.
    contents : tuple
        The row's columns from `account` to `payload_json`, in order. They are hashed as a JSON array, so that no two
        different rows share a text.

    Notes
    -----
    The array is put together from its elements, of which nearly all are texts: the encoder takes longer for a tuple.
    """
    told = ",".join(
        # An exact text, null or number; whatever else a row holds is left to the encoder.
        [(_quoted(value) if type(value) is str else "null" if value is None else _other(value)) for value in contents]
    )
    return hashlib.sha256(f"{previous_hash}[{told}]".encode()).hexdigest()


def _other(value: object) -> str:
    return repr(value) if type(value) is int else _encode(value)


def verify_chain(
    rows: Iterable[JournalRow],
    *,
    account: str,
    head: JournalHead,
    anchor: JournalHead = EMPTY,
    start: JournalHead = EMPTY,
) -> int:
    """Check a chain from its first row, or from one that is trusted, to its head and return its length.

    Parameters
    ----------
    rows : iterable of JournalRow
        All rows of the account after `start`, by ascending sequence.
    account : str
        Whose chain it is.
    head : JournalHead
        Where the journal says that the chain ends.
    anchor : JournalHead
        A head that was published elsewhere earlier. It must still be in the chain, which shows a chain that was cut or
        rewritten as a whole.
    start : JournalHead
        A row that is known to be good; the first one checked must follow it.

    Raises
    ------
    JournalError
        Names the first row that was edited, deleted, inserted or moved.
    """
    last = start
    for row in rows:
        _check_row(row, last, account)
        last = JournalHead(row.sequence, row.hash)
        if last.sequence == anchor.sequence and last.hash != anchor.hash:
            raise JournalError(
                f"journal of {account}: sequence {row.sequence} has hash {row.hash}, but {anchor.hash} was published "
                f"for it; the chain was rewritten. {_REMEDY}"
            )
    if last != head or last.sequence < anchor.sequence:
        expected = max(head.sequence, anchor.sequence)
        raise JournalError(
            f"journal of {account}: expected {expected} events, found {last.sequence}; sequence {last.sequence + 1} is "
            f"the first that was deleted from the end or added without its batch. {_REMEDY}"
        )
    return last.sequence


def require_anchor(
    found: str | None, *, account: str, head: JournalHead, anchor: JournalHead, kept_at: str = "what was published"
) -> None:
    """Refuse a chain that does not hold a published head any more.

    Parameters
    ----------
    found : str or None
        Hash of the row with the anchor's sequence, None where there is none.
    account : str
        Whose chain it is.
    head : JournalHead
        Where the journal says that the chain ends.
    anchor : JournalHead
        What was published.
    kept_at : str
        Where, for the message.

    Raises
    ------
    JournalError
        It is another one, or the chain ends before it.
    """
    if found is None or head.sequence < anchor.sequence:
        raise JournalError(
            f"journal of {account}: it was published up to sequence {anchor.sequence} and now ends with "
            f"{head.sequence}; its end, or all of it, was lost, as {kept_at} tells. {_REMEDY}"
        )
    if found != anchor.hash:
        raise JournalError(
            f"journal of {account}: sequence {anchor.sequence} has hash {found}, but {anchor.hash} was published for "
            f"it, as {kept_at} tells; the chain was rewritten, or is another journal's. {_REMEDY}"
        )


_REMEDY = "Stop trading on this account, keep the file as evidence and restore the last backup that verifies"


def _check_row(row: JournalRow, last: JournalHead, account: str) -> None:
    expected = last.sequence + 1
    if row.sequence != expected:
        raise JournalError(
            f"journal of {account}: expected sequence {expected}, found {row.sequence}; sequence {expected} was "
            f"deleted or moved. {_REMEDY}"
        )
    if row.previous_hash != last.hash:
        raise JournalError(
            f"journal of {account}: sequence {row.sequence} ('{row.kind}') does not follow the row before it: expected "
            f"previous hash {last.hash}, found {row.previous_hash}; it was inserted or moved. {_REMEDY}"
        )
    if row.hash != event_hash(row.previous_hash, row[:9]):
        raise JournalError(
            f"journal of {account}: sequence {row.sequence} ('{row.kind}', {row.client_order_id or row.decision_id}) "
            f"was edited: its contents do not have its hash. {_REMEDY}"
        )
