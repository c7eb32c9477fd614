"""What the rules at the door are told of fills and positions: each fill once, and when the broker was asked."""

from __future__ import annotations

from datetime import timedelta

from aegis.errors import RiskError
from tests.integration.live_trading.trading_process import IN_SESSION, NoRules


class Told(NoRules):
    """Rules that keep what they are told, and cannot count the first fill of a symbol."""

    def __init__(self, uncounted: str = "") -> None:
        self.uncounted = uncounted
        self.fills: list[str] = []
        self.stated: list[tuple[dict[str, float], object]] = []

    def settle(self, event) -> None:
        if event.fill is None:
            return
        if event.fill.symbol == self.uncounted:
            message = f"{event.fill.symbol}: it cannot be counted"
            raise RiskError(message)
        self.fills.append(event.fill.symbol)

    def observe_account(self, _balance, positions, *, at_utc) -> None:
        self.stated.append(({item.symbol: item.quantity_shares for item in positions}, at_utc))


def test_a_fill_that_the_rules_cannot_count_keeps_no_other_from_them(venue, start) -> None:
    rules = Told("ABC")
    process = start(rules=lambda _: rules)
    system = process.system
    sent = [system.submit_order(system.order(name, 10, name=name, arrival_price_usd=10.0)) for name in ("ABC", "DEF")]
    for status in sent:
        venue.book.fill(status.order.client_order_id, "10", "10.00")
    process.broker.catch_up()
    system.door.take_events()
    assert system.door.contradictions() == ("ABC: it cannot be counted",)
    assert rules.fills == ["DEF"]
    assert [fill.symbol for fill in system.fills(IN_SESSION.date(), IN_SESSION.date())] == ["ABC", "DEF"]
    process.close()


def test_positions_are_of_the_instant_at_which_they_were_asked_for(venue, start, monkeypatch) -> None:
    """A fill between two questions of one look is in the positions; were it later than them, it would count twice."""
    rules = Told()
    process = start(rules=lambda _: rules)
    system, broker = process.system, process.broker
    status = system.submit_order(system.order("ABC", 10, name="fills", arrival_price_usd=10.0))
    executed = IN_SESSION + timedelta(seconds=2)
    held = broker.positions

    def filled_before():
        monkeypatch.undo()
        process.clock.advance_to(executed)
        venue.book.now_utc = executed
        venue.book.fill(status.order.client_order_id, "10", "10.00")
        found = held()
        process.clock.advance_to(executed + timedelta(seconds=1))
        broker.catch_up()
        system.door.take_events()  # as a thread does that submits
        return found

    monkeypatch.setattr(broker, "positions", filled_before)
    assert system.reconcile().is_clean
    positions, asked = rules.stated[-1]
    assert positions == {"ABC": 10.0}
    assert asked > executed
    process.close()
