"""A workspace on PostgreSQL: same tables, same orders, nothing lost, and no password anywhere."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from rich.console import Console

from aegis.config import AegisConfig
from aegis.errors import JournalError, LakeError, LakeUnreadable, StorageUnavailable
from aegis.execution.journal import Journal, NewEvent, holds_journal
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.compaction import merge_small_files, stored_files
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.tables import ALL_TABLES, BOOK_STATES, DAILY_BARS, ORDERS
from aegis.lake.verified_lake import VerifiedLake
from aegis.postgres import PostgresSchema
from aegis.workspace import Workspace
from aegis_assets.table_assets import asset_key
from aegis_resources.lake import LakeResource
from aegis_sensors.instance import open_instance
from aegis_sensors.safekeeping_commands import verify_command
from tests.integration.conftest import SESSIONS, Chain, settings
from tests.integration.postgres_server import PASSWORD, PostgresServer
from tests.trial_tables import ACCOUNTS, cash

pytestmark = pytest.mark.service

MONDAY = date(2014, 6, 9)
MESSAGE = CommitMessage("trial/accounts", f"{MONDAY}..{MONDAY}", "run-1", "v1")
MakeChain = Callable[..., Chain]

WRITER = """
import json, sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
import pandas as pd
from pydantic import SecretStr
from aegis.execution.journal import Journal, NewEvent
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.compaction import merge_small_files, stored_files
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import Column, TableSchema
from aegis.postgres import PostgresSchema

ACCOUNTS = TableSchema("trial", "accounts", "", ("session", "account"), (
    Column("session", "session", ""), Column("account", "text", ""), Column("cash_usd", "float", "", "USD")))
url, folder, account, count = SecretStr(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
location = LakeLocation(folder, PostgresSchema.of(url, "two writers", "lake"))
journal = PostgresSchema.of(url, "two writers", "journal")
with connect(location) as connection, Journal.open(journal, account="simulated") as events:
    lake = Lake(connection)
    lake.create_tables([ACCOUNTS])
    for number in range(count):
        day = date(2014, 6, 9) + timedelta(days=number)
        frame = pd.DataFrame({"session": [day], "account": [account], "cash_usd": [float(number)]})
        message = CommitMessage("trial/accounts", str(day), account, "v1")
        print(lake.write([Replacement(ACCOUNTS, frame, day, day, account)], message), flush=True)
        with events.batch() as batch:
            for part in range(3):
                payload = json.dumps(f"{account} {number} {part}")
                batch.append(NewEvent(kind="trial", session=day, at_utc=datetime(2014, 6, 9, tzinfo=UTC),
                                      payload_json=payload, idempotency_key=f"{account}-{number}-{part}"))
"""


@pytest.fixture
def place(server: PostgresServer, location: LakeLocation) -> LakeLocation:
    """Return where a lake with its catalog on the server would be."""
    return LakeLocation(location.folder, PostgresSchema.of(server.secret, str(location.folder), "lake"))


@pytest.fixture
def schema(server: PostgresServer, tmp_path: Path) -> PostgresSchema:
    return PostgresSchema.of(server.secret, str(tmp_path), "journal")


def events(*payloads: str) -> list[NewEvent]:
    instant = pd.Timestamp("2014-06-09 20:15", tz="UTC").to_pydatetime()
    return [
        NewEvent(kind="trial", session=MONDAY, at_utc=instant, payload_json=json.dumps(p), idempotency_key=p)
        for p in payloads
    ]


def append(journal: Journal, *payloads: str) -> None:
    with journal.batch() as batch:
        for event in events(*payloads):
            batch.append(event)


@pytest.mark.parametrize("count", [pytest.param(count, marks=pytest.mark.long) for count in (2, 90)])
def test_a_chain_on_postgresql_decides_and_stores_what_the_embedded_one_does(
    server: PostgresServer, make_chain: MakeChain, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    named = settings(workspace=f"chain_of_{count}")  # the server keeps the schemas of the other count
    embedded = make_chain(**named)
    monkeypatch.setenv("AEGIS_STORAGE__POSTGRES_URL", server.url)
    team = make_chain(**named)
    first, last = SESSIONS[0], SESSIONS[count - 1]

    team.fetch_and_trade(first, last)
    embedded.fetch_and_trade(first, last)

    assert team.read(BOOK_STATES)["session"].nunique() == count
    assert len(team.read(ORDERS)) > 20 or count < 60  # the first sessions have no history to decide on
    for table in ALL_TABLES:
        if table.is_sessioned:
            assert team.hashes(table) == embedded.hashes(table), table.key
        else:
            pd.testing.assert_frame_equal(team.read(table), embedded.read(table), check_exact=True)
    with team.desk.recorded_journal() as ours, embedded.desk.recorded_journal() as theirs:
        assert ours.verify() == theirs.verify() >= count
        assert [row.kind for row in ours.events()] == [row.kind for row in theirs.events()]
    with open_instance(team.workspace) as instance:
        assert "Postgres" in type(instance.event_log_storage).__name__
        days = {session.isoformat() for session in SESSIONS[:count]}
        for table in (DAILY_BARS, BOOK_STATES, ORDERS):
            assert instance.get_materialized_partitions(asset_key(table)) == days
            newest = instance.get_latest_materialization_event(asset_key(table))
            assert newest is not None
            assert newest.asset_materialization is not None
            assert newest.asset_materialization.partition == last.isoformat()
    _assert_everything_is_on_the_server(team)


def _assert_everything_is_on_the_server(team: Chain) -> None:
    folder = team.workspace.folder
    assert not team.workspace.lake.catalog.exists()
    assert [file for file in folder.rglob("*") if file.suffix in (".sqlite", ".db")] == []
    written = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".parquet"]
    assert (folder / "dagster" / "dagster.yaml") in written
    for file in written:
        assert b"sesame" not in file.read_bytes(), f"{file} holds the password"
    assert "sesame" not in repr(team.workspace) + str(team.workspace.lake.server) + repr(team.config)


def test_a_damaged_data_file_is_refused_when_its_checksum_is_on_the_server(place: LakeLocation) -> None:
    days = [MONDAY + timedelta(days=number) for number in range(30)]
    with connect(place) as connection:
        lake = VerifiedLake(connection)
        lake.create_tables([ACCOUNTS])
        lake.checksums.cover([ACCOUNTS])
        for half in (days[:15], days[15:]):
            lake.write([Replacement(ACCOUNTS, cash(*half), half[0], half[-1])], MESSAGE)
        assert len(lake.read(ACCOUNTS)) == 30
        first, second = lake.checksums.all_files()
        damaged = bytearray(Path(second.path).read_bytes())
        damaged[len(damaged) // 2] ^= 1
        Path(second.path).write_bytes(damaged)

        with pytest.raises(LakeUnreadable, match="damaged or exchanged"):
            lake.read(ACCOUNTS)
        assert len(lake.read(ACCOUNTS, last=days[14])) == 15, f"{first.path} is as it was"


def test_aegis_data_verify_reads_the_files_of_a_catalog_on_the_server(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_STORAGE__POSTGRES_URL", server.url)
    config = AegisConfig(run={"home": tmp_path, "workspace": "verified"})
    with connect(Workspace.of(config).lake) as connection:
        lake = Lake(connection)
        lake.create_tables([ACCOUNTS])
        lake.checksums.cover([ACCOUNTS])
        lake.write([Replacement(ACCOUNTS, cash(MONDAY), MONDAY, MONDAY)], MESSAGE)
        (file,) = lake.checksums.all_files()

    def verify() -> tuple[bool, str]:
        console = Console(record=True, width=300, file=io.StringIO())
        return verify_command(config, table=None, since=None, console=console), console.export_text()

    is_whole, printed = verify()
    assert is_whole, printed
    assert "1 data files" in printed
    Path(file.path).write_bytes(Path(file.path).read_bytes() + b"\0")
    is_whole, printed = verify()
    assert not is_whole
    assert f"trial/accounts: data file {file.path}" in printed


def test_two_processes_that_begin_together_lose_nothing(server: PostgresServer, location: LakeLocation) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, server.url, location.folder, account, "6"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for account in ("one", "two")
    ]
    snapshots = []
    for writer in writers:
        output, complaints = writer.communicate(timeout=120)
        assert writer.returncode == 0, complaints
        snapshots.extend(output.split())

    assert len(set(snapshots)) == 12
    place = LakeLocation(location.folder, PostgresSchema.of(server.secret, "two writers", "lake"))
    with connect(place) as connection:
        rows = Lake(connection).read(ACCOUNTS)
    assert rows.groupby("account")["cash_usd"].apply(list).to_dict() == {
        a: [*map(float, range(6))] for a in ("one", "two")
    }
    schema = PostgresSchema.of(server.secret, "two writers", "journal")
    with Journal.open(schema, account="simulated") as journal:
        assert journal.verify() == 2 * 6 * 3
        batches = [json.loads(row.payload_json).rsplit(" ", 1)[0] for row in journal.events()]
    assert all(len(set(batches[at : at + 3])) == 1 for at in range(0, 36, 3))  # no batch is interleaved with another


def test_a_write_whose_connection_is_killed_leaves_nothing_and_can_be_made_again(
    server: PostgresServer, place: LakeLocation
) -> None:
    with connect(place) as connection:
        store = Lake(connection)
        store.create_tables([ACCOUNTS])
        store.write([Replacement(ACCOUNTS, cash(MONDAY), MONDAY, MONDAY)], MESSAGE)
        before = store.read(ACCOUNTS), store.snapshot_id()

    tuesday = MONDAY + timedelta(days=1)
    with connect(place) as connection:
        killing = _KilledBeforeCommit(connection, server)
        store = Lake(killing, sleep=_never)  # type: ignore[arg-type]
        with pytest.raises(LakeError) as refused:
            store.write([Replacement(ACCOUNTS, cash(tuesday), tuesday, tuesday)], MESSAGE)
        assert killing.killed > 0
    assert "sesame" not in str(refused.value)

    with connect(place) as connection:
        store = Lake(connection)
        pd.testing.assert_frame_equal(store.read(ACCOUNTS), before[0], check_exact=True)
        assert store.snapshot_id() == before[1]
        store.write([Replacement(ACCOUNTS, cash(tuesday), tuesday, tuesday)], MESSAGE)
        assert store.sessions(ACCOUNTS) == [MONDAY, tuesday]


class _KilledBeforeCommit:
    """A connection whose server ends it when it is about to commit."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, server: PostgresServer) -> None:
        self._connection, self._server = connection, server
        self.killed = 0

    def execute(self, statement: str, *values: object) -> object:
        if statement == "COMMIT":
            self.killed = self._server.kill_backends("")
        return self._connection.execute(statement, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def _never(_seconds: float) -> None:
    pytest.fail("a lost connection is no contention, and waiting for it helps nobody")


def test_small_files_are_counted_and_merged_as_in_an_embedded_lake(place: LakeLocation) -> None:
    days = [MONDAY + timedelta(days=number) for number in range(3)]
    many = [pd.concat([cash(day).assign(account=f"a{n}") for n in range(60)]) for day in days]
    with connect(place) as connection:
        store = Lake(connection)
        store.create_tables([ACCOUNTS])
        for day, rows in zip(days, many, strict=True):
            store.write([Replacement(ACCOUNTS, rows, day, day)], MESSAGE)
        before, hashes = stored_files(store), ACCOUNTS.content_hashes(store.read(ACCOUNTS))
        assert before.count == 3
        merge_small_files(store, MESSAGE)
        assert stored_files(store).count == 1
        assert ACCOUNTS.content_hashes(store.read(ACCOUNTS)) == hashes


def test_a_lake_with_an_embedded_catalog_is_not_begun_again_on_the_server(
    location: LakeLocation, place: LakeLocation
) -> None:
    with connect(location) as connection:
        Lake(connection).create_tables([ACCOUNTS])
    with pytest.raises(LakeUnreadable, match="two catalogs would tell two histories"), connect(place):
        pass
    assert not place.exists()


def test_data_files_without_their_catalog_are_not_taken_for_a_new_lake(
    server: PostgresServer, place: LakeLocation
) -> None:
    days = [MONDAY + timedelta(days=number) for number in range(100)]
    rows = pd.concat([cash(day) for day in days])
    with connect(place) as connection:
        store = Lake(connection)
        store.create_tables([ACCOUNTS])
        store.write([Replacement(ACCOUNTS, rows, days[0], days[-1])], MESSAGE)
    assert place.server is not None
    server.ask(f'DROP SCHEMA "{place.server.name}" CASCADE')
    with pytest.raises(LakeUnreadable, match=r"is gone, but .* holds its data files"), connect(place):
        pass


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    url = SecretStr(f"postgresql://aegis:sesame@/postgres?host={tmp_path}")
    schema = PostgresSchema.of(url, "nowhere", "lake")
    attempts: list[Callable[[], object]] = [
        LakeLocation(tmp_path / "lake", schema).exists,
        lambda: connect(LakeLocation(tmp_path / "lake", schema)).__enter__(),
        lambda: Journal.open(schema, account="simulated"),
        lambda: holds_journal(schema, account="simulated"),
    ]
    for attempt in attempts:
        with pytest.raises((StorageUnavailable, LakeUnreadable)) as refused:
            attempt()
        assert "sesame" not in str(refused.value)
        assert str(tmp_path) in str(refused.value)


def test_the_resource_shows_the_name_of_the_variable_and_not_the_url(
    server: PostgresServer, make_chain: MakeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_STORAGE__POSTGRES_URL", server.url)
    resource = LakeResource.of(make_chain().workspace)
    assert isinstance(resource.postgres_url, dg.EnvVar)
    assert "sesame" not in repr(resource)
    assert resource.location.server is not None
    assert resource.location.server.server_url().password == PASSWORD


def test_the_journal_refuses_every_change_of_what_is_in_it(server: PostgresServer, schema: PostgresSchema) -> None:
    assert not holds_journal(schema, account="simulated")
    with Journal.open(schema, account="simulated") as journal:
        append(journal, "one", "two")
        for change in (
            "UPDATE journal_events SET kind = 'forged'",
            "DELETE FROM journal_events",
            "TRUNCATE journal_events CASCADE",
            "INSERT INTO journal_events TABLE journal_events ON CONFLICT (account, sequence) DO UPDATE SET kind = 'x'",
        ):
            with pytest.raises(sa.exc.DBAPIError, match="append-only"):
                server.ask(change, schema=schema.name)
        assert journal.verify() == 2
    assert holds_journal(schema, account="simulated")
    assert not holds_journal(schema, account="paper")


def test_a_row_changed_behind_the_triggers_is_found_by_the_chain(
    server: PostgresServer, schema: PostgresSchema
) -> None:
    with Journal.open(schema, account="simulated") as journal:
        append(journal, "one", "two", "three")
        server.ask("ALTER TABLE journal_events DISABLE TRIGGER USER", schema=schema.name)
        server.ask("UPDATE journal_events SET payload_json = '\"TWO\"' WHERE sequence = 2", schema=schema.name)
        with pytest.raises(JournalError, match="sequence 2"):
            journal.verify()


def test_a_batch_whose_connection_is_killed_is_not_there_and_can_be_written_again(
    server: PostgresServer, schema: PostgresSchema
) -> None:
    with Journal.open(schema, account="simulated") as journal:
        append(journal, "one")
        sa.event.listen(journal._store.engine, "commit", lambda _connection: server.kill_backends(""))
        with pytest.raises(JournalError, match="connection to the database was lost"):
            append(journal, "two", "three")
    with Journal.open(schema, account="simulated") as journal:
        assert journal.verify() == 1
        append(journal, "two", "three")
        assert journal.verify() == 3
