"""Telling a person what stands wrong, once, and that it is over: the log first, then every configured channel.

Belongs here: which message follows from the causes of now, and what of them has arrived where. Delivery through one
channel is :mod:`aegis.monitoring.channel_worker`.

Notes
-----
The log is that of :class:`~aegis.live_trading.alerts.AlertLog`: ``alert`` and ``cleared`` lines, and for each channel
``{"event": "sent", "channel": ..., "key": ..., "problem": ""}`` when a message arrived, or failed in a new way. A
message without such a line of success is delivered after a restart, under the same key: at least once, and never lost.
While the log cannot be written, channels are told all the same, and its lines follow when it can.

Whoever trades only compares the causes with those of before; writing and sending happen on threads of their own.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aegis.config_monitoring import AlertSettings
from aegis.durable_files import append_json_line
from aegis.live_trading.alerts import Alert, AlertLog, alert_from
from aegis.monitoring.alert_messages import AlertChannel, AlertMessage, Sent, began, over
from aegis.monitoring.causes import Cause
from aegis.monitoring.channel_worker import ChannelWorker

_CLOSES_WITHIN_SECONDS = 2.0
_LOG_RETRY_SECONDS = 1.0
_WAITING_FOR_THE_LOG = 10_000


class AlertDispatch:
    """The alerts of one account; :meth:`hear` from one thread.

    Parameters
    ----------
    path : Path
        The log, JSON lines.
    settings : AlertSettings
        Pauses, and how long a cause must be gone.
    channels : sequence of AlertChannel
        The ways to a person.

    Raises
    ------
    OSError
        A log that exists cannot be read: what was told is not known.
    """

    def __init__(self, path: Path, settings: AlertSettings, channels: Sequence[AlertChannel] = ()) -> None:
        self._log = AlertLog(path)
        self._clear_after = timedelta(seconds=settings.clear_after_seconds)
        self._open: dict[str, Alert] = {}
        self._last_seen: dict[str, datetime] = {}
        self._changes: queue.Queue[AlertMessage | None] = queue.Queue(_WAITING_FOR_THE_LOG)
        self._unwritten: list[AlertMessage] = []
        self._last_problem: dict[tuple[str, str], str] = {}
        self._log_problem = ""
        records = self._log.records()
        self._open = _open_alerts(records)
        self._workers = {
            channel.name: ChannelWorker(
                channel,
                first_pause_seconds=settings.retry_first_seconds,
                longest_pause_seconds=settings.retry_longest_seconds,
                noted=lambda message, sent, name=channel.name: self._note_sent(name, message, sent),  # type: ignore[misc]
                reload=lambda name=channel.name: undelivered(self._log.records(), name),  # type: ignore[misc]
            )
            for channel in channels
        }
        for name, worker in self._workers.items():
            for message in undelivered(records, name):
                worker.put(message)
            worker.start()
        self._writer = threading.Thread(target=self._write, name="alerts-log", daemon=True)
        self._writer.start()

    def hear(self, causes: Sequence[Cause], at_utc: datetime) -> None:
        """Take note of all that stands at an instant; what began or is over is told. Returns at once.

        Parameters
        ----------
        causes : sequence of Cause
            All of them.
        at_utc : datetime
            When; aware UTC.
        """
        for cause in causes:
            self._last_seen[cause.key] = at_utc
            if cause.key not in self._open:
                alert = Alert(cause.key, cause.title, cause.body, cause.severity, at_utc)
                if self._put(began(alert)):
                    self._open[cause.key] = alert
        standing = {cause.key for cause in causes}
        for key in [key for key in self._open if key not in standing]:
            gone_for = at_utc - self._last_seen.setdefault(key, at_utc)
            if gone_for >= self._clear_after and self._put(over(self._open[key], at_utc)):
                del self._open[key], self._last_seen[key]

    def problems(self) -> tuple[str, ...]:
        """Return what keeps messages from arriving now, each with its channel."""
        told = {"log": self._log_problem, **{name: worker.problem for name, worker in self._workers.items()}}
        return tuple(f"{name}: {problem}" for name, problem in told.items() if problem)

    def close(self) -> None:
        """Try once more what waits, and stop the threads; what has not arrived is in the log."""
        self._changes.put(None)
        self._writer.join(_CLOSES_WITHIN_SECONDS)
        for worker in self._workers.values():
            worker.close(_CLOSES_WITHIN_SECONDS)

    def _put(self, message: AlertMessage) -> bool:
        try:
            self._changes.put_nowait(message)
        except queue.Full:
            return False  # the same change is seen again at the next look
        return True

    def _write(self) -> None:
        """Write each change down and hand it to the channels, in this order unless the log fails."""
        while True:
            try:
                message = self._changes.get(timeout=_LOG_RETRY_SECONDS if self._unwritten else None)
            except queue.Empty:
                self._write_down()
                continue
            if message is not None:
                self._unwritten.append(message)
            self._write_down()
            if message is None:
                return
            for worker in self._workers.values():
                worker.put(message)

    def _write_down(self) -> None:
        try:
            while self._unwritten:
                message = self._unwritten[0]
                if message.is_over:
                    self._log.clear(message.cause_key, message.at_utc)
                else:
                    alert = Alert(message.cause_key, message.title, message.body, message.severity, message.at_utc)
                    self._log.note(alert)
                self._unwritten.pop(0)
            self._log_problem = ""
        except OSError as error:
            self._log_problem = f"{self._log.path} cannot be written ({error}); make room or mend the folder"

    def _note_sent(self, channel: str, message: AlertMessage, sent: Sent) -> None:
        """Write down that a message arrived, or a failure that is another than its last one."""
        place = channel, message.key
        if sent.problem and self._last_problem.get(place) == sent.problem:
            return
        self._last_problem[place] = sent.problem
        if not sent.problem:
            del self._last_problem[place]
        line = {
            "event": "sent",
            "cause_key": message.cause_key,
            "at_utc": message.at_utc.isoformat(),
            "channel": channel,
            "key": message.key,
            "problem": sent.problem,
        }
        try:
            append_json_line(self._log.path, line)
        except OSError as error:
            self._log_problem = f"{self._log.path} cannot be written ({error}); make room or mend the folder"


def undelivered(records: Sequence[Mapping[str, Any]], channel: str) -> list[AlertMessage]:
    """Return the messages of a log that did not arrive through a channel, oldest first.

    Notes
    -----
    A channel that the log does not know is new: it is told of what stands, and not of all that ever did.
    """
    if not any(record.get("event") == "sent" and record.get("channel") == channel for record in records):
        return [began(alert) for alert in _open_alerts(records).values()]
    messages: dict[str, AlertMessage] = {}
    began_as: dict[str, Alert] = {}
    for record in records:
        event = record.get("event")
        if event == "alert":
            alert = began_as[record["cause_key"]] = alert_from(dict(record))
            messages[began(alert).key] = began(alert)
        elif event == "cleared" and record["cause_key"] in began_as:
            message = over(began_as[record["cause_key"]], datetime.fromisoformat(record["at_utc"]))
            messages[message.key] = message
        elif event == "sent" and record.get("channel") == channel and not record.get("problem"):
            messages.pop(str(record.get("key")), None)
    return list(messages.values())


def _open_alerts(records: Iterable[Mapping[str, Any]]) -> dict[str, Alert]:
    found: dict[str, Alert] = {}
    for record in records:
        if record.get("event") == "alert":
            found[record["cause_key"]] = alert_from(dict(record))
        elif record.get("event") == "cleared":
            found.pop(record["cause_key"], None)
    return found
