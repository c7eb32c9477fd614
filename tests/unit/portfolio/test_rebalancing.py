import math
from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.config import PortfolioSettings
from aegis.errors import PortfolioError
from aegis.lake.tables import COVARIANCES, ENSEMBLE_SIGNALS
from aegis.portfolio.optimizer import TargetWeightsOptimizer
from aegis.portfolio.rebalancing import (
    decision_inputs,
    neutral_returns,
    target_weights,
    whole_share_orders,
)

SESSION = date(2020, 1, 2)
# gamma * variance is 5e-4; the neutral book of two names at 0.2 holds 0.1 in each
SETTINGS = PortfolioSettings(
    max_position_weight=0.3, turnover_cost_bps=10.0, holding_period_sessions=100, neutral_exposure=0.2
)
RISK = np.diag([1e-4, 1e-4])


def decide(alpha, held, *, members=("AAA", "BBB"), scale=1.0, settings=SETTINGS, covariance=RISK):
    rows = target_weights(
        SESSION,
        symbols=["AAA", "BBB"],
        expected_returns=np.array(alpha, dtype=np.float64),
        covariance=covariance,
        current_weights=held,
        members=frozenset(members),
        exposure_scale=scale,
        optimizer=TargetWeightsOptimizer(settings),
    )
    return {row.symbol: row for row in rows}


def test_without_an_opinion_the_book_is_equal_weighted():
    free = SETTINGS.model_copy(update={"turnover_cost_bps": 0.0})

    rows = decide([0.0, 0.0], {}, settings=free)

    assert {s: r.target_weight for s, r in rows.items()} == pytest.approx({"AAA": 0.1, "BBB": 0.1}, abs=1e-7)
    assert rows["AAA"].reason == "optimal"
    assert rows["AAA"].optimized_return_daily == pytest.approx(5 * 1e-4 * 0.1)


def test_a_better_expected_return_gets_more_and_the_reason_says_what_bound_it():
    # wanted: 0.1 + alpha / 5e-4, less the edge of the cost zone 1e-5 / 5e-4 = 0.02
    rows = decide([1e-3, 1e-5], {"AAA": 0.05, "BBB": 0.11})

    assert (rows["AAA"].target_weight, rows["AAA"].reason) == (0.3, "capped")
    assert (rows["BBB"].target_weight, rows["BBB"].reason) == (0.11, "unchanged: trading costs more than it gains")
    assert decide([1e-5, -1e-3], {})["BBB"].reason == "not held: its return does not pay for its risk"
    assert decide([1e-5, 0.0], {})["AAA"].target_weight == pytest.approx(0.1, abs=1e-7)


def test_a_name_that_left_the_universe_is_sold_even_with_a_signal():
    rows = decide([1e-3, 0.0], {"AAA": 0.2, "OLD": 0.1}, members=["BBB"])

    for symbol in ("AAA", "OLD"):
        assert (rows[symbol].target_weight, rows[symbol].reason) == (0.0, "exit: left the universe")
    assert rows["AAA"].current_weight == 0.2
    assert list(rows) == ["AAA", "BBB", "OLD"]


def test_a_member_without_a_signal_is_held_and_uses_exposure():
    rows = decide([1e-2, 1e-2], {"NEW": 0.55}, members=["AAA", "BBB", "NEW"])

    assert (rows["NEW"].target_weight, rows["NEW"].reason) == (0.55, "hold: no signal")
    assert rows["AAA"].target_weight + rows["BBB"].target_weight == pytest.approx(0.45, abs=1e-7)


def test_what_is_held_without_a_signal_is_cut_when_breakers_allow_less():
    rows = decide([1e-2, 1e-2], {"NEW": 0.6, "YOUNG": 0.2}, members=["AAA", "NEW", "YOUNG"], scale=0.4)

    assert rows["NEW"].target_weight == pytest.approx(0.3)
    assert rows["YOUNG"].target_weight == pytest.approx(0.1)
    assert rows["NEW"].reason == "hold: no signal, cut by the exposure limit"
    assert rows["AAA"].target_weight == 0.0


def test_members_that_are_not_held_and_have_no_signal_have_no_row():
    assert set(decide([0.0, 0.0], {"GONE": 0.0}, members=["AAA", "IPO"])) == {"AAA"}


def test_nothing_to_optimize_leaves_only_exits():
    rows = decide([0.0, 0.0], {"OLD": 0.1}, members=[])

    assert [(r.symbol, r.target_weight) for r in rows.values()] == [("OLD", 0.0)]


def test_neutral_returns_are_risk_aversion_times_covariance_times_the_equal_weighted_book():
    covariance = np.array([[4e-4, 1e-4], [1e-4, 2e-4]])

    # 0.4 in each name: rows sum to 5e-4 and 3e-4, times 0.4 and the risk aversion of 5
    np.testing.assert_allclose(neutral_returns(covariance, risk_aversion=5.0, exposure=0.8), [1e-3, 6e-4])


def test_a_missing_expected_return_is_refused_by_symbol_and_session():
    with pytest.raises(PortfolioError, match="2020-01-02 BBB: expected return is nan"):
        decide([0.0, math.nan], {})


def test_returns_that_do_not_fit_the_symbols_are_refused():
    with pytest.raises(PortfolioError, match="found 3 returns for 2 symbols"):
        decide([0.0, 0.0, 0.0], {})


def test_an_unusable_covariance_is_refused_with_the_session():
    with pytest.raises(PortfolioError, match="2020-01-02: covariance"):
        decide([0.0, 0.0], {}, covariance=np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_decision_inputs_keep_names_that_have_both_a_signal_and_a_covariance():
    at = {"session": pd.Timestamp(SESSION), "known_at_utc": pd.Timestamp(SESSION, tz="UTC")}
    ensemble = ENSEMBLE_SIGNALS.conform(
        pd.DataFrame({"symbol": ["CCC", "AAA", "NEW"], "expected_return_daily": [3.0, 1.0, 9.0]}).assign(
            score=0.0, confidence=1.0, **at
        )
    )
    covariances = COVARIANCES.conform(
        pd.DataFrame(
            {
                "symbol": ["AAA", "BBB", "CCC"],
                "position": [0, 1, 2],
                "covariance_row": [[11.0, 12.0, 13.0], [12.0, 22.0, 23.0], [13.0, 23.0, 33.0]],
                "shrinkage": 0.1,
            }
        ).assign(**at)
    )

    symbols, alpha, matrix = decision_inputs(ensemble, covariances)

    assert symbols == ("AAA", "CCC")
    assert alpha.tolist() == [1.0, 3.0]
    assert matrix.tolist() == [[11.0, 13.0], [13.0, 33.0]]


def orders(targets, held, *, equity=100_000.0, prices=None, smallest=0.0025):
    return whole_share_orders(
        targets,
        held,
        prices_usd=prices or {"AAA": 30.0, "BBB": 50.0},
        equity_usd=equity,
        min_trade_weight=smallest,
    )


def test_wanted_shares_are_rounded_towards_zero():
    # 5 % of 100,000 at 30 is 166.67 shares, at 50 exactly 100
    assert orders({"AAA": 0.05, "BBB": 0.05}, {}) == {"AAA": 166, "BBB": 100}
    assert orders({"AAA": 0.05}, {"AAA": 200.0}) == {"AAA": -34}


def test_small_changes_are_skipped_and_small_exits_are_not():
    assert orders({"AAA": 0.05, "BBB": 0.0}, {"AAA": 160.0, "BBB": 1.0}) == {"BBB": -1}
    assert orders({"AAA": 0.05}, {"AAA": 158.0}) == {}  # 8 * 30 = 240 USD, below 250
    assert orders({"AAA": 0.05}, {"AAA": 157.0}) == {"AAA": 9}  # 270 USD


def test_an_exit_needs_no_price():
    assert orders({"OLD": 0.0}, {"OLD": 12.0}) == {"OLD": -12}


def test_nothing_to_do_is_no_order():
    assert orders({"AAA": 0.0, "BBB": 0.05}, {"BBB": 100.0}, smallest=0.0) == {}


@pytest.mark.parametrize(
    ("targets", "held", "equity", "message"),
    [
        ({"AAA": 0.1}, {}, 0.0, "equity is 0.0 USD"),
        ({"AAA": 0.1}, {}, math.nan, "equity is nan USD"),
        ({"CCC": 0.1}, {}, 1e5, "CCC: close is nan USD"),
        ({"AAA": math.nan}, {}, 1e5, "AAA: target value is nan"),
        ({"AAA": 0.1}, {"BBB": 5.0}, 1e5, "BBB: 5.0 shares are held without a target weight"),
        ({"AAA": 0.1}, {"AAA": 5.5}, 1e5, "AAA: 5.5 shares are held; expected whole shares"),
    ],
)
def test_orders_that_cannot_be_sized_are_refused(targets, held, equity, message):
    with pytest.raises(PortfolioError, match=message):
        orders(targets, held, equity=equity)


@pytest.mark.parametrize(
    ("limit_usd", "shares"),
    [(1e9, 500), (30_000.0, 299), (30_050.0, 300), (99.0, 0), (0.0, 0), (float("nan"), 0)],
)
def test_a_purchase_is_no_larger_than_what_the_name_trades(limit_usd, shares):
    """At 100 USD a share, 300 shares are worth the limit itself; a share less cannot overstep it by rounding."""
    wanted = whole_share_orders(
        {"AAA": 0.5},
        {},
        prices_usd={"AAA": 100.0},
        equity_usd=100_000.0,
        min_trade_weight=0.0,
        max_increase_usd={"AAA": limit_usd},
    )
    assert wanted == ({"AAA": shares} if shares else {})


def test_a_sale_is_not_limited_by_what_the_name_trades():
    wanted = whole_share_orders(
        {"AAA": 0.0, "BBB": 0.1},
        {"AAA": 500, "BBB": 500},
        prices_usd={"AAA": 100.0, "BBB": 100.0},
        equity_usd=100_000.0,
        min_trade_weight=0.0,
        max_increase_usd={},
    )
    assert wanted == {"AAA": -500, "BBB": -400}


@pytest.mark.parametrize(
    ("target", "held", "change"),
    [
        (0.05, 0, 100),  # 5,000 USD at 30 is 166 shares, one lot of 100
        (0.05, 100, None),  # 66 more are no lot
        (0.02, 200, -100),  # down to 66: 134 fewer, one lot
        (0.0, 150, -150),  # an exit takes the odd lot along
    ],
)
def test_orders_are_whole_lots_and_an_exit_is_of_everything(target, held, change):
    wanted = whole_share_orders(
        {"AAA": target},
        {"AAA": held},
        prices_usd={"AAA": 30.0},
        equity_usd=100_000.0,
        min_trade_weight=0.0,
        lot_shares={"AAA": 100.0},
    )
    assert wanted == ({} if change is None else {"AAA": change})
