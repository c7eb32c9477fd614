"""Requests to cancel side by side: what hangs holds up no other, in its lane or another, and threads are bounded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from aegis.errors import BrokerUnavailable, ExecutionError
from aegis.live_trading import concurrent_cancels
from aegis.live_trading.concurrent_cancels import AT_ONCE, MOST_THREADS, ConcurrentCancels

LONGEST_SECONDS = 5.0


class Venues:
    """Answers for orders but those that are named so: these wait until they are let go."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.errors: dict[str, Exception] = {}
        self.answered = threading.Event()
        self._let_go = threading.Event()

    def cancel(self, name: str) -> None:
        self.asked[name] += 1
        if "mute" in name:
            self._let_go.wait()
        if name in self.errors:
            raise self.errors[name]
        self.answered.set()

    def let_go(self) -> None:
        self._let_go.set()


@pytest.fixture
def venues(monkeypatch: pytest.MonkeyPatch) -> Iterator[Venues]:
    monkeypatch.setattr(concurrent_cancels, "HUNG_SECONDS", 0.02)
    monkeypatch.setattr(concurrent_cancels, "PATIENCE_SECONDS", 0.05)
    made = Venues()
    yield made
    made.let_go()


@pytest.fixture
def cancels(venues: Venues) -> ConcurrentCancels:
    return ConcurrentCancels(venues.cancel, lane_of=lambda name: name.partition(":")[0])


def mute(count: int) -> list[str]:
    return [f"a:mute-{number:03}" for number in range(count)]


def test_a_venue_that_answers_for_nothing_takes_no_place_of_another_s(venues: Venues, cancels: ConcurrentCancels):
    cancels.ask([*mute(2 * MOST_THREADS), "b:last"])
    assert venues.answered.wait(LONGEST_SECONDS)
    assert cancels.failures({"b:last"})[-1].startswith("order a:mute")


def test_orders_that_hang_give_their_places_to_those_behind_them(venues: Venues, cancels: ConcurrentCancels):
    cancels.ask([*mute(2 * AT_ONCE), "a:last"])
    for _ in range(100):
        if venues.answered.wait(0.05):
            break
        cancels.ask(["a:last"])  # as whoever looks again does
    assert venues.asked["a:last"] == 1


def test_what_is_under_way_is_not_begun_again_and_threads_are_bounded(venues: Venues, cancels: ConcurrentCancels):
    names = [f"{name} of this test" for name in mute(MOST_THREADS + 10)]  # others of earlier tests may still begin

    def cancelling() -> int:
        return sum(
            thread.name.startswith("cancels-") and "this test" in thread.name for thread in threading.enumerate()
        )

    for _ in range(200):
        cancels.ask(names)
        assert cancelling() <= MOST_THREADS
        threading.Event().wait(0.001)
    assert cancelling() == len(venues.asked) == MOST_THREADS
    assert set(venues.asked.values()) == {1}
    venues.let_go()
    for _ in range(100):
        cancels.ask([])
        if len(venues.asked) == len(names) and not cancelling() and not cancels.failures(names):
            break
        threading.Event().wait(0.02)
    assert set(venues.asked) == set(names)
    assert cancelling() == 0
    assert cancels.failures(names) == ()


def test_what_failed_is_told_until_it_is_asked_for_again_and_succeeds(venues: Venues, cancels: ConcurrentCancels):
    venues.errors = {"a:1": BrokerUnavailable("the venue is down"), "a:2": ZeroDivisionError("nobody expects it")}
    cancels.ask(["a:1", "a:2", "a:3"])
    told = cancels.failures({"a:1", "a:2"})
    assert told[0] == "the venue is down"
    assert "a:2" in told[1]
    assert "nobody expects it" in told[1]
    assert cancels.failures({"a:2"}) == told[1:], "the other is open no more"
    venues.errors.clear()
    cancels.ask(["a:2"])
    assert cancels.failures({"a:2"}) == ()


def test_an_order_whose_end_the_venue_has_noted_rests(venues: Venues, cancels: ConcurrentCancels):
    for _ in range(3):
        cancels.ask(["a:1", "a:2"], acknowledged=["a:2"])
    assert venues.asked == {"a:1": 3, "a:2": 1}


def test_an_order_that_the_venue_had_and_does_not_know_rests_and_one_on_its_way_does_not(
    venues: Venues, cancels: ConcurrentCancels
):
    venues.errors = {name: ExecutionError(f"order {name}: unknown") for name in ("a:had", "a:sent")}
    for _ in range(3):
        cancels.ask(["a:had", "a:sent"], arrived=["a:had"])
    assert venues.asked == {"a:had": 1, "a:sent": 3}
    assert cancels.failures({"a:had", "a:sent"}) == ("order a:had: unknown", "order a:sent: unknown")


def test_a_machine_that_gives_no_threads_cancels_one_after_another(
    venues: Venues, cancels: ConcurrentCancels, monkeypatch: pytest.MonkeyPatch
):
    def exhausted(_: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    names = [f"a:{number}" for number in range(2 * AT_ONCE + 1)]
    venues.errors = {"a:1": BrokerUnavailable("the venue is down")}
    monkeypatch.setattr(threading.Thread, "start", exhausted)
    cancels.ask(names)
    assert venues.asked == dict.fromkeys(names, 1)
    assert cancels.failures(names) == ("the venue is down",)


def test_after_the_end_nothing_is_begun(venues: Venues, cancels: ConcurrentCancels):
    cancels.ask(mute(MOST_THREADS + 1))
    begun = len(venues.asked)
    cancels.close()
    venues.let_go()
    cancels.ask(["a:1"])
    while threads := [each for each in threading.enumerate() if each.name.startswith("cancels-")]:
        threads[0].join(LONGEST_SECONDS)
    assert len(venues.asked) == begun
