"""How often, how long and how many times a vendor is asked.

Belongs here: the one policy of every network source: rate limit, retries, pauses, timeouts, and the words of its
refusals. What a failure is, a vendor's module says, or :mod:`aegis.market_data.sources.http_calls` for HTTP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
from pydantic import SecretStr

from aegis.config_vendors import CallSettings
from aegis.errors import SourceRefused, SourceUnavailable

Answer = TypeVar("Answer")

_LONGEST_CAUSE = 300
_SHORTEST_TIMEOUT = 0.01
"""Seconds; a pause that overslept leaves none, and clients refuse a timeout of nothing."""


class Stopwatch(Protocol):
    """Elapsed time, and waiting."""

    def seconds(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class SystemStopwatch:
    """The machine's monotonic clock."""

    def seconds(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)


class TokenBucket:
    """At most `burst` requests at once and `per_minute` in the long run; safe to share between threads.

    Parameters
    ----------
    per_minute : float
        Tokens that flow in within a minute.
    burst : int
        Tokens that the bucket holds; it begins full.
    stopwatch : Stopwatch
    """

    def __init__(self, *, per_minute: float, burst: int, stopwatch: Stopwatch) -> None:
        self._per_second = per_minute / 60.0
        self._burst = float(burst)
        self._stopwatch = stopwatch
        self._tokens = float(burst)
        self._filled_at = stopwatch.seconds()
        self._lock = threading.Lock()

    def take(self) -> float:
        """Take one token, waiting for it when there is none; return the seconds waited."""
        with self._lock:
            now = self._stopwatch.seconds()
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second) - 1.0
            self._filled_at = now
            wait = max(0.0, -self._tokens / self._per_second)
        if wait:  # outside the lock: who comes next has its own place in the queue already
            self._stopwatch.sleep(wait)
        return wait


@dataclass(frozen=True)
class FailedAttempt:
    """Why one attempt gave no answer.

    Parameters
    ----------
    cause : str
        What happened, for the message.
    retry_after_seconds : float, optional
        How long the vendor asks to be left alone.
    is_final : bool
        Whether asking again would be refused again.
    remedy : str
        What to do about it; needed when it is final.
    """

    cause: str
    retry_after_seconds: float | None = None
    is_final: bool = False
    remedy: str = ""


@dataclass(frozen=True)
class Vendor:
    """Who is asked, as messages say it.

    Parameters
    ----------
    name : str
        Such as ``Alpaca``.
    settings : str
        Section of its settings, such as ``market_data.alpaca``.
    secrets : tuple of SecretStr
        Taken out of every message, also where a vendor repeats them in its answer.
    """

    name: str
    settings: str
    secrets: tuple[SecretStr, ...] = ()

    def without_secrets(self, text: str) -> str:
        """Return `text` on one line of printable ASCII, cut off when it is long, without this vendor's secrets."""
        for secret in self.secrets:
            if value := secret.get_secret_value():
                text = text.replace(value, "***")
        flat = " ".join(text.split()).encode("ascii", "backslashreplace").decode("ascii")
        shown = "".join(letter if letter.isprintable() else "?" for letter in flat)
        return shown if len(shown) <= _LONGEST_CAUSE else f"{shown[:_LONGEST_CAUSE]}..."


@dataclass(frozen=True)
class CallCounts:
    """What asking a vendor has cost so far."""

    requests: int = 0
    attempts: int = 0
    failures: int = 0
    rate_limit_seconds: float = 0.0
    pause_seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.requests} request(s) in {self.attempts} attempt(s), {self.failures} of which failed; "
            f"{self.rate_limit_seconds:.1f} s waited for the rate limit, {self.pause_seconds:.1f} s between attempts"
        )


class VendorCalls:
    """Calls to one vendor under its policy.

    Parameters
    ----------
    vendor : Vendor
    settings : CallSettings
        Attempts, timeouts, pauses and the rate limit.
    stopwatch : Stopwatch, optional
    generator : numpy.random.Generator, optional
        Draws the pauses; not seeded by default, so that processes that fail together do not ask again together.

    Notes
    -----
    After the n-th failure it waits a uniform part of ``first_pause_seconds x 2^(n-1)``, at most
    ``longest_pause_seconds``, and never less than the vendor's ``Retry-After``. When that wait would not end within
    ``total_timeout_seconds``, it gives up at once.

    References
    ----------
    Brooker (2015), "Exponential backoff and jitter", AWS Architecture Blog: full jitter.
    """

    def __init__(
        self,
        vendor: Vendor,
        settings: CallSettings,
        *,
        stopwatch: Stopwatch | None = None,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.vendor = vendor
        self._settings = settings
        self._stopwatch = stopwatch or SystemStopwatch()
        self._generator = generator or np.random.default_rng()
        self._bucket = TokenBucket(
            per_minute=settings.requests_per_minute, burst=settings.burst_requests, stopwatch=self._stopwatch
        )
        self._counts = CallCounts()
        self._lock = threading.Lock()

    @property
    def counts(self) -> CallCounts:
        """What has been asked so far."""
        return self._counts

    def take_turn(self) -> None:
        """Wait until the rate limit allows one more request; for requests that a client sends on its own."""
        self._count(rate_limit_seconds=self._bucket.take())

    def call(self, ask: Callable[[float], Answer | FailedAttempt], *, what: str) -> Answer:
        """Return what `ask` gives, asking again as the policy allows.

        Parameters
        ----------
        ask : callable
            Sends one request with the given timeout, seconds, and returns the answer or a :class:`FailedAttempt`. An
            `OSError`, which every failure of a connection is, counts as one that may be tried again.
        what : str
            What is asked for, symbols and sessions included, for messages.

        Raises
        ------
        SourceRefused
            A failure was final.
        SourceUnavailable
            No attempt succeeded, or the next one would begin too late.
        """
        started = self._stopwatch.seconds()
        self._count(requests=1)
        failure = FailedAttempt("nothing was asked")
        for number in range(1, self._settings.attempts + 1):
            remaining = self._settings.total_timeout_seconds - (self._stopwatch.seconds() - started)
            answer = self._attempt(ask, max(_SHORTEST_TIMEOUT, min(self._settings.timeout_seconds, remaining)))
            if not isinstance(answer, FailedAttempt):
                return answer
            failure = answer
            if failure.is_final:
                raise SourceRefused(self._message(what, number, failure.cause, failure.remedy))
            pause = self._pause(number, failure)
            elapsed = self._stopwatch.seconds() - started
            if number == self._settings.attempts or elapsed + pause >= self._settings.total_timeout_seconds:
                break
            self._stopwatch.sleep(pause)
            self._count(pause_seconds=pause)
        cause = failure.cause
        if failure.retry_after_seconds:
            cause += f"; the vendor asks to wait {failure.retry_after_seconds:g} s"
        remedy = failure.remedy or (
            f"check the network and the vendor's status and run again, or raise {self.vendor.settings}.attempts or "
            "total_timeout_seconds"
        )
        raise SourceUnavailable(self._message(what, number, cause, remedy))

    def _attempt(self, ask: Callable[[float], Answer | FailedAttempt], timeout: float) -> Answer | FailedAttempt:
        self.take_turn()
        answer: Answer | FailedAttempt
        try:
            answer = ask(timeout)
        except OSError as error:
            answer = FailedAttempt(f"{type(error).__name__}: {error}")
        self._count(attempts=1, failures=int(isinstance(answer, FailedAttempt)))
        return answer

    def _pause(self, failures: int, failure: FailedAttempt) -> float:
        longest = min(self._settings.longest_pause_seconds, self._settings.first_pause_seconds * 2.0 ** (failures - 1))
        return max(failure.retry_after_seconds or 0.0, float(self._generator.uniform(0.0, longest)))

    def _message(self, what: str, attempts: int, cause: str, remedy: str) -> str:
        asked = self.vendor.without_secrets(f"{self.vendor.name}: {what}")
        return (
            f"{asked}: no answer in {attempts} of {self._settings.attempts} attempt(s): "
            f"{self.vendor.without_secrets(cause)}; {remedy}"
        )

    def _count(
        self,
        *,
        requests: int = 0,
        attempts: int = 0,
        failures: int = 0,
        rate_limit_seconds: float = 0.0,
        pause_seconds: float = 0.0,
    ) -> None:
        with self._lock:
            was = self._counts
            self._counts = replace(
                was,
                requests=was.requests + requests,
                attempts=was.attempts + attempts,
                failures=was.failures + failures,
                rate_limit_seconds=was.rate_limit_seconds + rate_limit_seconds,
                pause_seconds=was.pause_seconds + pause_seconds,
            )
