"""The head of a journal kept in a second place, so that a journal whose end was cut off is told from a whole one.

Belongs here: the port, and asking a place that may be slow or gone. The places are
:mod:`aegis.execution.anchor_places`, when a head is kept is :mod:`aegis.live_trading.anchoring`.

Notes
-----
A chain that lost its newest rows is still a chain, and its head lies beside it and can be put back with it. A head that
lies on another volume or with another service is not lost or changed together with the journal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from aegis.errors import AnchorUnavailable, JournalError
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalHead

LONGEST_WAIT_SECONDS = 2.0
"""For one answer of the place. Whoever sends an order waits for it, and so does whoever cancels meanwhile."""

_T = TypeVar("_T")


class AnchorPlace(Protocol):
    """Where the head of one account's journal is kept a second time."""

    def __str__(self) -> str:
        """Say where it is, without a password."""
        ...

    def read(self) -> JournalHead | None:
        """Return the head that is kept, None where none ever was.

        Raises
        ------
        AnchorUnavailable
            The place cannot be reached.
        JournalError
            What is there is no head.
        """
        ...

    def keep(self, head: JournalHead) -> JournalHead:
        """Keep `head` durably unless a later one is there, and return what is there now.

        Raises
        ------
        AnchorUnavailable
            The place cannot be reached or written.
        """
        ...

    def close(self) -> None:
        """Close connections; closing again does nothing."""
        ...


class JournalAnchor:
    """The anchor of one journal, asked with patience that ends.

    Parameters
    ----------
    place : AnchorPlace
        Closed with :meth:`close`.
    account : str
        Whose journal, for messages.
    longest_wait_seconds : float
        For one answer of the place.

    Notes
    -----
    A place that does not answer in time is asked again only when the question that hangs has come back: what waits for
    it waits once. One thread at a time asks.
    """

    def __init__(self, place: AnchorPlace, *, account: str, longest_wait_seconds: float = LONGEST_WAIT_SECONDS) -> None:
        self.place = place
        self._account = account
        self._longest_wait = longest_wait_seconds
        self._asking: threading.Thread | None = None
        self._kept: JournalHead | None = None

    def read(self) -> JournalHead | None:
        """Return the head that is kept, None where none ever was; see :meth:`AnchorPlace.read`."""
        return self._in_time(self.place.read)

    def keep_head_of(self, journal: Journal) -> JournalHead:
        """Keep where a journal ends now, unless it is what was kept last, and return it.

        Raises
        ------
        AnchorUnavailable
            The place does not answer in time, or refuses.
        JournalError
            It holds the head of another journal.
        """
        head = journal.head()
        if head != self._kept:
            found = self._in_time(lambda: self.place.keep(head))
            if found != head:
                raise JournalError(
                    f"journal of {self._account}: it ends with sequence {head.sequence}, and {self.place} holds "
                    f"sequence {found.sequence} of another journal; two processes trade under one name, or the journal "
                    "was exchanged: stop all but one, then `aegis audit verify`"
                )
            self._kept = head
        return head

    def require_in(self, journal: Journal) -> JournalHead | None:
        """Refuse a journal that does not hold the head that was kept; return that head, None where none ever was.

        Raises
        ------
        AnchorUnavailable
            The place does not answer in time: nobody knows whether the journal is whole.
        JournalError
            The journal ends before the head, or has another row in its place.
        """
        anchor = self.read()
        if anchor is not None:
            journal.require_holds(anchor, kept_at=str(self.place))
        return anchor

    def close(self) -> None:
        """Close the place's connections, unless a question hangs in one."""
        if self._asking is None or not self._asking.is_alive():
            self.place.close()

    def _in_time(self, ask: Callable[[], _T]) -> _T:
        if self._asking is not None and self._asking.is_alive():
            raise self._silent()
        answers: list[_T] = []
        failures: list[BaseException] = []

        def run() -> None:
            try:
                answers.append(ask())
            except BaseException as error:  # noqa: BLE001 - it is raised where it was asked
                failures.append(error)

        self._asking = threading.Thread(target=run, name=f"anchor-{self._account}", daemon=True)
        self._asking.start()
        self._asking.join(self._longest_wait)
        if failures:
            raise failures[0]
        if not answers:
            raise self._silent()
        return answers[0]

    def _silent(self) -> AnchorUnavailable:
        return AnchorUnavailable(
            f"journal of {self._account}: {self.place}, where its head is anchored, gives no answer within "
            f"{self._longest_wait:g} s; see that it is there and can be written"
        )
