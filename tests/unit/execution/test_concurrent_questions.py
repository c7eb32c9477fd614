"""Questions to several brokers at once."""

from __future__ import annotations

import threading

from aegis.errors import BrokerUnavailable
from aegis.execution.brokers.concurrent_questions import ConcurrentQuestions


def test_questions_behind_one_that_is_not_answered_are_dropped_and_not_asked_later():
    answers, asked = threading.Event(), []

    def question(number: int) -> None:
        asked.append(number)
        answers.wait()

    questions = ConcurrentQuestions(["mute"], patience_seconds=0.02)
    for number in range(3):
        told = questions.ask(lambda _, number=number: question(number), failures=())
        assert isinstance(told["mute"], BrokerUnavailable)
    answers.set()
    while questions.ask(lambda name: name, failures=()) != {"mute": "mute"}:
        pass  # it comes after all that wait in the broker's thread
    assert len(asked) < 2, "only the one that was begun"
    questions.close()
