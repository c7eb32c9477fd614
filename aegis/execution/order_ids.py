"""How decisions and orders are named, so that a recomputation finds what it decided before."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date

from aegis.errors import ExecutionError

ID_LENGTH = 32
_SEPARATOR = "/"
_REPLACEMENT = re.compile(r"(.+)\.r([1-9][0-9]*)")


def decision_id(account: str, book: str, *, session: date, kind: str, number: int) -> str:
    """Return the readable name of a decision: ``simulated/main/2014-06-09/rebalance/1``.

    Parameters
    ----------
    account, book : str
        Whose decision it is.
    session : date
        Session after whose close it is taken.
    kind : str
        What is decided: ``rebalance``.
    number : int
        1 for the first decision of that kind in the session; a legitimate second one is 2.

    Raises
    ------
    ExecutionError
        A part is empty or contains ``/``, or the number is below 1.
    """
    for name, part in (("account", account), ("book", book), ("kind", kind)):
        if not part or _SEPARATOR in part:
            raise ExecutionError(f"{name} {part!r} cannot be part of a decision id: it must be a name without '/'")
    if number < 1:
        raise ExecutionError(f"decision number {number} of {account}/{book} {session}: numbers start at 1")
    return _SEPARATOR.join((account, book, session.isoformat(), kind, str(number)))


def client_order_id(
    account: str, decision: str, *, symbol: str, leg: int = 0, child: int = 0, revision: int = 0
) -> str:
    """Return the id of an order: 32 hexadecimal digits, url-safe and short enough for every broker.

    Parameters
    ----------
    account, decision : str
        The account and its decision id.
    symbol : str
        Permanent symbol.
    leg, child, revision : int
        Which leg of the decision in this symbol, which child of a worked order (0: the parent), which replacement.

    Notes
    -----
    Side and quantity are left out on purpose: a recomputation that wants another side or another quantity must meet the
    committed order under the same id, and be refused, instead of becoming a second order. 128 bits of SHA-256 are kept.
    """
    parts = json.dumps([account, decision, symbol, leg, child, revision], separators=(",", ":"))
    return hashlib.sha256(parts.encode()).hexdigest()[:ID_LENGTH]


def replacement_id(client_order_id: str, revision: int) -> str:
    """Return the id under which a venue that makes another order of a replacement is sent revision `revision`.

    Raises
    ------
    ExecutionError
        The revision is below 1.

    Notes
    -----
    Whoever restarts reads from it which order it stands for, see :func:`replaced_order`.
    """
    if revision < 1:
        raise ExecutionError(f"order {client_order_id}: revision {revision} is not one; revisions start at 1")
    return f"{client_order_id}.r{revision}"


def replaced_order(venue_client_id: str) -> tuple[str, int]:
    """Return the order that an id of :func:`replacement_id` stands for, and the revision; 0 for the order itself."""
    match = _REPLACEMENT.fullmatch(venue_client_id)
    return (venue_client_id, 0) if match is None else (match[1], int(match[2]))
