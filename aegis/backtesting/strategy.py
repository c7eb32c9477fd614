"""Strategies as Python classes: what is called when, and how a strategy describes its orders.

Belongs here: the class that a user derives from, and the values it is handed. What it may ask and do is
:class:`aegis.backtesting.desk.Desk`; how it is driven is :mod:`aegis.backtesting.event_driven`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from aegis.backtesting.bars import Bars

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
        Close of the bar in which it changed.
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
    scheduled callbacks run, and :meth:`on_bar` last. An exception ends the run; its message gets the bar's time, and
    the results until then are kept.
    """

    def indicators(self, bars: Bars) -> Mapping[str, ArrayLike]:
        """Return columns to compute once, a value for each row of `bars`, read by :meth:`Desk.indicator`.

        Row i may use what is known at the close of its bar and nothing later; that it does is checked by the
        look-ahead detector, not here.
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
