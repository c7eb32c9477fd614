"""``aegis kill``: a person stops one account, whatever is wrong with its settings.

Belongs here: finding the account with as little as leads to its switch, stopping it before anything else is asked, and
saying afterwards what else is wrong and what stays at the broker. The stop is :mod:`aegis.live_trading.stopping`.
"""

from __future__ import annotations

import getpass
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from aegis.clock import SystemClock
from aegis.config import AegisConfig, load_config
from aegis.config_stopping import config_to_stop, doubtful_names, likely_home
from aegis.errors import AegisError, ConfigurationError
from aegis.execution.order_projections import sent_without_end
from aegis.live_trading.flattening import FlattenProgress, flatten_progress
from aegis.live_trading.lease import holder
from aegis.live_trading.stopping import stop_account
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_sensors.desk_commands import say_of
from aegis_sensors.make_commands import make_command
from aegis_sensors.workspace_identity import account_in, require_account

_LOOK_SECONDS = 0.2
_AT_THE_BROKER = "start `aegis trade`, which cancels what is open, or cancel it on the broker's pages"

_NO_BROKER = (
    "NOT flat: --flatten is for an account at a broker, and this one is executed in daily bars by the runs: no process "
    "trades it, so nothing closes what it holds."
)


def kill_command(
    *,
    reason: str,
    console: Console,
    flatten: bool = False,
    wait_seconds: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Engage the kill switch of the configured account, and return whether all that was asked for is done.

    Parameters
    ----------
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
        Which account is meant cannot be found out, or its workspace does not exist or is another account's: the account
        that is meant was NOT stopped, and the message says how to do it by hand.
    ExecutionError
        The switch could not be engaged, or its history not be written; the message says which.
    """
    desk, notes = _desk_to_stop()
    switch = desk.kill_switch
    standing = switch.status().told
    stopped = stop_account(switch, reason=reason, actor=_person(), at_utc=SystemClock().now_utc(), flatten=flatten)
    release = make_command('release REASON="..."')
    say_of(console, desk, f"stopped. No new order leaves until `{release}`.")
    if standing:
        notes.insert(0, f"the switch stood already: {standing}")
    if stopped.told:
        notes.append(stopped.told)
    whole, problem, doubts = _all_settings()
    if problem:
        notes.append(f"its settings are wrong besides, and everything but a stop is refused: {problem}")
    if doubts:
        notes.append(
            f"{', '.join(doubts)} is no setting and was not read. If it was to choose another account, that one is NOT "
            "stopped: correct it and ask again."
        )
    notes.append(_at_the_broker(desk if whole is None else Desk.of(whole)))
    for note in filter(None, notes):
        say_of(console, desk, note)
    if not flatten:
        return not doubts
    if not desk.config.is_traded:
        say_of(console, desk, _NO_BROKER)
        return False
    found = _wait_until_flat(desk, wait_seconds, sleep)
    is_flat = found is not None and found.state == "flat"
    say_of(console, desk, _flatten_words(found))
    return is_flat and not doubts


def _desk_to_stop() -> tuple[Desk, list[str]]:
    """Return the desk whose switch is meant, and what is to be said of how it was found."""
    home = None
    try:
        config = config_to_stop()
        workspace = Workspace.of(config)
        home = workspace.folder.parent
        workspace.require_folder()
        try:
            held = account_in(workspace.folder)
        except ConfigurationError as error:
            return Desk(config, workspace), [f"whose workspace it is cannot be seen: {error}"]
        if held is not None:
            require_account(config, workspace)
    except (AegisError, OSError) as error:
        raise ConfigurationError(f"NOT stopped: {error}. {_by_hand(home or likely_home())}") from error
    return Desk(config, workspace), []


def _by_hand(home: Path) -> str:
    """Say how the accounts below `home` are stopped without any of our settings."""
    folders = sorted(found for found in home.iterdir() if found.is_dir()) if home.is_dir() else []
    commands = [_command(Workspace(folder.name, folder, folder).kill_switch(_account_in(folder))) for folder in folders]
    commands = commands or [_command(Workspace("", home / "<workspace>", home).kill_switch("<account>"))]
    return (
        "To stop an account by hand, write its switch: "
        + "; or ".join(f"`{command}`" for command in commands)
        + ". Where no process trades it, cancel its open orders on the broker's pages"
    )


def _command(switch: Path) -> str:
    return f"mkdir -p {shlex.quote(str(switch.parent))} && echo stop > {shlex.quote(str(switch))}"


def _account_in(folder: Path) -> str:
    try:
        return str(account_in(folder) or "<account>")
    except (ConfigurationError, OSError):
        return "<account>"


def _person() -> str:
    """Return who asks; the number of a user that has no name, which must not keep anybody from stopping."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _all_settings() -> tuple[AegisConfig | None, str, tuple[str, ...]]:
    """Return the settings; or None, what is wrong with them, and unknown names that may have chosen the account."""
    try:
        return load_config(), "", ()
    except Exception as error:  # noqa: BLE001 - the account is stopped; whatever this is, it is told and not raised
        return None, str(error) or type(error).__name__, doubtful_names()


def _at_the_broker(desk: Desk) -> str:
    """Say who cancels what is open; nothing of an account that has no broker."""
    if not desk.config.is_traded:
        return ""
    held = holder(desk.workspace.lease(desk.account))
    if held:
        return f"{held} trades it and cancels what is open; `aegis monitor` shows whether it does."
    return f"no process trades this account: {_left_open(desk)}"


def _left_open(desk: Desk) -> str:
    try:
        with desk.recorded_journal() as journal:
            count = len(sent_without_end(journal))
    except Exception as error:  # noqa: BLE001 - the account is stopped; whatever this is, it is told and not raised
        return (
            f"what is open at the broker stays there, and its journal does not tell what that is "
            f"({str(error) or type(error).__name__}); {_AT_THE_BROKER}."
        )
    if not count:
        return "by its journal no order is at the broker."
    return f"{count:,} {'order stays' if count == 1 else 'orders stay'} at the broker; {_AT_THE_BROKER}."


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
    told = f"{found.told} " if found.told else ""
    return (
        f"NOT flat yet, {found.state}: {left or 'orders are open'}. {told}The request stands until the switch is "
        "released; the same command waits for it again."
    )
