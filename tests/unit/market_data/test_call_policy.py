from collections.abc import Callable

import numpy as np
import pytest
from pydantic import SecretStr, ValidationError

from aegis.config_vendors import CallSettings
from aegis.errors import SourceRefused, SourceUnavailable
from aegis.market_data.sources.call_policy import FailedAttempt, TokenBucket, Vendor, VendorCalls
from tests.fake_stopwatch import FakeStopwatch

ACME = Vendor("Acme", "market_data.acme", (SecretStr("canary-key"),))
WHAT = "daily bars of AAPL from 2014-06-02 to 2014-06-10"
BUSY = FailedAttempt("HTTP 503: 'busy'")


class FakeVendor:
    """Gives each answer once, and remembers the timeouts; taking `seconds` each time."""

    def __init__(self, stopwatch: FakeStopwatch, *answers: object, seconds: float = 0.0) -> None:
        self.answers = list(answers)
        self.timeouts: list[float] = []
        self.stopwatch = stopwatch
        self.seconds = seconds

    def __call__(self, timeout: float) -> object:
        self.timeouts.append(timeout)
        self.stopwatch.now += self.seconds
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class LargestDraw(np.random.Generator):
    """A generator whose uniform draws are the upper bound."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(1))

    def uniform(self, low: float = 0.0, high: float = 1.0, size: object = None) -> float:  # type: ignore[override]
        assert (low, size) == (0.0, None)
        return high


def calls(stopwatch: FakeStopwatch, **settings: object) -> VendorCalls:
    return VendorCalls(ACME, CallSettings.model_validate(settings), stopwatch=stopwatch, generator=LargestDraw())


def test_a_failure_that_may_pass_is_tried_again_until_an_answer_comes() -> None:
    watch = FakeStopwatch()
    vendor = FakeVendor(watch, BUSY, ConnectionResetError("reset by peer"), "bars")
    policy = calls(watch)
    assert policy.call(vendor, what=WHAT) == "bars"
    assert (policy.counts.requests, policy.counts.attempts, policy.counts.failures) == (1, 3, 2)


def test_pauses_double_up_to_the_longest_one() -> None:
    watch = FakeStopwatch()
    policy = calls(watch, attempts=6, first_pause_seconds=1, longest_pause_seconds=5)
    with pytest.raises(SourceUnavailable):
        policy.call(FakeVendor(watch, *[BUSY] * 6), what=WHAT)
    assert watch.slept == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert policy.counts.pause_seconds == 17.0


def test_a_pause_is_a_uniform_part_of_the_longest() -> None:
    slept = []
    for seed in range(200):
        watch = FakeStopwatch()
        policy = VendorCalls(
            ACME, CallSettings(first_pause_seconds=4), stopwatch=watch, generator=np.random.default_rng(seed)
        )
        policy.call(FakeVendor(watch, BUSY, "bars"), what=WHAT)
        slept += watch.slept
    assert min(slept) < 0.2
    assert max(slept) > 3.8
    assert abs(sum(slept) / len(slept) - 2.0) < 0.25


def test_the_vendors_retry_after_is_kept_when_it_is_longer() -> None:
    watch = FakeStopwatch()
    answers = [FailedAttempt("HTTP 429", 7.0), FailedAttempt("HTTP 429", 0.5), "bars"]
    calls(watch, first_pause_seconds=1).call(FakeVendor(watch, *answers), what=WHAT)
    assert watch.slept == [7.0, 2.0]


def test_a_retry_after_beyond_the_total_timeout_is_not_waited_for() -> None:
    watch = FakeStopwatch()
    vendor = FakeVendor(watch, FailedAttempt("HTTP 429", 3600.0))
    with pytest.raises(SourceUnavailable, match=r"in 1 of 4 attempt.*asks to wait 3600 s"):
        calls(watch).call(vendor, what=WHAT)
    assert watch.slept == []


def test_the_last_attempt_has_only_what_is_left_of_the_total_timeout() -> None:
    watch = FakeStopwatch()
    vendor = FakeVendor(watch, *[BUSY] * 4, seconds=20.0)
    policy = calls(watch, timeout_seconds=30, total_timeout_seconds=50, first_pause_seconds=0)
    with pytest.raises(SourceUnavailable, match="in 3 of 4 attempt"):
        policy.call(vendor, what=WHAT)
    assert vendor.timeouts == [30.0, 30.0, 10.0]


def test_a_final_failure_is_not_tried_again() -> None:
    watch = FakeStopwatch()
    vendor = FakeVendor(watch, FailedAttempt("HTTP 401: 'no'", is_final=True, remedy="check the key"))
    with pytest.raises(SourceRefused) as refusal:
        calls(watch).call(vendor, what=WHAT)
    assert str(refusal.value) == f"Acme: {WHAT}: no answer in 1 of 4 attempt(s): HTTP 401: 'no'; check the key"


def test_the_message_has_vendor_request_attempts_cause_and_remedy() -> None:
    watch = FakeStopwatch()
    with pytest.raises(SourceUnavailable) as failure:
        calls(watch, attempts=2).call(FakeVendor(watch, BUSY, TimeoutError("read timed out")), what=WHAT)
    assert str(failure.value) == (
        f"Acme: {WHAT}: no answer in 2 of 2 attempt(s): TimeoutError: read timed out; check the network and the "
        "vendor's status and run again, or raise market_data.acme.attempts or total_timeout_seconds"
    )


def test_a_programming_error_is_not_swallowed() -> None:
    watch = FakeStopwatch()
    with pytest.raises(ZeroDivisionError):
        calls(watch).call(FakeVendor(watch, ZeroDivisionError()), what=WHAT)


def test_secrets_control_characters_and_long_bodies_stay_out_of_messages() -> None:
    text = ACME.without_secrets("the key canary-key\x00 is\n\u202ewrong" + "x" * 1000)
    assert "canary-key" not in text
    assert text.startswith("the key ***? is \\u202ewrong")
    assert len(text) < 310


def test_the_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    watch = FakeStopwatch()
    bucket = TokenBucket(per_minute=60, burst=3, stopwatch=watch)
    assert [bucket.take() for _ in range(5)] == [0.0, 0.0, 0.0, 1.0, 1.0]
    watch.now += 10
    assert [bucket.take() for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(("per_minute", "burst", "requests"), [(30, 1, 20), (200, 10, 500), (7, 3, 40)])
def test_no_minute_sees_more_than_the_rate_and_the_burst(per_minute: float, burst: int, requests: int) -> None:
    watch = FakeStopwatch()
    bucket = TokenBucket(per_minute=per_minute, burst=burst, stopwatch=watch)
    sent = []
    for _ in range(requests):
        bucket.take()
        sent.append(watch.now)
    for begin in sent:
        assert sum(begin <= at < begin + 60 for at in sent) <= per_minute + burst


def test_the_wait_for_the_rate_limit_is_counted() -> None:
    watch = FakeStopwatch()
    policy = calls(watch, requests_per_minute=60, burst_requests=1)
    for _ in range(3):
        policy.call(FakeVendor(watch, "bars"), what=WHAT)
    assert policy.counts.rate_limit_seconds == 2.0
    assert str(policy.counts) == (
        "3 request(s) in 3 attempt(s), 0 of which failed; 2.0 s waited for the rate limit, 0.0 s between attempts"
    )


@pytest.mark.parametrize(
    "settings",
    [{"attempts": 0}, {"timeout_seconds": 0}, {"requests_per_minute": 0}, {"total_timeout_seconds": 29}],
)
def test_settings_that_allow_no_request_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CallSettings.model_validate(settings)


def test_an_answer_that_is_false_is_an_answer() -> None:
    watch = FakeStopwatch()
    ask: Callable[[float], list[object]] = lambda timeout: []  # noqa: E731, ARG005
    assert calls(watch).call(ask, what=WHAT) == []
