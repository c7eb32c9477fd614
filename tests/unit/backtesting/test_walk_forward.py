"""Walk-forward: windows by hand, one simulation without reset, and equality with separate runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from aegis.backtesting.array_strategies import TargetShares, TargetWeights
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.costs import CostModel
from aegis.backtesting.desk import Desk
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.fits import ExhaustiveFit, Fitted
from aegis.backtesting.jitted import close, jitted_strategy, keep, order_target_shares, parameter, recall
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.market_impact import SquareRoot
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.splits import Splits
from aegis.backtesting.strategy import FillNotice, Strategy
from aegis.backtesting.streaming import ParquetBars
from aegis.backtesting.walk_forward import WalkForward, WalkForwardBacktest, WalkForwardResults
from aegis.errors import BacktestError, ConfigurationError, StrategyFailed

NAN = float("nan")
DAY = 86_400_000_000_000
CONFIG = BacktestConfig(
    initial_cash_usd=10_000.0, rules=TradingRules(participation_rate=np.inf), costs=CostModel(5.0, 1.0)
)


def bars(n: int = 12, symbols: int = 1, *, seed: int = 3, opens: Any | None = None) -> Bars:
    random = np.random.default_rng(seed)
    opened = (
        np.exp(random.normal(0.0, 0.03, (n, symbols)).cumsum(0)) * 50 if opens is None else np.array(opens)[:, None]
    )
    closed = opened * np.exp(random.normal(0.0, 0.02, opened.shape)) if opens is None else opened
    return Bars.from_arrays(
        opened,
        np.maximum(opened, closed) * 1.01,
        np.minimum(opened, closed) * 0.99,
        closed,
        np.full(opened.shape, 1e6),
        closes_at=np.arange(1, len(opened) + 1) * DAY,
        symbols=["A", "B", "C"][: opened.shape[1]],
    )


def walk(fit: Any, market: Bars, config: BacktestConfig = CONFIG, **splits: Any) -> WalkForwardResults:
    splits = {"train_sessions": 4, "test_sessions": 3} | splits
    return WalkForwardBacktest(WalkForward(fit=fit, splits=Splits(**splits)), market, config).run()


def momentum(lookback: int):
    """Return a rule: hold everything, and more of what rose over some sessions."""

    def rule(market: Bars) -> TargetWeights:
        closes = market.close.reshape(market.n_steps, -1)
        weights = np.full(closes.shape, NAN)
        weights[lookback:] = (0.2 + 0.6 * (closes[lookback:] > closes[:-lookback])) / closes.shape[1]
        return TargetWeights(weights=weights)

    return rule


def alternating(*lookbacks: int):
    """Return a fit that chooses one after the other."""
    left = list(lookbacks)

    def fit(_train: Bars, _config: BacktestConfig) -> Fitted:
        chosen = left.pop(0)
        return Fitted(rule=momentum(chosen), parameters={"lookback": chosen}, history_sessions=chosen)

    return fit


# Windows


def positions(splits: Splits, n: int) -> list[tuple[int, int, int, int]]:
    return [(w.train_first, w.train_end, w.test_first, w.test_end) for w in splits.windows(n)]


def test_rolling_windows_move_along_and_leave_the_embargo_out() -> None:
    splits = Splits(train_sessions=4, test_sessions=3, embargo_sessions=2, label_horizon_sessions=2)
    assert positions(splits, 13) == [(0, 4, 6, 9), (3, 7, 9, 12), (6, 10, 12, 13)]


def test_expanding_windows_all_begin_with_the_first_session() -> None:
    splits = Splits(train_sessions=4, test_sessions=3, embargo_sessions=1, kind="expanding")
    assert positions(splits, 11) == [(0, 4, 5, 8), (0, 7, 8, 11)]


def test_embargo_shorter_than_the_label_horizon_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="embargo_sessions is 1, shorter than label_horizon_sessions, 2"):
        Splits(train_sessions=4, test_sessions=3, embargo_sessions=1, label_horizon_sessions=2)


def test_windows_that_leave_nothing_to_test_on_are_refused() -> None:
    with pytest.raises(BacktestError, match="leave none of 6 to test on"):
        Splits(train_sessions=4, test_sessions=3, embargo_sessions=2).windows(6)


def test_length_below_its_bound_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="test_sessions is 0 and must be at least 1"):
        Splits(train_sessions=4, test_sessions=0)


# What a fit sees


def test_fit_sees_its_training_window_and_nothing_else() -> None:
    market, seen = bars(11), []

    def fit(train: Bars, _config: BacktestConfig) -> Fitted:
        seen.append(train.closes_at.tolist())
        return Fitted(rule=momentum(1), parameters={})

    walk(fit, market, embargo_sessions=1)

    assert seen == [market.closes_at[0:4].tolist(), market.closes_at[3:7].tolist()]


def test_exhaustive_fit_takes_the_best_on_the_training_window_and_counts_its_trials() -> None:
    # Prices rise in training, so of 0, 10 and 5 shares the most earn the most; they fall in the test.
    market = bars(opens=[10.0, 11.0, 12.0, 13.0, 14.0, 10.0, 9.0])

    def hold(candidate: Any):
        return lambda seen: TargetShares(shares=np.full(seen.n_steps, float(candidate["shares"])))

    fit = ExhaustiveFit(
        candidates=[{"shares": 0}, {"shares": 10}, {"shares": 5}],
        rule=hold,
        score=lambda results: float(results.equity_usd[-1]),
    )
    config = BacktestConfig(initial_cash_usd=1000.0, rules=TradingRules(participation_rate=np.inf))
    done = walk(fit, market, config, train_sessions=4)

    assert done.windows[0].fitted.parameters == {"shares": 10}
    assert done.trials == 3
    # In sample: 10 bought at 11, worth 13 in the end. Out of sample: 10 bought at 10, worth 9.
    assert done.windows[0].in_sample.total_return == pytest.approx(0.02)
    assert done.windows[0].out_of_sample.total_return == pytest.approx(-0.01)
    assert done.frame[["window", "parameter_shares", "trials"]].to_numpy().tolist() == [[0, 10, 3]]


# One simulation


def test_positions_and_cash_pass_from_one_window_to_the_next_by_hand() -> None:
    # Test windows: sessions 2-3 and 4-5, at prices 10, 11 | 12, 13. The first holds 50 shares, ordered at the close of
    # 10 and bought at 11. The second wants 20: ordered at the close of 12, sold at 13: 30 x 13. No purchase again.
    market = bars(opens=[10.0, 10.0, 10.0, 11.0, 12.0, 13.0])
    wanted = iter([50.0, 20.0])

    def fit(_train: Bars, _config: BacktestConfig) -> Fitted:
        shares = next(wanted)
        return Fitted(rule=lambda seen: TargetShares(shares=np.full(seen.n_steps, shares)), parameters={})

    config = BacktestConfig(initial_cash_usd=1000.0, rules=TradingRules(participation_rate=np.inf))
    done = walk(fit, market, config, train_sessions=2, test_sessions=2)

    fills = done.chained.fills[["step", "quantity_shares", "price_usd"]].to_numpy().tolist()
    assert fills == [[1, 50.0, 11.0], [3, -30.0, 13.0]]
    assert done.chained.equity_usd.tolist() == [1000.0, 1000.0, 1050.0, 1100.0]
    assert done.chained.cash_usd.tolist() == [1000.0, 450.0, 450.0, 840.0]
    assert [w.out_of_sample.total_return for w in done.windows] == pytest.approx([0.0, 0.1])


def test_one_window_is_the_plain_backtest_of_its_sessions() -> None:
    market = bars(10, 2)
    done = walk(lambda _train, _config: Fitted(rule=momentum(1), parameters={}), market, test_sessions=6)

    test = market.part(4, 10)
    assert len(done.windows) == 1
    plain = EventDrivenBacktest(momentum(1)(test), test, CONFIG).run()
    assert len(plain.fill_records) > 3
    assert np.array_equal(done.chained.fill_records, plain.fill_records)
    pd.testing.assert_frame_equal(done.chained.orders, plain.orders)
    assert np.array_equal(done.chained.equity_usd, plain.equity_usd)


def test_same_rule_in_every_window_is_the_backtest_without_windows() -> None:
    market = bars(40, 3)
    fit = alternating(*[2] * 12)
    done = walk(fit, market)

    test = market.part(4, 40)
    whole = momentum(2)(market.part(2, 40)).weights
    plain = EventDrivenBacktest(TargetWeights(weights=whole[2:]), test, CONFIG).run()
    assert len(done.windows) == 12
    assert len(plain.fill_records) > 30
    assert np.array_equal(done.chained.fill_records, plain.fill_records)
    assert np.array_equal(done.chained.equity_usd, plain.equity_usd)
    assert done.chained.session_dates.equals(plain.session_dates)


def test_window_equals_a_separate_run_from_the_state_that_the_window_before_left() -> None:
    market = bars(10, 2)
    done = walk(alternating(1, 2), market)

    first, second = market.part(4, 7), market.part(5, 10)
    before = Simulation(market.symbols, rules=CONFIG.rules, costs=CONFIG.costs, cash_usd=10_000.0)
    seen = market.part(3, 7)
    before.feed(seen, targets=momentum(1)(seen).targets(4, market.symbols), warm_up_sessions=1)
    before.advance()
    alone = Simulation(market.symbols, rules=CONFIG.rules, costs=CONFIG.costs, cash_usd=0.0)
    carried = ("account_array", "cursor_array", "positions", "terms")
    for name in carried:
        getattr(alone, name)[:] = getattr(before, name)
    alone.orders[:] = before.orders
    alone.feed(second, targets=momentum(2)(second).targets(5, market.symbols), warm_up_sessions=2)
    alone.advance()

    assert before.positions["quantity"].any()
    assert np.array_equal(done.chained.equity_usd[: first.n_steps], before.equity[1:])
    assert np.array_equal(done.chained.equity_usd[first.n_steps :], alone.equity[2:])
    assert len(done.chained.fill_records) > len(before.fills) > 0
    late = done.chained.fill_records[len(before.fills) :]
    for name in ("quantity", "price", "commission", "step", "symbol", "order"):
        assert np.array_equal(late[name], alone.fills[name][len(before.fills) :]), name


def test_returns_of_the_windows_multiply_to_the_whole() -> None:
    done = walk(alternating(1, 2, 3, 1, 2, 3), bars(22, 2))
    product = np.prod([1.0 + w.out_of_sample.total_return for w in done.windows])
    assert product == pytest.approx(done.chained.equity_usd[-1] / 10_000.0, rel=1e-12)
    assert abs(product - 1.0) > 1e-3
    assert done.chained.settings["walk_forward"]["test_sessions"] == 3
    assert done.chained.strategy == "walk-forward"


def test_costs_that_look_back_know_the_sessions_before_the_first_test_window() -> None:
    # The impact of the first purchase needs volatility and volume of the three sessions before it.
    config = BacktestConfig(
        initial_cash_usd=10_000.0,
        rules=TradingRules(participation_rate=np.inf),
        costs=CostModel(impact=SquareRoot()),
        liquidity_window_sessions=3,
    )
    market = bars(opens=[10.0, 11.0, 10.0, 11.0, 10.0, 10.0])
    done = walk(
        lambda _train, _config: Fitted(
            rule=lambda seen: TargetShares(shares=np.r_[400.0, [NAN] * (seen.n_steps - 1)]), parameters={}
        ),
        market,
        config,
        train_sessions=4,
        test_sessions=2,
    )
    # Three returns lead over the closes before the sixth session, 11, 10, 11, 10; a million shares a day.
    returns = [-1.0 / 11.0, 1.0 / 10.0, -1.0 / 11.0]
    moved = np.std(returns, ddof=1) * np.sqrt(400.0 / 1e6)
    assert done.chained.fills["price_usd"].tolist() == pytest.approx([10.0 * (1.0 + moved)], rel=1e-9)


# Strategies of the other forms


@jitted_strategy
def hold_parameter(market):
    keep(market, 0, recall(market, 0) + 1.0)
    if recall(market, 0) == 1.0 and close(market, 0, 0) > 0.0:
        order_target_shares(market, 0, parameter(market, 0))


def test_jitted_strategies_get_parameters_and_an_empty_memory_in_each_window() -> None:
    wanted = iter([7.0, 3.0])

    def fit(_train: Bars, _config: BacktestConfig) -> Fitted:
        return Fitted(rule=hold_parameter.using(next(wanted), memory_size=1), parameters={})

    done = walk(fit, bars(10), test_sessions=3)

    assert done.chained.fills[["step", "quantity_shares"]].to_numpy().tolist() == [[1, 7.0], [4, -4.0]]


class Listener(Strategy):
    """Buys some shares once, at the last bar of its window, and writes down what it hears."""

    def __init__(self, shares: float, heard: list[tuple[float, float]]) -> None:
        self.shares, self.heard, self.bars = shares, heard, 0
        self.rang = 0

    def on_start(self, desk: Desk) -> None:
        desk.schedule(self._ring)

    def _ring(self, _desk: Desk) -> None:
        self.rang += 1

    def on_bar(self, desk: Desk) -> None:
        self.bars += 1
        assert self.rang == self.bars
        if self.bars == 3:
            desk.order("A", self.shares)

    def on_fill(self, desk: Desk, fill: FillNotice) -> None:
        assert desk.step >= 0
        self.heard.append((self.shares, fill.quantity_shares))


def test_python_strategy_hears_of_the_orders_it_takes_over_and_not_of_earlier_fills() -> None:
    heard: list[tuple[float, float]] = []
    wanted = iter([5.0, 6.0, 7.0])

    def fit(_train: Bars, _config: BacktestConfig) -> Fitted:
        shares = next(wanted)
        return Fitted(rule=lambda _seen: Listener(shares, heard), parameters={})

    done = walk(fit, bars(13))

    # The order of each window's last close fills in the next window; the last one's has no bar any more. Then each is
    # run on its training window of four sessions, where it hears of its own.
    assert heard == [(6.0, 5.0), (7.0, 6.0), (5.0, 5.0), (6.0, 6.0), (7.0, 7.0)]
    assert done.chained.fills["step"].tolist() == [3, 6]


# Failures and refusals


class Breaks(Strategy):
    """Fails at a price of 13."""

    def on_bar(self, desk: Desk) -> None:
        if desk.equity_usd > 0.0 and desk.price("A", "open") == 13.0:
            raise ValueError("thirteen")


def test_results_until_a_strategy_failed_are_kept() -> None:
    market = bars(opens=[10.0, 10.0, 10.0, 11.0, 12.0, 13.0])
    backtest = WalkForwardBacktest(
        WalkForward(
            fit=lambda _train, _config: Fitted(rule=lambda _seen: Breaks(), parameters={}),
            splits=Splits(train_sessions=2, test_sessions=2),
        ),
        market,
        CONFIG,
    )
    with pytest.raises(BacktestError, match="run it first"):
        backtest.results()

    with pytest.raises(StrategyFailed, match=r"^1970-01-07T00:00:00Z: Breaks raised ValueError: thirteen"):
        backtest.run()

    assert backtest.results().equity_usd.tolist()[:3] == [10_000.0] * 3


@pytest.mark.parametrize(
    ("returned", "match"),
    [
        (TargetWeights(weights=[1.0]), "the fit returned TargetWeights; return Fitted"),
        (Fitted(rule=TargetWeights(weights=[1.0]), parameters={}), "window 0: the rule is TargetWeights, made before"),  # type: ignore[arg-type]
        (Fitted(rule=Strategy(), parameters={}), "window 0: the rule is Strategy, made before"),  # type: ignore[arg-type]
    ],
)
def test_rule_that_was_made_before_its_bars_is_refused(returned: Any, match: str) -> None:
    with pytest.raises(BacktestError, match=match):
        walk(lambda _train, _config: returned, bars(10))


def test_what_cannot_be_walked_is_refused() -> None:
    with pytest.raises(BacktestError, match="Strategy cannot be fitted; pass WalkForward"):
        WalkForwardBacktest(Strategy(), bars(10), CONFIG)  # type: ignore[arg-type]
    chunks = ParquetBars.__new__(ParquetBars)
    plan = WalkForward(fit=alternating(1), splits=Splits(train_sessions=4, test_sessions=3))
    with pytest.raises(BacktestError, match="ParquetBars is read in chunks"):
        WalkForwardBacktest(plan, chunks, CONFIG)


def test_fit_without_candidates_is_refused() -> None:
    fit = ExhaustiveFit(candidates=[], rule=lambda _candidate: momentum(1), score=lambda _results: 0.0)
    with pytest.raises(BacktestError, match="no candidate to fit"):
        walk(fit, bars(10))
