"""One question to several brokers at once, with an end: none waits for another.

Belongs here: the threads and the deadline. What is asked is :mod:`aegis.execution.brokers.multi`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from typing import TypeVar

from aegis.errors import BrokerUnavailable

Answer = TypeVar("Answer")


class ConcurrentQuestions:
    """A thread for each broker, in which its questions wait for each other.

    Parameters
    ----------
    names : iterable of str
        The brokers.
    patience_seconds : float
        How long the slowest is waited for; a question that is still under way then goes on, unheard, and one that was
        not begun is dropped: behind a mute broker they would grow in number.
    """

    def __init__(self, names: Iterable[str], *, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._threads = {
            name: ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"asks-{name}") for name in sorted(names)
        }

    def ask(
        self,
        question: Callable[[str], Answer],
        *,
        failures: tuple[type[Exception], ...],
        names: Collection[str] | None = None,
    ) -> dict[str, Answer | Exception]:
        """Return each broker's answer by name, or why there is none.

        Parameters
        ----------
        question : callable
            Takes a broker's name.
        failures : tuple of exception classes
            Those that stand in the place of an answer; others are raised.
        names : collection of str, optional
            Who is asked; all where it is left out.
        """
        deadline = time.monotonic() + self._patience
        asked = {
            name: thread.submit(question, name)
            for name, thread in self._threads.items()
            if names is None or name in names
        }
        found: dict[str, Answer | Exception] = {}
        for name, future in asked.items():
            try:
                found[name] = future.result(max(0.0, deadline - time.monotonic()))
            except NotInTime:
                future.cancel()
                found[name] = BrokerUnavailable(f"{name!r} gave no answer within {self._patience:g} s; ask again")
            except CancelledError:
                found[name] = BrokerUnavailable(f"{name!r} was closed; make another broker")
            except failures as error:
                found[name] = error
        return found

    def close(self) -> None:
        """Let go of the threads; a question that is under way ends by itself."""
        for thread in self._threads.values():
            thread.shutdown(wait=False, cancel_futures=True)
