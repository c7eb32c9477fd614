"""The numbers that the UI plots over sessions: which, and with how many digits."""

from __future__ import annotations

import math
from datetime import date

import pandas as pd
import pytest

from aegis.lake import tables
from aegis_assets.table_assets import read_from, readable, session_numbers

MONDAY, TUESDAY = pd.Timestamp(date(2014, 6, 9)), pd.Timestamp(date(2014, 6, 10))


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.09356734561, "1", 0.09357),
        (-0.14970001, "1", -0.1497),
        (1358499.98765, "USD", 1358499.99),
        (-0.0000000009, "USD", 0.0),
        (123456789.4, "shares", 123456789),
        (123456.0, "1", 123500.0),
        (0.0, "1", 0.0),
        (37, "1", 37),
        (123456, "1", 123456),
    ],
)
def test_a_number_keeps_the_digits_that_a_person_reads(value: float, unit: str, expected: float) -> None:
    found = readable(value, unit)
    assert found == expected
    assert math.copysign(1, found) == math.copysign(1, expected)


def test_what_is_no_number_stays_none() -> None:
    assert math.isnan(readable(math.nan, "USD"))


def test_sessions_show_their_rows_and_rounded_numbers() -> None:
    frame = pd.DataFrame(
        {
            "session": [MONDAY, TUESDAY],
            "account": "simulated",
            **dict.fromkeys(tables.ACCOUNT_VALUES.column_names[2:], 0.0),
            "equity_usd": [1_000_123.456, 999_999.999],
            "cash_usd": [100.004, -0.001],
            "drawdown": [0.0, -0.000123987],
        }
    )
    assert session_numbers(tables.ACCOUNT_VALUES, frame) == {
        "2014-06-09": {"dagster/partition_row_count": 1, "equity_usd": 1000123.46, "cash_usd": 100.0, "drawdown": 0.0},
        "2014-06-10": {
            "dagster/partition_row_count": 1, "equity_usd": 1000000.0, "cash_usd": 0.0, "drawdown": -0.000124,
        },
    }  # fmt: skip


def test_counts_and_shares_are_whole_and_what_is_unknown_is_left_out() -> None:
    bars = pd.DataFrame(
        {"session": [MONDAY, MONDAY, TUESDAY], "symbol": ["A", "B", "A"], "volume_shares": [1e6, 2.5e5, 7.0]}
    )
    assert session_numbers(tables.DAILY_BARS, bars) == {
        "2014-06-09": {"dagster/partition_row_count": 2, "volume_shares": 1250000},
        "2014-06-10": {"dagster/partition_row_count": 1, "volume_shares": 7},
    }
    features = pd.DataFrame({"session": [MONDAY, TUESDAY], "symbol": "A", "volatility_63": [None, 0.143026]})
    assert session_numbers(tables.DAILY_FEATURES, features.astype({"volatility_63": float})) == {
        "2014-06-09": {"dagster/partition_row_count": 1},
        "2014-06-10": {"dagster/partition_row_count": 1, "median_volatility_63": 0.143},
    }


def test_the_numbers_of_every_table_with_sessions_are_columns_of_it() -> None:
    value = {"session": MONDAY, "instant": MONDAY.tz_localize("UTC"), "text": "A", "floats": [1.0], "boolean": True}
    for table in tables.ALL_TABLES:
        if table.is_sessioned:
            row = {column.name: [value.get(column.kind, 1)] for column in table.columns}
            found = session_numbers(table, pd.DataFrame(row))
            assert found["2014-06-09"].pop("dagster/partition_row_count") == 1
            assert set(found["2014-06-09"].values()) <= {1}, table.key


def test_a_look_back_begins_where_rows_were_read() -> None:
    rows = pd.DataFrame({"session": [TUESDAY, MONDAY]})
    assert read_from(date(2012, 12, 24), rows) == {"read_from_session": "2014-06-09"}
    assert read_from(date(2014, 6, 11), rows) == {"read_from_session": "2014-06-11"}
    assert read_from(date(2014, 6, 11), rows.iloc[:0]) == {"read_from_session": "2014-06-11"}
