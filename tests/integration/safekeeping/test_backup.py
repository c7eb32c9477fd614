"""A backup is taken while writers work, holds no damage, and comes back equal by hash or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from aegis.backup.making import back_up, without_secrets
from aegis.backup.manifest import BackupManifest
from aegis.backup.restoring import chosen_backup, drill, restore
from aegis.backup.store import BackupStore, digest_of
from aegis.errors import BackupError, JournalError
from aegis.execution.journal import Journal, NewEvent
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.verification import verify_lake
from aegis.workspace import Workspace
from tests.integration.test_lake_writers import WRITER
from tests.trial_tables import ACCOUNTS, READINGS, cash, readings

AT = datetime(2014, 6, 9, 21, tzinfo=UTC)
LATER = datetime(2014, 6, 10, 21, tzinfo=UTC)
DAYS = [day.date() for day in pd.bdate_range("2014-01-01", "2014-03-31")]
MESSAGE = CommitMessage("trial/accounts", f"{DAYS[0]}..{DAYS[-1]}", "run-1", "v1")
SETTINGS = {
    "run": {"source": "simulated", "home": Path("here")},
    "monitoring": {"webhook_url": "https://x/T0K3N"},
    "storage": {"password": "hunter2", "user": "ada", "api_keys": None},
}


def _write(lake: Lake, amount: float) -> None:
    lake.write([Replacement(ACCOUNTS, cash(*DAYS).assign(cash_usd=amount), DAYS[0], DAYS[-1])], MESSAGE)


def _event(number: int) -> NewEvent:
    return NewEvent(kind="noted", session=DAYS[number], at_utc=AT, payload_json=json.dumps({"number": number}))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A lake with a correction, few rows in the catalog, a journal, Dagster's databases in use, runs and a switch."""
    made = Workspace("trial", tmp_path / "home" / "it's trial", tmp_path / "reports")
    with connect(made.lake) as connection:
        lake = Lake(connection)
        lake.create_tables([ACCOUNTS, READINGS])
        _write(lake, 1.0)
        _write(lake, 2.0)
        rows = Replacement(READINGS, readings(DAYS[0]), DAYS[0], DAYS[0])
        lake.write([rows], CommitMessage("trial/readings", f"{DAYS[0]}..{DAYS[0]}", "run-2", "v1"))
    with Journal.open(made.journal("simulated"), account="simulated") as journal, journal.batch() as batch:
        for number in range(3):
            batch.append(_event(number))
    (made.folder / "dagster" / "storage").mkdir(parents=True)
    (made.folder / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    (made.folder / "dagster" / "storage" / "compute.log").write_bytes(b"\x00\xff log")
    with sqlite3.connect(made.folder / "dagster" / "runs.db") as runs:
        runs.execute("PRAGMA journal_mode=WAL")
        runs.execute("CREATE TABLE runs (id TEXT)")
        runs.execute("INSERT INTO runs VALUES ('run-1')")
    runs.close()
    made.kill_switch("simulated").parent.mkdir()
    made.kill_switch("simulated").write_text('{"engaged": true}', encoding="utf-8")
    return made


@pytest.fixture
def store(tmp_path: Path) -> BackupStore:
    return BackupStore(str(tmp_path / "backups of 'trial'"))


def _taken(workspace: Workspace, store: BackupStore, at: datetime = AT) -> BackupManifest:
    return back_up(workspace, store, configuration=SETTINGS, at_utc=at)


def _objects(store: BackupStore) -> set[Path]:
    return set(Path(store.location).glob("objects/*/*"))


def _rows(location: LakeLocation, snapshot_id: int | None = None) -> list[pd.DataFrame]:
    with connect(location) as connection:
        return [Lake(connection).read(table, snapshot_id=snapshot_id) for table in (ACCOUNTS, READINGS)]


def test_a_restored_workspace_has_every_snapshot_journal_database_and_file(
    workspace: Workspace, store: BackupStore, tmp_path: Path
) -> None:
    before = {snapshot: _rows(workspace.lake, snapshot) for snapshot in (2, 3, 4)}
    manifest = _taken(workspace, store)
    shutil.rmtree(workspace.folder)

    target = tmp_path / "restored"
    restore(store, chosen_backup(store), target)

    for snapshot, rows in before.items():
        for mine, theirs in zip(_rows(LakeLocation(target / "lake"), snapshot), rows, strict=True):
            pd.testing.assert_frame_equal(mine, theirs)
    with connect(LakeLocation(target / "lake")) as connection:
        assert verify_lake(Lake(connection)).damaged == ()
        _write(Lake(connection), 3.0)  # and work goes on there
    with Journal.open(target / "journals" / "simulated.sqlite", account="simulated") as journal:
        assert journal.verify() == 3
        assert tuple(journal.head()) == (3, manifest.journals["simulated"].hash)
    with sqlite3.connect(target / "dagster" / "runs.db") as runs:
        assert runs.execute("SELECT id FROM runs").fetchall() == [("run-1",)]
    runs.close()
    assert (target / "dagster" / "storage" / "compute.log").read_bytes() == b"\x00\xff log"
    assert json.loads((target / "kill_switches" / "simulated.json").read_text(encoding="utf-8")) == {"engaged": True}
    assert [path.name for path in target.parent.iterdir() if "restoring" in path.name] == []


def test_the_manifest_says_what_the_tables_hold(workspace: Workspace, store: BackupStore) -> None:
    manifest = _taken(workspace, store)
    assert manifest.tables["trial/accounts"].rows == len(DAYS)
    assert manifest.tables["trial/readings"].rows == 2
    with connect(workspace.lake) as connection:  # one bit of one value
        connection.execute("UPDATE lake.trial.readings SET close_usd = 93.70000000000002 WHERE symbol = 'AAPL'")
    later = _taken(workspace, store, LATER)
    assert later.tables["trial/readings"] != manifest.tables["trial/readings"]
    assert later.tables["trial/accounts"] == manifest.tables["trial/accounts"]


def test_a_second_backup_copies_only_what_is_new(workspace: Workspace, store: BackupStore, tmp_path: Path) -> None:
    first = _taken(workspace, store)
    data = _objects(store)
    with connect(workspace.lake) as connection:
        _write(Lake(connection), 3.0)

    second = _taken(workspace, store, LATER)

    fresh = {path.name for path in _objects(store) - data}
    paths = {file.path for file in second.files if file.sha256 in fresh}
    assert sum(path.startswith("lake/data/") for path in paths) == 1
    assert not any(path.startswith(("dagster/", "journals/", "kill_switches/")) for path in paths)
    assert store.manifests() == [first.name, second.name]
    restore(store, chosen_backup(store, first.name), tmp_path / "as it was")
    assert set(_rows(LakeLocation(tmp_path / "as it was" / "lake"))[0]["cash_usd"]) == {2.0}


def test_a_drill_proves_equality_and_leaves_nothing(
    workspace: Workspace, store: BackupStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    manifest = _taken(workspace, store)
    drill(store, manifest)
    assert list((tmp_path / "scratch").iterdir()) == []

    table = replace(manifest.tables["trial/accounts"], rows=1)
    wrong = replace(manifest, tables={**manifest.tables, "trial/accounts": table})
    with pytest.raises(BackupError, match="differs from what was backed up: trial/accounts"):
        drill(store, wrong)


def test_a_target_that_holds_something_is_not_overwritten(
    workspace: Workspace, store: BackupStore, tmp_path: Path
) -> None:
    manifest = _taken(workspace, store)
    target = tmp_path / "mine"
    target.mkdir()
    (target / "notes.txt").write_text("mine", encoding="utf-8")
    for folder in (target, target / "notes.txt", workspace.folder):
        with pytest.raises(BackupError, match="holds something already"):
            restore(store, manifest, folder)
    assert [path.name for path in target.iterdir()] == ["notes.txt"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (Path.unlink, "is incomplete: 1 of [0-9]+ files are missing or cut"),
        (_cut, "is incomplete: 1 of"),
        (_flip, "the backup is damaged"),
    ],
    ids=["lost", "cut", "flipped"],
)
def test_a_damaged_or_incomplete_backup_is_refused_and_leaves_nothing(
    workspace: Workspace, store: BackupStore, tmp_path: Path, harm: Callable[[Path], None], message: str
) -> None:
    manifest = _taken(workspace, store)
    victim = next(file for file in manifest.files if file.path.startswith("lake/data/"))
    harm(Path(store.location) / "objects" / victim.sha256[:2] / victim.sha256)

    with pytest.raises(BackupError, match=message):
        restore(store, manifest, tmp_path / "places" / "restored")
    assert not (tmp_path / "places").exists() or list((tmp_path / "places").iterdir()) == []


def test_a_damaged_object_that_is_removed_is_stored_anew(
    workspace: Workspace, store: BackupStore, tmp_path: Path
) -> None:
    manifest = _taken(workspace, store)
    victim = next(file for file in manifest.files if file.path.startswith("lake/data/"))
    _flip(Path(store.location) / "objects" / victim.sha256[:2] / victim.sha256)
    with pytest.raises(BackupError, match="is damaged") as refusal:
        restore(store, manifest, tmp_path / "refused")
    named = re.search(r"remove (.+): what the workspace still has is then stored anew", str(refusal.value))
    assert named is not None

    Path(named[1]).unlink()
    restore(store, _taken(workspace, store), tmp_path / "restored")
    assert digest_of(tmp_path / "restored" / victim.path) == victim.sha256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"rows": 2', '"rows": 3'), "does not have the SHA-256 it names"),
        (lambda text: text[:-40], "the manifest is damaged"),
        (lambda _: "[]", "the manifest is damaged"),
    ],
    ids=["edited", "cut", "no manifest"],
)
def test_a_manifest_that_was_changed_is_refused(
    workspace: Workspace, store: BackupStore, change: Callable[[str], str], message: str
) -> None:
    file = Path(store.location) / "backups" / f"{_taken(workspace, store).name}.json"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")

    with pytest.raises(BackupError, match=message):
        chosen_backup(store)


def _signed(body: dict[str, object]) -> bytes:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return json.dumps({"sha256": digest, "manifest": body}).encode()


def test_another_format_and_paths_outside_the_workspace_are_refused(workspace: Workspace, store: BackupStore) -> None:
    body = json.loads(_taken(workspace, store).to_json())["manifest"]
    with pytest.raises(BackupError, match=r"made by Aegis 0\.1\.0 in another format"):
        BackupManifest.from_json(_signed({**body, "format_version": 99}), origin="a backup")
    for path in ("../../etc/passwd", "/etc/passwd", "lake/../../x", ""):
        escaping = {**body, "files": [{"path": path, "sha256": "0" * 64, "size_bytes": 1}]}
        with pytest.raises(BackupError, match="names a file outside the workspace"):
            BackupManifest.from_json(_signed(escaping), origin="a backup")


def test_damage_is_not_backed_up_and_earlier_backups_stand(workspace: Workspace, store: BackupStore) -> None:
    good = _taken(workspace, store)
    with connect(workspace.lake) as connection:
        _write(Lake(connection), 3.0)
        newest = Lake(connection).checksums.all_files()[-1]
    _flip(Path(newest.path))

    with pytest.raises(BackupError, match="a damaged file is not backed up over a good one"):
        _taken(workspace, store, LATER)
    assert store.manifests() == [good.name]
    drill(store, good)


def test_a_place_inside_the_workspace_is_refused(workspace: Workspace) -> None:
    for inside in (workspace.folder, workspace.folder / "backups"):
        with pytest.raises(BackupError, match="which every backup would copy with it"):
            _taken(workspace, BackupStore(str(inside)))
    assert not (workspace.folder / "backups").exists()


def test_a_journal_that_was_edited_is_not_backed_up(workspace: Workspace, store: BackupStore) -> None:
    with sqlite3.connect(workspace.journal("simulated")) as file:
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {name}")
        file.execute("""UPDATE journal_events SET payload_json = '{"number":9}' WHERE sequence = 2""")
    file.close()
    with pytest.raises(JournalError, match="sequence 2"):
        _taken(workspace, store)
    assert store.manifests() == []


def test_a_backup_while_another_process_writes_is_one_moment_of_it(
    workspace: Workspace, store: BackupStore, tmp_path: Path
) -> None:
    arguments = [sys.executable, "-c", WRITER, str(workspace.lake.folder), "busy", "12"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()  # it has written once and goes on
        taken = [_taken(workspace, store), _taken(workspace, store, LATER)]
        _, complaints = writer.communicate(timeout=120)
        assert writer.returncode == 0, complaints

    for number, manifest in enumerate(taken):
        folder = tmp_path / f"restored{number}"
        restore(store, manifest, folder)
        busy = _rows(LakeLocation(folder / "lake"))[0].query("account == 'busy'")["cash_usd"].tolist()
        assert busy == [float(n) for n in range(len(busy))]
        assert len(busy) >= 1


def test_secrets_and_what_may_carry_one_are_left_out_of_the_settings(workspace: Workspace, store: BackupStore) -> None:
    manifest = _taken(workspace, store)
    text = manifest.to_json()
    assert "T0K3N" not in text
    assert "hunter2" not in text
    assert manifest.configuration["storage"] == {"password": "(left out)", "user": "ada", "api_keys": None}
    assert manifest.configuration["run"] == {"source": "simulated", "home": "here"}
    assert without_secrets({"databases": [{"password": "x"}]}) == {"databases": [{"password": "(left out)"}]}


def test_dagsters_home_can_be_left_out_but_never_the_lake_or_the_journals(
    workspace: Workspace, store: BackupStore
) -> None:
    manifest = back_up(workspace, store, configuration={}, at_utc=AT, leave_out=("dagster",))
    assert not any(file.path.startswith("dagster/") for file in manifest.files)
    with pytest.raises(BackupError, match="cannot be left out"):
        back_up(workspace, store, configuration={}, at_utc=AT, leave_out=("journals",))


def test_places_without_backups_or_without_that_one_are_named(workspace: Workspace, store: BackupStore) -> None:
    with pytest.raises(BackupError, match="holds no finished backup"):
        chosen_backup(store)
    name = _taken(workspace, store).name
    with pytest.raises(BackupError, match=f"it has {name}"):
        chosen_backup(store, "../../etc/passwd")
    with pytest.raises(BackupError, match="neither a folder nor s3"):
        BackupStore("gopher://x")


def test_a_place_that_cannot_be_written_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(BackupError, match="cannot be written to"):
        _taken(workspace, BackupStore(str(tmp_path / "file" / "backups")))
    assert len(_rows(workspace.lake)[0]) == len(DAYS)
