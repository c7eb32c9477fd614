"""What the paper venue does with requests at odd moments, and with a damaged file."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.paper import PaperBroker
from aegis.execution.brokers.paper_log import PaperLog
from aegis.execution.order_states import OrderState
from tests.minute_tapes import WrittenTape, flat, minute

CALENDAR = trading_calendar("XNYS")
FRIDAY, MONDAY = date(2014, 6, 6), date(2014, 6, 9)
OPEN = CALENDAR.open_utc(FRIDAY)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def venue(tmp_path):
    return Venue(tmp_path / "paper.jsonl")


class Venue:
    """A clock, a tape and a file, and brokers over them."""

    def __init__(self, path) -> None:
        self.path, self.tape = path, WrittenTape()
        self.clock = SimulatedClock(datetime(2014, 6, 5, 20, 15, tzinfo=UTC))

    def broker(self, account="simulated", *, cash_usd=10_000.0):
        return PaperBroker(
            AccountState.opening(account, cash_usd=cash_usd),
            log=PaperLog(self.path),
            tape=self.tape,
            calendar=CALENDAR,
            costs=CostModel(),
            rules=TradingRules(participation_rate=1.0),
            clock=self.clock,
        )

    def trade(self, number, price_usd, volume_shares=1e6, session=FRIDAY):
        opens = CALENDAR.open_utc(session) + number * MINUTE
        self.tape.written.append(minute(session, opens, opens + MINUTE, {"ABC": flat(price_usd, volume_shares)}))

    def at(self, number, seconds=0, session=FRIDAY):
        self.clock.advance_to(CALENDAR.open_utc(session) + number * MINUTE + timedelta(seconds=seconds))


@pytest.fixture
def order_of(order_of):
    return lambda **terms: order_of(**{"algorithm": "market", **terms})


def prices(broker):
    return [item.event.fill.price_usd for item in broker.events_since(0) if item.event.fill is not None]


def test_an_order_given_within_a_minute_fills_in_the_next_one(venue, order_of):
    broker = venue.broker()
    venue.at(1)
    venue.trade(0, 10.0)
    venue.at(1, seconds=20)
    broker.submit(order_of())
    venue.trade(1, 11.0)
    venue.trade(2, 12.0)
    venue.at(3)
    assert prices(broker) == [12.0]


def test_an_order_given_after_the_opening_keeps_out_of_the_opening_minute(venue, order_of):
    broker = venue.broker()
    venue.at(0, seconds=30)
    broker.submit(order_of())
    venue.trade(0, 10.0)
    venue.trade(1, 11.0)
    venue.at(2)
    assert prices(broker) == [11.0]


def test_a_split_is_booked_at_the_opening_before_anything_trades(venue, order_of):
    venue.tape.booked[MONDAY] = (CorporateAction(action="split", symbol="ABC", split_ratio=2.0),)
    broker = venue.broker()
    broker.submit(order_of())
    venue.trade(0, 10.0)
    venue.at(0, session=MONDAY)
    (held,) = broker.positions()
    assert (held.quantity_shares, held.mark_price_usd, broker.account().equity_usd) == (200.0, 5.0, 10_000.0)


def test_a_venue_that_was_down_for_a_session_finds_what_happened_in_it(venue, order_of):
    order = order_of()
    venue.broker().submit(order)
    venue.trade(0, 10.0)
    venue.at(5, session=MONDAY)
    broker = venue.broker()
    broker.adopt(order)
    assert [str(item.event.kind) for item in broker.events_since(0)] == ["accepted", "filled"]
    assert broker.find_order(order.client_order_id).state is OrderState.FILLED


def test_what_is_recorded_is_not_told_again(venue, order_of):
    order = order_of()
    first = venue.broker()
    first.submit(order)
    venue.trade(0, 10.0, volume_shares=40)
    venue.at(1)
    told = [item.event for item in first.events_since(0)]
    venue.trade(1, 10.0, volume_shares=25)
    venue.at(2)
    again = venue.broker()
    again.adopt(order, told)
    assert [item.event.fill.quantity_shares for item in again.events_since(0)] == [25.0]


def test_an_algorithm_is_not_worked_here(venue, order_of):
    status = venue.broker().submit(order_of(algorithm="vwap"))
    assert status.state is OrderState.REJECTED


def test_an_order_of_a_session_that_is_over_is_rejected(venue, order_of):
    broker = venue.broker()
    venue.at(0, session=MONDAY)
    broker.submit(order_of())
    (rejected,) = broker.events_since(0)
    assert "session 2014-06-06 has closed" in rejected.event.reason


def test_exits_are_given_before_the_session(venue, order_of):
    broker = venue.broker()
    entry = order_of(client_order_id="entry")
    broker.submit(entry)
    venue.at(1)
    exit_order = order_of(
        client_order_id="stop", quantity_shares=-100, parent_id="entry", order_type="stop", stop_price_usd=9.0
    )
    assert broker.submit(exit_order).state is OrderState.REJECTED


def test_a_line_that_a_crash_tore_never_took_effect(venue, order_of):
    venue.broker().submit(order_of())
    whole = venue.path.read_bytes()
    venue.path.write_bytes(whole[:-20])
    broker = venue.broker()
    assert broker.open_orders() == ()
    broker.submit(order_of(client_order_id="another"))
    assert [status.order.client_order_id for status in venue.broker().open_orders()] == ["another"]


@pytest.mark.parametrize("line", [0, 1])
def test_a_file_with_a_lost_line_is_not_opened(venue, order_of, line):
    broker = venue.broker()
    broker.submit(order_of(client_order_id="one"))
    broker.submit(order_of(client_order_id="two"))
    lines = venue.path.read_text().splitlines(keepends=True)
    venue.path.write_text("".join(lines[:line] + lines[line + 1 :]))
    with pytest.raises(ExecutionError, match="damaged"):
        venue.broker()


def test_a_file_of_another_account_is_not_opened(venue):
    venue.broker()
    with pytest.raises(ExecutionError, match="paper account simulated"):
        venue.broker("another")
    with pytest.raises(ExecutionError, match=r"10000.00 USD"):
        venue.broker(cash_usd=5.0)


def test_nothing_happens_that_cannot_be_written(venue, order_of, monkeypatch):
    broker = venue.broker()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aegis.execution.brokers.paper_log.append_json_line", full_disk)
    with pytest.raises(ExecutionError, match="No space left"):
        broker.submit(order_of())
    monkeypatch.undo()
    assert broker.open_orders() == ()


def test_only_minutes_that_decide_something_are_kept(venue):
    broker = venue.broker()
    for number in range(3):
        venue.trade(number, 10.0)
    venue.at(3)
    broker.events_since(0)
    kinds = [sorted(json.loads(line)) for line in venue.path.read_text().splitlines()]
    assert len(kinds) == 2  # the account and the session: nobody holds or wants ABC


@pytest.mark.parametrize("last_minute", [1, 389], ids=["acquirer is quiet at the end", "acquirer trades until the end"])
def test_a_merger_pays_the_acquirer_s_shares_at_its_last_minute_of_the_session(venue, order_of, last_minute):
    """100 ABC bought at 10: 2 USD and 0.355 XYZ each, which is last traded at 20: 35 XYZ, and half a share in cash."""
    venue.tape.booked[MONDAY] = (
        CorporateAction(action="merger", symbol="ABC", merger_cash_usd=2.0, merger_ratio=0.355, acquirer="XYZ"),
        CorporateAction(action="delisting", symbol="ABC"),
    )
    venue.tape.traded = ("ABC", "XYZ")
    broker = venue.broker()
    broker.submit(order_of())
    venue.trade(0, 10.0)
    for number, price in ((0, 19.0), (last_minute, 20.0)):
        opens = CALENDAR.open_utc(MONDAY) + number * MINUTE
        venue.tape.written.append(minute(MONDAY, opens, opens + MINUTE, {"XYZ": flat(price, 1e6)}))
    venue.at(390, session=MONDAY)
    (held,) = broker.positions()
    assert (held.symbol, held.quantity_shares, held.average_cost_usd, held.mark_price_usd) == ("XYZ", 35.0, 20.0, 20.0)
    assert broker.account().cash_usd == pytest.approx(10_000.0 - 1_000.0 + 200.0 + 10.0)
    again = venue.broker()
    assert again.positions() == broker.positions()
