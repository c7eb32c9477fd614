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
