"""A process that forks with its journal open: the child can write, and neither takes anything from the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import aegis
from aegis.execution.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


PROCESS = """
import os, signal, sys, threading
from datetime import UTC, date, datetime
from aegis.errors import JournalError
from aegis.execution import journal_connections
from aegis.execution.journal import Batch, Journal, NewEvent


def event(text):
    return NewEvent(kind="note", session=date(2014, 6, 6), at_utc=datetime(2014, 6, 6, 20, tzinfo=UTC),
                    payload_json=f'"{text}"', client_order_id=text)


def append(text, journal=None):
    with (journal or globals()["journal"]).batch() as batch:
        batch.append(event(text))


def commit_while(journal, text, told):
    # one event, and `told` within the transaction that appends it
    def rows(head):
        told()
        batch = Batch()
        batch.append(event(text))
        return batch.chained("simulated", head)
    journal._store.append("simulated", rows)


def refused(text, journal):
    try:
        append(text, journal)
    except JournalError as error:
        if "forked while its parent used the journal" in str(error) and "nothing was written" in str(error):
            return
        raise
    os._exit(2)


"""

FORKED = """
journal_connections.FORK_WAIT_SECONDS = 0.05  # they give none back before the child has ended


def hold(kept):
    with kept.lent():
        held.release()
        done.wait()


journal = Journal.open(sys.argv[1], account="simulated")
append("before")
assert len(journal.events(client_order_ids=["before"])) == 1
held, done = threading.Semaphore(0), threading.Event()
store = journal._store
holders = [threading.Thread(target=hold, args=[kept], daemon=True) for kept in (store._writing, store._reading)]
for holder in holders:
    holder.start()
    held.acquire()
child = os.fork()  # while other threads use both connections
if not child:
    signal.alarm(20)
    refused("child", journal)
    try:
        Journal.open(sys.argv[1], account="simulated")
    except JournalError as error:
        os._exit(0 if "forked while its parent used the journal" in str(error) else 3)
    os._exit(4)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
done.set()
for holder in holders:
    holder.join()
append("parent")
print([row.payload for row in journal.events()], journal.verify())
"""


def run(script: str, path: Path) -> str:
    """Return what a process prints that runs the script on a journal."""
    environment = {**os.environ, "PYTHONPATH": str(Path(aegis.__path__[0]).parent)}
    command = [sys.executable, "-c", PROCESS + script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_child_of_a_process_that_does_not_give_its_connections_back_is_refused(path: Path) -> None:
    assert run(FORKED, path) == "0\n['before', 'parent'] 2\n"
    with Journal.open(path, account="simulated") as journal:
        assert journal.verify() == 2


FORKED_WHILE_COMMITTING = """
def come_late():
    within.release()
    assert at_fork.wait(20)
    has_forked.wait(0.3)  # a fork that does not wait finds all locks held


journals = [Journal.open(f"{sys.argv[1]}{number}", account="simulated") for number in range(2)]
within, at_fork, has_forked = threading.Semaphore(0), threading.Event(), threading.Event()
writers = [threading.Thread(target=commit_while, args=[each, "thread", come_late]) for each in journals]
for writer in writers:
    writer.start()
    within.acquire()
os.register_at_fork(before=at_fork.set, after_in_parent=has_forked.set)  # the first to run, and the last
child = os.fork()
if not child:
    signal.alarm(10)
    for each in journals:
        append("child", each)
        each.close()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
for writer in writers:
    writer.join()
for each in journals:
    append("parent", each)
    print([row.payload for row in each.events()], each.verify())
"""


def test_a_fork_waits_for_the_commits_of_other_threads_so_that_its_child_can_write(path: Path) -> None:
    said = "['thread', 'child', 'parent'] 3\n"
    assert run(FORKED_WHILE_COMMITTING, path) == f"0\n{said}{said}"


FORKED_BY_WHO_COMMITS = """
def fork():
    child = os.fork()
    if not child:
        refused("child", journal)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


signal.alarm(20)
journal_connections.FORK_WAIT_SECONDS = 600
journal = Journal.open(sys.argv[1], account="simulated")
commit_while(journal, "parent", fork)
append("later")
print([row.payload for row in journal.events()], journal.verify())
"""


def test_a_thread_that_forks_within_its_own_commit_does_not_wait_for_itself(path: Path) -> None:
    assert run(FORKED_BY_WHO_COMMITS, path) == "0\n['parent', 'later'] 2\n"


LEFT_BY_ITS_PARENT = """
journal = Journal.open(sys.argv[1], account="simulated")
append("before")
journal.head(), journal.events(client_order_ids=["a", "b"])  # on the other connection as well
(said, tell), (is_closed, close) = os.pipe(), os.pipe()
child = os.fork()
if not child:
    signal.alarm(20)
    append("one")
    os.write(tell, b"x")
    os.read(is_closed, 1)
    append("two")
    found = journal.events(client_order_ids=["before", "two"])
    assert [row.payload for row in found] == ["before", "two"]
    os._exit(0 if journal.verify() == 3 else 1)
os.read(said, 1)
journal.close()
os.write(close, b"x")
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_what_a_child_commits_after_its_parent_has_closed_the_journal_stays(path: Path) -> None:
    assert run(LEFT_BY_ITS_PARENT, path) == "0\n"
    with Journal.open(path, account="simulated") as journal:
        assert [row.payload for row in journal.events()] == ["before", "one", "two"]


FORKED_WHILE_READING = """
journal = Journal.open(sys.argv[1], account="simulated")
append("before")
with journal._reading():
    child = os.fork()
    if not child:
        refused("child", journal)
        os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
append("parent")
child = os.fork()  # what was read is given back
if not child:
    append("child")
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print([row.payload for row in journal.events()], journal.verify())
"""


def test_a_child_is_refused_where_the_whole_journal_was_being_read_and_a_later_one_is_not(path: Path) -> None:
    assert run(FORKED_WHILE_READING, path) == "0\n0\n['before', 'parent', 'child'] 3\n"
