"""Stopping an account: the switch is engaged at once, and whoever stopped it learns that the last order has left.

Belongs here: the stop as a person, a program or a sensor makes it, with nothing but the files of its switch. That open
orders are cancelled, and positions closed where that is asked for, is done by the process that trades, see
:mod:`aegis.live_trading.execution_system`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.sending_lock import SendingLock

DEFAULT_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a stop went.

    Parameters
    ----------
    is_quiet : bool
        Whether every order that was on its way has been answered: from now on nothing leaves. Otherwise one is still
        on its way, or it cannot be seen whether one is, and nothing can leave after it.
    told : str
        What is not known or not answered, for a person; empty where it is quiet.
    """

    is_quiet: bool
    told: str = ""


def stop_account(
    switch: KillSwitch,
    *,
    reason: str,
    actor: str,
    at_utc: datetime,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    flatten: bool = False,
) -> Stopped:
    """Engage an account's switch and wait for the orders that are on their way.

    Parameters
    ----------
    switch : KillSwitch
        The account's.
    reason, actor : str
        Why, and who.
    at_utc : datetime
        When.
    timeout_seconds : float
        How long to wait; the switch is engaged whatever happens.
    flatten : bool
        Whether the process that trades shall close every position once nothing is open; how far it is, is
        :func:`aegis.live_trading.flattening.flatten_progress`.

    Raises
    ------
    ExecutionError
        The switch could not be engaged, or its history not be written; the message says which.
    """
    switch.engage(reason, actor=actor, at_utc=at_utc, flatten=flatten)
    try:
        is_quiet = SendingLock.beside(switch.path).wait_until_nobody_sends(timeout_seconds)
    except OSError as error:
        return Stopped(
            is_quiet=False,
            told=f"it cannot be seen whether an order was on its way ({error}); nothing leaves after it.",
        )
    return Stopped(
        is_quiet, "" if is_quiet else "one order was on its way and is not answered yet; nothing leaves after it."
    )
