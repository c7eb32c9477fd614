"""The fingerprint of a session's rows: equal for equal rows in any order, another for another bit."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.trial_tables import READINGS, readings

MONDAY, TUESDAY = date(2014, 6, 9), date(2014, 6, 10)


def test_a_fingerprint_does_not_depend_on_the_order_of_rows_or_columns() -> None:
    frame = readings(MONDAY, TUESDAY)

    shuffled = frame.sample(frac=1.0, random_state=3)[list(reversed(frame.columns))]

    assert READINGS.content_hashes(shuffled) == READINGS.content_hashes(frame)


@pytest.mark.parametrize(
    "change",
    [
        {"close_usd": np.nextafter(93.7, 94.0)},
        {"spread_bps": 0.0},
        {"volume_shares": 2**53 + 2},
        {"tradable": False},
        {"note": ""},
        {"symbol": "AAPM"},
        {"known_at_utc": pd.Timestamp("2014-06-09T20:15:00.123457", tz="UTC")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_one_bit_changes_the_fingerprint_of_its_session_only(change: dict[str, Any]) -> None:
    frame = readings(MONDAY, TUESDAY)
    before = READINGS.content_hashes(frame)

    changed = frame.copy()
    ((column, value),) = change.items()
    changed.loc[0, column] = value
    after = READINGS.content_hashes(changed)

    assert after[MONDAY] != before[MONDAY]
    assert after[TUESDAY] == before[TUESDAY]


def test_a_list_that_differs_in_the_sign_of_zero_has_another_fingerprint() -> None:
    frame = readings(MONDAY)
    other = frame.assign(loadings=[[0.1, 0.0, 1e-308], [0.1, -0.0, 1e-308]])

    assert READINGS.content_hashes(other) != READINGS.content_hashes(frame)


def test_the_fingerprint_of_repeated_rows_does_not_depend_on_their_order() -> None:
    raw = replace(READINGS, enforce_key=False)
    twice = pd.concat([readings(MONDAY, close_usd=1.0), readings(MONDAY, close_usd=2.0)], ignore_index=True)

    assert raw.content_hashes(twice.iloc[::-1]) == raw.content_hashes(twice)


def test_a_session_without_rows_has_no_fingerprint() -> None:
    assert READINGS.content_hashes(READINGS.empty()) == {}
