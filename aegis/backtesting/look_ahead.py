"""The look-ahead detector: a decision must not change when what comes after it changes.

Belongs here: reruns on bars that end at an instant and on bars that are garbled after it, and the first decision in
which a rerun differs from the run on all bars. A difference proves a leak. Finding none proves little, the more
instants the more; decisions that a leak would have left as they were do not show it.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.array_strategies import Signals, TargetShares, TargetWeights
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.decision_changes import LookAhead, Rerun, decisions_so_far, first_change
from aegis.backtesting.desk import Desk
from aegis.backtesting.event_driven import AnyStrategy, EventDrivenBacktest
from aegis.backtesting.jitted import JittedStrategy
from aegis.backtesting.strategy import Strategy
from aegis.errors import BacktestError

Subject = JittedStrategy | Strategy | Callable[..., AnyStrategy]
"""What can be examined: a strategy that is run anew, a class of strategies, or a function of bars that makes one."""

_LEAST_STEPS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What a detector saw.

    Parameters
    ----------
    found : LookAhead, optional
        The first change; None if there was none.
    instants : int
        How many instants were looked at; it ends with the first change.
    decisions : int
        How many decisions the run on all bars made until the last instant.
    """

    found: LookAhead | None
    instants: int
    decisions: int


def examine(subject: Subject, bars: Bars, config: BacktestConfig, *, instants: int = 60, seed: int = 0) -> Examination:
    """Look for a decision that changes with the future.

    Parameters
    ----------
    subject : JittedStrategy, Strategy, class or function
        A function gets bars and returns the strategy for them; a class is instantiated and an instance copied for each
        run, so that nothing is carried from one to the next.
    bars : Bars
        Dense. The first tenth is left out of the search, so that a strategy can warm up.
    config : BacktestConfig
        Of the simulation; the kernel runs it, whichever engine it names.
    instants : int
        At how many closes to try: a third each at ends of months, at closes with decisions, and anywhere.
    seed : int
        Of the choice of instants, and of the garbling.

    Raises
    ------
    BacktestError
        There are too few bars, no decision to look at, or an array that was made before: it cannot be made again from
        other bars.
    StrategyFailed
        The strategy went wrong in one of the runs.
    """
    make = _maker(subject)
    if not bars.is_dense or bars.n_steps < _LEAST_STEPS:
        raise BacktestError(
            f"look-ahead: {bars.n_steps} steps, dense: {bars.is_dense}; give {_LEAST_STEPS} or more steps of dense bars"
        )
    if instants < 1:
        raise BacktestError(f"look-ahead: {instants} instants; look at one at least")
    config = replace(config, sessions_per_chunk=None)
    random = np.random.default_rng(seed)
    everything = _decisions_until(make, bars, config, [bars.n_steps - 1])[0]
    if len(everything) == 0:
        raise BacktestError("look-ahead: the strategy decided nothing on these bars; give bars on which it trades")
    chosen = _instants(bars, everything["step"], instants, random)
    expected = _decisions_until(make, bars, config, chosen)
    for looked_at, (step, known) in enumerate(zip(chosen, expected, strict=True), start=1):
        for rerun, other in _reruns(bars, step, random):
            again = _decisions_until(make, other, _known_by(config, bars, step), [step])[0]
            found = first_change(known, again, bars, step, rerun)
            if found is not None:
                return Examination(found=found, instants=looked_at, decisions=len(known))
    return Examination(found=None, instants=len(chosen), decisions=len(expected[-1]))


def _reruns(bars: Bars, step: int, random: np.random.Generator) -> list[tuple[Rerun, Bars]]:
    """Return other bars that are the same until a step.

    Bars end with sessions: that a session ends at 16:00 is known in advance, and no leak.
    """
    reruns: list[tuple[Rerun, Bars]] = []
    if step < bars.n_steps - 1:
        reruns.append(("bars that are garbled after it", garbled(bars, step, random)))
    ends = bars.sessions["first_step"][1:] - 1
    if step in ends[:-1]:
        reruns.insert(0, ("bars that end there", bars.part(0, int(np.searchsorted(ends, step)) + 1)))
    return reruns


def _known_by(config: BacktestConfig, bars: Bars, step: int) -> BacktestConfig:
    """Return the settings without the corporate events of later sessions."""
    session = int(np.searchsorted(bars.sessions["first_step"], step, side="right")) - 1
    day = bars.session_days[session]
    return replace(config, events=[event for event in config.events if np.datetime64(event.ex_date) <= day])


def garbled(bars: Bars, step: int, random: np.random.Generator) -> Bars:
    """Return bars in which every price and volume after a step is another; missing bars stay missing.

    Notes
    -----
    Levels are multiplied by a factor of their own, around another level for each symbol, and ranges are widened, so
    that comparisons turn out differently in both directions.
    """
    n = len(bars.symbols)
    first = (step + 1) * n
    rows = bars.n_rows - first
    level = np.tile(np.exp(random.normal(0.0, 0.7, n)), rows // n) * np.exp(random.normal(0.0, 0.2, rows))
    mixed = np.sort(np.exp(random.normal(0.0, 0.1, (4, rows))) * level * bars.close[first:], axis=0)
    up = random.uniform(size=rows) < 0.5  # noqa: PLR2004 - a coin
    columns: dict[str, Any] = {
        "open": np.where(up, mixed[1], mixed[2]),
        "high": mixed[3],
        "low": mixed[0],
        "close": np.where(up, mixed[2], mixed[1]),
        "volume": bars.volume[first:] * np.exp(random.normal(0.0, 1.0, rows)),
    }
    columns = {name: np.concatenate([getattr(bars, name)[:first], new]) for name, new in columns.items()}
    return replace(bars, **columns)


def _instants(bars: Bars, decided: NDArray[np.int64], wanted: int, random: np.random.Generator) -> list[int]:
    """Return the steps to look at, ascending."""
    first, last = bars.n_steps // 10, bars.n_steps - 1
    months = bars.session_days.astype("datetime64[M]")
    ends = bars.sessions["first_step"][1:] - 1
    month_ends = ends[:-1][months[1:] != months[:-1]]
    chosen: set[int] = set()
    for share, candidates in ((3, month_ends), (2, np.unique(decided)), (1, np.arange(first, last))):
        fresh = np.setdiff1d(candidates[(candidates >= first) & (candidates < last)], list(chosen))
        count = min((wanted - len(chosen)) // share, len(fresh))
        chosen |= set(random.choice(fresh, count, replace=False).tolist())
    return sorted(chosen)


def _decisions_until(
    make: Callable[[Bars], AnyStrategy], bars: Bars, config: BacktestConfig, stops: Sequence[int]
) -> list[NDArray[np.void]]:
    """Return what had been decided by the closes of some steps, in ascending order."""
    run = _Stopping(make(bars), bars, config, stops)
    with contextlib.suppress(_Reached):
        run.run()
    return run.decided


class _Reached(BaseException):
    """The last step asked for was reached; passes through what catches a strategy's errors."""


class _Stopping(EventDrivenBacktest):
    """A backtest that notes its decisions at some steps and ends with the last of them."""

    def __init__(self, strategy: AnyStrategy, bars: Bars, config: BacktestConfig, stops: Sequence[int]) -> None:
        super().__init__(strategy, bars, config)
        self._stops = stops
        self.decided: list[NDArray[np.void]] = []

    def _advance(self, bars: Bars) -> None:
        strategy = self._strategy
        if isinstance(strategy, Strategy):
            self._watch(strategy)
            super()._advance(bars)
            return
        jitted = {"on_bar": strategy.on_bar} if isinstance(strategy, JittedStrategy) else {}
        for stop in self._stops:
            self.simulation.advance(stop + 1, **jitted)
            self.decided.append(decisions_so_far(self.simulation))
        raise _Reached

    def _watch(self, strategy: Strategy) -> None:
        """Let the strategy's copy tell when it has decided at a step."""
        on_bar, stops = strategy.on_bar, set(self._stops)

        def watched(desk: Desk) -> None:
            on_bar(desk)
            if desk.step in stops:
                self.decided.append(decisions_so_far(self.simulation))
                if desk.step == self._stops[-1]:
                    raise _Reached

        strategy.on_bar = watched  # type: ignore[method-assign] # whether it hears of fills is asked of its class


def _maker(subject: Subject) -> Callable[[Bars], AnyStrategy]:
    """Return what makes the strategy anew for some bars."""
    if isinstance(subject, TargetWeights | TargetShares | Signals):
        raise BacktestError(
            f"look-ahead: {type(subject).__name__} was made before and cannot be made again from other bars; pass the "
            "function of bars that makes it"
        )
    if isinstance(subject, JittedStrategy):
        return lambda _bars: subject
    if isinstance(subject, Strategy):
        return lambda _bars: copy.deepcopy(subject)
    if isinstance(subject, type) and issubclass(subject, Strategy):
        return lambda _bars: subject()
    if callable(subject):
        return cast("Callable[[Bars], AnyStrategy]", subject)
    raise BacktestError(f"look-ahead: {type(subject).__name__} is no strategy, no class of them, and no function")
