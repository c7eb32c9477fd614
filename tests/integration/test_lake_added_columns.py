"""A lake that an earlier version made is read and written with the columns that came since."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from aegis.errors import SchemaMismatch
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.comparison import Comparison, changed_rows
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import Column, TableSchema
from aegis.lake.versions import VersionHistory

MONDAY, TUESDAY = date(2014, 6, 9), date(2014, 6, 10)
SESSION = Column("session", "session", "Session.")
KNOWN_AT = Column("known_at_utc", "instant", "Known.", "UTC")
BEFORE = TableSchema(
    "trial", "measures", "As it was.", ("session",), (SESSION, Column("old", "float", "Old.", "1"), KNOWN_AT)
)
NEW = Column("new", "float", "New.", "1", nullable=True)
SINCE = replace(BEFORE, columns=(*BEFORE.columns[:2], NEW, KNOWN_AT))
MESSAGE = CommitMessage("trial/measures", "", "run-1", "v1")
KNOWN = pd.Timestamp("2014-06-10T21:00", tz="UTC")


def rows(session, **values):
    return pd.DataFrame({"session": [session], **{k: [v] for k, v in values.items()}, "known_at_utc": [KNOWN]})


@pytest.fixture
def lake(location: LakeLocation):
    with connect(location) as connection:
        store = Lake(connection)
        store.create_tables([BEFORE])
        yield store


def test_rows_of_before_are_null_in_the_new_column_and_new_rows_keep_it(lake: Lake) -> None:
    lake.write([Replacement(BEFORE, rows(MONDAY, old=1.5), MONDAY, MONDAY)], MESSAGE)

    lake.create_tables([SINCE])
    lake.write([Replacement(SINCE, rows(TUESDAY, old=2.5, new=7.0), TUESDAY, TUESDAY)], MESSAGE)

    found = lake.read(SINCE)
    assert found.columns.tolist() == SINCE.column_names
    assert found["old"].tolist() == [1.5, 2.5]
    assert found["new"].isna().tolist() == [True, False]
    assert found["new"].tolist()[1] == 7.0
    assert found["known_at_utc"].tolist() == [KNOWN, KNOWN]


def test_a_snapshot_of_before_is_read_with_nulls_in_the_new_column(lake: Lake) -> None:
    snapshot = lake.write([Replacement(BEFORE, rows(MONDAY, old=1.5), MONDAY, MONDAY)], MESSAGE)
    lake.create_tables([SINCE])
    lake.write([Replacement(SINCE, rows(MONDAY, old=9.0, new=7.0), MONDAY, MONDAY)], MESSAGE)

    then = lake.read(SINCE, snapshot_id=snapshot)

    assert then["old"].tolist() == [1.5]
    assert then["new"].isna().all()
    assert then["new"].dtype == "float64"


def test_columns_are_added_once_in_one_snapshot(lake: Lake) -> None:
    before = lake.snapshot_id()

    lake.create_tables([SINCE])
    lake.create_tables([SINCE])

    assert lake.snapshot_id() == before + 1


def test_a_required_column_that_the_stored_table_lacks_is_refused(lake: Lake) -> None:
    required = replace(BEFORE, columns=(*BEFORE.columns, replace(NEW, nullable=False)))

    with pytest.raises(SchemaMismatch, match=r"trial/measures: the stored table lacks new.*run in a new workspace"):
        lake.create_tables([required])


def test_a_snapshot_of_before_is_compared_with_nulls_in_the_new_column(lake: Lake) -> None:
    first = lake.write([Replacement(BEFORE, rows(MONDAY, old=1.5), MONDAY, MONDAY)], MESSAGE)
    lake.write([Replacement(BEFORE, rows(TUESDAY, old=2.5), TUESDAY, TUESDAY)], MESSAGE)
    lake.create_tables([SINCE])
    unchanged = lake.write([Replacement(SINCE, rows(TUESDAY, old=2.5, new=None), TUESDAY, TUESDAY)], MESSAGE)
    filled = lake.write([Replacement(SINCE, rows(MONDAY, old=1.5, new=7.0), MONDAY, MONDAY)], MESSAGE)
    history = VersionHistory.of(lake)

    changes = list(changed_rows(lake, Comparison(SINCE, first, filled), history))

    assert [(c.kind, c.key["session"], dict(c.differing)) for c in changes] == [
        ("changed", MONDAY, {"new": (None, 7.0)}),
        ("added", TUESDAY, {}),
    ]
    assert changes[0].snapshot_id == filled
    assert changes[1].snapshot_id < unchanged, "written again with the same values, it is older than its last write"
