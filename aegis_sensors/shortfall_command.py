"""``aegis shortfall``: what the orders of an account cost against the decision to trade, part by part.

Belongs here: reading and telling. The rows are made by the asset ``execution/implementation_shortfall``.
"""

from __future__ import annotations

from datetime import date

import pandas as pd
from rich.console import Console
from rich.table import Table

from aegis.config import AegisConfig
from aegis.errors import ExecutionError
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.reporting.implementation_shortfall import shortfall_figures
from aegis_sensors.desk_commands import existing_desk

_SHOWN_ORDERS = 20
_COLUMNS = ("session", "order", "symbol", "ordered", "filled", "delay", "impact", "fees", "opportunity", "sum", "bps")


def shortfall_command(config: AegisConfig, *, first: date | None, last: date | None, console: Console) -> None:
    """Print the shortfall of the orders that ended in some sessions, and the dearest of them.

    Parameters
    ----------
    config : AegisConfig
        ``run.account`` is the account.
    first, last : date or None
        Sessions; without both, the newest in which an order ended.
    console : Console

    Raises
    ------
    ConfigurationError
        The workspace does not exist, is another account's, or was never run.
    ExecutionError
        The range ends before it begins, no order ended in these sessions, or the account is simulated: its orders have
        no release.
    """
    if first is not None and last is not None and last < first:
        raise ExecutionError(f"--from {first} --to {last}: the range ends before it begins; swap the two")
    desk = existing_desk(config)
    desk.workspace.require_history()
    if not config.is_traded:
        raise ExecutionError(
            f"account {desk.account}: a simulated account fills by a convention, whose costs are in the report; the "
            "implementation shortfall is of an account that is traded: set run.account"
        )
    with connect(desk.workspace.lake) as connection:
        store = Lake(connection)
        is_measured = store.last_session(tables.IMPLEMENTATION_SHORTFALL) is not None
        rows = (
            store.read(tables.IMPLEMENTATION_SHORTFALL, account=desk.account, first=first, last=last)
            if is_measured
            else tables.IMPLEMENTATION_SHORTFALL.empty()
        )
    if first is None and last is None:
        rows = rows[rows["session"] == rows["session"].max()]
    figures = shortfall_figures(rows)
    if figures is None:
        raise ExecutionError(
            f"account {desk.account}: no order ended in {_range(first, last)}, as far as the lake knows; name other "
            "sessions with --from and --to; the job report_performance, or `aegis run`, brings the lake up to date"
        )
    sessions = f"{rows['session'].min():%Y-%m-%d} to {rows['session'].max():%Y-%m-%d}"
    console.print(
        f"Account {desk.account}, {sessions}: {figures.order_count:,} orders cost {figures.shortfall_usd:,.2f} USD, "
        f"{figures.shortfall_bps:.2f} bps of what was decided: delay {figures.delay_usd:,.2f}, impact "
        f"{figures.impact_usd:,.2f}, fees {figures.fees_usd:,.2f}, opportunity {figures.opportunity_usd:,.2f}.",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    console.print(_table(rows))


def _range(first: date | None, last: date | None) -> str:
    if first is None and last is None:
        return "any session"
    if first is None or last is None:
        return f"the sessions from {first} on" if last is None else f"the sessions up to {last}"
    return f"session {first}" if first == last else f"sessions {first} to {last}"


def _table(rows: pd.DataFrame) -> Table:
    table = Table(title="The dearest, USD")
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in ("session", "order", "symbol") else "right")
    for row in rows.nlargest(_SHOWN_ORDERS, "shortfall_usd").to_dict("records"):
        money = (
            row["delay_usd"],
            row["market_usd"] + row["spread_usd"],
            row["fees_usd"],
            row["opportunity_usd"],
            row["shortfall_usd"],
        )
        table.add_row(
            f"{row['session']:%Y-%m-%d}",
            row["client_order_id"][:8],
            row["symbol"],
            f"{row['ordered_shares']:,.9g}",
            f"{row['filled_shares']:,.9g}",
            *(f"{amount:,.2f}" for amount in money),
            f"{row['shortfall_bps']:.1f}",
        )
    return table
