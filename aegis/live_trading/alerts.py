"""Alerts: noted in a log once for each cause, and delivered until they arrive.

Belongs here: the memory of what was told, and delivery. What deserves an alert, and when its cause is gone, is decided
by whoever raises it.

Notes
-----
The log is JSON lines, appended and flushed to the disk: ``{"event": "alert", ...}`` when something began,
``{"event": "delivery", ...}`` for how a delivery ended, ``{"event": "cleared", ...}`` when the cause was gone. Between
its alert and its clearing a cause is open and is not told again. An alert is pending until a delivery did not fail;
what is pending is in the log, so a crash or a receiver that is down loses nothing. A crash between the webhook's answer
and the delivery line leads to a second call; it carries the same ``Idempotency-Key``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from aegis.durable_files import append_json_line
from aegis.live_trading.webhook import Answer, post

Severity = Literal["info", "warning", "critical"]
WebhookOutcome = Literal["not configured", "delivered", "failed"]
_Told = tuple[str, str]
"""Cause and instant, which name one alert."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person must know.

    Parameters
    ----------
    cause_key : str
        Names the cause: ``check_failed/quality/no_negative_prices/2014-06-09``. Equal keys are one cause.
    title, body : str
        For the person.
    severity : {"info", "warning", "critical"}
        How urgent it is.
    at_utc : datetime
        When it happened; aware UTC. A cause that comes back after it was gone comes at another instant.
    """

    cause_key: str
    title: str
    body: str
    severity: Severity
    at_utc: datetime

    def record(self) -> dict[str, str]:
        """Return the alert as a mapping that JSON can hold."""
        return {
            "cause_key": self.cause_key,
            "title": self.title,
            "body": self.body,
            "severity": self.severity,
            "at_utc": self.at_utc.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the delivery of an alert ended.

    Parameters
    ----------
    webhook : {"not configured", "delivered", "failed"}
        What became of the webhook.
    detail : str
        Why it failed, with the remedy; empty otherwise.
    """

    webhook: WebhookOutcome
    detail: str = ""


@dataclass
class _Memory:
    """What the lines of a log add up to."""

    alerts: dict[_Told, Alert] = field(default_factory=dict)
    last_delivery: dict[_Told, Delivery] = field(default_factory=dict)
    newest: dict[str, _Told] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def take(self, record: dict[str, Any]) -> None:
        cause, event = record["cause_key"], record.get("event")
        if event == "alert":
            told = (cause, str(record.get("at_utc")))
            self.alerts[told] = alert_from(record)
            self.newest[cause] = told
            self.open.add(cause)
        elif event == "cleared":
            self.open.discard(cause)
        elif event == "delivery" and cause in self.newest:
            told = (cause, str(record["at_utc"])) if "at_utc" in record else self.newest[cause]
            self.last_delivery[told] = Delivery(record.get("webhook", "failed"), record.get("detail", ""))


class AlertLog:
    """The log of one workspace: which causes are open, and which alerts have not arrived.

    Parameters
    ----------
    path : Path
        The JSON lines file; made by the first alert.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def open_causes(self) -> frozenset[str]:
        """Return the causes that were told and have not gone since.

        Raises
        ------
        OSError
            The log exists and cannot be read.
        """
        return frozenset(self._memory().open)

    def note(self, alert: Alert) -> bool:
        """Write an alert down unless its cause is open, or this very alert is there already; return whether it was new.

        Raises
        ------
        OSError
            The log cannot be read or written.
        """
        memory = self._memory()
        if alert.cause_key in memory.open or (alert.cause_key, alert.at_utc.isoformat()) in memory.alerts:
            return False
        append_json_line(self.path, {"event": "alert", **alert.record()})
        return True

    def clear(self, cause_key: str, at_utc: datetime) -> None:
        """Write down that an open cause is gone: when it comes back, it is told again.

        Raises
        ------
        OSError
            The log cannot be written.
        """
        append_json_line(self.path, {"event": "cleared", "cause_key": cause_key, "at_utc": at_utc.isoformat()})

    def pending(self) -> list[Alert]:
        """Return the alerts that have not arrived, oldest line first.

        Raises
        ------
        OSError
            The log exists and cannot be read.
        """
        memory = self._memory()
        return [alert for told, alert in memory.alerts.items() if _is_pending(memory.last_delivery.get(told))]

    def records(self) -> list[dict[str, Any]]:
        """Return the lines that are records about a cause, oldest first; a line torn by a crash was never written.

        Raises
        ------
        OSError
            The log exists and cannot be read.
        """
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and "cause_key" in record:
                found.append(record)
        return found

    def deliver_pending(self, *, webhook_url: str | None, timeout_seconds: float) -> list[Delivery]:
        """Deliver what has not arrived.

        Parameters
        ----------
        webhook_url : str or None
            Where to POST it, http or https; None for nowhere: then the log is the delivery.
        timeout_seconds : float
            For the connection and for each read.

        Returns
        -------
        list of Delivery
            One for each alert that was tried. Trying ends with the first call that nobody answers; a receiver that
            refuses one alert gets the others all the same.

        Raises
        ------
        OSError
            The log cannot be read or written.

        Notes
        -----
        A failure is written down when it differs from the alert's last one, so that a receiver that is down for a night
        does not fill the log.
        """
        memory, deliveries = self._memory(), []
        for told, alert in memory.alerts.items():
            before = memory.last_delivery.get(told)
            if not _is_pending(before):
                continue
            delivery, answer = _call(alert, webhook_url, timeout_seconds)
            deliveries.append(delivery)
            if delivery != before:
                append_json_line(
                    self.path,
                    {
                        "event": "delivery",
                        "cause_key": alert.cause_key,
                        "at_utc": alert.at_utc.isoformat(),
                        "webhook": delivery.webhook,
                        "detail": delivery.detail,
                    },
                )
            if not answer.is_reachable:
                break
        return deliveries

    def _memory(self) -> _Memory:
        """Fold the records."""
        memory = _Memory()
        for record in self.records():
            memory.take(record)
        return memory


def deliver(alert: Alert, *, webhook_url: str | None, timeout_seconds: float) -> Delivery:
    """Call the webhook with an alert, without a log: for when that cannot be written.

    Parameters
    ----------
    alert : Alert
    webhook_url, timeout_seconds
        As in :meth:`AlertLog.deliver_pending`.
    """
    return _call(alert, webhook_url, timeout_seconds)[0]


def _call(alert: Alert, webhook_url: str | None, timeout_seconds: float) -> tuple[Delivery, Answer]:
    if webhook_url is None:
        return Delivery("not configured"), Answer()
    payload = {"text": f"[{alert.severity}] {alert.title}\n{alert.body}", **alert.record()}
    key = sha256(f"{alert.cause_key}\n{alert.at_utc.isoformat()}".encode()).hexdigest()
    answer = post(webhook_url, payload, idempotency_key=key, timeout_seconds=timeout_seconds)
    return Delivery("failed" if answer.problem else "delivered", answer.problem), answer


def _is_pending(last: Delivery | None) -> bool:
    return last is None or last.webhook == "failed"


def alert_from(record: dict[str, Any]) -> Alert:
    """Return the alert that :meth:`Alert.record` described."""
    return Alert(
        cause_key=record["cause_key"],
        title=record.get("title", ""),
        body=record.get("body", ""),
        severity=record.get("severity", "critical"),
        at_utc=datetime.fromisoformat(record["at_utc"]),
    )
