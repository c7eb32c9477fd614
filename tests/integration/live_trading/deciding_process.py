"""A process that makes the book of an account through Dagster, started to be killed; imports once, forks each run.

Reads one run a line on standard input, ``<configuration file> <clock> <first> <last> <seconds to live>``, and answers
with the process to wait for and how it ended; 0 seconds are as long as it takes. Imports nothing of the tests: it is a
program of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from aegis.clock import FixedClock
from aegis.config import AegisConfig, load_config
from aegis.errors import AegisError
from aegis.workspace import Workspace
from aegis_sensors.definitions import build_definitions
from aegis_sensors.instance import open_instance
from aegis_sensors.jobs import EXECUTE_TRADES

SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def make_book(config: AegisConfig, now_utc: datetime, first: str, last: str) -> str:
    """Run the book's job over a range of sessions and return how it ended."""
    definitions = build_definitions(config, clock=FixedClock(now_utc))
    try:
        with open_instance(Workspace.of(config)) as instance:
            result = definitions.resolve_job_def(EXECUTE_TRADES).execute_in_process(
                instance=instance,
                run_config=SILENT,
                tags={ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last},
            )
    except AegisError as error:
        return f"refused {type(error).__name__} {error}".replace("\n", " ")
    failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
    return f"complete {','.join(failed)}"


def main() -> None:
    """Fork a run for each line."""
    for line in sys.stdin:
        file, now, first, last, seconds = line.rstrip("\n").rsplit(" ", 4)
        child = os.fork()
        if child == 0:
            try:
                if float(seconds):
                    signal.setitimer(signal.ITIMER_REAL, float(seconds))
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)
                ended = make_book(load_config(Path(file)), datetime.fromisoformat(now), first, last)
                print(ended, flush=True)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
