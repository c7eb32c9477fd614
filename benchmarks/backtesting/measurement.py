"""One engine's process: it loads the market, waits for a size on standard input, does the task once and reports.

Belongs here: timing, memory and the words of a report. It runs in the engine's own environment, so it imports nothing
but numpy and that engine; which rounds are run, and in which order, is for :mod:`benchmarks.backtesting.rounds`.

``python -m benchmarks.backtesting.measurement --peer vectorbt_rust --task A --market <folder>`` answers each line, a
size, with one line of JSON, and an empty line or the end of the input with a last one over all rounds.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import gc
import importlib
import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any, TextIO

PEERS = "benchmarks.backtesting.peers"
WARM_UP_SECONDS = 2.0
"""An engine that is faster does the task once, not timed, directly before each measured time but the first."""
_PROCESS = Path("/proc/self")


class Memory:
    """Resident memory of this process, in MB, and its peak since `watch`."""

    def watch(self) -> None:
        """Begin a new peak where the system can."""
        self.give_back()
        if sys.platform == "linux":
            (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
        self._before_mb = self._status_mb("VmRSS")

    def give_back(self) -> None:
        """Give freed memory back to the system: while this engine waits for its next round, others need it."""
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)

    def extra_mb(self) -> float:
        """Return how far the peak rose above what was held at `watch`."""
        return self._status_mb("VmHWM") - self._before_mb

    def _status_mb(self, name: str) -> float:
        if sys.platform != "linux":
            return _peak_mb()
        line = next(line for line in (_PROCESS / "status").read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024.0


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024.0 if sys.platform == "linux" else 1024.0**2)


def answer(sizes: TextIO, reports: TextIO, *, peer: str, task_name: str, market: Path) -> None:
    """Do the task once for each line of `sizes` and write a line to `reports` for each, then one over all."""
    from benchmarks.backtesting import markets, tasks  # noqa: PLC0415 - the engine's import is timed without ours

    began = time.perf_counter()
    module: Any = importlib.import_module(f"{PEERS}.{peer}")
    version = module.version()
    import_seconds = time.perf_counter() - began
    do = getattr(module, f"task_{task_name.lower()}")
    bars = markets.load(market)
    memory, rounds, task = Memory(), [], None
    for line in sizes:
        if not line.strip():
            break
        if task is None or task.size != int(line):
            task = tasks.make_task(task_name, int(line), bars)
        memory.watch()
        extra_mb = None
        if rounds and rounds[-1]["seconds"] < WARM_UP_SECONDS:
            # While other engines had their turn, the system took back pages that this process left alone. Memory is
            # looked at here: what is given back for that would have to be cleared again in the measured time.
            do(task, tasks.Stopwatch())
            extra_mb = memory.extra_mb()
        watch = tasks.Stopwatch()
        outcome = do(task, watch)
        rounds.append(
            {
                "size": task.size,
                "units": task.units,
                "seconds": watch.preparing_seconds + watch.running_seconds,
                "running_seconds": watch.running_seconds,
                "extra_mb": memory.extra_mb() if extra_mb is None else extra_mb,
                **dataclasses.asdict(outcome),
            }
        )
        del outcome
        memory.give_back()
        print(json.dumps(rounds[-1]), file=reports, flush=True)
    summary = {
        "peer": module.NAME,
        "version": version,
        "task": task_name,
        "includes": module.INCLUDES.get(task_name, module.INCLUDES["*"]),
        "import_seconds": import_seconds,
        "first_seconds": rounds[0]["seconds"] if rounds else None,
        "seconds_per_round": [each["seconds"] for each in rounds[1:]],
        "median_seconds": statistics.median(each["seconds"] for each in rounds[1:]) if len(rounds) > 1 else None,
        "peak_rss_mb": _peak_mb(),
        **{key: rounds[-1][key] for key in ("fills", "final_equity_usd") if rounds},
    }
    print(json.dumps(summary), file=reports, flush=True)


def main() -> None:
    """Read the arguments and keep standard output for reports: whatever an engine prints goes to standard error."""
    parser = argparse.ArgumentParser(description="Run one engine on one task, once for each size on standard input.")
    parser.add_argument("--peer", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--market", required=True, type=Path)
    options = parser.parse_args()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as reports:
        os.dup2(2, 1)
        answer(sys.stdin, reports, peer=options.peer, task_name=options.task, market=options.market)


if __name__ == "__main__":
    main()
