"""What the corporate actions of its session make of an order that was committed the evening before and not sent.

Belongs here: the terms that it goes out on. What they do to orders that are at a venue is the venue's
(:mod:`aegis.execution.brokers.followed_actions`), to positions :mod:`aegis.live_trading.booked_actions`.

Notes
-----
An order is decided after a close, in the shares and under the ticker of that session. Quantity and prices are rescaled
as those of resting orders are (:mod:`aegis.execution.order_splits`); prices are then put on the tick, never to the
order's disadvantage: a venue takes no other. A symbol that a merger or a delisting takes from the market is not traded
in that session at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from aegis.backtesting.session_market import CorporateAction
from aegis.execution.brokers.us_stock_terms import tick_usd
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_splits import order_after_split
from aegis.execution.orders import Order


@dataclass(frozen=True, slots=True)
class OpeningTerms:
    """What becomes of an order.

    Parameters
    ----------
    order : Order or None
        Its terms in its session; None where nothing of it is left to trade.
    reason : str
        What changed it, as events carry reasons; empty where nothing did.
    split_ratio : float or None
        New shares for one old share, where the shares were split.
    """

    order: Order | None
    reason: str = ""
    split_ratio: float | None = None


def terms_at_opening(order: Order, actions: Iterable[CorporateAction]) -> OpeningTerms:
    """Return what the actions of its execution session make of an order.

    Parameters
    ----------
    order : Order
        As it was committed.
    actions : iterable of CorporateAction
        Of its execution session, of all symbols.

    Raises
    ------
    ExecutionError
        A split ratio is not a positive finite number.
    """
    changed, said, ratio = order, [], None
    for action in (found for found in actions if found.symbol == order.symbol):
        if action.action in ("merger", "delisting"):
            session = order.execution_session
            told = f"{order.symbol} does not trade in session {session} ({action.action}); nothing of it is sent"
            return OpeningTerms(None, reason_text(OrderReason.DELISTED, told))
        if action.action == "split" and action.split_ratio != 1.0:
            after = order_after_split(changed, action.split_ratio)
            if after is None:
                told = f"{_split(action)}: {changed.quantity_shares:g} shares leave no whole share"
                return OpeningTerms(None, reason_text(OrderReason.SPLIT_LEAVES_NOTHING, told))
            said.append(reason_text(OrderReason.SPLIT, _told(changed, after, action)))
            changed, ratio = on_ticks(after), action.split_ratio * (ratio or 1.0)
        elif action.action == "rename" and action.new_ticker not in (None, changed.ticker):
            said.append(reason_text(OrderReason.RENAMED, f"{changed.ticker} trades as {action.new_ticker}"))
            changed = replace(changed, ticker=str(action.new_ticker))
    return OpeningTerms(changed, "; ".join(said), ratio)


def on_ticks(order: Order) -> Order:
    """Return an order with its prices on the tick, none of them better for the other side or reached earlier.

    Notes
    -----
    A limit to buy and a stop to sell are rounded down, a limit to sell and a stop to buy up; a trail in USD up.
    """
    buys = order.quantity_shares > 0
    return replace(
        order,
        limit_price_usd=_rounded(order.limit_price_usd, up=not buys),
        stop_price_usd=_rounded(order.stop_price_usd, up=buys),
        trail_usd=_rounded(order.trail_usd, up=True),
    )


def _rounded(price_usd: float | None, *, up: bool) -> float | None:
    if price_usd is None:
        return None
    exact, tick = Decimal(repr(price_usd)), tick_usd(price_usd)
    # A ratio such as 1/3 has no exact float: what differs by less than a millionth of a tick is that tick.
    nearest = (exact / tick).to_integral_value() * tick
    if abs(exact - nearest) * 1_000_000 < tick:
        return float(nearest)
    return float((exact / tick).to_integral_value(rounding=ROUND_CEILING if up else ROUND_FLOOR) * tick)


def _told(before: Order, after: Order, action: CorporateAction) -> str:
    dropped = abs(before.quantity_shares * action.split_ratio) - abs(after.quantity_shares)
    rest = "" if dropped < _NOTHING else f", and {dropped:.6g} of a share is dropped"
    return f"{_split(action)}: {before.quantity_shares:g} shares become {after.quantity_shares:g}{rest}"


def _split(action: CorporateAction) -> str:
    return f"ratio {action.split_ratio:g}"


_NOTHING = 1e-6
"""Of a share: below it a remainder is the rounding of a ratio."""
