"""A limit order that is looked after: better first, pegged to the market, chasing it within bounds, with an end.

Belongs here: the price of the one child at each moment. Orders that simply rest are the venue's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from aegis.errors import ExecutionError
from aegis.execution.algorithms.actions import Step
from aegis.execution.algorithms.child_orders import settled, with_child, with_price, without_children
from aegis.execution.algorithms.observation import MarketObservation
from aegis.execution.algorithms.parent_state import Child, NoteKind, ParentState

Reference = Literal["limit", "bid", "mid", "ask"]

_BPS = 10_000.0
_WHOLE_ORDER = 0
"""There are no intervals: all children are for the whole time."""


@dataclass(frozen=True, slots=True)
class Chase:
    """How the price goes after a market that does not come.

    Parameters
    ----------
    every : timedelta
        Time from one step to the next, counted from the first child.
    step_usd : float
        How much more is paid, or less is taken, with each step.
    most_steps : int
        After them the price stays.
    """

    every: timedelta
    step_usd: float
    most_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkedLimit:
    """Keeps one limit order at the price that its rules give.

    Parameters
    ----------
    begins_utc, expires_utc : datetime
        When it is worked; aware.
    worst_price_usd : float
        The bound that no rule passes: the most that is paid, the least that is taken.
    reference : {"limit", "bid", "mid", "ask"}
        What the price is measured from: the bound itself, or the market's best prices.
    improvement_usd : float
        How much better than the reference the price begins: lower for a purchase, higher for a sale. Negative goes
        beyond the reference.
    tick_usd : float
        Prices are multiples of it, rounded to the better side.
    chase : Chase, optional
        None to stay.
    min_rest : timedelta
        A price stays this long at least, so that the order keeps its place in the queue.
    max_quote_age : timedelta
        A pegged order without a quote this fresh is taken from the market, and the parent's record says so.

    Raises
    ------
    ExecutionError
        A number is not as described, or it would expire before it begins.
    """

    begins_utc: datetime
    expires_utc: datetime
    worst_price_usd: float
    reference: Reference = "limit"
    improvement_usd: float = 0.0
    tick_usd: float = 0.01
    chase: Chase | None = None
    min_rest: timedelta = timedelta(seconds=5)
    max_quote_age: timedelta = timedelta(seconds=60)

    def __post_init__(self) -> None:
        positive = {"worst_price_usd": self.worst_price_usd, "tick_usd": self.tick_usd}
        if self.chase is not None:
            positive |= {
                "chase.step_usd": self.chase.step_usd,
                "chase.most_steps": self.chase.most_steps,
                "chase.every in seconds": self.chase.every.total_seconds(),
            }
        for name, value in positive.items():
            if not (math.isfinite(value) and value > 0):
                raise ExecutionError(f"worked limit order: {name} {value!r} must be a finite number above 0")
        if not math.isfinite(self.improvement_usd) or self.begins_utc >= self.expires_utc:
            raise ExecutionError(
                f"worked limit order from {self.begins_utc} to {self.expires_utc}, improved by "
                f"{self.improvement_usd!r} USD: it must expire after it begins, and its improvement be finite"
            )

    def on_clock(self, now_utc: datetime, market: MarketObservation, *, state: ParentState) -> Step:
        """Decide what to do now; see :meth:`ExecutionAlgorithm.on_clock`."""
        if (ending := settled(state, now_utc=now_utc, ends_utc=self.expires_utc)) is not None:
            return ending
        if now_utc < self.begins_utc:
            return Step(state)
        price = self._price(now_utc, market, state)
        if price is None:
            noted = state.noted(
                NoteKind.STALE_DATA,
                f"no recent quote to follow the {self.reference}: the order is taken from the market until there is",
                at_utc=now_utc,
            )
            return without_children(Step(noted), now_utc=now_utc, where=lambda _: True)
        if state.open_children:
            return self._repriced(Step(state), now_utc, price)
        if state.children and now_utc - state.children[-1].sent_at_utc < self.min_rest:
            return Step(state)
        return with_child(
            Step(state),
            now_utc=now_utc,
            interval_number=_WHOLE_ORDER,
            shares=state.uncommitted_shares,
            limit_price_usd=price,
        )

    def _repriced(self, step: Step, now_utc: datetime, price: float) -> Step:
        for child in step.state.open_children:
            if child.status.order.limit_price_usd != price and self._may_move(child, now_utc):
                step = with_price(step, child, now_utc=now_utc, limit_price_usd=price)
        return step

    def _may_move(self, child: Child, now_utc: datetime) -> bool:
        """Whether a child's price may be changed: the venue has it, nothing else is asked, and it has rested."""
        is_asked = child.cancel_asked_at_utc is not None or child.status.is_replace_requested
        return child.status.is_working and not is_asked and now_utc - child.priced_at_utc >= self.min_rest

    def _price(self, now_utc: datetime, market: MarketObservation, state: ParentState) -> float | None:
        """Return the price of this moment, None where the reference is not known; exact until the last rounding."""
        reference = self._reference(now_utc, market)
        if reference is None:
            return None
        side = state.side
        better = Fraction(str(self.improvement_usd))
        if self.chase is not None and state.children:
            steps = min((now_utc - state.children[0].sent_at_utc) // self.chase.every, self.chase.most_steps)
            better -= steps * Fraction(str(self.chase.step_usd))
        price = side * min(side * (reference - side * better), side * Fraction(str(self.worst_price_usd)))
        ticks = math.floor(side * price / Fraction(str(self.tick_usd)))
        found = float(side * ticks * Fraction(str(self.tick_usd)))
        return found if found > 0 else None

    def _reference(self, now_utc: datetime, market: MarketObservation) -> Fraction | None:
        """Return what the price is measured from; decimals are taken as they are written, not as they are stored."""
        if self.reference == "limit":
            return Fraction(str(self.worst_price_usd))
        if market.bid_usd is None or market.ask_usd is None or not market.has_quote(now_utc, self.max_quote_age):
            return None
        bid, ask = Fraction(str(market.bid_usd)), Fraction(str(market.ask_usd))
        return {"bid": bid, "mid": (bid + ask) / 2, "ask": ask}[self.reference]


def collar_price(arrival_price_usd: float, quantity_shares: float, *, collar_bps: float) -> float:
    """Return the worst price that lies within a collar around the arrival price.

    Parameters
    ----------
    arrival_price_usd : float
        Price at the decision or at the release.
    quantity_shares : float
        Signed; bought positive, sold negative.
    collar_bps : float
        How far the price may go against the order, basis points of the arrival price; at least 0, below 10,000.

    Raises
    ------
    ExecutionError
        The collar is out of its bounds.
    """
    if not 0 <= collar_bps < _BPS:
        raise ExecutionError(f"a collar of {collar_bps!r} basis points; expected at least 0 and below {_BPS:g}")
    return arrival_price_usd * (1.0 + math.copysign(collar_bps / _BPS, quantity_shares))
