"""The journal on a real SQLite file: whole batches, and a chain that shows every change."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aegis.errors import DuplicateEvent, ExecutionError, JournalError
from aegis.execution.journal import Journal, NewEvent
from aegis.execution.journal_chain import JournalHead

NOW = datetime(2014, 6, 9, 20, tzinfo=UTC)


def _note(text: str, **fields) -> NewEvent:
    return NewEvent(kind="note", session=date(2014, 6, 9), at_utc=NOW, payload_json=f'"{text}"', **fields)


def _append(journal: Journal, *texts: str) -> None:
    with journal.batch() as batch:
        for text in texts:
            batch.append(_note(text))


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.sqlite", account="simulated") as opened:
        yield opened


@pytest.fixture
def tampered(journal, tmp_path):
    """Six recorded events, and a connection on which the append-only triggers are gone, as an intruder would want."""
    _append(journal, "one", "two", "three", "four")
    _append(journal, "five", "six")
    connection = sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)
    connection.execute("DROP TRIGGER journal_events_refuse_update")
    connection.execute("DROP TRIGGER journal_events_refuse_delete")
    yield connection
    connection.close()


def test_a_new_journal_is_empty_and_verifies(journal):
    assert (journal.verify(), journal.head(), journal.events()) == (0, JournalHead(0, "0" * 64), [])


def test_events_are_numbered_from_one_and_chained(journal):
    _append(journal, "one", "two")
    _append(journal, "three")
    rows = journal.events()
    assert [(row.sequence, row.payload) for row in rows] == [(1, "one"), (2, "two"), (3, "three")]
    assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert journal.verify() == 3


def test_a_journal_is_found_again_when_it_is_opened_again(journal, tmp_path):
    _append(journal, "one")
    with Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite'}", account="simulated") as again:
        assert again.head() == journal.head()


def test_accounts_have_their_own_chains(journal, tmp_path):
    _append(journal, "one")
    with Journal.open(tmp_path / "journal.sqlite", account="paper") as paper:
        _append(paper, "first of paper")
        assert [row.sequence for row in paper.events()] == [1]
        assert paper.verify() == 1
    assert journal.verify() == 1


def test_commits_are_synced_and_readers_do_not_block(journal, tmp_path):
    for kept in (journal._store._writing, journal._store._reading):
        with kept.lent() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    writer = sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert journal.verify() == 0
    writer.close()


def _record(journal: Journal, *events: NewEvent, failure: Exception | None = None) -> None:
    with journal.batch() as batch:
        for event in events:
            batch.append(event)
        if failure is not None:
            raise failure


def test_a_batch_that_raises_leaves_nothing(journal):
    with pytest.raises(ZeroDivisionError):
        _record(journal, _note("one"), failure=ZeroDivisionError())
    assert journal.verify() == 0


def test_a_batch_with_an_event_that_is_recorded_already_leaves_nothing(journal):
    _record(journal, _note("one", idempotency_key="k"))
    with pytest.raises(DuplicateEvent, match="nothing was written"):
        _record(journal, _note("two"), _note("three", idempotency_key="k"))
    assert [row.payload for row in journal.events()] == ["one"]
    assert journal.verify() == 1


def test_an_instant_without_a_time_zone_leaves_nothing(journal):
    naive = datetime(2014, 6, 9, 20)  # noqa: DTZ001 - the naive instant is the case
    late = NewEvent(kind="note", session=date(2014, 6, 9), at_utc=naive, payload_json="1")
    with pytest.raises(ExecutionError, match="no time zone"):
        _record(journal, _note("one"), late)
    assert journal.verify() == 0


_REPLACEMENT = """
    INSERT OR REPLACE INTO journal_events SELECT account, {sequence}, kind, session, decision_id, client_order_id,
    at_utc, idempotency_key, '"edited"', previous_hash, hash FROM journal_events WHERE sequence = 1
"""
CHANGES = {
    "update": "UPDATE journal_events SET payload_json = '\"x\"'",
    "update or replace": "UPDATE OR REPLACE journal_events SET sequence = 2 WHERE sequence = 1",
    "delete": "DELETE FROM journal_events WHERE sequence = 1",
    "replace by sequence": _REPLACEMENT.format(sequence=1),
    "replace by idempotency key": _REPLACEMENT.format(sequence=3),
    "replace by row": """
        INSERT OR REPLACE INTO journal_events (rowid, account, sequence, kind, session, at_utc, payload_json,
        previous_hash, hash) SELECT rowid, 'other', 1, kind, session, at_utc, '"x"', previous_hash, hash
        FROM journal_events WHERE sequence = 1
    """,
    "upsert": _REPLACEMENT.format(sequence=1).replace("OR REPLACE", "")
    + "ON CONFLICT DO UPDATE SET payload_json = excluded.payload_json",
}


def _trigger(connection: sqlite3.Connection) -> str:
    found: tuple[str] = connection.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'journal_events_refuse_replace'"
    ).fetchone()
    return found[0]


def _with_trigger_of_before(path: Path) -> str:
    """Give the file the trigger that journals were made with before it ended the transaction, and return its text."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        trigger = _trigger(file).replace("RAISE(ROLLBACK", "RAISE(ABORT")
        file.execute("DROP TRIGGER journal_events_refuse_replace")
        file.execute(trigger)
    return trigger


@pytest.mark.parametrize("is_of_before", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_the_database_itself_refuses_to_change_an_event(journal, tmp_path, change, is_of_before):
    with journal.batch() as batch:
        batch.append(_note("one", idempotency_key="k"))
        batch.append(_note("two"))
    before = journal.events()
    if is_of_before:
        _with_trigger_of_before(tmp_path / "journal.sqlite")
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(CHANGES[change])
    connection.close()
    assert journal.events() == before
    assert journal.verify() == 2


def test_a_trigger_of_before_is_left_as_it_is(journal, tmp_path):
    journal.close()
    trigger = _with_trigger_of_before(tmp_path / "journal.sqlite")
    assert "RAISE(ABORT, 'the journal is append-only')" in trigger
    with Journal.open(tmp_path / "journal.sqlite", account="simulated") as again:
        _append(again, "one")
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as file:
        assert _trigger(file) == trigger


@pytest.mark.parametrize("trigger", ["today's", "of before", "none"])
def test_an_event_that_is_recorded_already_ends_its_batch_and_not_the_connection(journal, tmp_path, trigger):
    _record(journal, _note("one", idempotency_key="k"))
    if trigger == "of before":
        _with_trigger_of_before(tmp_path / "journal.sqlite")
    elif trigger == "none":  # the constraint refuses by itself
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as file:
            file.execute("DROP TRIGGER journal_events_refuse_replace")
    kept = journal._store._writing._connection
    asked: list[str] = []
    kept.set_trace_callback(asked.append)
    said = "UNIQUE constraint failed" if trigger == "none" else "the journal is append-only"
    with pytest.raises(DuplicateEvent, match=rf"recorded already \({said}.*nothing was written"):
        _record(journal, _note("two"), _note("three", idempotency_key="k"), _note("four"))
    assert ("ROLLBACK" in asked) == (trigger == "of before"), "else SQLite has done it"
    assert journal.head().sequence == 1
    _record(journal, _note("five"), _note("six", idempotency_key="l"))
    assert journal._store._writing._connection is kept
    assert [row.payload for row in journal.events()] == ["one", "five", "six"]
    assert journal.verify() == 3


def test_a_journal_of_before_a_trigger_existed_has_it_once_it_is_opened(journal, tmp_path):
    _append(journal, "one")
    connection = sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)
    connection.execute("DROP TRIGGER journal_events_refuse_replace")
    with Journal.open(tmp_path / "journal.sqlite", account="simulated") as again:
        _append(again, "two")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(CHANGES["replace by sequence"])
    connection.close()
    assert [row.payload for row in journal.events()] == ["one", "two"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("payload_json", '"drei"'),
        ("kind", "memo"),
        ("session", "2014-06-10"),
        ("at_utc", "2014-06-09T20:00:00.000001Z"),
        ("client_order_id", "x"),
        ("decision_id", "x"),
        ("idempotency_key", "x"),
        ("hash", "f" * 64),
    ],
)
def test_an_edited_event_is_named(journal, tampered, column, value):
    tampered.execute(f"UPDATE journal_events SET {column} = ? WHERE sequence = 3", (value,))  # noqa: S608
    with pytest.raises(JournalError, match=r"sequence 3 .* was edited"):
        journal.verify()


def test_an_edit_with_a_fresh_hash_is_found_at_the_event_after_it(journal, tampered):
    tampered.execute("UPDATE journal_events SET previous_hash = ? WHERE sequence = 4", ("f" * 64,))
    with pytest.raises(JournalError, match=r"sequence 4 .* does not follow"):
        journal.verify()


def test_a_deleted_event_is_named(journal, tampered):
    tampered.execute("DELETE FROM journal_events WHERE sequence = 3")
    with pytest.raises(JournalError, match=r"expected sequence 3, found 4"):
        journal.verify()


def test_a_deleted_event_whose_gap_was_closed_is_named(journal, tampered):
    tampered.execute("DELETE FROM journal_events WHERE sequence = 3")
    for sequence in (4, 5, 6):
        tampered.execute("UPDATE journal_events SET sequence = sequence - 1 WHERE sequence = ?", (sequence,))
    with pytest.raises(JournalError, match=r"sequence 3 .* does not follow"):
        journal.verify()


def test_events_cut_off_the_end_are_named(journal, tampered):
    tampered.execute("DELETE FROM journal_events WHERE sequence >= 5")
    with pytest.raises(JournalError, match=r"expected 6 events, found 4; sequence 5 is"):
        journal.verify()


def test_an_inserted_event_is_named(journal, tampered):
    for sequence in (6, 5, 4, 3):
        tampered.execute("UPDATE journal_events SET sequence = sequence + 1 WHERE sequence = ?", (sequence,))
    tampered.execute(
        "INSERT INTO journal_events SELECT account, 3, kind, session, decision_id, client_order_id, at_utc, "
        "idempotency_key, '\"forged\"', previous_hash, hash FROM journal_events WHERE sequence = 2"
    )
    with pytest.raises(JournalError, match=r"sequence 3 .* does not follow"):
        journal.verify()


def test_an_event_added_at_the_end_without_its_batch_is_named(journal, tampered):
    tampered.execute(
        "INSERT INTO journal_events SELECT account, 7, kind, session, decision_id, client_order_id, at_utc, "
        "idempotency_key, payload_json, hash, hash FROM journal_events WHERE sequence = 6"
    )
    with pytest.raises(JournalError, match=r"sequence 7 .* was edited"):
        journal.verify()


def test_two_exchanged_events_are_named(journal, tampered):
    for source, target in ((3, 99), (4, 3), (99, 4)):
        tampered.execute("UPDATE journal_events SET sequence = ? WHERE sequence = ?", (target, source))
    with pytest.raises(JournalError, match=r"sequence 3 .* does not follow"):
        journal.verify()


def test_a_chain_rewritten_as_a_whole_is_shown_by_a_head_that_was_published(journal, tmp_path):
    _append(journal, "one", "two", "three", "four", "five", "six")
    published = journal.head()
    assert journal.verify(published) == 6
    with Journal.open(tmp_path / "other.sqlite", account="simulated") as forged:
        _append(forged, "one", "two", "three", "FOUR", "five", "six", "seven")
        assert forged.verify() == 7
        with pytest.raises(JournalError, match=r"sequence 6 .* rewritten"):
            forged.verify(published)
        with pytest.raises(JournalError, match=r"expected 9 events, found 7"):
            forged.verify(JournalHead(9, "f" * 64))


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be read as one" * 50)
    with pytest.raises(JournalError, match="Check that the file is a journal"):
        Journal.open(path, account="simulated")
    assert path.read_text().startswith("not a database")


@pytest.mark.parametrize("location", ["postgresql+psycopg2://host/db", "sqlite://", "sqlite:///:memory:"])
def test_a_location_that_cannot_be_kept_safe_is_refused(location):
    with pytest.raises(JournalError, match="only an SQLite file"):
        Journal.open(location, account="simulated")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be made"):
        Journal.open(tmp_path / "file" / "journal.sqlite", account="simulated")


def _tampered(journal: Journal, path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as file:
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            file.execute(statement)
    journal.close()


CUT_TO_2 = (
    "DELETE FROM journal_events WHERE sequence > 2",
    "UPDATE journal_heads SET sequence = 2, hash = (SELECT hash FROM journal_events WHERE sequence = 2)",
)


def test_what_follows_a_published_head_is_verified_without_what_precedes_it(journal: Journal, tmp_path: Path) -> None:
    _append(journal, "a", "b")
    published = journal.head()
    assert journal.verify_since(published) == 0
    _append(journal, "c", "d", "e")
    assert journal.verify_since(published) == 3
    assert journal.verify_since(JournalHead(0, "0" * 64)) == 5
    _tampered(journal, tmp_path / "journal.sqlite", "UPDATE journal_events SET payload_json = '0' WHERE sequence = 1")
    assert journal.verify_since(published) == 3
    with pytest.raises(JournalError, match=r"sequence 1 .* was edited"):
        journal.verify()


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (CUT_TO_2, "published up to sequence 3 and now ends with 2; its end, or all of it, was lost"),
        (("DELETE FROM journal_events", "DELETE FROM journal_heads"), "published up to sequence 3 and now ends with 0"),
        (("UPDATE journal_events SET hash = 'f' WHERE sequence = 3",), "sequence 3 has hash f, but .* was published"),
        (("UPDATE journal_events SET payload_json = '0' WHERE sequence = 4",), "sequence 4 .* was edited"),
        (("DELETE FROM journal_events WHERE sequence = 4",), "expected sequence 4, found 5"),
    ],
    ids=["cut", "begun anew", "rewritten", "edited later", "deleted later"],
)
def test_a_journal_that_does_not_follow_from_its_published_head_is_refused(
    journal: Journal, tmp_path: Path, statements: tuple[str, ...], message: str
) -> None:
    _append(journal, "a", "b", "c")
    published = journal.head()
    _append(journal, "d", "e")
    _tampered(journal, tmp_path / "journal.sqlite", *statements)
    with pytest.raises(JournalError, match=message):
        journal.verify_since(published)
