"""The promised engine on bars of the lake with a report on disk, and the look-ahead command as a person uses it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from aegis.backtesting.array_strategies import TargetWeights
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.engine import BacktestingEngine
from aegis.backtesting.fits import ExhaustiveFit
from aegis.backtesting.splits import Splits
from aegis.backtesting.streaming import LakeBars
from aegis.backtesting.walk_forward import WalkForward
from aegis.calendars import trading_calendar
from aegis.config import AegisConfig, load_config
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.tables import CORPORATE_ACTIONS, DAILY_BARS
from aegis.market_data.sources.simulated import SimulatedSource
from aegis.workspace import Workspace
from aegis_sensors.cli import main

NEW_YORK = trading_calendar("XNYS")
FIRST, LAST = date(2014, 1, 2), date(2014, 6, 30)
MESSAGE = CommitMessage("trial/daily_bars", "2014", "run-1", "v1")
STRATEGIES = """
import numpy as np
import pandas as pd

from aegis.backtesting.array_strategies import TargetWeights


def _closes(bars):
    return pd.DataFrame(bars.close.reshape(bars.n_steps, -1))


def trailing(bars):
    closes = _closes(bars)
    return TargetWeights(weights=(closes > closes.rolling(10).mean()).to_numpy(float) * 0.02)


def centred(bars):
    closes = _closes(bars)
    return TargetWeights(weights=(closes > closes.rolling(11, center=True).mean()).to_numpy(float) * 0.02)
"""


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    """Return half a year of the embedded market, six of its symbols."""
    config = AegisConfig()
    source = SimulatedSource(
        config.market_data.simulated, NEW_YORK, last_session=LAST, vendor_delay=config.market_data.vendor_delay
    )
    bars = source.bars(FIRST, LAST)
    return bars[bars["symbol"].isin(sorted(bars["symbol"].unique())[:6])].reset_index(drop=True)


def _filled(lake: Lake, market: pd.DataFrame) -> Lake:
    """Return the lake with the market's bars and no corporate actions."""
    lake.create_tables([DAILY_BARS, CORPORATE_ACTIONS])
    rows = market.assign(**{name: 1.0 for name in DAILY_BARS.column_names if name not in market})
    lake.write([Replacement(DAILY_BARS, DAILY_BARS.conform(rows), FIRST, LAST)], MESSAGE)
    return lake


def _equal_weights(share: float) -> Any:
    def rule(bars: Bars) -> TargetWeights:
        weights = np.full((bars.n_steps, len(bars.symbols)), np.nan)
        weights[::21] = share / len(bars.symbols)
        return TargetWeights(weights=weights)

    return rule


def test_report_holds_the_numbers_of_the_results(market: pd.DataFrame, tmp_path: Path) -> None:
    steps, symbols = market["session"].nunique(), market["symbol"].nunique()
    weights = np.full((steps, symbols), np.nan)
    weights[::21] = 0.9 / symbols
    engine = BacktestingEngine(TargetWeights(weights=weights), market, AegisConfig())
    engine.run()

    files = engine.generate_report(tmp_path / "report", formats=("html", "csv"))

    equity = pd.read_csv(files["equity.csv"])["equity_usd"].to_numpy()
    fills = pd.read_csv(files["fills.csv"])
    assert len(equity) == steps
    # The account from its fills alone: cash by what was paid, shares at the last close.
    paid = (fills["quantity_shares"] * fills["price_usd"] + fills["commission_usd"]).sum()
    last = market[market["session"] == market["session"].max()].set_index("symbol")["close_raw_usd"]
    held = fills.groupby("symbol")["quantity_shares"].sum()
    assert equity[-1] == pytest.approx(1e6 - paid + (held * last[held.index]).sum(), rel=1e-12)
    page = files["backtest.html"].read_text(encoding="utf-8")
    assert "TargetWeights" in page
    assert "SIMULATED" in page.upper()


def test_chunks_of_the_lake_and_its_rows_come_to_the_same(market: pd.DataFrame, tmp_path: Path) -> None:
    steps, symbols = market["session"].nunique(), market["symbol"].nunique()
    weights = np.full((steps, symbols), np.nan)
    weights[::21] = 0.9 / symbols
    with connect(LakeLocation(tmp_path / "lake")) as connection:
        lake = _filled(Lake(connection), market)
        source = LakeBars(lake, NEW_YORK, first=FIRST, last=LAST, symbols=sorted(market["symbol"].unique()))
        chunked = BacktestingEngine(TargetWeights(weights=weights), source, BacktestConfig(sessions_per_chunk=20)).run()
    whole = BacktestingEngine(TargetWeights(weights=weights), market, BacktestConfig()).run()

    assert len(whole.fill_records) > symbols
    assert np.array_equal(chunked.equity_usd, whole.equity_usd)
    assert chunked.fills.equals(whole.fills)


def test_walk_forward_over_a_market_writes_its_report(market: pd.DataFrame, tmp_path: Path) -> None:
    fit = ExhaustiveFit(
        candidates=[{"share": 0.2}, {"share": 0.8}],
        rule=lambda candidate: _equal_weights(float(candidate["share"] or 0.0)),
        score=lambda results: results.metrics.total_return or 0.0,
    )
    walk = WalkForward(fit=fit, splits=Splits(train_sessions=40, test_sessions=21, embargo_sessions=2))
    engine = BacktestingEngine(walk, market, BacktestConfig(engine="walk_forward"))
    done = engine.run()

    windows = engine.get_walk_forward_results().frame
    assert len(windows) == 4
    grown = (1.0 + windows["out_of_sample_total_return"]).prod()
    assert done.equity_usd[-1] / 1e6 == pytest.approx(grown, rel=1e-12)
    for row in windows.itertuples():
        better = max((0.2, 0.8), key=lambda share: share * np.sign(row.in_sample_total_return))
        assert row.parameter_share == better
    assert engine.generate_report(tmp_path)["backtest.html"].stat().st_size > 10_000


# The command


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with settings of the embedded market and with strategies, where the command is started."""
    settings = {"run": {"home": "home", "last_session": "2014-06-30"}}
    (tmp_path / "aegis.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (tmp_path / "my_strategies.py").write_text(STRATEGIES, encoding="utf-8")
    monkeypatch.setenv("AEGIS_CONFIG", str(tmp_path / "aegis.yaml"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("desk")
def test_command_passes_an_honest_strategy(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["backtest", "look-ahead", "my_strategies:trailing", "--sessions", "90", "--instants", "50"])
    printed = capsys.readouterr().out
    assert status == 0
    assert "my_strategies:trailing on " in printed
    assert "decisions stayed the same at 50 instants" in printed


@pytest.mark.usefixtures("desk")
def test_command_names_the_leak_and_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["backtest", "look-ahead", "my_strategies:centred", "--sessions", "90"])
    printed = capsys.readouterr().out
    assert status == 1
    assert "Look-ahead found." in printed
    assert "2014-" in printed
    assert "a centred window" in printed


@pytest.mark.usefixtures("desk")
def test_command_reads_the_lake_where_there_is_one(market: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace.of(load_config())
    workspace.folder.mkdir(parents=True)
    with connect(workspace.lake) as connection:
        _filled(Lake(connection), market)
    assert main(["backtest", "look-ahead", "my_strategies:trailing", "--sessions", "60", "--instants", "5"]) == 0
    assert "on 6 symbols, 2014-04-" in capsys.readouterr().out


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("my_strategies", "names no strategy; write module:name"),
        ("no_such_module:x", "there is no module no_such_module; start the command where it is"),
        ("my_strategies:momentum", "my_strategies has no momentum"),
    ],
)
def test_strategy_that_is_not_there_is_refused(strategy: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", "look-ahead", strategy]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("desk")
def test_number_of_instants_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["backtest", "look-ahead", "my_strategies:trailing", "--instants", "0"])
    assert "'0' is not a whole number above 0" in capsys.readouterr().err
