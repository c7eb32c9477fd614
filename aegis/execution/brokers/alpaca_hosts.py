"""Which hosts and accounts of Alpaca's may be reached.

Belongs here: the addresses, how an account of paper trading is told from one of real money, and that real money needs
a person's word.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from aegis.config_brokers import AlpacaBrokerSettings
from aegis.errors import ConfigurationError
from aegis.execution.brokers.live_confirmation import LivePermission

_PAPER_HOST = "paper-api.alpaca.markets"
_PAPER_NUMBER = "PA"
"""How the numbers of paper accounts begin; those of real ones are digits."""
_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "[::1]"})
_ADDRESS = re.compile(r"(https?|wss?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?(/[A-Za-z0-9._~/-]*)?")
"""The only addresses whose host all libraries read alike: no user, no backslash, no query."""
_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}


def stream_url(settings: AlpacaBrokerSettings) -> str:
    """Return where the trade updates are: by default ``/stream`` of the host that takes the orders."""
    if settings.stream_url is not None:
        return settings.stream_url
    scheme, _, rest = settings.url.partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/stream"


def live_endpoints(settings: AlpacaBrokerSettings) -> tuple[str, ...]:
    """Return the addresses, ``host:port``, that may trade real money: any but paper trading and this machine.

    Raises
    ------
    ConfigurationError
        An address may be read in two ways, or would send the keys unencrypted to another machine.
    """
    return _live_endpoints(settings.url, stream_url(settings))


@lru_cache(maxsize=16)
def _live_endpoints(*urls: str) -> tuple[str, ...]:
    """Return what of some addresses may trade real money; looked at once, as every order asks."""
    found = (_endpoint(url) for url in urls)
    live = {f"{host}:{port}" for host, port in found if host != _PAPER_HOST and host not in _THIS_MACHINE}
    return tuple(sorted(live))


def require_allowed_host(
    settings: AlpacaBrokerSettings,
    account: str,
    confirmation: LivePermission | None,
    now_utc: datetime,
) -> None:
    """Refuse any host but paper trading and this machine, unless a person has confirmed that the account trades live.

    Raises
    ------
    ConfigurationError
        Orders or trade updates would reach another host, and no confirmation covers the account now; or as
        :func:`live_endpoints`.
    """
    live = live_endpoints(settings)
    if live and confirmation is None:
        raise ConfigurationError(
            f"brokers.alpaca: {live[0]!r} may trade real money, and nobody has confirmed that for account "
            f"{account!r}; use https://{_PAPER_HOST}"
        )
    if live and confirmation is not None:
        confirmation.require(account, now_utc)


def require_allowed_number(
    settings: AlpacaBrokerSettings,
    number: str,
    account: str,
    confirmation: LivePermission | None,
    *,
    now_utc: datetime,
) -> None:
    """Refuse another account than the configured one, and a real one that nobody has confirmed, wherever it was found.

    Parameters
    ----------
    number : str
        Alpaca's name of the account that the keys belong to; empty where it has not been told.

    Raises
    ------
    ConfigurationError
        It is not `settings.account`, or trades real money and no confirmation covers our account now.

    Notes
    -----
    A tunnel makes a live host an address of this machine; the number is Alpaca's own word.
    """
    if not number:
        return
    if settings.account is not None and number != settings.account:
        raise ConfigurationError(
            f"brokers.alpaca.account: the keys belong to account {number!r}, expected {settings.account!r}; set the "
            "keys of that account, or correct the setting"
        )
    if number.upper().startswith(_PAPER_NUMBER):
        return
    if confirmation is None:
        raise ConfigurationError(
            f"brokers.alpaca: account {number!r} may trade real money, and nobody has confirmed that for account "
            f"{account!r}; set the keys of a paper account, whose number begins with {_PAPER_NUMBER}"
        )
    confirmation.require(account, now_utc)


def _endpoint(url: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise ConfigurationError(
            "brokers.alpaca: expected an address of a scheme, a host, perhaps a port and a path, such as "
            f"https://{_PAPER_HOST}; found one with other parts; correct url or stream_url"
        )
    scheme, host, port = found[1], found[2].lower(), int(found[3] or _PORTS[found[1]])
    if host not in _THIS_MACHINE and scheme not in ("https", "wss"):
        raise ConfigurationError(
            f"brokers.alpaca: {scheme}://{host} would carry the keys unencrypted; use https:// or wss://"
        )
    return host, port
