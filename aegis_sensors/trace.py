"""``aegis trace``: from one order back to the rows and snapshots of the prices behind it.

Belongs here: the tables behind a decision, and printing the chain. What the journal says of the order is
:mod:`aegis_sensors.traced_orders`. Everything is read at the snapshot that the decision was made from, so a later
correction does not change the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from aegis.calendars import trading_calendar
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.execution.decisions import CommittedDecision
from aegis.features.daily import LOOKBACK_SESSIONS
from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.lake.provenance import Provenance
from aegis.lake.schema import TableSchema
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_sensors.definitions import lake_resource
from aegis_sensors.make_commands import make_command
from aegis_sensors.traced_orders import add_order, order_line, traced_order

_RESEARCH = (
    tables.TARGET_WEIGHTS,
    tables.ENSEMBLE_SIGNALS,
    tables.STRATEGY_SIGNALS,
    tables.DAILY_FEATURES,
    tables.UNIVERSE,
    tables.DAILY_BARS,
    tables.RAW_BARS,
)

_LINE_CHARACTERS = 88
"""With the tree's branches before them, lines fit into 100 columns."""


@dataclass(frozen=True)
class Link:
    """One table on the way from an order to its prices.

    Parameters
    ----------
    table : TableSchema
        The table.
    rows : DataFrame
        Its rows for the order's symbol and session.
    snapshot_id : int
        Snapshot that wrote them.
    run_id : str
        Dagster run that wrote them.
    """

    table: TableSchema
    rows: pd.DataFrame
    snapshot_id: int
    run_id: str


def trace_command(config: AegisConfig, order: str, *, console: Console) -> None:
    """Print the chain behind an order.

    Raises
    ------
    ConfigurationError
        The workspace has no history, or no order's id begins like that, or several do.
    JournalError
        The account's journal is not there.
    """
    workspace, desk = Workspace.of(config), Desk.of(config)
    if not workspace.lake.exists():
        raise ConfigurationError(f"workspace {workspace.name} has no history yet; `{make_command('run')}` makes one")
    with lake_resource(workspace).open() as store:
        with desk.recorded_journal() as journal:
            traced = traced_order(journal, order)
        found, snapshot_id = traced.order, traced.decision.input_snapshot_id
        tree = Tree(f"[bold]order {found.client_order_id}[/bold]  {escape(order_line(found))}")
        add_order(tree, desk.account, traced)
        if snapshot_id > 0:
            for link in links(store, desk.account, found.session, found.symbol, snapshot_id=snapshot_id):
                _add_link(tree, link)
            _add_history(tree, store, config, found.session, found.symbol, snapshot_id)
        _add_decision(tree, found.decision_id, traced.decision)
    console.print(tree)


def links(store: Lake, account: str, session: date, symbol: str, *, snapshot_id: int) -> Iterator[Link]:
    """Yield the tables behind a decision, newest first, with their rows for one symbol and session.

    Parameters
    ----------
    store : Lake
    account : str
        Account of the decision.
    session : date
        Decision session.
    symbol : str
        Permanent symbol.
    snapshot_id : int
        Snapshot that the decision's inputs were read at. Target weights were first written after it, with the orders;
        what was computed again since stands in later snapshots and is not shown.
    """
    provenance = Provenance(store.snapshots())
    for table in _RESEARCH:
        writes = provenance.writes(table, session)
        if table is tables.TARGET_WEIGHTS:
            writer = next((write for write in writes if write.snapshot_id > snapshot_id), None)
            read_at, own = writer.snapshot_id if writer else None, {"account": account}
        else:
            writer = next((write for write in reversed(writes) if write.snapshot_id <= snapshot_id), None)
            read_at, own = snapshot_id, {}
        rows = store.read(table, first=session, last=session, snapshot_id=read_at, **own)
        number, run = (writer.snapshot_id, writer.run_id) if writer else (-1, "unknown")
        yield Link(table, rows[rows["symbol"] == symbol], number, run)


def _add_link(tree: Tree, link: Link) -> None:
    branch = tree.add(f"{link.table.key}  [dim]snapshot {link.snapshot_id}, run {link.run_id[:8]}[/dim]")
    hidden = {"session", "symbol", "account", "known_at_utc"}
    for row in link.rows.to_dict("records"):
        branch.add(in_lines([f"{name}={_short(value)}" for name, value in row.items() if name not in hidden]))


def in_lines(pairs: Sequence[str]) -> str:
    """Return texts two blanks apart, in lines of at most 88 characters where none is longer than that."""
    lines: list[str] = []
    for pair in pairs:
        if lines and len(lines[-1]) + 2 + len(pair) <= _LINE_CHARACTERS:
            lines[-1] += f"  {pair}"
        else:
            lines.append(pair)
    return "\n".join(lines)


def _add_history(tree: Tree, store: Lake, config: AegisConfig, session: date, symbol: str, snapshot_id: int) -> None:
    first = trading_calendar(config.market_data.calendar).offset(session, -LOOKBACK_SESSIONS)
    bars = store.read(tables.DAILY_BARS, first=first, last=session, snapshot_id=snapshot_id)
    own = bars[bars["symbol"] == symbol]
    if own.empty:
        tree.add(f"prices read: none of {symbol} from {first} to {session} at snapshot {snapshot_id}")
        return
    hashes = tables.DAILY_BARS.content_hashes(own)
    tree.add(
        f"prices read: {len(own)} bars of {symbol} from {own['session'].min():%Y-%m-%d} to {session} of source "
        f"{', '.join(sorted(set(own['source'])))} at snapshot {snapshot_id}; last row's hash {hashes[session][:12]}"
    )


def _add_decision(tree: Tree, name: str, decision: CommittedDecision) -> None:
    """Add the gate's verdicts as they were committed with the decision, and what made it."""
    if decision.gate_rows:
        passed = sum(row["outcome"] == "pass" for row in decision.gate_rows)
        branch = tree.add(f"{tables.PRE_TRADE_GATE.key}  {passed} of {len(decision.gate_rows)} rules passed")
        for row in decision.gate_rows:
            if row["outcome"] != "pass":
                branch.add(f"{row['rule']}: {row['outcome']}  {row['detail']}")
    made = tree.add(escape(f"decision {name}"))
    of = decision.input_snapshot_id
    made.add(f"made from the lake at snapshot {of}" if of > 0 else "asked for at the desk, not computed from tables")
    made.add(f"code version {decision.code_version}, configuration {decision.config_hash[:12]}")


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
