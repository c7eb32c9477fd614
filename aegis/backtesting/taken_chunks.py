"""What a simulation leaves behind, chunk by chunk.

Belongs here: the columns of a chunk that is over, kept before the next one takes its place, and chunks put together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bars import Bars
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.session_marks import session_closes


class TakenChunk:
    """What the simulation recorded in one chunk.

    Parameters
    ----------
    bars : Bars
        The chunk, with its history.
    first : int
        Its first step that is not history.
    first_session : int
        The session of that step.
    simulation : Simulation
        Which was fed with it.
    """

    def __init__(self, bars: Bars, first: int, first_session: int, simulation: Simulation) -> None:
        self.first, self._first_session = first, first_session
        self.price_mode = bars.price_mode
        self._bars, self._simulation = bars, simulation
        self.n_steps = 0

    def close(self) -> None:
        """Keep what was recorded, before the next chunk takes its place."""
        equity, cash = self._simulation.equity, self._simulation.cash
        self.equity, self.cash = equity[self.first :], cash[self.first :]
        self.n_steps = len(self.equity)
        self.closes_at = self._bars.closes_at[self.first : self.first + self.n_steps]
        self.sessions = self._bars.sessions[self._first_session :]
        if self.first > 0:
            self.sessions = self.sessions.copy()
            self.sessions["first_step"] -= self.first
        self._closes: NDArray[np.float64] | None = None

    def release(self) -> None:
        """Keep the sessions' closes only, not the bars."""
        self._closes = self.session_closes()
        self._bars = None  # type: ignore[assignment]

    def session_closes(self) -> NDArray[np.float64]:
        """Return the last close of each symbol in each session."""
        if self._closes is not None:
            return self._closes
        bars = self._bars
        return session_closes(
            bars.close,
            session_first_steps=bars.sessions["first_step"],
            n_symbols=len(bars.symbols),
            row_symbol=bars.row_symbol,
            first_row=bars.first_row,
        )[self._first_session :]


def joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Return columns of consecutive chunks as one; of one chunk the column itself."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def joined_sessions(taken: list[TakenChunk]) -> NDArray[Any]:
    """Return the session tables of the chunks as one."""
    if len(taken) == 1:
        return taken[0].sessions
    parts, steps = [], 0
    for i, chunk in enumerate(taken):
        table = chunk.sessions if i == len(taken) - 1 else chunk.sessions[:-1]
        table = table.copy()
        table["first_step"] += steps
        steps += chunk.n_steps
        parts.append(table)
    return np.concatenate(parts)
