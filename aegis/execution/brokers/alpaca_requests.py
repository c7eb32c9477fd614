"""Alpaca's trading REST through alpaca-py, with the timeouts that it lacks and without the repetitions that it makes.

Belongs here: one request, what its answer means for certain, and how often a question is repeated. What is sent is
decided elsewhere: only questions are ever repeated here, never an order.
"""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aegis.config_brokers import AlpacaBrokerSettings
from aegis.errors import BrokerUnavailable, ConfigurationError

_SETTINGS = "brokers.alpaca"
_NOT_FOUND = 404
_UNAUTHORIZED = 401
_TOO_MANY, _FIRST_SERVER_ERROR = 429, 500
_MAY_PASS = frozenset({408, 425, _TOO_MANY})
_LONGEST_CAUSE = 200
_UNREADABLE = (OSError, ValueError, OverflowError, MemoryError, RecursionError)
"""What requests raises is an OSError, JSON that is none a ValueError; an answer may also be of an impossible length, or
nested without end."""
_ORDERS_A_PAGE, _ACTIVITIES_A_PAGE = 500, 100
_MOST_PAGES = 1_000


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue has looked at a request and will not do it."""

    status: int
    code: int | None
    message: str


class AlpacaRequests:
    """Requests of one account.

    Parameters
    ----------
    settings : AlpacaBrokerSettings
        Address, keys, timeouts, and how often a question is repeated.
    pause : callable, optional
        Waits so many seconds.

    Raises
    ------
    ConfigurationError
        There are no keys.
    """

    def __init__(self, settings: AlpacaBrokerSettings, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._pause = pause
        self._secrets = keys(settings)
        self._client, self._error = _client(settings, self._secrets)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send one request, once, and return its JSON, None for an empty answer, or that it was refused.

        Raises
        ------
        BrokerUnavailable
            Nobody knows whether the venue did it: silence, a broken connection, 429, 5xx, or an answer that is no JSON.
        ConfigurationError
            The keys are refused.
        """
        call = getattr(self._client, method.lower())
        try:
            return call(path) if body is None else call(path, dict(body))
        except self._error as error:
            return self._refusal(method, path, error)
        except _UNREADABLE as error:
            raise self._unknown(method, path, f"{type(error).__name__}: {error}") from error

    def ask(self, path: str, query: Mapping[str, Any] | None = None, *, attempts: int | None = None) -> Any:
        """Return the JSON of a question, asked again while its answer is none; None where nothing is found.

        Parameters
        ----------
        path, query
            What is asked.
        attempts : int, optional
            How often at most; by default as the settings say.

        Raises
        ------
        BrokerUnavailable
            All attempts failed, or the venue refuses the question.
        ConfigurationError
            The keys are refused.
        """
        most = attempts or self._settings.attempts
        for attempt in range(most):
            try:
                answer = self.send("GET", path, query)
                if answer is None:  # no word of the venue's: nothing is found only where it says so
                    raise self._unknown("GET", path, "an empty answer")
            except BrokerUnavailable:
                if attempt + 1 == most:
                    raise
                self.rest_after(attempt)
                continue
            if isinstance(answer, Refused):
                if answer.status == _NOT_FOUND:
                    return None
                raise BrokerUnavailable(
                    f"Alpaca refuses GET {path}: HTTP {answer.status} {answer.message}; correct {_SETTINGS}, or "
                    "upgrade alpaca-py"
                )
            return answer
        raise AssertionError("attempts is at least 1")

    def rest_after(self, attempt: int) -> None:
        """Wait before the attempt after number `attempt`, counted from 0: twice as long each time."""
        seconds = min(self._settings.first_pause_seconds * 2.0**attempt, self._settings.longest_pause_seconds)
        if seconds > 0:
            self._pause(seconds)

    def open_orders(self) -> list[Any]:
        """Return the orders that are open at the venue, whoever sent them, oldest first."""
        rows: dict[str, Any] = {}
        query: dict[str, Any] = {"status": "open", "limit": _ORDERS_A_PAGE, "direction": "asc"}
        for _ in range(_MOST_PAGES):
            page = self._rows("/orders", query)
            new = {row["id"]: row for row in page if row["id"] not in rows}
            rows.update(new)
            if len(page) < _ORDERS_A_PAGE or not new:
                return list(rows.values())
            # Strictly after the last but one: orders of one instant are never parted by the end of a page.
            query["after"] = page[-2]["submitted_at"]
        raise BrokerUnavailable("Alpaca's pages of open orders have no end; ask again later")

    def activities(self, kind: str, *, after: datetime) -> list[Any]:
        """Return the account's activities of one kind since an instant, oldest first."""
        rows: list[Any] = []
        query: dict[str, Any] = {
            "after": after.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "direction": "asc",
            "page_size": _ACTIVITIES_A_PAGE,
        }
        for _ in range(_MOST_PAGES):
            page = self._rows(f"/account/activities/{kind}", query)
            rows += page
            if len(page) < _ACTIVITIES_A_PAGE:
                return rows
            query["page_token"] = page[-1]["id"]
        raise BrokerUnavailable("Alpaca's pages of account activities have no end; ask again later")

    def rows(self, path: str) -> list[Any]:
        """Return a list that the venue answers with.

        Raises
        ------
        BrokerUnavailable
            It does not.
        """
        return self._rows(path, None)

    def close(self) -> None:
        """Close connections."""
        self._client._session.close()

    def _rows(self, path: str, query: Mapping[str, Any] | None) -> list[Any]:
        answer = self.ask(path, query)
        if not isinstance(answer, list) or not all(isinstance(row, Mapping) for row in answer):
            raise BrokerUnavailable(f"Alpaca: GET {path}: expected a list, found {type(answer).__name__}; ask again")
        return answer

    def _refusal(self, method: str, path: str, error: Any) -> Refused:
        status = error.status_code or 0
        body = _json(error)
        message = self._shown(str(body.get("message") or f"HTTP {status}"))
        code = body.get("code")
        is_found_nowhere = status == _NOT_FOUND and not isinstance(code, int)  # the word of a proxy without its venue
        if status in _MAY_PASS or status >= _FIRST_SERVER_ERROR or is_found_nowhere:
            # alpaca-py's error holds the venue's words as they came, which may repeat the keys; ours has them cleaned.
            raise self._unknown(method, path, f"HTTP {status}: {message}") from None
        if status == _UNAUTHORIZED or message == "forbidden.":
            raise ConfigurationError(
                f"Alpaca refuses the keys (HTTP {status}: {message}); set AEGIS_BROKERS__ALPACA__KEY_ID and "
                f"AEGIS_BROKERS__ALPACA__SECRET_KEY to those of the account at {self._settings.url}"
            ) from None
        return Refused(status, code if isinstance(code, int) else None, message)

    def _unknown(self, method: str, path: str, cause: str) -> BrokerUnavailable:
        return BrokerUnavailable(
            f"Alpaca: {method} {path}: no usable answer ({self._shown(cause)}); ask what happened before it is repeated"
        )

    def _shown(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        flat = " ".join(text.split()).encode("ascii", "backslashreplace").decode("ascii")
        return flat[:_LONGEST_CAUSE]


def keys(settings: AlpacaBrokerSettings) -> tuple[str, str]:
    """Return the keys.

    Raises
    ------
    ConfigurationError
        They are not set.
    """
    if settings.key_id is None or settings.secret_key is None:
        raise ConfigurationError(
            f"{_SETTINGS}.key_id and secret_key are not set; set AEGIS_BROKERS__ALPACA__KEY_ID and "
            "AEGIS_BROKERS__ALPACA__SECRET_KEY in the environment"
        )
    return settings.key_id.get_secret_value(), settings.secret_key.get_secret_value()


def load_alpaca_py() -> None:
    """Import alpaca-py, which warns of a part of websockets that its streams use."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "websockets", DeprecationWarning)
        importlib.import_module("alpaca.trading.stream")
        importlib.import_module("alpaca.trading.client")


def _client(settings: AlpacaBrokerSettings, secrets: tuple[str, str]) -> tuple[Any, type[Exception]]:
    """Return alpaca-py's client, and what it raises where the venue refuses."""
    load_alpaca_py()
    from alpaca.common.exceptions import APIError  # noqa: PLC0415
    from alpaca.trading.client import TradingClient  # noqa: PLC0415

    from aegis.execution.brokers.alpaca_transport import AlpacaTransport  # noqa: PLC0415

    client: Any = TradingClient(secrets[0], secrets[1], raw_data=True, url_override=settings.url)
    client._session = AlpacaTransport(
        client._session,
        settings.url,
        connect_seconds=settings.connect_timeout_seconds,
        read_seconds=settings.read_timeout_seconds,
    )
    # It would post again by itself on these, and a 504 may come after the order was accepted.
    client._retry_codes = []
    return client, APIError


def _json(error: Any) -> Mapping[str, Any]:
    try:
        body = error.response.json()
    except (AttributeError, ValueError):
        return {}
    return body if isinstance(body, Mapping) else {}
