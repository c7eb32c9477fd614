"""Alpaca's historical data through alpaca-py: its client under our call policy, and what every answer must be.

Belongs here: what daily and minute bars share. What is asked for, and how rows are read, is theirs. alpaca-py is
imported when it is first needed.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aegis.config_vendors import AlpacaSettings
from aegis.errors import ConfigurationError, MalformedData
from aegis.instruments import require_symbol
from aegis.market_data.sources.call_policy import Vendor, VendorCalls
from aegis.market_data.sources.http_calls import GovernedSession
from aegis.market_data.sources.vendor_rows import shown

SETTINGS = "market_data.alpaca"

_TICKER = re.compile(r"[A-Z][A-Z0-9.]*")
_SYMBOLS_A_REQUEST = 50
"""Keeps the address of a request far below the 8 kB that servers accept."""
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
"""What alpaca-py's own reading raises for JSON of another shape."""


def alpaca_vendor(settings: AlpacaSettings) -> Vendor:
    """Return Alpaca as messages name it, with the keys that they never show."""
    secrets = tuple(secret for secret in (settings.key_id, settings.secret_key) if secret is not None)
    return Vendor("Alpaca", SETTINGS, secrets)


def load_alpaca_py() -> None:
    """Import alpaca-py, which warns of a part of websockets that its streams use and we do not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "websockets", DeprecationWarning)
        importlib.import_module("alpaca.data.historical.stock")


def governed_client(client_type: Callable[..., Any], settings: AlpacaSettings, calls: VendorCalls) -> Any:
    """Return a client of alpaca-py whose requests all go through `calls`, and its session.

    Raises
    ------
    ConfigurationError
        The keys are not set.
    """
    key_id, secret_key = _keys(settings)
    client = client_type(api_key=key_id, secret_key=secret_key, raw_data=True, url_override=settings.url)
    client._session = GovernedSession(client._session, calls)
    return client, client._session


def checked_tickers(symbols: Sequence[str], setting: str) -> list[str]:
    """Return the symbols once each.

    Raises
    ------
    ConfigurationError
        One is none of Alpaca's tickers; nothing has been sent. `setting` is where to correct it.
    MalformedData
        One cannot be a symbol at all.
    """
    distinct = list(dict.fromkeys(symbols))
    for symbol in distinct:
        require_symbol(symbol)
        if _TICKER.fullmatch(symbol) is None:
            raise ConfigurationError(
                f"{setting}: {symbol!r}: expected capitals and digits; a share class has a dot (BRK.B)"
            )
    return distinct


def _keys(settings: AlpacaSettings) -> tuple[str, str]:
    if settings.key_id is None or settings.secret_key is None:
        raise ConfigurationError(
            f"{SETTINGS}.key_id and secret_key are not set; set AEGIS_MARKET_DATA__ALPACA__KEY_ID and "
            "AEGIS_MARKET_DATA__ALPACA__SECRET_KEY in the environment"
        )
    return settings.key_id.get_secret_value(), settings.secret_key.get_secret_value()


def readable(what: str, ask: Callable[[], Any]) -> Any:
    """Return the mapping that a call of alpaca-py answers with.

    Raises
    ------
    MalformedData
        It is none, or alpaca-py could not read it. `what` was asked for.
    """
    try:
        answer = ask()
    except _UNREADABLE as error:
        raise MalformedData(
            f"Alpaca: {what}: alpaca-py cannot read the answer ({type(error).__name__}); install the pinned alpaca-py, "
            "or use another source"
        ) from error
    if not isinstance(answer, Mapping):
        raise MalformedData(
            f"Alpaca: {what}: expected a mapping, found {type(answer).__name__}; use another source until Alpaca "
            "answers as documented"
        )
    return answer


def refuse_others(asked: Sequence[str], answer: Mapping[str, Any]) -> None:
    """Refuse bars of a symbol that was not asked for: what else the answer mixes up cannot be known."""
    others = sorted(str(symbol) for symbol in answer if symbol not in asked)
    if others:
        raise MalformedData(
            f"Alpaca was asked for {', '.join(asked[:5])} and answered with {shown(others[0])} as well "
            f"({len(others)} that were not asked for); correct {SETTINGS}.symbols to the names that Alpaca uses, or "
            "use another source"
        )


def listed(answer: Mapping[str, Any], symbol: str) -> Sequence[Any]:
    """Return the bars of a symbol in an answer; refuse what is no list."""
    rows = answer[symbol]
    if not isinstance(rows, list):
        raise MalformedData(
            f"{symbol}: Alpaca gave {type(rows).__name__} where a list of bars was expected; use another source until "
            "Alpaca answers as documented"
        )
    return rows


def symbol_chunks(symbols: Sequence[str]) -> list[list[str]]:
    """Return the symbols in groups that fit into the address of one request."""
    return [list(symbols[at : at + _SYMBOLS_A_REQUEST]) for at in range(0, len(symbols), _SYMBOLS_A_REQUEST)]
