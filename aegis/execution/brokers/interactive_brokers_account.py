"""Which account at Interactive Brokers is traded, and that real money needs a person's word.

Belongs here: the choice among the accounts that the gateway manages, and paper or live. A paper account is one whose
code begins with D; a port is only a convention, so both are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aegis.config_brokers import InteractiveBrokersBrokerSettings
from aegis.errors import ConfigurationError
from aegis.execution.brokers.live_confirmation import LivePermission

_BLOCK = "brokers.interactive_brokers"
_LIVE_PORTS = frozenset({4001, 7496})


def live_endpoints(settings: InteractiveBrokersBrokerSettings) -> tuple[str, ...]:
    """Return the address, ``host:port``, if it may trade real money: by its port, or by the account that is named."""
    is_live = settings.port in _LIVE_PORTS or (settings.account is not None and not is_paper(settings.account))
    return (f"{settings.host.lower()}:{settings.port}",) if is_live else ()


def is_paper(account_code: str) -> bool:
    """Whether an account of Interactive Brokers is for paper trading: ``DU1234567``."""
    return account_code.upper().startswith("D")


def require_allowed_port(
    settings: InteractiveBrokersBrokerSettings,
    account: str,
    confirmation: LivePermission | None,
    now_utc: datetime,
) -> None:
    """Refuse the ports of live trading, and a live account by name, before anything is reached.

    Raises
    ------
    ConfigurationError
        Real money would be reached, and no confirmation covers the account now.
    """
    if settings.port in _LIVE_PORTS:
        _require(f"port {settings.port}", "4002 or 7497", account, confirmation, now_utc)
    if settings.account is not None:
        require_allowed_account(settings.account, account, confirmation, now_utc)


def chosen_account(settings: InteractiveBrokersBrokerSettings, managed: Sequence[str]) -> str:
    """Return the account that is traded, of those that the gateway manages.

    Raises
    ------
    ConfigurationError
        The configured one is not among them, or there are several and none is configured.
    """
    if settings.account is not None:
        if settings.account not in managed:
            raise ConfigurationError(
                f"{_BLOCK}.account: the gateway manages {', '.join(managed) or 'no account'}, found "
                f"{settings.account!r}; log the gateway on to that account, or correct the setting"
            )
        return settings.account
    if len(managed) != 1:
        raise ConfigurationError(
            f"{_BLOCK}.account: the gateway manages {len(managed)} accounts; set it to one of {', '.join(managed)}"
        )
    return managed[0]


def require_allowed_account(
    account_code: str, account: str, confirmation: LivePermission | None, now_utc: datetime
) -> None:
    """Refuse an account that is not for paper trading, unless a person has confirmed that it trades live.

    Raises
    ------
    ConfigurationError
        It trades real money, and no confirmation covers it now.
    """
    if not is_paper(account_code):
        _require(f"account {account_code!r}", "an account that begins with D", account, confirmation, now_utc)


def _require(what: str, paper: str, account: str, confirmation: LivePermission | None, now_utc: datetime) -> None:
    if confirmation is None:
        raise ConfigurationError(
            f"{_BLOCK}: {what} may trade real money, and nobody has confirmed that for account {account!r}; use {paper}"
        )
    confirmation.require(account, now_utc)
