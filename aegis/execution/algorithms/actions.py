"""What an algorithm wants done, and the port that every algorithm stands behind.

Belongs here: the vocabulary between algorithms and whoever drives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aegis.execution.algorithms.observation import MarketObservation
from aegis.execution.algorithms.parent_state import ParentState
from aegis.execution.orders import Order


@dataclass(frozen=True, slots=True)
class SubmitChild:
    """Send a child; the same one again is the same order."""

    order: Order


@dataclass(frozen=True, slots=True)
class ReplaceChild:
    """Change an open child to these terms; `revision` counts the changes asked for, from 1."""

    order: Order
    revision: int


@dataclass(frozen=True, slots=True)
class CancelChild:
    """End an open child."""

    client_order_id: str


Action = SubmitChild | ReplaceChild | CancelChild


@dataclass(frozen=True, slots=True)
class Step:
    """What an algorithm decided at one moment.

    Parameters
    ----------
    state : ParentState
        To be kept before any action is taken: after a crash in between, the state says what was wanted.
    actions : tuple of Action
        To be taken in their order.
    """

    state: ParentState
    actions: tuple[Action, ...] = ()


class ExecutionAlgorithm(Protocol):
    """A way to work a parent order: a pure function of clock, market and state.

    Notes
    -----
    It keeps nothing between calls: the same three values give the same step, in a backtest, on paper, live, and after a
    restart. It may be called at any time and as often as wanted; between calls nothing is decided.
    """

    def on_clock(self, now_utc: datetime, market: MarketObservation, *, state: ParentState) -> Step:
        """Decide what to do now.

        Parameters
        ----------
        now_utc : datetime
            The clock's instant; aware.
        market : MarketObservation
            What is known then.
        state : ParentState
            As the last step left it, with what was heard of its children since.
        """
        ...
