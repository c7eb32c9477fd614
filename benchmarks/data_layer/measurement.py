"""One store's process: it loads the market and answers each task on standard input with one line of JSON.

Belongs here: timing, memory and the words of an answer. It runs in the store's own environment, so it imports nothing
but numpy, pandas and that store; which tasks are asked, and in which order, is :mod:`benchmarks.data_layer.rounds`.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from benchmarks.data_layer import market

STORES = "benchmarks.data_layer.stores"
_PROCESS = Path("/proc/self")


def answer(tasks: TextIO, answers: TextIO, *, store: str, bars_file: Path, folder: Path) -> None:
    """Do each task of `tasks`; an ingest begins a new store in an empty folder."""
    module: Any = importlib.import_module(f"{STORES}.{store}")
    bars = market.load(bars_file)
    given = {
        "ingest": [bars],
        "upsert": [market.corrected_session(bars)],
        "one_symbol_read": [market.asked_symbol(bars)],
        "cross_section_read": [market.asked_session(bars)],
    }
    open_store = None
    for number, line in enumerate(tasks):
        task = line.strip()
        if task == "ingest":
            if open_store is not None:
                open_store.close()
            open_store = None
            shutil.rmtree(folder, ignore_errors=True)
            open_store = module.Store(folder / str(number))
        gc.collect()
        _begin_peak()
        began, worked = time.perf_counter(), time.process_time()
        rows = getattr(open_store, task)(*given.get(task, []))
        seconds, processor_seconds = time.perf_counter() - began, time.process_time() - worked
        told = {
            "name": module.NAME,
            "task": task,
            "seconds": seconds,
            "processor_seconds": processor_seconds,
            "peak_mb": _peak_mb(),
            "checksum": None if rows is None else market.checksum(rows),
        }
        del rows
        print(json.dumps(told), file=answers, flush=True)
    if open_store is not None:
        open_store.close()
    shutil.rmtree(folder, ignore_errors=True)


def _begin_peak() -> None:
    if sys.platform == "linux":
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")


def _peak_mb() -> float | None:
    """Return the peak of resident memory since :func:`_begin_peak`, the given bars included; None where unknown."""
    if sys.platform != "linux":
        return None
    lines = (_PROCESS / "status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024.0


def main() -> None:
    """Read the arguments and keep standard output for answers: whatever a store prints goes to standard error."""
    parser = argparse.ArgumentParser(description="Ask one store the tasks on standard input.")
    parser.add_argument("--store", required=True)
    parser.add_argument("--bars", required=True, type=Path)
    parser.add_argument("--folder", required=True, type=Path)
    options = parser.parse_args()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        answer(sys.stdin, answers, store=options.store, bars_file=options.bars, folder=options.folder)


if __name__ == "__main__":
    main()
