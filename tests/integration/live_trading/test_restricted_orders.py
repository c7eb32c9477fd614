"""What is open in a symbol that is restricted after it left: by a real list, at a venue that knows none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aegis.compliance.restricted_list_in_use import RestrictedListInUse
from aegis.execution.algorithms.planning import PastMarket
from aegis.execution.orders import OrderEventKind
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.live_trader import TraderReport
from aegis.live_trading.symbol_knowledge import symbol_facts
from aegis.live_trading.trading_process import Knowledge, TradingProcess
from tests.integration.live_trading.trading_process import IN_SESSION
from tests.integration.monitoring.watched_account import WatchedAccount
from tests.integration.vendors.vendor_server import Status
from tests.integration.venues.alpaca.rest import Before
from tests.integration.venues.alpaca.server import AlpacaVenue

SESSION = IN_SESSION.date()
HEADER = "symbol,from,until,known_at_utc,restriction,reason\n"


class Desk:
    """The process of an account whose decisions are made elsewhere; trader and feed in one."""

    def __init__(self, account: WatchedAccount, file: Path) -> None:
        self.account, self._file = account, file
        file.write_text(HEADER)
        listed = RestrictedListInUse(file, account.clock)

        def facts(symbols, session: date):
            past = PastMarket(daily_volume_shares=1e6)
            return symbol_facts(
                symbols,
                session,
                past=lambda *_: past,
                restrictions=listed.restrictions,
                clock=account.clock,
            )

        knowledge = Knowledge(facts=facts, actions=lambda _: (), look_at_restrictions=listed.look)
        parts = account.system, self, account.rules, self, knowledge
        self.process = TradingProcess(*parts, venue=account.broker, clock=account.clock)

    def restrict(self, symbol: str, restriction: str, since: date = SESSION, until: date | None = None) -> None:
        """Write a line that is known since the session before."""
        line = f"{symbol},{since},{until or ''},2014-06-05T20:00:00Z,{restriction},merger talks\n"
        self._file.write_text(self._file.read_text() + line)

    def look(self, seconds: float = 1.0) -> tuple[str, ...]:
        """Let time pass, step, and return what is told."""
        clock = self.account.clock
        clock.advance_to(clock.now_utc() + timedelta(seconds=seconds))
        self.account.hear()
        return self.process.step().failures

    def rest(self, symbol: str, shares: int, name: str, limit_usd: float) -> str:
        """Let an order rest at the venue and return its id."""
        order = self.account.system.order(
            symbol,
            shares,
            name=name,
            arrival_price_usd=limit_usd,
            order_type="limit",
            limit_price_usd=limit_usd,
            time_in_force="GTC",
        )
        self.account.system.submit_order(order)
        assert self.is_open(order.client_order_id)
        return order.client_order_id

    def is_open(self, name: str) -> bool:
        """Whether an order is open by the venue's own book."""
        (row,) = (row for row in self.account.venue.book.orders.values() if row["client_order_id"] == name)
        return row["status"] == "new"

    def attempt(self, learn: Callable[[], object]) -> TraderReport:
        learn()
        self.account.system.step()
        return TraderReport(at_utc=self.account.clock.now_utc(), stopped="", breaks=(), parents=(), failures=())

    def symbols(self) -> set[str]:
        return {"ABC", "DEF"}

    def execution_session(self) -> date:
        return SESSION

    def start(self) -> None: ...

    def step(self) -> None: ...


@pytest.fixture
def desk(venue: AlpacaVenue, tmp_path: Path) -> Iterator[Desk]:
    with closing(WatchedAccount(venue, tmp_path)) as account:
        yield Desk(account, tmp_path / "restricted.csv")


def test_what_rests_in_a_symbol_that_becomes_restricted_is_cancelled_in_the_same_step(desk: Desk) -> None:
    desk.account.trade("bought", "ABC", 40, "10.00")
    buys, sells = desk.rest("ABC", 5, "buys", 9.9), desk.rest("ABC", -10, "sells", 10.1)
    other = desk.rest("DEF", 5, "other", 19.9)
    assert desk.look() == ()
    desk.restrict("ABC", "no opening")
    (told,) = desk.look()
    assert f"order {buys} (ABC) is cancelled: restricted: no opening since {SESSION}: merger talks" in told
    assert (desk.is_open(buys), desk.is_open(sells), desk.is_open(other)) == (False, True, True)
    assert desk.look() == ()
    desk.restrict("ABC", "no trading")
    (told,) = desk.look()
    assert f"order {sells} (ABC) is cancelled: restricted: no trading" in told
    assert (desk.is_open(sells), desk.is_open(other)) == (False, True)
    assert desk.look() == ()


def test_a_sale_beyond_what_is_held_does_not_stay_where_opening_is_restricted(desk: Desk) -> None:
    desk.account.trade("bought", "ABC", 40, "10.00")
    desk.look()
    name = desk.rest("ABC", -10, "sells", 10.1)
    desk.account.venue.book.book("ABC", Decimal(-35), Decimal(10))
    desk.account.system.take_over_positions(reason="given away", actor="ada")
    desk.account.look(60)
    desk.restrict("ABC", "no opening")
    desk.look()
    assert not desk.is_open(name)


def test_a_line_that_does_not_bind_in_the_session_ends_nothing(desk: Desk) -> None:
    name = desk.rest("ABC", 5, "rests", 9.9)
    desk.restrict("ABC", "no trading", SESSION - timedelta(days=9), SESSION - timedelta(days=1))
    desk.restrict("ABC", "no trading", SESSION + timedelta(days=3))
    assert desk.look() == ()
    assert desk.is_open(name)


def test_one_that_cannot_be_cancelled_keeps_no_other_open_and_is_asked_for_again(desk: Desk) -> None:
    names = [desk.rest("ABC", number, f"order {number}", 9.9) for number in (1, 2, 3)]
    rest = desk.account.venue.rest
    rest.script("DELETE", *[Before(Status(503))] * 4)
    desk.restrict("ABC", "no trading")
    (told,) = desk.look()
    assert "requests to cancel it, and it is still open" in told
    assert [desk.is_open(name) for name in names].count(True) == 1
    rest.heal()
    desk.look(60)
    assert not any(desk.is_open(name) for name in names)
    assert desk.look() == ()


def test_what_nobody_has_sent_yet_ends_by_its_own_name(desk: Desk) -> None:
    system = desk.account.system
    order = system.order("ABC", 5, name="decided", arrival_price_usd=10.0)
    system.door._record.commit(order, None, is_child=False)
    system.ledger.flush()
    desk.restrict("ABC", "no trading")
    desk.look()
    (ended,) = system.ledger._journal.events(kinds=[OrderEventKind.CANCELLED])
    assert ended.client_order_id == order.client_order_id
    assert ended.payload["reason"].startswith(f"exit rule: restricted: no trading since {SESSION}: merger talks")
    assert desk.account.venue.book.orders == {}


def test_a_stop_goes_before_it_and_the_list_is_looked_at_after_the_release(desk: Desk) -> None:
    switch = KillSwitch(desk.account.config.kill_switch)
    name = desk.rest("ABC", 5, "rests", 9.9)
    assert desk.look() == ()
    desk.account.venue.rest.script("DELETE", *[Before(Status(503))] * 4)
    switch.engage("enough", actor="ada", at_utc=desk.account.clock.now_utc())
    desk.restrict("ABC", "no trading")
    assert not any("restricted" in told for told in desk.look())
    assert desk.is_open(name)
    desk.account.venue.rest.heal()
    switch.release("found", actor="ada", at_utc=desk.account.clock.now_utc())
    assert any("restricted" in told for told in desk.look())
    assert not desk.is_open(name)
