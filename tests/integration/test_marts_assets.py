"""The marts as Dagster shows them: what was written, and which of dbt's tests failed on which rows.

The lake is the one of ``hand_made_book``, three sessions whose every number is worked out by hand there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Replacement
from aegis.lake.schema import TableSchema
from aegis.workspace import Workspace
from aegis_assets.marts import DBT_PROJECT, MARTS, ROWS_CHECK, SUMS, marts_assets
from aegis_sensors.definitions import lake_resource
from tests.integration.hand_made_book import FEB_1, FRAMES, JAN_30

FIRST, LAST = pd.Timestamp(JAN_30).date(), pd.Timestamp(FEB_1).date()
MESSAGE = CommitMessage("by hand", "", "test", "1")
Change = Callable[[pd.DataFrame], pd.DataFrame]


class Reports:
    """A workspace with the lake by hand, and the marts' job over it."""

    def __init__(self, home: Path) -> None:
        self.workspace = Workspace.of(AegisConfig(run={"home": home}))
        self.lake = lake_resource(self.workspace)
        for table in FRAMES:
            self.write(table, lambda frame: frame)

    def write(self, table: TableSchema, change: Change) -> None:
        frame = change(FRAMES[table].copy())
        bounds = (FIRST, LAST) if table.is_sessioned else (None, None)
        with self.lake.open() as store:
            store.write([Replacement(table, frame, *bounds)], MESSAGE)

    def build(self) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            marts_assets(), resources={"lake": self.lake, "workspace": self.workspace}, raise_on_error=False
        )


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    return Reports(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def built(reports: Reports) -> dg.ExecuteInProcessResult:
    result = reports.build()
    assert result.success
    return result


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, object]]:
    events = result.get_asset_materialization_events()
    return {
        str(event.asset_key.path[-1]): {key: value.value for key, value in event.materialization.metadata.items()}
        for event in events
    }


def checks_of(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    return {(str(e.asset_key.path[-1]), e.check_name): e for e in result.get_asset_check_evaluations()}


def detail_of(check: dg.AssetCheckEvaluation) -> str:
    return str(check.metadata["first_detail"].value)


def test_each_mart_says_how_many_rows_it_wrote_and_in_which_snapshot(
    reports: Reports, built: dg.ExecuteInProcessResult
) -> None:
    found = metadata_of(built)
    assert set(found) == set(MARTS)
    rows = {name: values["dagster/row_count"] for name, values in found.items()}
    assert (rows["daily_returns"], rows["costs"], rows["sector_exposures"]) == (7, 2, 8)
    with reports.lake.open() as store:
        messages = store.snapshots().set_index("snapshot_id")["commit_message"]
    for name, values in found.items():
        assert messages[values["lake_snapshot_id"]] == f"marts/{name}"
        assert values["read_after_snapshot_id"] < values["lake_snapshot_id"]


def test_each_mart_shows_its_columns_with_their_meaning_before_it_is_built() -> None:
    (assets,) = marts_assets()
    for spec in assets.specs:
        columns = spec.metadata["dagster/column_schema"].columns
        assert columns
        assert all(column.description and column.type for column in columns), spec.key
    specs = {spec.key.path[-1]: spec for spec in assets.specs}
    daily = specs["daily_returns"].metadata["dagster/column_schema"].columns
    shown = {column.name: (column.type, column.description) for column in daily}
    assert shown["session"] == ("date", "Trading session of the decision calendar.")
    assert shown["equity_usd"] == ("double", "Cash + receivables + positions. [USD]")


def test_each_column_of_a_mart_leads_back_to_the_columns_it_is_computed_from(
    built: dg.ExecuteInProcessResult,
) -> None:
    found = metadata_of(built)
    for name, values in found.items():
        deps = values["dagster/column_lineage"].deps_by_column
        read = {dep.asset_key.to_user_string() for column in deps.values() for dep in column}
        assert read <= {table.key for table in MARTS[name]}, name
        assert read, name
    costs = found["costs"]["dagster/column_lineage"].deps_by_column
    fills = dg.AssetKey(["execution", "fills"])
    assert costs["cost_usd"] == [dg.TableColumnDep(fills, "commission_usd"), dg.TableColumnDep(fills, "slippage_usd")]
    shown = str(found["costs"]["computed_from"])
    assert "| `cost_usd` | `execution/fills.commission_usd`, `execution/fills.slippage_usd` |" in shown
    assert "| `fill_count` | no column |" in shown
    rate = found["execution_by_order"]["dagster/column_lineage"].deps_by_column["participation_rate"]
    assert rate == [
        dg.TableColumnDep(fills, "quantity_shares"),
        dg.TableColumnDep(dg.AssetKey(["market_data", "daily_bars"]), "volume_shares"),
    ]


def test_the_description_of_a_mart_is_the_one_in_dbt() -> None:
    (assets,) = marts_assets()
    specs = {spec.key.path[-1]: spec.description for spec in assets.specs}
    assert "What trading cost, one row per account and calendar month; costs are positive." in specs["costs"]
    assert "| `cost_bps` | Cost over traded value, basis points. |" in specs["costs"]


def test_every_test_of_the_project_is_shown_with_a_mart(built: dg.ExecuteInProcessResult) -> None:
    assert set(SUMS) == {file.stem for file in DBT_PROJECT.glob("tests/*.sql")}
    found = checks_of(built)
    assert set(found) == {(mart, ROWS_CHECK) for mart in MARTS} | {(mart, test) for test, mart in SUMS.items()}
    assert all(check.passed for check in found.values())
    assert all(check.metadata["tests"].value >= 1 for check in found.values())


@pytest.mark.long
def test_a_sum_that_does_not_hold_names_its_session_and_leaves_the_marts(reports: Reports) -> None:
    """2024-01-31 paid 20 in slippage; 19 of it explained leaves the parts 1 short of the change and the fills."""

    def hide_a_dollar(pnl: pd.DataFrame) -> pd.DataFrame:
        return pnl.assign(slippage_usd=pnl["slippage_usd"].replace(-20.0, -19.0))

    reports.write(tables.DAILY_PNL, hide_a_dollar)
    result = reports.build()
    reports.write(tables.DAILY_PNL, lambda pnl: pnl)
    checks = checks_of(result)
    failed = {key: check for key, check in checks.items() if not check.passed}
    parts = failed.pop(("pnl_by_month", "pnl_parts_add_up_to_the_equity_change"))
    assert parts.severity == dg.AssetCheckSeverity.ERROR
    assert parts.metadata["observed_rows"].value == 1
    assert "session 2024-01-31, account simulated" in detail_of(parts)
    assert "pnl_by_month" in str(result.failure_data_for_node("marts").error)
    assert {"costs", "turnover", "execution_quality", "data_quality", "sector_exposures"} <= set(metadata_of(result))
    assert {"pnl_by_month", "daily_returns", "pnl_by_strategy"}.isdisjoint(metadata_of(result))


@pytest.mark.long
def test_symbols_that_do_not_add_up_are_an_error_that_names_the_month(reports: Reports) -> None:
    """A position of February valued 5 too high is 5 that the account's own P&L does not have."""

    def overvalue(positions: pd.DataFrame) -> pd.DataFrame:
        wrong = (positions["session"] == FEB_1) & (positions["symbol"] == "BBB")
        return positions.assign(market_value_usd=positions["market_value_usd"] + 5.0 * wrong)

    reports.write(tables.POSITIONS, overvalue)
    result = reports.build()
    reports.write(tables.POSITIONS, lambda positions: positions)
    failed = {key: check for key, check in checks_of(result).items() if not check.passed}
    assert set(failed) == {
        ("pnl_by_symbol_month", "symbols_add_up_to_the_account"),
        ("sector_exposures", "sectors_add_up_to_the_invested_value"),
    }
    symbols = failed["pnl_by_symbol_month", "symbols_add_up_to_the_account"]
    assert symbols.severity == dg.AssetCheckSeverity.ERROR
    assert "account simulated, month_start 2024-02-01" in detail_of(symbols)
    assert "account_pnl_usd 5.0" in detail_of(symbols)
    assert result.success
    assert set(metadata_of(result)) == set(MARTS)


def test_bad_source_rows_fail_the_marts_made_from_them_and_no_other(reports: Reports) -> None:
    def unknown_outcome(orders: pd.DataFrame) -> pd.DataFrame:
        return orders.assign(gate_outcome=orders["gate_outcome"].replace("refused", "lost"))

    reports.write(tables.ORDERS, unknown_outcome)
    result = reports.build()
    reports.write(tables.ORDERS, lambda orders: orders)
    checks = checks_of(result)
    assert not result.success
    of_orders = {"execution_by_order", "execution_by_session", "execution_quality"}
    for name in of_orders:
        assert not checks[name, ROWS_CHECK].passed
        assert "value_field lost, n_records 1" in detail_of(checks[name, ROWS_CHECK])
    assert checks["costs", ROWS_CHECK].passed
    assert "execution_quality: " in str(result.failure_data_for_node("marts").error)
    assert set(metadata_of(result)) == set(MARTS) - of_orders
