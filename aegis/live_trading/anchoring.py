"""When the end of a traded account's journal is kept a second time, and what is refused without it.

Belongs here: the beginning, the following, and the refusal. The places are :mod:`aegis.execution.anchor_places`, asking
them :mod:`aegis.execution.journal_anchor`; why orders wait for it is ``docs/adr/0007-anchored-journal.md``.

Notes
-----
That a journal began to be anchored at a place is a row of the journal. A place that has no head of such a journal is
one that is not mounted, or was emptied: it is not begun again.
"""

from __future__ import annotations

import threading
from datetime import date, datetime

from aegis.errors import AnchorUnavailable, JournalError
from aegis.execution.journal import Journal
from aegis.execution.journal_anchor import AnchorPlace, JournalAnchor
from aegis.execution.journal_chain import JournalHead
from aegis.live_trading.held_positions import AccountEventKind, anchor_entry


def require_anchored(anchor: JournalAnchor, journal: Journal) -> JournalHead | None:
    """Refuse a journal that does not hold the head that was kept of it; return that head, None before the first.

    Raises
    ------
    AnchorUnavailable
        The place does not answer, or has lost what was kept there: nobody knows whether the journal is whole.
    JournalError
        The end of the journal was cut off, or it is another one.
    """
    found = anchor.require_in(journal)
    if found is None and _has_begun(journal, anchor.place):
        raise AnchorUnavailable(
            f"journal of {journal.account}: its head was kept at {anchor.place} and is not there any more; mount the "
            "right volume or put it back. If it is lost for good, name another place, which begins anew"
        )
    return found


class Anchoring:
    """The anchor of the account that this process trades.

    Parameters
    ----------
    place : AnchorPlace or None
        None, and nothing is kept a second time.
    journal : Journal
        Of the account; this process is the only one that keeps its head.

    Notes
    -----
    Safe to share between threads.
    """

    def __init__(self, place: AnchorPlace | None, journal: Journal) -> None:
        self._anchor = None if place is None else JournalAnchor(place, account=journal.account)
        self._journal = journal
        self._lock = threading.Lock()
        self._has_begun = False
        self.failure = ""
        """Why nothing is anchored, and so nothing new is sent; empty where all is well."""

    def begin(self, *, session: date, at_utc: datetime) -> None:
        """Refuse a journal whose end was cut off, and keep the head of a whole one from now on.

        Parameters
        ----------
        session : date
            The session that had begun last.
        at_utc : datetime
            When.

        Raises
        ------
        JournalError
            See :func:`require_anchored`.
        """
        if self._anchor is None:
            return
        require_anchored(self._anchor, self._journal)
        # First the head, then the row: a crash between the two leaves a head that the journal holds.
        self._anchor.keep_head_of(self._journal)
        if not _has_begun(self._journal, self._anchor.place):
            with self._journal.batch() as batch:
                batch.append(anchor_entry(str(self._anchor.place), session=session, at_utc=at_utc))
            self._anchor.keep_head_of(self._journal)
        self._has_begun = True

    def require(self) -> None:
        """Keep the head of now before something is sent.

        Raises
        ------
        JournalError
            It could not be kept, so what is about to be sent could be cut off unseen.
        """
        if self._anchor is None:
            return
        with self._lock:
            try:
                self._anchor.keep_head_of(self._journal)
            except JournalError as error:
                self.failure = str(error)
                raise
            self.failure = ""

    def follow(self) -> None:
        """Keep the head of now; what goes wrong is in :attr:`failure`, and is tried again the next time."""
        try:
            self.require()
        except JournalError:
            return  # it is in `failure`, which stops whatever would be sent

    def close(self) -> None:
        """Keep the last head of a journal that was whole at the start, if the place answers; close its connections."""
        if self._has_begun:
            self.follow()
        if self._anchor is not None:
            self._anchor.close()


def _has_begun(journal: Journal, place: AnchorPlace) -> bool:
    rows = journal.events(kinds=[AccountEventKind.ANCHOR_BEGUN])
    return any(row.payload["place"] == str(place) for row in rows)
