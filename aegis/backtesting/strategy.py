"""Strategies as Python classes: what is called when, and how a strategy describes its orders.

Belongs here: the class that a user derives from, and the values it is handed. What it may ask and do is
:class:`aegis.backtesting.desk.Desk`; how it is driven is :mod:`aegis.backtesting.event_driven`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from numpy.typing import ArrayLike

from aegis.backtesting.bars import Bars
from aegis.errors import StrategyFailed

if TYPE_CHECKING:
    from aegis.backtesting.desk import Desk


@dataclass(frozen=True, slots=True)
class FillNotice:
    """One execution, as a strategy hears of it.

    Parameters
    ----------
    order : int
        The order that placing returned.
    symbol : str
        Permanent symbol.
    quantity_shares : float
        Bought positive, sold negative.
    price_usd : float
        Paid or received per share.
    commission_usd, fees_usd : float
        Charged for it.
    """

    order: int
    symbol: str
    quantity_shares: float
    price_usd: float
    commission_usd: float
    fees_usd: float


@dataclass(frozen=True, slots=True)
class OrderNotice:
    """An order that changed or ended, as a strategy hears of it.

    Parameters
    ----------
    order : int
        The order that placing returned.
    symbol : str
        Permanent symbol.
    state : str
        Where it stands now: a word of :class:`aegis.execution.order_states.OrderState`.
    reason : str
        Why, where it ended other than by a fill.
    quantity_shares, filled_shares : float
        Its terms as they are now.
    at_utc : datetime
        Close of the bar in or at which it changed.
    """

    order: int
    symbol: str
    state: str
    reason: str
    quantity_shares: float
    filled_shares: float
    at_utc: datetime


class Strategy:
    """A strategy in Python; derive from it and write the methods that you need.

    Notes
    -----
    Everything is called at the close of a bar, with what is known then; orders execute from the next bar on. After a
    bar in which orders changed, :meth:`on_fill` hears of each fill, then :meth:`on_order` of each changed order, then
    scheduled callbacks run, and :meth:`on_bar` last. What the strategy's own wish changes at a close, a rejection or a
    cancellation, it hears of at the close of the next bar; after the last bar there is none. An exception ends the run;
    its message gets the bar's time, and the results until then are kept.
    """

    def indicators(self, bars: Bars) -> Mapping[str, ArrayLike]:
        """Return columns to compute once, a value for each row of `bars`, read by :meth:`Desk.indicator`.

        Row i may use what is known at the close of its bar and nothing later; that it does is checked by the
        look-ahead detector, not here. Where bars come in chunks it is called for each: a mean of 20 sessions needs
        ``history_sessions=20`` to have a value at the chunk's first bar.
        """
        del bars
        return {}

    def on_start(self, desk: Desk) -> None:
        """Prepare: name indicators, schedule callbacks. No bar is known yet."""

    def on_bar(self, desk: Desk) -> None:
        """Decide at the close of every step."""

    def on_fill(self, desk: Desk, fill: FillNotice) -> None:
        """Hear of an execution."""

    def on_order(self, desk: Desk, order: OrderNotice) -> None:
        """Hear of an order that was released, triggered, replaced, reduced, or that ended."""


HOOKS: Final = ("on_start", "on_bar", "on_fill", "on_order")
"""The methods from which a strategy can decide."""


def refuse_without_hooks(strategy: Strategy) -> None:
    """Refuse a strategy that would never be called.

    Raises
    ------
    StrategyFailed
        It writes none of `HOOKS`; names what it may have meant.
    """
    kind = type(strategy)
    if any(hook in vars(strategy) or getattr(kind, hook) is not getattr(Strategy, hook) for hook in HOOKS):
        return
    meant = [
        f"{name} looks like {nearest[0]}"
        for name in dir(kind)
        if not name.startswith("_") and not hasattr(Strategy, name) and (nearest := get_close_matches(name, HOOKS, 1))
    ]
    raise StrategyFailed(
        f"{kind.__name__} has no method that is ever called{': ' if meant else ''}{', '.join(meant)}; write "
        f"one of {', '.join(HOOKS)}"
    )
