"""The lake as Dagster's assets open it: connections are used again, never shared, and not after an error."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from dagster_duckdb import DuckDBResource

from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis_resources.lake import LakeResource

MONDAY = date(2014, 6, 9)


def resource(folder: Path) -> LakeResource:
    return LakeResource(folder=str(folder), duckdb=DuckDBResource(database=":memory:"))


def write(store: Lake, state: str) -> None:
    row = {"session": MONDAY, "account": "simulated", "state_json": state, "state_hash": state}
    frame = tables.BOOK_STATES.conform(pd.DataFrame([row]))
    message = CommitMessage(tables.BOOK_STATES.key, f"{MONDAY}..{MONDAY}", "run-1", "1")
    store.write([Replacement(tables.BOOK_STATES, frame, MONDAY, MONDAY, "simulated")], message)


def states(store: Lake) -> list[str]:
    return store.read(tables.BOOK_STATES)["state_json"].tolist()


def test_one_lake_after_the_other_and_both_at_once_stay_apart(tmp_path: Path) -> None:
    here, there = resource(tmp_path / "here"), resource(tmp_path / "there")
    with here.open() as store:
        write(store, "here")
    with there.open() as store:
        assert states(store) == []
        write(store, "there")
    with here.open() as first, there.open() as second, here.open() as third:
        assert (states(first), states(second), states(third)) == (["here"], ["there"], ["here"])
        write(third, "changed")
        assert states(first) == ["changed"]


def test_a_failure_inside_leaves_nothing_for_whoever_opens_next(tmp_path: Path) -> None:
    lake = resource(tmp_path / "lake")
    with lake.open() as store:
        write(store, "before")

    def delete_and_fail(store: Lake) -> None:
        store._connection.execute("BEGIN TRANSACTION")  # what a write that is interrupted leaves
        store._connection.execute('DELETE FROM lake."portfolio"."book_states"')
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"), lake.open() as store:
        delete_and_fail(store)
    with lake.open() as store:
        assert states(store) == ["before"]
        write(store, "after")
        assert states(store) == ["after"]
