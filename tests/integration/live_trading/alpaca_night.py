"""The account of :mod:`tests.integration.live_trading.action_night` at Alpaca, and whether both sides agree."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from aegis.backtesting.session_market import CorporateAction
from aegis.clock import SimulatedClock
from aegis.config_brokers import AlpacaBrokerSettings
from aegis.execution.brokers.alpaca import AlpacaBroker
from tests.integration.live_trading.action_night import MONDAY, ActionNight
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR, KEY_ID, SECRET_KEY
from tests.integration.venues.alpaca.server import AlpacaVenue


def night_at(venue: AlpacaVenue, folder: Path, shares: int, actions: Sequence[CorporateAction]) -> ActionNight:
    """Begin on Friday with shares of ABC at 10 USD and 10,000 USD."""

    def connected(clock: SimulatedClock) -> AlpacaBroker:
        settings = AlpacaBrokerSettings(
            url=venue.rest.url, stream_url=venue.stream.url, key_id=KEY_ID, secret_key=SECRET_KEY,
            first_pause_seconds=0.0, poll_seconds=3600.0,
        )  # fmt: skip
        symbols = {"ABC": "ABC", "DEF": "DEF"}
        broker = AlpacaBroker(settings, account=ACCOUNT, calendar=CALENDAR, clock=clock, symbols=symbols)
        broker.connect()
        return broker

    venue.book.positions["ABC"] = (Decimal(shares), Decimal(10))
    return ActionNight(
        connected, folder, {MONDAY: tuple(actions)}, move_venue=lambda at: setattr(venue.book, "now_utc", at)
    )


def open_orders(venue: AlpacaVenue) -> dict[str, tuple[str, str, str | None]]:
    """Return what is open at the venue, by client order id."""
    return {
        order["client_order_id"]: (order["symbol"], order["qty"], order["limit_price"])
        for order in venue.book.orders.values()
        if order["status"] in ("new", "pending_new", "accepted", "partially_filled")
    }


def agrees(night: ActionNight, venue: AlpacaVenue) -> None:
    """Say that there is no break, and that positions, orders and cash are the venue's."""
    review = night.system.reconcile()
    assert review.breaks == ()
    assert night.held() == night.theirs()
    names = {status.order.client_order_id for status in night.system.sent_orders()}
    assert names == open_orders(venue).keys()
    assert set(venue.book.accepted.values()) <= {1}, "no order went out twice"
