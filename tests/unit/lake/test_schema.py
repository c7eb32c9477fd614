"""A frame takes a table's types with every value as it was, or not at all."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aegis.errors import SchemaMismatch
from aegis.lake.schema import Column, Kind, TableSchema


def conformed(kind: Kind, values: Any, *, nullable: bool = False) -> list[Any]:
    names = [f"n{number}" for number in range(len(values))]
    table = TableSchema(
        "trial", "one", "", ("name",), (Column("name", "text", ""), Column("value", kind, "", nullable=nullable))
    )
    return list(table.conform(pd.DataFrame({"name": names, "value": values}))["value"])


@pytest.mark.parametrize(
    ("kind", "values", "complaint"),
    [
        ("boolean", [np.nan, True], r"boolean \(1 null value\(s\)\)"),
        ("boolean", pd.array([pd.NA, True], dtype="boolean"), r"boolean \(1 null value\(s\)\)"),
        ("boolean", ["False", "True"], "False would become True"),
        ("boolean", [True, ""], r"\( would become False"),
        ("boolean", [0.0, 0.5], r"0\.5 would become True"),
        ("integer", [None, 1], r"integer \(1 null value\(s\)\)"),
        ("integer", [1.0, 1.7], r"1\.7 would become 1"),
        ("integer", [1, "2"], "2 would become 2"),
        ("integer", [float("inf")], "integer"),
        ("integer", [2**63], "integer"),
        ("integer", [2**70], "integer"),
        ("integer", [1e19], "integer"),
        ("float", ["93.7"], r"93\.7 would become 93\.7"),
        ("float", [None, 1.0], r"1 null value\(s\), first at .*n0.*required"),
        ("session", pd.to_datetime(["2014-06-10 00:00", "2014-06-09 16:00"]), "16:00:00 would become 2014-06-09"),
        ("session", [20140609], "20140609 would become 1970-01-01"),
        ("session", [None], r"1 null value\(s\)"),
        ("text", [None], r"1 null value\(s\)"),
    ],
)
def test_a_value_that_the_column_cannot_hold_is_refused(kind: Kind, values: Any, complaint: str) -> None:
    with pytest.raises(SchemaMismatch, match=rf"trial/one\.value: .*?{complaint}"):
        conformed(kind, values)


def test_whole_numbers_and_flags_are_taken_from_any_type_that_holds_them_exactly() -> None:
    assert conformed("integer", np.array([1.0, -2.0])) == [1, -2]
    assert conformed("integer", np.array([3], dtype="uint8")) == [3]
    assert conformed("integer", [2**53 + 1, 5]) == [2**53 + 1, 5]
    assert conformed("integer", pd.Series([2**53 + 1], dtype=object)) == [2**53 + 1]
    assert conformed("boolean", pd.Series([True, False], dtype=object)) == [True, False]
    assert conformed("boolean", pd.array([True, False], dtype="boolean")) == [True, False]
    assert conformed("float", pd.Series([1, 2.5], dtype=object)) == [1.0, 2.5]
    assert conformed("session", [date(2014, 6, 9), pd.Timestamp("2014-06-10")]) == [
        pd.Timestamp("2014-06-09"),
        pd.Timestamp("2014-06-10"),
    ]


def test_a_null_is_kept_where_it_has_a_meaning() -> None:
    numbers = conformed("float", [None, 1.0], nullable=True)
    assert np.isnan(numbers[0])
    assert numbers[1] == 1.0
    assert conformed("text", [np.nan, "x"], nullable=True) == [None, "x"]
    assert conformed("session", [pd.NaT, date(2014, 6, 9)], nullable=True)[0] is pd.NaT


def test_an_added_column_may_be_absent_and_changes_no_hash_where_it_is_null() -> None:
    columns = (Column("session", "session", ""), Column("value", "float", ""))
    before = TableSchema("trial", "one", "", ("session",), columns)
    added = [Column(f"new_{kind}", kind, "", nullable=True, is_added=True) for kind in ("text", "float", "session")]
    since = TableSchema("trial", "one", "", ("session",), (*columns, *added))
    frame = pd.DataFrame({"session": pd.to_datetime(["2014-06-09", "2014-06-10"]), "value": [1.0, 2.0]})
    conformed = since.conform(frame)
    assert conformed.columns.tolist() == since.column_names
    assert conformed[[column.name for column in added]].isna().all(axis=None)
    assert since.content_hashes(frame) == before.content_hashes(frame)
    changed = since.content_hashes(frame.assign(new_text=[None, "a"]))
    assert changed[date(2014, 6, 9)] == before.content_hashes(frame)[date(2014, 6, 9)]
    assert changed[date(2014, 6, 10)] != before.content_hashes(frame)[date(2014, 6, 10)]


def test_a_conformed_frame_is_a_copy_and_an_adopted_one_shares_its_columns() -> None:
    table = TableSchema("trial", "one", "", ("name",), (Column("name", "text", ""), Column("value", "float", "")))
    given = pd.DataFrame({"name": ["a", "b"], "value": [1.0, 2.0]})

    conformed = table.conform(given)
    conformed.loc[0, "value"] = 9.0
    assert list(given["value"]) == [1.0, 2.0]

    assert np.shares_memory(table.adopt(given)["value"].to_numpy(), given["value"].to_numpy())


def test_rows_are_put_in_the_order_of_the_key_and_a_repeated_key_is_refused() -> None:
    key = (Column("day", "session", ""), Column("at", "instant", ""), Column("name", "text", ""))
    table = TableSchema("trial", "one", "", ("day", "at", "name"), key)
    first, second = pd.Timestamp("2014-06-09 20:00", tz="UTC"), pd.Timestamp("2014-06-09 21:00", tz="UTC")
    rows = [(date(2014, 6, 9), second, "a"), (date(2014, 6, 9), first, "b"), (date(2014, 6, 9), first, "a")]

    conformed = table.conform(pd.DataFrame(rows, columns=table.column_names))

    assert list(conformed["name"]) == ["a", "b", "a"]
    assert list(conformed["at"]) == [first, first, second]
    with pytest.raises(SchemaMismatch, match="repeat the primary key"):
        table.conform(pd.DataFrame([*rows, rows[0]], columns=table.column_names))
