"""Time that passes only while someone sleeps, so that a test of pauses takes none."""

from __future__ import annotations

import threading


class FakeStopwatch:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def seconds(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds
