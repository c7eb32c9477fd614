"""Which tables the pre-trade gate finds older than the rows they rest on, where two processes write at once.

``trial/readings`` stands for the bars, ``trial/accounts`` for what is computed from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.provenance import Provenance, outdated_tables
from aegis.lake.schema import TableSchema
from tests.trial_tables import ACCOUNTS, READINGS, cash, readings

MONDAY, TUESDAY = date(2014, 6, 9), date(2014, 6, 10)


def write(lake: Lake, table: TableSchema, day: date = MONDAY) -> None:
    frame = readings(day) if table is READINGS else cash(day)
    lake.write([Replacement(table, frame, day, day)], CommitMessage(table.key, f"{day}..{day}", "run-1", "v1"))


def outdated(lake: Lake) -> set[date]:
    windows = {MONDAY: MONDAY, TUESDAY: MONDAY}  # Tuesday looks back on Monday
    return set(outdated_tables(Provenance(lake.snapshots()), [ACCOUNTS], READINGS, windows=windows))


@pytest.fixture
def lake(location: LakeLocation) -> Iterator[Lake]:
    """A lake whose bars of two sessions were written, and then what is computed from them."""
    with connect(location) as connection:
        store = Lake(connection)
        store.create_tables([READINGS, ACCOUNTS])
        for table in (READINGS, ACCOUNTS):
            write(store, table, MONDAY)
            write(store, table, TUESDAY)
        yield store


def test_tables_are_outdated_from_a_correction_until_they_are_computed_again(lake: Lake) -> None:
    assert outdated(lake) == set()
    write(lake, READINGS, MONDAY)
    assert outdated(lake) == {MONDAY, TUESDAY}
    lake.read(READINGS)
    write(lake, ACCOUNTS, MONDAY)
    assert outdated(lake) == {TUESDAY}


def test_a_table_that_read_the_bars_before_their_correction_is_outdated_however_late_it_is_written(
    lake: Lake, location: LakeLocation
) -> None:
    lake.read(READINGS)
    with connect(location) as another:
        write(Lake(another), READINGS, MONDAY)
    write(lake, ACCOUNTS, TUESDAY)
    assert outdated(lake) == {MONDAY, TUESDAY}
    lake.read(READINGS)
    write(lake, ACCOUNTS, TUESDAY)
    assert outdated(lake) == {MONDAY}
