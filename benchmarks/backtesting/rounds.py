"""Rounds: every engine does the task once in each, one after the other, so that a busy minute hits all of them alike.

Belongs here: the processes of the engines and the order in which they are asked. What a process does when asked is
:mod:`benchmarks.backtesting.measurement`.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from benchmarks.backtesting.environments import CLONE
from benchmarks.backtesting.tasks import Outcome

OUTCOME_FIELDS = tuple(Outcome.__dataclass_fields__)
PATIENCE_SECONDS = 120.0
"""An engine that has run this long sits out the remaining rounds."""


class EngineFailedError(Exception):
    """An engine's process ended before it answered."""


@dataclass
class Measured:
    """One engine's answers: the first, which compiles what it must, and those of the rounds."""

    peer: str
    size: int
    first: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    failure: str = ""

    def seconds_per_unit(self, kind: str = "seconds") -> list[float]:
        """Return one number for each round; `kind` is ``seconds`` or ``running_seconds``."""
        return [each[kind] / each["units"] for each in self.rounds]

    def median_seconds(self, kind: str = "seconds") -> float:
        """Return the median over the rounds."""
        return statistics.median(each[kind] for each in self.rounds)

    @property
    def outcome(self) -> Outcome:
        """What the engine did in its last round."""
        return Outcome(**{name: self.rounds[-1][name] for name in OUTCOME_FIELDS})

    @property
    def extra_mb(self) -> float:
        """The most memory that a round took beyond what was held before it, in MB."""
        return max(each["extra_mb"] for each in self.rounds)

    @property
    def cold_start_seconds(self) -> float:
        """What the first run of a process costs beyond a later one: compiling, or reading what was compiled."""
        return max(0.0, self.first["seconds"] - self.median_seconds())


class Engine:
    """The process of one engine, kept for all rounds of one task."""

    def __init__(self, peer: str, *, task: str, market: Path, python: Path, log: TextIO) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.backtesting.measurement", "--peer", peer, "--task", task, "--market", market],
            cwd=CLONE,
            env={**os.environ, "PYTHONPATH": str(CLONE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        self._log = log.name

    def run(self, size: int) -> dict[str, Any]:
        """Do the task once."""
        return self._ask(f"{size}\n")

    def end(self) -> dict[str, Any]:
        """End the process and return its own summary."""
        summary = self._ask("\n")
        self._process.wait()
        return summary

    def kill(self) -> None:
        """End the process if it still runs."""
        self._process.kill()
        self._process.wait()

    def _ask(self, question: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it died; its missing answer says so below
            self._process.stdin.write(question)
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise EngineFailedError(f"ended with {self._process.wait()}; see {self._log}")
        return json.loads(answer)  # type: ignore[no-any-return]


def measure(
    engines: list[tuple[str, Path, int]], *, task: str, market: Path, rounds: int, logs: Path
) -> list[Measured]:
    """Run `rounds` interleaved rounds of `task`.

    Parameters
    ----------
    engines
        Module, Python and size of each; the first of the list begins the first round, the next the second, and so on.
    task, market, rounds
        What is done, on which bars, and how often.
    logs
        Folder for what the engines print.

    Returns
    -------
    list of Measured
        In the order of `engines`; one that failed says why and has no rounds.
    """
    measured = [Measured(peer, size) for peer, _, size in engines]
    with contextlib.ExitStack() as stack:
        running: dict[int, Engine] = {}
        for number, (peer, python, size) in enumerate(engines):
            log = stack.enter_context((logs / f"{task}-{peer}.log").open("w", encoding="utf-8"))
            engine = Engine(peer, task=task, market=market, python=python, log=log)
            stack.callback(engine.kill)
            with _noting(measured[number]):
                measured[number].first = engine.run(size)
                running[number] = engine
        for turn in range(rounds):
            for number in _rotated(list(running), turn):
                if _is_out_of_patience(measured[number]):
                    continue
                with _noting(measured[number]):
                    measured[number].rounds.append(running[number].run(measured[number].size))
        for number, engine in running.items():
            with _noting(measured[number]):
                measured[number].summary = engine.end()
    return measured


def _rotated(numbers: list[int], turn: int) -> list[int]:
    begin = turn % max(1, len(numbers))
    return numbers[begin:] + numbers[:begin]


def _is_out_of_patience(measured: Measured) -> bool:
    spent = measured.first["seconds"] + sum(each["seconds"] for each in measured.rounds)
    return bool(measured.failure) or (bool(measured.rounds) and spent > PATIENCE_SECONDS)


@contextlib.contextmanager
def _noting(measured: Measured) -> Iterator[None]:
    try:
        yield
    except EngineFailedError as failed:
        measured.failure = str(failed)
        measured.rounds.clear()
