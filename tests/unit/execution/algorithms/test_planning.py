from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from aegis.calendars import trading_calendar
from aegis.config_eval import ExecutionEval
from aegis.errors import ExecutionError
from aegis.execution.algorithms.almgren_chriss import LinearImpact
from aegis.execution.algorithms.parent_state import NoteKind, ParentState
from aegis.execution.algorithms.planning import PastMarket, plan
from aegis.execution.algorithms.pov import ParticipationOfVolume
from aegis.execution.algorithms.schedule import ScheduledFraction
from aegis.execution.algorithms.volume_curve import SessionVolume
from aegis.execution.order_ids import client_order_id

NYSE = trading_calendar("XNYS")
DECISION = "simulated/main/2014-06-05/rebalance/1"
SESSION = date(2014, 6, 6)
OPENS, CLOSES = datetime(2014, 6, 6, 13, 30, tzinfo=UTC), datetime(2014, 6, 6, 20, tzinfo=UTC)
SETTINGS = ExecutionEval(interval_minutes=195, volume_curve_min_sessions=2)
VOLUMES = [
    SessionVolume(day, (3.0,) * 195 + (1.0,) * 195)
    for day in (date(2014, 6, 3), date(2014, 6, 4), date(2014, 6, 5), SESSION)
]
IMPACT = LinearImpact(sigma=0.95, epsilon=0.0625, eta=2.5e-6, gamma=2.5e-7)


@pytest.fixture
def planned(order_of):
    def make(algorithm: str, past: PastMarket = PastMarket(), *, released=OPENS, steps=(), settings=SETTINGS, **terms):  # noqa: B008 - frozen
        order = order_of(
            client_order_id=client_order_id("simulated", DECISION, symbol="ABC"),
            decision_id=DECISION,
            quantity_shares=1000.0,
            algorithm=algorithm,
            **terms,
        )
        return plan(
            ParentState(order=order),
            settings=settings,
            calendar=NYSE,
            past=past,
            released_at_utc=released,
            steps=steps,
        )

    return make


def _lots(found) -> list[int]:
    return [part.quantity_lots for part in found.algorithm.schedule.slices]


def test_twap_has_the_settings_intervals_and_participation(planned):
    found = planned("twap")
    assert _lots(found) == [500, 500]
    assert found.algorithm.participation_rate == 0.1
    assert found.algorithm.max_data_age == timedelta(minutes=2)
    assert found.state.notes == ()


def test_vwap_learns_its_curve_from_the_sessions_before(planned):
    found = planned("vwap", PastMarket(volumes=VOLUMES, daily_volume_shares=40_000.0))
    # 585 of 780 before the middle, less the 0.8 and 0.4 that the mean over five minutes takes across it: 748.46.
    assert _lots(found) == [748, 252]
    assert found.algorithm.expected_volume_shares == pytest.approx((30_000, 10_000), rel=0.01)
    assert found.state.notes == ()


def test_vwap_without_history_trades_evenly_and_the_record_says_so(planned):
    found = planned("vwap")
    assert _lots(found) == [500, 500]
    assert [(note.kind, note.text) for note in found.state.notes] == [
        (
            NoteKind.STAND_IN_CURVE,
            "volume curve: even in time: 0 past sessions of 390 minutes, 2 are needed",
        )
    ]


def test_implementation_shortfall_takes_risk_aversion_from_the_settings(planned):
    past = PastMarket(impact=IMPACT)
    calm = planned("implementation_shortfall", past, settings=SETTINGS.model_copy(update={"risk_aversion": 0.0}))
    assert _lots(calm) == [500, 500]
    hurried = planned("implementation_shortfall", past, settings=SETTINGS.model_copy(update={"risk_aversion": 1e-4}))
    # kappa~ tau = 0.95 * sqrt(1e-4 / (2.5e-6 - 6.25e-8)) / 2 = 3.0424; the second of two steps is left with
    # 1 / (2 cosh(kappa tau)) = 1 / (2 + 3.0424^2) of the order.
    assert _lots(hurried) == [911, 89]


def test_implementation_shortfall_without_an_impact_model_is_twap_and_says_so(planned):
    found = planned("implementation_shortfall")
    assert _lots(found) == [500, 500]
    assert found.state.notes[0].kind is NoteKind.NO_IMPACT


def test_a_market_order_is_due_at_once_without_a_cap(planned):
    found = planned("market", released=OPENS + timedelta(minutes=7))
    (part,) = found.algorithm.schedule.slices
    assert (part.start_utc, part.end_utc, part.quantity_lots) == (OPENS + timedelta(minutes=7), CLOSES, 1000)
    assert (found.algorithm.participation_rate, found.algorithm.max_data_age) == (None, None)


def test_pov_has_the_participation_of_the_settings(planned):
    algorithm = planned("pov").algorithm
    assert isinstance(algorithm, ParticipationOfVolume)
    assert (algorithm.participation_rate, len(algorithm.intervals)) == (0.1, 2)


def test_a_limit_is_worked_until_the_order_expires(planned):
    expires = datetime(2014, 6, 6, 15, tzinfo=UTC)
    terms = {"order_type": "limit", "limit_price_usd": 9.5, "time_in_force": "GTD", "expires_at_utc": expires}
    algorithm = planned("limit", released=OPENS - timedelta(hours=1), **terms).algorithm
    assert (algorithm.begins_utc, algorithm.expires_utc, algorithm.worst_price_usd) == (OPENS, expires, 9.5)


def test_a_custom_schedule_is_traded_as_it_was_written(planned):
    steps = [ScheduledFraction(timedelta(0), 0.3), ScheduledFraction(timedelta(hours=3), 0.7)]
    found = planned("schedule", PastMarket(daily_volume_shares=39_000.0), steps=steps)
    assert _lots(found) == [300, 700]
    assert found.algorithm.expected_volume_shares == pytest.approx((18_000, 21_000))


@pytest.mark.parametrize(("algorithm", "steps"), [("schedule", ()), ("twap", (ScheduledFraction(timedelta(0), 1.0),))])
def test_steps_belong_to_custom_schedules_only(planned, algorithm, steps):
    with pytest.raises(ExecutionError, match="algorithm 'schedule' needs them, no other takes them"):
        planned(algorithm, steps=steps)


def test_an_order_released_after_the_close_cannot_be_planned(planned):
    with pytest.raises(ExecutionError, match="nothing of it lies between"):
        planned("vwap", released=CLOSES)


def test_a_half_day_expects_a_half_days_volume(planned):
    found = planned(
        "twap",
        PastMarket(daily_volume_shares=39_000.0),
        released=datetime(2014, 7, 3, 13, 30, tzinfo=UTC),
        settings=SETTINGS.model_copy(update={"interval_minutes": 105}),
        execution_session=date(2014, 7, 3),
    )
    assert found.algorithm.expected_volume_shares == pytest.approx((10_500, 10_500))
