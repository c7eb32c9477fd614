"""Which accounts are traded and which are simulated, and what must fit together for one that is traded.

Belongs here: the rule. The settings it reads are in :mod:`aegis.config`.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Protocol

from aegis.errors import ConfigurationError

SIMULATED_ACCOUNT: Final = "simulated"
"""The account whose orders the book itself executes in the session's daily bar; any other one is traded."""


class AccountSettings(Protocol):
    """What is looked at of the section ``run``."""

    @property
    def account(self) -> str:
        """Name of the account."""
        ...

    @property
    def account_since(self) -> date | None:
        """Session after whose close it decides first."""
        ...

    @property
    def source(self) -> str:
        """Where prices come from."""
        ...


def require_account_of(run: AccountSettings, *, broker: str) -> None:
    """Refuse an account that cannot be simulated or traded as it is asked for; asked by whoever books or trades.

    Parameters
    ----------
    run : AccountSettings
        The section ``run``.
    broker : str
        ``eval.live_trading.broker``; of a simulated account it is not looked at.

    Raises
    ------
    ConfigurationError
        What does not fit, and the remedy. An account can be stopped whatever is wrong with it
        (:mod:`aegis.config_stopping`), so that is no reason to refuse the file.
    """
    problem = _why_not_an_account(run.account, since=run.account_since, source=run.source, broker=broker)
    if problem:
        raise ConfigurationError(problem)


def _why_not_an_account(name: str, *, since: date | None, source: str, broker: str) -> str | None:
    if name == SIMULATED_ACCOUNT:
        if since is None:
            return None
        return (
            f"run.account_since {since} is for an account that is traded, and the simulated one begins with "
            "run.first_session; leave it out, or name the traded account in run.account"
        )
    if since is None:
        return (
            f"run.account {name!r} is traded and not simulated, so its book needs a beginning: set run.account_since "
            "to the session after whose close it decides first"
        )
    if source == SIMULATED_ACCOUNT and broker != "simulated":
        return (
            f"run.account {name!r} would trade symbols of the invented market (run.source: simulated) at "
            f"{broker!r}; set eval.live_trading.broker to simulated, or run.source to a real market"
        )
    return None
