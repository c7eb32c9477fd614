"""Data frames as strategies: a column belongs to its symbol and a row to its step, whatever their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aegis.backtesting.array_strategies import Signals, TargetShares, TargetWeights
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.vectorized import VectorizedBacktest
from aegis.errors import BacktestError

CONFIG = BacktestConfig(initial_cash_usd=1000.0, rules=TradingRules(participation_rate=np.inf))
TIMES = pd.date_range("2024-01-02 21:00", periods=6, freq="D", tz="UTC")
PRICES = np.full((6, 2), 10.0)
BARS = Bars.from_arrays(*(PRICES,) * 4, np.full((6, 2), 1e6), closes_at=TIMES, symbols=["AAA", "BBB"])
ONE = Bars.from_arrays(*(PRICES[:, 0],) * 4, np.full(6, 1e6), closes_at=TIMES, symbols=["AAA"])
CHUNKS = pytest.mark.parametrize("sessions_per_chunk", [None, 2])


def frame(values: object = 10.0, **labels: object) -> pd.DataFrame:
    """Numbers for BBB, and 0 for AAA, in the columns' order BBB, AAA."""
    kind = type(values)
    return pd.DataFrame(
        {"BBB": [values] * 6, "AAA": [kind(0)] * 6},
        **{"index": TIMES, **labels},  # type: ignore[call-overload]
    )


@CHUNKS
@pytest.mark.parametrize(
    "strategy",
    [
        TargetWeights(weights=frame(0.5)),
        TargetShares(shares=frame(50.0)),
        Signals(entries=frame(values=True), exits=frame(values=False), weight=0.5),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_a_column_goes_to_its_symbol(strategy: TargetWeights, sessions_per_chunk: int | None) -> None:
    done = EventDrivenBacktest(strategy, BARS, replace(CONFIG, sessions_per_chunk=sessions_per_chunk)).run()

    # Half of 1000 USD at 10 USD a share.
    assert done.fills[["symbol", "quantity_shares"]].to_numpy().tolist() == [["BBB", 50.0]]


@pytest.mark.parametrize(
    "index",
    [TIMES, TIMES.tz_convert("America/New_York"), TIMES.tz_localize(None).normalize(), TIMES.date, range(6)],
    ids=["UTC", "elsewhere", "days", "dates", "numbers"],
)
def test_rows_of_the_bars_times_are_taken(index: object) -> None:
    for config in (CONFIG, replace(CONFIG, sessions_per_chunk=2, history_sessions=1)):
        done = EventDrivenBacktest(TargetShares(shares=frame(index=index)), BARS, config).run()
        assert done.fills[["symbol", "quantity_shares"]].to_numpy().tolist() == [["BBB", 10.0]]


@CHUNKS
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda weights: weights[::-1],
            r"'weights' row 0 is labelled 2024-01-07T21:00:00Z, the bar of that step 2024-01-02T21:00:00Z; reindex it",
        ),
        (
            lambda weights: weights.set_axis(TIMES + pd.Timedelta(hours=1)),
            r"'weights' row 0 is labelled 2024-01-02T22:00:00Z, the bar of that step 2024-01-02T21:00:00Z",
        ),
        (
            lambda weights: weights.set_axis([*TIMES[:4], TIMES[5], TIMES[4]]),
            r"'weights' row 4 is labelled 2024-01-07T21:00:00Z, the bar of that step 2024-01-06T21:00:00Z",
        ),
        (
            lambda weights: weights.set_axis(TIMES.date[::-1]),
            r"'weights' row 0 is labelled 2024-01-07T00:00:00Z, the bar of that step 2024-01-02T00:00:00Z",
        ),
        (lambda weights: weights.set_axis(TIMES.tz_localize(None)), r"label rows with closing times in a time zone"),
        (lambda weights: weights.set_axis(range(5, -1, -1)), r"label rows with closing times in a time zone"),
        (lambda weights: weights.rename(columns={"AAA": "CCC"}), r"'weights' has no column for AAA; label one column"),
        (lambda weights: weights.assign(CCC=0.0), r"'weights' has columns for CCC, of which there are no bars"),
        (lambda weights: weights[["AAA", "BBB", "AAA"]], r"'weights' has a column twice"),
        (lambda weights: weights.iloc[:5], r"(expected \(6, 2\)|has 5 rows, the bars 6 steps or more)"),
        (
            lambda weights: pd.concat([weights, weights]),
            r"(expected \(6, 2\)|has 12 rows, the bars 6 steps; give a row)",
        ),
    ],
)
def test_other_labels_are_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], message: str, sessions_per_chunk: int | None
) -> None:
    strategy = TargetWeights(weights=change(frame(0.5)))
    with pytest.raises(BacktestError, match=message):
        EventDrivenBacktest(strategy, BARS, replace(CONFIG, sessions_per_chunk=sessions_per_chunk)).run()


def test_a_series_is_taken_by_its_times() -> None:
    entries, exits = pd.Series(data=True, index=TIMES), pd.Series(data=False, index=TIMES)

    done = EventDrivenBacktest(Signals(entries=entries, exits=exits), ONE, CONFIG).run()
    assert done.fills["quantity_shares"].tolist() == [100.0]

    with pytest.raises(BacktestError, match=r"'exits' row 0 is labelled 2024-01-07T21:00:00Z"):
        EventDrivenBacktest(Signals(entries=entries, exits=exits[::-1]), ONE, CONFIG).run()


@pytest.mark.long
def test_the_vectorized_engine_reads_labels_alike() -> None:
    done = VectorizedBacktest(TargetShares(shares=frame()), BARS, CONFIG).run()
    assert done.fills[["symbol", "quantity_shares"]].to_numpy().tolist() == [["BBB", 10.0]]

    with pytest.raises(BacktestError, match=r"'shares' row 0 is labelled 2024-01-07T21:00:00Z"):
        VectorizedBacktest(TargetShares(shares=frame()[::-1]), BARS, CONFIG).run()
