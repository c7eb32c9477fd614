"""Yahoo's answers about now: quotes of many symbols, and the minutes of one.

Belongs here: one question through yfinance's session, under the policy of calls. What is made of the answers is
:mod:`aegis.live_data.yahoo`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from aegis.errors import MalformedData
from aegis.market_data.sources.call_policy import FailedAttempt, VendorCalls
from aegis.market_data.sources.http_calls import HttpResponse, failure_of

_HOST = "https://query1.finance.yahoo.com"
_CRUMB_REFUSED = frozenset({401, 403})
"""yfinance fetches another crumb after these, so asking again may help."""
_RATE_LIMIT_SECONDS = 60.0

Json = Mapping[str, Any]


class YahooPolling:
    """Questions to Yahoo.

    Parameters
    ----------
    calls : VendorCalls
        Its rate limit holds for every single request, those for cookie and crumb included.
    is_stopped : callable
        Whether nobody waits for an answer any more.
    new_session : callable, optional
        Makes the HTTP session; default yfinance's own.
    """

    def __init__(
        self, calls: VendorCalls, *, is_stopped: Callable[[], bool], new_session: Callable[[], Any] | None = None
    ) -> None:
        self._calls = calls
        self._is_stopped = is_stopped
        self._new_session = new_session

    def quotes(self, tickers: Sequence[str]) -> list[Json]:
        """Return the rows that Yahoo has, in any order; a ticker that it does not know has none.

        Raises
        ------
        SourceUnavailable, SourceRefused, MalformedData
            There is no usable answer.
        """
        what = f"quotes of {', '.join(tickers)}"
        answer = self._ask("/v7/finance/quote", {"symbols": ",".join(tickers)}, what)
        rows = _result_of(answer, "quoteResponse", what)
        return [row for row in rows if isinstance(row, Mapping)]

    def minutes(self, ticker: str) -> Json:
        """Return the chart of today's minutes.

        Raises
        ------
        SourceUnavailable, SourceRefused, MalformedData
            There is no usable answer.
        """
        what = f"minutes of {ticker}"
        terms = {"interval": "1m", "range": "1d", "includePrePost": "false"}
        rows = _result_of(self._ask(f"/v8/finance/chart/{ticker}", terms, what), "chart", what)
        if not rows or not isinstance(rows[0], Mapping):
            raise MalformedData(f"Yahoo: {what}: an answer without a chart; use another source")
        return rows[0]

    def _ask(self, path: str, terms: Mapping[str, str], what: str) -> Any:
        import yfinance  # noqa: F401, PLC0415 - takes a second to import and is needed by this source only
        from yfinance._http import new_session  # noqa: PLC0415
        from yfinance.data import YfData  # noqa: PLC0415
        from yfinance.exceptions import YFException  # noqa: PLC0415

        def attempt(timeout: float) -> Any:
            if self._is_stopped():
                return FailedAttempt("stopped", is_final=True, remedy="start it again")
            session = (self._new_session or new_session)()
            session.request = partial(self._in_turn, session.request, timeout)
            try:
                response = YfData(session=session).get(f"{_HOST}{path}", params=dict(terms), timeout=timeout)
                failure = failure_of(response, self._calls.vendor)
                if failure is None:
                    return response.json()
                if response.status_code in _CRUMB_REFUSED:
                    return FailedAttempt(failure.cause)
            except YFException as error:
                return FailedAttempt(f"{type(error).__name__}: {error}", _RATE_LIMIT_SECONDS)
            finally:
                session.close()
            return failure

        return self._calls.call(attempt, what=what)

    def _in_turn(
        self, request: Callable[..., HttpResponse], seconds: float, method: str, url: str, **options: Any
    ) -> HttpResponse:
        self._calls.take_turn()
        return request(method, url, **{**options, "timeout": seconds})


def _result_of(answer: Any, name: str, what: str) -> Sequence[Any]:
    held = answer.get(name) if isinstance(answer, Mapping) else None
    rows = held.get("result") if isinstance(held, Mapping) else None
    if not isinstance(rows, list):
        raise MalformedData(f"Yahoo: {what}: expected {name}.result, found another shape; use another source")
    return rows
