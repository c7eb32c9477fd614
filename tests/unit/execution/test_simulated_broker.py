from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import CorporateAction
from aegis.clock import FixedClock
from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState, DividendReceivable, Position
from aegis.execution.accounting import expected_quantities, session_pnl
from aegis.execution.brokers.simulated import SimulatedBroker
from aegis.execution.order_records import canonical_json
from aegis.execution.order_states import OrderState

THURSDAY, FRIDAY, MONDAY = date(2014, 6, 5), date(2014, 6, 6), date(2014, 6, 9)
FLAT = (10.0, 10.0, 10.0, 10.0, 1e6)


def _state(*positions, cash=10_000.0, receivables=()):
    return AccountState(
        account="simulated", session=THURSDAY, cash_usd=cash, positions=positions, receivables=receivables
    )


UNLEVERED = TradingRules(account_type="margin", initial_margin=1.0, maintenance_margin=0.0)
"""Positions, long and short, are worth no more than the equity when they are opened."""


def _held(quantity, *, mark=10.0, cost=8.0):
    return Position("ABC", "ABC", quantity, cost, mark, THURSDAY)


def _broker(state, **options):
    clock = FixedClock(datetime(2014, 6, 5, 20, 15, tzinfo=UTC))
    return SimulatedBroker(state, **{"costs": CostModel(), "rules": TradingRules(), "clock": clock, **options})


def _session(broker, market):
    broker.begin_session(market)
    return broker.end_session()


def _reasons(broker):
    return [(str(item.event.kind), item.event.reason) for item in broker.events_since(0)]


def test_a_split_multiplies_the_position_and_keeps_its_worth(market_of):
    split = CorporateAction(action="split", symbol="ABC", split_ratio=7.0)
    after = _session(_broker(_state(_held(10.0, mark=700.0, cost=350.0))), market_of(FRIDAY, actions=(split,)))
    assert after.positions == (Position("ABC", "ABC", 70.0, 50.0, 100.0, THURSDAY),)
    assert after.cash_usd == 10_000.0


def test_a_reverse_split_pays_cash_in_lieu_of_the_fraction_at_the_previous_close(market_of):
    # 25 shares, one for ten: 2 shares and half a share of 10 * 4 = 40 USD.
    split = CorporateAction(action="split", symbol="ABC", split_ratio=0.1)
    after = _session(_broker(_state(_held(25.0, mark=4.0, cost=3.0))), market_of(FRIDAY, actions=(split,)))
    (position,) = after.positions
    assert (position.quantity_shares, position.average_cost_usd, position.mark_price_usd) == (2.0, 30.0, 40.0)
    assert after.cash_usd == pytest.approx(10_020.0, abs=1e-9)
    assert after.equity_usd == pytest.approx(10_100.0, abs=1e-9)


def test_a_position_below_one_share_after_a_reverse_split_becomes_cash(market_of):
    split = CorporateAction(action="split", symbol="ABC", split_ratio=0.1)
    after = _session(_broker(_state(_held(9.0, mark=4.0))), market_of(FRIDAY, actions=(split,)))
    assert (after.positions, after.cash_usd) == ((), pytest.approx(10_036.0, abs=1e-9))


def test_a_fill_at_a_price_of_nothing_is_refused(order_of, market_of):
    """Slippage of 10,000 basis points takes the whole price of a sale."""
    broker = _broker(_state(_held(100.0)), costs=CostModel(slippage_bps=10_000.0))
    broker.submit(order_of(quantity_shares=-60.0))
    with pytest.raises(ExecutionError, match=r"ABC 2014-06-06: a fill at 0 USD \(reference 10\).*eval\.backtesting"):
        _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}))


def test_an_open_order_is_rescaled_by_a_split_overnight(order_of, market_of):
    broker = _broker(_state(_held(100.0, mark=20.0)))
    broker.submit(order_of(quantity_shares=-60.0, arrival_price_usd=20.0))
    split = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
    after = _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(split,)))
    assert after.quantity_shares("ABC") == 80.0
    fill = broker.events_since(2)[0].event.fill
    assert (fill.quantity_shares, fill.arrival_price_usd) == (-120.0, 10.0)
    assert _reasons(broker)[1] == ("rescaled", "split 2: -60 shares become -120")


def test_an_order_decided_on_the_ex_date_counts_in_the_new_shares_already(order_of, market_of):
    broker = _broker(_state())
    broker.submit(order_of(session=FRIDAY, execution_session=MONDAY))
    split = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
    after = _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(split,)))
    assert [status.order.quantity_shares for status in after.open_orders] == [100.0]


def test_an_open_order_that_a_reverse_split_leaves_without_a_share_is_cancelled(order_of, market_of):
    broker = _broker(_state(_held(9.0)))
    broker.submit(order_of(quantity_shares=-9.0))
    split = CorporateAction(action="split", symbol="ABC", split_ratio=0.1)
    _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(split,)))
    assert _reasons(broker)[1] == ("cancelled", "split 0.1: -9 shares leave no whole share")


def test_a_dividend_is_owed_from_the_ex_date_and_paid_on_its_day(market_of):
    dividend = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.47, pay_session=MONDAY)
    broker = _broker(_state(_held(100.0)))
    friday = _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(dividend,)))
    assert friday.receivables == (DividendReceivable(MONDAY, "ABC", 47.0),)
    assert (friday.cash_usd, friday.equity_usd) == (10_000.0, 11_047.0)
    monday = _session(broker, market_of(MONDAY))
    assert (monday.receivables, monday.cash_usd, monday.equity_usd) == ((), 10_047.0, 11_047.0)


@pytest.mark.parametrize(("ratio", "shares", "mark"), [(1.0, 100.0, 9.5), (2.0, 200.0, 4.75)])
def test_a_mark_that_no_close_renews_loses_the_dividend(market_of, ratio, shares, mark):
    # 100 at 10 is 1,000 before; 50 of it is owed in cash after, whatever the shares are split into.
    actions = (
        CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5),
        CorporateAction(action="split", symbol="ABC", split_ratio=ratio),
    )
    before, market = _state(_held(100.0)), market_of(FRIDAY, actions=actions)
    after = _session(_broker(before), market)
    (position,) = after.positions
    assert (position.quantity_shares, position.mark_price_usd, position.mark_session) == (shares, mark, THURSDAY)
    assert (after.cash_usd, after.equity_usd) == (10_050.0, 11_000.0)
    pnl = session_pnl(before, after, market=market, fills=())
    assert (pnl.price_pnl_usd, pnl.dividends_usd, pnl.residual_usd) == (-50.0, 50.0, 0.0)


def test_a_last_distribution_and_the_delisting_without_a_bar_pay_the_mark_once(market_of):
    actions = (
        CorporateAction(action="dividend", symbol="ABC", dividend_usd=4.0),
        CorporateAction(action="delisting", symbol="ABC"),
    )
    after = _session(_broker(_state(_held(100.0))), market_of(FRIDAY, actions=actions))
    assert (after.positions, after.cash_usd) == ((), 11_000.0)


def test_a_dividend_without_a_pay_date_is_cash_on_the_ex_date(market_of):
    dividend = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5)
    after = _session(_broker(_state(_held(100.0))), market_of(FRIDAY, actions=(dividend,)))
    assert (after.receivables, after.cash_usd) == ((), 10_050.0)


def test_a_short_position_owes_the_dividend(market_of):
    dividend = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5)
    after = _session(_broker(_state(_held(-100.0))), market_of(FRIDAY, actions=(dividend,)))
    assert after.cash_usd == 9_950.0


def test_shares_bought_on_the_ex_date_get_no_dividend(order_of, market_of):
    dividend = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5)
    broker = _broker(_state())
    broker.submit(order_of())
    after = _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(dividend,)))
    assert after.cash_usd == 9_000.0


def test_a_dividend_and_a_split_of_one_day_pay_on_the_shares_of_before(market_of):
    actions = (
        CorporateAction(action="split", symbol="ABC", split_ratio=2.0),
        CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5),
    )
    after = _session(_broker(_state(_held(100.0))), market_of(FRIDAY, actions=actions))
    assert (after.quantity_shares("ABC"), after.cash_usd) == (200.0, 10_050.0)


def test_a_rename_changes_the_ticker_only(order_of, market_of):
    rename = CorporateAction(action="rename", symbol="ABC", new_ticker="XYZ")
    broker = _broker(_state(_held(100.0)))
    broker.submit(order_of(quantity_shares=10.0))
    after = _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(rename,)))
    (position,) = after.positions
    assert (position.symbol, position.ticker, position.quantity_shares) == ("ABC", "XYZ", 110.0)
    assert broker.events_since(1)[0].event.fill.ticker == "XYZ"


def test_a_delisted_position_turns_to_cash_at_its_last_close(order_of, market_of):
    delisting = CorporateAction(action="delisting", symbol="ABC")
    broker = _broker(_state(_held(100.0, mark=3.0)))
    broker.submit(order_of(quantity_shares=-40.0))
    after = _session(broker, market_of(FRIDAY, actions=(delisting,)))
    assert (after.positions, after.cash_usd) == ((), 10_300.0)
    assert _reasons(broker)[1] == ("expired", "no volume: halted, or no trusted bar")


def test_a_position_without_a_bar_keeps_its_mark(market_of):
    after = _session(_broker(_state(_held(100.0, mark=12.0))), market_of(FRIDAY))
    assert (after.positions[0].mark_price_usd, after.positions[0].mark_session) == (12.0, THURSDAY)


def test_average_cost_follows_purchases_and_ignores_sales(order_of, market_of):
    broker = _broker(_state(_held(100.0, cost=8.0)))
    broker.submit(order_of(quantity_shares=100.0))
    after = _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}))
    assert after.positions[0].average_cost_usd == 9.0  # (100 * 8 + 100 * 10) / 200
    broker.submit(order_of(client_order_id="s", session=FRIDAY, execution_session=MONDAY, quantity_shares=-150.0))
    after = _session(broker, market_of(MONDAY, bars={"ABC": (20.0, 20.0, 20.0, 20.0, 1e6)}))
    assert (after.positions[0].quantity_shares, after.positions[0].average_cost_usd) == (50.0, 9.0)


def test_where_short_selling_is_configured_a_sale_may_cross_zero(order_of, market_of):
    broker = _broker(_state(_held(100.0, cost=8.0)), rules=UNLEVERED)
    broker.submit(order_of(quantity_shares=-150.0))
    after = _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}))
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
    broker = _broker(_state())
    assert broker.submit(order_of(**terms)).state is OrderState.REJECTED
    assert reason in _reasons(broker)[0][1]


def test_an_order_that_arrives_during_its_session_is_too_late(order_of, market_of):
    broker = _broker(_state())
    broker.begin_session(market_of(FRIDAY, bars={"ABC": FLAT}))
    assert broker.submit(order_of()).state is OrderState.REJECTED


def test_an_order_for_a_later_session_waits(order_of, market_of):
    broker = _broker(_state())
    broker.submit(order_of(execution_session=MONDAY))
    assert len(_session(broker, market_of(FRIDAY, bars={"ABC": FLAT})).open_orders) == 1
    assert _session(broker, market_of(MONDAY, bars={"ABC": FLAT})).quantity_shares("ABC") == 100.0


def test_an_order_whose_session_was_skipped_expires(order_of, market_of):
    broker = _broker(_state())
    broker.submit(order_of())
    after = _session(broker, market_of(MONDAY, bars={"ABC": FLAT}))
    assert (after.positions, after.open_orders) == ((), ())
    assert _reasons(broker)[1] == ("expired", "session 2014-06-06 was never traded")


def test_sessions_run_forward_one_at_a_time(market_of):
    broker = _broker(_state())
    with pytest.raises(ExecutionError, match="no session is open"):
        broker.end_session()
    with pytest.raises(ExecutionError, match="booked up to 2014-06-05"):
        broker.begin_session(market_of(THURSDAY))
    broker.begin_session(market_of(FRIDAY))
    with pytest.raises(ExecutionError, match="2014-06-06 is still open"):
        broker.begin_session(market_of(MONDAY))


def test_market_orders_are_stamped_at_the_open_and_vwap_orders_at_the_close(order_of, market_of):
    broker = _broker(_state())
    broker.submit(order_of(client_order_id="a", algorithm="market"))
    broker.submit(order_of(client_order_id="b", algorithm="vwap"))
    market = market_of(FRIDAY, bars={"ABC": FLAT})
    _session(broker, market)
    filled = {i.event.client_order_id: i.event.at_utc for i in broker.events_since(2)}
    assert filled == {"a": market.opens_at_utc, "b": market.closes_at_utc}


def test_a_broker_restored_from_its_state_goes_on_to_the_bit(order_of, market_of):
    broker = _broker(_state(_held(100.0, mark=1 / 3)), costs=CostModel(5.0, 1.0))
    broker.submit(order_of(quantity_shares=7.0))
    text = canonical_json(broker.state().to_record())
    restored = _broker(AccountState.from_record(json.loads(text)), costs=CostModel(5.0, 1.0))
    market = market_of(FRIDAY, bars={"ABC": (10.1, 10.7, 9.3, 10.3, 1e6)})
    assert _session(restored, market) == _session(broker, market)
    assert restored.events_since(0)[0].event == broker.events_since(1)[0].event


def test_the_parts_of_a_session_add_up_to_its_equity_change(order_of, market_of):
    before = _state(_held(100.0, mark=20.0))
    broker = _broker(before, costs=CostModel(100.0, 10.0))
    broker.submit(order_of(quantity_shares=50.0, algorithm="market"))
    actions = (
        CorporateAction(action="split", symbol="ABC", split_ratio=2.0),
        CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5),
    )
    market = market_of(FRIDAY, bars={"ABC": (11.0, 13.0, 10.0, 12.0, 1e6)}, actions=actions)
    after = _session(broker, market)
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
        _held(25.0),
        Position("DEF", "DEF", 7.0, 1.0, 1.0, THURSDAY),
        Position("XYZ", "XYZ", 5.0, 1.0, 1.0, THURSDAY),
    )
    before = _state(*held)
    broker = _broker(before)
    broker.submit(order_of(symbol="NEW", quantity_shares=3.0))
    broker.submit(order_of(symbol="XYZ", quantity_shares=-5.0))
    actions = (
        CorporateAction(action="split", symbol="ABC", split_ratio=0.1),
        CorporateAction(action="delisting", symbol="DEF"),
    )
    market = market_of(FRIDAY, bars={"NEW": FLAT, "XYZ": FLAT}, actions=actions)
    after = _session(broker, market)
    fills = [item.event.fill for item in broker.events_since(0) if item.event.fill is not None]
    assert expected_quantities(before, market=market, fills=fills) == {"ABC": 2.0, "NEW": 3.0}
    assert {p.symbol: p.quantity_shares for p in after.positions} == {"ABC": 2.0, "NEW": 3.0}


def test_the_residual_shows_a_booking_that_nothing_explains(market_of):
    before = _state(_held(100.0))
    after = AccountState(account="simulated", session=FRIDAY, cash_usd=10_003.0, positions=before.positions)
    pnl = session_pnl(before, after, market=market_of(FRIDAY), fills=())
    assert pnl.residual_usd == pytest.approx(3.0)


def test_an_account_without_equity_has_no_return(market_of):
    broke = _state(cash=0.0)
    with pytest.raises(ExecutionError, match="must be positive"):
        session_pnl(broke, broke, market=market_of(FRIDAY), fills=())


def test_buying_power_is_cash_or_what_free_equity_carries():
    # 1,000 USD of cash less 50 short at 10: equity 500, of which 250 are bound.
    short = _state(_held(-50.0, cost=10.0), cash=1_000.0)
    margin = TradingRules(account_type="margin")  # Regulation T: 0.5

    assert _broker(_state(_held(100.0), cash=-5.0)).account().buying_power_usd == 0.0
    assert _broker(_state(_held(100.0), cash=250.0)).account().buying_power_usd == 250.0
    assert _broker(short, rules=margin).account().buying_power_usd == 500.0  # 500 / 0.5 - 50 * 10
    assert (
        _broker(short, rules=TradingRules(account_type="margin", max_leverage=1.5)).account().buying_power_usd == 250.0
    )


def test_an_order_below_the_least_value_is_rejected_unless_it_closes(order_of):
    broker = _broker(_state(_held(30.0)), rules=TradingRules(min_notional_usd=500.0))

    small = broker.submit(order_of(client_order_id="a", quantity_shares=40.0))
    closing = broker.submit(order_of(client_order_id="b", quantity_shares=-30.0))

    assert small.state is OrderState.REJECTED
    assert broker.events_since(0)[0].event.reason.startswith("minimum notional: 400.00 USD of 500")
    assert closing.state is OrderState.ACCEPTED
