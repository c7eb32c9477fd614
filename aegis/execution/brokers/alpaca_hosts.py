"""Which hosts of Alpaca's an account may reach.

Belongs here: the addresses, and that real money needs a person's word.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from aegis.config_brokers import AlpacaBrokerSettings
from aegis.errors import ConfigurationError
from aegis.execution.brokers.live_confirmation import LiveTradingConfirmation

_PAPER_HOST = "paper-api.alpaca.markets"
_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})


def stream_url(settings: AlpacaBrokerSettings) -> str:
    """Return where the trade updates are: by default ``/stream`` of the host that takes the orders."""
    if settings.stream_url is not None:
        return settings.stream_url
    parts = urlsplit(settings.url)
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/stream"


def require_allowed_host(
    settings: AlpacaBrokerSettings,
    account: str,
    confirmation: LiveTradingConfirmation | None,
    now_utc: datetime,
) -> None:
    """Refuse any host but paper trading and this machine, unless a person has confirmed that the account trades live.

    Raises
    ------
    ConfigurationError
        Orders or trade updates would reach another host, and no confirmation covers the account now.
    """
    for url in (settings.url, stream_url(settings)):
        host = urlsplit(url).hostname or ""
        if host == _PAPER_HOST or host in _THIS_MACHINE:
            continue
        if confirmation is None:
            raise ConfigurationError(
                f"brokers.alpaca: {host!r} may trade real money, and nobody has confirmed that for account "
                f"{account!r}; use https://{_PAPER_HOST}"
            )
        confirmation.require(account, now_utc)
