"""What the journal's database says when it refuses, as errors that say what to do.

Belongs here: wording only, for both databases that hold journals.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from aegis.errors import DuplicateEvent, JournalError


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
        raise JournalError(
            f"{subject}: the database refused ({_said(error)}); nothing was written. Check that the file is a journal, "
            "that its folder can be written and has space, and that no other program holds it"
        ) from error


def _said(error: sa.exc.DBAPIError | sqlite3.Error) -> object:
    return error.orig if isinstance(error, sa.exc.DBAPIError) else error
