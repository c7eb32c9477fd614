"""A lake that is damaged, lost or cannot be made: refused with the remedy, and what is left of it is not touched."""

from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from aegis.errors import LakeUnreadable
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from tests.trial_tables import ACCOUNTS, cash

MESSAGE = CommitMessage("trial/accounts", "2014-01-01..2015-12-31", "run-1", "v1")


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
        store.create_tables([ACCOUNTS])
        store.write([Replacement(ACCOUNTS, cash(*_many_sessions()), date(2014, 1, 1), date(2015, 12, 31))], MESSAGE)
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
        store.create_tables([ACCOUNTS])
        store.write([Replacement(ACCOUNTS, cash(*_many_sessions()), date(2014, 1, 1), date(2015, 12, 31))], MESSAGE)
    for file in location.data_path.rglob("*.parquet"):
        file.unlink()

    with (
        connect(location) as connection,
        pytest.raises(LakeUnreadable, match=r"(?s)trial/accounts cannot be read: .*restore"),
    ):
        Lake(connection).read(ACCOUNTS)


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
