"""From a committed order and the settings to an algorithm, with what past sessions tell.

Belongs here: which algorithm an order gets and what stands in where knowledge is missing, said in the parent's record.
Where the knowledge comes from is the business of whoever asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aegis.calendars import TradingCalendar
from aegis.config_eval import ExecutionEval
from aegis.errors import ExecutionError
from aegis.execution.algorithms.almgren_chriss import LinearImpact
from aegis.execution.algorithms.implementation_shortfall import implementation_shortfall_schedule
from aegis.execution.algorithms.intervals import Interval, session_intervals
from aegis.execution.algorithms.limit import WorkedLimit
from aegis.execution.algorithms.market import market_schedule
from aegis.execution.algorithms.parent_records import WorkingAlgorithm
from aegis.execution.algorithms.parent_state import NoteKind, ParentState
from aegis.execution.algorithms.pov import ParticipationOfVolume
from aegis.execution.algorithms.schedule import Schedule, ScheduledFraction, custom_schedule
from aegis.execution.algorithms.scheduled import ScheduledAlgorithm
from aegis.execution.algorithms.twap import twap_schedule
from aegis.execution.algorithms.volume_curve import SessionVolume, VolumeCurve, estimate_volume_curve
from aegis.execution.algorithms.vwap import vwap_schedule

_SECONDS_PER_MINUTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMarket:
    """What past sessions tell of a symbol; known before the open of the session to be traded.

    Parameters
    ----------
    volumes : sequence of SessionVolume
        Volume by minute, for the curve; may be empty.
    daily_volume_shares : float, optional
        Volume to expect in a full session; None if nothing says.
    impact : LinearImpact, optional
        What trading moves, for Implementation Shortfall; None if nothing says.
    full_session_seconds : float
        Length of the session that `daily_volume_shares` and `impact` mean by a day; 23,400 in New York.
    """

    volumes: Sequence[SessionVolume] = ()
    daily_volume_shares: float | None = None
    impact: LinearImpact | None = None
    full_session_seconds: float = 23_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A parent order with the algorithm that is to work it."""

    state: ParentState
    algorithm: WorkingAlgorithm


def plan(
    state: ParentState,
    *,
    settings: ExecutionEval,
    calendar: TradingCalendar,
    past: PastMarket,
    released_at_utc: datetime,
    steps: Sequence[ScheduledFraction] = (),
) -> Planned:
    """Return how a parent order is to be worked in its execution session.

    Parameters
    ----------
    state : ParentState
        The parent as it was committed; its order names the algorithm.
    settings : ExecutionEval
        ``eval.execution``: interval, participation, risk aversion, what is stale and what is thin.
    calendar : TradingCalendar
        Knows the session's own hours.
    past : PastMarket
        What past sessions tell.
    released_at_utc : datetime
        From then on it may trade; before the open it means the open. Aware.
    steps : sequence of ScheduledFraction
        For algorithm 'schedule': what was written down. Steps before the release are due at once.

    Returns
    -------
    Planned
        The state has a note where something stands in for knowledge that is missing.

    Raises
    ------
    ExecutionError
        The session is over, a GTD order expires before it begins, or steps are missing or given to another algorithm.
    """
    order = state.order
    session = order.execution_session
    if bool(steps) != (order.algorithm == "schedule"):
        raise ExecutionError(
            f"order {order.client_order_id} ({order.symbol}): algorithm {order.algorithm!r} with {len(steps)} steps; "
            "algorithm 'schedule' needs them, no other takes them"
        )
    opens, closes = calendar.open_utc(session), calendar.close_utc(session)
    intervals = session_intervals(
        calendar,
        session,
        interval_minutes=settings.interval_minutes,
        begins_utc=released_at_utc,
        ends_utc=order.expires_at_utc,
    )
    curve = estimate_volume_curve(
        past.volumes,
        session=session,
        minutes=round((closes - opens).total_seconds() / _SECONDS_PER_MINUTE),
        min_sessions=settings.volume_curve_min_sessions,
    )
    max_age = timedelta(seconds=settings.max_data_age_seconds)
    match order.algorithm:
        case "limit":
            return Planned(state=state, algorithm=_limit(state, intervals))
        case "pov":
            rate = settings.participation_rate
            follower = ParticipationOfVolume(
                intervals=intervals,
                opens_utc=opens,
                participation_rate=rate,
                catch_up_rate=rate,
                max_data_age=max_age,
            )
            return Planned(state=state, algorithm=follower)
        case "market":
            at_once = ScheduledAlgorithm(schedule=market_schedule(state.total_lots, intervals), opens_utc=opens)
            return Planned(state=state, algorithm=at_once)
        case "schedule":
            ends = intervals[-1].end_utc
            schedule = custom_schedule(state.total_lots, steps, opens_utc=opens, closes_utc=ends)
        case "vwap":
            schedule = vwap_schedule(state.total_lots, intervals, curve=curve, opens_utc=opens)
            state = _noted_curve(state, curve, released_at_utc)
        case "implementation_shortfall":
            state, schedule = _shortfall(state, intervals, settings, past, released_at_utc)
        case _:
            schedule = twap_schedule(state.total_lots, intervals)
    sliced = [Interval(part.start_utc, part.end_utc) for part in schedule.slices]
    expected = _expected_volumes(curve, sliced, opens, past, session_seconds=(closes - opens).total_seconds())
    algorithm = ScheduledAlgorithm(
        schedule=schedule,
        opens_utc=opens,
        participation_rate=settings.participation_rate,
        expected_volume_shares=expected,
        max_data_age=max_age,
    )
    return Planned(state=state, algorithm=algorithm)


def _limit(state: ParentState, intervals: Sequence[Interval]) -> WorkedLimit:
    worst = state.order.limit_price_usd
    if worst is None:
        raise ExecutionError(f"order {state.order.client_order_id}: algorithm 'limit' needs limit_price_usd; give it")
    return WorkedLimit(begins_utc=intervals[0].start_utc, expires_utc=intervals[-1].end_utc, worst_price_usd=worst)


def _noted_curve(state: ParentState, curve: VolumeCurve, at_utc: datetime) -> ParentState:
    if curve.is_learned:
        return state
    return state.noted(NoteKind.STAND_IN_CURVE, f"volume curve: {curve.origin}", at_utc=at_utc)


def _shortfall(
    state: ParentState,
    intervals: Sequence[Interval],
    settings: ExecutionEval,
    past: PastMarket,
    at_utc: datetime,
) -> tuple[ParentState, Schedule]:
    if past.impact is None:
        noted = state.noted(
            NoteKind.NO_IMPACT, "neither volatility nor impact is known: traded evenly in time", at_utc=at_utc
        )
        return noted, twap_schedule(state.total_lots, intervals)
    schedule = implementation_shortfall_schedule(
        state.total_lots,
        intervals,
        impact=past.impact,
        risk_aversion=settings.risk_aversion,
        session_seconds=past.full_session_seconds,
    )
    return state, schedule


def _expected_volumes(
    curve: VolumeCurve, slices: Sequence[Interval], opens: datetime, past: PastMarket, *, session_seconds: float
) -> tuple[float, ...] | None:
    """Return the volume to expect in each slice; a shorter session is expected to see proportionally less."""
    if past.daily_volume_shares is None:
        return None
    whole = past.daily_volume_shares * min(1.0, session_seconds / past.full_session_seconds)
    return tuple(whole * weight for weight in curve.weights(slices, opens_utc=opens))
