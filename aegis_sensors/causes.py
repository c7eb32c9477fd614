"""When something that went wrong is news, and when it is over.

Belongs here: naming causes, and the rule that turns a sequence of outcomes into alerts, as plain functions. Where the
outcomes come from is :mod:`aegis_sensors.alerting`; delivery is :mod:`aegis.live_trading.alerts`.

Notes
-----
A cause is a subject and what failed in it: a check and the session, or the journal's event, that it found; a job and
the sessions of its run. It does not name the run: an hourly check that finds the same gap again, and a third attempt of
the same fetch, are no news. A success of the same subject ends the cause, and the next failure is news again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from aegis.live_trading.alerts import Alert, Severity

_RANGE = ".."


@dataclass(frozen=True, slots=True)
class Sessions:
    """The partition keys of a run, first and last; keys sort as their sessions do."""

    first: str
    last: str

    def __str__(self) -> str:
        """Return ``2014-06-05``, or ``2014-06-02..2014-06-05``."""
        return self.first if self.first == self.last else f"{self.first}{_RANGE}{self.last}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Something failed.

    Parameters
    ----------
    subject : str
        What can fail and succeed: ``check_failed/market_data/daily_bars/prices_are_positive``.
    what : str
        What failed in it: a session, a range of sessions, an event of the journal.
    title, body : str
        For the person.
    at_utc : datetime
        When; aware UTC.
    severity : {"info", "warning", "critical"}
        How urgent it is.
    """

    subject: str
    what: str
    title: str
    body: str
    at_utc: datetime
    severity: Severity = "critical"

    def alert(self) -> Alert:
        """Return the alert that tells of it."""
        return Alert(f"{self.subject}/{self.what}", self.title, self.body, self.severity, self.at_utc)


@dataclass(frozen=True, slots=True)
class Success:
    """Something that could have failed did not.

    Parameters
    ----------
    subject : str
        As in :class:`Failure`, or the beginning of several subjects, up to a slash.
    sessions : Sessions, optional
        Sessions that the success is about; None for a success of the whole subject.
    at_utc : datetime
        When; aware UTC.
    """

    subject: str
    sessions: Sessions | None
    at_utc: datetime


@dataclass(frozen=True, slots=True)
class Cleared:
    """An open cause is over."""

    cause_key: str
    at_utc: datetime


def news(outcomes: Iterable[Failure | Success], open_causes: Collection[str]) -> list[Alert | Cleared]:
    """Return what is to be told and what is over, in order.

    Parameters
    ----------
    outcomes : iterable of Failure or Success
        In the order in which they happened.
    open_causes : collection of str
        Causes that were told before and are not over.
    """
    now_open, found = set(open_causes), list[Alert | Cleared]()
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            alert = outcome.alert()
            if alert.cause_key not in now_open:
                now_open.add(alert.cause_key)
                found.append(alert)
            continue
        over = sorted(cause for cause in now_open if _ends(outcome, cause))
        now_open.difference_update(over)
        found += [Cleared(cause, outcome.at_utc) for cause in over]
    return found


def _ends(success: Success, cause: str) -> bool:
    """Whether a success is about a cause: of its subject, and of all sessions that failed where it names sessions."""
    if not cause.startswith(f"{success.subject}/"):
        return False
    if success.sessions is None:
        return True
    first, _, last = cause.rpartition("/")[2].partition(_RANGE)
    return success.sessions.first <= first and (last or first) <= success.sessions.last
