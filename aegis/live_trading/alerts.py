"""Alerts: one line in a log, one call of a webhook, once for each cause.

Belongs here: delivery, and the memory of what was delivered. What deserves an alert is decided by whoever raises it.

Notes
-----
The log is JSON lines, appended and flushed to the disk: a line ``{"event": "alert", ...}`` for each alert, then one
``{"event": "delivery", ...}`` with how it ended. A cause is delivered when its last delivery did not fail. A failed
webhook is tried again by the next :meth:`AlertLog.deliver`, without a second alert line. A crash between the webhook's
answer and the delivery line leads to a second call; it carries the same ``Idempotency-Key``.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from aegis.live_trading.durable_files import append_json_line

Severity = Literal["info", "warning", "critical"]
WebhookOutcome = Literal["not configured", "delivered", "failed", "already delivered"]


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
        When it was raised; aware UTC.
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
    is_logged : bool
        Whether the alert and the outcome of the webhook stand in the log.
    webhook : {"not configured", "delivered", "failed", "already delivered"}
        What became of the webhook.
    detail : str
        Why it failed, with the remedy; empty otherwise.
    """

    is_logged: bool
    webhook: WebhookOutcome
    detail: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether the alert reached everyone it was meant for."""
        return self.is_logged and self.webhook != "failed"


class AlertLog:
    """The log of one workspace, and which causes it knows.

    Parameters
    ----------
    path : Path
        The JSON lines file; made by the first alert.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def delivered_causes(self) -> frozenset[str]:
        """Return the causes whose last delivery did not fail.

        Raises
        ------
        OSError
            The log exists and cannot be read.
        """
        outcomes = {
            record["cause_key"]: record.get("webhook", "failed")
            for record in self._records()
            if record.get("event") == "delivery"
        }
        return frozenset(cause for cause, webhook in outcomes.items() if webhook != "failed")

    def logged_causes(self) -> frozenset[str]:
        """Return the causes that have an alert line, delivered or not.

        Raises
        ------
        OSError
            The log exists and cannot be read.
        """
        return frozenset(record["cause_key"] for record in self._records() if record.get("event") == "alert")

    def deliver(self, alert: Alert, *, webhook_url: str | None, timeout_seconds: float) -> Delivery:
        """Deliver an alert unless its cause was delivered before.

        Parameters
        ----------
        alert, webhook_url, timeout_seconds
            As in :func:`deliver`.

        Notes
        -----
        A log that cannot be read delivers: a repeated alert is better than a missing one.
        """
        try:
            delivered, logged = self.delivered_causes(), self.logged_causes()
        except OSError:
            delivered, logged = frozenset(), frozenset()
        if alert.cause_key in delivered:
            return Delivery(is_logged=True, webhook="already delivered")
        if alert.cause_key in logged:
            return _call_and_log(alert, self.path, webhook_url=webhook_url, timeout_seconds=timeout_seconds)
        return deliver(alert, log_path=self.path, webhook_url=webhook_url, timeout_seconds=timeout_seconds)

    def _records(self) -> list[dict[str, Any]]:
        """Return the lines that are records; a line torn by a crash counts as never written."""
        if not self.path.exists():
            return []
        records = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and "cause_key" in record:
                records.append(record)
        return records


def deliver(alert: Alert, *, log_path: Path, webhook_url: str | None, timeout_seconds: float) -> Delivery:
    """Write an alert to the log and call the webhook, whatever was delivered before.

    Parameters
    ----------
    alert : Alert
        What to deliver.
    log_path : Path
        The JSON lines file.
    webhook_url : str or None
        Where to POST it, http or https; None for nowhere. The request's JSON holds the alert and, for chat services,
        its ``text``.
    timeout_seconds : float
        For the connection and for each read.

    Returns
    -------
    Delivery
        Errors are in it, and in the log where that can be written; none is raised and none is lost. A log that cannot
        be written does not keep the webhook from being called.
    """
    problem = _logged(log_path, {"event": "alert", **alert.record()})
    delivery = _call_and_log(alert, log_path, webhook_url=webhook_url, timeout_seconds=timeout_seconds)
    if problem:
        detail = f"{problem}; {delivery.detail}" if delivery.detail else problem
        return Delivery(is_logged=False, webhook=delivery.webhook, detail=detail)
    return delivery


def _call_and_log(alert: Alert, log_path: Path, *, webhook_url: str | None, timeout_seconds: float) -> Delivery:
    outcome: WebhookOutcome = "not configured"
    detail = ""
    if webhook_url is not None:
        detail = _post(alert, webhook_url, timeout_seconds)
        outcome = "failed" if detail else "delivered"
    record = {"event": "delivery", "cause_key": alert.cause_key, "webhook": outcome, "detail": detail}
    problem = _logged(log_path, record)
    return Delivery(
        is_logged=not problem, webhook=outcome, detail="; ".join(part for part in (problem, detail) if part)
    )


def _logged(path: Path, record: dict[str, Any]) -> str:
    """Append a record; return what went wrong, or nothing."""
    try:
        append_json_line(path, record)
    except OSError as error:
        return f"the alert log {path} could not be written ({error}); correct monitoring.alert_log"
    return ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the error it is: following it would turn the POST into a GET that delivers nothing."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def _post(alert: Alert, url: str, timeout_seconds: float) -> str:
    """Call the webhook; return what went wrong, or nothing. The address may hold a secret and is shown as its host."""
    host = "the webhook"
    try:
        parts = urlsplit(url)
        host = f"the webhook at {parts.hostname}"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return f"monitoring.webhook_url must be an http or https address with a host, found scheme {parts.scheme!r}"
        payload = {"text": f"[{alert.severity}] {alert.title}\n{alert.body}", **alert.record()}
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            url,
            data=json.dumps(payload).encode(),
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": sha256(alert.cause_key.encode()).hexdigest(),
            },
            method="POST",
        )
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_seconds):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"{host} answered {error.code} {error.reason}; correct monitoring.webhook_url or mend the receiver"
    except TimeoutError:
        return f"{host} did not answer within {timeout_seconds} s; mend the receiver or raise the timeout"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{host} could not be called ({type(error).__name__}: {error}); correct monitoring.webhook_url"
