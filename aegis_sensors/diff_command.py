"""``aegis data diff``: which rows differ between two snapshots, and which later decisions read them as they were.

Belongs here: printing. Rows are :mod:`aegis.lake.comparison`, what follows from them :mod:`aegis.lake.consequences`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from rich.console import Console

from aegis.config import AegisConfig
from aegis.errors import LakeError
from aegis.lake import tables
from aegis.lake.comparison import Comparison, RowChange, changed_rows
from aegis.lake.consequences import (
    ChangedSessions,
    Consequence,
    Dependency,
    consequences,
    orders_decided_before,
    reach,
)
from aegis.lake.lake import Lake
from aegis.lake.provenance import Provenance
from aegis.lake.reading import find_table
from aegis.lake.schema import TableSchema
from aegis.lake.versions import VersionHistory
from aegis.live_trading.decision_inputs import decision_dependencies
from aegis_sensors.version_commands import Style, opened_lake, say

_SHOWN_SYMBOLS = 12


@dataclass
class TableDifference:
    """What differs in one table, and what rests on it: counts of all rows, and the first of them."""

    table: TableSchema
    counts: Counter[str] = field(default_factory=Counter)
    first_rows: list[RowChange] = field(default_factory=list)
    consequences: list[Consequence] = field(default_factory=list)
    orders: pd.DataFrame = field(default_factory=tables.ORDERS.empty)


def diff_command(
    config: AegisConfig, before: str, after: str, *, table: str | None, limit: int, style: Style, console: Console
) -> None:
    """Print what changed between two snapshots, and what rests on the rows as they were.

    Raises
    ------
    ConfigurationError
        The workspace has no history.
    LakeError
        No such table or snapshot, or the snapshots are given in the wrong order.
    """
    wanted = tables.ALL_TABLES if table is None else (find_table(table, tables.ALL_TABLES),)
    with opened_lake(config) as lake:
        history = VersionHistory.of(lake)
        found = list(differences(lake, history, wanted, (before, after), decision_dependencies(config), limit=limit))
    if style == "json":
        console.out(json.dumps([_entry(difference) for difference in found], indent=1, default=str), highlight=False)
        return
    if not found:
        say(console, f"no row differs between {before} and {after}")
    for difference in found:
        print_difference(difference, limit=limit, console=console)


def differences(
    lake: Lake,
    history: VersionHistory,
    wanted: Sequence[TableSchema],
    between: tuple[str, str],
    dependencies: Sequence[Dependency],
    *,
    limit: int,
) -> Iterator[TableDifference]:
    """Yield the tables of which a row differs between two snapshots, with what rests on those rows.

    Parameters
    ----------
    lake : Lake
    history : VersionHistory
    wanted : sequence of TableSchema
        Tables to compare.
    between : pair of str
        Numbers or times, the earlier first.
    dependencies : sequence of Dependency
    limit : int
        How many rows to keep of each table; all are counted.

    Raises
    ------
    LakeError
        The first lies after the second.
    SnapshotNotFound
        One of them cannot be read.
    """
    provenance = Provenance(lake.snapshots())
    sessions = sorted({*lake.sessions(tables.RAW_BARS), *lake.sessions(tables.DAILY_BARS)})
    for table in wanted:
        if not history.of_table(table):
            continue
        before, after = (history.find(text, table=table) for text in between)
        if before > after:
            raise LakeError(f"snapshot {before} is after {after}; give the earlier one first")
        difference = TableDifference(table)
        rows = changed_rows(lake, Comparison(table, before, after), history)
        changed = ChangedSessions(_counted(rows, difference, limit), sessions)
        if difference.counts:
            _add_consequences(lake, difference, changed, dependencies, provenance)
            yield difference


def print_difference(difference: TableDifference, *, limit: int, console: Console) -> None:
    """Print one table's changed rows, the tables that are outdated by them, and the orders decided on them."""
    counts = difference.counts
    told = ", ".join(f"{counts[kind]:,} {kind}" for kind in ("added", "removed", "changed") if counts[kind])
    say(console, f"{difference.table.key}: {told}")
    for row in difference.first_rows:
        say(console, f"  {row.kind:7}  {_key(row)}  {_values(row)}  (snapshot {row.snapshot_id})")
    hidden = sum(counts.values()) - len(difference.first_rows)
    if hidden:
        say(console, f"  and {hidden:,} more rows; --limit shows more than {limit}")
    for consequence in difference.consequences:
        say(console, f"  {_consequence(consequence)}")
    if not difference.orders.empty:
        own = int(difference.orders["is_of_changed_symbol"].sum())
        say(
            console,
            f"  {len(difference.orders):,} orders were decided on the rows as they were, {own:,} of them of the "
            "changed symbols; they stand as committed:",
        )
        for order in difference.orders.head(limit).to_dict("records"):
            say(console, f"    {_order(order)}")
        if len(difference.orders) > limit:
            say(console, f"    and {len(difference.orders) - limit:,} more")


def _counted(rows: Iterable[RowChange], difference: TableDifference, limit: int) -> Iterator[RowChange]:
    for row in rows:
        difference.counts[row.kind] += 1
        if len(difference.first_rows) < limit:
            difference.first_rows.append(row)
        yield row


def _add_consequences(
    lake: Lake,
    difference: TableDifference,
    changed: ChangedSessions,
    dependencies: Sequence[Dependency],
    provenance: Provenance,
) -> None:
    difference.consequences = consequences(changed, dependencies, difference.table, provenance)
    decided = reach(dependencies, difference.table).get(tables.ORDERS.key)
    if decided is not None:
        orders = orders_decided_before(changed, decided[1], lake.read(tables.ORDERS))
        difference.orders = orders.sort_values("is_of_changed_symbol", ascending=False, kind="stable")


def _consequence(consequence: Consequence) -> str:
    symbols = "every symbol" if consequence.symbols is None else _some(consequence.symbols)
    again = (
        f"; {consequence.recomputed_sessions:,} sessions were computed again since"
        if consequence.recomputed_sessions
        else ""
    )
    if not consequence.sessions:
        return f"{consequence.table.key} is up to date{again}"
    old = f"{len(consequence.sessions):,} sessions, {consequence.sessions[0]}..{consequence.sessions[-1]}"
    return f"{consequence.table.key} is outdated in {old}, {symbols}{again}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_SYMBOLS
    return ", ".join(names[:_SHOWN_SYMBOLS]) + (f" and {more} more" if more > 0 else "")


def _key(row: RowChange) -> str:
    return " ".join(str(value) for value in row.key.values())


def _values(row: RowChange) -> str:
    return ", ".join(f"{name} {was} → {now}" for name, (was, now) in row.differing.items())


def _order(order: dict[Any, Any]) -> str:
    return (
        f"{order['client_order_id']}  {order['session'].date()}  {order['symbol']}  {order['quantity_shares']:+,.0f}  "
        f"account {order['account']}, decided at snapshot {order['input_snapshot_id']}, {order['gate_outcome']}"
    )


def _entry(difference: TableDifference) -> dict[str, Any]:
    return {
        "table": difference.table.key,
        "rows": dict(difference.counts),
        "first_rows": [
            {"kind": r.kind, "key": r.key, "values": r.differing, "snapshot_id": r.snapshot_id}
            for r in difference.first_rows
        ],
        "consequences": [
            {
                "table": c.table.key,
                "outdated_sessions": [str(session) for session in c.sessions],
                "recomputed_sessions": c.recomputed_sessions,
                "symbols": c.symbols,
            }
            for c in difference.consequences
        ],
        "client_order_ids": difference.orders["client_order_id"].tolist(),
    }
