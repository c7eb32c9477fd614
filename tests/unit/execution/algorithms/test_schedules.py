"""Schedules on the real calendar: half days and daylight saving by hand, closed forms, sums."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.calendars import trading_calendar
from aegis.errors import CalendarError, ExecutionError
from aegis.execution.algorithms.almgren_chriss import LinearImpact
from aegis.execution.algorithms.implementation_shortfall import implementation_shortfall_schedule
from aegis.execution.algorithms.intervals import session_intervals
from aegis.execution.algorithms.schedule import Schedule, ScheduledFraction, Slice, custom_schedule
from aegis.execution.algorithms.twap import Jitter, twap_schedule
from aegis.execution.algorithms.volume_curve import VolumeCurve
from aegis.execution.algorithms.vwap import vwap_schedule

NYSE = trading_calendar("XNYS")
FULL_DAY, HALF_DAY = date(2014, 6, 6), date(2014, 7, 3)
IMPACT = LinearImpact(sigma=0.95, epsilon=0.0625, eta=2.5e-6, gamma=2.5e-7)
SESSION_SECONDS = 6.5 * 3600


def _utc(session: date, hour: int, minute: int = 0) -> datetime:
    return datetime(session.year, session.month, session.day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("session", "opens", "closes", "count"),
    [
        (date(2014, 3, 7), (14, 30), (21, 0), 78),  # the last session of winter time
        (date(2014, 3, 10), (13, 30), (20, 0), 78),  # the first of daylight saving time
        (date(2014, 10, 31), (13, 30), (20, 0), 78),
        (date(2014, 11, 3), (14, 30), (21, 0), 78),
        (HALF_DAY, (13, 30), (17, 0), 42),  # before Independence Day: 13:00 in New York
        (date(2014, 11, 28), (14, 30), (18, 0), 42),  # after Thanksgiving, in winter time
    ],
)
def test_intervals_fill_the_sessions_own_hours(session, opens, closes, count):
    intervals = session_intervals(NYSE, session, interval_minutes=5)
    assert (intervals[0].start_utc, intervals[-1].end_utc) == (_utc(session, *opens), _utc(session, *closes))
    assert len(intervals) == count
    assert {interval.seconds for interval in intervals} == {300.0}
    assert all(before.end_utc == after.start_utc for before, after in pairwise(intervals))


def test_the_last_interval_is_shorter_where_the_session_is_not_a_multiple():
    intervals = session_intervals(NYSE, HALF_DAY, interval_minutes=60)
    assert [interval.seconds / 60 for interval in intervals] == [60, 60, 60, 30]


def test_what_begins_late_and_ends_early_keeps_the_sessions_grid():
    intervals = session_intervals(
        NYSE, FULL_DAY, interval_minutes=30, begins_utc=_utc(FULL_DAY, 13, 50), ends_utc=_utc(FULL_DAY, 15, 10)
    )
    assert [(part.start_utc.minute, part.seconds / 60) for part in intervals] == [(50, 10), (0, 30), (30, 30), (0, 10)]


def test_a_market_that_never_closes_has_a_day_of_intervals():
    intervals = session_intervals(trading_calendar("24/7"), date(2014, 3, 9), interval_minutes=7)
    assert (len(intervals), intervals[-1].seconds) == (206, 300.0)


@pytest.mark.parametrize("begins", [_utc(HALF_DAY, 17), _utc(HALF_DAY, 19)])
def test_an_order_that_comes_after_the_close_of_a_half_day_has_no_intervals(begins):
    with pytest.raises(ExecutionError, match="is open from 13:30 to 17:00 UTC; nothing of it lies between"):
        session_intervals(NYSE, HALF_DAY, interval_minutes=5, begins_utc=begins)


def test_a_holiday_has_no_intervals():
    with pytest.raises(CalendarError, match="2014-07-04"):
        session_intervals(NYSE, date(2014, 7, 4), interval_minutes=5)


def test_twap_trades_the_same_in_each_interval_and_the_first_take_the_remainder():
    # 1,000 = 78 * 12 + 64
    schedule = twap_schedule(1000, session_intervals(NYSE, FULL_DAY, interval_minutes=5))
    assert [part.quantity_lots for part in schedule.slices] == [13] * 64 + [12] * 14


def test_twap_trades_less_in_an_interval_that_is_cut_short():
    schedule = twap_schedule(700, session_intervals(NYSE, HALF_DAY, interval_minutes=60))
    assert [part.quantity_lots for part in schedule.slices] == [200, 200, 200, 100]


def test_vwap_trades_as_the_curve_says():
    # Minutes hold 1 to 4 tenths; from the middle of minute 0 on: 0.05, 0.2, 0.3, 0.4 of what is left, 0.95.
    curve = VolumeCurve((0.1, 0.2, 0.3, 0.4), "by hand", is_learned=True)
    opens = _utc(FULL_DAY, 13, 30)
    intervals = session_intervals(
        NYSE,
        FULL_DAY,
        interval_minutes=1,
        begins_utc=opens + timedelta(seconds=30),
        ends_utc=opens + timedelta(minutes=4),
    )
    schedule = vwap_schedule(95, intervals, curve=curve, opens_utc=opens)
    assert [part.quantity_lots for part in schedule.slices] == [5, 20, 30, 40]


def test_vwap_refuses_a_curve_of_a_shorter_session():
    curve = VolumeCurve((0.5, 0.5), "by hand", is_learned=True)
    with pytest.raises(ExecutionError, match="from minute 0 to 390 of a session whose volume curve has 2 minutes"):
        vwap_schedule(
            10,
            session_intervals(NYSE, FULL_DAY, interval_minutes=5),
            curve=curve,
            opens_utc=_utc(FULL_DAY, 13, 30),
        )


def test_implementation_shortfall_without_risk_aversion_is_twap():
    intervals = session_intervals(NYSE, FULL_DAY, interval_minutes=7, begins_utc=_utc(FULL_DAY, 13, 33))
    found = implementation_shortfall_schedule(
        100_003, intervals, impact=IMPACT, risk_aversion=0.0, session_seconds=SESSION_SECONDS
    )
    assert found == twap_schedule(100_003, intervals)


def test_implementation_shortfall_trades_earlier_the_more_risk_is_minded():
    intervals = session_intervals(NYSE, FULL_DAY, interval_minutes=30)
    first = []
    for risk_aversion in (0.0, 1e-6, 1e-5, 1e-4):
        schedule = implementation_shortfall_schedule(
            100_000, intervals, impact=IMPACT, risk_aversion=risk_aversion, session_seconds=SESSION_SECONDS
        )
        lots = [part.quantity_lots for part in schedule.slices]
        assert lots == sorted(lots, reverse=True)
        assert schedule.total_lots == 100_000
        first.append(lots[0])
    assert first == sorted(set(first))


def test_a_custom_schedule_trades_each_fraction_until_the_next():
    opens, closes = _utc(FULL_DAY, 13, 30), _utc(FULL_DAY, 20)
    steps = [
        ScheduledFraction(timedelta(0), 0.5),
        ScheduledFraction(timedelta(hours=1), 0.2),
        ScheduledFraction(timedelta(hours=6), 0.3),
    ]
    assert custom_schedule(1000, steps, opens_utc=opens, closes_utc=closes) == Schedule(
        (
            Slice(opens, _utc(FULL_DAY, 14, 30), 500),
            Slice(_utc(FULL_DAY, 14, 30), _utc(FULL_DAY, 19, 30), 200),
            Slice(_utc(FULL_DAY, 19, 30), closes, 300),
        )
    )


@pytest.mark.parametrize(
    ("minutes", "fractions", "why"),
    [
        ((0, 240), (0.5, 0.5), "ascending times within the session, which lasts 3:30:00"),
        ((60, 60), (0.5, 0.5), "ascending times"),
        ((), (), "ascending times"),
        ((0, 10), (0.5, 0.4), "add up to 0.9"),
        ((0, 10), (1.5, -0.5), "numbers from 0 to 1"),
    ],
)
def test_a_custom_schedule_that_does_not_fit_is_refused(minutes, fractions, why):
    steps = [ScheduledFraction(timedelta(minutes=m), part) for m, part in zip(minutes, fractions, strict=True)]
    with pytest.raises(ExecutionError, match=why):
        custom_schedule(10, steps, opens_utc=_utc(HALF_DAY, 13, 30), closes_utc=_utc(HALF_DAY, 17))


def test_slices_that_overlap_are_refused():
    slices = (
        Slice(_utc(FULL_DAY, 14), _utc(FULL_DAY, 15), 1),
        Slice(_utc(FULL_DAY, 14, 59), _utc(FULL_DAY, 16), 1),
    )
    with pytest.raises(ExecutionError, match="begins before the one before it ends"):
        Schedule(slices)


def test_an_instant_lies_in_the_slice_that_begins_with_it():
    schedule = twap_schedule(7, session_intervals(NYSE, HALF_DAY, interval_minutes=60))
    assert [schedule.number_at(_utc(HALF_DAY, *at)) for at in ((13, 29), (13, 30), (14, 29), (14, 30), (16, 59))] == [
        *(None, 0, 0, 1, 3)
    ]
    assert schedule.number_at(_utc(HALF_DAY, 17)) is None
    assert [schedule.due_lots(number) for number in range(4)] == [2, 4, 6, 7]


@given(
    lots=st.integers(1, 10**6),
    minutes=st.integers(1, 90),
    seed=st.integers(0, 2**32),
    time_fraction=st.floats(0, 0.999),
    size_fraction=st.floats(0, 0.999),
)
def test_jitter_keeps_the_sum_the_intervals_and_its_bounds(lots, minutes, seed, time_fraction, size_fraction):
    intervals = session_intervals(NYSE, HALF_DAY, interval_minutes=minutes)
    jitter = Jitter(seed=seed, key="order", time_fraction=time_fraction, size_fraction=size_fraction)
    schedule = twap_schedule(lots, intervals, jitter=jitter)
    assert schedule == twap_schedule(lots, intervals, jitter=jitter)
    assert schedule.total_lots == lots
    for part, interval in zip(schedule.slices, intervals, strict=True):
        latest = interval.start_utc + timedelta(seconds=interval.seconds * time_fraction + 1e-6)
        assert interval.start_utc <= part.start_utc <= latest
        assert part.end_utc == interval.end_utc
        share = interval.seconds / 12_600
        bounds = share * (1 - size_fraction) / (1 + size_fraction), share * (1 + size_fraction) / (1 - size_fraction)
        assert lots * bounds[0] - 1 <= part.quantity_lots <= lots * bounds[1] + 1


def test_another_seed_or_another_order_is_another_jitter():
    intervals = session_intervals(NYSE, FULL_DAY, interval_minutes=5)
    schedules = {
        twap_schedule(10_000, intervals, jitter=Jitter(seed=seed, key=key, time_fraction=0.5, size_fraction=0.5))
        for seed, key in ((1, "a"), (2, "a"), (1, "b"))
    }
    assert len(schedules) == 3


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_jitter_of_a_whole_interval_is_refused(fraction):
    with pytest.raises(ExecutionError, match=r"time_fraction .* must lie in \[0, 1\)"):
        Jitter(seed=1, key="order", time_fraction=fraction)
