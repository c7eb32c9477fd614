"""The backtests of a workspace, materialized as Dagster does it: real lake, real kernel, the embedded market.

The range ends before a strategy has a year of history; with the short windows of these tests, short-term reversal has
opinions from the end of June and the ensemble from September 2014 on.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from aegis.config import AegisConfig
from aegis.lake import tables
from aegis_assets.table_assets import asset_key
from aegis_sensors.instance import open_instance
from aegis_sensors.jobs import BACKTEST, FETCH_MARKET_DATA
from tests.integration.conftest import FIRST, SETTINGS, SILENT, Chain, settings

EARLIER_LAST, LAST = date(2014, 9, 30), date(2014, 10, 31)
STRATEGIES = ["ensemble", "low_volatility_trend", "momentum", "short_term_reversal"]


def backtest(chain: Chain, *, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
    with open_instance(chain.workspace) as instance:
        job = chain.definitions.resolve_job_def(BACKTEST)
        return job.execute_in_process(instance=instance, run_config=SILENT, raise_on_error=raise_on_error)


def rows(chain: Chain) -> dict[str, pd.DataFrame]:
    return {table.name: chain.read(table) for table in tables.BACKTEST_TABLES}


class Backtested:
    """A workspace that was backtested, went on for a month, and was backtested again."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        chain.run(FETCH_MARKET_DATA, FIRST, EARLIER_LAST)
        self.first = backtest(chain)
        self.then = rows(chain)
        chain.run(FETCH_MARKET_DATA, date(2014, 10, 1), LAST)
        self.second = backtest(chain)
        self.now = rows(chain)


@pytest.fixture(scope="module")
def backtested(tmp_path_factory: pytest.TempPathFactory) -> Backtested:
    home = tmp_path_factory.mktemp("backtested")
    return Backtested(Chain(AegisConfig(**{**SETTINGS, "run": {**SETTINGS["run"], "home": home}})))


def metadata(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == key]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_every_strategy_and_the_ensemble_are_backtested_up_to_the_last_session(backtested: Backtested) -> None:
    found = backtested.now["backtests"].set_index("strategy")
    assert found.index.tolist() == STRATEGIES
    assert (found["last_session"] == pd.Timestamp(LAST)).all()
    assert (found["price_mode"] == "raw").all()
    assert found["is_simulated"].all()
    assert (found["unexplained_usd"].abs() < 1e-6).all()
    assert found.loc["short_term_reversal", "trade_count"] > 0
    assert found.loc["momentum", "order_count"] == 0  # it needs a year


def test_the_tables_tell_one_story(backtested: Backtested) -> None:
    found = backtested.now["backtests"].set_index("strategy")
    equity = backtested.now["backtest_equity"].set_index("strategy")
    for strategy in STRATEGIES:
        own = equity.loc[[strategy]]
        assert len(own) == found.loc[strategy, "session_count"]
        assert own["equity_usd"].iloc[-1] == found.loc[strategy, "final_equity_usd"]
        assert own["drawdown"].min() == pytest.approx(found.loc[strategy, "max_drawdown"])
    counts = backtested.now["backtest_trades"].groupby("strategy").size()
    assert counts.to_dict() == found.loc[found["trade_count"] > 0, "trade_count"].to_dict()


def test_a_later_end_changes_no_earlier_equity(backtested: Backtested) -> None:
    before, after = backtested.then["backtest_equity"], backtested.now["backtest_equity"]
    assert after["session"].max() == pd.Timestamp(LAST)
    known = after[after["session"] <= pd.Timestamp(EARLIER_LAST)].reset_index(drop=True)
    pd.testing.assert_frame_equal(known, before, check_exact=True)


def test_the_earlier_backtest_can_still_be_read_at_its_snapshot(backtested: Backtested) -> None:
    snapshot = metadata(backtested.first, asset_key(tables.BACKTESTS))["lake_snapshot_id"]
    for table in tables.BACKTEST_TABLES:
        pd.testing.assert_frame_equal(
            backtested.chain.read(table, snapshot_id=snapshot), backtested.then[table.name], check_exact=True
        )


def test_the_materializations_show_counts_numbers_and_pictures(backtested: Backtested) -> None:
    whole, equity, trades = (metadata(backtested.second, asset_key(table)) for table in tables.BACKTEST_TABLES)
    for table, shown in zip(tables.BACKTEST_TABLES, (whole, equity, trades), strict=True):
        assert shown["dagster/row_count"] == len(backtested.now[table.name])
    assert whole["input_snapshot_id"] == backtested.now["backtests"]["input_snapshot_id"].iloc[0]
    assert whole["input_snapshot_id"] < whole["lake_snapshot_id"]
    assert -1.0 < whole["max_drawdown_short_term_reversal"] < 0.0
    assert whole["signals_strategy_signals"] == asset_key(tables.STRATEGY_SIGNALS)
    assert whole["picture"].startswith("![equity of each strategy's backtest](data:image/png;base64,")
    assert equity["picture"].startswith("![drawdown of each strategy's backtest](data:image/png;base64,")
    assert trades["first_trades"].splitlines()[0].startswith("| strategy | trade_number | symbol | side |")
    assert len(trades["first_trades"].splitlines()) == 12


def test_both_checks_pass_with_what_they_observed(backtested: Backtested) -> None:
    found = {e.check_name: e for e in backtested.second.get_asset_check_evaluations()}
    assert {name: check.passed for name, check in found.items()} == {
        "profits_are_explained": True,
        "orders_and_fills_are_legal": True,
    }
    assert 0.0 <= found["profits_are_explained"].metadata["observed"].value <= 1e-6
    assert found["orders_and_fills_are_legal"].metadata["detail"].value == "nothing found"


@pytest.mark.long
def test_the_vectorized_engine_on_adjusted_prices_comes_to_nearly_the_same(backtested: Backtested) -> None:
    """Other whole shares, and dividends that scale prices where the kernel books cash."""
    chain = backtested.chain
    sections = {name: getattr(chain.config, name) for name in AegisConfig.model_fields}
    vectorized = Chain(AegisConfig(**{**sections, "eval": {"backtesting": {"engine": "vectorized"}}}))
    backtest(vectorized)
    found = vectorized.read(tables.BACKTESTS).set_index("strategy")
    assert set(found["engine"]) == {"vectorized"}
    assert set(found["price_mode"]) == {"adjusted"}
    kernel = backtested.now["backtests"].set_index("strategy")
    assert found["total_return"].to_numpy() == pytest.approx(kernel["total_return"].to_numpy(), abs=1e-3)


def test_a_workspace_without_signals_is_told_what_to_do(make_chain: Callable[..., Chain]) -> None:
    chain = make_chain(**settings())
    result = backtest(chain, raise_on_error=False)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "materialize signals/strategy_signals first" in str(failed.step_failure_data.error)
    assert chain.read(tables.BACKTESTS).empty


def test_the_definitions_are_loaded_without_the_kernel() -> None:
    loaded = "import sys, aegis_sensors.definitions; print([name for name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True)
    heavy = ("aegis.backtesting.kernel.simulation", "aegis.backtesting.event_driven", "aegis.research.", "'vectorbt'")
    assert "aegis_assets.backtests" in answer.stdout
    assert not [name for name in heavy if name in answer.stdout]
