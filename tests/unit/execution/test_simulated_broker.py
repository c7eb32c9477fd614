from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime

import pytest

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import CorporateAction
from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState, Position
from aegis.execution.accounting import expected_quantities, session_pnl
from aegis.execution.order_records import canonical_json
from aegis.execution.order_states import OrderState
from tests.unit.execution.simulated_accounts import (
    FLAT,
    FRIDAY,
    MONDAY,
    THURSDAY,
    UNLEVERED,
    account_of,
    broker_of,
    holding,
    reasons,
    session_of,
)


def test_a_position_without_a_bar_keeps_its_mark(market_of):
    after = session_of(broker_of(account_of(holding(100.0, mark=12.0))), market_of(FRIDAY))
    assert (after.positions[0].mark_price_usd, after.positions[0].mark_session) == (12.0, THURSDAY)


def test_average_cost_follows_purchases_and_ignores_sales(order_of, market_of):
    broker = broker_of(account_of(holding(100.0, cost=8.0)))
    broker.submit(order_of(quantity_shares=100.0))
    after = session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT}))
    assert after.positions[0].average_cost_usd == 9.0  # (100 * 8 + 100 * 10) / 200
    broker.submit(order_of(client_order_id="s", session=FRIDAY, execution_session=MONDAY, quantity_shares=-150.0))
    after = session_of(broker, market_of(MONDAY, bars={"ABC": (20.0, 20.0, 20.0, 20.0, 1e6)}))
    assert (after.positions[0].quantity_shares, after.positions[0].average_cost_usd) == (50.0, 9.0)


def test_where_short_selling_is_configured_a_sale_may_cross_zero(order_of, market_of):
    broker = broker_of(account_of(holding(100.0, cost=8.0)), rules=UNLEVERED)
    broker.submit(order_of(quantity_shares=-150.0))
    after = session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT}))
    (position,) = after.positions
    assert (position.quantity_shares, position.average_cost_usd, after.cash_usd) == (-50.0, 10.0, 11_500.0)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"account": "other"}, "wrong account: expected simulated, found other"),
        ({"execution_session": THURSDAY}, "look-ahead"),
        ({"session": date(2014, 6, 4)}, "too late: decided after 2014-06-04, but session 2014-06-05"),
    ],
)
def test_orders_that_could_not_have_been_sent_are_rejected(order_of, terms, reason):
    broker = broker_of(account_of())
    assert broker.submit(order_of(**terms)).state is OrderState.REJECTED
    assert reason in reasons(broker)[0][1]


def test_an_order_that_arrives_during_its_session_is_too_late(order_of, market_of):
    broker = broker_of(account_of())
    broker.begin_session(market_of(FRIDAY, bars={"ABC": FLAT}))
    assert broker.submit(order_of()).state is OrderState.REJECTED


def test_an_order_for_a_later_session_waits(order_of, market_of):
    broker = broker_of(account_of())
    broker.submit(order_of(execution_session=MONDAY))
    assert len(session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT})).open_orders) == 1
    assert session_of(broker, market_of(MONDAY, bars={"ABC": FLAT})).quantity_shares("ABC") == 100.0


def test_an_order_whose_session_was_skipped_expires(order_of, market_of):
    broker = broker_of(account_of())
    broker.submit(order_of())
    after = session_of(broker, market_of(MONDAY, bars={"ABC": FLAT}))
    assert (after.positions, after.open_orders) == ((), ())
    assert reasons(broker)[1] == ("expired", "session 2014-06-06 was never traded")


def test_sessions_run_forward_one_at_a_time(market_of):
    broker = broker_of(account_of())
    with pytest.raises(ExecutionError, match="no session is open"):
        broker.end_session()
    with pytest.raises(ExecutionError, match="booked up to 2014-06-05"):
        broker.begin_session(market_of(THURSDAY))
    broker.begin_session(market_of(FRIDAY))
    with pytest.raises(ExecutionError, match="2014-06-06 is still open"):
        broker.begin_session(market_of(MONDAY))


def test_market_orders_are_stamped_at_the_open_and_vwap_orders_at_the_close(order_of, market_of):
    broker = broker_of(account_of())
    broker.submit(order_of(client_order_id="a", algorithm="market"))
    broker.submit(order_of(client_order_id="b", algorithm="vwap"))
    market = market_of(FRIDAY, bars={"ABC": FLAT})
    session_of(broker, market)
    filled = {i.event.client_order_id: i.event.at_utc for i in broker.events_since(2)}
    assert filled == {"a": market.opens_at_utc, "b": market.closes_at_utc}


def test_a_broker_restored_from_its_state_goes_on_to_the_bit(order_of, market_of):
    broker = broker_of(account_of(holding(100.0, mark=1 / 3)), costs=CostModel(5.0, 1.0))
    broker.submit(order_of(quantity_shares=7.0))
    text = canonical_json(broker.state().to_record())
    restored = broker_of(AccountState.from_record(json.loads(text)), costs=CostModel(5.0, 1.0))
    market = market_of(FRIDAY, bars={"ABC": (10.1, 10.7, 9.3, 10.3, 1e6)})
    assert session_of(restored, market) == session_of(broker, market)
    assert restored.events_since(0)[0].event == broker.events_since(1)[0].event


def test_the_parts_of_a_session_add_up_to_its_equity_change(order_of, market_of):
    before = account_of(holding(100.0, mark=20.0))
    broker = broker_of(before, costs=CostModel(100.0, 10.0))
    broker.submit(order_of(quantity_shares=50.0, algorithm="market"))
    actions = (
        CorporateAction(action="split", symbol="ABC", split_ratio=2.0),
        CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5),
    )
    market = market_of(FRIDAY, bars={"ABC": (11.0, 13.0, 10.0, 12.0, 1e6)}, actions=actions)
    after = session_of(broker, market)
    fills = [item.event.fill for item in broker.events_since(0) if item.event.fill is not None]
    pnl = session_pnl(before, after, market=market, fills=fills)
    # Overnight: 200 * (12 - 20 / 2). Bought 100 at 11, close 12. Slippage 1 % of 11 on 100. Commission 10 bps of 1 111.
    assert pnl.price_pnl_usd == 400.0
    assert pnl.trading_pnl_usd == 100.0
    assert pnl.dividends_usd == 50.0
    assert pnl.slippage_usd == pytest.approx(-11.0, abs=1e-9)
    assert pnl.commission_usd == pytest.approx(-1.111, abs=1e-9)
    assert pnl.interest_usd == 0.0
    assert pnl.equity_change_usd == pytest.approx(400 + 100 + 50 - 11 - 1.111, abs=1e-9)
    assert abs(pnl.residual_usd) < 1e-9
    assert pnl.return_daily == pytest.approx(537.889 / 12_000.0, abs=1e-12)


def test_expected_shares_follow_splits_fills_and_delistings(order_of, market_of):
    held = (
        holding(25.0),
        Position("DEF", "DEF", 7.0, 1.0, 1.0, THURSDAY),
        Position("XYZ", "XYZ", 5.0, 1.0, 1.0, THURSDAY),
    )
    before = account_of(*held)
    broker = broker_of(before)
    broker.submit(order_of(symbol="NEW", quantity_shares=3.0))
    broker.submit(order_of(symbol="XYZ", quantity_shares=-5.0))
    actions = (
        CorporateAction(action="split", symbol="ABC", split_ratio=0.1),
        CorporateAction(action="delisting", symbol="DEF"),
    )
    market = market_of(FRIDAY, bars={"NEW": FLAT, "XYZ": FLAT}, actions=actions)
    after = session_of(broker, market)
    fills = [item.event.fill for item in broker.events_since(0) if item.event.fill is not None]
    assert expected_quantities(before, market=market, fills=fills) == {"ABC": 2.0, "NEW": 3.0}
    assert {p.symbol: p.quantity_shares for p in after.positions} == {"ABC": 2.0, "NEW": 3.0}


def test_the_residual_shows_a_booking_that_nothing_explains(market_of):
    before = account_of(holding(100.0))
    after = AccountState(account="simulated", session=FRIDAY, cash_usd=10_003.0, positions=before.positions)
    pnl = session_pnl(before, after, market=market_of(FRIDAY), fills=())
    assert pnl.residual_usd == pytest.approx(3.0)


def test_an_account_without_equity_has_no_return(market_of):
    broke = account_of(cash=0.0)
    with pytest.raises(ExecutionError, match="must be positive"):
        session_pnl(broke, broke, market=market_of(FRIDAY), fills=())


def test_buying_power_is_cash_or_what_free_equity_carries():
    # 1,000 USD of cash less 50 short at 10: equity 500, of which 250 are bound.
    short = account_of(holding(-50.0, cost=10.0), cash=1_000.0)
    margin = TradingRules(account_type="margin")  # Regulation T: 0.5

    assert broker_of(account_of(holding(100.0), cash=-5.0)).account().buying_power_usd == 0.0
    assert broker_of(account_of(holding(100.0), cash=250.0)).account().buying_power_usd == 250.0
    assert broker_of(short, rules=margin).account().buying_power_usd == 500.0  # 500 / 0.5 - 50 * 10
    assert (
        broker_of(short, rules=TradingRules(account_type="margin", max_leverage=1.5)).account().buying_power_usd
        == 250.0
    )


def test_an_order_below_the_least_value_is_rejected_unless_it_closes(order_of):
    broker = broker_of(account_of(holding(30.0)), rules=TradingRules(min_notional_usd=500.0))

    small = broker.submit(order_of(client_order_id="a", quantity_shares=40.0))
    closing = broker.submit(order_of(client_order_id="b", quantity_shares=-30.0))

    assert small.state is OrderState.REJECTED
    assert broker.events_since(0)[0].event.reason.startswith("minimum notional: 400.00 USD of 500")
    assert closing.state is OrderState.ACCEPTED


# 10 000 USD at 10 a share pay for 1000 of 1500 shares.
def test_a_purchase_beyond_the_cash_is_cut_and_its_rest_ends_for_buying_power(market_of, order_of):
    broker = broker_of(account_of())
    broker.submit(order_of(quantity_shares=1500.0))
    session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT}))
    assert [kind for kind, _ in reasons(broker)] == ["accepted", "partially filled", "cancelled"]
    assert "buying power" in reasons(broker)[-1][1]
    assert broker.positions()[0].quantity_shares == 1000.0
    assert broker.account().cash_usd == 0.0


def test_a_purchase_of_which_cash_pays_no_share_is_accepted_and_rejected_at_the_fill(market_of, order_of):
    dear = (10_001.0, 10_001.0, 10_001.0, 10_001.0, 1e6)
    broker = broker_of(account_of())
    broker.submit(order_of(quantity_shares=1.0))
    session_of(broker, market_of(FRIDAY, bars={"ABC": dear}))
    assert [kind for kind, _ in reasons(broker)] == ["accepted", "rejected"]
    assert "buying power" in reasons(broker)[-1][1]
    assert (broker.positions(), broker.account().cash_usd) == ((), 10_000.0)


class MeetingClock:
    """A clock at which two threads that read it at once meet."""

    def __init__(self):
        self._both = threading.Barrier(2, timeout=0.1)
        self.meets = False

    def now_utc(self):
        if self.meets:
            with suppress(threading.BrokenBarrierError):
                self._both.wait()
        return datetime(2014, 6, 5, 20, 15, tzinfo=UTC)


def test_an_order_that_two_threads_cancel_ends_once(order_of):
    clock = MeetingClock()
    broker = broker_of(account_of(), clock=clock)
    broker.submit(order_of())
    clock.meets = True
    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(broker.cancel, ["order-ABC"] * 2))
    assert [status.state for status in ended] == [OrderState.CANCELLED] * 2
    assert [kind for kind, _ in reasons(broker)] == ["accepted", "cancelled"]
