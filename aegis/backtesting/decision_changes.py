"""The decisions of a simulation, and the first in which two of them differ.

Belongs here: what counts as a decision, and how a change is told. Which simulations are compared is
:mod:`aegis.backtesting.look_ahead`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bars import Bars
from aegis.backtesting.kernel.codes import Amendment, Reason
from aegis.backtesting.kernel.simulation import Simulation

Rerun = Literal["bars that end there", "bars that are garbled after it"]

_TOLERANCE: Final = 1e-9
_REPLACED, _CANCELLED = 1, 2
_WORDS: Final = ("order", "change of an order", "cancel")

DECISION: Final = np.dtype(
    [
        ("step", "i8"),
        ("what", "i8"),
        ("symbol", "i8"),
        ("type", "i8"),
        ("quantity", "f8"),
        ("limit", "f8"),
        ("stop", "f8"),
        ("trail", "f8"),
    ]
)
"""One decision, in the order in which they were made: an order, its change or its cancel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAhead:
    """The first decision that depends on what came after it.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    decided_at : datetime64[ns]
        Close of the bar at which it was decided, UTC.
    known_until : datetime64[ns]
        Close of the last bar that both runs had in common, UTC.
    rerun : str
        What the other run was given.
    quantity_shares, quantity_in_rerun_shares : float
        What was decided in the run on all bars, and in the other; NaN for nothing.
    decision : str
        What kind of decision it is.
    """

    symbol: str
    decided_at: np.datetime64
    known_until: np.datetime64
    rerun: Rerun
    quantity_shares: float
    quantity_in_rerun_shares: float
    decision: str

    def __str__(self) -> str:
        """Say what was found, and what to do."""
        return (
            f"{self.symbol} {_seconds(self.decided_at)}Z: the {self.decision} of {_shares(self.quantity_shares)} is "
            f"{_shares(self.quantity_in_rerun_shares)} when the strategy is given {self.rerun}, at "
            f"{_seconds(self.known_until)}Z; it uses what is not known yet. Look for a negative shift, a centred "
            "window, a mean or a scale of the whole sample, a fill backwards, or a value of the bar that executes it"
        )


def decisions_so_far(simulation: Simulation) -> NDArray[np.void]:
    """Return the decisions of a simulation so far, by step: orders as they stand, then what became of them by hand."""
    orders, amendments = simulation.orders, simulation.amendments
    changed = amendments[amendments["kind"] == Amendment.REPLACED]
    cancelled = orders[orders["reason"] == Reason.BY_STRATEGY]
    placed: NDArray[Any] = np.zeros(len(orders), dtype=DECISION)
    placed["step"], placed["symbol"], placed["type"] = orders["submitted_step"], orders["symbol"], orders["type"]
    for name in ("quantity", "limit", "stop", "trail"):
        placed[name] = orders[name]
    moves = orders["trail"] > 0.0
    placed["stop"][moves] = np.nan  # the market moves it
    replaced: NDArray[Any] = np.zeros(len(changed), dtype=DECISION)
    replaced["what"] = _REPLACED
    replaced["symbol"], replaced["type"] = orders["symbol"][changed["order"]], orders["type"][changed["order"]]
    for name in ("step", "quantity", "limit", "stop"):
        replaced[name] = changed[name]
    ended: NDArray[Any] = np.zeros(len(cancelled), dtype=DECISION)
    ended["what"] = _CANCELLED
    ended["step"], ended["quantity"] = cancelled["closed_step"], cancelled["quantity"] - cancelled["filled"]
    ended["symbol"], ended["type"] = cancelled["symbol"], cancelled["type"]
    made = np.concatenate([placed, replaced, ended])
    return made[np.argsort(made["step"], kind="stable")]


def first_change(
    known: NDArray[np.void], again: NDArray[np.void], bars: Bars, step: int, rerun: Rerun
) -> LookAhead | None:
    """Return the first decision in which two runs differ."""
    both = min(len(known), len(again))
    differs = np.zeros(max(len(known), len(again)), dtype=bool)
    differs[both:] = True
    for name in ("step", "what", "symbol", "type"):
        differs[:both] |= known[name][:both] != again[name][:both]
    for name in ("quantity", "limit", "stop", "trail"):
        same = np.isclose(known[name][:both], again[name][:both], rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
        differs[:both] |= ~same
    if not differs.any():
        return None
    k = int(np.argmax(differs))
    one, other = (run[k] if k < len(run) else None for run in (known, again))
    first = min((d for d in (one, other) if d is not None), key=lambda d: (d["step"], d["symbol"]))
    return LookAhead(
        symbol=bars.symbols[first["symbol"]],
        decided_at=np.datetime64(int(bars.closes_at[first["step"]]), "ns"),
        known_until=np.datetime64(int(bars.closes_at[step]), "ns"),
        rerun=rerun,
        quantity_shares=_quantity(one, first),
        quantity_in_rerun_shares=_quantity(other, first),
        decision=_WORDS[first["what"]],
    )


def _quantity(decision: Any, first: Any) -> float:
    """Return the shares of a decision, NaN if it is another one than the first that differs."""
    if decision is None or (decision["step"], decision["symbol"]) != (first["step"], first["symbol"]):
        return float("nan")
    return float(decision["quantity"])


def _seconds(instant: np.datetime64) -> str:
    return str(instant.astype("datetime64[s]"))


def _shares(quantity: float) -> str:
    return "nothing" if np.isnan(quantity) else f"{quantity:+,.6g} shares"
