"""dbt builds the reporting marts from a lake of three sessions whose every number is worked out by hand below.

2024-01-31  buy 100 AAA at 50.50 (reference 50.40, arrival 50, commission 1); buy BBB: 100 at 20.10 (20.00, 20, 1) and
            50 at 20.00 (20.00, 20, 0.50). Closes 51 and 20: positions 5,100 + 3,000, cash 100,000 - 8,060 - 2.50.
2024-02-01  AAA goes ex 0.30 on 100 shares; sell 40 AAA at 51.90 (52.00, 51, 1); an order for 10 BBB stays unfilled;
            interest 2. Closes 52.50 and 19: positions 3,150 + 2,850, cash 91,937.50 + 2,076 - 1 + 2, receivable 30.

A second account only holds. 2024-01-31: 7 CCC at 30, 4 DDD at 25, 2 EEE at 50, cash 590. 2024-02-01: CCC splits 3 for
2, 10 shares and half a share's 10 in cash, close 21; DDD and EEE are delisted, DDD at its last close 26, EEE, without
a bar, at its mark. Cash 590 + 10 + 104 + 100, positions 210.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import duckdb_extensions
import pandas as pd
import pytest

from aegis.lake import tables
from aegis.lake.schema import TableSchema

DBT_PROJECT = Path(__file__).parents[2] / "dbt"
KNOWN = pd.Timestamp("2024-02-02", tz="UTC")
JAN_30, JAN_31, FEB_1 = "2024-01-30", "2024-01-31", "2024-02-01"
READ = (
    tables.LISTINGS,
    tables.CORPORATE_ACTIONS,
    tables.DAILY_BARS,
    tables.CHECK_RESULTS,
    tables.ORDERS,
    tables.FILLS,
    tables.POSITIONS,
    tables.ACCOUNT_VALUES,
    tables.DAILY_PNL,
)


def rows(table: TableSchema, *values: tuple[object, ...]) -> pd.DataFrame:
    return table.conform(pd.DataFrame(values, columns=table.column_names))


def order(session: str, execution: str, number: str, symbol: str, shares: float, arrival: float, outcome: str) -> tuple:
    fate = ("vwap", "DAY", execution, arrival, 0.05, shares < 0, outcome, "rebalance", 1, KNOWN)
    return (session, "simulated", number, f"d-{session}", symbol, symbol, shares, *fate)


def fill(
    session: str, order_id: str, number: int, symbol: str, *, shares: float, price: float, reference: float,
    commission: float, arrival: float,
) -> tuple:  # fmt: skip
    slippage = {"o1": 10.0, "o2": 10.0 if number == 1 else 0.0, "o4": 4.0}[order_id]
    money = (shares, price, reference, commission, slippage, arrival, KNOWN)
    return (session, "simulated", order_id, f"d-{session}", number, symbol, symbol, *money)


def position(
    session: str, symbol: str, shares: float, mark: float, *, value: float, equity: float, account: str = "simulated"
) -> tuple:
    return (session, account, symbol, shares, mark, session, value, mark, 0.0, value / equity)


FRAMES = {
    tables.LISTINGS: rows(
        tables.LISTINGS,
        ("AAA", "AAA", "2020-01-02", JAN_31, "Alpha", "Hardware", True, "hand"),
        ("AAA", "AAX", FEB_1, None, "Alpha", "Software", True, "hand"),
        ("BBB", "BBB", "2020-01-02", JAN_31, "Beta", "Energy", True, "hand"),
        *((name, name, "2020-01-02", None, name, "Energy", True, "hand") for name in ("CCC", "DDD", "EEE")),
    ),
    tables.CORPORATE_ACTIONS: rows(
        tables.CORPORATE_ACTIONS,
        (FEB_1, "AAA", "dividend", 1.0, 0.30, "2024-02-15", None, "hand", KNOWN),
        (FEB_1, "AAA", "rename", 1.0, 0.0, None, "AAX", "hand", KNOWN),
        (FEB_1, "CCC", "split", 1.5, 0.0, None, None, "hand", KNOWN),
        (FEB_1, "DDD", "delisting", 1.0, 0.0, None, None, "hand", KNOWN),
        (FEB_1, "EEE", "delisting", 1.0, 0.0, None, None, "hand", KNOWN),
    ),
    tables.DAILY_BARS: rows(
        tables.DAILY_BARS,
        (FEB_1, "CCC", "CCC", 21.0, 21.0, 21.0, 21.0, 1e6, "hand", KNOWN),
        (FEB_1, "DDD", "DDD", 26.0, 26.0, 26.0, 26.0, 1e6, "hand", KNOWN),
    ),
    tables.CHECK_RESULTS: rows(
        tables.CHECK_RESULTS,
        (JAN_30, "market_data/raw_bars", "prices_are_positive", "1", "pass", True, 0, 0, None, "h", 1),
        (JAN_31, "market_data/raw_bars", "prices_are_positive", "1", "block", True, 2, 0, "AAA -1", "h", 1),
        (FEB_1, "market_data/raw_bars", "prices_are_positive", "1", "pass", True, 0, 0, None, "h", 1),
        (JAN_31, "market_data/raw_bars", "volume_is_plausible", "1", "warn", False, 1, 0, "BBB", "h", 1),
    ),
    tables.ORDERS: rows(
        tables.ORDERS,
        order(JAN_30, JAN_31, "o1", "AAA", 100, 50, "approved"),
        order(JAN_30, JAN_31, "o2", "BBB", 200, 20, "approved"),
        order(JAN_30, JAN_31, "o3", "BBB", 900, 20, "refused"),
        order(JAN_31, FEB_1, "o4", "AAA", -40, 51, "approved"),
        order(JAN_31, FEB_1, "o5", "BBB", -10, 20, "approved"),
    ),
    tables.FILLS: rows(
        tables.FILLS,
        fill(JAN_31, "o1", 1, "AAA", shares=100, price=50.5, reference=50.4, commission=1, arrival=50),
        fill(JAN_31, "o2", 1, "BBB", shares=100, price=20.1, reference=20, commission=1, arrival=20),
        fill(JAN_31, "o2", 2, "BBB", shares=50, price=20, reference=20, commission=0.5, arrival=20),
        fill(FEB_1, "o4", 1, "AAA", shares=-40, price=51.9, reference=52, commission=1, arrival=51),
    ),
    tables.POSITIONS: rows(
        tables.POSITIONS,
        position(JAN_31, "AAA", 100, 51, value=5100, equity=100_037.5),
        position(JAN_31, "BBB", 150, 20, value=3000, equity=100_037.5),
        position(FEB_1, "AAA", 60, 52.5, value=3150, equity=100_044.5),
        position(FEB_1, "BBB", 150, 19, value=2850, equity=100_044.5),
        position(JAN_31, "CCC", 7, 30, value=210, equity=1000, account="second"),
        position(JAN_31, "DDD", 4, 25, value=100, equity=1000, account="second"),
        position(JAN_31, "EEE", 2, 50, value=100, equity=1000, account="second"),
        position(FEB_1, "CCC", 10, 21, value=210, equity=1014, account="second"),
    ),
    tables.ACCOUNT_VALUES: rows(
        tables.ACCOUNT_VALUES,
        (JAN_30, "simulated", 100_000.0, 0.0, 0.0, 100_000.0, 100_000.0, 0.0, 1.0),
        (JAN_31, "simulated", 91_937.5, 0.0, 8100.0, 100_037.5, 100_037.5, 0.0, 1.01),
        (FEB_1, "simulated", 94_014.5, 30.0, 6000.0, 100_044.5, 100_044.5, 0.0, 1.0),
        (JAN_31, "second", 590.0, 0.0, 410.0, 1000.0, 1000.0, 0.0, None),
        (FEB_1, "second", 804.0, 0.0, 210.0, 1014.0, 1014.0, 0.0, None),
    ),
    tables.DAILY_PNL: rows(
        tables.DAILY_PNL,
        (JAN_30, "simulated", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None),
        (JAN_31, "simulated", 37.5, 0.0, 60.0, 0.0, 0.0, -20.0, -2.5, 0.0, 0.000375, 0.01),
        (FEB_1, "simulated", 7.0, 0.0, -20.0, 30.0, 2.0, -4.0, -1.0, 0.0, 0.00007, -0.0099),
        (JAN_31, "second", 410.0, 410.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None),
        (FEB_1, "second", 14.0, 14.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.014, None),
    ),
}


class DbtLake:
    """A lake on disk and the dbt command that reads it; dbt's own files go beside the lake."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = folder / "catalog.sqlite"
        self.data = folder / "data"

    def query(self, statement: str) -> pd.DataFrame:
        with duckdb.connect() as connection:
            for name in ("sqlite", "ducklake"):
                duckdb_extensions.import_extension(name, con=connection)
            connection.execute(f"attach 'ducklake:sqlite:{self.catalog}' as lake (data_path '{self.data}')")
            return connection.execute(statement).df()

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "AEGIS_LAKE_CATALOG": str(self.catalog),
            "AEGIS_LAKE_DATA": str(self.data),
            "DBT_PROJECT_DIR": str(DBT_PROJECT),
            "DBT_PROFILES_DIR": str(DBT_PROJECT),
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
        }
        command = [sys.executable, "-m", "dbt.cli.main", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> DbtLake:
    lake = DbtLake(tmp_path_factory.mktemp("lake"))
    lake.data.mkdir()
    with duckdb.connect() as connection:
        for name in ("sqlite", "ducklake"):
            duckdb_extensions.import_extension(name, con=connection)
        connection.execute(f"attach 'ducklake:sqlite:{lake.catalog}' as lake (data_path '{lake.data}')")
        for table in READ:
            columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in table.columns)
            connection.execute(f"create schema if not exists lake.{table.layer}")
            connection.execute(f"create table lake.{table.layer}.{table.name} ({columns})")
            frame = FRAMES[table]
            assert len(frame) > 0
            statement = f"insert into lake.{table.layer}.{table.name} select * from frame"  # noqa: S608 - names of ours
            connection.execute(statement)
    project_before = {path for path in DBT_PROJECT.rglob("*") if path.is_file()}
    result = lake.dbt("build")
    assert result.returncode == 0, result.stdout + result.stderr
    assert {path for path in DBT_PROJECT.rglob("*") if path.is_file()} == project_before
    return lake


def mart(lake: DbtLake, name: str, order_by: str, account: str = "simulated") -> list[dict[str, object]]:
    frame = lake.query(f"select * from lake.marts.{name} order by {order_by}")  # noqa: S608 - names of ours
    if "account" in frame:
        frame = frame[frame["account"] == account]
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def test_every_check_of_the_project_ran_and_passed_without_a_warning(built: DbtLake) -> None:
    results = json.loads((built.folder / "target" / "run_results.json").read_text())["results"]
    outcomes = {result["unique_id"].split(".")[0]: set() for result in results}
    for result in results:
        outcomes[result["unique_id"].split(".")[0]].add(result["status"])
    assert outcomes == {"model": {"success"}, "test": {"pass"}}


def test_daily_returns_set_the_account_beside_the_benchmark(built: DbtLake) -> None:
    first, second, third = mart(built, "daily_returns", "session")
    assert first["benchmark_return_daily"] is None
    assert first["active_return_daily"] is None
    assert second["active_return_daily"] == pytest.approx(-0.009625)
    assert third["active_return_daily"] == pytest.approx(0.00997)
    assert third["equity_usd"] == 100_044.5


def test_pnl_by_month_sums_each_part(built: DbtLake) -> None:
    january, february = mart(built, "pnl_by_month", "month_start")
    assert (january["session_count"], february["session_count"]) == (2, 1)
    assert january["equity_change_usd"] == 37.5
    assert (january["trading_pnl_usd"], january["slippage_usd"], january["commission_usd"]) == (60.0, -20.0, -2.5)
    assert (february["trading_pnl_usd"], february["dividends_usd"], february["interest_usd"]) == (-20.0, 30.0, 2.0)


def test_turnover_keeps_sessions_without_a_fill(built: DbtLake) -> None:
    values = [(r["fill_count"], r["bought_usd"], r["sold_usd"], r["traded_usd"]) for r in mart(built, "turnover", "1")]
    assert values == [(0, 0.0, 0.0, 0.0), (3, 8060.0, 0.0, 8060.0), (1, 0.0, 2076.0, 2076.0)]


def test_costs_are_positive_and_in_basis_points_of_what_was_traded(built: DbtLake) -> None:
    january, february = mart(built, "costs", "month_start")
    assert (january["cost_usd"], february["cost_usd"]) == (22.5, 5.0)
    assert january["cost_bps"] == pytest.approx(22.5 / 8060 * 10_000)
    assert february["cost_bps"] == pytest.approx(5 / 2076 * 10_000)


def test_sector_exposures_use_the_listing_in_force_and_outlive_a_listing(built: DbtLake) -> None:
    values = [
        (str(r["session"])[:10], r["sector"], r["market_value_usd"], r["position_count"])
        for r in mart(built, "sector_exposures", "session, sector")
    ]
    assert values == [
        (JAN_31, "Energy", 3000.0, 1),
        (JAN_31, "Hardware", 5100.0, 1),
        (FEB_1, "Energy", 2850.0, 1),
        (FEB_1, "Software", 3150.0, 1),
    ]


def test_pnl_by_symbol_holds_prices_as_paid_dividends_and_commission(built: DbtLake) -> None:
    values = {
        (r["symbol"], str(r["month_start"])[:7]): (r["price_pnl_usd"], r["dividends_usd"], r["pnl_usd"])
        for r in mart(built, "pnl_by_symbol_month", "symbol, month_start")
    }
    assert values == {
        ("AAA", "2024-01"): (50.0, 0.0, 49.0),
        ("AAA", "2024-02"): (126.0, 30.0, 155.0),
        ("BBB", "2024-01"): (-10.0, 0.0, -11.5),
        ("BBB", "2024-02"): (-150.0, 0.0, -150.0),
    }


def test_split_fractions_and_delisted_shares_are_no_loss(built: DbtLake) -> None:
    rows_of_february = [
        r for r in mart(built, "pnl_by_symbol_month", "symbol", "second") if str(r["month_start"]) >= "2024-02"
    ]
    assert {r["symbol"]: r["pnl_usd"] for r in rows_of_february} == {"CCC": 10.0, "DDD": 4.0, "EEE": 0.0}


def test_execution_quality_counts_unfilled_orders_and_leaves_out_refused_ones(built: DbtLake) -> None:
    buys, sells = mart(built, "execution_quality", "month_start")
    assert (buys["side"], buys["order_count"], buys["filled_order_count"], buys["fill_count"]) == ("buy", 2, 2, 3)
    assert (buys["ordered_shares"], buys["filled_shares"], buys["slippage_usd"]) == (300.0, 250.0, 20.0)
    assert buys["arrival_cost_usd"] == pytest.approx(60.0)
    assert buys["arrival_cost_bps"] == pytest.approx(75.0)
    assert (sells["side"], sells["order_count"], sells["filled_order_count"]) == ("sell", 2, 1)
    assert (sells["ordered_shares"], sells["filled_shares"]) == (50.0, 40.0)
    assert sells["arrival_cost_bps"] == pytest.approx(-36 / 2040 * 10_000)


def test_data_quality_counts_sessions_by_outcome(built: DbtLake) -> None:
    counts = {
        (r["check_name"], str(r["month_start"])[:7], r["outcome"]): (r["session_count"], r["offending_rows"])
        for r in mart(built, "data_quality", "check_name, month_start")
    }
    assert counts == {
        ("prices_are_positive", "2024-01", "pass"): (1, 0.0),
        ("prices_are_positive", "2024-01", "block"): (1, 2.0),
        ("prices_are_positive", "2024-02", "pass"): (1, 0.0),
        ("volume_is_plausible", "2024-01", "warn"): (1, 1.0),
    }


def test_each_mart_is_one_snapshot_that_names_it(built: DbtLake) -> None:
    snapshots = built.query("select commit_message, commit_extra_info from lake.snapshots() where author = 'aegis'")
    messages = snapshots["commit_message"].tolist()
    assert sorted(messages) == [
        "marts/costs", "marts/daily_returns", "marts/data_quality", "marts/execution_quality", "marts/pnl_by_month",
        "marts/pnl_by_symbol_month", "marts/sector_exposures", "marts/turnover",
    ]  # fmt: skip
    extra = json.loads(snapshots["commit_extra_info"].iloc[0])
    assert {"asset", "sessions", "run_id", "code_version", "reason"} == set(extra)


@pytest.mark.parametrize(
    ("damage", "undo", "failing"),
    [
        (
            "update lake.portfolio.daily_pnl set slippage_usd = -19 where session = '2024-01-31'",
            "update lake.portfolio.daily_pnl set slippage_usd = -20 where session = '2024-01-31'",
            "pnl_parts_add_up_to_the_equity_change",
        ),
        (
            "update lake.portfolio.account_values set equity_usd = equity_usd + 1 where session = '2024-01-31'",
            "update lake.portfolio.account_values set equity_usd = equity_usd - 1 where session = '2024-01-31'",
            "equity_changes_follow_the_account_values",
        ),
    ],
)
def test_numbers_that_do_not_add_up_fail_the_named_test(built: DbtLake, damage: str, undo: str, failing: str) -> None:
    built.query(damage)
    result = built.dbt("test", "--select", failing)
    built.query(undo)
    assert result.returncode == 1
    assert f"Failure in test {failing}" in result.stdout


def test_building_again_replaces_the_rows_and_keeps_the_old_snapshot(built: DbtLake) -> None:
    before = built.query("select max(snapshot_id) as snapshot_id from lake.snapshots()")["snapshot_id"].iloc[0]
    built.query("update lake.execution.fills set commission_usd = 3 where client_order_id = 'o4'")
    result = built.dbt("run", "--select", "costs")
    built.query("update lake.execution.fills set commission_usd = 1 where client_order_id = 'o4'")
    assert result.returncode == 0, result.stdout
    assert [r["cost_usd"] for r in mart(built, "costs", "month_start")] == [22.5, 7.0]
    as_of = f"select cost_usd from lake.marts.costs at (version => {before}) order by month_start"  # noqa: S608 - a number
    then = built.query(as_of)
    assert then["cost_usd"].tolist() == [22.5, 5.0]
