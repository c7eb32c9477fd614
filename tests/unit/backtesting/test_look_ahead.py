"""The look-ahead detector: planted leaks are found and named, honest strategies pass."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aegis.backtesting.array_strategies import Signals, TargetShares, TargetWeights
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.costs import CostModel
from aegis.backtesting.desk import Desk
from aegis.backtesting.jitted import close, indicator, jitted_strategy, order_target_shares, step_number
from aegis.backtesting.look_ahead import examine, garbled
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.strategy import Strategy
from aegis.errors import BacktestError, StrategyFailed

DAY = 86_400_000_000_000
CONFIG = BacktestConfig(
    rules=TradingRules(participation_rate=np.inf, fractional_shares=True), costs=CostModel(5.0, 1.0)
)


def daily(n: int = 260, symbols: int = 2) -> Bars:
    random = np.random.default_rng(11)
    closes = np.exp(random.normal(0.0, 0.015, (n, symbols)).cumsum(0)) * 40.0
    opens = closes * np.exp(random.normal(0.0, 0.005, closes.shape))
    high = np.maximum(opens, closes) * np.exp(np.abs(random.normal(0.0, 0.005, closes.shape)))
    low = np.minimum(opens, closes) * np.exp(-np.abs(random.normal(0.0, 0.005, closes.shape)))
    if symbols > 1:
        for column in (opens, high, low, closes):
            column[30:33, 1] = np.nan
    volume = np.where(np.isnan(closes), np.nan, 1e6)
    return Bars.from_arrays(
        opens, high, low, closes, volume, closes_at=(18_000 + np.arange(n)) * DAY, symbols=["AAA", "BBB"][:symbols]
    )


BARS = daily()


def table(bars: Bars, field: str = "close") -> pd.DataFrame:
    days = pd.DatetimeIndex(bars.closes_at)
    return pd.DataFrame(getattr(bars, field).reshape(bars.n_steps, -1), index=days)


def weights_of(signal: pd.DataFrame) -> TargetWeights:
    return TargetWeights(weights=signal.to_numpy(dtype=float) * 0.4)


# Leaks


def next_close(bars: Bars) -> TargetWeights:
    closes = table(bars)
    return weights_of(closes.shift(-1) > closes)


def whole_sample_scale(bars: Bars) -> TargetWeights:
    closes = table(bars)
    return weights_of((closes - closes.mean()) / closes.std() < 0.0)


def centred_average(bars: Bars) -> TargetWeights:
    closes = table(bars)
    return weights_of(closes > closes.rolling(5, center=True).mean())


def high_of_the_bar_that_executes(bars: Bars) -> TargetWeights:
    """Decide "at the open" by the day's high: the row before the bar that executes it holds that bar's high."""
    signal = table(bars, "high") > table(bars, "close").shift(1) * 1.01
    return weights_of(signal.shift(-1, fill_value=False))


def month_end_only(bars: Bars) -> TargetWeights:
    """Hold the same, but in a month's last session what rises in the next."""
    closes = table(bars)
    months = pd.Series(closes.index.to_period("M"))
    last = (months != months.shift(-1)).to_numpy()
    last[-1] = False
    signal = closes > closes.shift(1)
    signal[last] = (closes.shift(-1) > closes)[last]
    return weights_of(signal)


def filled_backwards(bars: Bars) -> TargetWeights:
    closes = table(bars)
    signal = (closes > closes.shift(1)).astype(float)
    signal[np.arange(len(closes)) % 5 != 4] = np.nan
    return weights_of(signal.bfill())


class ReadsItsIndicators(Strategy):
    """Leaks through a column that is computed once."""

    def indicators(self, bars: Bars) -> dict[str, Any]:
        return {"rises": (table(bars).shift(-1) > table(bars)).to_numpy(dtype=float).reshape(-1)}

    def on_bar(self, desk: Desk) -> None:
        desk.order_target_shares("AAA", 10.0 * desk.indicator("rises", "AAA"))


@jitted_strategy
def follow_indicator(market):
    order_target_shares(market, 0, 10.0 * indicator(market, 0, 0))


def rises_next(bars: Bars) -> np.ndarray:
    closes = table(bars)
    return (closes.shift(-1) > closes).to_numpy(dtype=float).reshape(1, -1)


def keeps_all_prices(bars: Bars) -> Strategy:
    """Leak through an object that the strategy was made with."""
    closes = table(bars)[0].to_numpy()

    class Prophet(Strategy):
        def on_bar(self, desk: Desk) -> None:
            ahead = min(desk.step + 1, len(closes) - 1)
            desk.order_target_shares("AAA", 10.0 if closes[ahead] > closes[desk.step] else 0.0)

    return Prophet()


def limit_at_the_next_low(bars: Bars) -> Strategy:
    """Decide the same shares, but at a price of the future."""
    low = table(bars, "low")[0].to_numpy()

    class Bargain(Strategy):
        def on_bar(self, desk: Desk) -> None:
            ahead = min(desk.step + 1, len(low) - 1)
            desk.order("AAA", 1.0, order_type="limit", limit_usd=round(float(low[ahead]) * 1.001, 4))

    return Bargain()


LEAKS: list[Callable[[Bars], Any]] = [
    next_close,
    whole_sample_scale,
    centred_average,
    high_of_the_bar_that_executes,
    month_end_only,
    filled_backwards,
    keeps_all_prices,
    limit_at_the_next_low,
]


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_planted_leak_is_found(leak: Callable[[Bars], Any]) -> None:
    seen = examine(leak, BARS, CONFIG)
    assert seen.found is not None
    assert seen.found.decided_at <= seen.found.known_until


@pytest.mark.parametrize(
    ("strategy", "bars"),
    [(ReadsItsIndicators, BARS), (follow_indicator.using(indicators=rises_next), daily(symbols=1))],
    ids=["python", "jitted"],
)
def test_leak_through_indicators_is_found(strategy: Any, bars: Bars) -> None:
    found = examine(strategy, bars, CONFIG).found
    assert found is not None
    assert found.symbol == "AAA"


def test_leak_is_found_whatever_the_seed() -> None:
    assert all(examine(month_end_only, BARS, CONFIG, seed=seed).found is not None for seed in range(5))


def test_finding_names_symbol_time_quantity_and_remedy() -> None:
    # BBB is bought in step 100 if the close of step 101 is above 1 USD, and it is; cut after step 100, it is not known.
    def peeks(bars: Bars) -> TargetShares:
        shares = np.full((bars.n_steps, 2), np.nan)
        shares[::10, 0] = np.arange(len(shares[::10]))
        if bars.n_steps > 101 and bars.close[101 * 2 + 1] > 1.0:
            shares[100, 1] = 25.0
        return TargetShares(shares=shares)

    found = examine(peeks, BARS, CONFIG, instants=200).found

    assert found is not None
    assert (found.symbol, found.quantity_shares) == ("BBB", 25.0)
    assert np.isnan(found.quantity_in_rerun_shares)
    assert found.decided_at == np.datetime64(18_100, "D")
    assert found.rerun == "bars that end there"
    day = np.datetime64(18_100, "D")
    assert str(found).startswith(
        f"BBB {day}T00:00:00Z: the order of +25 shares is nothing when the strategy is given bars that end there, at "
        f"{day}T00:00:00Z; it uses what is not known yet. Look for a negative shift"
    )


# Honest strategies


def trailing_average(bars: Bars) -> Signals:
    closes = table(bars)
    above = closes > closes.rolling(20).mean()
    return Signals(entries=above.to_numpy(), exits=(~above).to_numpy(), weight=0.4)


def month_turn(bars: Bars) -> TargetWeights:
    """Decide in the first session of a month, by what is known then."""
    closes = table(bars)
    months = pd.Series(closes.index.to_period("M"))
    first = (months != months.shift(1)).to_numpy()
    scaled = closes / closes.rolling(60, min_periods=1).mean()
    return TargetWeights(weights=np.where(first[:, None], scaled.clip(0.0, 2.0) * 0.2, np.nan))


class Brackets(Strategy):
    """Trades by history and account, replaces and cancels."""

    def __init__(self) -> None:
        self.resting: int | None = None

    def on_bar(self, desk: Desk) -> None:
        if desk.step < 20:
            return
        closes = desk.history("AAA", "close", 20)
        if self.resting is None or self.resting not in desk.open_orders():
            self.resting = desk.order(
                "AAA", 5.0, order_type="limit", limit_usd=float(closes.min()), time_in_force="GTC"
            )
        elif desk.step % 7 == 0:
            desk.cancel(self.resting)
        else:
            desk.replace(self.resting, limit_usd=float(closes.mean()) * 0.97)
        if desk.position("AAA") > 20.0:
            desk.order_target_weight("AAA", 0.0)


@jitted_strategy
def rise_of_a_day(market):
    if step_number(market) > 0:
        order_target_shares(market, 0, 10.0 if close(market, 0, 0) > close(market, 0, 1) else 0.0)


@pytest.mark.parametrize(
    "honest",
    [trailing_average, month_turn, Brackets, Brackets(), rise_of_a_day],
    ids=["signals", "weights", "class", "instance", "jitted"],
)
def test_honest_strategy_passes(honest: Any) -> None:
    seen = examine(honest, BARS, CONFIG)
    assert seen.found is None
    assert seen.instants == 60
    assert seen.decisions > 10


def test_honest_strategy_passes_within_sessions_and_over_corporate_events() -> None:
    # Four bars a session; a dividend of almost the price, which garbled prices of before could not pay.
    random = np.random.default_rng(2)
    closes = np.exp(random.normal(0.0, 0.01, 240).cumsum()) * 30.0
    closes_at = np.repeat(18_000 + np.arange(60), 4) * DAY + np.tile(np.arange(4) + 15, 60) * (DAY // 24)
    bars = Bars.from_arrays(closes, closes, closes, closes, closes * 1e4, closes_at=closes_at, symbols=["AAA"])
    split = CorporateEvent(kind="split", symbol="AAA", ex_date=date(2019, 5, 10), ratio=2.0)
    dividend = CorporateEvent(kind="dividend", symbol="AAA", ex_date=date(2019, 5, 20), amount_usd=20.0)

    def closing_bars(seen: Bars) -> TargetShares:
        shares = np.full(seen.n_steps, np.nan)
        shares[3::4] = np.floor(seen.close[3::4])
        return TargetShares(shares=shares)

    config = BacktestConfig(rules=TradingRules(participation_rate=np.inf), events=[split, dividend])

    assert examine(closing_bars, bars, config).found is None


# Garbling, refusals


def test_garbled_bars_differ_in_every_price_after_the_step_and_in_none_before() -> None:
    other = garbled(BARS, 25, np.random.default_rng(0))
    for name in ("open", "high", "low", "close", "volume"):
        before, after = getattr(BARS, name), getattr(other, name)
        present = ~np.isnan(before[52:])
        assert np.array_equal(before[:52], after[:52])
        assert (before[52:][present] != after[52:][present]).all()
        assert np.isnan(after[52:][~present]).all()


def test_strategy_that_fails_keeps_its_error() -> None:
    class Fails(Strategy):
        def on_bar(self, desk: Desk) -> None:
            desk.history("AAA", "close", 20)

    with pytest.raises(StrategyFailed, match="history of 20 bars where 1 are known"):
        examine(Fails, BARS, CONFIG)


class Idle(Strategy):
    def on_bar(self, desk: Desk) -> None:
        """Decide nothing."""


@pytest.mark.parametrize(
    ("subject", "bars", "instants", "match"),
    [
        (TargetShares(shares=[1.0] * 260), BARS, 60, "cannot be made again from other bars; pass the function"),
        (42, BARS, 60, "int is no strategy"),
        (trailing_average, daily(9), 60, "9 steps, dense: True; give 10 or more"),
        (trailing_average, BARS, 0, "0 instants; look at one at least"),
        (Idle, BARS, 60, "the strategy decided nothing"),
    ],
)
def test_what_cannot_be_examined_is_refused(subject: Any, bars: Bars, instants: int, match: str) -> None:
    with pytest.raises(BacktestError, match=match):
        examine(subject, bars, CONFIG, instants=instants)
