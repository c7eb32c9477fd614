"""The benchmark's other processes: started, given one line of JSON, and asked for their last word.

Belongs here: that protocol. What they do is said in their own modules.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.backtesting.environments import CLONE

_ENDS_WITHIN_SECONDS = 60.0


class Started:
    """A process of the benchmark that is given a line and answers with one, and ends with its input."""

    def __init__(self, module: str, folder: Path, opened: ExitStack, *, python: Path | None = None) -> None:
        log = opened.enter_context((folder / f"{module}.log").open("w", encoding="utf-8"))
        self._log = folder / f"{module}.log"
        self.process = subprocess.Popen(
            [python or sys.executable, "-m", f"benchmarks.live_trading.{module}"],
            env={**os.environ, "PYTHONPATH": str(CLONE)},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        opened.callback(self._stop)

    def tell(self, line: dict[str, Any]) -> dict[str, Any]:
        """Give it a line and return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def end(self) -> dict[str, Any]:
        """End its input and return its last word."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        told = self._answer()
        self.process.wait(_ENDS_WITHIN_SECONDS)
        return told

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            message = f"{self.process.args!r} ended with {self.process.wait()}; see {self._log}"
            raise RuntimeError(message)
        found: dict[str, Any] = json.loads(answer)
        return found

    def _stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()
