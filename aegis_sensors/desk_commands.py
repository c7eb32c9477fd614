"""``aegis release`` and ``aegis audit verify``: what a person does to, or asks of, one account.

Belongs here: seeing that the account meant is the account reached, and saying which one it was. The switch is
:mod:`aegis.live_trading.kill_switch`, the chain :mod:`aegis.execution.journal`; a stop, which asks for less than all
others do, is :mod:`aegis_sensors.kill_command`.
"""

from __future__ import annotations

import getpass
from collections.abc import Set
from dataclasses import dataclass

import pandas as pd
from rich.console import Console

from aegis.clock import SystemClock
from aegis.config import AegisConfig
from aegis.errors import JournalError, LakeUnreadable
from aegis.execution.journal import holds_journal, missing_journal
from aegis.execution.journal_chain import EMPTY, JournalHead
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.lake.provenance import Provenance
from aegis.lake.schema import TableSchema
from aegis.live_trading.journal_audit import FillKey, lost_events
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_sensors.make_commands import make_command
from aegis_sensors.workspace_identity import require_account


def release_command(config: AegisConfig, *, reason: str, console: Console) -> None:
    """Release the account's kill switch.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's.
    """
    desk, person = existing_desk(config), getpass.getuser()
    desk.kill_switch.release(reason=reason, actor=person, at_utc=SystemClock().now_utc())
    say_of(console, desk, f"released by {person}.")


def audit_command(config: AegisConfig, *, console: Console) -> None:
    """Verify the account's journal: every event follows from the one before, and all that the lake says is in it.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's.
    JournalError
        The journal is not there, does not verify, ends before the head that was published with the book or kept at its
        anchor, or lacks orders or fills that the lake has; or the anchor cannot be asked.
    LakeUnreadable
        The lake is gone: there is nothing to compare the journal with.

    Notes
    -----
    A chain that lost its newest events is still a chain, and so is a new, empty journal in the place of a lost one.
    The lake tells, by its orders and fills and by the heads in its commit messages.
    """
    desk = existing_desk(config)
    recorded = _recorded_in_lake(desk)
    _refuse_missing(desk, recorded)
    with desk.journal() as journal:
        events = journal.verify(recorded.journal_head)
        anchored = desk.require_anchored(journal)
        lost = lost_events(journal, orders=recorded.orders, fills=recorded.fills)
    if lost:
        raise JournalError(lost)
    say_of(
        console,
        desk,
        f"journal of {events:,} events verified: every one follows from the one before, and all "
        f"{len(recorded.orders):,} orders and {len(recorded.fills):,} fills of the lake are in it."
        + (f" The head that {anchored} keeps is in it." if anchored else ""),
    )


def existing_desk(config: AegisConfig) -> Desk:
    """Return the desk of a workspace that exists and holds the configured account.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's.
    """
    workspace = Workspace.of(config)
    require_account(config, workspace)
    return Desk(config, workspace)


def published_head(desk: Desk) -> JournalHead:
    """Return where the account's journal ended when its book was last written, as the lake says.

    Raises
    ------
    LakeUnreadable
        The lake's catalog is gone, though the account has a journal.
    """
    if not desk.workspace.lake.exists():
        _refuse_lost_lake(desk)
        return EMPTY
    with connect(desk.workspace.lake) as connection:
        head = Provenance(Lake(connection).snapshots()).journal_head(desk.account)
    return EMPTY if head is None else JournalHead(*head)


def _refuse_missing(desk: Desk, recorded: _Recorded) -> None:
    location = desk.workspace.journal(desk.account)
    if holds_journal(location, account=desk.account):
        return
    remedy = (
        f"it had {recorded.journal_head.sequence:,} events and must explain {len(recorded.orders):,} orders of "
        f"{tables.ORDERS.key}: restore it from a backup"
        if recorded.orders or recorded.journal_head != EMPTY
        else f"`{make_command('run')}` makes it with the first session"
    )
    raise JournalError(
        f"journal of {desk.account}: {missing_journal(location)}, so there is nothing to verify; {remedy}"
    )


@dataclass(frozen=True)
class _Recorded:
    """What a lake says that its account's journal must hold."""

    orders: Set[str]
    fills: Set[FillKey]
    journal_head: JournalHead


def _recorded_in_lake(desk: Desk) -> _Recorded:
    """Return what the lake says of the journal; nothing where no lake was ever made.

    Raises
    ------
    LakeUnreadable
        The lake's catalog is gone, though the account has a journal.
    """
    if not desk.workspace.lake.exists():
        _refuse_lost_lake(desk)
        return _Recorded(frozenset(), frozenset(), EMPTY)
    with connect(desk.workspace.lake) as connection:
        store = Lake(connection)
        head = Provenance(store.snapshots()).journal_head(desk.account)
        orders, fills = _rows(store, tables.ORDERS, desk.account), _rows(store, tables.FILLS, desk.account)
    keys = zip(fills["client_order_id"], fills["fill_number"], strict=True)
    ids = frozenset(orders["client_order_id"])
    return _Recorded(ids, frozenset(keys), EMPTY if head is None else JournalHead(*head))


def _rows(store: Lake, table: TableSchema, account: str) -> pd.DataFrame:
    """Return an account's rows; none in a lake whose tables were never made."""
    return table.empty() if store.last_session(table) is None else store.read(table, account=account)


def _refuse_lost_lake(desk: Desk) -> None:
    if holds_journal(desk.workspace.journal(desk.account), account=desk.account):
        raise LakeUnreadable(
            f"lake catalog {desk.workspace.lake.catalog_name} does not exist, and account {desk.account} has a "
            "journal; there is nothing to compare it with: restore the lake from a backup"
        )


def say_of(console: Console, desk: Desk, what: str) -> None:
    """Print what is said of an account, and of which one in which workspace."""
    console.print(
        f"Account {desk.account} of workspace {desk.workspace.name} ({desk.workspace.folder}): {what}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
