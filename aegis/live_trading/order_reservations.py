"""What orders that were let through take of the limits: open shares, the day's value and count, buying power.

Belongs here: the sums over orders, kept up to date by their events. What is held besides, and at which prices it is
valued, is :mod:`aegis.live_trading.live_book`; what the sums are compared with is :mod:`aegis.risk.exit_rules`.

Notes
-----
An order takes its whole quantity from the moment it is let through. A fill turns that into shares held, any end frees
the rest; that it was sent stays counted. Sums are of decimals (:mod:`aegis.risk.exact_amounts`), so that adding and
taking away leaves exactly what a sum from scratch would be, in any order. Of an order that has ended only its fills and
the instants of its messages are kept, from the next statement of account on, and once it was let go only what it adds
to the day's sums: a day may have tens of thousands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from aegis.errors import ExecutionError, RiskError
from aegis.execution.order_book import OrderBook
from aegis.execution.order_history import OrderHistory
from aegis.execution.order_states import CHANGES, UNSENT
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind
from aegis.live_trading.reserved_amounts import NOTHING, DayBounds, Reserved
from aegis.risk.exact_amounts import exact, notional_usd
from aegis.risk.exit_prices import counted_price_usd

_ZERO = Decimal(0)


_NO_BOOK = OrderBook()
"""Of orders that are over; nothing is ever told to it."""


class _Executed(NamedTuple):
    """What is kept of a fill of an order that is over; named as in :class:`Fill`."""

    quantity_shares: float
    price_usd: float
    filled_at_utc: datetime


@dataclass(slots=True)
class _Entry:
    """An order at the door. `asked` are terms that were let through and not yet told as requested.

    Once `is_over`, order and book are gone: `strays` are all that filled, `messages_at_utc` when other terms were
    requested.
    """

    symbol: str
    book: OrderBook = field(default_factory=OrderBook)
    order: Order | None = None
    touch_usd: Decimal = _ZERO
    sent_at_utc: datetime | None = None
    asked: Order | None = None
    asked_at_utc: tuple[datetime, ...] = ()
    strays: dict[str | int, Fill | _Executed] = field(default_factory=dict)
    is_over: bool = False
    messages_at_utc: tuple[datetime, ...] = ()
    reserved: Reserved = NOTHING
    dearest_sale_usd: Decimal = _ZERO

    def history(self) -> OrderHistory | None:
        return None if self.order is None else self.book.history(self.order.client_order_id)

    def end(self, history: OrderHistory) -> None:
        """Keep of an order that has ended what counts: its fills, and when messages were sent for it."""
        requested = (e.at_utc for e in history.events if e.kind is OrderEventKind.REPLACE_REQUESTED)
        self.messages_at_utc = (*self.asked_at_utc, *requested)
        self.strays = {
            fill.execution_id or fill.fill_number: _Executed(fill.quantity_shares, fill.price_usd, fill.filled_at_utc)
            for fill in history.fills
        }
        self.is_over, self.order, self.book, self.asked, self.asked_at_utc = True, None, _NO_BOOK, None, ()

    def takes(self, event: OrderEvent) -> bool:
        """Take note of an event and return whether it says anything new."""
        if not self.is_over:
            return self.book.apply(event)
        # After the end shares may still have changed hands; nothing else counts.
        return event.fill is not None and (event.fill.execution_id or event.fill.fill_number) not in self.strays

    def fills(self, history: OrderHistory | None) -> Iterable[Fill | _Executed]:
        """Return what filled, by the order's history where it is still kept."""
        return self.strays.values() if history is None else history.fills


class OrderReservations:
    """The orders of one account that were let through and what they take together.

    Parameters
    ----------
    bounds : DayBounds
        The day that is counted.
    """

    def __init__(self, bounds: DayBounds) -> None:
        self._bounds = bounds
        self._entries: dict[str, _Entry] = {}
        self._by_symbol: dict[str, Reserved] = {}
        self._sales: dict[str, set[str]] = {}
        self._unstated: set[str] = set()
        self._ended: set[str] = set()
        self._let_go: set[str] = set()
        self._forgotten: dict[str, Reserved] = {}
        self.total = NOTHING

    def sent_at(self, client_order_id: str) -> datetime | None:
        """Return when an order was let through, None where it was not."""
        entry = self._entries.get(client_order_id)
        return None if entry is None else entry.sent_at_utc

    def filled_shares(self, client_order_id: str) -> Decimal:
        """Return the signed shares that an order filled."""
        entry = self._entries.get(client_order_id)
        history = None if entry is None else entry.history()
        if entry is None or (history is None and not entry.is_over):
            return _ZERO
        fills = (exact(fill.quantity_shares) for fill in entry.fills(history))
        return sum(fills, start=_ZERO) if history is None else _filled(history)

    def of_symbol(self, symbol: str) -> Reserved:
        """Return what the orders of a symbol take."""
        return self._by_symbol.get(symbol, NOTHING)

    def of_order(self, client_order_id: str) -> Reserved:
        """Return what an order takes; nothing where it is not known."""
        entry = self._entries.get(client_order_id)
        return NOTHING if entry is None else entry.reserved

    def dearest_sale_usd(self, symbol: str) -> Decimal:
        """Return the highest price of a symbol's open sales and of those executed since the statement, 0 for none."""
        return max((self._entries[name].dearest_sale_usd for name in self._sales.get(symbol, ())), default=_ZERO)

    def symbol_of(self, client_order_id: str) -> str:
        """Return the symbol of an order that is known."""
        return self._entries[client_order_id].symbol

    def symbols(self) -> Iterator[str]:
        """Yield the symbols that any order takes something in."""
        return (symbol for symbol, reserved in self._by_symbol.items() if reserved != NOTHING)

    def let_through(self, order: Order, touch_usd: Decimal, at_utc: datetime) -> None:
        """Reserve what an order takes; a replacement takes the larger of its terms until it is answered."""
        entry = self._entries.setdefault(order.client_order_id, _Entry(order.symbol))
        if entry.order is None and not entry.is_over:
            entry.book.add(order)
            entry.order, entry.touch_usd, entry.sent_at_utc = order, touch_usd, at_utc
        else:
            entry.asked = order
            entry.asked_at_utc += (at_utc,)
            entry.touch_usd = max(entry.touch_usd, touch_usd)
        self._renew(order.client_order_id, entry)

    def withdraw(self, client_order_id: str) -> str | None:
        """Forget what was let through last under an id and never sent; return the symbol, None where nothing was.

        Raises
        ------
        ExecutionError
            The venue told of the order, so it was sent.
        """
        entry = self._entries.get(client_order_id)
        if entry is None:
            return None
        history = entry.history()
        if entry.asked is None and (history is None or history.status.state not in UNSENT):
            raise ExecutionError(
                f"order {client_order_id} ({entry.symbol}): it was sent, so it cannot be withdrawn; cancel it"
            )
        if entry.asked is not None:
            entry.asked, entry.asked_at_utc = None, entry.asked_at_utc[:-1]
            self._renew(client_order_id, entry)
        else:
            self._forget(client_order_id, entry)
        return entry.symbol

    def settle(self, event: OrderEvent) -> str | None:
        """Take note of an event; return the symbol that it changes, None where it says nothing new.

        Raises
        ------
        RiskError
            A fill is no number of shares at a price above 0. Nothing was noted: what the order takes stays reserved.

        Notes
        -----
        Fills of an order that did not pass here are counted; it takes nothing else until :meth:`let_through` or a
        restart makes it known.
        """
        entry = self._taken(event)
        if entry is None:
            return None
        self._renew(event.client_order_id, entry)
        return entry.symbol

    def settle_all(self, events: Iterable[OrderEvent]) -> tuple[OrderEvent, ...]:
        """Take note of all events of one order at once and return those that say anything new; see :meth:`settle`."""
        new = tuple(event for event in events if self._taken(event) is not None)
        if new:
            name = new[0].client_order_id
            self._renew(name, self._entries[name])
        return new

    def _taken(self, event: OrderEvent) -> _Entry | None:
        """Take note of an event and return what is known of its order, None where it says nothing new."""
        fill, name = event.fill, event.client_order_id
        if fill is not None and not (math.isfinite(fill.quantity_shares) and 0.0 < fill.price_usd < math.inf):
            raise RiskError(
                f"{fill.symbol} {fill.filled_at_utc}, order {name}: a fill of {fill.quantity_shares} shares at "
                f"{fill.price_usd} USD cannot be counted; ask the venue what it executed"
            )
        if name not in self._entries and fill is None:
            return None
        entry = self._entries.setdefault(name, _Entry(fill.symbol if fill is not None else ""))
        if not entry.takes(event):
            return None
        if fill is not None:
            entry.strays[fill.execution_id or fill.fill_number] = fill
        if event.kind is OrderEventKind.REPLACE_REQUESTED and entry.asked is not None:
            entry.asked, entry.asked_at_utc = None, entry.asked_at_utc[:-1]
        return entry

    def let_go(self, client_order_ids: Iterable[str]) -> None:
        """Forget orders that have ended and are in the journal, once all they still take is of the day's limits.

        Notes
        -----
        Their sums count until the day is over. Shares that change hands afterwards are counted; a fill of theirs that
        is told once more would be counted again, which makes the day's limits narrower and never wider.
        """
        gone = [name for name in client_order_ids if name in self._entries]
        self._let_go.update(gone)
        for name in gone:  # the others wait for the next statement, see :meth:`count_by`
            self._keep_sums(name, self._entries[name])

    def count_by(self, bounds: DayBounds) -> None:
        """Count by another day or statement; final orders that take nothing any more are forgotten."""
        is_same_day = (bounds.begins_at_utc, bounds.ends_at_utc) == (
            self._bounds.begins_at_utc,
            self._bounds.ends_at_utc,
        )
        self._bounds = bounds
        if not is_same_day:
            for symbol, sums in self._forgotten.items():
                self._replace(symbol, sums, NOTHING)
            self._forgotten.clear()
        # A statement changes only what executed since the one before: a long day's orders are not all counted anew.
        for name in tuple(self._unstated | self._ended if is_same_day else self._entries):
            entry = self._entries[name]
            history = entry.history()
            is_over = history is None or history.status.is_final
            if history is not None and is_over:
                entry.end(history)
            self._renew(name, entry)
            if is_over and entry.reserved == NOTHING and entry.dearest_sale_usd == 0:
                self._forget(name, entry)
            elif name in self._let_go:
                self._keep_sums(name, entry)
        self._ended.clear()

    def from_scratch(self) -> Reserved:
        """Return the total by adding up what every order takes by its own history, and the sums of forgotten ones."""
        total = sum(self._forgotten.values(), start=NOTHING)
        for entry in self._entries.values():
            total += _reserved(entry, entry.history(), self._bounds)[0]
        return total

    def _renew(self, name: str, entry: _Entry) -> None:
        before, history = entry.reserved, entry.history()
        entry.reserved, entry.dearest_sale_usd = _reserved(entry, history, self._bounds)
        if history is not None and history.status.is_final:
            self._ended.add(name)
        if any(self._bounds.is_unstated(fill.filled_at_utc) for fill in entry.fills(history)):
            self._unstated.add(name)
        else:
            self._unstated.discard(name)
        self._replace(entry.symbol, before, entry.reserved)
        sales = self._sales.setdefault(entry.symbol, set())
        sales.discard(name)
        if entry.dearest_sale_usd > 0:
            sales.add(name)

    def _keep_sums(self, name: str, entry: _Entry) -> None:
        """Keep of an order that was let go what it takes of the day, if that is all, and forget the rest."""
        history, taken = entry.history(), entry.reserved
        fills = (fill.filled_at_utc for fill in entry.fills(history))
        has_ended = entry.is_over or (history is not None and history.status.is_final)
        if not has_ended or name in self._unstated or any(at >= self._bounds.ends_at_utc for at in fills):
            return
        if taken.unpriced or entry.dearest_sale_usd > 0:
            return
        self._forget(name, entry)
        self._replace(entry.symbol, NOTHING, taken)
        self._forgotten[entry.symbol] = self._forgotten.get(entry.symbol, NOTHING) + taken

    def _forget(self, name: str, entry: _Entry) -> None:
        self._replace(entry.symbol, entry.reserved, NOTHING)
        self._sales.get(entry.symbol, set()).discard(name)
        for names in (self._unstated, self._ended, self._let_go):
            names.discard(name)
        del self._entries[name]

    def _replace(self, symbol: str, before: Reserved, after: Reserved) -> None:
        if before != after:
            self.total = self.total - before + after
            self._by_symbol[symbol] = self.of_symbol(symbol) - before + after


def _reserved(entry: _Entry, history: OrderHistory | None, bounds: DayBounds) -> tuple[Reserved, Decimal]:
    """Return what an order takes, and the highest price of what it sells and sold since the statement."""
    day_usd = day_shares = purchases = traded = dearest = _ZERO
    for fill in entry.fills(history):
        shares, price = exact(fill.quantity_shares), exact(fill.price_usd)
        worth = notional_usd(shares, price)
        if bounds.has(fill.filled_at_utc):
            day_usd += worth
            day_shares += abs(shares)
        if bounds.is_unstated(fill.filled_at_utc):
            traded += shares
            purchases += worth if shares > 0 else _ZERO
            dearest = dearest if shares > 0 else max(dearest, price)
    open_shares, price = _open(entry, history)
    worth = notional_usd(open_shares, price)
    is_priced = worth.is_finite() and day_usd.is_finite() and purchases.is_finite() and dearest.is_finite()
    if open_shares < 0:
        dearest = max(dearest, price)
    return Reserved(
        bought_shares=max(open_shares, _ZERO),
        sold_shares=max(-open_shares, _ZERO),
        traded_shares=traded,
        purchases_usd=(purchases + (worth if open_shares > 0 else _ZERO)) if is_priced else _ZERO,
        day_usd=(day_usd + worth) if is_priced else _ZERO,
        day_shares=day_shares + abs(open_shares),
        day_orders=_messages(entry, history, bounds),
        unpriced=0 if is_priced else 1,
    ), dearest if is_priced else _ZERO


def _open(entry: _Entry, history: OrderHistory | None) -> tuple[Decimal, Decimal]:
    """Return the signed shares that an order may still trade, and at which price they count: the larger of its terms.

    A split leaves what an order is worth as it was, so the price that it was let through at is divided as its quantity
    was multiplied.
    """
    if history is None or entry.order is None or history.status.is_final:
        return _ZERO, _ZERO
    terms, touch, asked = entry.order, entry.touch_usd, entry.asked
    for event in history.events:
        if event.kind in CHANGES and event.order is not None:
            if event.kind is OrderEventKind.RESCALED:
                touch = touch * exact(terms.quantity_shares) / exact(event.order.quantity_shares)
            terms = event.order
        elif event.kind is OrderEventKind.REPLACE_REQUESTED and history.status.is_replace_requested:
            asked = asked or event.order
    candidates = [terms] if asked is None else [terms, asked]
    shares = max((exact(item.quantity_shares) for item in candidates), key=abs) - _filled(history)
    return shares, max(counted_price_usd(item, touch) for item in candidates)


def _filled(history: OrderHistory) -> Decimal:
    """Return what an order filled, without the rounding of a sum of fractions in binary."""
    if any(event.kind is OrderEventKind.RESCALED for event in history.events):
        return exact(history.status.filled_shares)
    return sum((exact(event.fill.quantity_shares) for event in history.events if event.fill is not None), start=_ZERO)


def _messages(entry: _Entry, history: OrderHistory | None, bounds: DayBounds) -> int:
    """Return how often the order, or other terms of it, were let through today."""
    if entry.sent_at_utc is None:
        return 0
    if entry.is_over:
        return sum(bounds.has(at) for at in (entry.sent_at_utc, *entry.messages_at_utc))
    if history is None:
        return 0
    requested = (event.at_utc for event in history.events if event.kind is OrderEventKind.REPLACE_REQUESTED)
    return sum(bounds.has(at) for at in (entry.sent_at_utc, *entry.asked_at_utc, *requested))
