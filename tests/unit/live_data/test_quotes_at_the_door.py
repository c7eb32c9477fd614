"""What a feed tells reaches the rules: an old quote or a halt stops the orders of its own symbol and no others."""

from __future__ import annotations

from datetime import timedelta

from aegis.live_data.live_market import LiveMarket
from aegis.live_data.messages import LiveQuote
from aegis.live_trading.quotes_at_the_door import QuotesAtTheDoor
from tests.unit.live_data.feeds import CALENDAR, Market, halt_of
from tests.unit.live_trading.doors import Door, named


class _Feed:
    """A door whose quotes come from a feed of ABC and XYZ only."""

    def __init__(self) -> None:
        self.door = Door(max_quote_age_seconds=10.0)
        self.market = LiveMarket(
            "trial",
            clock=self.door.clock,
            calendar=CALENDAR,
            settings=Market().settings,
            listener=QuotesAtTheDoor(self.door.manager),
        )
        self.market.watch(frozenset({"ABC", "XYZ"}))

    def quote(self, symbol: str, *, age_seconds: float = 0.0, bid: float = 19.99) -> None:
        now = self.door.clock.now_utc()
        said = now - timedelta(seconds=age_seconds)
        self.market.take_quote(
            LiveQuote(symbol=symbol, bid_usd=bid, ask_usd=20.01, quoted_at_utc=said, heard_at_utc=now)
        )

    def refusing(self, name: str, symbol: str) -> tuple[str, ...]:
        self.door.manager.observe_stream(self.door.clock.now_utc())
        return self.door.manager.review(named(name, symbol=symbol)).refusing_rules


def test_a_symbol_without_a_fresh_quote_stops_only_its_own_orders() -> None:
    feed = _Feed()
    feed.door.go_to(feed.door.clock.now_utc() + timedelta(seconds=30))
    feed.quote("XYZ")
    feed.quote("ABC", age_seconds=11)
    assert feed.refusing("o-1", "ABC") == ("quote_is_fresh",)
    assert feed.refusing("o-2", "XYZ") == ()
    # A wrong quote, and the old one said again, make it no fresher; the next one does.
    feed.quote("ABC", bid=20.02)
    feed.quote("ABC", bid=0.0)
    feed.quote("ABC", age_seconds=11)
    assert feed.refusing("o-3", "ABC") == ("quote_is_fresh",)
    feed.quote("ABC", age_seconds=9)
    assert feed.refusing("o-4", "ABC") == ()


def test_a_halt_stops_the_orders_of_its_symbol_until_it_resumes() -> None:
    feed = _Feed()
    feed.market.take_halt(halt_of(is_halted=True))
    assert feed.refusing("o-1", "ABC") == ("symbol_is_not_halted",)
    assert feed.refusing("o-2", "XYZ") == ()
    feed.market.take_halt(halt_of(is_halted=False))
    assert feed.refusing("o-3", "ABC") == ()
