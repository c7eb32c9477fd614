"""Several brokers that are asked: one, some, or all at once; who gave no answer, and why, is kept.

Belongs here: asking. What is asked is :mod:`aegis.execution.brokers.multi`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from aegis.errors import BrokerUnavailable, ConfigurationError, SubmissionUnknown
from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance, Broker
from aegis.execution.brokers.broker_abilities import ClockedBroker
from aegis.execution.brokers.concurrent_questions import ConcurrentQuestions

Answer = TypeVar("Answer")
DOWN = (BrokerUnavailable, SubmissionUnknown, ConfigurationError)
"""What counts as no answer."""


@dataclass(frozen=True, slots=True)
class BrokerReport:
    """What one of several brokers says; `failure` says why it says nothing, and is empty where it does."""

    positions: tuple[Position, ...]
    balance: AccountBalance | None
    failure: str


class AskedBrokers:
    """Brokers by name; safe to share between threads.

    Parameters
    ----------
    brokers : mapping of str to Broker
    patience_seconds : float
        How long the slowest is waited for where several are asked.
    """

    def __init__(self, brokers: Mapping[str, Broker], *, patience_seconds: float) -> None:
        self._brokers = brokers
        self._questions = ConcurrentQuestions(brokers, patience_seconds=patience_seconds)
        self._lock = threading.Lock()
        self._failures: dict[str, str] = {}

    def one(self, name: str, act: Callable[[Broker], Answer]) -> Answer:
        """Return what a broker answers."""
        return self.noting(name, lambda: act(self._brokers[name]))

    def each(
        self, act: Callable[[Broker], Answer], names: Collection[str] | None = None
    ) -> dict[str, Answer | Exception]:
        """Return what each of them, or of those named, answers, or why it does not; they are asked at once."""
        answers = self._questions.ask(lambda name: self.one(name, act), failures=DOWN, names=names)
        with self._lock:
            self._failures.update({name: str(why) for name, why in answers.items() if isinstance(why, Exception)})
        return answers

    def all(self, act: Callable[[Broker], Answer]) -> dict[str, Answer]:
        """Return what each of them answers.

        Raises
        ------
        BrokerUnavailable
            One does not.
        """
        answers = self.each(act)
        down = [f"{name!r}: {why}" for name, why in answers.items() if isinstance(why, Exception)]
        if down:
            raise BrokerUnavailable(f"no total without every broker, and these do not say: {'; '.join(down)}")
        return {name: answer for name, answer in answers.items() if not isinstance(answer, Exception)}

    def noting(self, name: str, act: Callable[[], Answer]) -> Answer:
        """Return what something asked of a broker comes to, and take note of whether it answered."""
        try:
            answer = act()
        except DOWN as error:
            with self._lock:
                self._failures[name] = str(error)
            raise
        with self._lock:
            self._failures.pop(name, None)
        return answer

    def failures(self) -> dict[str, str]:
        """Return why brokers gave no answer when they were last asked, by name."""
        with self._lock:
            return dict(self._failures)

    def close(self) -> None:
        """Ask no more."""
        self._questions.close()


def skew_seconds(broker: Broker) -> float:
    """Return by how much a broker's clock is ahead of ours; 0 of one that has none."""
    return broker.clock_skew_seconds() if isinstance(broker, ClockedBroker) else 0.0
