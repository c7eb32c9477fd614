"""Ingest processes that are killed at any moment, or run out of disk: nothing is torn, and a rerun completes."""

from __future__ import annotations

import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from os import kill
from pathlib import Path

import pytest

from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.verification import database_problem, verify_lake
from aegis.lake.verified_lake import VerifiedLake
from tests.integration.safekeeping.ingesting_process import CLOSES, COUNTS, SESSIONS, SYMBOLS

SEED = 20140609
LATEST_KILL_SECONDS = 0.4


@dataclass
class Ended:
    """How one run ended: what it reported as committed, and its last word, empty if it was killed."""

    committed: list[date] = field(default_factory=list)
    last_word: str = ""


class Ingest:
    """Starts ingest runs and kills them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self,
        folder: Path,
        *,
        kill_after: float | None = None,
        commits: int = 0,
        limit_bytes: int = 0,
        count: int = 0,
    ) -> Ended:
        """Run to the end, or until `kill_after` seconds from the start or from the `commits`-th commit."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{limit_bytes} {count} {folder}\n")
        self._process.stdin.flush()
        pid = int(self._line().removeprefix("pid "))
        ended = Ended()
        if kill_after is not None:
            while len(ended.committed) < commits:
                ended.committed.append(date.fromisoformat(self._line()))
            select.select([], [], [], kill_after)  # the instant is the test's input, nothing is waited for
            kill(pid, signal.SIGKILL)
        while (line := self._line()) != "ended":
            if line[:4].isdigit():
                ended.committed.append(date.fromisoformat(line))
            else:
                ended.last_word = line
        return ended

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().rstrip("\n")
        assert line, "the ingesting process died"
        return line


@contextmanager
def _ingesting() -> Iterator[Ingest]:
    arguments = [sys.executable, str(Path(__file__).with_name("ingesting_process.py"))]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        yield Ingest(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def ingest() -> Iterator[Ingest]:
    with _ingesting() as started:
        yield started


def _require_whole(location: LakeLocation, committed: list[date]) -> int:
    """Require whole sessions without a gap, at least those that were committed; return how many there are."""
    if not location.catalog.exists():
        assert not committed
        return 0
    assert database_problem(location.catalog) == ""
    with connect(location) as connection:
        lake = VerifiedLake(connection)
        lake.create_tables([CLOSES, COUNTS])
        lake.checksums.record()
        rows, counts = lake.read(CLOSES), lake.read(COUNTS)
        assert verify_lake(lake).damaged == ()
    sessions = [day.date() for day in counts["session"]]
    assert sessions == list(SESSIONS[: len(sessions)])
    assert set(committed) <= set(sessions)
    assert rows.groupby("session").size().tolist() == [len(SYMBOLS)] * len(sessions)
    assert sorted(set(rows["session"].dt.date)) == sessions
    return len(sessions)


def _kill_at_random_moments(ingest: Ingest, location: LakeLocation, kills: int) -> None:
    instants = random.Random(SEED)  # noqa: S311 - the same instants in every run
    committed: list[date] = []
    torn = 0
    for _ in range(kills):
        commits, instant = instants.choice([0, 1, 2]), instants.uniform(0.0, LATEST_KILL_SECONDS)
        ended = ingest.run(location.folder, kill_after=instant, commits=commits)
        committed += ended.committed
        torn += not ended.last_word
        _require_whole(location, committed)
    assert torn == kills, "every run was killed before it had ingested everything"

    count = _require_whole(location, committed)
    ended = ingest.run(location.folder, count=count + 3)
    assert ended.last_word == "complete"
    assert _require_whole(location, committed) == count + 3


def test_ingest_killed_at_random_moments_tears_nothing_and_a_rerun_completes(
    ingest: Ingest, location: LakeLocation
) -> None:
    location.folder.mkdir(parents=True)
    _kill_at_random_moments(ingest, location, 6)


@pytest.mark.long
def test_a_hundred_killed_ingest_runs_tear_nothing_and_a_rerun_completes(
    ingest: Ingest, location: LakeLocation
) -> None:
    location.folder.mkdir(parents=True)
    _kill_at_random_moments(ingest, location, 100)


@pytest.mark.parametrize("limit_bytes", [2_000, 150_000], ids=["at the first data file", "at the catalog"])
def test_a_disk_that_is_full_is_refused_and_what_was_stored_stands(
    ingest: Ingest, location: LakeLocation, limit_bytes: int
) -> None:
    location.folder.mkdir(parents=True)
    assert ingest.run(location.folder, count=5).last_word == "complete"

    ended = ingest.run(location.folder, limit_bytes=limit_bytes)

    assert ended.last_word.startswith(("refused LakeError", "refused LakeUnreadable")), ended.last_word
    count = _require_whole(location, ended.committed)
    assert count >= 5
    assert ingest.run(location.folder, count=count + 2).last_word == "complete"
    assert _require_whole(location, []) == count + 2
