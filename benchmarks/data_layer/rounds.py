"""Rounds of tasks: every store does each task in turn, beginning with another one each time.

Belongs here: the processes of the stores and the order in which they are asked. What a task is, is
:mod:`benchmarks.data_layer.measurement`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from benchmarks.backtesting.environments import CLONE
from benchmarks.data_layer.market import TASKS


class StoreFailedError(Exception):
    """A store's process ended before it answered."""


@dataclass
class Measured:
    """What one store answered, by task, without the round that warms it up."""

    store: str
    cannot: dict[str, str]
    name: str = ""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    processor_seconds: dict[str, list[float]] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)
    checksums: dict[str, list[Any]] = field(default_factory=dict)
    failure: str = ""


def measure(stores: list[tuple[str, Path, dict[str, str]]], *, bars: Path, rounds: int, cache: Path) -> list[Measured]:
    """Run a round that is not counted and then `rounds` that are.

    Parameters
    ----------
    stores
        Module, Python and, by task, what the store cannot do.
    bars, rounds, cache
        The market's file, how often, and the folder for stores and logs.
    """
    measured = [Measured(store, cannot) for store, _, cannot in stores]
    with contextlib.ExitStack() as stack:
        running: dict[int, _Process] = {}
        for number, (store, python, _) in enumerate(stores):
            log = stack.enter_context((cache / f"data_layer-{store}.log").open("w", encoding="utf-8"))
            running[number] = _Process(store, python, bars=bars, folder=cache / "stores" / store, log=log)
            stack.callback(running[number].end)
        for turn in range(rounds + 1):
            for task in TASKS:
                _ask_each(task, turn, running, measured)
    return measured


def _ask_each(task: str, turn: int, running: dict[int, _Process], measured: list[Measured]) -> None:
    numbers = list(running)
    begin = turn % max(1, len(numbers))
    for number in numbers[begin:] + numbers[:begin]:
        one = measured[number]
        if one.failure or task in one.cannot:
            continue
        try:
            told = running[number].do(task)
        except StoreFailedError as failed:
            one.failure = str(failed)
            continue
        one.name = told["name"]
        one.checksums[task] = told["checksum"]
        one.peak_mb[task] = max(one.peak_mb.get(task, 0.0), told["peak_mb"] or 0.0)
        if turn:
            one.seconds.setdefault(task, []).append(told["seconds"])
            one.processor_seconds.setdefault(task, []).append(told["processor_seconds"])


class _Process:
    def __init__(self, store: str, python: Path, *, bars: Path, folder: Path, log: TextIO) -> None:
        arguments = ["--store", store, "--bars", bars, "--folder", folder]
        self._log = log.name
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.data_layer.measurement", *arguments],
            cwd=CLONE,
            env={**os.environ, "PYTHONPATH": str(CLONE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def do(self, task: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it died; its missing answer says so below
            self._process.stdin.write(f"{task}\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise StoreFailedError(f"ended with {self._process.wait()}; see {self._log}")
        return json.loads(answer)  # type: ignore[no-any-return]

    def end(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
