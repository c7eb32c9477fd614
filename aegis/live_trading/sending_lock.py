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
import os
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
        file = self._opened()
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield
        finally:
            os.close(file)

    def wait_until_nobody_sends(
        self,
        timeout_seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> bool:
        """Return True once nobody sends, False if somebody still did after the timeout."""
        until = monotonic() + timeout_seconds
        file = self._opened()
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if monotonic() >= until:
                        return False
                    sleep(_POLL_SECONDS)
                else:
                    return True
        finally:
            os.close(file)

    def _opened(self) -> int:
        """Open the file anew, as a lock belongs to an opening: two threads that shared one would free each other's."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(self.path, flags, 0o666)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, flags, 0o666)
