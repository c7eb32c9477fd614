"""Driving a strategy in Python, bar by bar.

Belongs here: what is called in which order, and as little as possible for a bar in which nothing happens: while no
order is open and no rule watches the account, the kernel is not called at all and catches up when it is asked. That an
order changed, the kernel says with a mark; it is looked at before the strategy's turn at each bar.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bar_times import instant
from aegis.backtesting.bars import Bars
from aegis.backtesting.desk import Desk
from aegis.backtesting.kernel.codes import Reason, State
from aegis.backtesting.kernel.records import CURSOR
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.kernel.vocabulary import REASONS, STATES
from aegis.backtesting.strategy import FillNotice, OrderNotice, Strategy, refuse_without_hooks
from aegis.backtesting.timetable import Timer
from aegis.errors import AegisError, StrategyFailed

_PLACES: Final = {name: offset // 8 for name, (_, offset) in CURSOR.fields.items()} if CURSOR.fields else {}  # type: ignore[misc]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class PythonRunner:
    """A strategy's callbacks over the bars of a simulation.

    Parameters
    ----------
    strategy : Strategy
        What is called.
    simulation : Simulation
        What it acts on; a new one, or one that another strategy has left.

    Raises
    ------
    StrategyFailed
        The strategy has no method that is ever called.
    """

    def __init__(self, strategy: Strategy, simulation: Simulation) -> None:
        refuse_without_hooks(strategy)
        self._strategy, self._simulation = strategy, simulation
        self._desk = Desk(simulation)
        self._hears = type(strategy).on_fill is not Strategy.on_fill or type(strategy).on_order is not Strategy.on_order
        self._cursor = simulation.cursor_array.view(np.int64).data
        # A strategy that takes an account over hears what becomes of its open orders, and of nothing earlier.
        self._fills_heard = len(simulation.fills)
        self._amendments_heard = len(simulation.amendments)
        self._orders_heard = len(simulation.orders)
        self._open: list[int] = np.flatnonzero(simulation.orders["closed_step"] < 0).tolist()
        self._cursor[_PLACES["notice"]] = 0
        self._seam = int(simulation.cursor["now"])
        self._started = False

    def run(self, bars: Bars) -> None:
        """Go through the bars that the simulation has been fed.

        Raises
        ------
        StrategyFailed
            The strategy raised; the message names the time of the bar.
        """
        desk, strategy, simulation = self._desk, self._strategy, self._simulation
        if not self._started:
            self._started = True
            self._call(strategy.on_start, desk)
        desk.begin_chunk(bars, self._indicators(bars))
        cursor, working, changed = self._cursor, _PLACES["working"], _PLACES["notice"]
        action, n_actions = _PLACES["action"], len(simulation.actions)
        is_margin, hears = simulation.rules.account_type == "margin", self._hears
        watched = is_margin or cursor[action] < n_actions
        due, on_bar = desk.due, strategy.on_bar
        first = cursor[_PLACES["step"]] + 1
        step = first
        try:
            for step in range(first, bars.n_steps):
                desk._at = step
                if watched or cursor[working]:
                    simulation.advance(step + 1)
                    desk.moved(step)
                    watched = is_margin or cursor[action] < n_actions
                if hears and cursor[changed]:
                    cursor[changed] = 0
                    self._tell(bars)
                if due and step in due:
                    _ring(due[step], desk)
                on_bar(desk)
        except AegisError as error:
            self._catch_up(step)
            at = instant(bars.closes_at[step])
            raise StrategyFailed(str(error) if at in str(error) else f"{at}: {error}") from error
        except Exception as error:
            self._catch_up(step)
            raise StrategyFailed(
                f"{instant(bars.closes_at[step])}: {type(strategy).__name__} raised {type(error).__name__}: {error}; "
                "the results until this bar are kept"
            ) from error
        except BaseException:  # interrupted: what came before is kept all the same
            self._catch_up(step)
            raise
        simulation.advance()
        self._seam = int(bars.closes_at[-1])

    def _indicators(self, bars: Bars) -> dict[str, NDArray[np.float64]]:
        try:
            return {name: np.asarray(values, np.float64) for name, values in self._strategy.indicators(bars).items()}
        except Exception as error:
            raise StrategyFailed(
                f"{instant(bars.closes_at[0])} to {instant(bars.closes_at[-1])}: {type(self._strategy).__name__}."
                f"indicators raised {type(error).__name__}: {error}; the results of earlier bars are kept"
            ) from error

    def _catch_up(self, step: int) -> None:
        """Bring the account to the bar at which the strategy failed; what the kernel refuses there is not the cause."""
        with contextlib.suppress(AegisError):
            self._simulation.advance(step + 1)

    def _call(self, function: Callable[[Desk], None], desk: Desk) -> None:
        try:
            function(desk)
        except AegisError as error:
            raise StrategyFailed(f"{type(self._strategy).__name__}.on_start: {error}") from error
        except Exception as error:
            raise StrategyFailed(
                f"{type(self._strategy).__name__}.on_start raised {type(error).__name__}: {error}"
            ) from error

    def _tell(self, bars: Bars) -> None:
        """Tell the strategy of fills, then of orders that changed."""
        simulation, desk, strategy = self._simulation, self._desk, self._strategy
        fills = simulation.fills
        for fill in fills[self._fills_heard :]:
            strategy.on_fill(desk, _fill_notice(fill, simulation.symbols))
        self._fills_heard = len(fills)
        for index, step in self._changed().items():
            strategy.on_order(desk, self._order_notice(index, step, bars))

    def _changed(self) -> dict[int, int]:
        """Return the orders that were amended, or that ended, since the strategy was told last, and the step of it."""
        simulation = self._simulation
        amendments, closed = simulation.amendments[self._amendments_heard :], simulation.orders["closed_step"]
        candidates = [*self._open, *range(self._orders_heard, len(closed))]
        changes = dict(zip(amendments["order"].tolist(), amendments["step"].tolist(), strict=True))
        changes |= {i: int(closed[i]) for i in candidates if closed[i] >= 0}
        self._open = [i for i in candidates if closed[i] < 0]
        self._orders_heard, self._amendments_heard = len(closed), len(simulation.amendments)
        return dict(sorted(changes.items()))

    def _order_notice(self, index: int, step: int, bars: Bars) -> OrderNotice:
        order = self._simulation.orders[index]
        reason = Reason(int(order["reason"]))
        row = step - self._cursor[_PLACES["steps_before"]]
        # What was wished at the last close of a chunk is told at the first of the next.
        nanoseconds = int(bars.closes_at[row]) if row >= 0 else self._seam
        return OrderNotice(
            index,
            self._simulation.symbols[order["symbol"]],
            str(STATES[State(int(order["state"]))]),
            "" if reason is Reason.NONE else str(REASONS[reason]),
            float(order["quantity"]),
            float(order["filled"]),
            _EPOCH + timedelta(microseconds=nanoseconds // 1000),
        )


def _ring(timers: list[Timer], desk: Desk) -> None:
    for timer in timers:
        timer(desk)


def _fill_notice(fill: np.void, symbols: tuple[str, ...]) -> FillNotice:
    return FillNotice(
        int(fill["order"]),
        symbols[fill["symbol"]],
        float(fill["quantity"]),
        float(fill["price"]),
        float(fill["commission"]),
        float(fill["fees"]),
    )
