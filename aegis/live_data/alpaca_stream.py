"""Alpaca's stock stream: logged on, subscribed, connected again; in a thread of its own.

Belongs here: the connection and the subscription. What the messages about symbols mean is
:mod:`aegis.live_data.alpaca_messages`.

Notes
-----
alpaca-py's ``StockDataStream`` is not used, other than its stream of trade updates: it writes errors such as a symbol
limit to its log only, drops what it cannot read, tells nobody of a confirmed subscription, and turns in a busy circle
until something is subscribed. The tests' server is checked with it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from aegis.config_live_data import LiveDataSettings
from aegis.config_vendors import AlpacaSettings
from aegis.live_data.feed_health import Counted
from aegis.live_data.live_market import LiveMarket
from aegis.market_data.sources.call_policy import Vendor
from aegis.unlogged_frames import UnloggedFrames

_LOOK_SECONDS = 0.05
_CLOSE_SECONDS = 1.0
_LARGEST_MESSAGE = 1 << 24
_MOST_DOUBLINGS = 16
_SYMBOLS_A_REQUEST = 500
_SYMBOL_LIMIT = 405
_REMEDIES = {
    402: "correct market_data.alpaca.key_id and secret_key",
    406: "another program is connected with these keys; stop it",
    407: "this machine reads too slowly; watch fewer symbols, or leave trades out",
    409: "the subscription lacks this feed; set market_data.alpaca.feed: iex",
}


class _Refused(Exception):
    """Alpaca said this; the connection is of no use any more."""

    def __init__(self, code: object, words: object) -> None:
        remedy = _REMEDIES.get(code, "it is tried again") if isinstance(code, int) else "it is tried again"
        super().__init__(f"error {code}: {words}; {remedy}")


class AlpacaDataStream:
    """A connection that is kept.

    Parameters
    ----------
    settings : LiveDataSettings
        Address, silence, heartbeat and pauses.
    vendor : AlpacaSettings
        Feed and keys.
    named : Vendor
        Takes the keys out of what is told.
    market : LiveMarket
        Told of the connection.
    take : callable
        Takes each message about a symbol, in the stream's thread.
    on_subscribed, on_refused : callable
        Told of tickers from which on everything is heard, and of those that Alpaca will not subscribe, with its words.
    """

    def __init__(
        self,
        settings: LiveDataSettings,
        vendor: AlpacaSettings,
        named: Vendor,
        *,
        market: LiveMarket,
        take: Callable[[dict[str, Any]], None],
        on_subscribed: Callable[[Iterable[str]], None],
        on_refused: Callable[[Iterable[str], str], None],
    ) -> None:
        self._settings = settings
        self._vendor = vendor
        self._named = named
        self._market = market
        self._take_message = take
        self._on_subscribed = on_subscribed
        self._on_refused = on_refused
        self._url = f"{settings.alpaca.url}/v2/{vendor.feed}"
        self._lock = threading.Lock()
        self._wanted: frozenset[str] = frozenset()
        self._refused: set[str] = set()
        self._subscribed: frozenset[str] = frozenset()
        self._asked: tuple[str, ...] | None = None
        self._most_at_once = _SYMBOLS_A_REQUEST
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alpaca-market-data", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def want(self, tickers: Iterable[str]) -> None:
        """Say what is to be subscribed; others are let go of."""
        with self._lock:
            if self._wanted - set(tickers):
                self._refused.clear()  # there may be room now
            self._wanted = frozenset(tickers)

    def close(self) -> None:
        """End the connection and the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        failures = 0
        try:
            while not self._stop.is_set():
                problem, was_logged_on = self._connection()
                failures = 0 if was_logged_on else min(failures + 1, _MOST_DOUBLINGS)
                if not self._stop.is_set():
                    self._market.lost(self._named.without_secrets(f"Alpaca: {problem}"))
                    pause = self._settings.reconnect_first_seconds * 2.0**failures
                    self._stop.wait(min(pause, self._settings.reconnect_longest_seconds))
            self._market.lost("closed")
        except BaseException as error:  # the thread has no caller: whoever looks at the health has to be told
            self._market.lost(f"Alpaca: the feed ended ({type(error).__name__}: {error}); start it again")
            raise

    def _connection(self) -> tuple[str, bool]:
        """Keep one connection until it ends; return why, and whether it was logged on."""
        settings, was_logged_on = self._settings, False
        try:
            with connect(
                self._url,
                open_timeout=settings.connect_timeout_seconds,
                ping_interval=settings.heartbeat_seconds,
                ping_timeout=settings.heartbeat_seconds,
                close_timeout=_CLOSE_SECONDS,
                max_size=_LARGEST_MESSAGE,
                logger=UnloggedFrames("websockets.client"),
            ) as socket:
                self._log_on(socket)
                was_logged_on = True
                self._listen(socket)
        except (OSError, WebSocketException, _Refused) as error:
            return (str(error) or type(error).__name__), was_logged_on
        return "closed", was_logged_on

    def _log_on(self, socket: ClientConnection) -> None:
        self._expect(socket, "connected")
        key_id, secret_key = self._vendor.key_id, self._vendor.secret_key
        assert key_id is not None  # noqa: S101 - asked for when the source is made
        assert secret_key is not None  # noqa: S101
        self._send(
            socket, {"action": "auth", "key": key_id.get_secret_value(), "secret": secret_key.get_secret_value()}
        )
        self._expect(socket, "authenticated")
        with self._lock:
            self._refused.clear()
            self._most_at_once = _SYMBOLS_A_REQUEST
        self._subscribed, self._asked = frozenset(), None
        self._market.connected()

    def _expect(self, socket: ClientConnection, words: str) -> None:
        try:
            text = socket.recv(timeout=self._settings.connect_timeout_seconds)
        except TimeoutError as error:
            limit = self._settings.connect_timeout_seconds
            raise TimeoutError(f"no {words!r} within {limit:g} s") from error
        said = self._read(text)
        first = said[0] if said else {}
        if first.get("T") == "error":
            raise _Refused(first.get("code"), first.get("msg"))
        if (first.get("T"), first.get("msg")) != ("success", words):
            raise _Refused(None, f"expected {words!r}, found {str(text)[:80]!r}")

    def _listen(self, socket: ClientConnection) -> None:
        while not self._stop.is_set():
            self._ask(socket)
            try:
                text = socket.recv(timeout=_LOOK_SECONDS)
            except TimeoutError:
                self._refuse_silence()
                continue
            self._market.heard()
            for message in self._read(text):
                self._take(message)

    def _read(self, text: str | bytes) -> list[dict[str, Any]]:
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        if isinstance(said, list) and all(isinstance(message, dict) for message in said):
            return said
        self._market.count(Counted.UNREADABLE)
        return []

    def _take(self, message: dict[str, Any]) -> None:
        kind = message.get("T")
        if kind == "subscription":
            self._confirm(message)
        elif kind == "error" and message.get("code") == _SYMBOL_LIMIT and self._asked is not None:
            self._refuse(self._asked, str(message.get("msg")))
        elif kind == "error":
            raise _Refused(message.get("code"), message.get("msg"))
        else:
            self._take_message(message)

    def _ask(self, socket: ClientConnection) -> None:
        """Send what is not subscribed as wanted, one request after the other."""
        if self._asked is not None:
            return
        with self._lock:
            gone = sorted(self._subscribed - self._wanted)
            new = sorted(self._wanted - self._subscribed - self._refused)[: self._most_at_once]
        if gone or new:
            tickers = gone or new
            self._asked = tuple(tickers)
            channels = ["quotes", "bars", "updatedBars", "statuses"]
            channels += ["trades"] if self._settings.alpaca.trades else []
            action = "unsubscribe" if gone else "subscribe"
            self._send(socket, {"action": action, **dict.fromkeys(channels, tickers)})

    def _confirm(self, message: dict[str, Any]) -> None:
        """Take Alpaca's list of everything that is subscribed."""
        told = [set(message.get(channel) or ()) for channel in ("quotes", "bars")]
        subscribed = frozenset(told[0] & told[1])
        new, asked = subscribed - self._subscribed, self._asked or ()
        self._subscribed, self._asked = subscribed, None
        if new:
            self._on_subscribed(new)
        with self._lock:
            left_out = set(asked) & self._wanted - subscribed
        if left_out:
            self._refuse(tuple(left_out), "left out of the subscription")

    def _refuse(self, tickers: tuple[str, ...], words: str) -> None:
        """Ask for fewer at once, down to one by one; what is refused by itself is not asked for again."""
        self._asked = None
        if len(tickers) > 1:
            self._most_at_once = max(1, len(tickers) // 2)
            return
        with self._lock:
            self._refused |= set(tickers)
        self._on_refused(tickers, f"Alpaca does not subscribe it: {words}")

    def _refuse_silence(self) -> None:
        limit = self._settings.silence_seconds
        if self._subscribed and self._market.is_open and self._market.silence().total_seconds() > limit:
            raise TimeoutError(f"no message for {limit:g} s in an open session")

    def _send(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        socket.send(json.dumps(message))
