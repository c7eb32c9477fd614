"""Strategies as arrays: what to hold, written down before the run.

Belongs here: the three forms of such arrays and how each becomes the kernel's targets. Row i is what was decided with
what is known at the close of step i; it executes from step i + 1 on. That row i holds nothing later is the business of
whoever made the array: the look-ahead detector (:mod:`aegis.backtesting.look_ahead`) finds out. The columns of a data
frame are put in the order of the bars' symbols, and rows that are labelled with other times than the bars' are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aegis.backtesting.array_labels import columns_by_symbol, refuse_other_times
from aegis.backtesting.bars import Bars
from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.simulation import Targets
from aegis.errors import BacktestError


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetWeights:
    """Weights of equity to hold.

    Parameters
    ----------
    weights : array_like of float64, shape (n_steps, n_symbols) or (n_steps,) for one symbol
        NaN leaves a symbol as it is; a row of NaN decides nothing.
    """

    weights: ArrayLike

    def targets(self, n_steps: int, symbols: tuple[str, ...]) -> Targets:
        """Return the decisions as the kernel takes them."""
        return _deciding_rows(_matrix("weights", self.weights, n_steps, symbols), are_weights=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetShares:
    """Signed shares to hold.

    Parameters
    ----------
    shares : array_like of float64, shape (n_steps, n_symbols) or (n_steps,) for one symbol
        NaN leaves a symbol as it is; a row of NaN decides nothing.
    """

    shares: ArrayLike

    def targets(self, n_steps: int, symbols: tuple[str, ...]) -> Targets:
        """Return the decisions as the kernel takes them."""
        return _deciding_rows(_matrix("shares", self.shares, n_steps, symbols), are_weights=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Entries and exits.

    Parameters
    ----------
    entries, exits : array_like of bool, shape (n_steps, n_symbols) or (n_steps,) for one symbol
        When to take and when to leave a position; where both are true, it is left.
    weight : float
        Weight of equity of a position; negative to sell short.

    Notes
    -----
    An entry counts only when out of the market and an exit only when in it, so weights are not renewed in between.
    """

    entries: ArrayLike
    exits: ArrayLike
    weight: float = 1.0

    def targets(self, n_steps: int, symbols: tuple[str, ...]) -> Targets:
        """Return the decisions as the kernel takes them."""
        entries = _flags("entries", self.entries, n_steps, symbols)
        exits = _flags("exits", self.exits, n_steps, symbols)
        if not (np.isfinite(self.weight) and self.weight != 0):
            raise BacktestError(f"signals: weight is {self.weight!r} and must be a finite number other than 0")
        return _deciding_rows(_weights_of_signals(entries, exits, self.weight), are_weights=True)


@compiled
def _weights_of_signals(entries: NDArray[np.bool_], exits: NDArray[np.bool_], weight: float) -> Any:
    """Return the weight at each entry that counts, 0 at each exit that counts, NaN elsewhere."""
    steps, symbols = entries.shape
    weights = np.full((steps, symbols), np.nan)
    for s in range(symbols):
        holds = False
        for i in range(steps):
            if holds and exits[i, s]:
                weights[i, s] = 0.0
                holds = False
            elif not holds and entries[i, s] and not exits[i, s]:
                weights[i, s] = weight
                holds = True
    return weights


@compiled
def _decides(values: NDArray[np.float64]) -> Any:
    """Say which rows hold anything but NaN."""
    steps, symbols = values.shape
    found = np.zeros(steps, dtype=np.bool_)
    for i in range(steps):
        for s in range(symbols):
            if not np.isnan(values[i, s]):
                found[i] = True
                break
    return found


def _deciding_rows(values: NDArray[np.float64], *, are_weights: bool) -> Targets:
    steps = np.flatnonzero(_decides(values))
    return Targets(steps=steps, values=values[steps], are_weights=are_weights)


def refuse_rows_of_other_times(strategy: TargetWeights | TargetShares | Signals, bars: Bars, *, first_row: int) -> None:
    """Refuse data frames whose rows are labelled with other times than the steps of `bars`.

    Parameters
    ----------
    strategy : TargetWeights, TargetShares or Signals
        Whose arrays are looked at; those without labels are taken as they are.
    bars : Bars
        All, or a chunk.
    first_row : int
        The row of the first step of `bars`.

    Raises
    ------
    BacktestError
        With the first time that differs.
    """
    for field in fields(strategy):
        refuse_other_times(field.name, getattr(strategy, field.name), bars, first_row=first_row)


def _matrix(name: str, values: ArrayLike, n_steps: int, symbols: tuple[str, ...]) -> NDArray[np.float64]:
    matrix = np.ascontiguousarray(columns_by_symbol(name, values, symbols), dtype=np.float64)
    return _shaped(name, matrix, n_steps, len(symbols))


def _flags(name: str, values: ArrayLike, n_steps: int, symbols: tuple[str, ...]) -> NDArray[np.bool_]:
    flags = np.ascontiguousarray(columns_by_symbol(name, values, symbols))
    if flags.dtype != np.bool_:
        raise BacktestError(f"signals: {name} is an array of {flags.dtype}, expected bool; compare before you pass it")
    return _shaped(name, flags, n_steps, len(symbols))


def _shaped(name: str, values: NDArray[Any], n_steps: int, n_symbols: int) -> NDArray[Any]:
    if values.ndim == 1 and n_symbols == 1:
        values = values[:, np.newaxis]
    if values.shape != (n_steps, n_symbols):
        raise BacktestError(
            f"'{name}' has the shape {values.shape}, expected {(n_steps, n_symbols)}: a row for each step, a column "
            "for each symbol"
        )
    return values
