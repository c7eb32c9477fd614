"""``aegis kill``, ``aegis release`` and ``aegis audit verify``: what a person does to, or asks of, one account.

Belongs here: seeing that the account meant is the account reached, and saying which one it was. The switch is
:mod:`aegis.live_trading.kill_switch`, the chain :mod:`aegis.execution.journal`.
"""

from __future__ import annotations

import getpass
from collections.abc import Set
from pathlib import Path

from rich.console import Console

from aegis.clock import SystemClock
from aegis.config import AegisConfig
from aegis.errors import JournalError
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_sensors.make_commands import make_command
from aegis_sensors.workspace_identity import require_account


def kill_command(config: AegisConfig, *, reason: str, console: Console) -> None:
    """Engage the account's kill switch.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's: the account that is meant would trade on.
    """
    desk = _existing_desk(config)
    desk.kill_switch.engage(reason=reason, actor=getpass.getuser(), at_utc=SystemClock().now_utc())
    release = make_command('release REASON="..."')
    _say(console, desk, f"stopped. No new order leaves until `{release}`.")


def release_command(config: AegisConfig, *, reason: str, console: Console) -> None:
    """Release the account's kill switch.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's.
    """
    desk, person = _existing_desk(config), getpass.getuser()
    desk.kill_switch.release(reason=reason, actor=person, at_utc=SystemClock().now_utc())
    _say(console, desk, f"released by {person}.")


def audit_command(config: AegisConfig, *, console: Console) -> None:
    """Verify the account's journal: every event follows from the one before, and every order of the lake is in it.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's.
    JournalError
        The journal is not there, does not verify, or lacks orders that the lake has.

    Notes
    -----
    A chain that lost its newest events is still a chain, and so is a new, empty journal in the place of a lost one.
    The lake's orders tell.
    """
    desk = _existing_desk(config)
    file, ordered = desk.workspace.journal(desk.account), _orders_of_lake(desk)
    _refuse_missing(desk, file, ordered)
    with desk.journal() as journal:
        events = journal.verify()
        recorded = {event.client_order_id for event in journal.events()}
    lost = sorted(ordered - recorded)
    if lost:
        raise JournalError(
            f"journal of {desk.account} at {file}: the {events:,} events follow from each other, but {len(lost):,} of "
            f"{len(ordered):,} orders in {tables.ORDERS.key} are not among them, first {lost[0]}; the end of the "
            "journal, or all of it, was lost: restore it from a backup"
        )
    _say(
        console,
        desk,
        f"journal of {events:,} events verified: every one follows from the one before, and all {len(ordered):,} "
        f"orders of the lake are in it.",
    )


def _existing_desk(config: AegisConfig) -> Desk:
    workspace = Workspace.of(config)
    require_account(config, workspace)
    return Desk(config, workspace)


def _refuse_missing(desk: Desk, file: Path, ordered: Set[str]) -> None:
    if file.exists() and file.stat().st_size:
        return
    remedy = (
        f"it must explain {len(ordered):,} orders of {tables.ORDERS.key}: restore it from a backup"
        if ordered
        else f"`{make_command('run')}` makes it with the first session"
    )
    state = "is empty" if file.exists() else "does not exist"
    raise JournalError(f"journal of {desk.account}: {file} {state}, so there is nothing to verify; {remedy}")


def _orders_of_lake(desk: Desk) -> Set[str]:
    if not desk.workspace.lake.catalog.exists():
        return frozenset()
    with connect(desk.workspace.lake) as connection:
        store = Lake(connection)
        if store.last_session(tables.ORDERS) is None:
            return frozenset()
        return frozenset(store.read(tables.ORDERS, account=desk.account)["client_order_id"])


def _say(console: Console, desk: Desk, what: str) -> None:
    console.print(
        f"Account {desk.account} of workspace {desk.workspace.name} ({desk.workspace.folder}): {what}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
