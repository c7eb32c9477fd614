"""The session of a vendor's HTTP client, put under the call policy.

Belongs here: which HTTP answers are failures, and the wrapper that a client library sends its requests through, so that
paging and parsing stay the library's and every single request is limited, timed and retried by ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from aegis.errors import MalformedData
from aegis.market_data.sources.call_policy import FailedAttempt, Vendor, VendorCalls

_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
_FIRST_REDIRECT, _FIRST_SERVER_ERROR = 300, 500
_NOT_ALLOWED = frozenset({401, 403})
_SHOWN_BODY = 160
_MOST_REQUESTS = 5_000
"""Requests for one purpose after which a vendor's pages are taken to go round in a circle."""


class HttpResponse(Protocol):
    """What an answer of requests and one of curl_cffi have in common."""

    @property
    def status_code(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, Any]:
        """Headers, their names in any case."""
        ...

    @property
    def text(self) -> str:
        """Body as text."""
        ...

    def json(self) -> Any:
        """Return the body's JSON, or raise `ValueError`."""
        ...


def failure_of(response: HttpResponse, vendor: Vendor) -> FailedAttempt | None:
    """Return why an answer is none, or None when it is JSON with a status of success.

    Parameters
    ----------
    response : HttpResponse
        Its body has been read.
    vendor : Vendor
        Named in the remedy.

    Notes
    -----
    429, 5xx, 408 and 425 are tried again, and so is a success whose body is not JSON: it was cut off, or a proxy's page
    stands in its place. Redirects and other 4xx are final: the same request gets the same answer.
    """
    status = response.status_code
    if status in _WORTH_ANOTHER_TRY or status >= _FIRST_SERVER_ERROR:
        return FailedAttempt(_status(response), retry_after_seconds(response.headers))
    if status >= _FIRST_REDIRECT:
        return FailedAttempt(_status(response), is_final=True, remedy=_remedy(status, vendor))
    try:
        response.json()
    except ValueError:
        return FailedAttempt(
            f"HTTP {status} with a body of {len(response.text)} characters that is not JSON, cut off or an error page: "
            f"{response.text[:_SHOWN_BODY]!r}"
        )
    return None


def retry_after_seconds(headers: Mapping[str, Any]) -> float | None:
    """Return how long ``Retry-After`` asks to wait, or None when it does not say.

    Notes
    -----
    A date is measured from the answer's own ``Date``, so a wrong clock on this machine does not matter.
    """
    text = str(headers.get("Retry-After") or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        until, sent = parsedate_to_datetime(text), parsedate_to_datetime(str(headers.get("Date")))
        return max(0.0, (until - sent).total_seconds())
    except (TypeError, ValueError):
        return None


class GovernedSession:
    """A client library's session whose requests obey the call policy; everything else is the session's own.

    Parameters
    ----------
    session : requests.Session
        The library's. Only ``request`` is replaced.
    calls : VendorCalls

    Attributes
    ----------
    purpose : str
        What is being asked for, for messages; set before each call of the library.
    """

    def __init__(self, session: Any, calls: VendorCalls) -> None:
        self._session = session
        self._calls = calls
        self._requests = 0
        self._purpose = "a request"

    @property
    def purpose(self) -> str:
        """What is being asked for."""
        return self._purpose

    @purpose.setter
    def purpose(self, text: str) -> None:
        self._purpose = text
        self._requests = 0

    def request(self, method: str, url: str, **options: Any) -> Any:
        """Return the first answer that is one.

        Raises
        ------
        SourceUnavailable, SourceRefused
            As :meth:`~aegis.market_data.sources.call_policy.VendorCalls.call` says.
        MalformedData
            One purpose took more requests than any honest answer has pages.
        """
        self._requests += 1
        if self._requests > _MOST_REQUESTS:
            raise MalformedData(
                f"{self._calls.vendor.name}: {self.purpose}: {_MOST_REQUESTS} pages and no last one; the vendor's "
                "pages go round in a circle: ask for fewer sessions, or use another source"
            )

        def ask(timeout: float) -> Any:
            response = self._session.request(method, url, **{**options, "timeout": timeout})
            return failure_of(response, self._calls.vendor) or response

        return self._calls.call(ask, what=self.purpose)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def _status(response: HttpResponse) -> str:
    return f"HTTP {response.status_code}: {response.text[:_SHOWN_BODY]!r}"


def _remedy(status: int, vendor: Vendor) -> str:
    if status in _NOT_ALLOWED:
        return f"check the credentials and the subscription that {vendor.settings} stands for"
    return f"correct {vendor.settings}: a symbol, the first session or the address"
