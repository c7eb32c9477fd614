"""The orders of an account as events tell of them: where each stands, who belongs to whom, fills, positions.

Belongs here: a projection. It decides nothing, sends nothing and stores nothing; events come from a journal, a broker's
stream or a query, repeated and in any order, and the same events give the same book. How one order's events are put in
order is :mod:`aegis.execution.order_history`; what must hold between orders is :mod:`aegis.execution.order_families`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date

from aegis.errors import ExecutionError
from aegis.execution.order_history import FILLS, OrderBreak, OrderHistory, order_history
from aegis.execution.order_records import event_json
from aegis.execution.order_splits import shares_after_split
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind

_Identity = tuple[str, str | int]


@dataclass(frozen=True, slots=True)
class ShareSplit:
    """A split of a symbol's shares, effective when `session` opens; `ratio`: new shares for one old share."""

    symbol: str
    session: date
    ratio: float


@dataclass(slots=True)
class _Entry:
    """What is known of one order; `history` is made when it is asked for."""

    order: Order | None = None
    told: dict[_Identity, OrderEvent] = field(default_factory=dict)
    conflicts: dict[_Identity, OrderBreak] = field(default_factory=dict)
    history: OrderHistory | None = None


class OrderBook:
    """The orders of one account.

    Notes
    -----
    An event is identified by its order, kind and revision, an execution by its order and the venue's execution id (its
    fill number where the venue gives none). The same thing told again changes nothing. Told again with other contents,
    the first by the venue's time stands, whichever arrived first, and the contradiction is one of :meth:`breaks`.
    Events of orders that are not known wait for them.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._splits: dict[tuple[str, date], ShareSplit] = {}

    def add(self, order: Order) -> bool:
        """Take note of a committed order and return whether it is new.

        Raises
        ------
        ExecutionError
            Its id belongs to an order with other terms.
        """
        entry = self._entries.setdefault(order.client_order_id, _Entry())
        if entry.order is None:
            entry.order = order
            return True
        if entry.order != order:
            raise ExecutionError(
                f"order {order.client_order_id} ({order.symbol}): the id belongs to an order of "
                f"{entry.order.quantity_shares} {entry.order.symbol} already, found {order.quantity_shares}; changed "
                "terms are an event 'replaced', another order needs another id"
            )
        return False

    def forget(self, client_order_id: str) -> None:
        """Drop an order and what was told of it; positions and fills of the book no longer count it."""
        self._entries.pop(client_order_id, None)

    def apply(self, event: OrderEvent) -> bool:
        """Take note of an event and return whether it says anything new."""
        entry = self._entries.setdefault(event.client_order_id, _Entry())
        identity = _identity(event)
        known = entry.told.get(identity)
        if known == event:
            return False
        if known is None:
            entry.told[identity] = event
        elif not self._is_told_again(entry, identity, known=known, event=event):
            return False
        entry.history = None
        return True

    def apply_split(self, split: ShareSplit) -> bool:
        """Take note of a split of shares that may be held and return whether it is new.

        Raises
        ------
        ExecutionError
            The symbol has another split in that session.

        Notes
        -----
        It moves :meth:`positions` and :meth:`filled_today_shares`. Open orders are rescaled by their own events.
        """
        key = split.symbol, split.session
        known = self._splits.setdefault(key, split)
        if known != split:
            raise ExecutionError(
                f"{split.symbol} {split.session}: a split of {known.ratio} is known, found {split.ratio}; correct the "
                "corporate action"
            )
        return known is split

    def status(self, client_order_id: str) -> OrderStatus:
        """Return where an order stands.

        Raises
        ------
        ExecutionError
            The order is not known.
        """
        return self.history(client_order_id).status

    def history(self, client_order_id: str) -> OrderHistory:
        """Return what happened to an order.

        Raises
        ------
        ExecutionError
            The order is not known.
        """
        entry = self._entries.get(client_order_id)
        if entry is None or entry.order is None:
            raise ExecutionError(
                f"order {client_order_id}: not an order of this book; commit it before it is sent, or reconcile it as "
                "a foreign order"
            )
        if entry.history is None:
            entry.history = order_history(entry.order, entry.told.values())
        return entry.history

    def statuses(self) -> dict[str, OrderStatus]:
        """Return where each order stands, by id in sorted order."""
        return {name: self.status(name) for name in self._names()}

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return the orders that are not at their end, sorted by id."""
        return tuple(status for status in self.statuses().values() if not status.is_final)

    def children(self, parent_id: str) -> tuple[OrderStatus, ...]:
        """Return the orders that wait or waited for a parent, sorted by id."""
        return tuple(status for status in self.statuses().values() if status.order.parent_id == parent_id)

    def oco_group(self, name: str) -> tuple[OrderStatus, ...]:
        """Return the orders that cancel each other under a name, sorted by id."""
        return tuple(status for status in self.statuses().values() if status.order.oco_group == name)

    def fills(self) -> tuple[Fill, ...]:
        """Return all executions of known orders, oldest first."""
        fills = (fill for name in self._names() for fill in self.history(name).fills)
        return tuple(sorted(fills, key=lambda fill: (fill.filled_at_utc, fill.client_order_id, fill.fill_number)))

    def filled_today_shares(self, client_order_id: str) -> float:
        """Return the signed shares that an order filled, in the shares of after the last split, not rounded."""
        return math.fsum(
            fill.quantity_shares * math.prod(split.ratio for split in self._splits_of(fill.symbol, after=fill.session))
            for fill in self.history(client_order_id).fills
        )

    def positions(self) -> dict[str, float]:
        """Return the signed shares of each symbol that the book's own fills and splits leave, without zeros.

        Notes
        -----
        A split cuts fractions off, which the custodian pays in cash, unless fractions of the symbol were ordered. What
        the account held before, costs and marks are the business of :mod:`aegis.execution.account_state`.
        """
        by_symbol: dict[str, list[Fill]] = {}
        for fill in self.fills():
            by_symbol.setdefault(fill.symbol, []).append(fill)
        held = {symbol: self._held(symbol, fills) for symbol, fills in sorted(by_symbol.items())}
        return {symbol: shares for symbol, shares in held.items() if shares != 0}

    def breaks(self) -> tuple[OrderBreak, ...]:
        """Return what was told and does not fit, by order; empty where all is well."""
        found = []
        for name in sorted(self._entries):
            entry = self._entries[name]
            if entry.order is None:
                found += [
                    OrderBreak(name, event.kind, f"order {name}: unknown to this book") for event in _sorted(entry)
                ]
            else:
                found += [*entry.conflicts.values(), *self.history(name).breaks]
        return tuple(sorted(found, key=lambda item: (item.client_order_id, item.kind, item.explanation)))

    def _names(self) -> list[str]:
        return sorted(name for name, entry in self._entries.items() if entry.order is not None)

    def _is_told_again(self, entry: _Entry, identity: _Identity, *, known: OrderEvent, event: OrderEvent) -> bool:
        """Keep the earlier of two versions of one event; note a difference that matters. Return whether any changed."""
        noted = identity in entry.conflicts
        if _substance(known) != _substance(event):
            kind = event.kind if event.fill is None else OrderEventKind.FILLED
            entry.conflicts[identity] = OrderBreak(
                event.client_order_id,
                kind,
                f"order {event.client_order_id}: '{identity[0]}' {identity[1]} was told with different contents; the "
                "first by its time stands, ask the venue",
            )
        is_earlier = _precedence(event) < _precedence(known)
        if is_earlier:
            entry.told[identity] = event
        return is_earlier or noted is not (identity in entry.conflicts)

    def _splits_of(self, symbol: str, *, after: date) -> list[ShareSplit]:
        splits = [split for split in self._splits.values() if split.symbol == symbol and split.session > after]
        return sorted(splits, key=lambda split: split.session)

    def _held(self, symbol: str, fills: Iterable[Fill]) -> float:
        """Return the shares that fills, oldest first, and the splits between them leave."""
        fractional = False
        by_session: dict[date, list[float]] = {}
        for fill in fills:
            by_session.setdefault(fill.session, []).append(fill.quantity_shares)
            fractional |= self.status(fill.client_order_id).order.is_fractional
        splits = {split.session: split.ratio for split in self._splits_of(symbol, after=date.min)}
        held = 0.0
        for session in sorted({*by_session, *splits}):
            held = shares_after_split(held, splits.get(session, 1.0), is_fractional=fractional)
            held = math.fsum((held, *by_session.get(session, ())))
        return held


def _identity(event: OrderEvent) -> _Identity:
    """Return what makes an event the same event, among those of its order."""
    if event.fill is None or event.kind not in FILLS:
        return str(event.kind), event.revision
    return "execution", event.fill.execution_id or event.fill.fill_number


def _substance(event: OrderEvent) -> object:
    """Return what may not differ between two versions of one event: the execution itself, or the terms."""
    if event.fill is None:
        return event.order, event.split_ratio
    return replace(event.fill, fill_number=0) if event.fill.execution_id is not None else event.fill


def _precedence(event: OrderEvent) -> tuple[object, ...]:
    at = event.at_utc if event.fill is None else event.fill.filled_at_utc
    return at, event.at_utc, event.session, str(event.kind), event_json(event)


def _sorted(entry: _Entry) -> list[OrderEvent]:
    return sorted(entry.told.values(), key=_precedence)
