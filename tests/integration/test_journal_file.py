"""A journal's file that is deleted or replaced while a process has it open: nothing more is written, and it is said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aegis.errors import JournalError
from aegis.execution.journal import Journal, NewEvent

AT = datetime(2014, 6, 6, 20, tzinfo=UTC)
BESIDE = ("", "-wal", "-shm")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.open(path, account="paper") as opened:
        yield opened


def append(journal: Journal, *texts: str) -> None:
    with journal.batch() as batch:
        for text in texts:
            batch.append(NewEvent("note", date(2014, 6, 6), AT, f'"{text}"', client_order_id=text))


def back_up(path: Path, copy: Path) -> None:
    """Copy a journal as an operator would, with SQLite's own backup."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def remove(path: Path) -> None:
    for ending in BESIDE:
        Path(f"{path}{ending}").unlink(missing_ok=True)


def test_a_deleted_file_is_written_no_more_and_none_is_made_in_its_place(journal: Journal, path: Path) -> None:
    append(journal, "one", "two")
    assert [row.payload for row in journal.events(client_order_ids=["one", "two"])] == ["one", "two"]
    remove(path)
    for _ in range(2):  # a refusal is no reason to begin anew with what is there now
        with pytest.raises(
            JournalError, match=r"was deleted or moved.*paper in it ended at sequence 2, .* is lost\. Stop"
        ):
            append(journal, "three")
    journal.close()
    for ask in (lambda: append(journal, "three"), journal.events, journal.head):
        with pytest.raises(JournalError, match=r"journal\.sqlite was deleted or moved while this process had it open"):
            ask()
    assert not path.exists()


@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed meanwhile"])
def test_a_restored_backup_is_not_written_by_a_process_from_before(
    journal: Journal, path: Path, tmp_path: Path, is_closed: bool
) -> None:
    append(journal, "one")
    back_up(path, tmp_path / "backup")
    append(journal, "two", "three")
    remove(path)
    (tmp_path / "backup").rename(path)  # made while the other was there, so of another inode
    if is_closed:
        journal.close()
    lost = "since the backup was taken is lost" if is_closed else "ended at sequence 3, and what a backup lacks of that"
    with pytest.raises(JournalError, match=rf"was replaced by another file.*{lost}.*Stop the process"):
        append(journal, "four")
    with Journal.open(path, account="paper") as restored:
        assert [row.payload for row in restored.events()] == ["one"]
        append(restored, "four")
        assert restored.verify() == 2


def test_a_connection_that_is_opened_later_is_of_no_other_file(journal: Journal, path: Path, tmp_path: Path) -> None:
    append(journal, "one")
    back_up(path, tmp_path / "backup")
    with journal._store._writing.lent() as connection:
        connection.execute("BEGIN")  # left within a transaction, it is closed
    (tmp_path / "backup").replace(path)
    with pytest.raises(JournalError, match="was replaced by another file"):
        append(journal, "two")


def test_a_file_that_is_moved_away_and_back_is_written_on(journal: Journal, path: Path) -> None:
    append(journal, "one")
    path.rename(f"{path}.away")
    with pytest.raises(JournalError, match="was deleted or moved"):
        append(journal, "two")
    Path(f"{path}.away").rename(path)
    append(journal, "two")
    assert [row.payload for row in journal.events()] == ["one", "two"]
    assert journal.verify() == 2


def test_a_file_is_the_same_by_its_link_by_its_uri_and_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real of paper.sqlite"
    (tmp_path / "link.sqlite").symlink_to(real)
    uri = f"sqlite:///file:{tmp_path}/real%20of%20paper.sqlite?uri=true"
    monkeypatch.chdir(tmp_path)
    with (
        Journal.open(Path("link.sqlite"), account="paper") as by_link,
        Journal.open(uri, account="paper") as by_uri,
    ):
        monkeypatch.chdir("/")
        append(by_link, "one")
        append(by_uri, "two")
        assert by_link.verify() == by_uri.verify() == 2
        real.rename(tmp_path / "gone")
        for journal in (by_link, by_uri):
            with pytest.raises(JournalError, match="was deleted or moved"):
                append(journal, "three")
