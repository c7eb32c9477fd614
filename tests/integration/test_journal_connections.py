"""The kept connections of a journal in a file: shared by threads, and closed meanwhile."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from aegis.errors import DuplicateEvent, ExecutionError, JournalError
from aegis.execution import journal_sqlite
from aegis.execution.journal import Batch, Journal, NewEvent
from aegis.execution.journal_chain import JournalHead, JournalRow

FRIDAY = date(2014, 6, 6)
AT = datetime(2014, 6, 6, 20, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.open(path, account="simulated") as opened:
        yield opened


def note(number: int, *, at: datetime = AT, key: str | None = None) -> NewEvent:
    name = f"order-{number}"
    return NewEvent(
        kind="note", session=FRIDAY, at_utc=at, payload_json=str(number), client_order_id=name, idempotency_key=key
    )


def append(journal: Journal, *events: NewEvent) -> None:
    with journal.batch() as batch:
        for event in events:
            batch.append(event)


def test_threads_that_share_a_journal_write_and_ask_without_mixing(journal: Journal) -> None:
    def work(first: int) -> list[int]:
        seen = []
        for number in range(first, first + 15):
            append(journal, note(number), note(number))
            found = journal.events(client_order_ids=[f"order-{number}"])
            assert [row.payload for row in found] == [number, number]
            assert found[1].sequence == found[0].sequence + 1
            seen.append(journal.head().sequence)
        return seen

    with ThreadPoolExecutor(4) as pool:
        heads = list(pool.map(work, (0, 100, 200, 300)))
    assert all(seen == sorted(seen) for seen in heads)
    assert journal.verify() == 4 * 15 * 2


def test_a_thread_that_closes_loses_nothing_of_one_that_writes(journal: Journal) -> None:
    written = threading.Event()

    def write() -> None:
        for number in range(30):
            append(journal, note(number))
            written.set()

    writer = threading.Thread(target=write)
    writer.start()
    closed = 0
    while writer.is_alive():
        assert written.wait(30)
        journal.close()
        closed += 1
    writer.join()
    assert closed
    assert [row.payload for row in journal.events()] == list(range(30))
    assert journal.verify() == 30


def test_what_is_asked_after_closing_is_answered_by_a_new_connection(journal: Journal) -> None:
    append(journal, note(1))
    journal.close()
    assert [row.payload for row in journal.events(client_order_ids=["order-1", "order-2"])] == [1]
    append(journal, note(2))
    assert journal.verify() == journal.head().sequence == 2


def test_who_asks_does_not_wait_for_who_writes_and_sees_only_what_is_committed(journal: Journal) -> None:
    append(journal, note(1))
    before = journal.head()
    with journal._store._writing.lent() as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE journal_heads SET sequence = 7")
        assert journal.head() == before
        assert [row.payload for row in journal.events(client_order_ids=["order-1"])] == [1]
        connection.execute("ROLLBACK")
    assert journal.head() == before


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (note(2, at=datetime(2014, 6, 6, 20)), ExecutionError),  # noqa: DTZ001 - the naive instant is the case
        (note(2, key="once"), DuplicateEvent),
    ],
)
def test_a_batch_that_fails_gives_the_write_lock_back_at_once(
    journal: Journal, path: Path, event: NewEvent, expected: type[Exception]
) -> None:
    append(journal, note(1, key="once"))
    with pytest.raises(expected):
        append(journal, note(3), event)
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    append(journal, note(4))
    assert [row.payload for row in journal.events()] == [1, 4]
    assert journal.verify() == 2


def test_a_file_that_cannot_grow_says_so_keeps_what_it_has_and_goes_on_once_it_can(journal: Journal) -> None:
    append(journal, note(1))
    with journal._store._writing.lent() as connection:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite raises it to what the file has
    wide = NewEvent(kind="note", session=FRIDAY, at_utc=AT, payload_json=f'"{"x" * 100_000}"')
    with pytest.raises(JournalError, match=r"database or disk is full.*nothing was written.*has space"):
        append(journal, note(2), wide)
    assert journal.verify() == 1
    with journal._store._writing.lent() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    append(journal, note(2), wide)
    assert journal.verify() == 3


def log_rounds(path: Path) -> int:
    """Return how often the log was begun again: a number in its header (sqlite.org, "Database File Format", 4.1)."""
    return int.from_bytes(Path(f"{path}-wal").read_bytes()[12:16], "big")


def test_the_log_is_begun_again_though_an_order_is_written_while_it_is_copied(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_sqlite, "_COMMITS_A_CHECKPOINT", 2)
    most_is_copied = threading.Event()
    sa.event.listen(journal._store.engine, "checkin", lambda *_: most_is_copied.set())
    copier = threading.Thread(target=journal.checkpoint)
    append(journal, note(1))
    journal.checkpoint()
    assert not most_is_copied.is_set(), "one commit is not worth it"
    append(journal, note(2))

    def rows_that_come_late(head: JournalHead) -> list[JournalRow]:
        copier.start()
        assert most_is_copied.wait(30)
        batch = Batch()
        batch.append(note(3))
        return batch.chained("simulated", head)

    journal._store.append("simulated", rows_that_come_late)
    copier.join()
    before = log_rounds(path)
    append(journal, note(4))
    assert log_rounds(path) == before + 1
    assert [row.payload for row in journal.events()] == [1, 2, 3, 4]
    assert journal.verify() == 4
