"""The book of a live account between two statements of the broker: positions, marks, exposure, buying power in use.

Belongs here: what is held and at work, and what that is worth. Orders are :mod:`aegis.live_trading.order_reservations`;
nothing here judges.

Notes
-----
A quote or an event is valued when it comes: what is left for later is valued while an order waits.

A position is what the broker stated, plus what was executed later than that statement was asked for. Sums over symbols
are kept: a change of one symbol costs as much in a book of five hundred as in a book of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from aegis.execution.account_state import Position
from aegis.execution.orders import Order, OrderEvent
from aegis.live_trading.order_reservations import OrderReservations
from aegis.live_trading.reserved_amounts import DayBounds, Reserved
from aegis.risk.exact_amounts import UNMEASURED, exact, notional_usd
from aegis.risk.exit_prices import Quote
from aegis.risk.exit_view import SymbolBook

_ZERO = Decimal(0)


class LiveBook:
    """Positions, open orders and quotes of one account.

    Parameters
    ----------
    bounds : DayBounds
        The day that is counted.
    """

    def __init__(self, bounds: DayBounds) -> None:
        self.orders = OrderReservations(bounds)
        self._bounds = bounds
        self._stated: dict[str, Decimal] = {}
        self._marks: dict[str, Decimal] = {}
        self._quotes: dict[str, Quote] = {}
        self._exposures: dict[str, Decimal] = {}
        self._shorts: dict[str, Decimal] = {}
        self._changed: set[str] = set()
        self._exposure_usd = _ZERO
        self._shorts_usd = _ZERO
        self._unvalued: set[str] = set()

    @property
    def bounds(self) -> DayBounds:
        """The day that is counted."""
        return self._bounds

    def quote(self, symbol: str) -> Quote | None:
        """Return the newest quote of a symbol."""
        return self._quotes.get(symbol)

    def position_shares(self, symbol: str) -> Decimal:
        """Return the signed shares held."""
        return self._stated.get(symbol, _ZERO) + self.orders.of_symbol(symbol).traded_shares

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that are held or at work, sorted."""
        found = {*self._stated, *self.orders.symbols()}
        return tuple(sorted(name for name in found if self.of_symbol(name).worst_shares() != 0))

    def of_symbol(self, symbol: str, *, without: str = "") -> SymbolBook:
        """Return what is held and at work in a symbol, the open part of order `without` left out."""
        reserved, own = self.orders.of_symbol(symbol), self.orders.of_order(without)
        return SymbolBook(
            self.position_shares(symbol),
            reserved.bought_shares - own.bought_shares,
            reserved.sold_shares - own.sold_shares,
        )

    def exposure_usd(self, *, without: str = "") -> Decimal:
        """Return the gross exposure with open orders on each symbol's worse side, symbol `without` left out."""
        self._revalue()
        if self._unvalued - {without}:
            return UNMEASURED
        return self._exposure_usd - self._exposures.get(without, _ZERO)

    def committed_usd(self, *, without: str = "") -> Decimal:
        """Return the buying power that open orders, and executions since the statement, need; one order left out.

        Returns
        -------
        Decimal
            Unmeasured where an order has no price. A short sale that is left out counts on.
        """
        self._revalue()
        total = self.orders.total - self.orders.of_order(without)
        return UNMEASURED if total.unpriced else total.purchases_usd + self._shorts_usd

    def day_usd(self, *, without: str = "") -> Decimal:
        """Return what was traded today and is open, one order left out; unmeasured where an order has no price."""
        total = self.orders.total - self.orders.of_order(without)
        return UNMEASURED if total.unpriced else total.day_usd

    def day_shares(self, *, without: str = "") -> Decimal:
        """Return the shares that were traded today and are open, one order left out."""
        return self.orders.total.day_shares - self.orders.of_order(without).day_shares

    def observe_quote(self, symbol: str, quote: Quote) -> bool:
        """Take note of a quote and return whether it is the newest of its symbol."""
        known = self._quotes.get(symbol)
        if known is not None and known.quoted_at_utc > quote.quoted_at_utc:
            return False
        self._quotes[symbol] = quote
        if symbol in self._exposures or symbol in self._unvalued:  # without shares it is worth nothing at any price
            self._changed.add(symbol)
            self._revalue()
        return True

    def observe_positions(self, positions: Iterable[Position], bounds: DayBounds) -> None:
        """Take note of the positions that the broker stated; `bounds` says when it was asked."""
        before = set(self._stated)
        held = tuple(positions)
        self._stated = {}
        for item in held:
            self._stated[item.symbol] = self._stated.get(item.symbol, _ZERO) + exact(item.quantity_shares)
        self._marks = {item.symbol: exact(item.mark_price_usd) for item in held}
        self._changed |= before | set(self._stated)
        self.count_by(bounds)
        self._revalue()  # all of the book, which the next order would wait for

    def count_by(self, bounds: DayBounds) -> None:
        """Count by another day or statement."""
        self._changed.update(self.orders.symbols())
        self._bounds = bounds
        self.orders.count_by(bounds)

    def let_through(self, order: Order, touch_usd: Decimal, at_utc: datetime) -> None:
        """Reserve what an order takes."""
        self.orders.let_through(order, touch_usd, at_utc)
        self._changed.add(order.symbol)

    def settle(self, event: OrderEvent) -> bool:
        """Take note of an event and return whether it says anything new."""
        symbol = self.orders.settle(event)
        if symbol is not None:
            self._changed.add(symbol)
            self._revalue()
        return symbol is not None

    def settle_all(self, events: Iterable[OrderEvent]) -> tuple[OrderEvent, ...]:
        """Take note of all events of one order at once and return those that say anything new."""
        new = self.orders.settle_all(events)
        self._changed.update(self.orders.symbol_of(event.client_order_id) for event in new[:1])
        return new

    def let_go(self, client_order_ids: Iterable[str]) -> None:
        """Forget orders that have ended and are in the journal; see :meth:`OrderReservations.let_go`."""
        self.orders.let_go(client_order_ids)

    def withdraw(self, client_order_id: str) -> None:
        """Forget what was let through last under an id and never sent."""
        symbol = self.orders.withdraw(client_order_id)
        if symbol is not None:
            self._changed.add(symbol)

    def from_scratch(self) -> tuple[Reserved, Decimal, Decimal]:
        """Return the orders' total, exposure and short sales' needs, added up anew over all orders and symbols."""
        names = {*self._stated, *self.orders.symbols()}
        exposure = sum((self._exposure(name) for name in names), start=_ZERO)
        return self.orders.from_scratch(), exposure, sum((self._short_usd(name) for name in names), start=_ZERO)

    def _revalue(self) -> None:
        for symbol in self._changed:
            exposure, short = self._exposure(symbol), self._short_usd(symbol)
            if exposure.is_infinite() or short.is_infinite():
                self._unvalued.add(symbol)
                exposure = short = _ZERO
            else:
                self._unvalued.discard(symbol)
            self._exposure_usd += exposure - self._exposures.pop(symbol, _ZERO)
            self._shorts_usd += short - self._shorts.pop(symbol, _ZERO)
            if exposure or short:
                self._exposures[symbol], self._shorts[symbol] = exposure, short
        self._changed.clear()

    def _exposure(self, symbol: str) -> Decimal:
        return notional_usd(self.of_symbol(symbol).worst_shares(), self._mark(symbol))

    def _mark(self, symbol: str) -> Decimal:
        quote = self._quotes.get(symbol)
        return quote.middle_usd if quote is not None and quote.is_usable else self._marks.get(symbol, UNMEASURED)

    def _short_usd(self, symbol: str) -> Decimal:
        """Return what shares cost that are or would be sold short beyond the statement, at the dearest sale's price."""
        stated = self._stated.get(symbol, _ZERO)
        book = self.of_symbol(symbol)
        after = min(_ZERO, book.position_shares - book.open_sold_shares)
        beyond = min(_ZERO, stated) - after
        return notional_usd(max(_ZERO, beyond), self.orders.dearest_sale_usd(symbol))
