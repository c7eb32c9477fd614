"""The corporate actions of a session, asked for once it opens, and not again while nobody answers.

Belongs here: when the source is asked. What is done with its answer is :mod:`aegis.live_trading.opening_terms` and
:mod:`aegis.live_trading.booked_actions`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.errors import AegisError

_ASK_AGAIN = timedelta(minutes=1)
"""After a question that failed, and for an answer from before the opening: a vendor is not asked at every step."""
_KEPT_SESSIONS = 8


class SessionActions:
    """What a source says of sessions.

    Parameters
    ----------
    ask : callable
        From a session to its corporate actions, as they are known now.
    calendar : TradingCalendar
        Says when a session opens.
    clock : Clock
        The machine's, or a simulation's.

    Notes
    -----
    An answer from the opening or later stands for as long as the process runs: what becomes known later of a session
    that has opened is booked by a person. An answer from before the opening is what was announced.
    """

    def __init__(
        self, ask: Callable[[date], tuple[CorporateAction, ...]], *, calendar: TradingCalendar, clock: Clock
    ) -> None:
        self._ask, self._calendar, self._clock = ask, calendar, clock
        self._known: dict[date, tuple[datetime, tuple[CorporateAction, ...]]] = {}
        self._failed: dict[date, tuple[datetime, AegisError]] = {}

    def of(self, session: date) -> tuple[CorporateAction, ...]:
        """Return the actions of a session.

        Raises
        ------
        AegisError
            The source does not say; within a minute the same is raised again without a question.
        """
        now = self._clock.now_utc()
        known = self._known.get(session)
        if known is not None and (known[0] >= self._calendar.open_utc(session) or now - known[0] < _ASK_AGAIN):
            return known[1]
        failed = self._failed.get(session)
        if failed is not None and now - failed[0] < _ASK_AGAIN:
            raise failed[1]
        try:
            found = self._ask(session)
        except AegisError as error:
            self._failed[session] = now, error
            raise
        self._failed.pop(session, None)
        self._known[session] = now, found
        while len(self._known) > _KEPT_SESSIONS:
            del self._known[min(self._known)]
        return found


def no_actions(_: date) -> tuple[CorporateAction, ...]:
    """Return nothing: for accounts whose orders live no longer than a session and that hold nothing overnight."""
    return ()
