"""Whether anybody is in the middle of sending an order, so that a stop can know when the last one has left.

Belongs here: the lock between those who send and those who stop. The switch itself is
:mod:`aegis.live_trading.kill_switch`.

Notes
-----
Everybody who sends holds the lock, shared, from asking the switch until the broker has answered. Whoever engaged the
switch takes it alone: once that succeeds, each order either left before the stop or will meet the engaged switch. The
operating system frees the lock of a process that died.

What is locked is the folder of the switch. A file made for the purpose looks like one that was left behind, and whoever
deletes it while an order is on its way has the next stop lock another. Accounts whose switches share a folder wait for
each other's orders when one is stopped.
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
    folder : Path
        That of the account's kill switch; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def beside(cls, switch: Path) -> SendingLock:
        """Return the lock that belongs to the kill switch at `switch`."""
        return cls(switch.parent)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Hold the lock while an order is sent; others may send at the same time.

        Raises
        ------
        OSError
            The folder cannot be opened or locked: nothing may be sent.
        """
        folder = self._opened()
        try:
            fcntl.flock(folder, fcntl.LOCK_SH)
            yield
        finally:
            os.close(folder)

    def wait_until_nobody_sends(
        self,
        timeout_seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> bool:
        """Return True once nobody sends, False if somebody still did after the timeout.

        Raises
        ------
        OSError
            The folder cannot be opened or locked: who sends cannot be seen.
        """
        until = monotonic() + timeout_seconds
        folder = self._opened()
        try:
            while True:
                try:
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if monotonic() >= until:
                        return False
                    sleep(_POLL_SECONDS)
                else:
                    return True
        finally:
            os.close(folder)

    def _opened(self) -> int:
        """Open the folder anew: a lock belongs to an opening, and threads that shared one would free each other's."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            return os.open(self.folder, flags)
        except FileNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True)
            return os.open(self.folder, flags)
