"""``aegis trace``: from one order back to the rows and snapshots of the prices behind it.

Belongs here: following the chain and printing it. Everything is read at the snapshot that the decision was made from,
so a later correction does not change the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pandas as pd
from rich.console import Console
from rich.tree import Tree

from aegis.calendars import trading_calendar
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.features.daily import LOOKBACK_SESSIONS
from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.lake.schema import TableSchema
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_sensors.definitions import lake_resource

_RESEARCH = (
    tables.TARGET_WEIGHTS,
    tables.ENSEMBLE_SIGNALS,
    tables.STRATEGY_SIGNALS,
    tables.DAILY_FEATURES,
    tables.UNIVERSE,
    tables.DAILY_BARS,
    tables.RAW_BARS,
)


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
    if not workspace.lake.catalog.exists():
        raise ConfigurationError(f"workspace {workspace.name} has no history yet; `aegis run` makes one")
    with lake_resource(workspace).open() as store:
        row = find_order(store.read(tables.ORDERS, account=desk.account), order)
        session, symbol = row["session"].date(), str(row["symbol"])
        tree = Tree(f"[bold]order {row['client_order_id']}[/bold]  {_order_line(row)}")
        _add_journal(tree, desk, str(row["client_order_id"]))
        for link in links(store, desk.account, session, symbol, snapshot_id=int(row["input_snapshot_id"])):
            _add_link(tree, link)
        _add_history(tree, store, config, session, symbol, int(row["input_snapshot_id"]))
        _add_gate(tree, store, desk.account, session)
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
        Snapshot that the decision's inputs were read at. Target weights are written after it, with the orders.
    """
    written = _writes(store)
    for table in _RESEARCH:
        of_book = table is tables.TARGET_WEIGHTS
        rows = store.read(
            table,
            first=session,
            last=session,
            account=account if of_book else None,
            snapshot_id=None if of_book else snapshot_id,
        )
        writer = _writer(written, table, session, None if of_book else snapshot_id)
        yield Link(table, rows[rows["symbol"] == symbol], *writer)


def _writes(store: Lake) -> list[tuple[int, dict[str, str]]]:
    snapshots = store.snapshots()
    return [
        (int(number), json.loads(extra))
        for number, extra in zip(snapshots["snapshot_id"], snapshots["commit_extra_info"], strict=True)
        if isinstance(extra, str)
    ]


def _writer(
    written: list[tuple[int, dict[str, str]]], table: TableSchema, session: date, until: int | None
) -> tuple[int, str]:
    for number, message in reversed(written):
        first, _, last = message.get("sessions", "").partition("..")
        covers = first <= session.isoformat() <= last
        if covers and table.key in message["asset"].split(", ") and (until is None or number <= until):
            return number, message["run_id"]
    return -1, "unknown"


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
        branch.add("  ".join(f"{name}={_short(value)}" for name, value in row.items() if name not in hidden))


def _add_history(tree: Tree, store: Lake, config: AegisConfig, session: date, symbol: str, snapshot_id: int) -> None:
    first = trading_calendar(config.market_data.calendar).offset(session, -LOOKBACK_SESSIONS)
    bars = store.read(tables.DAILY_BARS, first=first, last=session, snapshot_id=snapshot_id)
    own = bars[bars["symbol"] == symbol]
    hashes = tables.DAILY_BARS.content_hashes(own)
    tree.add(
        f"prices read: {len(own)} bars of {symbol} from {own['session'].min():%Y-%m-%d} to {session} of source "
        f"{', '.join(sorted(set(own['source'])))} at snapshot {snapshot_id}; last row's hash {hashes[session][:12]}"
    )


def _add_gate(tree: Tree, store: Lake, account: str, session: date) -> None:
    rows = store.read(tables.PRE_TRADE_GATE, first=session, last=session, account=account)
    branch = tree.add(f"{tables.PRE_TRADE_GATE.key}  {(rows['outcome'] == 'pass').sum()} of {len(rows)} rules passed")
    for row in rows[rows["outcome"] != "pass"].to_dict("records"):
        branch.add(f"{row['rule']}: {row['outcome']}  {row['detail']}")


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
