"""What the kernel did to the orders of a session, in the events of orders.

Belongs here: reading fills, amendments and ends out of the kernel's records, in the order in which they are told. What
they mean for an order is :mod:`aegis.execution.order_states`.

Notes
-----
Orders that filled are told in the order of their fills, so that whoever books the fills again books them as they were
executed. Orders of a family that did not fill follow its last fill, from which their changes follow; the rest comes
last, by family. Of one order its changes are told before its fill and its end last; an order has at most one fill in
a bar.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from aegis.backtesting.kernel import codes
from aegis.backtesting.kernel.vocabulary import (
    AMENDMENT_EVENTS,
    AMENDMENT_REASONS,
    END_EVENTS,
    REASONS,
)
from aegis.backtesting.session_market import SessionMarket
from aegis.errors import ExecutionError
from aegis.execution.brokers.kernel_account import KernelAccount
from aegis.execution.brokers.kernel_orders import TOMBSTONE, LoadedOrders
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_splits import order_after_split
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind

_OPEN_PASSES: Final = frozenset({codes.Pass.OPEN_SELL, codes.Pass.OPEN_BUY})
_AT_THE_OPEN: Final = frozenset({codes.Reason.NOT_IMMEDIATE, codes.Reason.NOT_WHOLE, codes.Reason.SPLIT_LEAVES_NOTHING})
_WORKED_ORDERS: Final = frozenset({"market", "market_on_open", "market_on_close"})
"""Types that take any price: only volume and cash can leave them unfilled."""

NO_VOLUME: Final = reason_text(OrderReason.NO_VOLUME, "halted, or no trusted bar")
VOLUME_CAP: Final = reason_text(OrderReason.PARTICIPATION_CAP, "the bar's volume was not enough")
BUYING_POWER: Final = reason_text(OrderReason.BUYING_POWER, "cash after the session's sales does not cover it")


class SessionTeller:
    """Tells what happened to a session's orders since it was asked last.

    Parameters
    ----------
    account : KernelAccount
        The session in the kernel.
    orders : LoadedOrders
        Its orders.
    market : SessionMarket
        Its bars, hours and actions.
    """

    def __init__(self, account: KernelAccount, orders: LoadedOrders, market: SessionMarket) -> None:
        self._simulation = account.simulation
        self._orders = orders
        self._market = market
        self._fills_told = 0
        self._amendments_told = 0
        self._never_traded: set[int] = set()
        self._ended: set[int] = set()
        self._changes = defaultdict(int, {name: progress.changes for name, progress in orders.progress.items()})

    @property
    def changes(self) -> Mapping[str, int]:
        """How many changes of its terms each order has been told of, by client order id."""
        return self._changes

    def go_on(self, market: SessionMarket) -> None:
        """Turn to later bars of the session."""
        self._market = market

    def pass_over_changes(self) -> None:
        """Leave out the changes that were not told yet: whoever asked for them has told of them."""
        self._amendments_told = len(self._simulation.amendments)

    def note_never_traded(self, index: int) -> None:
        """Remember that an order expired because its session was skipped."""
        self._never_traded.add(index)

    def tell(self, statuses: Mapping[str, OrderStatus]) -> Iterator[OrderEvent]:
        """Yield the events that are new; `statuses` is where the orders stand and must follow each event at once."""
        fills = {row[5]: row for row in self._simulation.fills[self._fills_told :].tolist()}
        amendments: dict[int, list[tuple[codes.Amendment, float]]] = {}
        for quantity, _, _, index, _, kind in self._simulation.amendments[self._amendments_told :].tolist():
            amendments.setdefault(index, []).append((codes.Amendment(kind), quantity))
        self._fills_told += len(fills)
        self._amendments_told = len(self._simulation.amendments)
        ended = self._newly_ended()
        for index in self._order_of_telling({*fills, *amendments, *ended}, fills):
            name = self._orders.names[index - TOMBSTONE - 1]
            ratios = iter(self._ratios(statuses[name].order)) if index in amendments else iter(())
            for amendment, quantity in amendments.get(index, ()):
                ratio = next(ratios) if amendment is codes.Amendment.RESCALED else None
                yield self._amended(statuses[name], amendment, quantity, ratio=ratio, fill=fills.get(index))
            if index in fills:
                yield self._filled(statuses[name], fills[index])
            if index in ended and not statuses[name].is_final:
                yield self._end(statuses[name], *ended[index], index)

    def _newly_ended(self) -> dict[int, tuple[codes.State, codes.Reason]]:
        """Return state and reason of the orders that ended other than by a fill since this was asked last."""
        orders = self._simulation.orders
        if not len(orders):
            return {}
        found = {}
        for index, state in enumerate(orders["state"].tolist()):
            if state in END_EVENTS and index not in self._ended:
                self._ended.add(index)
                found[index] = codes.State(state), codes.Reason(int(orders["reason"][index]))
        return found

    def _order_of_telling(self, indices: set[int], fills: Mapping[int, tuple[Any, ...]]) -> list[int]:
        families = self._orders.families
        position = {index: number for number, index in enumerate(fills)}
        last_of_family = {families[index - TOMBSTONE - 1]: number for index, number in position.items()}

        def place(index: int) -> tuple[int, bool, int, int]:
            family = families[index - TOMBSTONE - 1]
            after = last_of_family.get(family, len(position))
            return position.get(index, after), index not in position, family, index

        return sorted(indices, key=place)

    def _ratios(self, order: Order) -> list[float]:
        return [
            action.split_ratio
            for action in self._market.actions
            if action.action == "split" and action.symbol == order.symbol and action.split_ratio != 1.0
        ]

    def _amended(
        self,
        status: OrderStatus,
        kind: codes.Amendment,
        quantity: float,
        *,
        ratio: float | None,
        fill: tuple[Any, ...] | None,
    ) -> OrderEvent:
        order, name = status.order, status.order.client_order_id
        if kind is codes.Amendment.TRIGGERED:
            at = self._market.closes_at_utc if fill is None else self._pass_time(fill)
            return self._event(order, AMENDMENT_EVENTS[kind], at, reason_text(AMENDMENT_REASONS[kind]))
        revision = self._changes[name]
        self._changes[name] += 1
        if ratio is None:
            changed = replace(order, quantity_shares=quantity)
            at, reason = self._market.closes_at_utc, reason_text(AMENDMENT_REASONS[kind])
        else:
            changed = order_after_split(order, ratio, filled_shares=status.filled_shares) or order
            at, reason = self._market.opens_at_utc, f"{_split(order, ratio)} become {changed.quantity_shares:g}"
        # The ratio says what became of the shares that are filled.
        told_ratio = ratio if status.filled_shares != 0 else None
        event = self._event(order, AMENDMENT_EVENTS[kind], at, reason)
        return replace(event, order=changed, revision=revision, split_ratio=told_ratio)

    def _filled(self, status: OrderStatus, row: tuple[Any, ...]) -> OrderEvent:
        quantity, price, reference, commission, *_ = row
        order = status.order
        if not (price > 0 and reference > 0 and commission >= 0):
            raise ExecutionError(
                f"order {order.client_order_id}, {order.symbol} {self._market.session}: a fill at {price:.6g} USD "
                f"(reference {reference:.6g}) with a commission of {commission:.6g} USD; prices must be above 0 and "
                "commissions not below: correct the costs in eval.backtesting, or the bar"
            )
        ticker = self._market.new_ticker(order.symbol)
        carried = self._orders.progress[order.client_order_id].ticker
        fill = Fill(
            client_order_id=order.client_order_id,
            decision_id=order.decision_id,
            account=order.account,
            fill_number=status.fills + 1,
            session=self._market.session,
            symbol=order.symbol,
            ticker=ticker or carried or order.ticker,
            quantity_shares=quantity,
            price_usd=price,
            reference_price_usd=reference,
            commission_usd=commission,
            slippage_usd=quantity * (price - reference),
            arrival_price_usd=order.arrival_price_usd,
            filled_at_utc=self._pass_time(row),
        )
        completes = status.is_completed_by(quantity)
        kind = OrderEventKind.FILLED if completes else OrderEventKind.PARTIALLY_FILLED
        return self._event(order, kind, fill.filled_at_utc, fill=fill)

    def _end(self, status: OrderStatus, state: codes.State, reason: codes.Reason, index: int) -> OrderEvent:
        order = status.order
        if index in self._never_traded:
            text, at = f"session {order.execution_session} was never traded", self._market.opens_at_utc
        else:
            text, at = self._why(status, reason), self._end_time(order, reason)
        return self._event(order, END_EVENTS[state], at, text)

    def _why(self, status: OrderStatus, reason: codes.Reason) -> str:
        order = status.order
        if reason is codes.Reason.SPLIT_LEAVES_NOTHING:
            return f"{_split(order, self._ratios(order)[0])} leave no whole share"
        if reason is codes.Reason.BUYING_POWER:
            return BUYING_POWER
        if reason is codes.Reason.END_OF_SESSION:
            row = self._market.rows.get(order.symbol)
            if row is None or not self._market.bars["volume_shares"][row] > 0:
                return NO_VOLUME
            if order.order_type in _WORKED_ORDERS:
                return VOLUME_CAP
        return reason_text(REASONS[reason])

    def _end_time(self, order: Order, reason: codes.Reason) -> datetime:
        """Return when an order ended: at the open what happens there, otherwise at the close."""
        bought_at_open = reason is codes.Reason.BUYING_POWER and (order.algorithm, order.order_type) in (
            ("market", "market"),
            ("market", "market_on_open"),
        )
        at_open = reason in _AT_THE_OPEN or bought_at_open
        return self._market.opens_at_utc if at_open else self._market.closes_at_utc

    def _pass_time(self, row: tuple[Any, ...]) -> datetime:
        """Return when a fill was made: at the open, or known no earlier than the close."""
        return self._market.opens_at_utc if row[-1] in _OPEN_PASSES else self._market.closes_at_utc

    def _event(
        self, order: Order, kind: OrderEventKind, at_utc: datetime, reason: str = "", *, fill: Fill | None = None
    ) -> OrderEvent:
        return OrderEvent(
            kind=kind,
            client_order_id=order.client_order_id,
            session=self._market.session,
            at_utc=at_utc,
            reason=reason,
            fill=fill,
        )


def _split(order: Order, ratio: float) -> str:
    return f"split {ratio:g}: {order.quantity_shares:g} shares"
