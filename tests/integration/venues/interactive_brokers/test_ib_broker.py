"""What Interactive Brokers refuses, what it says of the account, and which accounts may be traded."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from aegis.clock import SimulatedClock
from aegis.errors import BrokerUnavailable, ConfigurationError, ExecutionError, OrderRejected
from aegis.execution.brokers.live_confirmation import LiveTradingConfirmation
from aegis.execution.order_states import OrderState
from aegis.execution.orders import OrderEventKind
from tests.integration.vendors.tws.faults import Altered, Notice, Silence, Swallowed
from tests.integration.vendors.tws.order_messages import order_status
from tests.integration.vendors.tws.wire import ToClient, ToGateway, error
from tests.integration.venues.interactive_brokers.venue import AFTER_THE_CLOSE

PLACE = ToGateway.PLACE_ORDER
IMPATIENT = {"answer_timeout_seconds": 0.1, "attempts": 2}
CONFIRMED = LiveTradingConfirmation(
    account="simulated", confirmed_by="Ada", expires_at_utc=AFTER_THE_CLOSE + timedelta(minutes=5)
)


@pytest.fixture
def live(venue):
    """The venue, as a gateway that is logged on to an account of real money."""
    venue.gateway.accounts = venue.desk.account = "U1234567"
    yield venue
    venue.gateway.accounts = "DU0000001"


@pytest.mark.parametrize(
    ("scripted", "terms", "reason"),
    [
        (None, {"quantity_shares": 1001.0}, "buying power: error 201: We are unable to accept your order."),
        (None, {"quantity_shares": -1.0}, "short selling: error 201: a cash account may not hold"),
        (None, {"symbol": "NIL"}, "venue: error 200: No security definition has been found for the request; correct"),
        (None, {"symbol": "DEF"}, "halted: error 201: DEF is halted"),
        ((110, "The price does not conform to the minimum price variation"), {}, "tick size: error 110"),
        ((201, "Order rejected - reason:The exchange is closed"), {}, "closed session: error 201"),
        ((203, "The security is not available"), {}, "venue: error 203: The security is not available; the account"),
        ((10243, "Fractional-sized order cannot be placed via API"), {}, "lot size: error 10243"),
    ],
)
def test_what_the_venue_refuses_is_rejected_in_its_own_words(venue, broker, order_of, scripted, terms, reason):
    venue.desk.halted.add("DEF")
    if scripted is not None:
        venue.desk.rejections.append(scripted)
    assert broker.submit(order_of(**terms)).state is OrderState.REJECTED
    (item,) = broker.events_since(0)
    assert item.event.reason.startswith(reason)
    assert (broker.unknown_orders(), broker.contradictions()) == ((), ())


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"order_type": "limit", "limit_price_usd": 10.001}, "tick size"),
        ({"algorithm": "vwap"}, "venue: algorithm 'vwap'"),
        ({"parent_id": "entry"}, "venue: an order that waits for another"),
        ({"oco_group": "exits"}, "venue: an order that waits for another"),
        ({"account": "other"}, "wrong account: expected simulated, found other"),
        ({"execution_session": date(2014, 6, 5)}, "look-ahead"),
        ({"execution_session": date(2014, 6, 9)}, "closed session: sent before 2014-06-06T20:00"),
        ({"session": date(2014, 6, 3), "execution_session": date(2014, 6, 4)}, "too late: session 2014-06-04 closed"),
        ({"time_in_force": "GTD", "expires_at_utc": AFTER_THE_CLOSE}, "too late: good till"),
        ({"is_fractional": True, "quantity_shares": 0.5}, "lot size"),
    ],
)
def test_what_tws_has_no_words_for_is_rejected_before_anything_is_sent(venue, broker, order_of, terms, reason):
    assert broker.submit(order_of(**terms)).state is OrderState.REJECTED
    assert broker.events_since(0)[0].event.reason.startswith(reason)
    assert venue.gateway.received(PLACE) == []


def test_a_rejection_long_after_the_acknowledgement_is_the_orders_end(venue, broker, order_of):
    broker.submit(order_of())
    order = venue.desk.order_of("order-ABC")
    order.status, order.reason = "Inactive", "Available Funds are insufficient"
    venue.tell(
        error(order.order_id, 201, "Order rejected - reason:Available Funds are insufficient"), order_status(order)
    )
    broker.wait_for_events(1, timeout_seconds=5)
    status = broker.find_order("order-ABC")
    assert (status.state, broker.events_since(1)[0].event.reason) == (
        OrderState.REJECTED,
        "buying power: error 201: Available Funds are insufficient",
    )


def test_a_remark_refuses_nothing(venue, broker, order_of):
    remark = error(1, 399, "Order Message: your order will not be placed at the exchange until 2014-06-06 09:30:00")
    venue.gateway.script(PLACE, Altered(lambda answer: [(*remark[:2], answer[0][1], *remark[3:]), *answer]))
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED


def test_a_cancellation_that_the_venue_declines_leaves_the_order_at_work(venue, broker, order_of):
    broker.submit(order_of())
    order = venue.desk.order_of("order-ABC")
    venue.gateway.script(ToGateway.CANCEL_ORDER, Altered(lambda _: _uncancelled(order)))
    order_before = order.status
    status = broker.cancel("order-ABC")
    assert order_before == "Submitted"
    last = broker.events_since(0)[-1].event
    assert (str(last.kind), status.state, status.is_cancel_requested) == ("cancel rejected", OrderState.ACCEPTED, False)
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED


def _uncancelled(order):
    order.status = "Submitted"
    return [error(order.order_id, 161, "Cancel attempted when order is not in a cancellable state")]


def test_a_cancellation_that_comes_after_the_fill_finds_the_fill(venue, broker, order_of):
    broker.submit(order_of())
    venue.desk.fill(venue.desk.order_of("order-ABC"), 100, 10.0)
    assert broker.cancel("order-ABC").state is OrderState.FILLED


def test_an_order_cancelled_in_tws_says_by_whom(venue, broker, order_of):
    broker.submit(order_of())
    venue.tell(*venue.desk.cancel(venue.desk.order_of("order-ABC"), "Cancelled by Trader"))
    broker.wait_for_events(1, timeout_seconds=5)
    assert broker.events_since(1)[0].event.reason == "cancelled on request: Cancelled by Trader"


def test_the_quantity_of_an_order_that_has_begun_to_fill_counts_what_is_filled(venue, broker, order_of):
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    venue.desk.fill(venue.desk.order_of("order-ABC"), 30, 9.0)
    asked = replace(order, quantity_shares=50.0)
    status = broker.replace(asked, revision=1)
    assert (status.order, status.filled_shares, venue.desk.order_of("order-ABC").shares) == (asked, 30.0, 50.0)
    venue.desk.fill(venue.desk.order_of("order-ABC"), 20, 9.0)
    assert broker.find_order("order-ABC").state is OrderState.FILLED


def test_a_change_that_leaves_nothing_to_fill_is_declined(venue, broker, order_of):
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    venue.desk.fill(venue.desk.order_of("order-ABC"), 30, 9.0)
    status = broker.replace(replace(order, quantity_shares=30.0), revision=1)
    assert (status.order, len(venue.gateway.received(PLACE))) == (order, 1)
    assert "cancel the rest instead" in broker.events_since(0)[-1].event.reason


def test_a_change_that_the_venue_declines_leaves_the_order_as_it_was(venue, broker, order_of):
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    held = venue.desk.order_of("order-ABC")

    def decline(_):
        held.limit_price = "9.0"
        return [error(held.order_id, 110, "The price does not conform to the minimum price variation")]

    venue.gateway.script(PLACE, Altered(decline))
    status = broker.replace(replace(order, limit_price_usd=9.5), revision=1)
    assert (status.order, status.state) == (order, OrderState.ACCEPTED)
    assert broker.events_since(0)[-1].event.reason.startswith("tick size: error 110")
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED


def test_a_change_is_known_to_a_process_that_has_it_in_its_records(venue, broker, broker_of, order_of):
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    asked = replace(order, limit_price_usd=9.5)
    venue.gateway.script(PLACE, Silence())
    request = replace(broker.events_since(0)[0].event, kind=OrderEventKind.REPLACE_REQUESTED, revision=1, order=asked)
    venue.desk.order_of("order-ABC").limit_price = "9.5"
    broker.close()
    later = broker_of(connects=False)
    later.adopt(order, [broker.events_since(0)[0].event, request])
    later.connect()
    assert later.find_order("order-ABC").order == asked
    assert [(str(item.event.kind), item.event.revision) for item in later.events_since(0)] == [("replaced", 1)]


def test_an_order_of_other_terms_under_our_reference_at_the_venue_is_refused(venue, broker_of, order_of):
    earlier = broker_of()
    earlier.submit(order_of(quantity_shares=50.0))
    earlier.close()
    later = broker_of()
    later.adopt(order_of())
    with pytest.raises(OrderRejected, match=r"order-ABC.*an order of 50 ABC at Interactive Brokers already, found 100"):
        later.submit(order_of())
    assert venue.desk.accepted == {"order-ABC": 1}


def test_positions_are_marked_as_the_gateway_values_them(venue, broker):
    venue.desk.positions[1001] = (-7.0, 20.0)
    venue.desk.quotes[1001] = 22.5
    (position,) = broker.positions()
    assert (position.quantity_shares, position.average_cost_usd, position.mark_price_usd) == (-7.0, 20.0, 22.5)
    assert (broker.account().equity_usd, broker.account().cash_usd) == (10_000.0 - 7 * 22.5, 10_000.0)


def test_an_account_in_another_currency_is_refused(venue, broker):
    def in_euro(answer):
        told = str(ToClient.ACCOUNT_SUMMARY)
        return [(*fields[:-1], "EUR") if fields[0] == told else fields for fields in answer]

    venue.gateway.script(ToGateway.ACCOUNT_SUMMARY, Altered(in_euro))
    with pytest.raises(BrokerUnavailable, match=r"TotalCashValue of account DU0000001 in USD, found '10000.00' EUR"):
        broker.account()


@pytest.mark.parametrize(
    "question",
    ["positions", *(pytest.param(name, marks=pytest.mark.long) for name in ("account", "clock_skew_seconds"))],
)
def test_a_question_without_an_answer_is_asked_again_over_another_connection(venue, broker_of, question):
    broker = broker_of(**IMPATIENT)
    asked = {"positions": ToGateway.POSITIONS, "account": ToGateway.ACCOUNT_SUMMARY}.get(
        question, ToGateway.CURRENT_TIME
    )
    venue.gateway.script(asked, Silence())
    getattr(broker, question)()
    assert broker.stream_health().connections == 2


@pytest.mark.long
def test_a_question_that_stays_unanswered_is_an_error(venue, broker_of):
    broker = broker_of(**IMPATIENT)
    venue.gateway.always(ToGateway.POSITIONS, Swallowed())
    with pytest.raises(BrokerUnavailable, match=r"no answer within 0\.1 s"):
        broker.positions()


@pytest.mark.long
def test_no_gateway_is_an_error_that_says_what_to_start(broker_of):
    broker = broker_of(connects=False, port=9, connect_timeout_seconds=0.1)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match=r"no connection to 127\.0\.0\.1:9.*start TWS or IB Gateway"):
            broker.connect()


def test_connecting_twice_is_an_error(broker):
    with pytest.raises(ExecutionError, match="connected to Interactive Brokers already"):
        broker.connect()


def test_a_client_id_that_another_program_uses_is_named(broker_of):
    broker_of()
    second = broker_of(connects=False, connect_timeout_seconds=0.15)
    with pytest.raises(BrokerUnavailable, match=r"error 326.*client_id to a number that no other program uses"):
        second.connect()


@pytest.mark.long
def test_a_gateway_that_speaks_an_old_protocol_is_refused(venue, broker_of):
    venue.gateway.server_version = 163
    broker = broker_of(connects=False, connect_timeout_seconds=0.15)
    try:
        with pytest.raises(BrokerUnavailable, match="update TWS"):
            broker.connect()
    finally:
        venue.gateway.server_version = 176


def test_nothing_is_asked_before_connecting_nor_after_closing(venue, broker_of):
    broker = broker_of(connects=False)
    with pytest.raises(BrokerUnavailable, match="not connected yet"):
        broker.positions()
    assert venue.gateway.requests == []
    broker.connect()
    broker.close()
    with pytest.raises(BrokerUnavailable, match="closed"):
        broker.account()


def test_a_notice_before_an_answer_changes_nothing(venue, broker_of):
    venue.gateway.script(ToGateway.POSITIONS, Notice(2103, "Market data farm connection is broken:usfarm"))
    assert broker_of().positions() == ()


@pytest.mark.parametrize("port", [4001, 7496])
def test_a_port_of_live_trading_is_not_reached_without_a_confirmation(broker_of, port):
    with pytest.raises(ConfigurationError, match=f"port {port} may trade real money, and nobody has confirmed"):
        broker_of(connects=False, port=port)
    broker_of(connects=False, port=port, confirmation=CONFIRMED)


def test_a_live_account_behind_a_paper_port_is_not_traded_without_a_confirmation(live, broker_of, order_of):
    broker = broker_of(connects=False)
    with pytest.raises(ConfigurationError, match="account 'U1234567' may trade real money"):
        broker.connect()
    with pytest.raises(ConfigurationError, match="U1234567"):
        broker.submit(order_of())
    assert live.gateway.received(PLACE) == []


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"account": "other"}, "confirmed for account 'other'"),
        ({"confirmed_by": " "}, "confirmed by nobody"),
        ({"expires_at_utc": AFTER_THE_CLOSE}, "ended at"),
    ],
)
@pytest.mark.usefixtures("live")
def test_a_confirmation_of_something_else_confirms_nothing(broker_of, terms, why):
    with pytest.raises(ConfigurationError, match=why):
        broker_of(confirmation=replace(CONFIRMED, **terms))


def test_a_confirmation_that_ends_lets_nothing_new_leave_and_cancels_what_is_there(live, broker_of, order_of):
    clock = SimulatedClock(AFTER_THE_CLOSE)
    broker = broker_of(confirmation=CONFIRMED, clock=clock)
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    clock.advance_to(CONFIRMED.expires_at_utc)
    assert broker.submit(order_of(symbol="DEF")).state is OrderState.REJECTED
    reason = broker.events_since(0)[-1].event.reason
    assert reason.startswith("not confirmed: ")
    assert "ended at" in reason
    changed = replace(order_of(), quantity_shares=200.0)
    assert broker.replace(changed, revision=1).order.quantity_shares == 100.0
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED
    assert live.desk.accepted == {"order-ABC": 1}


def test_a_confirmation_that_ends_lets_positions_be_reduced_after_another_logon_too(live, broker_of, order_of):
    live.desk.positions[1001] = (30.0, 10.0)
    clock = SimulatedClock(AFTER_THE_CLOSE)
    broker = broker_of(confirmation=CONFIRMED, clock=clock, reconnect_first_seconds=0.01)
    clock.advance_to(CONFIRMED.expires_at_utc)
    live.gateway.drop_all()
    for name, shares, state in (
        ("turns over", -31.0, OrderState.REJECTED),
        ("most", -20.0, OrderState.ACCEPTED),
        ("too much", -11.0, OrderState.REJECTED),
        ("rest", -10.0, OrderState.ACCEPTED),
    ):
        order = order_of(client_order_id=name, quantity_shares=shares, is_reducing=True)
        assert broker.submit(order).state is state, name
    assert live.desk.accepted == {"most": 1, "rest": 1}


def test_of_several_accounts_one_must_be_named(venue, broker_of, order_of):
    venue.gateway.accounts = "DU0000001,DU0000002"
    try:
        with pytest.raises(ConfigurationError, match=r"manages 2 accounts; set it to one of DU0000001, DU0000002"):
            broker_of()
        with pytest.raises(ConfigurationError, match="found 'DU0000003'"):
            broker_of(account="DU0000003")
        broker = broker_of(account="DU0000001")
        broker.submit(order_of())
        assert (broker.account_code, venue.desk.orders[0].account) == ("DU0000001", "DU0000001")
    finally:
        venue.gateway.accounts = "DU0000001"
