"""When a strategy's scheduled callbacks are due.

Belongs here: from sessions, weeks and months to the steps of the bars. Who calls is the runner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bars import Bars
from aegis.errors import StrategyFailed

Period = Literal["session", "week", "month"]
Moment = Literal["open", "close"]
Timer = Callable[[Any], None]
"""Takes the strategy's desk."""

_MONDAY_OFFSET = 3


class Timetable:
    """Callbacks and their times, over bars that come in chunks of whole sessions."""

    def __init__(self) -> None:
        self._timers: list[tuple[Timer, Period, Moment, int]] = []
        self._last_day: np.int32 | None = None

    def add(self, callback: Timer, every: Period, at: Moment, bars: int) -> None:
        """Have `callback` called at the close of a session's first or last bar, `bars` later or earlier.

        Raises
        ------
        StrategyFailed
            A word that is not known, a negative number of bars, or the bars have begun.
        """
        for name, word, known in (("every", every, get_args(Period)), ("at", at, get_args(Moment))):
            if word not in known:
                raise StrategyFailed(f"schedule: {name} is {word!r} and must be one of {', '.join(known)}")
        if not callable(callback) or isinstance(bars, bool) or not isinstance(bars, int) or bars < 0:
            raise StrategyFailed(
                f"schedule: bars is {bars!r}, the callback {callback!r}; give 0 or more bars and a function of the desk"
            )
        if self._last_day is not None:
            raise StrategyFailed("schedule: the bars have begun, and callbacks are due by them; schedule in on_start")
        self._timers.append((callback, every, at, bars))

    def due(self, bars: Bars) -> dict[int, list[Timer]]:
        """Return the callbacks at each step of the next chunk; a callback falls away where its session is too short."""
        starts, days = bars.sessions["first_step"], bars.sessions["day"][:-1]
        due: dict[int, list[Timer]] = {}
        for callback, every, at, offset in self._timers:
            for k in np.flatnonzero(self._begins(days, every)).tolist():
                step = int(starts[k]) + offset if at == "open" else int(starts[k + 1]) - 1 - offset
                if starts[k] <= step < starts[k + 1]:
                    due.setdefault(step, []).append(callback)
        self._last_day = days[-1]
        return due

    def _begins(self, days: NDArray[np.int32], every: Period) -> NDArray[np.bool_]:
        """Return which sessions are the first of their period, also where it began in the chunk before."""
        begins = np.ones(len(days), dtype=np.bool_)
        if every == "session":
            return begins
        period = _period(days, every)
        begins[1:] = period[1:] != period[:-1]
        if self._last_day is not None:
            begins[0] = period[0] != _period(np.array([self._last_day]), every)[0]
        return begins


def _period(days: NDArray[np.int32], every: Period) -> NDArray[np.int64]:
    if every == "week":
        return (days.astype(np.int64) + _MONDAY_OFFSET) // 7
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
