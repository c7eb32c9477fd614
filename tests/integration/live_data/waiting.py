"""Waiting for what another thread does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
_LONGEST_SECONDS = 10.0


def until(found: Callable[[], Found], *, seconds: float = _LONGEST_SECONDS) -> Found:
    """Return what is found as soon as it is something; fail after so many seconds."""
    ends, pause = time.monotonic() + seconds, threading.Event()
    while not (result := found()):
        assert time.monotonic() < ends, "it did not come"
        pause.wait(0.005)
    return result
