"""What can be run: the whole chain, the three daily parts of it, backtests and upkeep.

Belongs here: which assets belong to which job. When a job runs is in :mod:`aegis_sensors.schedules` and
:mod:`aegis_sensors.sensors`.
"""

from __future__ import annotations

import dagster as dg

from aegis_assets.backtests import BACKTEST_ASSET_KEYS
from aegis_assets.book import BOOK_ASSET_KEYS
from aegis_assets.maintenance import MAINTAIN_LAKE, MAINTENANCE_ASSET_KEYS
from aegis_assets.monitoring import MONITORED_CHECKS
from aegis_assets.table_assets import GROUP_DATA, GROUP_RESEARCH

WHOLE_CHAIN = "run_whole_chain"
FETCH_MARKET_DATA = "fetch_market_data"
EXECUTE_TRADES = "execute_trades"
MONITOR = "monitor_books"
REPORT = "report_performance"
BACKTEST = "backtest_strategies"

_QUIET = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}
"""One line for each step: a backfill writes an event for each asset and session, and the event log keeps them all."""


def platform_jobs() -> list[dg.UnresolvedAssetJobDefinition]:
    """Return the jobs, each in one process (see ``docs/adr/0002-event-log.md``)."""
    book = dg.AssetSelection.assets(*BOOK_ASSET_KEYS)
    checks = dg.AssetSelection.checks(*MONITORED_CHECKS)
    backtests = dg.AssetSelection.assets(*BACKTEST_ASSET_KEYS)
    maintenance = dg.AssetSelection.assets(*MAINTENANCE_ASSET_KEYS)
    # No decision reads a backtest, and compiling the kernel would make the first run a third longer.
    chain = dg.AssetSelection.all() - backtests - maintenance
    upstream = ((dg.AssetSelection.groups(GROUP_DATA, GROUP_RESEARCH) | book.upstream()) & chain) - book
    reports = chain - book - upstream
    return [
        _job(
            WHOLE_CHAIN,
            chain,
            "Everything that a decision rests on and leads to, from the source's bars to the report.",
        ),
        _job(
            FETCH_MARKET_DATA,
            upstream - checks,
            "Bars of one session through the quality gate, features, signals, covariances.",
        ),
        _job(
            EXECUTE_TRADES,
            book - checks,
            "Fills, positions and P&L of one session, and the orders decided after its close.",
        ),
        _job(MONITOR, checks, "Freshness, reconciliation and the journal's chain."),
        _job(REPORT, reports - checks, "Findings of compliance, drift, reporting marts and the performance report."),
        _job(BACKTEST, backtests, "What each strategy would have done over the stored history."),
        _job(
            MAINTAIN_LAKE,
            maintenance,
            "Merge the lake's small files, and give up old snapshots that nothing refers to where settings say so.",
        ),
    ]


def _job(name: str, selection: dg.AssetSelection, description: str) -> dg.UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        name, selection=selection, description=description, config=_QUIET, executor_def=dg.in_process_executor
    )
