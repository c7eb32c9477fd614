"""A lake whose folder was moved or copied: read and written at its new place, refused when files stayed behind."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from aegis.errors import LakeUnreadable
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import Column, TableSchema

CASH = TableSchema(
    "trial",
    "cash",
    "Cash of a session.",
    ("session",),
    (Column("session", "session", "Session."), Column("cash_usd", "float", "Cash.", "USD")),
)
MESSAGE = CommitMessage("trial/cash", "2014", "run-1", "v1")
DAYS = [day.date() for day in pd.bdate_range("2014-01-01", "2014-12-31")]  # 261: too many to be kept in the catalog


def _write(store: Lake, cash_usd: float) -> int:
    rows = pd.DataFrame({"session": DAYS, "cash_usd": cash_usd})
    return store.write([Replacement(CASH, rows, DAYS[0], DAYS[-1])], MESSAGE)


@pytest.fixture
def location(tmp_path: Path) -> LakeLocation:
    """Return a lake of two versions: 1 USD, replaced by 2 USD."""
    made = LakeLocation(tmp_path / "it's here" / "lake")
    with connect(made) as connection:
        store = Lake(connection)
        store.create_tables([CASH])
        _write(store, 1.0)
        _write(store, 2.0)
    return made


def _cash(store: Lake, snapshot_id: int | None = None) -> set[float]:
    return set(store.read(CASH, snapshot_id=snapshot_id)["cash_usd"])


def test_a_moved_lake_keeps_every_version_and_takes_new_ones(location: LakeLocation, tmp_path: Path) -> None:
    moved = LakeLocation(tmp_path / "there")
    location.folder.rename(moved.folder)

    with connect(moved) as connection:
        store = Lake(connection)
        newest = store.snapshot_id()
        assert (_cash(store, newest - 1), _cash(store)) == ({1.0}, {2.0})
        _write(store, 3.0)

    with connect(moved) as connection:
        assert _cash(Lake(connection)) == {3.0}
    assert not location.folder.exists(), "nothing is written to the old place"


def test_a_moved_lake_opens_for_programs_that_do_not_know_of_moves(location: LakeLocation, tmp_path: Path) -> None:
    moved = LakeLocation(tmp_path / "there")
    location.folder.rename(moved.folder)
    with connect(moved):
        pass

    with sqlite3.connect(moved.catalog) as catalog:
        (stored,) = catalog.execute("SELECT value FROM ducklake_metadata WHERE key = 'data_path'").fetchone()
    assert stored == f"{tmp_path}/there/data/", "dbt attaches with this path and is refused with any other"


def test_a_copied_lake_is_one_of_its_own(location: LakeLocation, tmp_path: Path) -> None:
    copied = LakeLocation(tmp_path / "copy")
    shutil.copytree(location.folder, copied.folder)

    with connect(copied) as connection:
        _write(Lake(connection), 3.0)

    with connect(location) as connection:
        assert _cash(Lake(connection)) == {2.0}
    with connect(copied) as connection:
        assert _cash(Lake(connection)) == {3.0}


def test_a_catalog_moved_without_a_data_file_is_refused_and_left_alone(location: LakeLocation, tmp_path: Path) -> None:
    moved = LakeLocation(tmp_path / "there")
    location.folder.rename(moved.folder)
    lost = min(moved.data_path.rglob("*.parquet"))
    lost.unlink()

    with pytest.raises(LakeUnreadable, match="move the whole workspace folder") as refusal, connect(moved):
        pass

    assert f"was moved here from {location.data_path}/" in str(refusal.value)
    assert f"1 of its 2 data files are not in {moved.data_path}, first {lost}" in str(refusal.value)
    with sqlite3.connect(moved.catalog) as catalog:
        (stored,) = catalog.execute("SELECT value FROM ducklake_metadata WHERE key = 'data_path'").fetchone()
    assert stored == f"{location.data_path}/"
