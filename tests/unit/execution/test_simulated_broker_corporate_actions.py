from __future__ import annotations

import pytest

from aegis.backtesting.costs import CostModel
from aegis.backtesting.session_market import CorporateAction
from aegis.errors import ExecutionError
from aegis.execution.account_state import DividendReceivable, Position
from aegis.execution.accounting import expected_quantities, session_pnl
from tests.unit.execution.simulated_accounts import (
    FLAT,
    FRIDAY,
    MONDAY,
    THURSDAY,
    account_of,
    broker_of,
    holding,
    reasons,
    session_of,
)


def test_a_split_multiplies_the_position_and_keeps_its_worth(market_of):
    split = CorporateAction(action="split", symbol="ABC", split_ratio=7.0)
    after = session_of(
        broker_of(account_of(holding(10.0, mark=700.0, cost=350.0))), market_of(FRIDAY, actions=(split,))
    )
    assert after.positions == (Position("ABC", "ABC", 70.0, 50.0, 100.0, THURSDAY),)
    assert after.cash_usd == 10_000.0


def test_a_reverse_split_pays_cash_in_lieu_of_the_fraction_at_the_previous_close(market_of):
    # 25 shares, one for ten: 2 shares and half a share of 10 * 4 = 40 USD.
    split = CorporateAction(action="split", symbol="ABC", split_ratio=0.1)
    after = session_of(broker_of(account_of(holding(25.0, mark=4.0, cost=3.0))), market_of(FRIDAY, actions=(split,)))
    (position,) = after.positions
    assert (position.quantity_shares, position.average_cost_usd, position.mark_price_usd) == (2.0, 30.0, 40.0)
    assert after.cash_usd == pytest.approx(10_020.0, abs=1e-9)
    assert after.equity_usd == pytest.approx(10_100.0, abs=1e-9)


def test_a_position_below_one_share_after_a_reverse_split_becomes_cash(market_of):
    split = CorporateAction(action="split", symbol="ABC", split_ratio=0.1)
    after = session_of(broker_of(account_of(holding(9.0, mark=4.0))), market_of(FRIDAY, actions=(split,)))
    assert (after.positions, after.cash_usd) == ((), pytest.approx(10_036.0, abs=1e-9))


def test_a_fill_at_a_price_of_nothing_is_refused(order_of, market_of):
    """Slippage of 10,000 basis points takes the whole price of a sale."""
    broker = broker_of(account_of(holding(100.0)), costs=CostModel(slippage_bps=10_000.0))
    broker.submit(order_of(quantity_shares=-60.0))
    with pytest.raises(ExecutionError, match=r"ABC 2014-06-06: a fill at 0 USD \(reference 10\).*eval\.backtesting"):
        session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT}))


def test_an_open_order_is_rescaled_by_a_split_overnight(order_of, market_of):
    broker = broker_of(account_of(holding(100.0, mark=20.0)))
    broker.submit(order_of(quantity_shares=-60.0, arrival_price_usd=20.0))
    split = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
    after = session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(split,)))
    assert after.quantity_shares("ABC") == 80.0
    fill = broker.events_since(2)[0].event.fill
    assert (fill.quantity_shares, fill.arrival_price_usd) == (-120.0, 10.0)
    assert reasons(broker)[1] == ("rescaled", "split 2: -60 shares become -120")


def test_an_order_decided_on_the_ex_date_counts_in_the_new_shares_already(order_of, market_of):
    broker = broker_of(account_of())
    broker.submit(order_of(session=FRIDAY, execution_session=MONDAY))
    split = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
    after = session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(split,)))
    assert [status.order.quantity_shares for status in after.open_orders] == [100.0]


def test_an_open_order_that_a_reverse_split_leaves_without_a_share_is_cancelled(order_of, market_of):
    broker = broker_of(account_of(holding(9.0)))
    broker.submit(order_of(quantity_shares=-9.0))
    split = CorporateAction(action="split", symbol="ABC", split_ratio=0.1)
    session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(split,)))
    assert reasons(broker)[1] == ("cancelled", "split 0.1: -9 shares leave no whole share")


def test_a_dividend_is_owed_from_the_ex_date_and_paid_on_its_day(market_of):
    dividend = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.47, pay_session=MONDAY)
    broker = broker_of(account_of(holding(100.0)))
    friday = session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(dividend,)))
    assert friday.receivables == (DividendReceivable(MONDAY, "ABC", 47.0),)
    assert (friday.cash_usd, friday.equity_usd) == (10_000.0, 11_047.0)
    monday = session_of(broker, market_of(MONDAY))
    assert (monday.receivables, monday.cash_usd, monday.equity_usd) == ((), 10_047.0, 11_047.0)


@pytest.mark.parametrize(("ratio", "shares", "mark"), [(1.0, 100.0, 9.5), (2.0, 200.0, 4.75)])
def test_a_mark_that_no_close_renews_loses_the_dividend(market_of, ratio, shares, mark):
    # 100 at 10 is 1,000 before; 50 of it is owed in cash after, whatever the shares are split into.
    actions = (
        CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5),
        CorporateAction(action="split", symbol="ABC", split_ratio=ratio),
    )
    before, market = account_of(holding(100.0)), market_of(FRIDAY, actions=actions)
    after = session_of(broker_of(before), market)
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
    after = session_of(broker_of(account_of(holding(100.0))), market_of(FRIDAY, actions=actions))
    assert (after.positions, after.cash_usd) == ((), 11_000.0)


def test_a_dividend_without_a_pay_date_is_cash_on_the_ex_date(market_of):
    dividend = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5)
    after = session_of(broker_of(account_of(holding(100.0))), market_of(FRIDAY, actions=(dividend,)))
    assert (after.receivables, after.cash_usd) == ((), 10_050.0)


def test_a_short_position_owes_the_dividend(market_of):
    dividend = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5)
    after = session_of(broker_of(account_of(holding(-100.0))), market_of(FRIDAY, actions=(dividend,)))
    assert after.cash_usd == 9_950.0


def test_shares_bought_on_the_ex_date_get_no_dividend(order_of, market_of):
    dividend = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5)
    broker = broker_of(account_of())
    broker.submit(order_of())
    after = session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(dividend,)))
    assert after.cash_usd == 9_000.0


def test_a_dividend_and_a_split_of_one_day_pay_on_the_shares_of_before(market_of):
    actions = (
        CorporateAction(action="split", symbol="ABC", split_ratio=2.0),
        CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.5),
    )
    after = session_of(broker_of(account_of(holding(100.0))), market_of(FRIDAY, actions=actions))
    assert (after.quantity_shares("ABC"), after.cash_usd) == (200.0, 10_050.0)


def test_a_rename_changes_the_ticker_only(order_of, market_of):
    rename = CorporateAction(action="rename", symbol="ABC", new_ticker="XYZ")
    broker = broker_of(account_of(holding(100.0)))
    broker.submit(order_of(quantity_shares=10.0))
    after = session_of(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(rename,)))
    (position,) = after.positions
    assert (position.symbol, position.ticker, position.quantity_shares) == ("ABC", "XYZ", 110.0)
    assert broker.events_since(1)[0].event.fill.ticker == "XYZ"


def test_a_delisted_position_turns_to_cash_at_its_last_close(order_of, market_of):
    delisting = CorporateAction(action="delisting", symbol="ABC")
    broker = broker_of(account_of(holding(100.0, mark=3.0)))
    broker.submit(order_of(quantity_shares=-40.0))
    after = session_of(broker, market_of(FRIDAY, actions=(delisting,)))
    assert (after.positions, after.cash_usd) == ((), 10_300.0)
    assert reasons(broker)[1] == ("expired", "no volume: halted, or no trusted bar")


def test_a_cash_merger_pays_its_price_cancels_orders_and_is_price_pnl(order_of, market_of):
    """100 shares marked at 10 are paid 11.50: cash 10,000 + 1,150, of which 150 USD are the session's gain."""
    merger = CorporateAction(action="merger", symbol="ABC", merger_cash_usd=11.5)
    before = account_of(holding(100.0))
    for actions in ((merger,), (merger, CorporateAction(action="delisting", symbol="ABC"))):
        broker = broker_of(before)
        broker.submit(order_of(quantity_shares=-40.0))
        market = market_of(FRIDAY, actions=actions)
        after = session_of(broker, market)
        assert (after.positions, after.cash_usd) == ((), 11_150.0)
        assert reasons(broker)[1] == ("cancelled", "delisted: the symbol is no longer listed")
        pnl = session_pnl(before, after, market=market, fills=())
        assert (pnl.price_pnl_usd, pnl.equity_change_usd, pnl.residual_usd) == (150.0, 150.0, 0.0)
        assert expected_quantities(before, market=market, fills=()) == {}


def test_a_short_position_pays_for_the_shares_of_a_cash_merger(market_of):
    merger = CorporateAction(action="merger", symbol="ABC", merger_cash_usd=11.5)
    after = session_of(broker_of(account_of(holding(-100.0))), market_of(FRIDAY, actions=(merger,)))
    assert (after.positions, after.cash_usd) == ((), 8_850.0)


SHARES = (
    CorporateAction(
        action="merger", symbol="ABC", merger_cash_usd=2.0, merger_ratio=0.35, acquirer="XYZ", acquirer_ticker="XY"
    ),
    CorporateAction(action="delisting", symbol="ABC"),
)
"""2 USD and 0.35 XYZ for each ABC."""
TRADES_AT_44 = {"XYZ": (41.0, 45.0, 40.0, 44.0, 1e6)}


def test_a_merger_for_shares_pays_whole_shares_the_fraction_and_the_cash_part(order_of, market_of):
    """33 ABC marked at 10: 66 in cash, 11 XYZ and 0.55 x 44 = 24.20; 33 x (2 + 15.40 - 10) = 244.20 are gained."""
    before = account_of(holding(33.0))
    broker = broker_of(before)
    broker.submit(order_of(quantity_shares=-33.0))
    market = market_of(FRIDAY, bars=TRADES_AT_44, actions=SHARES)
    after = session_of(broker, market)
    assert after.positions == (Position("XYZ", "XY", 11.0, 44.0, 44.0, FRIDAY),)
    assert after.cash_usd == pytest.approx(10_090.20, abs=1e-9)
    assert reasons(broker)[1] == ("expired", "no volume: halted, or no trusted bar")
    pnl = session_pnl(before, after, market=market, fills=())
    assert pnl.price_pnl_usd == pytest.approx(244.20, abs=1e-9)
    assert abs(pnl.residual_usd) < 1e-6
    assert expected_quantities(before, market=market, fills=()) == {"XYZ": 11.0}


def test_shares_of_a_merger_add_to_those_that_are_held(market_of):
    own = Position("XYZ", "XY", 9.0, 40.0, 43.0, THURSDAY)
    before = account_of(holding(33.0), own)
    market = market_of(FRIDAY, bars=TRADES_AT_44, actions=SHARES)
    after = session_of(broker_of(before), market)
    assert after.positions == (Position("XYZ", "XY", 20.0, pytest.approx(42.2), 44.0, FRIDAY),)
    pnl = session_pnl(before, after, market=market, fills=())
    assert pnl.price_pnl_usd == pytest.approx(244.20 + 9.0, abs=1e-9)
    assert abs(pnl.residual_usd) < 1e-6
    assert expected_quantities(before, market=market, fills=()) == {"XYZ": 20.0}


@pytest.mark.parametrize(
    ("bars", "also"),
    [({}, ()), (TRADES_AT_44, (CorporateAction(action="delisting", symbol="XYZ"),))],
    ids=["no bar", "leaves as well"],
)
def test_a_merger_for_shares_without_a_price_turns_to_cash_at_the_last_close(market_of, bars, also):
    before = account_of(holding(100.0))
    market = market_of(FRIDAY, bars=bars, actions=(*SHARES, *also))
    after = session_of(broker_of(before), market)
    assert (after.positions, after.cash_usd) == ((), 11_000.0)
    assert session_pnl(before, after, market=market, fills=()).equity_change_usd == 0.0
    assert expected_quantities(before, market=market, fills=()) == {}


def test_a_session_that_is_booked_again_exchanges_the_same(market_of):
    market = market_of(FRIDAY, bars=TRADES_AT_44, actions=SHARES)
    traded = session_of(broker_of(account_of(holding(33.0))), market)
    again = broker_of(account_of(holding(33.0))).replay_session(market, ())
    assert again == traded
