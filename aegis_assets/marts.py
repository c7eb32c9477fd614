"""The reporting marts as assets, and dbt's tests as their checks.

Belongs here: which mart reads which table, and which test is shown with which mart. The numbers and their meanings are
in ``dbt/models``; building and reading back is :mod:`aegis.reporting.dbt_build` and :mod:`aegis.reporting.marts`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from aegis.errors import ReportingError
from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis.reporting.column_lineage import column_lineage
from aegis.reporting.dbt_build import DbtBuild, DbtTest, run_dbt_build
from aegis.reporting.dbt_sources import SOURCE_TABLES
from aegis.reporting.marts import SCHEMA, MartDescription, WrittenMart, describe_marts, read_written_marts
from aegis.workspace import Workspace
from aegis_assets.table_assets import GROUP_EXECUTION_AND_MONITORING, OWNER_EXECUTOR, asset_key
from aegis_resources.lake import LakeResource

DBT_PROJECT = Path(__file__).resolve().parent.parent / "dbt"
MARTS: dict[str, tuple[TableSchema, ...]] = {
    "costs": (tables.FILLS,),
    "daily_returns": (tables.DAILY_PNL, tables.ACCOUNT_VALUES),
    "data_quality": (tables.CHECK_RESULTS,),
    "execution_by_order": (tables.FILLS, tables.ORDERS, tables.DAILY_BARS),
    "execution_by_session": (tables.FILLS, tables.ORDERS, tables.DAILY_BARS),
    "execution_quality": (tables.FILLS, tables.ORDERS, tables.DAILY_BARS),
    "pnl_by_month": (tables.DAILY_PNL,),
    "pnl_by_strategy": (tables.STRATEGY_PNL, tables.DAILY_PNL),
    "pnl_by_symbol_month": (
        tables.POSITIONS,
        tables.ACCOUNT_VALUES,
        tables.FILLS,
        tables.CORPORATE_ACTIONS,
        tables.DAILY_BARS,
    ),
    "sector_exposures": (tables.POSITIONS, tables.LISTINGS),
    "turnover": (tables.FILLS, tables.ACCOUNT_VALUES),
}
"""Each mart and the lake's tables that it reads, directly or through dbt's other models."""
SUMS: dict[str, str] = {
    "costs_of_fills_equal_costs_in_the_pnl": "costs",
    "equity_changes_follow_the_account_values": "daily_returns",
    "orders_add_up_to_the_fills": "execution_by_order",
    "pnl_leaves_no_residual": "pnl_by_month",
    "pnl_parts_add_up_to_the_equity_change": "pnl_by_month",
    "sectors_add_up_to_the_invested_value": "sector_exposures",
    "sessions_of_execution_add_up_to_the_orders": "execution_by_session",
    "sources_end_with_the_same_session": "daily_returns",
    "strategies_add_up_to_the_equity_change": "pnl_by_strategy",
    "symbols_add_up_to_the_account": "pnl_by_symbol_month",
}
"""Each test of ``dbt/tests`` and the mart that it is shown with."""
ROWS_CHECK = "rows_and_their_sources_are_as_described"


def marts_assets() -> Sequence[dg.AssetsDefinition]:
    """Return the marts."""
    described = describe_marts(DBT_PROJECT)

    @dg.multi_asset(
        name="marts",
        specs=[
            dg.AssetSpec(
                _key(name),
                deps=[asset_key(table) for table in read],
                description=_description(described[name]),
                metadata={
                    "dagster/table_name": f"lake.{SCHEMA}.{name}",
                    "dagster/column_schema": _column_schema(described[name]),
                },
                group_name=GROUP_EXECUTION_AND_MONITORING,
                owners=[OWNER_EXECUTOR],
                kinds={"dbt", "ducklake"},
                code_version="1",
            )
            for name, read in MARTS.items()
        ],
        check_specs=[
            *(
                dg.AssetCheckSpec(
                    ROWS_CHECK,
                    asset=_key(name),
                    description="dbt found no repeated key, no missing or unknown value, here or in what is read.",
                )
                for name in MARTS
            ),
            *(
                dg.AssetCheckSpec(test, asset=_key(name), description=f"See `dbt/tests/{test}.sql`.")
                for test, name in SUMS.items()
            ),
        ],
        can_subset=False,
    )
    def marts(
        lake: LakeResource, workspace: dg.ResourceParam[Workspace]
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        with lake.open() as store:  # places the tables that dbt needs
            before = store.snapshot_id()
        build = run_dbt_build(DBT_PROJECT, workspace.lake, workspace.dbt_target)
        yield from _check_results(build)
        written = read_written_marts(workspace.lake, [name for name in MARTS if name not in build.unbuilt_models])
        for name, mart in written.items():
            yield dg.MaterializeResult(
                asset_key=_key(name),
                metadata={"read_after_snapshot_id": before, **_metadata(mart), **_lineage(build.queries[name])},
            )
        refuse_unbuilt_models(build)

    return [marts]


def refuse_unbuilt_models(build: DbtBuild) -> None:
    """Raise when a model was not written.

    Raises
    ------
    ReportingError
        Names the models, why, and the failed tests that stopped them.
    """
    if not build.unbuilt_models:
        return
    reasons = [f"{name}: {why}" for name, why in build.unbuilt_models.items()]
    failed = [f"{test.name}: {test.detail}" for test in build.tests if test.outcome in ("fail", "error")]
    raise ReportingError(
        f"dbt did not build {len(reasons)} model(s): {'; '.join(reasons)}; failed tests: "
        f"{'; '.join(failed) or 'none'}; correct what they name and run the report job again"
    )


def _key(mart: str) -> dg.AssetKey:
    return dg.AssetKey([SCHEMA, mart])


def _description(mart: MartDescription) -> str:
    lines = [mart.text, "", "| column | meaning |", "|---|---|"]
    return "\n".join(lines + [f"| `{column.name}` | {column.description} |" for column in mart.columns])


def _column_schema(mart: MartDescription) -> dg.TableSchema:
    return dg.TableSchema(
        [dg.TableColumn(column.name, type=column.data_type, description=column.description) for column in mart.columns]
    )


def _metadata(mart: WrittenMart) -> dict[str, Any]:
    return {"dagster/row_count": mart.row_count, "lake_snapshot_id": mart.snapshot_id}


def _lineage(query: str) -> dict[str, Any]:
    """Return what each column of a mart is computed from: as Dagster's metadata, and as a table that a person reads.

    Notes
    -----
    The open-source UI stores column lineage and answers for it in GraphQL, but draws none.
    """
    found = column_lineage(query, {table.key: table.column_names for table in SOURCE_TABLES})
    deps = {
        name: [dg.TableColumnDep(dg.AssetKey(source.table.split("/")), source.column) for source in sorted(sources)]
        for name, sources in found.items()
        if sources
    }
    lines = ["| column | computed from |", "|---|---|"]
    for name, sources in found.items():
        named = ", ".join(f"`{source.table}.{source.column}`" for source in sorted(sources))
        lines.append(f"| `{name}` | {named or 'no column'} |")
    return {
        "dagster/column_lineage": dg.TableColumnLineage(deps),
        "computed_from": dg.MetadataValue.md("\n".join(lines)),
    }


def _check_results(build: DbtBuild) -> Iterator[dg.AssetCheckResult]:
    for name in MARTS:
        yield _check_result(name, ROWS_CHECK, [test for test in build.tests if _concerns(test, name, build)])
    for test, name in SUMS.items():
        yield _check_result(name, test, [found for found in build.tests if found.name == test])


def _concerns(test: DbtTest, mart: str, build: DbtBuild) -> bool:
    """Whether a test of a YAML file is about the rows of `mart`, or of a model that `mart` is made from."""
    return test.model is not None and test.model in {mart} | build.upstream[mart]


def _check_result(mart: str, name: str, tests: Sequence[DbtTest]) -> dg.AssetCheckResult:
    failed = [test for test in tests if test.outcome != "pass"]
    only_warned = bool(failed) and all(test.outcome == "warn" for test in failed)
    return dg.AssetCheckResult(
        asset_key=_key(mart),
        check_name=name,
        passed=bool(tests) and not failed,
        severity=dg.AssetCheckSeverity.WARN if only_warned else dg.AssetCheckSeverity.ERROR,
        metadata={
            "tests": len(tests),
            "observed_rows": sum(test.failing_rows for test in failed),
            "threshold_rows": 0,
            "first_detail": "; ".join(f"{test.name}: {test.detail}" for test in failed[:3]) or "all rows as expected",
        },
    )
