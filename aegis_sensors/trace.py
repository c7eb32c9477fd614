"""``aegis trace``: from one order back to the rows and snapshots of the prices behind it.

Belongs here: following the chain and printing it. Everything is read at the snapshot that the decision was made from,
so a later correction does not change the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd
from rich.console import Console
from rich.tree import Tree

from aegis.calendars import trading_calendar
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.execution.order_projections import committed_decisions
from aegis.features.daily import LOOKBACK_SESSIONS
from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.lake.provenance import Provenance
from aegis.lake.schema import TableSchema
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_sensors.definitions import lake_resource
from aegis_sensors.make_commands import make_command

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
    """
    workspace, desk = Workspace.of(config), Desk.of(config)
    if not workspace.lake.exists():
        raise ConfigurationError(f"workspace {workspace.name} has no history yet; `{make_command('run')}` makes one")
    with lake_resource(workspace).open() as store:
        row = find_order(store.read(tables.ORDERS, account=desk.account), order)
        session, symbol = row["session"].date(), str(row["symbol"])
        tree = Tree(f"[bold]order {row['client_order_id']}[/bold]  {_order_line(row)}")
        _add_journal(tree, desk, str(row["client_order_id"]))
        for link in links(store, desk.account, session, symbol, snapshot_id=int(row["input_snapshot_id"])):
            _add_link(tree, link)
        _add_history(tree, store, config, session, symbol, int(row["input_snapshot_id"]))
        _add_gate(tree, desk, session, str(row["decision_id"]))
    console.print(tree)


def find_order(orders: pd.DataFrame, text: str) -> pd.Series:
    """Return the one row of ``execution/orders`` whose id begins with `text`.

    Raises
    ------
    ConfigurationError
        None does, or several do.
    """
    found = orders[orders["client_order_id"].str.startswith(text.lower())]
    if len(found) == 1:
        return found.iloc[0]
    if found.empty:
        example = orders["client_order_id"].iloc[-1] if len(orders) else "none: nothing was ordered yet"
        raise ConfigurationError(f"no order id begins with {text!r}; the newest order is {example}")
    raise ConfigurationError(f"{len(found)} order ids begin with {text!r}; give more of its digits")


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


def _order_line(row: pd.Series) -> str:
    side = "buy" if row["quantity_shares"] > 0 else "sell"
    return (
        f"{side} {abs(row['quantity_shares']):,.0f} {row['symbol']} after the close of {row['session']:%Y-%m-%d}, "
        f"{row['algorithm']} for {row['execution_session']:%Y-%m-%d}; {row['reason']}"
    )


def _add_journal(tree: Tree, desk: Desk, order: str) -> None:
    with desk.journal() as journal:
        branch = tree.add(f"journal of {desk.account}")
        for event in journal.events(client_order_ids=[order]):
            branch.add(f"{event.sequence}: {event.kind} at {event.at_utc}  hash {event.hash[:12]}")


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
    hashes = tables.DAILY_BARS.content_hashes(own)
    tree.add(
        f"prices read: {len(own)} bars of {symbol} from {own['session'].min():%Y-%m-%d} to {session} of source "
        f"{', '.join(sorted(set(own['source'])))} at snapshot {snapshot_id}; last row's hash {hashes[session][:12]}"
    )


def _add_gate(tree: Tree, desk: Desk, session: date, decision_id: str) -> None:
    """Add the gate's verdicts as they were committed with the decision, and the code that made it."""
    with desk.journal() as journal:
        decision = committed_decisions(journal, first=session, last=session)[decision_id]
    passed = sum(row["outcome"] == "pass" for row in decision.gate_rows)
    branch = tree.add(f"{tables.PRE_TRADE_GATE.key}  {passed} of {len(decision.gate_rows)} rules passed")
    for row in decision.gate_rows:
        if row["outcome"] != "pass":
            branch.add(f"{row['rule']}: {row['outcome']}  {row['detail']}")
    tree.add(f"code version {decision.code_version}, configuration {decision.config_hash[:12]}")


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
