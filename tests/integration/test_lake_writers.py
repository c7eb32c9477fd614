"""Several writers of one lake at the same time: nothing is lost, and a reader never waits."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import duckdb
import pandas as pd
import pytest

from aegis.errors import LakeError
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from tests.trial_tables import ACCOUNTS, cash

MONDAY = date(2014, 6, 9)
MESSAGE = CommitMessage("trial/accounts", "2014-06-09..2014-06-09", "run-1", "v1")

WRITER = """
import sys
from datetime import date, timedelta
from pathlib import Path
import pandas as pd
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import Column, TableSchema

ACCOUNTS = TableSchema("trial", "accounts", "", ("session", "account"), (
    Column("session", "session", ""), Column("account", "text", ""), Column("cash_usd", "float", "", "USD")))
folder, account, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with connect(LakeLocation(folder)) as connection:
    lake = Lake(connection)
    lake.create_tables([ACCOUNTS])
    for number in range(count):
        session = date(2014, 6, 9) + timedelta(days=number)
        frame = pd.DataFrame({"session": [session], "account": [account], "cash_usd": [float(number)]})
        message = CommitMessage("trial/accounts", str(session), account, "v1")
        print(lake.write([Replacement(ACCOUNTS, frame, session, session, account)], message), flush=True)
"""


def _write_from_processes(location: LakeLocation, accounts: list[str], count: int) -> list[list[int]]:
    location.folder.mkdir(parents=True, exist_ok=True)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, location.folder, account, str(count)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for account in accounts
    ]
    numbers = []
    for writer in writers:
        output, complaints = writer.communicate(timeout=120)
        assert writer.returncode == 0, complaints
        numbers.append([int(line) for line in output.split()])
    return numbers


def _assert_nothing_was_lost(location: LakeLocation, accounts: list[str], count: int) -> None:
    with connect(location) as connection:
        store = Lake(connection)
        rows = store.read(ACCOUNTS)
        commits = store.snapshots()["commit_message"].str.startswith("trial/accounts").sum()
    assert rows.groupby("account")["cash_usd"].apply(list).to_dict() == {
        a: [float(n) for n in range(count)] for a in accounts
    }
    assert commits == len(accounts) * count


def test_two_processes_that_begin_a_lake_together_lose_nothing(location: LakeLocation) -> None:
    first, second = _write_from_processes(location, ["one", "two"], 6)

    assert len({*first, *second}) == 12, "every write must report a snapshot of its own"
    _assert_nothing_was_lost(location, ["one", "two"], 6)


def test_threads_that_write_at_the_same_time_lose_nothing(location: LakeLocation) -> None:
    with connect(location) as connection:
        Lake(connection).create_tables([ACCOUNTS])

    def write(account: str) -> list[int]:
        with connect(location) as connection:
            store = Lake(connection)
            numbers = []
            for number in range(5):
                day = date(2014, 6, 9 + number)
                frame = pd.DataFrame({"session": [day], "account": [account], "cash_usd": [float(number)]})
                message = CommitMessage("trial/accounts", str(day), account, "v1")
                numbers.append(store.write([Replacement(ACCOUNTS, frame, day, day, account)], message))
            return numbers

    accounts = ["a", "b", "c"]
    with ThreadPoolExecutor(3) as pool:
        numbers = [number for of_one in pool.map(write, accounts) for number in of_one]

    assert len(set(numbers)) == 15
    _assert_nothing_was_lost(location, accounts, 5)


def test_a_writer_gives_up_with_a_remedy_and_a_growing_wait_when_others_hold_the_lake(location: LakeLocation) -> None:
    waits: list[float] = []
    with connect(location) as connection:
        Lake(connection).create_tables([ACCOUNTS])
        held = _AlwaysLocked(connection)
        store = Lake(held, sleep=waits.append)  # type: ignore[arg-type]
        with pytest.raises(
            LakeError, match="other writers held the lake for 12 attempts; nothing was written, run it again"
        ):
            store.write([Replacement(ACCOUNTS, cash(MONDAY), MONDAY, MONDAY)], MESSAGE)

        assert len(waits) == 12
        assert waits == sorted(waits)
        assert Lake(connection).read(ACCOUNTS).empty


class _AlwaysLocked:
    """A connection whose commits fail as SQLite's do while another process writes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def execute(self, statement: str, *values: Any) -> Any:
        if statement == "COMMIT":
            self._connection.execute("ROLLBACK")
            raise duckdb.IOException("Failed to commit: database is locked")
        return self._connection.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_a_reader_is_not_blocked_by_an_open_write(location: LakeLocation) -> None:
    with connect(location) as reader, connect(location) as writer:
        lake = Lake(reader)
        lake.create_tables([ACCOUNTS])
        lake.write([Replacement(ACCOUNTS, cash(MONDAY), MONDAY, MONDAY)], MESSAGE)
        writer.execute("BEGIN TRANSACTION")
        writer.execute("DELETE FROM lake.trial.accounts")

        assert len(lake.read(ACCOUNTS)) == 1
        writer.execute("ROLLBACK")
