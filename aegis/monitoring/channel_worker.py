"""Delivering messages through one channel until they arrive, on a thread of its own.

Belongs here: what waits, in which order it is tried, and pauses. What is remembered on the disk is the log's, see
:mod:`aegis.monitoring.alert_dispatch`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable

from aegis.monitoring.alert_messages import AlertChannel, AlertMessage, Sent

_WAITING = 1_000


class ChannelWorker:
    """One channel with its thread.

    Parameters
    ----------
    channel : AlertChannel
        Sends.
    first_pause_seconds, longest_pause_seconds : float
        Between two attempts while nothing arrives; it doubles. A new message is tried at once.
    noted : callable
        Told how each attempt ended; a message that arrived is forgotten afterwards.
    reload : callable
        Returns the messages that the log says have not arrived; asked when more came than memory holds.
    """

    def __init__(
        self,
        channel: AlertChannel,
        *,
        first_pause_seconds: float,
        longest_pause_seconds: float,
        noted: Callable[[AlertMessage, Sent], None],
        reload: Callable[[], Iterable[AlertMessage]],
    ) -> None:
        self._channel = channel
        self._first, self._longest = first_pause_seconds, longest_pause_seconds
        self._noted, self._reload = noted, reload
        self._waiting: OrderedDict[str, AlertMessage] = OrderedDict()
        self._overflowed = False
        self._changed = threading.Condition()
        self._is_closing = False
        self.problem = ""
        """Why the last attempt failed; empty after a success."""
        self._thread = threading.Thread(target=self._run, name=f"alerts-{channel.name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def put(self, message: AlertMessage) -> None:
        """Deliver a message; one too many for memory is read back from the log later."""
        with self._changed:
            if len(self._waiting) >= _WAITING:
                self._overflowed = True
                return
            self._waiting.setdefault(message.key, message)
            self._changed.notify_all()

    def close(self, timeout_seconds: float) -> None:
        """Try once more what waits, and stop; what has not arrived is delivered after the next start."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        pause = self._first
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._overflowed or self._is_closing)
            has_failed = self._deliver()
            with self._changed:
                if self._is_closing:
                    return
                if not has_failed:
                    pause = self._first
                    continue
                known = len(self._waiting)
                self._changed.wait_for(lambda: self._is_closing or len(self._waiting) > known, pause)  # noqa: B023
            pause = min(2 * pause, self._longest)

    def _deliver(self) -> bool:
        """Try what waits, oldest first, and return whether anything was not delivered."""
        with self._changed:
            if self._overflowed and not self._waiting:
                self._overflowed = False
                for message in self._reload():
                    self._waiting.setdefault(message.key, message)
            messages = list(self._waiting.values())
        failed: set[str] = set()
        for message in messages:
            if message.cause_key in failed:
                continue  # that a cause is over is not told before that it began
            sent = self._channel.send(message)
            self.problem = sent.problem
            self._noted(message, sent)
            if not sent.problem:
                with self._changed:
                    self._waiting.pop(message.key, None)
                continue
            failed.add(message.cause_key)
            if not sent.is_reachable:
                break
        return bool(failed)
