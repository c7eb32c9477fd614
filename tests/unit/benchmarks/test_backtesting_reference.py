"""The benchmark's arbiter on bars small enough to be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.backtesting import reference, tasks
from benchmarks.backtesting.comparison import differences
from benchmarks.backtesting.markets import Bars
from benchmarks.backtesting.tasks import Outcome, Task


def bars_of(rows: list[tuple[float, float, float, float]]) -> Bars:
    opens, highs, lows, closes = (np.array(column) for column in zip(*rows, strict=True))
    times = np.arange(len(rows)) * 60_000_000_000
    return Bars(times, opens, highs, lows, closes, np.full(len(rows), 1e6))


def test_cross_buys_at_the_open_after_the_close_that_lifts_the_fast_average_and_sells_likewise() -> None:
    closes = [10.0, 10.0, 10.0, 13.0, 16.0, 7.0, 7.0]
    bars = bars_of([(close + 0.5, close + 1, close - 1, close) for close in closes])

    account = reference.sma_cross(bars, 2, 3)

    # Averages of 2 and 3 closes: 10 = 10, 11.5 > 11, 14.5 > 13, 11.5 < 12, so long from bar 4 to bar 6.
    assert [(fill.bar, fill.shares, fill.price_usd, fill.commission_usd) for fill in account.fills] == [
        (4, 100.0, 16.5, 1.0),
        (6, -100.0, 7.5, 1.0),
    ]
    # 1,000,000 - 100 × (16.5 - 16) - 1, then 900 less at the close of 7, then sold 50 above that, for another dollar.
    assert account.equity_usd.tolist()[4:] == [999_949.0, 999_049.0, 999_098.0]


def test_bracket_leaves_at_its_stop_at_its_limit_and_at_the_open_beyond_them() -> None:
    flat = (100.0, 100.5, 99.5, 100.0)
    stop, limit = 100.0 - tasks.BRACKET_WIDTH_USD, 100.0 + tasks.BRACKET_WIDTH_USD
    cases = {
        (100.0, 101.0, 95.0, 96.0): stop,
        (85.0, 86.0, 84.0, 85.0): 85.0,
        (100.0, 105.0, 99.0, 104.0): limit,
        (115.0, 116.0, 114.0, 115.0): 115.0,
    }
    for last, price in cases.items():
        fills = reference.brackets(bars_of([flat] * 12 + [last])).fills
        assert [(fill.bar, fill.shares, fill.price_usd) for fill in fills] == [(10, 16.0, 100.0), (12, -16.0, price)]


def test_bracket_that_reaches_neither_exit_stays_open() -> None:
    fills = reference.brackets(bars_of([(100.0, 104.0, 96.0, 100.0)] * 15)).fills

    assert [(fill.bar, fill.shares) for fill in fills] == [(10, 16.0)]


def test_rebalance_sizes_at_the_close_and_pays_slippage_and_commission_at_the_next_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "rebalance_rows", lambda _: np.array([0, 1]))
    monkeypatch.setattr(tasks, "inverse_volatility_weights", lambda _: np.array([[0.5, 0.25], [0.2, 0.25]]))
    monkeypatch.setattr(tasks, "PORTFOLIO_CASH_USD", 10_000.0)
    closes = np.array([[30.0, 40.0], [33.0, 40.0], [33.0, 40.0]])
    bars = replace(bars_of([(1.0, 1.0, 1.0, 1.0)] * 3), open=np.full((3, 2), 32.0), close=closes)

    account = reference.rebalances(bars)

    # 0.5 × 10,000 / 30 = 166.7 shares; 0.25 × 10,000 / 40 = 62.5 shares.
    first, second, third, fourth = account.fills
    assert (first.bar, first.symbol, first.shares) == (1, 0, 166.0)
    assert (second.bar, second.symbol, second.shares) == (1, 1, 62.0)
    assert first.price_usd == pytest.approx(32.016)
    assert first.commission_usd == pytest.approx(166 * 32.016 * 1e-4)
    cash = 10_000.0 - 228 * 32.016 * 1.0001
    equity = cash + 166 * 33.0 + 62 * 40.0
    assert account.equity_usd[1] == pytest.approx(equity)
    # Of equity 10,657.6 a fifth is 64.6 shares at 33, which are 101.4 fewer, so 101 are sold; a quarter is 66.6 at 40.
    assert (third.bar, third.symbol, third.shares) == (2, 0, -101.0)
    assert third.price_usd == pytest.approx(31.984)
    assert (fourth.symbol, fourth.shares) == (1, 4.0)


def test_sharpe_ratio_and_drawdown_of_three_days_are_those_computed_by_hand() -> None:
    equity = tasks.CASH_USD * np.array([1.0, 1.1, 0.99])

    # Returns 0, 0.1, -0.1: mean 0, so the ratio is 0; the loss from 1.1 to 0.99 is a tenth.
    assert reference.sharpe_ratio(equity) == pytest.approx(0.0, abs=1e-12)
    assert reference.max_drawdown(equity) == pytest.approx(0.1)
    # Returns 0.1, 0.1, 0.4: mean 0.2, deviation sqrt(0.03).
    rising = tasks.CASH_USD * np.array([1.1, 1.21, 1.694])
    assert reference.sharpe_ratio(rising) == pytest.approx(0.2 / 0.03**0.5 * 252**0.5)


def test_a_difference_of_one_fill_or_of_a_millionth_is_named_and_what_is_not_reported_is_not() -> None:
    expected = Outcome(10, 100.0, 5_000.0, 1_000_000.0, sharpe=1.5, drawdown=0.1)

    assert differences(replace(expected, sharpe=float("nan")), expected) == []
    assert len(differences(replace(expected, fills=11), expected)) == 1
    assert "final_equity_usd" in differences(replace(expected, final_equity_usd=1_000_001.0), expected)[0]


def test_bars_of_the_bracket_task_reach_no_exit_in_the_entry_bar_and_never_both() -> None:
    from benchmarks.backtesting import markets  # noqa: PLC0415 - only this test generates a market

    bars = markets.minute_bars(50_000)

    reach = np.maximum(bars.high[1:] - bars.close[:-1], bars.close[:-1] - bars.low[1:])
    assert reach.max() < tasks.BRACKET_WIDTH_USD
    assert (bars.high - bars.low).max() < 2 * tasks.BRACKET_WIDTH_USD
    assert np.array_equal(bars.close * 8, np.round(bars.close * 8))


def test_sweep_has_as_many_different_pairs_as_its_size_with_the_fast_window_below_the_slow_one() -> None:
    bars = bars_of([(1.0, 1.0, 1.0, 1.0)] * 3)
    for name, size in (("D", 10_000), ("D50", 1_000)):
        pairs = tasks.sma_pairs(Task(name, size, bars, "cell"))
        assert len(np.unique(pairs, axis=0)) == size
        assert (pairs[:, 0] < pairs[:, 1]).all()
