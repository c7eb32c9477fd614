"""How a table of the lake appears as an asset: key, column schema, and the numbers worth plotting over sessions.

Belongs here: the one map between tables and assets. What an asset computes is in the module of its layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
import pandas as pd

from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis_assets.partitions import KEY_FORMAT

OWNER_ANALYST = "team:analyst"
OWNER_STRATEGIST = "team:strategist"
OWNER_SENTINEL = "team:sentinel"
OWNER_EXECUTOR = "team:executor"

GROUP_DATA = "layer_1_data"
GROUP_RESEARCH = "layer_2_research"
GROUP_PORTFOLIO_AND_RISK = "layer_3_portfolio_and_risk"
GROUP_EXECUTION_AND_MONITORING = "layer_4_execution_and_monitoring"

_SIGNIFICANT_DIGITS = 4
_SQL_TO_UI = {"floats": "list[float]"}


_LOOK_BACK = (
    "**Looks back**: a session is computed from earlier ones too, and its lineage shows only itself. "
    "`read_from_session` is the first that its run read, for the first of the run's sessions. After correcting a "
    "session, materialize from it on."
)


@dataclass(frozen=True)
class SessionNumber:
    """One number a session, plotted by the UI over partitions: an aggregate of one column."""

    label: str
    column: str
    how: str


_NUMBERS: Mapping[str, tuple[SessionNumber, ...]] = {
    tables.RAW_BARS.key: (SessionNumber("volume_shares", "volume_shares", "sum"),),
    tables.CHECK_RESULTS.key: (SessionNumber("offending_rows", "observed", "sum"),),
    tables.DAILY_BARS.key: (SessionNumber("volume_shares", "volume_shares", "sum"),),
    tables.UNIVERSE.key: (SessionNumber("members", "is_member", "sum"),),
    tables.DAILY_FEATURES.key: (SessionNumber("median_volatility_63", "volatility_63", "median"),),
    tables.STRATEGY_SIGNALS.key: (SessionNumber("mean_confidence", "confidence", "mean"),),
    tables.ENSEMBLE_SIGNALS.key: (SessionNumber("mean_confidence", "confidence", "mean"),),
    tables.COVARIANCES.key: (SessionNumber("shrinkage", "shrinkage", "first"),),
    tables.FILLS.key: (
        SessionNumber("commission_usd", "commission_usd", "sum"),
        SessionNumber("slippage_usd", "slippage_usd", "sum"),
    ),
    tables.POSITIONS.key: (SessionNumber("market_value_usd", "market_value_usd", "sum"),),
    tables.ACCOUNT_VALUES.key: (
        SessionNumber("equity_usd", "equity_usd", "sum"),
        SessionNumber("cash_usd", "cash_usd", "sum"),
        SessionNumber("drawdown", "drawdown", "min"),
    ),
    tables.DAILY_PNL.key: (
        SessionNumber("equity_change_usd", "equity_change_usd", "sum"),
        SessionNumber("residual_usd", "residual_usd", "sum"),
    ),
    tables.TARGET_WEIGHTS.key: (
        SessionNumber("gross_target_weight", "target_weight", "sum"),
        SessionNumber("largest_target_weight", "target_weight", "max"),
    ),
    tables.RISK_REPORT.key: (
        SessionNumber("value_at_risk_95", "value_at_risk_95", "max"),
        SessionNumber("volatility_annualised", "volatility_annualised", "max"),
        SessionNumber("exposure_scale", "exposure_scale", "min"),
    ),
    tables.PRE_TRADE_GATE.key: (SessionNumber("orders_refused", "orders_refused", "sum"),),
    tables.ORDERS.key: (SessionNumber("reducing_orders", "is_reducing", "sum"),),
}


def asset_key(table: TableSchema) -> dg.AssetKey:
    """Return the key of the asset that publishes `table`."""
    return dg.AssetKey([table.layer, table.name])


def description(table: TableSchema, *, looks_back: bool = False) -> str:
    """Return what a person reads in the UI: what a row means, its key, and each column with its unit.

    Parameters
    ----------
    table : TableSchema
    looks_back : bool
        Whether a session is computed from earlier ones too, which the lineage does not show (:func:`read_from`).
    """
    lines = [
        table.description,
        "",
        *([_LOOK_BACK, ""] if looks_back else []),
        f"**Primary key**: {', '.join(table.primary_key)}",
        "",
        "| column | unit | meaning |",
    ]
    lines.append("|---|---|---|")
    lines += [f"| `{c.name}` | {c.unit or '–'} | {c.description} |" for c in table.columns]
    return "\n".join(lines)


def read_from(session: date, read: pd.DataFrame) -> dict[str, str]:
    """Return metadata that says where the look-back of a run began.

    Parameters
    ----------
    session : date
        First session that was asked for; the market may begin later.
    read : DataFrame
        The rows that were read, with their ``session``.

    Notes
    -----
    The same for all sessions of a run, whose look-back is that of its first session.

    Dagster's lineage of a session is that session alone. A mapping onto the whole look-back was tried and is worse:
    Dagster does not follow dependencies on 100 partitions or more, so a correction of the session itself would no
    longer make what was computed from it stale. After a correction, materialize from the corrected session on.
    """
    first = session if read.empty else max(session, read["session"].min().date())
    return {"read_from_session": first.isoformat()}


def definition_metadata(table: TableSchema) -> dict[str, Any]:
    """Return the metadata that belongs to the definition, not to each session: column schema and table name."""
    columns = [
        dg.TableColumn(
            c.name,
            type=_SQL_TO_UI.get(c.kind, c.sql_type.lower()),
            description=c.documentation,
            constraints=dg.TableColumnConstraints(nullable=c.nullable),
        )
        for c in table.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": f"lake.{table.layer}.{table.name}",
    }


def asset_terms(table: TableSchema, *, looks_back: bool = False) -> dict[str, Any]:
    """Return the terms by which an asset of its own publishes `table`: name, prefix, description and metadata.

    Parameters
    ----------
    table : TableSchema
    looks_back : bool
        As for :func:`description`.
    """
    return {
        "name": table.name,
        "key_prefix": table.layer,
        "description": description(table, looks_back=looks_back),
        "metadata": definition_metadata(table),
    }


def session_numbers(table: TableSchema, frame: pd.DataFrame) -> dict[str, dict[str, float | int]]:
    """Return for each session with rows its row count and the numbers worth plotting, by partition key.

    Notes
    -----
    Numbers are rounded for a reader (:func:`readable`); the lake holds every digit.
    """
    if frame.empty:
        return {}
    grouped = frame.groupby("session", sort=True)
    sizes = grouped.size()
    units = {column.name: column.unit for column in table.columns}
    columns: dict[str, list[float | int]] = {"dagster/partition_row_count": sizes.tolist()}
    for number in _NUMBERS.get(table.key, ()):
        values = grouped[number.column].agg(number.how).tolist()
        columns[number.label] = [readable(value, units[number.column]) for value in values]
    keys = sizes.index.strftime(KEY_FORMAT)
    return {
        key: {label: value for label, value in zip(columns, row, strict=True) if value == value}  # noqa: PLR0124 - NaN
        for key, *row in zip(keys, *columns.values(), strict=True)
    }


def readable(value: float, unit: str = "") -> float | int:
    """Return a number with the digits that a person reads.

    Parameters
    ----------
    value : float
        NaN stays NaN.
    unit : str
        Of the column it was computed from: amounts in ``USD`` keep cents, ``shares`` are whole; everything else keeps
        four significant digits.
    """
    if not math.isfinite(value) or isinstance(value, int):
        return value
    if unit == "USD":
        return round(value, 2) + 0.0  # a rounded -0.001 is -0.0
    if unit == "shares":
        return round(value)
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
