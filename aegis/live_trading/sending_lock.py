"""Whether anybody is in the middle of sending an order, so that a stop can know when the last one has left.

Belongs here: the lock between those who send and those who stop. The switch itself is
:mod:`aegis.live_trading.kill_switch`.

Notes
-----
Everybody who sends holds the lock, shared, from asking the switch until the broker has answered. Whoever engaged the
switch takes it alone: once that succeeds, each order either left before the stop or will meet the engaged switch. The
operating system frees the lock of a process that died.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.005


class SendingLock:
    """The lock of one account.

    Parameters
    ----------
    path : Path
        A file beside the account's kill switch; it is empty, and stays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def beside(cls, switch: Path) -> SendingLock:
        """Return the lock that belongs to the kill switch at `switch`."""
        return cls(switch.with_name(f"{switch.stem}.sending.lock"))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Hold the lock while an order is sent; others may send at the same time.

        Raises
        ------
        OSError
            The file cannot be opened: nothing may be sent.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def wait_until_nobody_sends(
        self,
        timeout_seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> bool:
        """Return True once nobody sends, False if somebody still did after the timeout."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        until = monotonic() + timeout_seconds
        with self.path.open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if monotonic() >= until:
                        return False
                    sleep(_POLL_SECONDS)
                else:
                    return True
