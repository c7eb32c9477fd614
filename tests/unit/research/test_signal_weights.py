"""The rule that turns signals into weights, worked out by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.research.signal_weights import capped_weights, weekly_weights

XNYS = trading_calendar("XNYS")


@pytest.mark.parametrize(
    ("strengths", "cap", "gross", "expected"),
    [
        ([3.0, 1.0], 1.0, 1.0, [0.75, 0.25]),
        ([1.0, 3.0], 1.0, 0.8, [0.2, 0.6]),
        ([6.0, 3.0, 1.0], 0.5, 1.0, [0.5, 0.375, 0.125]),  # 0.6 is cut to 0.5, the other half is split 3 to 1
        ([1.0, 10.0, 5.0], 0.4, 1.0, [0.2, 0.4, 0.4]),  # what the first loses takes the second to the cap too
        ([2.0, 1.0, 0.0], 0.4, 1.0, [0.4, 0.4, 0.0]),  # two names cannot fill the book: 20 % stay cash
        ([0.0, 0.0], 0.4, 1.0, [0.0, 0.0]),
        ([1.0, 1.0, 1.0], 1 / 3, 1.0, [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_weights_follow_strength_up_to_the_cap(
    strengths: list[float], cap: float, gross: float, expected: list[float]
) -> None:
    found = capped_weights(np.array(strengths), max_position_weight=cap, max_gross_exposure=gross)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_capped_weights_are_those_that_bisection_finds() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        strengths = np.maximum(rng.normal(size=30), 0.0)
        low, high = 0.0, 1e6
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if np.minimum(0.08, middle * strengths).sum() < 0.95 else (low, middle)
        found = capped_weights(strengths, max_position_weight=0.08, max_gross_exposure=0.95)
        np.testing.assert_allclose(found, np.minimum(0.08, low * strengths), atol=1e-12)


def weights(signals: list[tuple[str, str, float, float]], first: date, last: date) -> pd.DataFrame:
    frame = pd.DataFrame(signals, columns=["session", "symbol", "score", "confidence"])
    frame["session"] = pd.to_datetime(frame["session"])
    sessions = XNYS.sessions(first, last)
    found = weekly_weights(
        frame,
        sessions=sessions,
        symbols=("AAA", "BBB", "CCC"),
        calendar=XNYS,
        max_position_weight=0.6,
        max_gross_exposure=1.0,
    )
    return pd.DataFrame(found, index=[str(day) for day in sessions], columns=["AAA", "BBB", "CCC"])


def test_the_last_session_of_a_week_decides_and_the_others_leave_everything_as_it_is() -> None:
    """Friday 2014-04-18 was Good Friday, so that week ends on Thursday."""
    daily = [(str(day), "AAA", 1.0, 1.0) for day in XNYS.sessions(date(2014, 4, 14), date(2014, 4, 25))]
    found = weights(daily, date(2014, 4, 14), date(2014, 4, 25))
    assert found.index[found.notna().any(axis=1)].tolist() == ["2014-04-17", "2014-04-25"]


def test_only_positive_scores_are_held_in_proportion_to_score_times_confidence() -> None:
    friday = "2014-06-06"
    found = weights(
        [(friday, "AAA", 2.0, 0.5), (friday, "BBB", 1.0, 1.0), (friday, "CCC", -3.0, 1.0)],
        date(2014, 6, 5),
        date(2014, 6, 9),
    )
    assert found.loc[friday].tolist() == [0.5, 0.5, 0.0]


def test_a_name_that_left_the_universe_is_sold_and_without_confidence_nothing_is_held() -> None:
    found = weights(
        [("2014-06-06", "AAA", 1.0, 1.0), ("2014-06-13", "BBB", 1.0, 0.0)], date(2014, 6, 6), date(2014, 6, 13)
    )
    assert found.loc["2014-06-06"].tolist() == [0.6, 0.0, 0.0]
    assert found.loc["2014-06-13"].tolist() == [0.0, 0.0, 0.0]


def test_a_week_whose_last_session_has_no_signals_decides_nothing() -> None:
    found = weights([("2014-06-05", "AAA", 1.0, 1.0)], date(2014, 6, 2), date(2014, 6, 6))
    assert found.isna().all(axis=None)


def test_weights_of_a_session_do_not_depend_on_later_ones() -> None:
    rng = np.random.default_rng(3)
    days = XNYS.sessions(date(2014, 6, 2), date(2014, 6, 30))
    rows = [(str(day), symbol, rng.normal(), 0.5) for day in days for symbol in ("AAA", "BBB", "CCC")]
    whole = weights(rows, days[0], days[-1])
    for day in days:
        known = weights([row for row in rows if row[0] <= str(day)], days[0], day)
        pd.testing.assert_frame_equal(known, whole.loc[: str(day)])
