"""Signals of fused sweeps: a compiled rule that says at each close what to hold.

Belongs here: what such a signal is, the check that it sees no later close, and the built-in ones. How columns of a
sweep are simulated is :mod:`aegis.backtesting.sweep_columns`. A signal sees the closes of one symbol, a few numbers
that it keeps from bar to bar (`state`, zero at first) and one row of parameters::

    @sweep_signal(parameters=("window", "target"))
    def momentum(close, i, state, parameters):
        window = int(parameters[0])
        if i < window:
            return np.nan
        return parameters[1] if close[i] > close[i - window] else 0.0
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock
from types import FunctionType
from typing import Any, Final, Literal

import numpy as np
from numba import extending, types
from numpy.typing import NDArray

from aegis.backtesting.array_strategies import TargetShares, TargetWeights
from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.memory import store_f8
from aegis.errors import BacktestError, StrategyFailed

Floats = NDArray[np.float64]
SignalFunction = Callable[[Floats, int, Floats, Floats], float]

LOOK_AHEAD_INSTANTS: Final = 50
LOOK_AHEAD_BARS: Final = 5_000
"""The check garbles what follows so many closes, among the first so many bars: a leak shows there or nowhere."""

REANCHOR_BARS: Final = 1_024
"""Running sums are added up anew every so many bars, so that rounding cannot grow with the length of the history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSignal:
    """A compiled signal.

    Parameters
    ----------
    name : str
        The function's.
    parameters : tuple of str
        Names of the numbers in its row of parameters, in order.
    state_size : int
        Numbers that it keeps from bar to bar.
    targets : {"weights", "shares"}
        What it returns: a weight of equity, or signed shares. NaN decides nothing.
    function : callable
        As it was written; sweeps compile it into their loop.
    compiled_function : compiled function
        The same, compiled.
    """

    name: str
    parameters: tuple[str, ...]
    state_size: int
    targets: Literal["weights", "shares"]
    function: SignalFunction
    compiled_function: Any

    def in_shares(self) -> SweepSignal:
        """Return the same signal, its numbers meant as shares; nothing is compiled again."""
        return replace(self, targets="shares")

    def decisions(self, close: Floats, parameters: Floats) -> Floats:
        """Return what the signal says at each close.

        Parameters
        ----------
        close : ndarray of float64, shape (n,)
            USD.
        parameters : ndarray of float64, shape (parameters,)

        Returns
        -------
        ndarray of float64, shape (n,)
            NaN where it decides nothing.

        Raises
        ------
        StrategyFailed
            The signal raised; the message has the position of the bar.
        """
        return self._decisions(padded(close, np.nan), parameters)

    def _decisions(self, history: Floats, parameters: Floats) -> Floats:
        """Return the decisions on closes with padding before and after."""
        close = history[len(history) // 3 : len(history) // 3 * 2]
        wanted = np.full(len(close), np.inf)
        row, state = np.ascontiguousarray(parameters, dtype=np.float64), np.zeros(self.state_size)
        loop = specialised(_decide_all, self.function, self.compiled_function)
        try:
            loop(close.ctypes.data, row.ctypes.data, state.ctypes.data, wanted.ctypes.data, len(close))
        except Exception as raised:
            step = int(np.argmax(np.isinf(wanted)))
            raise StrategyFailed(
                f"signal {self.name}, parameters {self.described(parameters)}, bar {step} of {len(close)}: raised "
                f"{type(raised).__name__}: {raised}"
            ) from raised
        return wanted

    def strategy(self, close: Floats, parameters: Floats) -> TargetWeights | TargetShares:
        """Return one row of parameters as a strategy for any engine: it decides the same at the same closes."""
        wanted = self.decisions(close, parameters)
        return TargetWeights(weights=wanted) if self.targets == "weights" else TargetShares(shares=wanted)

    def described(self, parameters: Floats) -> str:
        """Return parameters in words."""
        return ", ".join(f"{name}={value:g}" for name, value in zip(self.parameters, parameters, strict=True))

    def refuse_look_ahead(self, close: Floats, parameters: Floats) -> None:
        """Refuse a signal that decides otherwise where later closes are other ones.

        Raises
        ------
        BacktestError
            With the first bar whose decision changed.

        Notes
        -----
        Closes before the first bar are garbled too: ``close[i - window]`` reads them if a signal does not wait.
        """
        known = close[:LOOK_AHEAD_BARS]
        bars = len(known)
        wanted = self.decisions(known, parameters)
        garbled = padded(known, 1e6)
        garbled[:bars:2] = garbled[2 * bars :: 2] = 1e-6
        # The factors change any sum and any order of closes.
        other = known * (np.where(np.arange(bars) % 2, 3.0, 0.25) + np.arange(bars) / 1e4)
        ends = np.unique(np.linspace(0, bars - 1, LOOK_AHEAD_INSTANTS).astype(np.int64))
        for end in ends[::-1]:
            garbled[bars + end + 1 : 2 * bars] = other[end + 1 :]
            again = self._decisions(garbled, parameters)[: end + 1]
            differs = ~((again == wanted[: end + 1]) | (np.isnan(again) & np.isnan(wanted[: end + 1])))
            if differs.any():
                step = int(np.argmax(differs))
                raise BacktestError(
                    f"signal {self.name}, parameters {self.described(parameters)}: the decision at bar {step} is "
                    f"{wanted[step]} and becomes {again[step]} when closes before the first bar and after bar {end} "
                    "change; it may read close[0] to close[i] only, and close[i - n] from bar n on"
                )


def sweep_signal(
    *, parameters: tuple[str, ...], state_size: int = 0, targets: Literal["weights", "shares"] = "weights"
) -> Callable[[SignalFunction], SweepSignal]:
    """Compile a function ``(close, i, state, parameters) -> target`` as a signal.

    Its arguments are read by position, ``close[i - 1]``; compiled, they have no length and take no slices.

    Parameters
    ----------
    parameters : tuple of str
        Names of its numbers, in order.
    state_size : int
        Numbers that it keeps from bar to bar; each column begins with zeros.
    targets : {"weights", "shares"}
        What it returns; NaN leaves the position as it is.

    Raises
    ------
    BacktestError
        It is no plain function.
    """

    def decorate(function: SignalFunction) -> SweepSignal:
        if not isinstance(function, FunctionType) or function.__code__.co_freevars:
            raise BacktestError(
                f"{function!r} cannot be a signal: give a function defined at the top of a module, which takes what it "
                "needs from its parameters"
            )
        native = compiled(function)
        native.targetoptions["inline"] = "always"
        return SweepSignal(
            name=function.__name__,
            parameters=tuple(parameters),
            state_size=state_size,
            targets=targets,
            function=function,
            compiled_function=native,
        )

    return decorate


@compiled
def sum_of_last(close: Floats, i: int, window: int) -> float:
    """Return the sum of the last `window` closes up to `i`, or of all where there are fewer; oldest first."""
    total = 0.0
    for k in range(max(i - window + 1, 0), i + 1):
        total += close[k]
    return total


_COMPILING = Lock()


def _floats_at() -> Any:
    """Return an intrinsic ``address -> numbers``: what is read by position, and nothing else.

    An array would bring its shape and a reference count along, which cost a signal ten times its own arithmetic.
    """
    numbers = types.CPointer(types.float64)

    @_intrinsic
    def floats_at(_context: Any, _address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return numbers(types.int64), generate

    return floats_at


_intrinsic: Callable[..., Any] = extending.intrinsic
floats_at = _floats_at()


def padded(close: Floats, value: float) -> Floats:
    """Return closes with as many others before and after, so that a wrong position reads what is known to be wrong."""
    history = np.full(3 * len(close), value)
    history[len(close) : 2 * len(close)] = close
    return history


def specialised(loop: Any, function: Any, compiled_function: Any) -> Any:
    """Compile a loop for one signal: the global name ``signal`` in it stands for `compiled_function`.

    Notes
    -----
    A signal that is called by its address costs more than all the rest of a bar; inside the loop it costs what its own
    arithmetic costs. The machine code is kept beside the signal's file and is stale when that file changes, which is
    why the loop gets the signal's file and name. A closure would not do: numba would never find its code again.

    The loop gives up Python's lock, so that threads run it side by side. numba's own ``prange`` was not taken: of its
    threading layers one ends the process when two threads use it at once, another when the process forks later.
    """
    with _COMPILING:
        return _specialised(loop, function, compiled_function)


@cache
def _specialised(loop: Any, function: Any, compiled_function: Any) -> Any:
    name = f"{function.__name__}_{loop.__name__.lstrip('_')}"
    own = function.__code__
    code = loop.__code__.replace(
        co_filename=own.co_filename, co_firstlineno=own.co_firstlineno, co_name=name, co_qualname=name
    )
    clone = FunctionType(code, {**loop.__globals__, "signal": compiled_function}, name)
    clone.__module__, clone.__qualname__ = function.__module__, name
    native = compiled(clone)
    native.targetoptions["nogil"] = True
    return native


def signal(_close: Floats, _i: int, _state: Floats, _parameters: Floats) -> float:
    """Stand for the signal in the loops that are specialised for one."""
    raise NotImplementedError


def _decide_all(close: int, parameters: int, state: int, wanted: int, n: int) -> None:
    """Write the decision at each close; all but `n` are addresses of numbers."""
    closes, row, kept = floats_at(close), floats_at(parameters), floats_at(state)
    for i in range(n):
        store_f8(wanted, i, signal(closes, i, kept, row))


@sweep_signal(parameters=("fast", "slow", "target"), state_size=3)
def moving_average_cross(close: Floats, i: int, state: Floats, parameters: Floats) -> float:
    """Hold `target` from where the average of `fast` closes rises above that of `slow` closes, else nothing.

    Notes
    -----
    It decides where the side changes, from bar ``slow - 1`` on. Averages are running sums, ``(sum + new) - old``, added
    up anew every :data:`REANCHOR_BARS` bars; on prices that are multiples of a power of two they are exact.
    """
    fast, slow = int(parameters[0]), int(parameters[1])
    if i % REANCHOR_BARS == 0:
        if fast < 1 or slow < 1:
            raise ValueError("windows are one bar or more")
        fast_sum = sum_of_last(close, i, fast)
        slow_sum = sum_of_last(close, i, slow)
    else:
        fast_sum = state[0] + close[i]
        slow_sum = state[1] + close[i]
        if i >= fast:
            fast_sum -= close[i - fast]
        if i >= slow:
            slow_sum -= close[i - slow]
    state[0] = fast_sum
    state[1] = slow_sum
    holds = i >= slow - 1 and fast_sum / fast > slow_sum / slow
    if holds == (state[2] != 0.0):
        return np.nan
    state[2] = 1.0 if holds else 0.0
    return parameters[2] if holds else 0.0
