"""The pooled event log: the same history as Dagster's own class, whichever of the two reads it, also after a kill."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from aegis_resources.event_log import BATCH_SIZE_VARIABLE, PooledSqliteEventLogStorage

DAYS = dg.DailyPartitionsDefinition("2014-06-01", end_date="2014-07-01")
ALL_DAYS = set(DAYS.get_partition_keys())
BARS, FEATURES = dg.AssetKey(["trial", "bars"]), dg.AssetKey(["trial", "features"])
POOLED = ("aegis_resources.event_log", "PooledSqliteEventLogStorage")
STOCK = ("dagster._core.storage.event_log", "SqliteEventLogStorage")


@dg.asset(key_prefix="trial", partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def bars() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"rows": 30}, data_version=dg.DataVersion("1"))


@dg.multi_asset(
    outs={"features": dg.AssetOut(key=FEATURES)},
    partitions_def=DAYS,
    deps=[bars],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def feature_table() -> dg.Output[None]:
    return dg.Output(None, "features", metadata={"rows": 7}, data_version=dg.DataVersion("2"))


@dg.asset_check(asset=bars)
def bars_are_there() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


def _folder(home: Path) -> Path:
    return home / "history" / "runs"


@contextmanager
def _instance(home: Path, storage: tuple[str, str]) -> Iterator[dg.DagsterInstance]:
    home.mkdir(parents=True, exist_ok=True)
    module, name = storage
    settings = {
        "telemetry": {"enabled": False},
        "event_log_storage": {"module": module, "class": name, "config": {"base_dir": str(_folder(home))}},
    }
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    instance = dg.DagsterInstance.from_config(str(home))
    try:
        yield instance
    finally:
        instance.dispose()


def _materialize(instance: dg.DagsterInstance, first: str = "2014-06-01", last: str = "2014-06-30") -> str:
    result = dg.materialize(
        [bars, feature_table, bars_are_there],
        instance=instance,
        tags={ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last, "desk": "analyst"},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert result.success
    return result.run_id


def _history(storage: SqliteEventLogStorage, run_id: str) -> dict[str, Any]:
    """Everything a person can see of a run and its assets, without ids and clock times."""
    records = storage.get_records_for_run(run_id, limit=10_000).records
    events = [r.event_log_entry.dagster_event for r in records if r.event_log_entry.dagster_event is not None]
    materializations = {
        key.to_user_string(): [
            (r.partition_key, {k: v.value for k, v in r.asset_materialization.metadata.items()}, r.run_id == run_id)
            for r in storage.fetch_materializations(key, limit=1_000).records
            if r.asset_materialization is not None
        ]
        for key in (BARS, FEATURES)
    }
    entries = {
        record.asset_entry.asset_key.to_user_string(): record.asset_entry for record in storage.get_asset_records()
    }
    return {
        "events of the run": Counter(event.event_type_value for event in events),
        "materializations, newest first": materializations,
        "partitions": {key.to_user_string(): storage.get_materialized_partitions(key) for key in (BARS, FEATURES)},
        "assets": {key: entry.last_run_id == run_id for key, entry in entries.items()},
        "newest of each asset": {
            key: entry.last_materialization.asset_materialization.partition
            for key, entry in entries.items()
            if entry.last_materialization and entry.last_materialization.asset_materialization
        },
        "tags": storage.get_event_tags_for_asset(BARS),
        "planned": storage.get_latest_planned_materialization_info(BARS) is not None,
    }


@pytest.fixture(autouse=True)
def _batches_of_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BATCH_SIZE_VARIABLE, "7")


@pytest.mark.parametrize("batch_size", ["0", "1", "7", "1000"])
def test_the_history_is_the_one_that_dagster_s_own_class_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: str
) -> None:
    monkeypatch.setenv(BATCH_SIZE_VARIABLE, batch_size)
    with _instance(tmp_path / "stock", STOCK) as instance:
        expected = _history(instance.event_log_storage, _materialize(instance))
    with _instance(tmp_path / "pooled", POOLED) as instance:
        assert type(instance.event_log_storage) is PooledSqliteEventLogStorage
        found = _history(instance.event_log_storage, _materialize(instance))

    assert found == expected
    assert found["partitions"] == {"trial/bars": ALL_DAYS, "trial/features": ALL_DAYS}
    assert found["events of the run"]["ASSET_MATERIALIZATION"] == 60
    assert found["newest of each asset"] == {"trial/bars": "2014-06-30", "trial/features": "2014-06-30"}


def test_either_class_reads_and_continues_what_the_other_wrote(tmp_path: Path) -> None:
    with _instance(tmp_path, POOLED) as instance:
        first = _materialize(instance, "2014-06-01", "2014-06-10")
        by_pooled = _history(instance.event_log_storage, first)
    with _instance(tmp_path, STOCK) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        assert _history(instance.event_log_storage, first) == by_pooled
        _materialize(instance, "2014-06-11", "2014-06-20")
    with _instance(tmp_path, POOLED) as instance:
        _materialize(instance, "2014-06-21", "2014-06-30")
        assert instance.get_materialized_partitions(FEATURES) == ALL_DAYS
    with _instance(tmp_path, STOCK) as instance:
        assert instance.get_materialized_partitions(FEATURES) == ALL_DAYS


def test_every_materialization_is_stored_once_in_the_run_and_once_in_the_index(tmp_path: Path) -> None:
    with _instance(tmp_path, POOLED) as instance:
        run_id = _materialize(instance)

    expected = {(key.to_string(), day): 1 for key in (BARS, FEATURES) for day in ALL_DAYS}
    assert _stored(_folder(tmp_path) / f"{run_id}.db") == expected
    assert _stored(_folder(tmp_path) / "index.db") == expected


def test_a_batch_is_one_transaction_in_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    transaction = PooledSqliteEventLogStorage._transaction

    def counted(self: PooledSqliteEventLogStorage, shard: str) -> Any:
        opened.append(shard)
        return transaction(self, shard)

    with _instance(tmp_path, POOLED) as instance:
        planned = _materialization_batch(instance)
        monkeypatch.setattr(PooledSqliteEventLogStorage, "_transaction", counted)
        instance.event_log_storage.store_event_batch(planned)

    assert len(planned) == 60
    assert opened == ["index", planned[0].run_id]


def _materialization_batch(instance: dg.DagsterInstance) -> list[Any]:
    run_id = _materialize(instance)
    records = instance.event_log_storage.get_records_for_run(run_id, limit=10_000).records
    return [
        record.event_log_entry
        for record in records
        if record.event_log_entry.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION
    ]


@pytest.mark.parametrize("place", ["index", "run"])
def test_a_batch_that_fails_stores_none_of_its_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with _instance(tmp_path, POOLED) as instance:
        events = _materialization_batch(instance)
        storage = instance.event_log_storage
        files = [_folder(tmp_path) / "index.db", _folder(tmp_path) / f"{events[0].run_id}.db"]
        before = [_stored(file) for file in files]
        transaction = storage._transaction

        def refuse(*_arguments: Any) -> None:
            raise RuntimeError("the disk is full")

        @contextmanager
        def without_room_for_the_run(shard: str) -> Iterator[Any]:
            with transaction(shard) as connection:
                yield connection
                if shard != "index":
                    refuse()

        if place == "index":
            monkeypatch.setattr(storage, "_store_asset_event_tags", refuse)
        else:
            monkeypatch.setattr(storage, "_transaction", without_room_for_the_run)
        with pytest.raises(RuntimeError, match="the disk is full"):
            storage.store_event_batch(events)

        assert [_stored(file) for file in files] == before


def test_a_batch_that_finds_the_index_locked_is_stored_once_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dagster stores the events of a refused batch one by one; another process holds the index until it does."""
    monkeypatch.setattr("aegis_resources.event_log.SQLITE_BUSY_TIMEOUT_SECONDS", 0)
    store_batch = PooledSqliteEventLogStorage.store_event_batch
    refused: list[str] = []

    def amid_another_write(self: PooledSqliteEventLogStorage, events: Any) -> None:
        with closing(sqlite3.connect(_folder(tmp_path) / "index.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            try:
                store_batch(self, events)
            except sa.exc.OperationalError as error:
                refused.append(str(error.orig))
                raise
            finally:
                other.execute("ROLLBACK")

    monkeypatch.setattr(PooledSqliteEventLogStorage, "store_event_batch", amid_another_write)
    with _instance(tmp_path, POOLED) as instance:
        run_id = _materialize(instance)

    assert set(refused) == {"database is locked"}
    assert "Falling back to storing multiple single-event storage requests" in capsys.readouterr().err
    expected = {(key.to_string(), day): 1 for key in (BARS, FEATURES) for day in ALL_DAYS}
    assert _stored(_folder(tmp_path) / f"{run_id}.db") == expected
    assert _stored(_folder(tmp_path) / "index.db") == expected


def test_after_a_wipe_the_log_is_written_to_new_files(tmp_path: Path) -> None:
    with _instance(tmp_path, POOLED) as instance:
        events = _materialization_batch(instance)
        instance.event_log_storage.wipe()
        assert not list(_folder(tmp_path).glob(f"{events[0].run_id}.db*"))
        instance.event_log_storage.store_event_batch(events)

    assert sum(_stored(_folder(tmp_path) / f"{events[0].run_id}.db").values()) == 60
    assert sum(_stored(_folder(tmp_path) / "index.db").values()) == 60


def _stored(file: Path) -> Counter[tuple[str, str]]:
    connection = sqlite3.connect(file)
    try:
        return Counter(
            connection.execute(
                "SELECT asset_key, partition FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
            ).fetchall()
        )
    finally:
        connection.close()


# A process that forks children; each materializes the same range and kills itself, without a chance to clean up, at one
# moment of storing its n-th batch of materializations: "tags" amid the index's transaction, "begin 2" before the run's
# file is opened, "commit 1" before that commits, "commit 2" between its commit and the index's.
KILLED_CHILDREN = """
import json, os, signal, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[3])
import sqlalchemy as sa
import test_event_log as trial

home, kills = Path(sys.argv[1]), json.loads(sys.argv[2])
Storage = trial.PooledSqliteEventLogStorage
store, store_tags = Storage._store_asset_events, Storage._store_asset_event_tags

def run_and_be_killed(batch, moment):
    batches, moments = 0, {}
    def pass_by(name):
        moments[name] = moments.get(name, 0) + 1
        if batches == batch and moment in (name, f"{name} {moments[name]}"):
            os.kill(os.getpid(), signal.SIGKILL)
    def counted(self, run_id, events):
        nonlocal batches
        if events[0].dagster_event_type.value == "ASSET_MATERIALIZATION":
            batches += 1
            moments.clear()
        store(self, run_id, events)
    def tags(self, *arguments):
        pass_by("tags")
        store_tags(self, *arguments)
    Storage._store_asset_events, Storage._store_asset_event_tags = counted, tags
    sa.event.listen(sa.Engine, "begin", lambda connection: pass_by("begin"))
    sa.event.listen(sa.Engine, "commit", lambda connection: pass_by("commit"))
    with trial._instance(home, trial.POOLED) as instance:
        trial._materialize(instance)

for batch, moment in kills:
    child = os.fork()
    if child == 0:
        run_and_be_killed(batch, moment)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)
"""
# Thirty days in batches of seven are five batches of bars, then five of features.
KILLS = [
    (1, "commit 1"),
    (1, "begin 2"),
    (2, "tags"),
    (3, "commit 2"),
    (5, "begin 2"),
    (6, "commit 1"),
    (9, "commit 2"),
]


def test_a_kill_amid_a_batch_leaves_a_readable_log_that_a_rerun_completes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    program = [sys.executable, "-W", "ignore", "-c", KILLED_CHILDREN, home, json.dumps(KILLS)]
    places = [str(Path(__file__).parent), *sys.path]

    done = subprocess.run([*program, json.dumps(places)], capture_output=True, text=True, check=False, timeout=300)

    assert done.stdout.split() == ["9"] * len(KILLS), f"each child must have been killed: {done.stderr}"
    for file in _folder(home).glob("*.db"):
        assert _integrity(file) == "ok", file
    with _instance(home, STOCK) as instance:
        # The last child had stored all bars and three batches of features; its fourth never became visible.
        assert instance.get_materialized_partitions(BARS) == ALL_DAYS
        assert instance.get_materialized_partitions(FEATURES) == {f"2014-06-{day:02}" for day in range(1, 22)}
        assert len(instance.get_run_records()) == len(KILLS)
        for run in instance.get_runs():
            assert instance.event_log_storage.get_records_for_run(run.run_id, limit=10_000).records
    with _instance(home, POOLED) as instance:
        run_id = _materialize(instance)
        assert instance.get_materialized_partitions(FEATURES) == ALL_DAYS
    with _instance(home, STOCK) as instance:
        assert instance.get_materialized_partitions(BARS) == ALL_DAYS
        assert instance.get_materialized_partitions(FEATURES) == ALL_DAYS
    assert set(_stored(_folder(home) / f"{run_id}.db").values()) == {1}


def _integrity(file: Path) -> str:
    connection = sqlite3.connect(file)
    try:
        (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        return str(answer)
    finally:
        connection.close()


def test_old_runs_files_are_closed_and_can_still_be_read(tmp_path: Path) -> None:
    with _instance(tmp_path, POOLED) as instance:
        runs = [_materialize(instance, f"2014-06-{day:02}", f"2014-06-{day:02}") for day in range(1, 13)]
        storage = instance.event_log_storage
        assert isinstance(storage, PooledSqliteEventLogStorage)
        assert len(storage._engines) <= 9, "eight runs and the index"

        counts = {len(storage.get_records_for_run(run_id, limit=1_000).records) for run_id in runs}

    assert len(counts) == 1


def test_the_class_of_dagster_yaml_says_where_its_files_are(tmp_path: Path) -> None:
    storage = PooledSqliteEventLogStorage.from_config_value(None, {"base_dir": str(tmp_path / "runs")})

    assert (tmp_path / "runs" / "index.db").is_file()
    assert storage.get_all_run_ids() == []
    storage.dispose()


def test_a_check_of_many_sessions_is_planned_once_and_completed(make_chain):
    from tests.integration.conftest import FIRST, SESSIONS, settings  # noqa: PLC0415 - only this test runs a chain

    chain = make_chain(**settings())
    result = chain.run("fetch_market_data", FIRST, SESSIONS[2])
    evaluated = len(result.get_asset_check_evaluations())
    index = chain.workspace.dagster_home / "history" / "runs" / "index.db"
    with closing(sqlite3.connect(index)) as connection:
        rows = connection.execute("select execution_status, count(*) from asset_check_executions group by 1").fetchall()
    assert evaluated > 10
    assert rows == [("SUCCEEDED", evaluated)]
