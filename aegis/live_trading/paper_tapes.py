"""What the paper venue trades on, out of sessions that can be played.

Belongs here: from a session's stored or generated minutes to the venue's. The sessions are
:mod:`aegis.live_data.session_history`, the venue is :mod:`aegis.execution.brokers.paper`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from aegis.backtesting.session_market import CorporateAction
from aegis.execution.brokers.paper_tape import Minute, MinuteBar
from aegis.live_data.session_history import SessionHistory

_MINUTE: Final = timedelta(minutes=1)
_COLUMNS: Final = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd", "volume_shares")


class PlayedTape:
    """The minutes of sessions that are played by the clock: each is known when it closes.

    Parameters
    ----------
    history : SessionHistory
        Gives the sessions.
    symbols : callable
        From a session to the permanent symbols that may trade in it.
    actions : callable
        From a session to its corporate actions.

    Notes
    -----
    One session is kept in memory, of the symbols that were asked for. Not safe to share between threads: the venue has
    a lock.
    """

    def __init__(
        self,
        history: SessionHistory,
        *,
        symbols: Callable[[date], Sequence[str]],
        actions: Callable[[date], tuple[CorporateAction, ...]],
    ) -> None:
        self._history = history
        self._symbols, self._actions = symbols, actions
        self._session: date | None = None
        self._known: dict[str, dict[datetime, MinuteBar]] = {}

    def known_until(self, now_utc: datetime, symbols: frozenset[str]) -> datetime:  # noqa: ARG002 - all the same
        """Return the instant itself."""
        return now_utc

    def minutes(
        self, session: date, symbols: frozenset[str], *, after_utc: datetime, until_utc: datetime
    ) -> list[Minute]:
        """Return a session's minutes; see :meth:`MinuteTape.minutes`.

        Raises
        ------
        MarketDataError, LakeError
            Nothing is known of the session: no time passes at the venue.
        """
        self._read(session, symbols)
        found: dict[datetime, dict[str, MinuteBar]] = {}
        for symbol in sorted(symbols):
            for closes_at, bar in self._known[symbol].items():
                if after_utc < closes_at <= until_utc:
                    found.setdefault(closes_at, {})[symbol] = bar
        return [
            Minute(session=session, opens_at_utc=closes_at - _MINUTE, closes_at_utc=closes_at, bars=found[closes_at])
            for closes_at in sorted(found)
        ]

    def symbols(self, session: date) -> Sequence[str]:
        """Return the permanent symbols that may trade in a session."""
        return self._symbols(session)

    def actions(self, session: date) -> tuple[CorporateAction, ...]:
        """Return the corporate actions with their ex-date in a session."""
        return self._actions(session)

    def _read(self, session: date, symbols: frozenset[str]) -> None:
        if session != self._session:
            self._session, self._known = session, {}
        missing = sorted(symbols - self._known.keys())
        if not missing:
            return
        rows = self._history.session(session, missing).minutes
        read: dict[str, dict[datetime, MinuteBar]] = {symbol: {} for symbol in missing}
        columns = (rows[name].tolist() for name in _COLUMNS)
        for symbol, closes_at, *bar in zip(rows["symbol"], rows["closes_at_utc"], *columns, strict=True):
            opened, high, low, close, volume = bar
            read[symbol][closes_at.to_pydatetime()] = (opened, high, low, close, volume)
        self._known |= read
