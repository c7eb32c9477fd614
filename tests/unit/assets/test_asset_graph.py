"""What Dagster loads: the asset graph as reviewed text, and rules that hold for every asset, job, schedule and sensor.

`asset_graph.txt` is read in review: a changed dependency, owner or group is a changed line there.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph, AssetNode

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis_sensors.definitions import build_definitions

REVIEWED = Path(__file__).with_name("asset_graph.txt")
CARRIED_STATE = "portfolio/book_states"
UPKEEP = "lake/stored_files"
BACKTESTS = {table.key for table in tables.BACKTEST_TABLES}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    config = AegisConfig(run={"home": tmp_path_factory.mktemp("home"), "first_session": date(2014, 6, 2)})
    return build_definitions(config, clock=FixedClock(datetime(2015, 3, 10, 12, tzinfo=UTC)))


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> AssetGraph:
    return definitions.resolve_asset_graph()


@pytest.fixture(scope="module")
def nodes(graph: AssetGraph) -> dict[str, AssetNode]:
    return {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}


def parents(node: AssetNode) -> list[str]:
    return sorted(key.to_user_string() for key in node.parent_keys)


def as_text(nodes: dict[str, AssetNode], checks: dict[str, list[str]]) -> str:
    lines = []
    for key, node in sorted(nodes.items()):
        sessions = "each session" if node.is_partitioned else "as a whole"
        owners, kinds = ", ".join(node.owners), ", ".join(sorted(node.kinds))
        lines.append(f"{key}  [{node.group_name}; {owners}; {kinds}; {sessions}]")
        lines += [f"    reads {parent}" for parent in parents(node)]
        lines += [f"    checked by {check}" for check in sorted(checks.get(key, []))]
    return "\n".join(lines) + "\n"


def test_the_graph_is_the_reviewed_one(graph: AssetGraph, nodes: dict[str, AssetNode]) -> None:
    checks: dict[str, list[str]] = {}
    for check in graph.asset_check_keys:
        checks.setdefault(check.asset_key.to_user_string(), []).append(check.name)
    assert as_text(nodes, checks) == REVIEWED.read_text(encoding="utf-8")


def test_every_table_is_an_asset_and_shows_its_columns(nodes: dict[str, AssetNode]) -> None:
    off_by_default, written_by_people = set(tables.MINUTE_TABLES), {tables.CONFIRMED_CLOSES}
    for table in [table for table in tables.ALL_TABLES if table not in off_by_default | written_by_people]:
        shown = nodes[table.key].metadata["dagster/column_schema"]
        columns = shown.value.columns if hasattr(shown, "value") else shown.columns
        assert [column.name for column in columns] == list(table.column_names), table.key
        assert all(column.description and column.type for column in columns), table.key
        assert [c.constraints.nullable for c in columns] == [c.nullable for c in table.columns], table.key


def test_every_asset_says_what_it_is_and_whose(nodes: dict[str, AssetNode]) -> None:
    groups = {
        "layer_1_data",
        "layer_2_research",
        "layer_3_portfolio_and_risk",
        "layer_4_execution_and_monitoring",
    }
    owners = {"team:analyst", "team:strategist", "team:sentinel", "team:executor"}
    assert {node.group_name for node in nodes.values()} == groups
    for key, node in nodes.items():
        assert node.is_materializable, key
        assert len(node.owners) == 1, key
        assert set(node.owners) <= owners, key
        assert node.kinds, key
        assert node.code_version, key
        assert node.description, key


def test_sessions_are_partitions_except_for_what_is_of_a_whole_history(nodes: dict[str, AssetNode]) -> None:
    whole = {key for key, node in nodes.items() if not node.is_partitioned}
    assert whole - {key for key in whole if key.startswith("marts/")} == {
        "market_data/instruments",
        "market_data/listings",
        "compliance/findings",
        "execution/implementation_shortfall",
        "monitoring/drift_measures",
        "portfolio/strategy_pnl",
        "reporting/performance_report",
        UPKEEP,
        *BACKTESTS,
    }


def test_the_graph_has_no_cycle_but_the_state_carried_from_the_previous_session(nodes: dict[str, AssetNode]) -> None:
    left = {key: set(parents(node)) for key, node in nodes.items()}
    assert {key for key, above in left.items() if key in above} == {CARRIED_STATE}
    left[CARRIED_STATE].remove(CARRIED_STATE)
    while ready := [key for key, above in left.items() if not above]:
        for key in ready:
            del left[key]
        for above in left.values():
            above.difference_update(ready)
    assert left == {}


def test_the_carried_state_depends_on_its_previous_session_only(graph: AssetGraph) -> None:
    key = dg.AssetKey(CARRIED_STATE.split("/"))
    mapping = graph.get(key).partition_mappings[key]
    assert mapping == dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)


def test_the_way_from_orders_leads_back_to_raw_bars(nodes: dict[str, AssetNode]) -> None:
    met, waiting = set(), ["execution/orders"]
    while waiting:
        key = waiting.pop()
        if key not in met:
            met.add(key)
            waiting += parents(nodes[key])
    assert {
        "market_data/raw_bars",
        "quality/check_results",
        "market_data/daily_bars",
        "market_data/universe",
        "features/daily_features",
        "signals/strategy_signals",
        "signals/ensemble_signals",
        "portfolio/covariances",
        "portfolio/target_weights",
        "risk/risk_report",
        "risk/pre_trade_gate",
    } <= met
    assert met.isdisjoint({"reporting/performance_report", "marts/costs"})


def selected(definitions: dg.Definitions, job: str) -> set[dg.AssetKey]:
    return set(definitions.resolve_job_def(job).asset_layer.selected_asset_keys)


def test_the_daily_jobs_share_out_all_assets_but_backtests_and_upkeep(
    definitions: dg.Definitions, graph: AssetGraph
) -> None:
    parts = [selected(definitions, job) for job in ("fetch_market_data", "execute_trades", "report_performance")]
    counted = Counter(key for part in parts for key in part)
    backtests = selected(definitions, "backtest_strategies")
    assert {key.to_user_string() for key in backtests} == BACKTESTS
    upkeep = selected(definitions, "maintain_lake")
    assert {key.to_user_string() for key in upkeep} == {UPKEEP}
    assert set(counted) == set(graph.materializable_asset_keys) - backtests - upkeep
    assert set(counted.values()) == {1}
    assert selected(definitions, "run_whole_chain") == set(counted)


def test_no_decision_reads_a_backtest(nodes: dict[str, AssetNode]) -> None:
    assert all(BACKTESTS.isdisjoint(parents(node)) for node in nodes.values())


def test_monitoring_computes_no_asset_and_no_daily_job_monitors(definitions: dg.Definitions) -> None:
    def checks(job: str) -> set[str]:
        layer = definitions.resolve_job_def(job).asset_layer
        return {key.name for node in layer.data for key in node.assets_def.check_keys}

    monitored = {"bars_are_fresh", "journal_chain_verifies", "fills_match_the_journal"}
    assert checks("monitor_books") == monitored
    assert selected(definitions, "monitor_books") == set()
    assert "prices_are_positive" in checks("fetch_market_data")
    assert "no_session_is_blocked" in checks("execute_trades")
    for job in ("fetch_market_data", "execute_trades", "report_performance"):
        assert checks(job).isdisjoint(monitored), job


def test_jobs_schedules_and_sensors_load(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    jobs = {
        "run_whole_chain",
        "fetch_market_data",
        "execute_trades",
        "monitor_books",
        "report_performance",
        "backtest_strategies",
        "maintain_lake",
        "kill_switch",
    }
    assert {job.name for job in repository.get_all_jobs()} - {"__ASSET_JOB"} == jobs
    assert {(s.name, s.job_name) for s in repository.schedule_defs} == {
        ("fetch_after_close", "fetch_market_data"),
        ("trade_at_open", "execute_trades"),
        ("monitor_hourly", "monitor_books"),
        ("report_end_of_day", "report_performance"),
        ("backtest_weekly", "backtest_strategies"),
        ("maintain_weekly", "maintain_lake"),
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "final_bars_exist",
        "book_fell_behind",
        "positions_drifted",
        "checks_failed",
        "runs_failed",
        "runs_stuck",
        "account_needs_a_stop",
    }
    for definition in (*repository.schedule_defs, *repository.sensor_defs):
        assert definition.description
    alerting = {sensor.name: sensor.default_status for sensor in repository.sensor_defs}
    assert alerting["account_needs_a_stop"] == dg.DefaultSensorStatus.STOPPED, "off until a setting asks for it"
    assert alerting["checks_failed"] == alerting["runs_failed"] == dg.DefaultSensorStatus.RUNNING


def test_loading_changes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    build_definitions(AegisConfig(run={"home": home})).get_repository_def()
    assert not home.exists()
