"""Several processes that write one journal: they queue, they make its file together, and a kill loses nothing.

Each has its log copied into the file meanwhile, so that kills meet that as well.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

import aegis
from aegis.errors import JournalError
from aegis.execution.journal import Journal

EVENTS_A_BATCH = 20
WRITER = f"""
import sys, threading
from datetime import UTC, date, datetime
from aegis.execution import journal_sqlite
from aegis.execution.journal import Journal, NewEvent

journal_sqlite._COMMITS_A_CHECKPOINT = 3
closing = threading.Event()


def copy():
    while not closing.wait(0.001):
        journal.checkpoint()


with Journal.open(sys.argv[1], account="simulated") as journal:
    copier = threading.Thread(target=copy, daemon=True)
    copier.start()
    for number in range(int(sys.argv[3])):
        print("begin", number, flush=True)
        with journal.batch() as batch:
            for _ in range({EVENTS_A_BATCH}):
                batch.append(NewEvent(
                    kind="note", session=date(2014, 6, 9), at_utc=datetime(2014, 6, 9, 20, tzinfo=UTC),
                    payload_json='"%s-%d"' % (sys.argv[2], number)))
        print("committed", number, flush=True)
    closing.set()
    copier.join()
"""


def _writer(path: Path, name: str, batches: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(aegis.__path__[0]).parent)}
    command = [sys.executable, "-c", WRITER, str(path), name, str(batches)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_writers_of_several_processes_queue_and_the_chain_does_not_fork(tmp_path):
    path = tmp_path / "journal.sqlite"
    writers = [_writer(path, name, 20) for name in ("a", "b", "c")]
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    with Journal.open(path, account="simulated") as journal:
        assert journal.verify() == 3 * 20 * EVENTS_A_BATCH
        batches = [row.payload for row in journal.events()][::EVENTS_A_BATCH]
        counts = Counter(row.payload for row in journal.events())
    assert set(counts.values()) == {EVENTS_A_BATCH}
    assert len(batches) == len(set(batches)) == 60  # no batch is interleaved with another


def test_a_journal_whose_file_is_just_being_made_is_waited_for(tmp_path):
    path = tmp_path / "journal.sqlite"
    maker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    maker.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, maker.execute, ["COMMIT"])
    release.start()
    with Journal.open(path, account="simulated") as journal:
        assert journal.verify() == 0
    release.join()
    maker.close()


def test_a_journal_whose_file_stays_locked_says_who_to_look_for(tmp_path, monkeypatch):
    monkeypatch.setattr("aegis.execution.journal_sqlite.LOCK_TIMEOUT_SECONDS", 0.05)
    maker = sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)
    maker.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match=r"database is locked.*that no other program holds it"):
        Journal.open(tmp_path / "journal.sqlite", account="simulated")
    maker.close()


@pytest.mark.parametrize("kills", [6, pytest.param(120, marks=pytest.mark.long)])
def test_a_killed_writer_leaves_whole_batches_and_loses_none_that_was_acknowledged(tmp_path, kills):
    path = tmp_path / "journal.sqlite"
    draw = random.Random(20140609)  # noqa: S311 - chooses moments to kill, protects nothing
    acknowledged: set[str] = set()
    for life in range(kills):
        writer = _writer(path, str(life), 1_000_000)
        acknowledged |= {f"{life}-{number}" for number in _kill_at_random(writer, draw)}
    with Journal.open(path, account="simulated") as journal:
        total = journal.verify()
        counts = Counter(row.payload for row in journal.events())
    assert set(counts.values()) == {EVENTS_A_BATCH}
    assert acknowledged <= set(counts)
    assert len(acknowledged) > kills
    assert total == EVENTS_A_BATCH * len(counts)


def _kill_at_random(writer: subprocess.Popen[str], draw: random.Random) -> list[int]:
    """Kill a writer between the start of a batch and a few milliseconds later; return the batches it acknowledged."""
    last = draw.randint(1, 15)
    lines = []
    for line in writer.stdout:
        lines.append(line)
        if line == f"begin {last}\n":
            break
    try:
        writer.wait(timeout=draw.uniform(0, 0.008))
    except subprocess.TimeoutExpired:
        writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL
    told = [line.split() for line in (*lines, *rest.splitlines())]
    return [int(words[1]) for words in told if words[0] == "committed" and len(words) == 2]
