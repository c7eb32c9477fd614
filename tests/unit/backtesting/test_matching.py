from __future__ import annotations

import numpy as np
import pytest

from aegis.backtesting.costs import CostModel
from aegis.backtesting.matching import (
    ALGORITHM_CODES,
    BAR_DTYPE,
    BUYING_POWER,
    COMPLETE,
    NO_VOLUME,
    ORDER_DTYPE,
    VOLUME_CAP,
    match_session,
    rescale_for_split,
    whole_shares,
)
from aegis.config_eval import BacktestingEval
from aegis.errors import ExecutionError

FREE = CostModel()
MARKET, VWAP = ALGORITHM_CODES["market"], ALGORITHM_CODES["vwap"]
BAR = (10.0, 14.0, 9.0, 11.0, 10_000.0)  # (10 + 14 + 9 + 11) / 4 = 11


def _orders(*rows):
    return np.array(list(rows), dtype=ORDER_DTYPE)


def _bars(*rows):
    return np.array(list(rows), dtype=BAR_DTYPE)


def _quantities(executions):
    return executions["quantity_shares"].tolist()


def test_a_market_order_fills_at_the_open():
    (row,) = match_session(_orders((0, 100, MARKET)), _bars(BAR), FREE, participation_rate=0.1)
    assert row.item() == (100.0, 10.0, 10.0, 0.0, 0.0, COMPLETE)


def test_a_vwap_order_on_a_daily_bar_fills_at_the_mean_of_open_high_low_close():
    (row,) = match_session(_orders((0, -100, VWAP)), _bars(BAR), FREE, participation_rate=0.1)
    assert row.item() == (-100.0, 11.0, 11.0, 0.0, 0.0, COMPLETE)


def test_slippage_is_adverse_on_both_sides_and_commission_is_on_the_notional_paid():
    bars = _bars((100.0, 100.0, 100.0, 100.0, 1e6))
    rows = match_session(
        _orders((0, 100, MARKET), (0, -100, MARKET)), bars, CostModel(5.0, 1.0), participation_rate=0.1
    )
    # 5 bps of 100 USD is 0.05 USD a share; 1 bp of 10 005 USD is 1.0005 USD, of 9 995 USD 0.9995 USD.
    np.testing.assert_allclose(rows["price_usd"], [100.05, 99.95], rtol=1e-14)
    np.testing.assert_allclose(rows["slippage_usd"], [5.0, 5.0], rtol=1e-12)
    np.testing.assert_allclose(rows["commission_usd"], [1.0005, 0.9995], rtol=1e-14)
    assert rows["reference_price_usd"].tolist() == [100.0, 100.0]


def test_a_halted_session_fills_nothing():
    halted = (10.0, 10.0, 10.0, 10.0, 0.0)
    (row,) = match_session(_orders((0, 100, MARKET)), _bars(halted), FREE, participation_rate=0.1)
    assert (row["quantity_shares"], row["outcome"]) == (0.0, NO_VOLUME)


def test_a_symbol_without_a_bar_fills_nothing():
    rows = match_session(_orders((-1, 100, MARKET), (-1, -5, VWAP)), _bars(), FREE, participation_rate=0.1)
    assert _quantities(rows) == [0.0, 0.0]
    assert rows["outcome"].tolist() == [NO_VOLUME, NO_VOLUME]


def test_no_orders_give_no_executions():
    assert len(match_session(_orders(), _bars(BAR), FREE, participation_rate=0.1)) == 0


def test_all_orders_of_a_bar_share_its_participation_cap_in_their_order():
    # A tenth of 1 005 shares is 100 whole shares: 60, then 40 of 50, then nothing; the other symbol is not concerned.
    bars = _bars((10.0, 10.0, 10.0, 10.0, 1005.0), BAR)
    rows = match_session(
        _orders((0, 60, MARKET), (0, -50, VWAP), (0, 10, MARKET), (1, 500, MARKET)),
        bars,
        FREE,
        participation_rate=0.1,
    )
    assert _quantities(rows) == [60.0, -40.0, 0.0, 500.0]
    assert rows["outcome"].tolist() == [COMPLETE, VOLUME_CAP, VOLUME_CAP, COMPLETE]


def test_the_cap_is_not_a_share_short_because_of_floating_point():
    # 0.29 * 100 is 28.999999999999996 in floating point.
    bars = _bars((10.0, 10.0, 10.0, 10.0, 100.0))
    assert _quantities(match_session(_orders((0, 40, MARKET)), bars, FREE, participation_rate=0.29)) == [29.0]


def test_a_purchase_is_cut_to_the_whole_shares_that_cash_pays_for():
    # At 10 USD and 100 bps commission a share costs 10.10 USD: 1 000 USD buy 99, as 100 cost 1 010.
    costs = CostModel(commission_bps=100.0)
    (row,) = match_session(_orders((0, 150, MARKET)), _bars(BAR), costs, participation_rate=0.1, cash_usd=1000.0)
    assert (row["quantity_shares"], row["outcome"]) == (99.0, BUYING_POWER)


def test_sales_of_the_session_pay_for_its_purchases_whatever_their_ids():
    rows = match_session(
        _orders((0, 100, MARKET), (1, -60, MARKET)),
        _bars(BAR, (20.0, 20.0, 20.0, 20.0, 1e6)),
        FREE,
        participation_rate=0.1,
        cash_usd=0.0,
    )
    assert _quantities(rows) == [100.0, -60.0]  # 1 200 USD come in, 1 000 go out


def test_the_commission_of_a_sale_is_not_there_to_buy_with():
    # 60 sold at 20 USD bring 1 200 - 12 = 1 188 USD; a share costs 10 + 0.10 USD: 117 cost 1 181.70, 118 too much.
    rows = match_session(
        _orders((0, 150, MARKET), (1, -60, MARKET)),
        _bars(BAR, (20.0, 20.0, 20.0, 20.0, 1e6)),
        CostModel(commission_bps=100.0),
        participation_rate=0.1,
        cash_usd=0.0,
    )
    assert _quantities(rows) == [117.0, -60.0]


def test_without_cash_nothing_is_bought_and_purchases_are_served_in_their_order():
    rows = match_session(
        _orders((0, 50, MARKET), (0, 50, MARKET), (0, 1, MARKET)),
        _bars(BAR),
        FREE,
        participation_rate=0.1,
        cash_usd=500.0,
    )
    assert _quantities(rows) == [50.0, 0.0, 0.0]
    assert rows["outcome"].tolist() == [COMPLETE, BUYING_POWER, BUYING_POWER]


def test_a_split_doubles_an_open_order_and_halves_its_arrival_price(order_of):
    order = rescale_for_split(order_of(quantity_shares=-75.0, arrival_price_usd=90.0), 2.0)
    assert (order.quantity_shares, order.arrival_price_usd) == (-150.0, 45.0)


def test_a_reverse_split_rounds_an_open_order_towards_zero(order_of):
    # 25 shares, one for ten: 2.5 shares, of which 2 can be sold.
    order = rescale_for_split(order_of(quantity_shares=-25.0, arrival_price_usd=1.5), 0.1)
    assert (order.quantity_shares, order.arrival_price_usd) == (-2.0, 15.0)


def test_a_reverse_split_can_leave_nothing_to_trade(order_of):
    assert rescale_for_split(order_of(quantity_shares=9.0), 0.1) is None


@pytest.mark.parametrize("ratio", [0.0, -2.0, float("nan"), float("inf")])
def test_an_impossible_split_ratio_is_refused(order_of, ratio):
    with pytest.raises(ExecutionError, match="split ratio"):
        rescale_for_split(order_of(), ratio)


@pytest.mark.parametrize(
    ("exact", "whole"), [(2.9, 2.0), (-2.9, -2.0), (49 * (1 / 49), 1.0), (3.0000000000000004, 3.0), (0.4, 0.0)]
)
def test_whole_shares_round_towards_zero(exact, whole):
    assert whole_shares(exact) == whole


@pytest.mark.parametrize(("model", "slippage"), [("fixed", 5.0), ("none", 0.0)])
def test_the_cost_model_follows_the_settings(model, slippage):
    settings = BacktestingEval(slippage_model=model, slippage_basis_points=5, transaction_cost_bps=1)
    assert CostModel.from_settings(settings) == CostModel(slippage_bps=slippage, commission_bps=1.0)
