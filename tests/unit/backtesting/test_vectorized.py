"""vectorbt as an engine: hand-computed fills, and the refusal of everything it cannot do."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from aegis.backtesting.array_strategies import Signals, TargetShares, TargetWeights
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import PerShare
from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.costs import CostModel
from aegis.backtesting.financing import Financing
from aegis.backtesting.market_impact import SquareRoot
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.slippage import FixedSpread
from aegis.backtesting.strategy import Strategy
from aegis.backtesting.vectorized import VectorizedBacktest
from aegis.errors import BacktestError

NAN = float("nan")
DAY = 86_400_000_000_000


def bars(opens: Any, *, closes: Any | None = None, volume: float = 1e6) -> Bars:
    """Return daily bars whose high and low are two dollars beyond open and close."""
    opened = np.array(opens, dtype=float)
    close = opened if closes is None else np.array(closes, dtype=float)
    high, low = np.maximum(opened, close) + 2.0, np.minimum(opened, close) - 2.0
    return Bars.from_arrays(
        opened,
        high,
        low,
        close,
        np.where(np.isnan(opened), NAN, volume),
        closes_at=np.arange(1, len(opened) + 1) * DAY,
        symbols=["A", "B"][: opened.shape[1]],
    )


def run(strategy: Any, market: Bars, **settings: Any):
    rules = TradingRules(**({"participation_rate": np.inf} | settings.pop("rules", {})))
    return VectorizedBacktest(strategy, market, BacktestConfig(initial_cash_usd=1000.0, rules=rules, **settings)).run()


def test_decision_at_a_close_fills_at_the_next_open_with_costs_and_what_cash_is_left() -> None:
    # Half of 1000 each: 50 A at 10, 25 B at 20. At the opens of 11 and 21, five basis points above: A costs
    # 50 x 11.0055 x 1.0001 = 550.3300275 and leaves 449.6699725, which pays 21 of B at 21.0105 x 1.0001, not 22.
    done = run(
        TargetWeights(weights=[[0.5, 0.5], [NAN, NAN]]),
        bars([[10.0, 20.0], [11.0, 21.0]]),
        costs=CostModel(slippage_bps=5, commission_bps=1),
    )

    assert done.fills["quantity_shares"].tolist() == [50.0, 21.0]
    assert done.fills["price_usd"].tolist() == pytest.approx([11.0055, 21.0105], rel=1e-12)
    assert done.fills["commission_usd"].tolist() == pytest.approx([0.0550275, 0.04412205], rel=1e-12)
    assert done.cash_usd.tolist() == pytest.approx([1000.0, 449.6699725 - 441.26462205], rel=1e-12)
    assert done.equity_usd[1] == pytest.approx(8.40535045 + 550.0 + 441.0, rel=1e-12)
    assert done.orders["state"].tolist() == ["filled", "cancelled"]
    assert done.orders["reason"].tolist()[1] == "buying power"
    assert done.metrics.commission_usd == pytest.approx(0.09914955, rel=1e-12)


def test_sales_pay_for_the_purchases_of_the_same_open() -> None:
    # 100 of A at 10; then all into B: 1000 of the sale at 10 buys 50 of B at 20, though B comes second by name only.
    done = run(TargetWeights(weights=[[0.0, 1.0], [1.0, 0.0], [NAN, NAN]]), bars([[10.0, 20.0]] * 3))

    assert done.fills[["symbol", "quantity_shares"]].to_numpy().tolist() == [["B", 50.0], ["B", -50.0], ["A", 100.0]]
    assert done.equity_usd.tolist() == [1000.0] * 3


@pytest.mark.parametrize(("target_orders", "price"), [("market", 10.0), ("vwap", 12.0), ("market on close", 14.0)])
def test_target_orders_are_worked_as_the_rules_say(target_orders: str, price: float) -> None:
    # Second bar: open 10, close 14, high 16, low 8, so its average is 12.
    market = bars([[10.0], [10.0]], closes=[[10.0], [14.0]])

    done = run(TargetShares(shares=[7.0, NAN]), market, rules={"target_orders": target_orders})

    assert done.fills[["quantity_shares", "price_usd"]].to_numpy().tolist() == [[7.0, price]]
    assert done.equity_usd[-1] == 1000.0 + 7 * (14.0 - price)


def test_day_order_expires_in_a_session_without_a_bar_and_no_price_is_a_rejection() -> None:
    # A has no bar on the second day, so the order of the first day expires; B has no price before the third day.
    market = bars([[10.0, NAN], [NAN, NAN], [10.0, 20.0]])

    done = run(TargetWeights(weights=[[0.5, 0.5], [NAN, NAN], [NAN, NAN]]), market)

    assert done.fills.empty
    assert done.orders[["symbol", "state"]].to_numpy().tolist() == [["A", "expired"], ["B", "rejected"]]
    assert done.orders["reason"].tolist() == ["end of session", "no price"]
    assert done.equity_usd.tolist() == [1000.0] * 3


def test_signals_enter_once_and_fractions_are_a_switch() -> None:
    # 1000 / 30 is 33.333333 in lots of 1e-6; the second entry finds the position held.
    done = run(
        Signals(entries=[True, True, False], exits=[False, False, True]),
        bars([[30.0], [30.0], [60.0]]),
        rules={"fractional_shares": True},
    )

    assert done.fills["quantity_shares"].tolist() == pytest.approx([33.333333], rel=1e-12)
    assert done.equity_usd[-1] == pytest.approx(1000.0 + 33.333333 * 30.0, rel=1e-12)
    assert done.orders["state"].tolist() == ["filled", "accepted"]


def test_portfolio_of_vectorbt_is_there_after_the_run() -> None:
    backtest = VectorizedBacktest(TargetShares(shares=[5.0, NAN]), bars([[10.0], [10.0]]), BacktestConfig())
    with pytest.raises(BacktestError, match="run it first"):
        _ = backtest.portfolio

    backtest.run()

    assert backtest.portfolio.orders.count() == 1


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"rules": TradingRules(account_type="margin")}, "a margin account; set account_type to 'cash'"),
        ({"rules": TradingRules(settlement_sessions=1)}, "settlement_sessions"),
        ({"rules": TradingRules(min_notional_usd=5.0)}, "min_notional_usd"),
        ({"rules": TradingRules(reject_unaffordable=True)}, "reject_unaffordable"),
        ({"events": [CorporateEvent(kind="halt", symbol="A", ex_date=date(1970, 1, 3))]}, "corporate events"),
        ({"costs": CostModel(slippage=FixedSpread(0.02))}, "slippage of FixedSpread"),
        ({"costs": CostModel(5.0, slippage_within_bar=True)}, "not within the bar"),
        ({"costs": CostModel(impact=SquareRoot())}, "market impact"),
        ({"costs": CostModel(commission=PerShare(0.01))}, "commissions of PerShare"),
        ({"costs": CostModel(financing=Financing(credit_rate_per_year=0.01))}, "interest"),
        ({"costs": CostModel(regulatory_fees=True)}, "regulatory"),
        ({"sessions_per_chunk": 1}, "sessions_per_chunk"),
    ],
)
def test_setting_that_vectorbt_cannot_do_is_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(BacktestError, match=match):
        VectorizedBacktest(TargetShares(shares=[1.0]), bars([[10.0]]), BacktestConfig(**settings))


def test_strategy_that_decides_during_the_run_is_refused() -> None:
    with pytest.raises(BacktestError, match="Strategy decides during the run; pass TargetWeights"):
        VectorizedBacktest(Strategy(), bars([[10.0]]), BacktestConfig())


@pytest.mark.parametrize(
    ("strategy", "match"),
    [
        (TargetWeights(weights=[0.5, -0.1, NAN]), r"A 1970-01-03T00:00:00Z: the target -0.1"),
        (TargetShares(shares=[5.0, 2.5, NAN]), r"A 1970-01-03T00:00:00Z: the target 2.5"),
        (TargetWeights(weights=[np.inf, 0.0, NAN]), r"A 1970-01-02T00:00:00Z: the target inf"),
    ],
)
def test_target_that_a_cash_account_cannot_hold_is_refused(strategy: Any, match: str) -> None:
    with pytest.raises(BacktestError, match=match):
        run(strategy, bars([[10.0]] * 3))


def test_order_above_the_participation_cap_is_refused_and_one_below_is_filled() -> None:
    market = bars([[10.0]] * 3, volume=100.0)
    below = run(TargetShares(shares=[10.0, NAN, NAN]), market, rules={"participation_rate": 0.1})
    assert below.fills["quantity_shares"].tolist() == [10.0]

    with pytest.raises(BacktestError, match=r"A 1970-01-03T00:00:00Z: an order is above 0.1 of the bar's volume"):
        run(TargetShares(shares=[11.0, NAN, NAN]), market, rules={"participation_rate": 0.1})


def test_another_target_while_an_order_waits_for_a_bar_is_refused() -> None:
    # Four bars in one session; B has none in the second, when its target changes.
    opened = np.array([[10.0, 20.0], [10.0, NAN], [10.0, 20.0], [10.0, 20.0]])
    market = Bars.from_arrays(
        *(opened,) * 4,
        np.where(np.isnan(opened), NAN, 1e6),
        closes_at=10 * DAY + np.arange(4) * DAY // 8,
        symbols=["A", "B"],
    )
    waits = run(TargetShares(shares=[[NAN, 3.0], [NAN, 3.0], [NAN, NAN], [NAN, NAN]]), market)
    assert waits.fills[["step", "quantity_shares"]].to_numpy().tolist() == [[2, 3.0]]

    with pytest.raises(BacktestError, match=r"^vectorized engine: B .*: another target is decided while an order"):
        run(TargetShares(shares=[[NAN, 3.0], [NAN, 4.0], [NAN, NAN], [NAN, NAN]]), market)
