"""Requests to cancel, side by side: an order that its venue does not answer for holds up no other.

Belongs here: the threads, which order waits for one, and what became of each request. Which orders are to end is
:mod:`aegis.live_trading.stop_watch`.

Notes
-----
A broker repeats a request that is not answered, which takes up to minutes. Each runs in a thread of its own, in the
lane of the order's venue. Threads of an executor, as :mod:`aegis.execution.brokers.concurrent_questions` has them, were
rejected: the end of the process waits for these.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from aegis.errors import AegisError, BrokerUnavailable

AT_ONCE = 16
"""Requests under way in a lane; those that hang are not counted. At half a second each, 160 orders end within the
5 s that a stop has."""
MOST_THREADS = 128
"""Requests under way in a lane, those that hang included: as many as have begun four seconds after the first, where
none is answered. A mute venue takes no more of the machine's threads."""
HUNG_SECONDS = 0.5
"""A request that takes longer hangs: it gives its place to the next."""
PATIENCE_SECONDS = 2.0
"""How long an answer is waited for; the request goes on after it."""
REST_SECONDS = 2.0
"""An order whose end the venue has taken note of, or that it had and does not know, is not asked for again before: a
stop may stand for days, and venues count requests."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of a request last.

    Parameters
    ----------
    at : float
        When, by the monotonic clock.
    failure : str
        Why nothing; empty where the request was taken.
    is_lost : bool
        Whether the venue had said that it has the order when it was asked, and does not know it.
    is_slow : bool
        Whether it took longer than the patience.
    """

    at: float
    failure: str
    is_lost: bool
    is_slow: bool


class ConcurrentCancels:
    """Cancels orders, each once at a time; safe to share between threads.

    Parameters
    ----------
    cancel : callable
        Takes an order's id; called by several threads at once.
    lane_of : callable
        Names the venue of an order: a mute one takes no place of another's.
    """

    def __init__(self, cancel: Callable[[str], object], *, lane_of: Callable[[str], str]) -> None:
        self._cancel, self._lane_of = cancel, lane_of
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[str]] = {}
        self._begun: dict[str, dict[str, float]] = {}
        self._threadless: deque[tuple[str, str]] = deque()
        self._asked: dict[str, bool] = {}  # whether the venue had said that it has the order
        self._answers: dict[str, _Answer] = {}
        self._is_closed = False

    def ask(
        self, client_order_ids: Iterable[str], *, acknowledged: Collection[str] = (), arrived: Collection[str] = ()
    ) -> None:
        """Ask for the end of orders that are not asked for already, and wait a while for the answers.

        Parameters
        ----------
        client_order_ids : iterable of str
            Which.
        acknowledged : collection of str
            Those of which the venue has said that it ends them.
        arrived : collection of str
            Those that the venue has said that it has: one that it does not know is not on its way to it.

        Notes
        -----
        What is under way is not waited for, nor is an order whose last answer took longer than the patience.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._changed:
            if self._is_closed:
                return
            asked = [name for name in client_order_ids if not self._rests(name, acknowledged)]
            awaited = {name for name in asked if self._take(name, has_arrived=name in arrived)}
            awaited = {name for name in awaited if name not in self._answers or not self._answers[name].is_slow}
            self._begin()
            while not self._threadless and awaited & self._asked.keys() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(min(left, HUNG_SECONDS / 2))
                self._begin()  # in the places of those that hang by now
        self._run_threadless()

    def failures(self, client_order_ids: Collection[str]) -> tuple[str, ...]:
        """Return, by order, why it could not be cancelled when that was tried last, else for how long nobody answered.

        Parameters
        ----------
        client_order_ids : collection of str
            Those that are open; what is kept of others is forgotten.
        """
        with self._changed:
            for name in self._answers.keys() - client_order_ids - self._asked.keys():
                del self._answers[name]
            told = {name: answer.failure for name, answer in self._answers.items() if answer.failure}
            now = time.monotonic()
            begun = [item for lane in self._begun.values() for item in lane.items()]
            mute = {
                name: f"order {name}: asked to cancel it, and no answer for {now - since:.0f} s; it is waited for, or "
                "cancel it in the venue's own pages"
                for name, since in begun
                if now - since > HUNG_SECONDS
            }
            return tuple(said for _, said in sorted({**mute, **told}.items()))

    def forget_waiting(self) -> None:
        """Make no request that waits for its turn: the stop is over."""
        with self._changed:
            for waiting in self._waiting.values():
                for name in waiting:
                    self._asked.pop(name, None)
                waiting.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Begin no more; a request that is under way ends by itself."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._threadless.clear()
            self._asked.clear()
            self._changed.notify_all()

    def _rests(self, name: str, acknowledged: Collection[str]) -> bool:
        """Whether an order is not to be asked for again yet."""
        last = self._answers.get(name)
        if last is None or time.monotonic() - last.at >= REST_SECONDS:
            return False
        return name in acknowledged or last.is_lost

    def _take(self, name: str, *, has_arrived: bool) -> bool:
        """Let an order wait for its turn; return False where it does already, or is under way."""
        if name in self._asked:
            return False
        self._waiting.setdefault(self._lane_of(name), deque()).append(name)
        self._asked[name] = has_arrived
        return True

    def _begin(self) -> None:
        """Begin as many of the requests that wait as there is room for."""
        for lane, waiting in self._waiting.items():
            begun = self._begun.setdefault(lane, {})
            now = time.monotonic()
            quick = sum(now - since <= HUNG_SECONDS for since in begun.values())
            while waiting and quick < AT_ONCE and len(begun) < MOST_THREADS:
                name = waiting.popleft()
                begun[name] = now
                thread = threading.Thread(target=self._run, args=(lane, name), name=f"cancels-{name}", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the machine gives no more threads
                    self._threadless.append((lane, name))
                quick += 1

    def _run_threadless(self) -> None:
        """Make the requests for which the machine gave no thread in the one that asks, one after another."""
        while True:
            with self._changed:
                if not self._threadless:
                    return
                lane, name = self._threadless.popleft()
                self._begun[lane][name] = time.monotonic()
            self._run(lane, name)

    def _run(self, lane: str, name: str) -> None:
        """Make a request, keep what became of it, and give its place to the next."""
        failure, is_unknown = "", False
        try:
            self._cancel(name)
        except AegisError as error:
            failure, is_unknown = str(error), not isinstance(error, BrokerUnavailable)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next request needs its place, and a person is told
            failure = f"order {name}: asked to cancel it, and met {error!r}; it is asked again, or cancel it by hand"
        with self._changed:
            now = time.monotonic()
            since = self._begun[lane].pop(name)
            is_lost = self._asked.pop(name, False) and is_unknown
            self._answers[name] = _Answer(now, failure, is_lost, is_slow=now - since > PATIENCE_SECONDS)
            self._begin()
            self._changed.notify_all()
