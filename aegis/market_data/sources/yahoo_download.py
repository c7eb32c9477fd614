"""Asking Yahoo's chart service through yfinance, and why a symbol has no rows.

Belongs here: one download. yfinance turns every failure into an empty frame and a line in its log, so its session is
watched: what went wrong is kept by symbol. What the rows mean is :mod:`aegis.market_data.sources.yahoo`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pandas as pd

from aegis.market_data.sources.call_policy import FailedAttempt, VendorCalls
from aegis.market_data.sources.http_calls import HttpResponse, failure_of
from aegis.market_data.sources.vendor_rows import shown

_CHART = "/v8/finance/chart/"
_CRUMB_REFUSED = frozenset({401, 403})
"""yfinance fetches another crumb after these and asks again, so they are not final."""


@dataclass(frozen=True)
class Downloaded:
    """What one download gave.

    Parameters
    ----------
    frame : DataFrame or None
        Columns (symbol, field), as ``yfinance.download(group_by="ticker")`` gives them.
    failures : mapping of str to FailedAttempt
        By symbol, what its last request met.
    """

    frame: pd.DataFrame | None
    failures: Mapping[str, FailedAttempt] = field(default_factory=dict)


class Download(Protocol):
    """What asks Yahoo."""

    def __call__(self, symbols: Sequence[str], *, start: date, timeout: float) -> Downloaded:
        """Return the rows of `symbols` from `start` until today, waiting at most `timeout` seconds for an answer."""
        ...


class YahooDownload:
    """A download with yfinance.

    Parameters
    ----------
    calls : VendorCalls
        Its rate limit holds for every single request; its retries are the caller's.
    new_session : callable, optional
        Makes the HTTP session; default yfinance's own.

    Notes
    -----
    An answer of the chart service that is none is raised inside yfinance as a broken connection. Without that, yfinance
    would keep an error page in its memory of answers, and every later attempt of the process would read it again.
    """

    def __init__(self, calls: VendorCalls, *, new_session: Callable[[], Any] | None = None) -> None:
        self._calls = calls
        self._new_session = new_session

    def __call__(self, symbols: Sequence[str], *, start: date, timeout: float) -> Downloaded:
        """Return what yfinance gives, and why it gives nothing for some symbols."""
        import yfinance  # noqa: PLC0415 - takes a second to import and is needed by this source only
        from yfinance._http import new_session  # noqa: PLC0415
        from yfinance.exceptions import YFException  # noqa: PLC0415

        failures: dict[str, FailedAttempt] = {}
        session = (self._new_session or new_session)()
        session.request = partial(self._watched, session.request, failures, timeout)
        try:
            frame: pd.DataFrame | None = yfinance.download(
                list(symbols),
                start=start.isoformat(),
                interval="1d",
                actions=True,
                auto_adjust=False,
                back_adjust=False,
                repair=False,
                ignore_tz=True,
                group_by="ticker",
                progress=False,
                timeout=timeout,
                session=session,
                multi_level_index=True,
            )
        except YFException as error:
            return Downloaded(None, dict.fromkeys(symbols, FailedAttempt(f"{type(error).__name__}: {error}")))
        finally:
            session.close()
        return Downloaded(frame, failures)

    def _watched(
        self,
        request: Callable[..., HttpResponse],
        failures: dict[str, FailedAttempt],
        seconds: float,
        method: str,
        url: str,
        **options: Any,
    ) -> HttpResponse:
        self._calls.take_turn()
        path = urlsplit(url).path
        symbol = unquote(path.removeprefix(_CHART)) if path.startswith(_CHART) else None
        try:
            response = request(method, url, **{**options, "timeout": seconds})
        except OSError as error:
            if symbol is not None:
                failures[symbol] = FailedAttempt(f"{type(error).__name__}: {error}")
            raise
        if symbol is None:
            return response
        failure = failure_of(response, self._calls.vendor) or _wrong_instrument(symbol, response)
        if failure is None:
            failures.pop(symbol, None)
            return response
        if response.status_code in _CRUMB_REFUSED:
            failures[symbol] = replace(failure, is_final=False)
            return response
        failures[symbol] = failure
        raise ConnectionError(failure.cause)


def _wrong_instrument(symbol: str, response: HttpResponse) -> FailedAttempt | None:
    """Return a refusal of another symbol's prices or another currency's; a shape without either is yfinance's to judge.

    Notes
    -----
    yfinance files an answer under the symbol that was asked for, whatever symbol it names: a renamed or redirected one
    would become another company's history under this name.
    """
    try:
        stated = response.json()["chart"]["result"][0]["meta"]
        currency = stated["currency"]
    except (KeyError, IndexError, TypeError):
        return None
    if stated.get("symbol") != symbol:
        return FailedAttempt(
            f"{symbol} was asked for and {shown(stated.get('symbol'))} answered",
            is_final=True,
            remedy="correct market_data.yahoo.symbols to the name that Yahoo uses now, capitals and dashes included",
        )
    if currency == "USD":
        return None
    return FailedAttempt(
        f"{symbol} is priced in {currency!r}, not in USD",
        is_final=True,
        remedy="remove it from market_data.yahoo.symbols; amounts in other currencies are refused",
    )
