"""NautilusTrader's orders (Cython): the same lives, followed by its own state machine.

Belongs here: from the stream's words to its orders and events. On standard input it is given the stream's file; each
further line asks for one round over fresh orders, and is answered with one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

from nautilus_trader.common.component import TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.identifiers import TestIdStubs

_STATES = {"FILLED": "filled", "CANCELED": "cancelled", "EXPIRED": "expired"}
_MADE = {
    "submitted": TestEventStubs.order_submitted,
    "accepted": TestEventStubs.order_accepted,
    "replace requested": TestEventStubs.order_pending_update,
    "cancel requested": TestEventStubs.order_pending_cancel,
    "cancelled": TestEventStubs.order_canceled,
    "expired": TestEventStubs.order_expired,
}
_TRADES = count(1)


def made_order(factory: OrderFactory, instrument: Any, life: dict[str, Any]) -> Any:
    """Return a fresh order of a life."""
    side = OrderSide.BUY if life["shares"] > 0 else OrderSide.SELL
    quantity, price = Quantity.from_int(abs(life["shares"])), Price.from_str(f"{life['price_usd']:.2f}")
    return factory.limit(instrument.id, side, quantity, price)


def made_events(order: Any, instrument: Any, life: dict[str, Any]) -> list[Any]:
    """Return what happens to an order, as its own events; the order is followed meanwhile, as events name its state."""
    events = []
    for kind, shares in life["events"]:
        if shares:
            quantity, trade = Quantity.from_int(abs(shares)), TradeId(str(next(_TRADES)))
            event = TestEventStubs.order_filled(
                order, instrument, last_qty=quantity, last_px=order.price, trade_id=trade
            )
        elif kind == "replaced":
            event = TestEventStubs.order_updated(order, quantity=order.quantity, price=order.price)
        else:
            event = _MADE[kind](order)
        order.apply(event)
        events.append(event)
    return events


def main() -> None:
    """Make events once, and follow them as often as asked."""
    lives = json.loads(Path(json.loads(sys.stdin.readline())["stream"]).read_text(encoding="utf-8"))
    instrument = TestInstrumentProvider.equity("AAPL", "XNAS")

    def factory() -> OrderFactory:
        return OrderFactory(TestIdStubs.trader_id(), TestIdStubs.strategy_id(), TestClock())

    orders = factory()
    events = [made_events(made_order(orders, instrument, life), instrument, life) for life in lives]
    told = sum(len(each) for each in events)
    sys.stdout.write(json.dumps({"events": told}) + "\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        orders = factory()
        fresh = [made_order(orders, instrument, life) for life in lives]
        began, worked = time.perf_counter(), time.process_time()
        for order, happened in zip(fresh, events, strict=True):
            for event in happened:
                order.apply(event)
        seconds, processor = time.perf_counter() - began, time.process_time() - worked
        filled = sum(int(order.filled_qty) for order in fresh)
        states = Counter(_STATES[order.status_string()] for order in fresh)
        answer = {"seconds": seconds, "processor_seconds": processor, "states": states, "filled_shares": filled}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
