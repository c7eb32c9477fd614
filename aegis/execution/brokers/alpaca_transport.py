"""What alpaca-py takes for its session: requests to one host over connections that are kept.

Belongs here: one message and one answer. Between the call and the first byte at the venue's socket stands no more than
the writing of the message, because an order waits for it; requests takes some tenths of a millisecond. Where the way
to the venue is not plain (a proxy, an address that must be rewritten), requests goes it. What an answer means is
:mod:`aegis.execution.brokers.alpaca_requests`.

Notes
-----
A message is written once. A connection that the venue has closed, or that has anything to be read before the message is
written, is replaced first; words that nobody asked for and that came with an answer are dropped. Whatever goes wrong
afterwards is an error, because nobody knows whether the venue read it. Redirects are never followed: an order would
leave for an address that nobody has allowed. No cookies are kept.
"""

from __future__ import annotations

import json
import re
import select
import ssl
from collections import deque
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead, RemoteDisconnected
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH, check_header_validity, get_encoding_from_headers, select_proxy

from aegis.errors import ConfigurationError

_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_:~-][A-Za-z0-9._:~-]*)+")
"""What needs no escapes, and has no part that is a dot or empty."""
_OK, _REDIRECTS, _REFUSALS = 200, 300, 400
_JSON = json.JSONEncoder(allow_nan=False)
_MOST_KEPT = 10
_NO_PORT = {"http": 80, "https": 443}
"""Which port an address means that names none; ``Host`` leaves it out."""


class AlpacaTransport:
    """Requests to the host of one address.

    Parameters
    ----------
    session : requests.Session
        alpaca-py's own. Proxies and certificates of the environment are looked up once, and not before each request.
    url : str
        The address; its path is only a default of alpaca-py's.
    connect_seconds, read_seconds : float
        The longest wait for a connection, and for each next part of an answer.
    """

    def __init__(self, session: requests.Session, url: str, *, connect_seconds: float, read_seconds: float) -> None:
        surroundings = session.merge_environment_settings(url, {}, None, None, None)
        session.proxies, session.verify, session.cert = (surroundings[name] for name in ("proxies", "verify", "cert"))
        session.trust_env = False
        self._session = session
        self._connect_seconds, self._read_seconds = connect_seconds, read_seconds
        split = urlsplit(url)
        self._origin = f"{split.scheme}://{split.netloc}"
        self._host, self._port = split.hostname or "", split.port or _NO_PORT[split.scheme]
        named = f"[{self._host}]" if ":" in self._host else self._host
        self._host_header = named if self._port == _NO_PORT[split.scheme] else f"{named}:{self._port}"
        self._is_plain = select_proxy(url, session.proxies) is None and session.cert is None
        self._trust = _trust(session) if split.scheme == "https" and self._is_plain else None
        self._headers: tuple[Mapping[str, str], str] = ({}, "")
        self._kept: deque[HTTPConnection] = deque()
        self._is_closed = False

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send a request once and return its answer, read whole.

        Parameters
        ----------
        method, url : str
            As alpaca-py gives them.
        **options
            ``headers``, and ``params`` or ``json``; redirects are not followed whatever they say.

        Raises
        ------
        requests.RequestException
            There is no whole answer, or it is none to the request: a redirect.
        OSError
            The host cannot be reached.
        """
        self._constant(options["headers"])  # what requests says of a wrong one repeats it
        message = self._message(method, url, **options) if self._is_plain else None
        answer = self._by_requests(method, url, **options) if message is None else self._exchange(method, url, message)
        if not (_OK <= answer.status_code < _REDIRECTS or answer.status_code >= _REFUSALS):
            raise requests.RequestException(f"HTTP {answer.status_code} is no answer; redirects are not followed")
        return answer

    def close(self) -> None:
        """Close the connections; one that is in use is closed after its answer."""
        self._is_closed = True
        self._session.close()
        self._close_kept()

    def _message(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, object] | None = None,
        json: object = None,
        **_: object,
    ) -> bytes | None:
        """Return what is written for a request; None where its address must be rewritten first."""
        target = url.removeprefix(self._origin)
        if target == url or _PLAIN_PATH.fullmatch(target) is None:
            return None
        if params:
            target += "?" + urlencode({name: value for name, value in params.items() if value is not None}, doseq=True)
        body = b"" if json is None else _text_of(json)
        kind = "" if json is None else "Content-Type: application/json\r\n"
        length = "" if method == "GET" and not body else f"Content-Length: {len(body)}\r\n"
        head = f"{method} {target} HTTP/1.1\r\nHost: {self._host_header}\r\n{self._constant(headers)}{kind}{length}\r\n"
        return head.encode("latin-1") + body

    def _constant(self, headers: Mapping[str, str]) -> str:
        """Return the lines of the session's headers and these, written anew only when they change."""
        known, lines = self._headers
        if known != headers:
            merged = self._session.headers.copy()
            merged.update(headers)
            for header in merged.items():
                _require_valid(header)
            lines = "".join(f"{name}: {value}\r\n" for name, value in merged.items())
            self._headers = dict(headers), lines
        return lines

    def _by_requests(self, method: str, url: str, **options: Any) -> requests.Response:
        terms = {**options, "timeout": (self._connect_seconds, self._read_seconds), "allow_redirects": False}
        try:
            return self._session.request(method, url, **terms)
        except requests.RequestException as error:
            if not any(isinstance(cause, HTTPException) for cause in _causes(error)):
                raise
            # As below: the words of whoever answered may repeat the keys.
            raise requests.ConnectionError(f"no whole answer: {type(error).__name__}") from None

    def _exchange(self, method: str, url: str, message: bytes) -> requests.Response:
        connection = self._connection()
        is_kept = False
        try:
            connection.send(message)
            with HTTPResponse(connection.sock, method=method) as answer:
                answer.begin()
                has_end = answer.length is not None or answer.chunked
                body = answer.read()
            if not body and not has_end:  # http.client takes a head that breaks off for a whole one
                raise IncompleteRead(body)
            is_kept = answer.status >= _OK and not answer.will_close
        except TimeoutError as error:
            raise requests.ReadTimeout(f"no whole answer: silence for {self._read_seconds:g} s") from error
        except HTTPException as error:
            # Other errors of HTTP hold the words of whoever answered, which may repeat the keys.
            words = f": {error}" if isinstance(error, (IncompleteRead, RemoteDisconnected)) else ""
            raise requests.ConnectionError(f"no whole answer: {type(error).__name__}{words}") from None
        finally:
            if is_kept:
                self._keep(connection)
            else:
                connection.close()
        return _response(answer, body, url)

    def _connection(self) -> HTTPConnection:
        """Return a connection that is kept, or a new one; nothing has been written to it since its last answer."""
        while self._kept:
            try:
                connection = self._kept.pop()
            except IndexError:  # another thread took it
                break
            if not _has_something_to_read(connection):
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> HTTPConnection:
        limit, trust = self._connect_seconds, self._trust
        if trust is None:
            connection = HTTPConnection(self._host, self._port, timeout=limit)
        else:
            connection = HTTPSConnection(self._host, self._port, timeout=limit, context=trust)
        try:
            connection.connect()
        except TimeoutError as error:
            connection.close()
            raise requests.ConnectTimeout(f"no connection to {self._host_header} within {limit:g} s") from error
        except OSError:
            connection.close()
            raise
        connection.sock.settimeout(self._read_seconds)
        return connection

    def _keep(self, connection: HTTPConnection) -> None:
        if len(self._kept) >= _MOST_KEPT:
            connection.close()
            return
        self._kept.append(connection)
        if self._is_closed:
            self._close_kept()

    def _close_kept(self) -> None:
        while self._kept:
            try:
                self._kept.pop().close()
            except IndexError:  # another thread took it
                break


def _trust(session: requests.Session) -> ssl.SSLContext:
    """Return whose certificates are trusted, as requests does: those of the environment, or its own collection."""
    place = session.verify if isinstance(session.verify, str) else DEFAULT_CA_BUNDLE_PATH
    is_folder = Path(place).is_dir()
    try:
        trust = ssl.create_default_context(cafile=None if is_folder else place, capath=place if is_folder else None)
    except OSError as error:
        raise ConfigurationError(
            f"certificates to trust, {place}: cannot be read ({error}); correct REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE"
        ) from error
    trust.set_alpn_protocols(["http/1.1"])
    return trust


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error of requests and those that it was made from, which it holds as its words."""
    yield error
    for word in (*error.args, getattr(error, "reason", None)):
        if isinstance(word, BaseException):
            yield from _causes(word)


def _require_valid(header: tuple[str, str]) -> None:
    try:
        check_header_validity(header)
    except requests.exceptions.InvalidHeader:
        # What requests says repeats the value, which may be a key.
        raise requests.exceptions.InvalidHeader(
            f"{header[0]}: begins with a space or has a line break; correct the setting it comes from"
        ) from None


def _has_something_to_read(connection: HTTPConnection) -> bool:
    """Whether the other side has closed the connection, or says something that nobody has asked for."""
    decrypted: int = getattr(connection.sock, "pending", int)()
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(decrypted or poll.poll(0))


def _text_of(body: object) -> bytes:
    return _JSON.encode(body).encode("ascii")


def _response(answer: HTTPResponse, body: bytes, url: str) -> requests.Response:
    found = requests.Response()
    found.status_code, found.reason, found.url = answer.status, answer.reason, url
    found.headers = CaseInsensitiveDict(answer.headers.items())
    found.encoding = get_encoding_from_headers(found.headers)
    # urllib3 undoes what the venue has packed.
    found.raw = urllib3.HTTPResponse(
        BytesIO(body), headers=dict(found.headers), status=answer.status, preload_content=False
    )
    return found
