"""``aegis data confirm``: a person says that a doubted close is true.

Belongs here: whose workspace, and printing what follows. Confirming is :mod:`aegis.market_data.confirmations`.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import date

from rich.console import Console

from aegis import __version__
from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.market_data.confirmations import Claim, confirm_close
from aegis.workspace import Workspace
from aegis_resources.market_data import Market
from aegis_sensors.definitions import lake_resource
from aegis_sensors.make_commands import make_command
from aegis_sensors.version_commands import say
from aegis_sensors.workspace_identity import require_identity


@dataclass(frozen=True)
class ConfirmRequest:
    """What is typed.

    Parameters
    ----------
    symbol : str
    session : date
    close_usd : float
    open_usd : float or None
    reason : str
    actor : str
        Empty for the user of this machine.
    """

    symbol: str
    session: date
    close_usd: float
    open_usd: float | None
    reason: str
    actor: str


def confirm_command(
    config: AegisConfig, request: ConfirmRequest, *, console: Console, clock: Clock | None = None
) -> None:
    """Store the confirmation and say what it settles and what to run.

    Raises
    ------
    ConfigurationError
        The workspace has no history or is another market's.
    AegisError
        The bar is not as the request says, or nothing doubts it. Nothing has been changed.
    """
    workspace = Workspace.of(config)
    workspace.require_history()
    require_identity(config, workspace)
    time = clock or SystemClock()
    market = Market(config, time)
    session = market.calendar.require_session(request.session)
    claim = Claim(
        symbol=request.symbol,
        session=session,
        close_usd=request.close_usd,
        open_usd=request.open_usd,
        reason=request.reason,
        person=request.actor or getpass.getuser(),
    )
    with lake_resource(workspace).open() as lake:
        made = confirm_close(
            lake,
            claim,
            at_utc=time.now_utc(),
            calendar=market.calendar,
            settings=config.quality,
            code_version=__version__,
        )
    what = f"{claim.symbol} {session}: close {claim.close_usd:.10g}"
    if made.snapshot is None:
        say(console, f"{what} was confirmed before; nothing was written")
    else:
        say(console, f"{what} is confirmed: snapshot {made.snapshot}, {claim.reason.strip()}")
    for check, day in made.settles.items():
        say(console, f"  settles  {check} of {day}")
    for day, checks in made.still_blocked.items():
        say(console, f"  {day} stays blocked by {', '.join(checks)}: `aegis data quality --session {day}`")
    say(console, f"the verdict changes when the session is judged again: `{make_command(f'run FROM={session}')}`")
