from __future__ import annotations

import math

import numpy as np

from aegis.backtesting.kernel.codes import ActionKind
from aegis.backtesting.session_marks import session_closes, session_marks
from tests.unit.backtesting.hand_written import action, actions

NAN = math.nan


def same(found: np.ndarray, expected: list[list[float]]) -> bool:
    return np.array_equal(found, np.array(expected), equal_nan=True)


def test_the_last_close_of_a_session_passes_over_missing_bars() -> None:
    # Two symbols, steps 0-2 and 3-4.
    closes = np.array([[1.0, NAN], [2.0, 7.0], [NAN, NAN], [NAN, 8.0], [NAN, NAN]])
    found = session_closes(closes.ravel(), session_first_steps=np.array([0, 3, 5]), n_symbols=2)
    assert same(found, [[2.0, 7.0], [NAN, 8.0]])


def test_sparse_rows_give_the_same_closes() -> None:
    found = session_closes(
        np.array([1.0, 2.0, 7.0, 8.0]),
        session_first_steps=np.array([0, 3, 5]),
        n_symbols=2,
        row_symbol=np.array([0, 0, 1, 1], np.int32),
        first_row=np.array([0, 1, 3, 3, 4, 4]),  # steps: AAA · AAA and BBB · nothing · BBB · nothing
    )
    assert same(found, [[2.0, 7.0], [NAN, 8.0]])


def test_a_mark_is_carried_and_divided_by_a_split() -> None:
    closes = np.array([[NAN, 9.0], [60.0, NAN], [NAN, NAN], [NAN, 3.0], [21.0, NAN]])
    happened = actions(action(ActionKind.SPLIT, 0, 12, ratio=2.0), action(ActionKind.SPLIT, 1, 13, ratio=3.0))
    found = session_marks(closes, happened, np.array([10, 11, 12, 13, 14]))
    assert same(found, [[NAN, 9.0], [60.0, 9.0], [30.0, 9.0], [30.0, 3.0], [21.0, 3.0]])


def test_a_split_on_a_day_without_a_session_meets_the_mark_of_the_session_before() -> None:
    found = session_marks(
        np.array([[8.0], [NAN]]), actions(action(ActionKind.SPLIT, 0, 12, ratio=4.0)), np.array([10, 14])
    )
    assert same(found, [[8.0], [2.0]])
