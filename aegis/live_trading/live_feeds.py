"""What a live account hears from outside, how old that is, and what stops while it is too old.

Belongs here: order stream, clock, statement of account, reconciliation and halts, with their instants. Quotes are kept
with the book they value (:mod:`aegis.live_trading.live_book`); each order is asked by :mod:`aegis.risk.exit_moments`,
and what is told here is the same comparison for a person to read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from aegis.risk.exact_amounts import exact
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_moments import quote_age_seconds
from aegis.risk.exit_prices import Quote

EVERY_ORDER = "every order"
UNLESS_REDUCING = "every order that does not only reduce"


@dataclass(frozen=True, slots=True)
class StandingStop:
    """Something that stops orders now.

    Parameters
    ----------
    name : str
        What it is: a breaker, a feed, a halt.
    stops : str
        Which orders.
    since_utc : datetime or None
        Since when; None where nothing was ever heard.
    told : str
        What was found and what to do.
    """

    name: str
    stops: str
    since_utc: datetime | None
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """How old is what a live account knows, for a monitor to show; None where nothing was ever heard.

    Parameters
    ----------
    stream_silence_seconds, account_age_seconds : float or None
        Since the broker's order stream was heard, and since its statement of account was asked for.
    clock_skew_seconds : float or None
        How far the clock is wrong, without sign; None where it was not measured lately.
    quotes : mapping of str to Quote or None
        Newest quote of each symbol that is held or at work.
    """

    stream_silence_seconds: float | None
    account_age_seconds: float | None
    clock_skew_seconds: float | None
    quotes: Mapping[str, Quote | None]


class LiveFeeds:
    """What was heard from outside, and when.

    Parameters
    ----------
    limits : ExitLimits
        Of the account.
    """

    def __init__(self, limits: ExitLimits) -> None:
        self._limits = limits
        self._skew: tuple[float, datetime] | None = None
        self._stream_heard_at_utc: datetime | None = None
        self._latest_utc: datetime | None = None
        self.halted: set[str] = set()
        self.reconciliation_clean: bool | None = None

    def observe_stream(self, at_utc: datetime) -> None:
        """Take note that the order stream was heard."""
        heard = self._stream_heard_at_utc
        self._stream_heard_at_utc = at_utc if heard is None else max(heard, at_utc)

    def observe_clock_skew(self, seconds: float, now_utc: datetime) -> None:
        """Take note of how far our clock is ahead of the broker's."""
        self._skew = seconds, now_utc

    def observe_instant(self, now_utc: datetime) -> None:
        """Take note of what the clock shows, so that one that goes back is seen whatever it was read for."""
        self._latest_utc = now_utc if self._latest_utc is None else max(self._latest_utc, now_utc)

    def stream_silence_seconds(self, now_utc: datetime) -> float | None:
        """Return for how long the order stream is silent; None where it was never heard."""
        return age_seconds(self._stream_heard_at_utc, now_utc)

    def clock_skew_seconds(self, now_utc: datetime) -> float | None:
        """Return how far the clock is wrong, without sign; None where that was not measured lately.

        Notes
        -----
        A clock that went back is wrong by at least as much as it did.
        """
        self.observe_instant(now_utc)
        if self._skew is None or self._latest_utc is None:
            return None
        seconds, measured_at = self._skew
        age = age_seconds(measured_at, now_utc)
        if age is None or age > self._limits.max_clock_check_age_seconds or not math.isfinite(seconds):
            return None
        return max(abs(seconds), (self._latest_utc - now_utc).total_seconds())

    def stops(
        self, now_utc: datetime, *, stated_at_utc: datetime | None, quotes: Iterable[tuple[str, Quote | None]]
    ) -> Iterator[StandingStop]:
        """Yield what stops orders because it is old, wrong, halted or not known.

        Parameters
        ----------
        now_utc : datetime
            The instant.
        stated_at_utc : datetime or None
            When the broker was asked for its last statement of account.
        quotes : iterable of (symbol, Quote or None)
            Of the symbols that are held or at work.
        """
        limits = self._limits
        account, silence = age_seconds(stated_at_utc, now_utc), self.stream_silence_seconds(now_utc)
        if not exact(account) <= exact(limits.max_account_age_seconds):
            yield StandingStop(
                "stale account", EVERY_ORDER, stated_at_utc, f"{_age(account)} since the statement; ask the broker"
            )
        if not exact(silence) <= exact(limits.max_stream_silence_seconds):
            heard = self._stream_heard_at_utc
            yield StandingStop(
                "silent order stream", EVERY_ORDER, heard, f"{_age(silence)} since it was heard; connect again"
            )
        skew = self.clock_skew_seconds(now_utc)
        if not exact(skew) <= exact(limits.max_clock_skew_seconds):
            since = None if self._skew is None else self._skew[1]
            found = "not measured lately" if skew is None else f"{skew:g} s wrong"
            yield StandingStop("wrong clock", EVERY_ORDER, since, f"the clock is {found}; set it by a time server")
        if self.reconciliation_clean is not True:
            yield StandingStop(
                "books not reconciled", EVERY_ORDER, None, "they differ from the broker's, or were not compared"
            )
        for symbol in sorted(self.halted):
            yield StandingStop(f"halted {symbol}", f"orders of {symbol}", None, "wait until it trades again")
        for symbol, quote in quotes:
            age = quote_age_seconds(quote, now_utc, limits)
            if not age <= exact(limits.max_quote_age_seconds):
                since = None if quote is None else quote.quoted_at_utc
                told = f"the quote is {age:.6g} s old (infinite: none that can be used); subscribe again"
                yield StandingStop(f"stale quote {symbol}", f"orders of {symbol}", since, told)


def age_seconds(since_utc: datetime | None, now_utc: datetime) -> float | None:
    """Return the seconds since an instant, none below 0; None where there was none."""
    return None if since_utc is None else max(timedelta(0), now_utc - since_utc).total_seconds()


def _age(seconds: float | None) -> str:
    return "never: no time at all" if seconds is None else f"{seconds:.6g} s"
