"""A folder that became read-only: everything is refused with the reason and the remedy, and every snapshot stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from aegis.execution.journal import Journal
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.lake.verification import verify_lake
from aegis.workspace import Workspace
from tests.trial_tables import ACCOUNTS

# A superuser may write anywhere, so the program becomes nobody, once it has loaded all that it needs by doing it once.
PROGRAM = """
import json, os, sys
from datetime import UTC, date, datetime
from pathlib import Path
import pandas as pd
from aegis.backup.making import back_up
from aegis.backup.store import BackupStore
from aegis.errors import AegisError
from aegis.execution.journal import Journal, NewEvent
from aegis.lake.attachment import connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import Column, TableSchema
from aegis.workspace import Workspace

ACCOUNTS = TableSchema("trial", "accounts", "", ("session", "account"), (
    Column("session", "session", ""), Column("account", "text", ""), Column("cash_usd", "float", "", "USD")))
workspace = Workspace("trial", Path(sys.argv[1]), Path(sys.argv[1]) / "reports")
days = [date(2014, 6, day) for day in range(2, 28)]


def write(number):
    with connect(workspace.lake) as connection:
        lake = Lake(connection)
        lake.create_tables([ACCOUNTS])
        change(lake, number)


def change(lake, number):
    rows = pd.DataFrame({"session": days, "account": "simulated", "cash_usd": float(number)})
    lake.write([Replacement(ACCOUNTS, rows, days[0], days[-1])], CommitMessage("trial/accounts", "", "run", "1"))


def note(number):
    with Journal.open(workspace.journal("simulated"), account="simulated") as journal, journal.batch() as batch:
        at = datetime(2014, 6, 2, tzinfo=UTC)
        batch.append(NewEvent(kind="noted", session=days[0], at_utc=at, payload_json="{}"))


def save(number):
    back_up(workspace, BackupStore(sys.argv[2]), configuration={}, at_utc=datetime(2014, 6, number, tzinfo=UTC))


for act in (write, note, save):
    act(1)
with connect(workspace.lake) as connection:
    lake = Lake(connection)
    lake.read(ACCOUNTS)
    for path in [workspace.folder, *workspace.folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0:
        os.seteuid(65534)
    acts = {"open lake": lambda number: change(lake, number), "lake": write, "journal": note, "backup": save}
    told = {}
    for name, act in acts.items():
        try:
            act(2)
        except AegisError as error:
            told[name] = f"{type(error).__name__}: {error}"
        else:
            told[name] = "done"
print(json.dumps(told))
"""


@pytest.fixture
def open_place() -> Iterator[Path]:
    """Return a folder that nobody may pass through; pytest keeps its own to their owner."""
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        place.chmod(0o755)
        (place / "home").mkdir()
        yield place


@pytest.fixture
def told(open_place: Path) -> dict[str, str]:
    """Run the program and return what it was told of each attempt to write; the folder may be written again then."""
    folder = open_place / "workspace"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(open_place / "backups")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(open_place / "home")},  # DuckDB's extensions, which nobody must be able to read
    )
    assert done.returncode == 0, done.stderr
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    answers: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.long  # another home: DuckDB copies its extensions there
def test_nothing_is_written_and_every_snapshot_stands(told: dict[str, str], open_place: Path) -> None:
    assert list(told) == ["open lake", "lake", "journal", "backup"]
    for answer, kind in zip(told.values(), ("LakeError", "LakeUnreadable", "JournalError", "BackupError"), strict=True):
        assert answer.startswith(f"{kind}: ")
        assert "readonly database" in answer or "Permission denied" in answer
    for name in ("lake", "backup"):
        assert "make its folder writable" in told[name]
        assert "from a backup" not in told[name], "nothing is damaged"
    assert "its folder can be written" in told["journal"]

    workspace = Workspace("trial", open_place / "workspace", open_place / "reports")
    with connect(workspace.lake) as connection:
        lake = Lake(connection)
        assert set(lake.read(ACCOUNTS)["cash_usd"]) == {1.0}
        assert lake.sessions(ACCOUNTS)[0] == date(2014, 6, 2)
        assert verify_lake(lake).damaged == ()
    with Journal.open(workspace.journal("simulated"), account="simulated") as journal:
        assert journal.verify() == 1
    assert len(list((open_place / "backups" / "backups").iterdir())) == 1
