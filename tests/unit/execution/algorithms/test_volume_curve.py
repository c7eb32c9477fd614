from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from aegis.calendars import trading_calendar
from aegis.errors import ExecutionError
from aegis.execution.algorithms.volume_curve import SessionVolume, estimate_volume_curve, u_shaped_curve

SESSION = date(2014, 6, 20)


def _history(*days: tuple[float, ...], ending: date = SESSION) -> list[SessionVolume]:
    return [SessionVolume(ending - timedelta(days=n + 1), volumes) for n, volumes in enumerate(days)]


def test_each_session_counts_the_same_whatever_its_volume():
    curve = estimate_volume_curve(
        _history((1, 2, 1), (600, 200, 200)), session=SESSION, minutes=3, min_sessions=2, smoothing_minutes=1
    )
    # The first minute: the mean of 0.25 and 0.6.
    assert curve.fractions == pytest.approx((0.425, 0.35, 0.225), abs=1e-15)
    assert (curve.origin, curve.is_learned) == ("learned from 2 sessions, 2014-06-18 to 2014-06-19", True)


def test_smoothing_leaves_the_minutes_of_the_auctions_alone():
    curve = estimate_volume_curve(
        _history((40, 0, 9, 0, 9, 12)), session=SESSION, minutes=6, min_sessions=1, smoothing_minutes=3
    )
    # 0, 9, 0, 9 become 0, 3, 6, 9: at their ends the mean is over one minute; 40 and 12 stay.
    assert curve.fractions == pytest.approx([share / 70 for share in (40, 0, 3, 6, 9, 12)], abs=1e-15)


def test_sessions_from_the_traded_one_on_are_not_read():
    past = _history((1, 2, 1), (6, 2, 2))
    future = [SessionVolume(SESSION, (9.0, 9.0, 0.0)), SessionVolume(SESSION + timedelta(days=1), (float("nan"),) * 3)]
    arguments = {"session": SESSION, "minutes": 3, "min_sessions": 2}
    assert estimate_volume_curve([*past, *future], **arguments) == estimate_volume_curve(past, **arguments)


def test_sessions_without_any_volume_teach_nothing():
    curve = estimate_volume_curve(
        _history((1, 3), (0, 0)), session=SESSION, minutes=2, min_sessions=1, smoothing_minutes=1
    )
    assert curve.fractions == (0.25, 0.75)
    assert "1 sessions" in curve.origin


def test_a_half_day_compresses_the_full_days_and_says_so():
    curve = estimate_volume_curve(
        _history((1, 3, 2, 4), (1, 3, 2, 4), (7, 3)),
        session=SESSION,
        minutes=2,
        min_sessions=2,
        smoothing_minutes=1,
    )
    assert curve.fractions == pytest.approx((0.4, 0.6), abs=1e-15)
    assert not curve.is_learned
    assert curve.origin == (
        "4 minutes of 2 sessions, 2014-06-18 to 2014-06-19, fitted to 2: 1 sessions have this length"
    )


def test_enough_half_days_are_learned_from_without_the_full_days():
    curve = estimate_volume_curve(
        _history((1, 3, 2, 4), (1, 3, 2, 4), (1, 3, 2, 4), (7, 3), (5, 5)),
        session=SESSION,
        minutes=2,
        min_sessions=2,
        smoothing_minutes=1,
    )
    assert curve.fractions == pytest.approx((0.6, 0.4), abs=1e-15)
    assert curve.is_learned


def test_minute_bars_are_put_into_the_sessions_own_hours():
    half_day = date(2015, 12, 24)  # 14:30 to 18:00 UTC
    closes = ["14:30", "14:31", "14:33", "18:00", "18:01", "20:59"]
    found = SessionVolume.of_bars(
        trading_calendar("XNYS"),
        half_day,
        closes_at=np.array([f"2015-12-24T{at}" for at in closes], dtype="datetime64[ns]").astype(np.int64),
        shares=np.array([1.0, 20.0, np.nan, 400.0, 8000.0, 8000.0]),
    )
    # What closed with the open or after 18:00 was traded outside the session; a NaN is no volume.
    assert found == SessionVolume(half_day, (20.0, *(0.0,) * 208, 400.0))


def test_thin_history_is_traded_evenly_and_said():
    curve = estimate_volume_curve(_history((1, 3)), session=SESSION, minutes=2, min_sessions=5)
    assert curve.fractions == (0.5, 0.5)
    assert (curve.is_learned, curve.origin) == (False, "even in time: 1 past sessions of 2 minutes, 5 are needed")


def test_thin_history_may_be_replaced_by_the_stated_u_shape():
    curve = estimate_volume_curve([], session=SESSION, minutes=4, thin_history="u_shape")
    # The integral of 1 + 3 (2u - 1)^2 is 11/16 over the outer and 5/16 over the inner quarters, 2 over all.
    assert curve.fractions == pytest.approx((11 / 32, 5 / 32, 5 / 32, 11 / 32), abs=1e-15)
    assert not curve.is_learned


def test_the_u_shape_is_symmetric_and_highest_at_both_ends():
    curve = u_shaped_curve(390)
    assert sum(curve) == pytest.approx(1, abs=1e-12)
    assert curve == pytest.approx(curve[::-1], abs=1e-12)
    assert curve[0] / curve[194] == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("volume", [-1.0, float("nan"), float("inf")])
def test_a_volume_that_cannot_be_is_refused(volume):
    with pytest.raises(ExecutionError, match="volume of session 2014-06-19: a minute has a volume that is negative"):
        estimate_volume_curve(_history((1.0, volume)), session=SESSION, minutes=2)


@pytest.mark.parametrize("wrong", [{"minutes": 0}, {"min_sessions": 0}, {"smoothing_minutes": 4}])
def test_numbers_that_make_no_curve_are_refused(wrong):
    with pytest.raises(ExecutionError, match="expected positive numbers and an odd width"):
        estimate_volume_curve([], **{"session": SESSION, "minutes": 2, **wrong})
