"""``aegis kill``, ``aegis release`` and ``aegis audit verify``: what a person does to, or asks of, one account.

Belongs here: seeing that the account meant is the account reached, and saying which one it was. The switch is
:mod:`aegis.live_trading.kill_switch`, the chain :mod:`aegis.execution.journal`.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Set
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
from aegis.live_trading.flattening import FlattenProgress, flatten_progress
from aegis.live_trading.journal_audit import FillKey, lost_events
from aegis.live_trading.stopping import stop_account
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_sensors.make_commands import make_command
from aegis_sensors.workspace_identity import require_account

_LOOK_SECONDS = 0.2


def kill_command(
    config: AegisConfig,
    *,
    reason: str,
    console: Console,
    flatten: bool = False,
    wait_seconds: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Engage the account's kill switch, and return whether all that was asked for is done.

    Parameters
    ----------
    config : AegisConfig
    reason : str
        Why.
    console : Console
    flatten : bool
        Whether the process that trades shall close every position as well.
    wait_seconds : float
        How long to wait for that.
    sleep : callable
        Waits between two looks.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's: the account that is meant would trade on.
    """
    desk = existing_desk(config)
    stopped = stop_account(
        desk.kill_switch, reason=reason, actor=getpass.getuser(), at_utc=SystemClock().now_utc(), flatten=flatten
    )
    release = make_command('release REASON="..."')
    _say(console, desk, f"stopped. No new order leaves until `{release}`.")
    if not stopped.is_quiet:
        _say(console, desk, "one order was on its way and is not answered yet; nothing leaves after it.")
    if not flatten:
        return True
    found = _wait_until_flat(desk, wait_seconds, sleep)
    is_flat = found is not None and found.state == "flat"
    _say(console, desk, _flatten_words(found))
    return is_flat


def _wait_until_flat(desk: Desk, wait_seconds: float, sleep: Callable[[float], None]) -> FlattenProgress | None:
    """Return how far the standing request is, once it is done or the time is over; None where nobody works on it."""
    request = desk.kill_switch.status().flatten
    for _ in range(max(1, int(wait_seconds / _LOOK_SECONDS))):
        found = flatten_progress(desk.kill_switch.path)
        if found is not None and found.request == request and found.state == "flat":
            return found
        sleep(_LOOK_SECONDS)
    found = flatten_progress(desk.kill_switch.path)
    return found if found is not None and found.request == request else None


def _flatten_words(found: FlattenProgress | None) -> str:
    if found is None:
        return (
            "NOT flat: no trading process has taken up the request yet. It stands, and one that starts works on it; "
            "or close the positions at the broker."
        )
    if found.state == "flat":
        return "flat: the broker says that nothing is held."
    left = ", ".join(f"{shares:g} {symbol}" for symbol, shares in found.left.items())
    return f"NOT flat yet, {found.state}: {left or 'orders are open'}. {found.told}".rstrip()


def release_command(config: AegisConfig, *, reason: str, console: Console) -> None:
    """Release the account's kill switch.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's.
    """
    desk, person = existing_desk(config), getpass.getuser()
    desk.kill_switch.release(reason=reason, actor=person, at_utc=SystemClock().now_utc())
    _say(console, desk, f"released by {person}.")


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
    _say(
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


def _say(console: Console, desk: Desk, what: str) -> None:
    console.print(
        f"Account {desk.account} of workspace {desk.workspace.name} ({desk.workspace.folder}): {what}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
