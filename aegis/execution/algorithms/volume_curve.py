"""How a session's volume is spread over its minutes, learned from past sessions.

Belongs here: the curve, its estimate, and what stands in for it where history is thin. Minute volumes are passed in;
where they come from is the business of market data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aegis.calendars import TradingCalendar
from aegis.errors import ExecutionError
from aegis.execution.algorithms.intervals import Interval

ThinHistory = Literal["flat", "u_shape"]

_SECONDS_PER_MINUTE = 60.0
_NANOSECONDS = 10**9
_U_SHAPE_DEPTH = 3.0


@dataclass(frozen=True, slots=True)
class SessionVolume:
    """The volume of one past session by minute.

    Parameters
    ----------
    session : date
        The session.
    shares_by_minute : tuple of float
        Shares traded in each minute since the open, one number for every minute of the session's own hours; 0 where
        nothing traded. 390 for New York, 210 on its half days.
    """

    session: date
    shares_by_minute: tuple[float, ...]

    @classmethod
    def of_bars(
        cls,
        calendar: TradingCalendar,
        session: date,
        *,
        closes_at: NDArray[np.int64],
        shares: NDArray[np.float64],
    ) -> SessionVolume:
        """Return the volume of a session's minute bars, put into the session's own hours.

        Parameters
        ----------
        calendar : TradingCalendar
            Knows how long the session was: whoever pads a half day to a full one teaches the curve an empty afternoon.
        session : date
            The session.
        closes_at : ndarray of int64, shape (n,)
            Close of each bar, nanoseconds since 1970 in UTC, in any order. Bars outside the session's hours are left
            out; a minute without a bar had no volume.
        shares : ndarray of float64, shape (n,)
            Volume of each bar; NaN is none.
        """
        opens, closes = calendar.open_utc(session), calendar.close_utc(session)
        count = round((closes - opens).total_seconds() / _SECONDS_PER_MINUTE)
        # A bar that closes with a minute belongs to it.
        minutes = (closes_at - round(opens.timestamp()) * _NANOSECONDS - 1) // (60 * _NANOSECONDS)
        inside = (minutes >= 0) & (minutes < count)
        volumes = np.bincount(minutes[inside], weights=np.nan_to_num(shares[inside]), minlength=count)
        return cls(session, tuple(volumes.tolist()))


@dataclass(frozen=True, slots=True)
class VolumeCurve:
    """The fraction of a session's volume in each of its minutes.

    Parameters
    ----------
    fractions : tuple of float
        By minute since the open, not negative; they add up to 1.
    origin : str
        For a person: what it was learned from, or what stands in for it.
    is_learned : bool
        Whether it was learned from sessions of the same length. Otherwise the parent order's record says so.
    """

    fractions: tuple[float, ...]
    origin: str
    is_learned: bool

    def weights(self, intervals: Sequence[Interval], *, opens_utc: datetime) -> tuple[float, ...]:
        """Return the fraction of the session's volume in each interval; within a minute volume is even.

        Raises
        ------
        ExecutionError
            An interval lies outside the minutes of the curve.
        """
        cumulative = np.concatenate(([0.0], np.cumsum(self.fractions)))
        minutes = np.arange(len(cumulative))
        edges = np.array(
            [
                [
                    (instant - opens_utc).total_seconds() / _SECONDS_PER_MINUTE
                    for instant in (interval.start_utc, interval.end_utc)
                ]
                for interval in intervals
            ]
        )
        if edges.min() < 0 or edges.max() > len(self.fractions):
            raise ExecutionError(
                f"intervals from minute {edges.min():g} to {edges.max():g} of a session whose volume curve has "
                f"{len(self.fractions)} minutes; make the curve for the hours of this session"
            )
        found = np.interp(edges, minutes, cumulative)
        return tuple((found[:, 1] - found[:, 0]).tolist())


def estimate_volume_curve(
    history: Sequence[SessionVolume],
    *,
    session: date,
    minutes: int,
    min_sessions: int = 5,
    smoothing_minutes: int = 5,
    thin_history: ThinHistory = "flat",
) -> VolumeCurve:
    """Learn the volume curve of a session from the sessions before it.

    Parameters
    ----------
    history : sequence of SessionVolume
        Past sessions in any order; sessions at or after `session` are not read, nor are those in which nothing traded.
    session : date
        The session to be traded.
    minutes : int
        Its length: a half day is shorter.
    min_sessions : int
        Fewer are too thin to learn from.
    smoothing_minutes : int
        Odd width of the centred mean over minutes; 1 for none. The first and the last minute hold the auctions and are
        left as they are, because a mean would spread their volume over minutes that do not have it.
    thin_history : {"flat", "u_shape"}
        What stands in where history is thin: even trading, which is TWAP, or :func:`u_shaped_curve`.

    Returns
    -------
    VolumeCurve
        Learned from sessions of the same length. Where these are too few but those of another length are not, as on
        most half days, the curve of the latter is stretched or compressed over the session, and the origin says so.

    Raises
    ------
    ExecutionError
        A number of minutes or sessions is not positive, the width is even, or a volume is negative or not finite.

    Notes
    -----
    Each session counts the same: its minutes are divided by its own total first, so that a day of heavy volume does not
    become the curve. *Known when*: before the open of `session`.
    """
    if minutes < 1 or min_sessions < 1 or smoothing_minutes < 1 or smoothing_minutes % 2 == 0:
        raise ExecutionError(
            f"volume curve of {session}: {minutes} minutes, at least {min_sessions} sessions, smoothed over "
            f"{smoothing_minutes}; expected positive numbers and an odd width"
        )
    past = [_checked(day) for day in history if day.session < session]
    traded = sorted((day for day in past if any(day.shares_by_minute)), key=lambda day: day.session)
    same = [day for day in traded if len(day.shares_by_minute) == minutes]
    if len(same) >= min_sessions:
        return VolumeCurve(_mean_curve(same, smoothing_minutes), f"learned from {_range(same)}", is_learned=True)
    by_length: dict[int, list[SessionVolume]] = {}
    for day in traded:
        by_length.setdefault(len(day.shares_by_minute), []).append(day)
    length, others = max(by_length.items(), key=lambda item: (len(item[1]), item[0]), default=(0, []))
    if len(others) >= min_sessions:
        stretched = _stretched(_mean_curve(others, smoothing_minutes), minutes)
        origin = f"{length} minutes of {_range(others)}, fitted to {minutes}: {len(same)} sessions have this length"
        return VolumeCurve(stretched, origin, is_learned=False)
    why = f"{len(same)} past sessions of {minutes} minutes, {min_sessions} are needed"
    if thin_history == "flat":
        return VolumeCurve((1.0 / minutes,) * minutes, f"even in time: {why}", is_learned=False)
    return VolumeCurve(u_shaped_curve(minutes), f"U-shaped: {why}", is_learned=False)


def u_shaped_curve(minutes: int) -> tuple[float, ...]:
    r"""Return a parabola over the session that is four times as high at both ends as in the middle.

    Parameters
    ----------
    minutes : int
        Length of the session.

    Notes
    -----
    With :math:`u` from 0 at the open to 1 at the close, :math:`f(u) \propto 1 + 3 (2u - 1)^2`, integrated over each
    minute: the first and the last quarter of the session hold 11/32 each, the two between them 5/32. It is a stated
    convention, not an estimate.

    References
    ----------
    Admati, A. and Pfleiderer, P. (1988), A theory of intraday patterns: volume and price variability, Review of
    Financial Studies 1(1), 3-40, for the pattern.
    """
    edges = np.linspace(0.0, 1.0, minutes + 1)
    integral = edges + _U_SHAPE_DEPTH * (2.0 * edges - 1.0) ** 3 / 6.0
    return tuple((np.diff(integral) / (integral[-1] - integral[0])).tolist())


def _checked(day: SessionVolume) -> SessionVolume:
    volumes = np.asarray(day.shares_by_minute, dtype=float)
    if not (np.isfinite(volumes).all() and (volumes >= 0).all()):
        raise ExecutionError(
            f"volume of session {day.session}: a minute has a volume that is negative or not finite; correct the bars"
        )
    return day


def _mean_curve(days: Sequence[SessionVolume], width: int) -> tuple[float, ...]:
    volumes = np.array([day.shares_by_minute for day in days], dtype=float)
    mean = (volumes / volumes.sum(axis=1, keepdims=True)).mean(axis=0)
    mean[1:-1] = _smoothed(mean[1:-1], width)
    return tuple((mean / mean.sum()).tolist())


def _smoothed(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the centred mean over up to `width` values: fewer at the ends, always as many on both sides."""
    half = width // 2
    return np.array(
        [
            values[i - reach : i + reach + 1].mean()
            for i in range(len(values))
            for reach in (min(half, i, len(values) - 1 - i),)
        ]
    )


def _stretched(fractions: tuple[float, ...], minutes: int) -> tuple[float, ...]:
    """Return a curve over another number of minutes: the same fraction by the same fraction of the session."""
    cumulative = np.concatenate(([0.0], np.cumsum(fractions)))
    found = np.interp(np.linspace(0, len(fractions), minutes + 1), np.arange(len(cumulative)), cumulative)
    return tuple((np.diff(found) / found[-1]).tolist())


def _range(days: Sequence[SessionVolume]) -> str:
    return f"{len(days)} sessions, {days[0].session} to {days[-1].session}"
