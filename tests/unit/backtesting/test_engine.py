"""The promised interface: one engine, whatever the configuration names, over whatever holds bars."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aegis.backtesting.array_strategies import TargetShares
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bar_rows import bars_to_frame
from aegis.backtesting.bars import Bars
from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.desk import Desk
from aegis.backtesting.engine import BacktestingEngine
from aegis.backtesting.fits import Fitted
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.splits import Splits
from aegis.backtesting.strategy import Strategy
from aegis.backtesting.walk_forward import WalkForward
from aegis.config import AegisConfig
from aegis.errors import BacktestError, ReportingError, StrategyFailed

DAY = 86_400_000_000_000
RULES = TradingRules(participation_rate=np.inf)
BUY_TEN = TargetShares(shares=[10.0, np.nan, np.nan])


def bars(*prices: float) -> Bars:
    opened = np.array(prices)
    return Bars.from_arrays(
        *(opened,) * 4, np.full(len(prices), 1e6), closes_at=np.arange(1, len(prices) + 1) * DAY, symbols=["AAA"]
    )


def settings(**changes: Any) -> BacktestConfig:
    return BacktestConfig(**({"initial_cash_usd": 1000.0, "rules": RULES} | changes))


def daily_rows(*prices: float, **more: Any) -> pd.DataFrame:
    days = pd.to_datetime(["2014-06-05", "2014-06-06", "2014-06-09"])
    return pd.DataFrame({"session": days, "symbol": "AAA", "volume": 1e6, "open": prices} | more).assign(
        high=prices, low=prices, close=prices
    )


@pytest.mark.parametrize("engine", ["event_driven", "vectorized"])
def test_engine_that_is_named_runs_and_both_come_to_the_same(engine: str) -> None:
    # Ten shares bought at 11, worth 13 in the end.
    backtest = BacktestingEngine(BUY_TEN, bars(10.0, 11.0, 13.0), settings(engine=engine))

    assert backtest.run().equity_usd.tolist() == [1000.0, 1000.0, 1020.0]
    assert backtest.get_results().fills["price_usd"].tolist() == [11.0]
    assert hasattr(backtest._backtest, "portfolio") == (engine == "vectorized")


def test_walk_forward_returns_the_chained_run_and_keeps_its_windows() -> None:
    def fit(_train: Bars, _config: BacktestConfig) -> Fitted:
        return Fitted(rule=lambda seen: TargetShares(shares=np.full(seen.n_steps, 10.0)), parameters={"shares": 10})

    walk = WalkForward(fit=fit, splits=Splits(train_sessions=2, test_sessions=2))
    backtest = BacktestingEngine(walk, bars(9.0, 9.0, 10.0, 11.0, 13.0), settings(engine="walk_forward"))
    with pytest.raises(BacktestError, match="no walk-forward came to its end"):
        backtest.get_walk_forward_results()

    assert backtest.run().equity_usd.tolist() == [1000.0, 1000.0, 1020.0]
    assert len(backtest.get_walk_forward_results().windows) == 2


@pytest.mark.parametrize(
    "frame",
    [
        bars_to_frame(bars(10.0, 11.0, 13.0)),
        daily_rows(10.0, 11.0, 13.0),
        daily_rows(10.0, 11.0, 13.0).rename(
            columns={f: f"{f}_raw_usd" for f in ("open", "high", "low", "close")} | {"volume": "volume_shares"}
        ),
    ],
    ids=["times", "sessions", "lake rows"],
)
def test_frames_of_each_form_are_bars(frame: pd.DataFrame) -> None:
    assert BacktestingEngine(BUY_TEN, frame, settings()).run().equity_usd.tolist() == [1000.0, 1000.0, 1020.0]


def test_corporate_actions_beside_the_bars_are_booked() -> None:
    # Ten shares from the second day on; the third pays 0.50 each.
    pays = CorporateEvent(kind="dividend", symbol="AAA", ex_date=date(2014, 6, 9), amount_usd=0.5)
    done = BacktestingEngine(BUY_TEN, (daily_rows(10.0, 11.0, 10.5), [pays]), settings()).run()
    assert done.equity_usd.tolist() == [1000.0, 1000.0, 1000.0]
    assert done.metrics.dividends_usd == 5.0


def test_rows_of_the_lake_are_actions_too_and_add_to_those_of_the_configuration() -> None:
    rows = pd.DataFrame(
        {
            "session": pd.to_datetime(["2014-06-09"]),
            "symbol": ["AAA"],
            "action": ["dividend"],
            "split_ratio": [1.0],
            "dividend_usd": [0.5],
            "pay_session": [pd.NaT],
            "new_ticker": [None],
            "known_at_utc": pd.to_datetime(["2014-06-01"], utc=True),
        }
    )
    halves = CorporateEvent(kind="split", symbol="AAA", ex_date=date(2014, 6, 9), ratio=2.0)
    done = BacktestingEngine(BUY_TEN, (daily_rows(10.0, 11.0, 5.5), rows), settings(events=[halves])).run()
    assert done.metrics.dividends_usd == 5.0
    assert done.position_records["quantity"].tolist() == [20.0]


def test_settings_of_the_platform_choose_engine_costs_and_calendar() -> None:
    # One basis point of commission, five of slippage, at the average of the bar: vwap is the default algorithm.
    config = AegisConfig()
    done = BacktestingEngine(BUY_TEN, daily_rows(10.0, 11.0, 13.0), config).run()

    assert done.is_simulated
    assert done.fills["price_usd"].tolist() == pytest.approx([11.0 * 1.0005], rel=1e-12)
    assert done.fills["commission_usd"].tolist() == pytest.approx([110.055 * 1e-4], rel=1e-12)
    assert done.fills["executed_at"].tolist() == ["average buy"]


class BreaksAtThirteen(Strategy):
    """Buys at once and fails later."""

    def on_bar(self, desk: Desk) -> None:
        if desk.step == 0:
            desk.order("AAA", 10.0)
        if desk.equity_usd == 1020.0:
            raise RuntimeError("thirteen")


def test_results_until_a_strategy_failed_are_there() -> None:
    backtest = BacktestingEngine(BreaksAtThirteen(), bars(10.0, 11.0, 13.0, 12.0), settings())

    with pytest.raises(StrategyFailed, match=r"^1970-01-04T00:00:00Z: BreaksAtThirteen raised RuntimeError: thirteen"):
        backtest.run()

    assert backtest.get_results().equity_usd.tolist() == [1000.0, 1000.0, 1020.0]


def no_fit(_train: Bars, _config: BacktestConfig) -> Fitted:
    raise NotImplementedError


@pytest.mark.parametrize("engine", ["event_driven", "vectorized", "walk_forward"])
def test_results_before_the_run_are_refused(engine: str) -> None:
    strategy: Any = BUY_TEN
    if engine == "walk_forward":
        strategy = WalkForward(fit=no_fit, splits=Splits(train_sessions=1, test_sessions=1))
    with pytest.raises(BacktestError, match="run it first"):
        BacktestingEngine(strategy, bars(10.0, 11.0, 13.0), settings(engine=engine)).get_results()


def test_strategy_of_another_engine_is_refused() -> None:
    walk = WalkForward(fit=no_fit, splits=Splits(train_sessions=1, test_sessions=1))
    with pytest.raises(BacktestError, match="the event_driven engine cannot run WalkForward"):
        BacktestingEngine(walk, bars(10.0), settings())
    with pytest.raises(BacktestError, match="the walk_forward engine cannot run TargetShares"):
        BacktestingEngine(BUY_TEN, bars(10.0), settings(engine="walk_forward"))


@pytest.mark.parametrize("engine", ["event_driven", "vectorized", "walk_forward"])
def test_a_second_run_is_refused_and_leaves_the_results_of_the_first(engine: str) -> None:
    strategy: Any = BUY_TEN
    if engine == "walk_forward":
        fitted = Fitted(rule=lambda seen: TargetShares(shares=np.full(seen.n_steps, 10.0)), parameters={})
        strategy = WalkForward(fit=lambda *_: fitted, splits=Splits(train_sessions=1, test_sessions=2))
    backtest = BacktestingEngine(strategy, bars(10.0, 11.0, 13.0), settings(engine=engine))
    equity = backtest.run().equity_usd.tolist()

    with pytest.raises(BacktestError, match=r"was run before, .* make a new backtest with a new strategy object"):
        backtest.run()
    assert backtest.get_results().equity_usd.tolist() == equity


@pytest.mark.parametrize("config", [{"initial_cash_usd": 1000.0}, TradingRules(), 1000.0])
def test_a_configuration_of_another_type_is_refused(config: Any) -> None:
    with pytest.raises(BacktestError, match=f"config is {type(config).__name__}, expected BacktestConfig, AegisConfig"):
        BacktestingEngine(BUY_TEN, bars(10.0, 11.0), config)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((3, 5)), r"data are ndarray, expected Bars or .*bars_from_frame\(frame\) and of arrays"),
        ("prices.parquet", "data are str, expected Bars"),
        ((bars(10.0), [], []), r"data are a tuple of 3, expected \(bars, corporate actions\)"),
        ((bars(10.0), "splits"), "corporate actions are str, expected CorporateEvents in a list"),
    ],
    ids=["array", "path", "three", "no actions"],
)
def test_data_of_another_type_are_refused_with_what_to_pass(data: Any, message: str) -> None:
    with pytest.raises(BacktestError, match=message):
        BacktestingEngine(BUY_TEN, data, settings())


def test_a_report_is_written_to_a_path_in_text_in_one_format(tmp_path: Path) -> None:
    backtest = BacktestingEngine(BUY_TEN, bars(10.0, 11.0, 13.0), settings())
    backtest.run()
    assert list(backtest.generate_report(str(tmp_path / "report"), "html")) == ["backtest.html"]
    with pytest.raises(ReportingError, match=r"formats \['htm'\] are unknown"):
        backtest.generate_report(tmp_path, "htm")
