"""The minutes of one symbol's session, put together from bars that come late, twice, corrected, or not at all.

Belongs here: which minutes are known, and what they add up to. A minute is known when its bar came, or when it was
listened to from its start to some time after its end and no bar came: then nothing traded in it. Who listened when is
:mod:`aegis.live_data.symbol_market`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from aegis.live_data.feed_health import Counted
from aegis.live_data.messages import LiveMinute

_MINUTE = timedelta(minutes=1)
Span = tuple[datetime, datetime]
"""From an instant, excluded, to an instant, included; both are ends of minutes."""


class SessionMinutes:
    """The minutes of a session; not for several threads.

    Parameters
    ----------
    opens_utc, closes_utc : datetime
        The session's own hours, whole minutes; a half day is shorter.
    """

    def __init__(self, opens_utc: datetime, closes_utc: datetime) -> None:
        self.opens_utc, self.closes_utc = opens_utc, closes_utc
        count = round((closes_utc - opens_utc) / _MINUTE)
        self._bars: list[LiveMinute | None] = [None] * count
        self._known = [False] * count
        self._known_count = 0
        self._known_shares = 0.0

    def take(self, minute: LiveMinute) -> Counted:
        """Take a bar and return what it was: new, late, said twice, corrected, of an older version, or unusable.

        Notes
        -----
        Only what counts as ``MINUTES``, ``LATE_MINUTES`` or ``CORRECTED`` has changed anything.
        """
        place = self._place(minute.closes_at_utc)
        if place is None:
            return Counted.OUTSIDE_HOURS
        if not _is_possible(minute):
            return Counted.BAD_MINUTES
        held = self._bars[place]
        if held is None:
            counted = Counted.LATE_MINUTES if self._known[place] else Counted.MINUTES
        elif held.says_the_same(minute):
            return Counted.DUPLICATES
        elif minute.origin < held.origin:
            return Counted.OUT_OF_ORDER
        else:
            counted = Counted.CORRECTED
        self._bars[place], self._known[place] = minute, True
        self._add_up(place)
        return counted

    def settle(self, since_utc: datetime, until_utc: datetime) -> None:
        """Take it that minutes wholly within these instants had no trade where no bar came.

        Parameters
        ----------
        since_utc : datetime
            From when on bars would have been heard.
        until_utc : datetime
            Bars of minutes that ended by then have had time to come.
        """
        first = max(self._known_count, math.ceil((since_utc - self.opens_utc) / _MINUTE))
        last = min(len(self._known), math.floor((until_utc - self.opens_utc) / _MINUTE))
        for place in range(first, last):
            self._known[place] = True
        self._add_up(first)

    def missing(self, until_utc: datetime) -> list[Span]:
        """Return what is not known of the minutes that ended by an instant, as few spans as possible, ascending."""
        last = min(len(self._known), math.floor((until_utc - self.opens_utc) / _MINUTE))
        spans: list[Span] = []
        begins: int | None = None
        for place in range(self._known_count, last):
            if not self._known[place] and begins is None:
                begins = place
            elif self._known[place] and begins is not None:
                spans.append((self._end_of(begins - 1), self._end_of(place - 1)))
                begins = None
        if begins is not None:
            spans.append((self._end_of(begins - 1), self._end_of(last - 1)))
        return spans

    def known(self) -> tuple[float, datetime]:
        """Return the shares traded since the opening, and until which instant they are known without a gap."""
        return self._known_shares, self._end_of(self._known_count - 1)

    def bars(self) -> tuple[LiveMinute, ...]:
        """Return the bars that came, ascending."""
        return tuple(bar for bar in self._bars if bar is not None)

    def _place(self, closes_at_utc: datetime) -> int | None:
        number, rest = divmod(closes_at_utc - self.opens_utc, _MINUTE)
        return number - 1 if not rest and 1 <= number <= len(self._bars) else None

    def _end_of(self, place: int) -> datetime:
        return self.opens_utc + (place + 1) * _MINUTE

    def _add_up(self, changed: int) -> None:
        """Go on counting from a place on, or from the start where something before was changed."""
        if changed < self._known_count:
            self._known_shares = _sum(self._bars[: self._known_count])
        begins = self._known_count
        while self._known_count < len(self._known) and self._known[self._known_count]:
            self._known_count += 1
        if self._known_count > begins:
            self._known_shares = _sum(self._bars[: self._known_count])


def _sum(bars: Iterable[LiveMinute | None]) -> float:
    return math.fsum(bar.volume_shares for bar in bars if bar is not None)


def _is_possible(minute: LiveMinute) -> bool:
    low, high = minute.low_usd, minute.high_usd
    prices = (minute.open_usd, high, low, minute.close_usd)
    if not all(math.isfinite(number) for number in (*prices, minute.volume_shares)):
        return False
    inside = 0.0 < low <= min(minute.open_usd, minute.close_usd) and high >= max(minute.open_usd, minute.close_usd)
    return inside and minute.volume_shares > 0.0
