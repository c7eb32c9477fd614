"""What the journal's database says when it refuses, as errors that say what to do.

Belongs here: wording only, for both databases that hold journals.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from aegis.errors import DuplicateEvent, JournalError

_GAVE_UP_WAITING = frozenset({"55P03", "57014"})
"""What PostgreSQL calls a lock that was not to be had within lock_timeout, and a statement beyond its own timeout."""


@contextmanager
def explained(subject: str) -> Iterator[None]:
    """Turn what the database says into a JournalError that says what to do."""
    try:
        yield
    except (sa.exc.IntegrityError, sqlite3.IntegrityError) as error:
        raise DuplicateEvent(
            f"{subject}: an event of the batch is recorded already ({_said(error)}); nothing was written. Read what is "
            "committed and decide again"
        ) from error
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
            # A server that dies while it commits has perhaps committed.
            raise JournalError(
                f"{subject}: the connection to the database was lost ({_said(error)}); what was being written is there "
                "as a whole or not at all. Read the journal again before anything is decided or sent"
            ) from error
        if isinstance(error, sa.exc.DBAPIError) and getattr(error.orig, "pgcode", None) in _GAVE_UP_WAITING:
            raise JournalError(
                f"{subject}: PostgreSQL gave up waiting ({str(_said(error)).strip()}); nothing was written. Another "
                "session holds the journal's write lock, or the server is too busy: find it in pg_locks and end it, or "
                "raise the role's statement_timeout"
            ) from error
        raise JournalError(
            f"{subject}: the database refused ({_said(error)}); nothing was written. Check that the file is a journal, "
            "that its folder can be written and has space, and that no other program holds it"
        ) from error


def _said(error: sa.exc.DBAPIError | sqlite3.Error) -> object:
    return error.orig if isinstance(error, sa.exc.DBAPIError) else error
