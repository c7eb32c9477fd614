"""Runs in a process that was started to be killed: it imports once, forks each run, and says how a run ended.

Belongs here: both ends of the pipe between a test and such a process. What a run does is the process's own business.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from aegis.errors import AegisError

TESTS = Path(__file__).resolve().parents[2]
# Some distribution installs a package of the name "tests", which would hide this folder.
_START = """
import runpy, sys, types
tests = sys.modules["tests"] = types.ModuleType("tests")
tests.__path__ = [sys.argv[1]]
runpy.run_module(sys.argv[2], run_name="__main__")
"""
_PID, _ENDED, _REFUSED, _BETWEEN = "pid ", "ended", "refused ", "\t"


class ForkedRuns:
    """The test's end: starts runs, one at a time, and kills them.

    Attributes
    ----------
    pid : int
        Process of the run that was started last.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = 0

    def run(self, *words: object, kill_after_seconds: float | None = None) -> str:
        """Run to the end, or until something kills it, and return the run's last word; empty where it was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(_BETWEEN.join(str(word) for word in words) + "\n")
        self._process.stdin.flush()
        self.pid = int(self._line().removeprefix(_PID))
        if kill_after_seconds is not None:
            threading.Event().wait(kill_after_seconds)  # the instant is the test's input, nothing is waited for
            with suppress(ProcessLookupError):
                self.kill()
        word = ""
        while (line := self._line()) != _ENDED:
            word = line
        return word

    def kill(self) -> None:
        """End the run that is under way as ``kill -9`` does."""
        os.kill(self.pid, signal.SIGKILL)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().rstrip("\n")
        assert line, "the process that forks the runs died"
        return line


@contextmanager
def forked_runs(module: str) -> Iterator[ForkedRuns]:
    """Start a module that calls :func:`fork_each_run`, and end it afterwards."""
    arguments = [sys.executable, "-c", _START, str(TESTS), module]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=TESTS.parent
    ) as process:
        yield ForkedRuns(process)
        assert process.stdin is not None
        process.stdin.close()


def fork_each_run(run: Callable[[Sequence[str]], str]) -> None:
    """Be the process's end: fork `run` for each line of standard input, and print what it returns or refused."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                print(f"{_PID}{os.getpid()}", flush=True)
                print(_last_word(run, line.rstrip("\n").split(_BETWEEN)), flush=True)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        print(_ENDED, flush=True)


def _last_word(run: Callable[[Sequence[str]], str], words: Sequence[str]) -> str:
    try:
        return run(words)
    except AegisError as error:
        return f"{_REFUSED}{type(error).__name__} {error}".replace("\n", " ")
