"""dbt builds the reporting marts from the lake of :mod:`tests.integration.hand_made_book`."""

from __future__ import annotations

import json
import re

import pytest

from aegis.reporting.column_lineage import column_lineage
from aegis.reporting.dbt_sources import SOURCE_TABLES
from tests.integration.hand_made_book import DBT_PROJECT, FEB_1, JAN_31, DbtLake


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> DbtLake:
    lake = DbtLake(tmp_path_factory.mktemp("lake"))
    lake.create()
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


def test_pnl_by_strategy_sets_opinions_beside_what_belongs_to_none(built: DbtLake) -> None:
    parts = {
        row["attributed_to"]: row["pnl_usd"]
        for row in mart(built, "pnl_by_strategy", "attributed_to")
        if str(row["session"])[:10] == FEB_1
    }
    assert parts == {
        "neutral": 20.0, "momentum": 15.0, "unattributed": -5.0, "trading": -20.0, "interest": 2.0, "slippage": -4.0,
        "commission": -1.0, "residual": 0.0,
    }  # fmt: skip
    assert sum(parts.values()) == 7.0


def test_split_fractions_and_delisted_shares_are_no_loss(built: DbtLake) -> None:
    rows_of_february = [
        r for r in mart(built, "pnl_by_symbol_month", "symbol", "second") if str(r["month_start"]) >= "2024-02"
    ]
    assert {r["symbol"]: r["pnl_usd"] for r in rows_of_february} == {"CCC": 10.0, "DDD": 4.0, "EEE": 0.0}


def test_what_a_merger_pays_is_the_acquired_share_s_profit(built: DbtLake) -> None:
    """10 FFF at 40 become 93.50 USD, 63 of them in HHH, which starts at its price; 8 GGG at 10 are paid 100."""
    rows_of_february = [
        r for r in mart(built, "pnl_by_symbol_month", "symbol", "third") if str(r["month_start"]) >= "2024-02"
    ]
    assert {r["symbol"]: r["pnl_usd"] for r in rows_of_february} == {"FFF": -306.5, "GGG": 20.0, "HHH": 0.0}


def test_each_approved_order_shows_its_prices_costs_and_share_of_the_volume(built: DbtLake) -> None:
    orders = {row["client_order_id"]: row for row in mart(built, "execution_by_order", "client_order_id")}
    assert set(orders) == {"o1", "o2", "o4", "o5"}
    two = orders["o2"]
    assert (two["side"], two["ordered_shares"], two["filled_shares"], two["fill_count"]) == ("buy", 200.0, 150.0, 2)
    assert (two["arrival_price_usd"], two["ordered_usd"], two["filled_at_arrival_usd"]) == (20.0, 4000.0, 3000.0)
    assert two["fill_rate"] == 0.75
    assert two["average_price_usd"] == pytest.approx(3010 / 150)
    assert two["participation_rate"] == pytest.approx(150 / 1000)
    assert two["slippage_bps"] == pytest.approx(10 / 3010 * 10_000)
    assert two["cost_usd"] == 11.5
    assert two["cost_bps"] == pytest.approx(11.5 / 3010 * 10_000)
    assert two["arrival_cost_bps"] == pytest.approx(10 / 3000 * 10_000)
    unfilled = orders["o5"]
    assert (unfilled["fill_rate"], unfilled["cost_usd"], unfilled["average_price_usd"]) == (0.0, 0.0, None)


def test_each_session_of_execution_sums_its_orders(built: DbtLake) -> None:
    first, second = mart(built, "execution_by_session", "session")
    assert (str(first["session"])[:10], first["order_count"], first["filled_order_count"]) == (JAN_31, 2, 2)
    assert first["fill_rate"] == pytest.approx((5000 + 3000) / (5000 + 4000))
    assert first["cost_usd"] == 22.5
    assert first["largest_participation_rate"] == pytest.approx(0.15)
    assert (second["order_count"], second["filled_order_count"]) == (2, 1)
    assert second["fill_rate"] == pytest.approx(2040 / (2040 + 200))


def test_execution_quality_counts_unfilled_orders_and_leaves_out_refused_ones(built: DbtLake) -> None:
    buys, sells = mart(built, "execution_quality", "month_start")
    assert (buys["side"], buys["order_count"], buys["filled_order_count"], buys["fill_count"]) == ("buy", 2, 2, 3)
    assert (buys["ordered_usd"], buys["filled_at_arrival_usd"], buys["slippage_usd"]) == (9000.0, 8000.0, 20.0)
    assert buys["arrival_cost_usd"] == pytest.approx(60.0)
    assert buys["arrival_cost_bps"] == pytest.approx(75.0)
    assert (sells["side"], sells["order_count"], sells["filled_order_count"]) == ("sell", 2, 1)
    assert sells["fill_rate"] == pytest.approx(2040 / 2240)
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
        "marts/costs", "marts/daily_returns", "marts/data_quality", "marts/execution_by_order",
        "marts/execution_by_session", "marts/execution_quality", "marts/pnl_by_month", "marts/pnl_by_strategy",
        "marts/pnl_by_symbol_month", "marts/sector_exposures", "marts/turnover",
    ]  # fmt: skip
    extra = json.loads(snapshots["commit_extra_info"].iloc[0])
    assert {"asset", "sessions", "run_id", "code_version", "reason"} == set(extra)


def test_every_documented_query_runs_and_each_mart_has_one(built: DbtLake) -> None:
    text = (DBT_PROJECT.parent / "docs" / "marts.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", text, flags=re.DOTALL)
    asked = {re.findall(r"lake\.marts\.(\w+)", query)[0] for query in queries}
    assert asked == {file.stem for file in DBT_PROJECT.glob("models/marts/*.sql")}
    for query in queries:
        assert len(built.query(query).columns) >= 2, query


def test_table_and_columns_carry_their_meaning_in_the_lake(built: DbtLake) -> None:
    columns = built.query(
        "select table_name, column_name, comment from duckdb_columns() "
        "where database_name = 'lake' and schema_name = 'marts'"
    )
    assert len(columns) > 100
    assert columns["comment"].str.len().gt(0).all()
    shown = columns.set_index(["table_name", "column_name"])["comment"]
    assert shown["costs", "cost_usd"] == "Commission plus slippage, USD."
    assert shown["daily_returns", "equity_usd"] == "Cash + receivables + positions. [USD]"
    described = built.query(
        "select comment from duckdb_tables() where database_name = 'lake' and schema_name = 'marts'"
    )
    assert described["comment"].str.len().gt(0).all()


def test_every_model_and_column_is_described_and_a_stored_column_as_in_the_schema(built: DbtLake) -> None:
    nodes = json.loads((built.folder / "target" / "manifest.json").read_text())["nodes"].values()
    models = {node["name"]: node for node in nodes if node["resource_type"] == "model"}
    known = {table.key: table.column_names for table in SOURCE_TABLES}
    meaning = {(table.key, c.name): c.documentation for table in SOURCE_TABLES for c in table.columns}
    for name, model in models.items():
        assert model["description"], name
        described = {column["name"]: column["description"] for column in model["columns"].values()}
        lineage = column_lineage(model["compiled_code"], known)
        assert list(lineage) == list(described), name
        assert all(described.values()), name
        if name.startswith("stg_"):
            for column, (source,) in lineage.items():
                assert described[column] == meaning[source.table, source.column], (name, column)


@pytest.mark.long
def test_documentation_of_the_project_is_generated_with_every_table(built: DbtLake) -> None:
    result = built.dbt("docs", "generate", "--no-compile")
    assert result.returncode == 0, result.stdout + result.stderr
    catalog = json.loads((built.folder / "target" / "catalog.json").read_text())
    assert len([key for key in catalog["nodes"] if key.startswith("model.")]) == len(
        list(DBT_PROJECT.glob("models/marts/*.sql"))
    )
    assert len(catalog["sources"]) == len(SOURCE_TABLES)
    assert catalog["errors"] is None


@pytest.mark.long
def test_freshness_asks_when_a_run_last_wrote_each_source(built: DbtLake) -> None:
    """Rows put there by hand have no run; a commit of Aegis names the tables that it wrote."""
    stamp = (
        "begin; call lake.set_commit_message('aegis', 'fills', extra_info => "
        """'{"asset": "execution/fills, portfolio/positions"}'); """
        "update lake.execution.fills set commission_usd = commission_usd; commit"
    )
    built.query(stamp)
    result = built.dbt("source", "freshness", "--select", "source:execution.fills", "source:portfolio.positions")
    assert result.returncode == 0, result.stdout
    found = json.loads((built.folder / "target" / "sources.json").read_text())["results"]
    assert {entry["unique_id"]: entry["status"] for entry in found} == {
        "source.aegis.execution.fills": "pass",
        "source.aegis.portfolio.positions": "pass",
    }


def test_numbers_that_do_not_add_up_fail_the_test_that_names_them(built: DbtLake) -> None:
    """Slippage that is not explained, equity that is not reached, and an order that the mart of orders has lost."""
    failing = (
        "pnl_parts_add_up_to_the_equity_change",
        "equity_changes_follow_the_account_values",
        "orders_add_up_to_the_fills",
        "sessions_of_execution_add_up_to_the_orders",
        "strategies_add_up_to_the_equity_change",
    )
    built.query("update lake.portfolio.daily_pnl set slippage_usd = -19 where slippage_usd = -20")
    built.query("update lake.portfolio.account_values set equity_usd = 100038.5 where equity_usd = 100037.5")
    built.query("update lake.marts.execution_by_order set account = 'lost' where client_order_id = 'o4'")
    built.query("update lake.marts.pnl_by_strategy set pnl_usd = 16 where attributed_to = 'momentum'")
    result = built.dbt("test", "--select", *failing)
    built.query("update lake.portfolio.daily_pnl set slippage_usd = -20 where slippage_usd = -19")
    built.query("update lake.portfolio.account_values set equity_usd = 100037.5 where equity_usd = 100038.5")
    built.query("update lake.marts.execution_by_order set account = 'simulated' where client_order_id = 'o4'")
    built.query("update lake.marts.pnl_by_strategy set pnl_usd = 15 where attributed_to = 'momentum'")
    assert result.returncode == 1
    assert [test for test in failing if f"Failure in test {test} " not in result.stdout] == []


@pytest.mark.long
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
