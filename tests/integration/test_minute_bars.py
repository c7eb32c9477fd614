"""Minute bars from a source through their checks into the lake, read as they were, and traded on."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from aegis.backtesting.array_strategies import TargetWeights
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bar_rows import bars_from_minute_bars
from aegis.backtesting.costs import CostModel
from aegis.backtesting.engine import BacktestingEngine
from aegis.calendars import trading_calendar
from aegis.clock import FixedClock
from aegis.config import AegisConfig, load_config
from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Replacement
from aegis.workspace import Workspace
from aegis_assets.minute_bars import minute_bar_assets
from aegis_assets.partitions import session_partitions
from aegis_resources.market_data import Market
from aegis_sensors.cli import main
from aegis_sensors.definitions import build_definitions, lake_resource

CALENDAR = trading_calendar("XNYS")
WEDNESDAY, HALF_DAY, LAST = date(2014, 11, 26), date(2014, 11, 28), date(2014, 12, 1)
CLOCK = FixedClock(datetime(2014, 12, 1, 22, tzinfo=UTC))
SETTINGS = {"run": {"home": "home", "first_session": WEDNESDAY, "last_session": LAST}}


class Desk:
    """A workspace with the simulated market's daily bars in its lake, and two symbols that have minutes."""

    def __init__(self, folder: Path) -> None:
        self.symbols = self._symbols()
        self.config_file = folder / "aegis.yaml"
        minutes = {"symbols": self.symbols, "price_tolerance": 0.0, "volume_tolerance": 0.0}
        self.config_file.write_text(yaml.safe_dump({**SETTINGS, "market_data": {"minute_bars": minutes}}))
        self.config = load_config(self.config_file)
        self.market = Market(self.config, CLOCK)
        self.lake = lake_resource(Workspace.of(self.config))
        self.daily = tables.DAILY_BARS.conform(self.market.source.bars(WEDNESDAY, LAST))
        self.write(tables.DAILY_BARS, self.daily, WEDNESDAY, LAST)

    @staticmethod
    def _symbols() -> list[str]:
        source = Market(AegisConfig(), CLOCK).source
        return sorted(source.bars(WEDNESDAY, LAST)["symbol"].unique())[:2]

    def write(self, table: tables.TableSchema, rows: pd.DataFrame, first: date, last: date) -> None:
        with self.lake.open() as store:
            store.write([Replacement(table, rows, first, last)], CommitMessage("trial", f"{first}..{last}", "run", "1"))

    def materialize(self, first: date = WEDNESDAY, last: date = LAST) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            minute_bar_assets(session_partitions(CALENDAR, WEDNESDAY, LAST)),
            resources={"market": self.market, "lake": self.lake},
            tags={ASSET_PARTITION_RANGE_START_TAG: str(first), ASSET_PARTITION_RANGE_END_TAG: str(last)},
            raise_on_error=False,
        )

    def read(self, table: tables.TableSchema = tables.MINUTE_BARS, snapshot_id: int | None = None) -> pd.DataFrame:
        with self.lake.open() as store:
            return store.read(table, snapshot_id=snapshot_id)

    def snapshot_id(self) -> int:
        with self.lake.open() as store:
            return store.snapshot_id()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, int]:
    """Return a workspace with minute bars of all sessions and their snapshot; tests may write later ones."""
    desk = Desk(tmp_path_factory.mktemp("stored"))
    assert desk.materialize().success
    return desk, desk.snapshot_id()


def test_a_backfill_stores_what_day_by_day_stores_and_both_add_up_to_the_daily_bars(stored: tuple[Desk, int]) -> None:
    desk, snapshot_id = stored
    at_once = desk.read(snapshot_id=snapshot_id)
    for session in CALENDAR.sessions(WEDNESDAY, LAST):
        assert desk.materialize(session, session).success

    pd.testing.assert_frame_equal(desk.read(), at_once, check_exact=True)
    # Wednesday, the half day after Thanksgiving and Monday, of two symbols.
    assert len(at_once) == 2 * (390 + 210 + 390)
    volumes = at_once.groupby(["session", "symbol"])["volume_shares"].sum()
    expected = desk.daily.set_index(["session", "symbol"])["volume_shares"]
    assert volumes.tolist() == expected[volumes.index].tolist()
    assert set(desk.read(tables.MINUTE_BAR_CHECKS)["outcome"]) == {"pass"}


def test_a_session_that_disagrees_with_its_daily_bar_is_left_out_and_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    wrong = desk.daily.copy()
    is_wrong = (wrong["session"] == pd.Timestamp(WEDNESDAY)) & (wrong["symbol"] == desk.symbols[1])
    wrong.loc[is_wrong, "close_raw_usd"] += 0.01
    desk.write(tables.DAILY_BARS, wrong, WEDNESDAY, LAST)

    result = desk.materialize()

    assert result.success
    assert pd.Timestamp(WEDNESDAY) not in set(desk.read()["session"])
    assert len(set(desk.read()["session"])) == 2
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [check.check_name for check in failed] == ["minutes_agree_with_the_daily_bar"]
    assert f"{desk.symbols[1]} {WEDNESDAY}" in str(failed[0].metadata["first_detail"].value)
    assert not desk.materialize(WEDNESDAY, WEDNESDAY).success


def test_minutes_are_read_as_they_were_before_a_correction_also_by_the_command(
    stored: tuple[Desk, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk, snapshot_id = stored
    before = desk.read(snapshot_id=snapshot_id)
    corrected = before[before["session"] == pd.Timestamp(HALF_DAY)].assign(volume_shares=1.0)
    desk.write(tables.MINUTE_BARS, corrected, HALF_DAY, HALF_DAY)

    assert (desk.read().query("session == @HALF_DAY")["volume_shares"] == 1.0).all()
    pd.testing.assert_frame_equal(desk.read(snapshot_id=snapshot_id), before, check_exact=True)
    monkeypatch.setenv("AEGIS_CONFIG", str(desk.config_file))
    words = ["data", "read", "market_data/minute_bars", "--as-of", str(snapshot_id), "--symbol", desk.symbols[0]]
    assert main([*words, "--session", str(HALF_DAY), "--format", "csv"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 1 + 210
    assert lines[0].startswith("session,symbol,closes_at_utc,open_raw_usd")


def test_an_intraday_strategy_trades_on_the_stored_minutes(stored: tuple[Desk, int]) -> None:
    desk, snapshot_id = stored
    minutes = desk.read(snapshot_id=snapshot_id)
    rows = minutes[minutes["symbol"] == desk.symbols[0]].reset_index(drop=True)
    bars = bars_from_minute_bars(rows, CALENDAR)
    weights = np.full((bars.n_steps, 1), np.nan)
    bought, sold = 390 + 9, 390 + 199  # decided at the end of the half day's 10th and 200th minute
    weights[bought], weights[sold] = 0.01, 0.0

    engine = BacktestingEngine(
        TargetWeights(weights=weights), bars, BacktestConfig(costs=CostModel(), is_simulated=True)
    )
    fills = engine.run().fills

    assert list(fills["price_usd"]) == [rows["open_raw_usd"][bought + 1], rows["open_raw_usd"][sold + 1]]
    assert fills["quantity_shares"].iloc[0] > 0 > fills["quantity_shares"].iloc[1]


def test_minute_bars_are_assets_only_where_symbols_are_named(stored: tuple[Desk, int]) -> None:
    desk, _ = stored

    def keys(config: AegisConfig) -> set[str]:
        graph = build_definitions(config, clock=CLOCK).resolve_asset_graph()
        return {key.to_user_string() for key in graph.get_all_asset_keys()}

    without = desk.config.model_copy(
        update={
            "market_data": desk.config.market_data.model_copy(
                update={"minute_bars": AegisConfig().market_data.minute_bars}
            )
        }
    )

    assert keys(desk.config) - keys(without) == {"market_data/minute_bars", "quality/minute_bar_checks"}
