"""``aegis live confirm``, ``status`` and ``revoke``: a person's word that an account may trade real money.

Belongs here: showing what is confirmed, asking for it at a terminal, and telling how it stands. What it is bound to and
when it ends is :mod:`aegis.live_trading.kept_confirmation`.
"""

from __future__ import annotations

import getpass
import sys

from rich.console import Console

from aegis.clock import SystemClock
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.live_trading.kept_confirmation import (
    DEFAULT_HOURS,
    LONGEST_HOURS,
    KeptConfirmation,
    kept_confirmation,
    revoke_at,
)
from aegis.live_trading.live_terms import require_variable
from aegis.workspace import Workspace
from aegis_sensors.workspace_identity import require_account


def confirm_command(config: AegisConfig, *, hours: float | None, console: Console) -> None:
    """Show what would trade real money, and keep the word of the person at the terminal that it may.

    Raises
    ------
    ConfigurationError
        Nobody sits at a terminal, something else than the phrase was typed, the configuration may not trade real money,
        or `hours` is out of bounds. Nothing was confirmed.
    """
    kept = _kept(config)
    hours = DEFAULT_HOURS if hours is None else hours
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError(
            "`aegis live confirm` asks a person at a terminal, and its input or output is none; run it in a terminal "
            "yourself: what a script types is nobody's word"
        )
    if not 0 < hours <= LONGEST_HOURS:
        raise ConfigurationError(f"--hours must be above 0 and at most {LONGEST_HOURS:g}, found {hours:g}")
    terms = kept.terms
    _say(console, f"Account {terms.account} of workspace {terms.folder} would trade REAL MONEY:")
    for target in terms.targets:
        _say(console, f"  broker {target.broker}: account {target.account_code}, at {', '.join(target.endpoints)}")
    for name, value in terms.limits:
        _say(console, f"  limit {name}: {value:g}")
    _say(console, f"  settings: SHA-256 {terms.config_hash}")
    _say(console, f"  for {hours:g} hours from now; any change of this, or a restart of the machine, ends it earlier.")
    _say(console, f"To confirm it, type: {terms.phrase}")
    try:
        typed = input("> ")
    except EOFError as error:
        raise ConfigurationError("nothing was typed; nothing was confirmed") from error
    found = kept.confirm(typed.strip(), actor=getpass.getuser(), hours=hours, now_utc=SystemClock().now_utc())
    _say(console, f"Confirmed by {found.actor} until {found.expires_at_utc:%Y-%m-%d %H:%M:%S} UTC: {kept.path}")


def status_command(config: AegisConfig, *, console: Console) -> None:
    """Print whether the account may trade real money now, and what is missing."""
    account = config.run.account
    missing = []
    try:
        kept = _kept(config)
    except ConfigurationError as error:
        _say(console, f"Account {account} does not trade real money: {error}")
        return
    try:
        require_variable(account)
    except ConfigurationError as error:
        missing.append(str(error))
    try:
        found = kept.standing(SystemClock().now_utc())
        _say(console, f"Confirmed by {found.actor} until {found.expires_at_utc:%Y-%m-%d %H:%M:%S} UTC.")
    except ConfigurationError as error:
        missing.append(str(error))
    where = ", ".join(target.told for target in kept.terms.targets)
    if missing:
        _say(console, f"Account {account} is set up to trade real money of {where}, and may not now:")
        for why in missing:
            _say(console, f"- {why}")
    else:
        _say(console, f"Account {account} MAY TRADE REAL MONEY now: {where}.")


def revoke_command(config: AegisConfig, *, reason: str, console: Console) -> None:
    """End the account's confirmation, whatever the other settings are now.

    Raises
    ------
    ConfigurationError
        The workspace does not exist or is another account's, the reason is empty, or the files cannot be changed.
    """
    workspace = Workspace.of(config)
    require_account(config, workspace)
    if not reason.strip():
        raise ConfigurationError("a revocation needs a reason")
    path = workspace.live_confirmation(config.run.account)
    revoke_at(path, actor=getpass.getuser(), reason=reason, now_utc=SystemClock().now_utc())
    _say(
        console,
        f"Account {config.run.account} of workspace {workspace.name}: no confirmation stands. A trader that is running "
        "sends nothing from now on but orders that reduce a position; `aegis kill` stops these as well.",
    )


def _kept(config: AegisConfig) -> KeptConfirmation:
    workspace = Workspace.of(config)
    require_account(config, workspace)
    return kept_confirmation(config, workspace)


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
