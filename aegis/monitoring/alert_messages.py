"""What is sent to a person: that a cause began, and that it is over, each with a key that stays the same.

Belongs here: the message and the port of a channel. Channels are :mod:`aegis.monitoring.alert_channels`, when messages
are made :mod:`aegis.monitoring.alert_dispatch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from aegis.live_trading.alerts import Alert, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """One message to a person.

    Parameters
    ----------
    cause_key : str
        Names the cause.
    title, body : str
        For the person.
    severity : {"info", "warning", "critical"}
        How urgent it is.
    at_utc : datetime
        When the cause began or was over; aware UTC.
    began_at_utc : datetime
        When the cause began.
    is_over : bool
        Whether it tells that the cause is gone.
    """

    cause_key: str
    title: str
    body: str
    severity: Severity
    at_utc: datetime
    began_at_utc: datetime
    is_over: bool

    @property
    def key(self) -> str:
        """Names the message: a second delivery of it carries the same key."""
        return _key(self.cause_key, self.at_utc, is_over=self.is_over)

    @property
    def began_key(self) -> str:
        """Key of the message that told that the cause began."""
        return _key(self.cause_key, self.began_at_utc, is_over=False)

    @property
    def subject(self) -> str:
        """One line without control characters: severity or recovery, and the title."""
        word = "recovered" if self.is_over else self.severity
        return "".join(letter if letter.isprintable() else " " for letter in f"[{word}] {self.title}")


def began(alert: Alert) -> AlertMessage:
    """Return the message that a cause began."""
    return AlertMessage(
        cause_key=alert.cause_key,
        title=alert.title,
        body=alert.body,
        severity=alert.severity,
        at_utc=alert.at_utc,
        began_at_utc=alert.at_utc,
        is_over=False,
    )


def over(alert: Alert, at_utc: datetime) -> AlertMessage:
    """Return the message that the cause of an alert is gone."""
    body = f"Over at {at_utc:%Y-%m-%d %H:%M:%S} UTC; it began at {alert.at_utc:%Y-%m-%d %H:%M:%S} UTC: {alert.body}"
    return AlertMessage(
        cause_key=alert.cause_key,
        title=alert.title,
        body=body,
        severity="info",
        at_utc=at_utc,
        began_at_utc=alert.at_utc,
        is_over=True,
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """How sending ended: the problem with its remedy, empty after a success; and whether anybody answered at all."""

    problem: str = ""
    is_reachable: bool = True


class AlertChannel(Protocol):
    """A way to a person."""

    @property
    def name(self) -> str:
        """Its name in the log."""
        ...

    def send(self, message: AlertMessage) -> Sent:
        """Send a message; errors are in the answer, none is raised. May take as long as its own timeout."""
        ...


def _key(cause_key: str, at_utc: datetime, *, is_over: bool) -> str:
    return sha256(f"{cause_key}\n{at_utc.isoformat()}\n{'over' if is_over else 'began'}".encode()).hexdigest()
