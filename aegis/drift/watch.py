"""Which detector looks at which series, over which stretches, and when its answer is an alarm.

Belongs here: the judgement of each family of series. The detectors are the modules beside this one, the series
:mod:`aegis.drift.series`.

Notes
-----
A series is judged at the last session of each quarter and at the newest one. Features and signals: the window of the
newest sessions against the reference before it, by their distributions; where the reference says that so few sessions
are worth too little, the longer window. Two quarters share no session of their shorter windows.
Results, costs and fill rates: everything since the year began, or since ``drift.live_since``, against the reference
before it. Deliveries: each session of the quarter, at the newest session the last five, against the reference before.

``drift.false_alarm_rate`` is of a family: each of its series and detectors gets an equal part (Bonferroni). A series
that does not move in the reference has no scale; any change of it is an outlier. Where the values are too few to fill
reference and window, nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.config_drift import DriftSettings
from aegis.drift.dependence import cautious_time
from aegis.drift.distribution_shift import LEAST_INDEPENDENT, distribution_measures
from aegis.drift.mean_shift import MINIMUM_REFERENCE, cusum
from aegis.drift.measures import DriftMeasure, FloatArray
from aegis.drift.outliers import outlier
from aegis.drift.performance_band import sequential_mean
from aegis.drift.series import FAMILIES, Family, SeriesFrame
from aegis.lake import tables

_DELIVERIES_TOLD = 5
_DISTRIBUTED: tuple[Family, ...] = ("features", "signals")
_NO_SCALE = 1e-9
_LONGEST_HISTORY = 1_008
"""Values that a series' dependence on itself is estimated from, in lengths that a Fourier transform is quick for."""
_HISTORY_STEP = 126
_WORSE: Mapping[Family, tuple[int, ...]] = {"performance": (-1,), "slippage": (1,), "fill_rate": (-1,)}
_REMEDY: Mapping[Family, str] = {
    "features": "compare bars, universe and the feature's definition of both stretches before relying on it",
    "signals": "look at the strategy's features first, then whether its opinions are still wanted",
    "performance": "find out whether market, data or code changed, and trade smaller until you know",
    "slippage": "look at the venue, the order sizes and the algorithm's participation",
    "fill_rate": "look at rejections, limits and halts, and at the algorithm's participation",
    "data": "ask the vendor, or correct the delivery (`aegis data correct`)",
}


@dataclass(frozen=True, slots=True)
class _Series:
    """Values of one series and their sessions, ascending, without those that are not known."""

    family: Family
    name: str
    sessions: NDArray[np.datetime64]
    levels: FloatArray

    def before(self, day: np.datetime64, *, including: bool) -> int:
        """Return how many values lie before a day."""
        return int(np.searchsorted(self.sessions, day, side="right" if including else "left"))


@dataclass(frozen=True, slots=True)
class _Stretches:
    """Positions in a series: reference ``[low, middle)``, newer values ``[middle, high)``."""

    low: int
    middle: int
    high: int


def drift_measures(series: Mapping[Family, SeriesFrame], *, account: str, settings: DriftSettings) -> pd.DataFrame:
    """Return what every detector says of every series, at each quarter's last session and at the newest.

    Parameters
    ----------
    series : mapping of family to DataFrame
        See :func:`aegis.drift.series.drift_series`.
    account : str
        Whose results they are; features, signals and deliveries are those that its decisions read.
    settings : DriftSettings
        Stretches and rates.

    Returns
    -------
    DataFrame
        Rows of ``monitoring/drift_measures``.
    """
    rows: list[dict[str, Any]] = []
    for family in FAMILIES:
        frame = series[family]
        if len(frame) == 0:
            continue
        known = [one for one in _split(family, frame) if one.levels.size >= MINIMUM_REFERENCE]
        rate = settings.false_alarm_rate / max(len(known) * (2 if family in _DISTRIBUTED else 1), 1)
        days = _judged_days(frame.index.to_numpy(dtype="datetime64[D]"))
        for one in known:
            for day in days:
                is_newest = day == days[-1]
                for stretches, measure in _judgements(one, day, settings, rate, is_newest=is_newest):
                    rows.append(_row(one, day, stretches, measure, account))
    if not rows:
        return tables.DRIFT_MEASURES.empty()
    return tables.DRIFT_MEASURES.conform(pd.DataFrame.from_records(rows, columns=tables.DRIFT_MEASURES.column_names))


def newest_alarms(measures: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that alarm at the newest session of their family."""
    newest = measures.groupby("family")["session"].transform("max")
    return measures[measures["is_alarm"] & (measures["session"] == newest)]


def _split(family: Family, frame: SeriesFrame) -> Iterator[_Series]:
    days = frame.index.to_numpy(dtype="datetime64[D]")
    for name in frame.columns:
        values = frame[name].to_numpy(dtype=np.float64)
        known = np.isfinite(values)
        yield _Series(family, str(name), days[known], values[known])


def _judged_days(days: NDArray[np.datetime64]) -> list[np.datetime64]:
    """Return the last session of each quarter that has passed, and the newest session."""
    quarters = days.astype("datetime64[M]").astype(np.int64) // 3
    return [*days[:-1][quarters[1:] != quarters[:-1]], days[-1]]


def _judgements(
    series: _Series, day: np.datetime64, settings: DriftSettings, rate: float, *, is_newest: bool
) -> Iterator[tuple[_Stretches, DriftMeasure]]:
    if series.family in _DISTRIBUTED:
        yield from _distributions(series, day, settings, rate)
        return
    if series.family == "data":
        stretches = _window(series, day, settings, _DELIVERIES_TOLD if is_newest else settings.window_sessions)
    else:
        stretches = _since(series, day, settings)
    if stretches is None:
        return
    old, new = _cut(series, stretches)
    moves = float(np.ptp(old)) > _NO_SCALE * max(float(np.abs(old).max()), 1.0)
    if series.family == "data" or (not moves and series.family != "performance"):
        yield stretches, outlier(old, new)
    elif moves and series.family == "performance":
        yield stretches, sequential_mean(old, new, false_alarm_rate=rate)
    elif moves:
        yield stretches, cusum(old, new, false_alarm_rate=rate)


def _distributions(
    series: _Series, day: np.datetime64, settings: DriftSettings, rate: float
) -> Iterator[tuple[_Stretches, DriftMeasure]]:
    """Yield the distribution measures over the shorter window, or the longer one where the shorter says too little."""
    quick, slow = settings.window_sessions, settings.slow_window_sessions
    high = series.before(day, including=True)
    end = high - slow if high - slow >= settings.reference_sessions else high - quick
    if end < settings.reference_sessions:
        return
    kept = min(end, _LONGEST_HISTORY)
    time = cautious_time(series.levels[end - max(kept - kept % _HISTORY_STEP, min(kept, _HISTORY_STEP)) : end])
    stretches = _window(series, day, settings, quick)
    if quick / time < LEAST_INDEPENDENT:
        stretches = _window(series, day, settings, slow) or stretches
    if stretches is None:
        return
    for measure in distribution_measures(*_cut(series, stretches), time=time, false_alarm_rate=rate):
        yield stretches, measure


def _cut(series: _Series, stretches: _Stretches) -> tuple[FloatArray, FloatArray]:
    return series.levels[stretches.low : stretches.middle], series.levels[stretches.middle : stretches.high]


def _window(series: _Series, day: np.datetime64, settings: DriftSettings, window: int) -> _Stretches | None:
    """Return the newest values and the reference before them; None where there are fewer, or none of the day."""
    high = series.before(day, including=True)
    low = high - window - settings.reference_sessions
    if low < 0 or series.sessions[high - 1] != day:
        return None
    return _Stretches(low, high - window, high)


def _since(series: _Series, day: np.datetime64, settings: DriftSettings) -> _Stretches | None:
    """Return the values since results count as live and the reference before them; None where either is too short."""
    high = series.before(day, including=True)
    middle = series.before(_live_since(day, settings), including=False)
    low = max(middle - settings.reference_sessions, 0)
    if middle - low < MINIMUM_REFERENCE or high <= middle:
        return None
    return _Stretches(low, middle, high)


def _live_since(day: np.datetime64, settings: DriftSettings) -> np.datetime64:
    year = day.astype("datetime64[Y]").astype("datetime64[D]")
    since = settings.live_since
    return year if since is None or np.datetime64(since) > day else np.datetime64(since)


def _row(
    series: _Series, day: np.datetime64, stretches: _Stretches, measure: DriftMeasure, account: str
) -> dict[str, Any]:
    is_alarm = measure.is_drift and measure.direction in _WORSE.get(series.family, (-1, 0, 1))
    low, middle, high = stretches.low, stretches.middle, stretches.high
    row = {
        "session": day.item(),
        "account": account,
        "family": series.family,
        "series": series.name,
        "detector": measure.detector,
        "observed": measure.observed,
        "threshold": measure.threshold if math.isfinite(measure.threshold) else None,
        "is_judged": measure.is_judged,
        "is_drift": measure.is_drift,
        "is_alarm": is_alarm,
        "direction": measure.direction,
        "noticed_session": series.sessions[middle + measure.at].item(),
        "reference_first_session": series.sessions[low].item(),
        "reference_values": middle - low,
        "window_first_session": series.sessions[middle].item(),
        "window_values": high - middle,
    }
    return {**row, "detail": _detail(series, row, measure) if is_alarm else None}


def _detail(series: _Series, row: Mapping[str, Any], measure: DriftMeasure) -> str:
    moved = {1: "higher", -1: "lower", 0: "other"}[measure.direction]
    noticed: date = row["noticed_session"]
    return (
        f"{series.name} {row['session']}: {measure.detector} {measure.observed:.4g} against {measure.threshold:.4g}; "
        f"the {row['window_values']} values from {row['window_first_session']} on are {moved} than the "
        f"{row['reference_values']} before, noticed at {noticed}; {_REMEDY[series.family]}"
    )


def alarm_words(alarms: pd.DataFrame) -> Sequence[tuple[str, str]]:
    """Return family and detail of each alarm, strongest first within a family."""
    ordered = alarms.assign(excess=alarms["observed"] / alarms["threshold"]).sort_values(
        ["family", "excess"], ascending=[True, False], kind="stable"
    )
    return list(zip(ordered["family"].tolist(), ordered["detail"].tolist(), strict=True))
