"""The versioned store on disk: what is written comes back, old versions stay, and a failure leaves nothing."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from aegis.errors import LakeError, LakeUnreadable, SchemaMismatch, SnapshotNotFound
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import Column, TableSchema

MONDAY, TUESDAY, WEDNESDAY = date(2014, 6, 9), date(2014, 6, 10), date(2014, 6, 11)

READINGS = TableSchema(
    "trial",
    "readings",
    "One row of each kind of column.",
    ("session", "symbol"),
    (
        Column("session", "session", "Session."),
        Column("symbol", "text", "Symbol."),
        Column("known_at_utc", "instant", "When known.", "UTC"),
        Column("close_usd", "float", "Required number.", "USD"),
        Column("spread_bps", "float", "Number that may be missing.", "bps", nullable=True),
        Column("volume_shares", "integer", "Count.", "shares"),
        Column("tradable", "boolean", "Flag."),
        Column("note", "text", "Text that may be missing.", nullable=True),
        Column("loadings", "floats", "List of numbers."),
    ),
)
ACCOUNTS = TableSchema(
    "trial",
    "accounts",
    "Rows of several accounts.",
    ("session", "account"),
    (
        Column("session", "session", "Session."),
        Column("account", "text", "Account."),
        Column("cash_usd", "float", "Cash.", "USD"),
    ),
)
NAMES = TableSchema("trial", "names", "No sessions.", ("symbol",), (Column("symbol", "text", "Symbol."),))
MESSAGE = CommitMessage("trial/readings", "2014-06-09..2014-06-10", "run-1", "v1")


def _readings(*sessions: date, close_usd: float = 93.7, symbols: tuple[str, ...] = ("AAPL", "MSFT")) -> pd.DataFrame:
    rows = [
        {
            "session": session,
            "symbol": symbol,
            "known_at_utc": datetime(session.year, session.month, session.day, 20, 15, 0, 123456, tzinfo=UTC),
            "close_usd": close_usd,
            "spread_bps": None if symbol == "MSFT" else 0.1,
            "volume_shares": 2**53 + 1,
            "tradable": symbol == "AAPL",
            "note": None if symbol == "AAPL" else "naïve 'quoted' \n line",
            "loadings": [0.1, -0.0, 1e-308],
        }
        for session in sessions
        for symbol in symbols
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def location(tmp_path: Path) -> LakeLocation:
    return LakeLocation(tmp_path / "lake of 'one' workspace")


@pytest.fixture
def lake(location: LakeLocation) -> Iterator[Lake]:
    with connect(location) as connection:
        store = Lake(connection)
        store.create_tables([READINGS, ACCOUNTS, NAMES])
        yield store


def test_every_kind_of_value_comes_back_to_the_bit(lake: Lake) -> None:
    lake.write([Replacement(READINGS, _readings(MONDAY), MONDAY, MONDAY)], MESSAGE)

    frame = lake.read(READINGS)

    assert frame.columns.tolist() == READINGS.column_names
    assert frame["session"].dtype == "datetime64[ns]"
    assert frame["session"].tolist() == [pd.Timestamp("2014-06-09")] * 2
    assert frame["symbol"].tolist() == ["AAPL", "MSFT"]
    assert frame["known_at_utc"].tolist() == [pd.Timestamp("2014-06-09T20:15:00.123456", tz="UTC")] * 2
    assert str(frame["known_at_utc"].dt.tz) == "UTC"
    assert frame["close_usd"].tolist() == [93.7, 93.7]
    assert frame["spread_bps"].isna().tolist() == [False, True]
    assert frame["volume_shares"].dtype == "int64"
    assert frame["volume_shares"].tolist() == [9007199254740993] * 2, "a float would have rounded it"
    assert frame["tradable"].dtype == "bool"
    assert frame["tradable"].tolist() == [True, False]
    assert frame["note"].tolist() == [None, "naïve 'quoted' \n line"]
    assert [np.asarray(v).tobytes() for v in frame["loadings"]] == [np.array([0.1, -0.0, 1e-308]).tobytes()] * 2


def test_what_is_read_hashes_as_what_was_written(lake: Lake) -> None:
    written = _readings(MONDAY, TUESDAY)

    lake.write([Replacement(READINGS, written, MONDAY, TUESDAY)], MESSAGE)

    assert READINGS.content_hashes(lake.read(READINGS)) == READINGS.content_hashes(written)


def test_an_empty_table_reads_with_its_dtypes(lake: Lake) -> None:
    assert lake.read(READINGS).dtypes.to_dict() == READINGS.empty().dtypes.to_dict()
    assert lake.sessions(READINGS) == []


def test_another_connection_sees_what_was_committed(lake: Lake, location: LakeLocation) -> None:
    lake.write([Replacement(READINGS, _readings(MONDAY), MONDAY, MONDAY)], MESSAGE)

    with connect(location) as connection:
        assert len(Lake(connection).read(READINGS)) == 2


def test_a_write_replaces_its_range_and_nothing_else(lake: Lake) -> None:
    lake.write([Replacement(READINGS, _readings(MONDAY, TUESDAY, WEDNESDAY), MONDAY, WEDNESDAY)], MESSAGE)
    lake.write([Replacement(READINGS, _readings(TUESDAY, close_usd=1.0), TUESDAY, TUESDAY)], MESSAGE)

    closes = lake.read(READINGS).groupby("session")["close_usd"].unique().map(list)

    assert closes.to_dict() == {
        pd.Timestamp(MONDAY): [93.7],
        pd.Timestamp(TUESDAY): [1.0],
        pd.Timestamp(WEDNESDAY): [93.7],
    }
    assert lake.sessions(READINGS) == [MONDAY, TUESDAY, WEDNESDAY]
    assert lake.read(READINGS, first=TUESDAY, last=TUESDAY)["close_usd"].tolist() == [1.0, 1.0]


def test_replacing_a_range_by_nothing_empties_it(lake: Lake) -> None:
    lake.write([Replacement(READINGS, _readings(MONDAY, TUESDAY), MONDAY, TUESDAY)], MESSAGE)
    lake.write([Replacement(READINGS, READINGS.empty(), MONDAY, MONDAY)], MESSAGE)

    assert lake.sessions(READINGS) == [TUESDAY]


def test_an_account_s_write_leaves_the_rows_of_others(lake: Lake) -> None:
    def cash(account: str, usd: float) -> Replacement:
        frame = pd.DataFrame({"session": [MONDAY], "account": [account], "cash_usd": [usd]})
        return Replacement(ACCOUNTS, frame, MONDAY, MONDAY, account)

    lake.write([cash("simulated", 1.0)], MESSAGE)
    lake.write([cash("paper", 2.0)], MESSAGE)
    lake.write([cash("simulated", 3.0)], MESSAGE)

    assert lake.read(ACCOUNTS).set_index("account")["cash_usd"].to_dict() == {"paper": 2.0, "simulated": 3.0}
    assert lake.read(ACCOUNTS, account="paper")["cash_usd"].tolist() == [2.0]
    assert lake.sessions(ACCOUNTS, account="nobody") == []


def test_a_table_without_sessions_is_replaced_whole(lake: Lake) -> None:
    lake.write([Replacement(NAMES, pd.DataFrame({"symbol": ["A", "B"]}))], MESSAGE)
    lake.write([Replacement(NAMES, pd.DataFrame({"symbol": ["C"]}))], MESSAGE)

    assert lake.read(NAMES)["symbol"].tolist() == ["C"]


def test_every_version_stays_readable(lake: Lake) -> None:
    first = lake.write([Replacement(READINGS, _readings(MONDAY, close_usd=1.0), MONDAY, MONDAY)], MESSAGE)
    second = lake.write([Replacement(READINGS, _readings(MONDAY, close_usd=2.0), MONDAY, MONDAY)], MESSAGE)
    lake.compact()

    assert first < second <= lake.snapshot_id()
    assert lake.read(READINGS, snapshot_id=first)["close_usd"].tolist() == [1.0, 1.0]
    assert lake.read(READINGS, snapshot_id=second)["close_usd"].tolist() == [2.0, 2.0]
    assert lake.read(READINGS)["close_usd"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize("snapshot_id", [0, 999_999], ids=["before the table", "never"])
def test_a_version_that_does_not_exist_is_refused(lake: Lake, snapshot_id: int) -> None:
    with pytest.raises(SnapshotNotFound, match=f"(?s)trial/readings at snapshot {snapshot_id}: .*aegis data versions"):
        lake.read(READINGS, snapshot_id=snapshot_id)


def test_a_snapshot_says_who_wrote_it_and_why(lake: Lake) -> None:
    message = CommitMessage("trial/readings", "2014-06-09..2014-06-09", "run-7", "v3", "vendor corrected the close")

    number = lake.write([Replacement(READINGS, _readings(MONDAY), MONDAY, MONDAY)], message)

    snapshot = lake.snapshots().set_index("snapshot_id").loc[number]
    assert snapshot["commit_message"] == "trial/readings 2014-06-09..2014-06-09"
    assert json.loads(snapshot["commit_extra_info"]) == {
        "asset": "trial/readings",
        "sessions": "2014-06-09..2014-06-09",
        "run_id": "run-7",
        "code_version": "v3",
        "reason": "vendor corrected the close",
    }


def test_one_write_of_several_tables_is_one_snapshot(lake: Lake) -> None:
    before = len(lake.snapshots())

    number = lake.write(
        [
            Replacement(READINGS, _readings(MONDAY), MONDAY, MONDAY),
            Replacement(NAMES, pd.DataFrame({"symbol": ["A"]})),
        ],
        MESSAGE,
    )

    assert len(lake.snapshots()) == before + 1
    assert len(lake.read(READINGS, snapshot_id=number)) == 2
    assert len(lake.read(NAMES, snapshot_id=number)) == 1


def test_creating_tables_that_exist_makes_no_snapshot(lake: Lake) -> None:
    before = lake.snapshot_id()

    lake.create_tables([READINGS, ACCOUNTS, NAMES])

    assert lake.snapshot_id() == before


def test_a_write_that_changes_nothing_returns_the_newest_snapshot(lake: Lake, location: LakeLocation) -> None:
    number = lake.write([Replacement(READINGS, _readings(MONDAY), MONDAY, MONDAY)], MESSAGE)

    with connect(location) as connection:
        unchanged = Lake(connection).write([Replacement(READINGS, READINGS.empty(), TUESDAY, TUESDAY)], MESSAGE)

    assert unchanged >= number
    assert len(lake.read(READINGS, snapshot_id=unchanged)) == 2


# What does not fit is refused before anything is written.


def _drop_close(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="close_usd")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (_drop_close, r"missing \['close_usd'\], unexpected \[\]"),
        (lambda f: f.assign(price=1.0), r"missing \[\], unexpected \['price'\]"),
        (
            lambda f: f.assign(close_usd="dear"),
            r"trial/readings\.close_usd: values of dtype object cannot be read as float",
        ),
        (lambda f: f.assign(volume_shares=np.nan), r"trial/readings\.volume_shares: .*cannot be read as integer"),
        (
            lambda f: f.assign(session=["2014-06-09", "someday"]),
            r"trial/readings\.session: .*cannot be read as session",
        ),
        (
            lambda f: f.assign(close_usd=np.nan),
            r"trial/readings\.close_usd: 2 null value\(s\), first at .*AAPL.*required",
        ),
        (lambda f: f.assign(symbol=None), r"trial/readings\.symbol: 2 null value\(s\)"),
        (lambda f: pd.concat([f, f.head(1)]), r"1 row\(s\) repeat the primary key .*AAPL.*keep one row for each key"),
        (lambda f: f.assign(session=TUESDAY), r"2 row\(s\) lie outside 2014-06-09\.\.2014-06-09.*AAPL"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_and_nothing_is_written(
    lake: Lake, spoil: Callable[[pd.DataFrame], pd.DataFrame], complaint: str
) -> None:
    number = lake.write([Replacement(READINGS, _readings(MONDAY), MONDAY, MONDAY)], MESSAGE)

    with pytest.raises(SchemaMismatch, match=complaint):
        lake.write([Replacement(READINGS, spoil(_readings(MONDAY)), MONDAY, MONDAY)], MESSAGE)

    assert lake.snapshot_id() == number
    assert len(lake.read(READINGS)) == 2


def test_a_write_without_its_range_is_refused(lake: Lake) -> None:
    with pytest.raises(SchemaMismatch, match="must name the range of sessions that it replaces"):
        lake.write([Replacement(READINGS, _readings(MONDAY))], MESSAGE)


def test_a_write_that_fails_half_way_leaves_nothing_and_the_next_one_works(lake: Lake) -> None:
    number = lake.write([Replacement(READINGS, _readings(MONDAY), MONDAY, MONDAY)], MESSAGE)
    absent = replace(READINGS, name="never_created")

    with pytest.raises(LakeError, match=r"(?s)trial/readings: nothing was written: .*never_created"):
        lake.write(
            [
                Replacement(READINGS, _readings(MONDAY, close_usd=2.0), MONDAY, MONDAY),
                Replacement(absent, _readings(MONDAY), MONDAY, MONDAY),
            ],
            MESSAGE,
        )

    assert lake.snapshot_id() == number
    assert lake.read(READINGS)["close_usd"].tolist() == [93.7, 93.7]
    assert lake.write([Replacement(READINGS, _readings(MONDAY, close_usd=3.0), MONDAY, MONDAY)], MESSAGE) > number
    assert lake.read(READINGS)["close_usd"].tolist() == [3.0, 3.0]


# Writers at the same time.

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
        Lake(connection).create_tables([READINGS])
        held = _AlwaysLocked(connection)
        store = Lake(held, sleep=waits.append)  # type: ignore[arg-type]
        with pytest.raises(
            LakeError, match="other writers held the lake for 12 attempts; nothing was written, run it again"
        ):
            store.write([Replacement(READINGS, _readings(MONDAY), MONDAY, MONDAY)], MESSAGE)

        assert len(waits) == 12
        assert waits == sorted(waits)
        assert Lake(connection).read(READINGS).empty


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


def test_a_reader_is_not_blocked_by_an_open_write(lake: Lake, location: LakeLocation) -> None:
    lake.write([Replacement(READINGS, _readings(MONDAY), MONDAY, MONDAY)], MESSAGE)

    with connect(location) as writer:
        writer.execute("BEGIN TRANSACTION")
        writer.execute("DELETE FROM lake.trial.readings")
        assert len(lake.read(READINGS)) == 2
        writer.execute("ROLLBACK")


# What cannot be read.


def test_a_damaged_catalog_is_refused_with_the_remedy_and_left_as_it_is(location: LakeLocation) -> None:
    location.folder.mkdir(parents=True)
    location.catalog.write_bytes(b"not a database, but somebody's only copy " * 200)
    before = location.catalog.read_bytes()

    with (
        pytest.raises(
            LakeUnreadable, match=r"catalog\.sqlite cannot be opened: .*restore it from a backup.*run\.workspace"
        ),
        connect(location),
    ):
        pass

    assert location.catalog.read_bytes() == before


@pytest.mark.parametrize("loss", ["deleted", "emptied"])
def test_data_files_without_a_catalog_are_not_taken_for_a_new_lake(location: LakeLocation, loss: str) -> None:
    with connect(location) as connection:
        store = Lake(connection)
        store.create_tables([READINGS])
        store.write(
            [Replacement(READINGS, _readings(*_many_sessions()), date(2014, 1, 1), date(2015, 12, 31))], MESSAGE
        )
    files = set(location.data_path.rglob("*.parquet"))
    assert files
    for file in location.folder.glob("catalog.sqlite*"):
        file.unlink()
    if loss == "emptied":
        location.catalog.touch()

    with pytest.raises(LakeUnreadable, match=r"catalog\.sqlite is gone.*restore it from a backup"), connect(location):
        pass

    assert set(location.data_path.rglob("*.parquet")) == files


def _many_sessions() -> list[date]:
    return [day.date() for day in pd.bdate_range("2014-01-01", "2014-12-31")]


def test_a_data_file_that_vanished_is_named_with_the_remedy(location: LakeLocation) -> None:
    with connect(location) as connection:
        store = Lake(connection)
        store.create_tables([READINGS])
        store.write(
            [Replacement(READINGS, _readings(*_many_sessions()), date(2014, 1, 1), date(2015, 12, 31))], MESSAGE
        )
    for file in location.data_path.rglob("*.parquet"):
        file.unlink()

    with (
        connect(location) as connection,
        pytest.raises(LakeUnreadable, match=r"(?s)trial/readings cannot be read: .*restore"),
    ):
        Lake(connection).read(READINGS)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")

    with pytest.raises(LakeUnreadable, match="cannot be created"), connect(LakeLocation(tmp_path / "file" / "lake")):
        pass


def test_a_relative_folder_is_refused() -> None:
    with pytest.raises(LakeUnreadable, match="must be absolute"):
        LakeLocation(Path("lake"))


def test_the_catalog_is_a_database_in_which_readers_do_not_block(location: LakeLocation) -> None:
    with connect(location) as connection:
        Lake(connection).create_tables([ACCOUNTS])
    with sqlite3.connect(location.catalog) as catalog:
        assert catalog.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    catalog.close()


# Fingerprints.


def test_a_fingerprint_does_not_depend_on_the_order_of_rows_or_columns() -> None:
    frame = _readings(MONDAY, TUESDAY)

    shuffled = frame.sample(frac=1.0, random_state=3)[list(reversed(frame.columns))]

    assert READINGS.content_hashes(shuffled) == READINGS.content_hashes(frame)


@pytest.mark.parametrize(
    "change",
    [
        {"close_usd": np.nextafter(93.7, 94.0)},
        {"spread_bps": 0.0},
        {"volume_shares": 2**53 + 2},
        {"tradable": False},
        {"note": ""},
        {"symbol": "AAPM"},
        {"known_at_utc": pd.Timestamp("2014-06-09T20:15:00.123457", tz="UTC")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_one_bit_changes_the_fingerprint_of_its_session_only(change: dict[str, Any]) -> None:
    frame = _readings(MONDAY, TUESDAY)
    before = READINGS.content_hashes(frame)

    changed = frame.copy()
    ((column, value),) = change.items()
    changed.loc[0, column] = value
    after = READINGS.content_hashes(changed)

    assert after[MONDAY] != before[MONDAY]
    assert after[TUESDAY] == before[TUESDAY]


def test_a_list_that_differs_in_the_sign_of_zero_has_another_fingerprint() -> None:
    frame = _readings(MONDAY)
    other = frame.assign(loadings=[[0.1, 0.0, 1e-308], [0.1, -0.0, 1e-308]])

    assert READINGS.content_hashes(other) != READINGS.content_hashes(frame)


def test_the_fingerprint_of_repeated_rows_does_not_depend_on_their_order() -> None:
    raw = replace(READINGS, enforce_key=False)
    twice = pd.concat([_readings(MONDAY, close_usd=1.0), _readings(MONDAY, close_usd=2.0)], ignore_index=True)

    assert raw.content_hashes(twice.iloc[::-1]) == raw.content_hashes(twice)


def test_a_session_without_rows_has_no_fingerprint() -> None:
    assert READINGS.content_hashes(READINGS.empty()) == {}
