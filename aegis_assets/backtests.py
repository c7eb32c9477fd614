"""Layer 2: what each strategy would have done over the stored history, simulated by the matching kernel.

Belongs here: one multi-asset without partitions, since a backtest is of a whole history, and its checks. The rule that
makes weights and the tables are :mod:`aegis.research.backtests`, which is imported when it runs: compiled code takes
seconds to load, and the first time half a minute to compile.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis_assets.materialization import TableRows, publish
from aegis_assets.pictures import backtest_pictures
from aegis_assets.table_assets import (
    GROUP_RESEARCH,
    OWNER_ANALYST,
    asset_key,
    definition_metadata,
    description,
    readable,
)
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

if TYPE_CHECKING:
    from aegis.backtesting.results import BacktestResults

BACKTEST_ASSET_KEYS = tuple(asset_key(table) for table in tables.BACKTEST_TABLES)
CONSERVATION_CHECK = "profits_are_explained"
LEGALITY_CHECK = "orders_and_fills_are_legal"

_READ = (tables.DAILY_BARS, tables.CORPORATE_ACTIONS, tables.STRATEGY_SIGNALS, tables.ENSEMBLE_SIGNALS)
_SHOWN_TRADES = 10


def backtest_assets() -> Sequence[dg.AssetsDefinition]:
    """Return the backtests of the configured strategies."""

    @dg.multi_asset(
        name="backtests",
        specs=[
            dg.AssetSpec(
                asset_key(table),
                deps=[asset_key(read) for read in _READ],
                description=description(table),
                metadata=definition_metadata(table),
                group_name=GROUP_RESEARCH,
                owners=[OWNER_ANALYST],
                kinds={"python", "numba"},
                code_version="1",
            )
            for table in tables.BACKTEST_TABLES
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CONSERVATION_CHECK,
                asset=asset_key(tables.BACKTESTS),
                description="Prices, dividends, interest and costs explain each strategy's profit to 1e-6 USD.",
            ),
            dg.AssetCheckSpec(
                LEGALITY_CHECK,
                asset=asset_key(tables.BACKTEST_TRADES),
                description="Every fill belongs to its order and comes after its decision; every order's events are a "
                "path through the state machine of live orders.",
            ),
        ],
        can_subset=False,
    )
    def backtests(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from aegis.research.backtests import BacktestInputs, backtest_tables, run_backtests  # noqa: PLC0415 - seconds

        with lake.open() as store:
            snapshot = store.snapshot_id()
            bars, actions, strategies, ensemble = (store.read(table, snapshot_id=snapshot) for table in _READ)
            inputs = BacktestInputs(
                bars=bars,
                actions=actions,
                strategy_signals=strategies,
                ensemble_signals=ensemble,
                snapshot_id=snapshot,
            )
            results = run_backtests(inputs, config=market.config, calendar=market.calendar)
            frames = backtest_tables(results, snapshot_id=snapshot)
            pictures, shown = backtest_pictures(frames[tables.BACKTEST_EQUITY]), _metadata(frames)
            rows = [TableRows(t, f, None, pictures.get(t.key), shown.get(t.key, {})) for t, f in frames.items()]
            whole = (market.session_range()[0], market.calendar.last_known_session())
            yield from publish(context, store, rows, replaced=whole, check_results=_checks(results))

    return [backtests]


def _metadata(frames: Mapping[TableSchema, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Return what is shown beside the rows, by table key: where they come from, numbers worth following, trades."""
    named = frames[tables.BACKTESTS].set_index("strategy")
    numbers = {
        f"{column}_{strategy}": readable(float(value))
        for column in ("sharpe_ratio", "max_drawdown")
        for strategy, value in named[column].dropna().items()
    }
    links = {read.key.replace("/", "_"): dg.MetadataValue.asset(asset_key(read)) for read in _READ}
    read = {
        "input_snapshot_id": int(named["input_snapshot_id"].iloc[0]),
        "settings_hash": named["settings_hash"].iloc[0],
    }
    first_trades = dg.MetadataValue.md(_markdown(frames[tables.BACKTEST_TRADES].head(_SHOWN_TRADES)))
    return {
        tables.BACKTESTS.key: {**read, **numbers, **links},
        tables.BACKTEST_TRADES.key: {"first_trades": first_trades},
    }


def _markdown(frame: pd.DataFrame) -> str:
    """Return rows as a Markdown table, numbers with the digits that a person reads."""
    shown = frame.map(lambda value: readable(value) if isinstance(value, float) else value).astype(str)
    lines = [shown.columns.tolist(), ["---"] * len(shown.columns), *shown.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _checks(results: "Mapping[str, BacktestResults]") -> list[dg.AssetCheckResult]:
    from aegis.research import backtest_checks  # noqa: PLC0415 - seconds

    unexplained = max(backtest_checks.unexplained_usd(done) for done in results.values())
    illegal = [text for done in results.values() for text in backtest_checks.illegal_orders(done)]
    return [
        dg.AssetCheckResult(
            asset_key=asset_key(tables.BACKTESTS),
            check_name=CONSERVATION_CHECK,
            passed=unexplained <= backtest_checks.UNEXPLAINED_TOLERANCE_USD,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "observed": unexplained,
                "threshold": backtest_checks.UNEXPLAINED_TOLERANCE_USD,
                "detail": "largest absolute unexplained profit of a strategy, USD",
            },
        ),
        dg.AssetCheckResult(
            asset_key=asset_key(tables.BACKTEST_TRADES),
            check_name=LEGALITY_CHECK,
            passed=not illegal,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"observed": len(illegal), "threshold": 0, "detail": "; ".join(illegal[:3]) or "nothing found"},
        ),
    ]
