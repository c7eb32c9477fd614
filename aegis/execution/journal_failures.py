"""What the journal's database says when it refuses, as errors that say what to do.

Belongs here: wording only, for both databases that hold journals.
"""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa

from aegis.errors import DuplicateEvent, JournalError

_GAVE_UP_WAITING = frozenset({"55P03", "57014"})
"""What PostgreSQL calls a lock that was not to be had within lock_timeout, and a statement beyond its own timeout."""


class explained:  # noqa: N801 - named as contextlib names its own
    """Turn what the database says within into a JournalError that says what to do.

    Parameters
    ----------
    subject : str
        What the error begins with.

    Notes
    -----
    A class, because every order waits for it twice: a generator costs twice as much.
    """

    __slots__ = ("_subject",)

    def __init__(self, subject: str) -> None:
        self._subject = subject

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, (sa.exc.DBAPIError, sqlite3.Error)):
            raise _explanation(self._subject, error) from error


def _explanation(subject: str, error: sa.exc.DBAPIError | sqlite3.Error) -> JournalError:
    if isinstance(error, (sa.exc.IntegrityError, sqlite3.IntegrityError)):
        return DuplicateEvent(
            f"{subject}: an event of the batch is recorded already ({_said(error)}); nothing was written. Read what is "
            "committed and decide again"
        )
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        # A server that dies while it commits has perhaps committed.
        return JournalError(
            f"{subject}: the connection to the database was lost ({_said(error)}); what was being written is there "
            "as a whole or not at all. Read the journal again before anything is decided or sent"
        )
    if isinstance(error, sa.exc.DBAPIError) and getattr(error.orig, "pgcode", None) in _GAVE_UP_WAITING:
        return JournalError(
            f"{subject}: PostgreSQL gave up waiting ({str(_said(error)).strip()}); nothing was written. Another "
            "session holds the journal's write lock, or the server is too busy: find it in pg_locks and end it, or "
            "raise the role's statement_timeout"
        )
    return JournalError(
        f"{subject}: the database refused ({_said(error)}); nothing was written. Check that the file is a journal, "
        "that its folder can be written and has space, and that no other program holds it"
    )


def _said(error: sa.exc.DBAPIError | sqlite3.Error) -> object:
    return error.orig if isinstance(error, sa.exc.DBAPIError) else error
