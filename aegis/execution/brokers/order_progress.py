"""What open orders carry from one session to the next beyond their statuses.

Belongs here: how a session moves it, read from the kernel where the session was traded, from the recorded events where
it is booked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from aegis.backtesting.session_market import SessionMarket
from aegis.execution.account_state import OrderProgress
from aegis.execution.brokers.kernel_account import KernelAccount
from aegis.execution.brokers.kernel_orders import LoadedOrders
from aegis.execution.order_states import CHANGES, OrderState, OrderStatus
from aegis.execution.orders import OrderEvent, OrderEventKind


def traded_progress(
    kernel: KernelAccount,
    orders: LoadedOrders,
    changes: Mapping[str, int],
    statuses: Mapping[str, OrderStatus],
    before: Sequence[OrderProgress],
    *,
    session: date,
) -> tuple[OrderProgress, ...]:
    """Return the progress of the open orders after a session in the kernel.

    Parameters
    ----------
    kernel, orders : KernelAccount, LoadedOrders
        The session and the orders that took part in it.
    changes : mapping of str to int
        Changes told of each of them so far.
    statuses : mapping of str to OrderStatus
        Where all orders stand.
    before : sequence of OrderProgress
        Before the session.
    session : date
        The session.
    """
    found = {item.client_order_id: item for item in before}
    was_held = {status.order.client_order_id: status.state is OrderState.HELD for status in orders.statuses}
    for name, index in orders.index_of.items():
        order, progress = statuses[name].order, orders.progress[name]
        is_released = was_held[name] and statuses[name].state is not OrderState.HELD
        watermark, commission, split_away = kernel.order_progress(index)
        found[name] = OrderProgress(
            name,
            watermark_usd=watermark if order.order_type == "trailing_stop" else None,
            commission_usd=commission,
            split_away_shares=split_away,
            changes=changes[name],
            ticker=kernel.new_ticker(order.symbol) or progress.ticker,
            released=session if is_released else progress.released,
        )
    return _of_open_orders(found, statuses)


def recorded_progress(
    events: Sequence[OrderEvent],
    *,
    market: SessionMarket,
    statuses: Mapping[str, OrderStatus],
    before: Sequence[OrderProgress],
    split_away: Mapping[str, float],
) -> tuple[OrderProgress, ...]:
    """Return the progress of the open orders after a session that was booked from its events.

    `split_away` is, by client order id, what the session's splits took of the fills before it, shares.

    Notes
    -----
    The best price of a trailing stop stays as it was, in today's shares: it is no event, and the session's bar may not
    be the one that was traded.
    """
    found = {item.client_order_id: item for item in before}
    for name, item in found.items():
        if item.watermark_usd is not None and name in statuses:
            ratio = market.split_ratio(statuses[name].order.symbol)
            found[name] = replace(item, watermark_usd=item.watermark_usd / ratio)
    for name, shares in split_away.items():
        item = found.get(name) or OrderProgress(name)
        found[name] = replace(item, split_away_shares=item.split_away_shares + shares)
    for event in events:
        item = found.get(event.client_order_id) or OrderProgress(event.client_order_id)
        charged = 0.0 if event.fill is None else event.fill.commission_usd
        found[event.client_order_id] = replace(
            item,
            commission_usd=item.commission_usd + charged,
            changes=item.changes + (event.kind in CHANGES),
            released=item.released or (event.session if event.kind is OrderEventKind.RELEASED else None),
        )
    for name, item in found.items():
        if name in statuses and (ticker := market.new_ticker(statuses[name].order.symbol)):
            found[name] = replace(item, ticker=ticker)
    return _of_open_orders(found, statuses)


def _of_open_orders(
    found: Mapping[str, OrderProgress], statuses: Mapping[str, OrderStatus]
) -> tuple[OrderProgress, ...]:
    """Return what is worth carrying, sorted by client order id."""
    return tuple(
        found[name]
        for name in sorted(found)
        if name in statuses and not statuses[name].is_final and found[name] != OrderProgress(name)
    )
