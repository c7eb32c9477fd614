"""Alpaca's stock stream: greeting, keys, subscriptions by channel, arrays of messages as JSON or msgpack."""

from __future__ import annotations

import json
import socketserver
import threading
from datetime import datetime
from typing import Any

import msgpack

from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY
from tests.integration.vendors.websocket import BINARY, PING, PONG, TEXT, WebSocket, frame

Json = Any
CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")
_CHANNEL_OF = {
    "t": "trades", "c": "trades", "x": "trades", "q": "quotes", "b": "bars", "u": "updatedBars", "s": "statuses",
}  # fmt: skip


class _Client:
    """One connection and what it is subscribed to."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.channels: dict[str, set[str]] = {channel: set() for channel in CHANNELS}
        self.is_known = False

    @property
    def is_packed(self) -> bool:
        return self.socket.headers.get(b"content-type") == b"application/msgpack"

    def send(self, *messages: Json) -> None:
        if self.is_packed:
            stamped = [
                {**m, "t": msgpack.Timestamp.from_unix_nano(_nanoseconds(m["t"]))} if "t" in m else m for m in messages
            ]
            self.socket.write(frame(BINARY, msgpack.packb(stamped)))
        else:
            self.socket.write(frame(TEXT, json.dumps(list(messages)).encode()))


class AlpacaStockStream:
    """The stream of one account's data subscription.

    Attributes
    ----------
    requests : list
        Every request after the keys, over all connections.
    refusals : list of (int, str)
        Errors that meet the next log-ons, one each.
    symbol_limit : int
        Symbols of quotes that may be subscribed to.
    is_mute : bool
        Whether new connections are answered nothing at all.
    answers_pings : bool
        Otherwise it seems dead while its socket lives.
    """

    def __init__(self) -> None:
        self.requests: list[Json] = []
        self.refusals: list[tuple[int, str]] = []
        self.symbol_limit = 10_000
        self.is_mute = False
        self.answers_pings = True
        self.connections = 0
        self.paths: list[str] = []
        self._clients: list[_Client] = []
        self._changed = threading.Condition()
        stream = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                stream._serve(_Client(WebSocket(self.connection, self.rfile)))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> AlpacaStockStream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.server_address[1]}"

    def tell(self, *messages: Json) -> None:
        """Send messages, in one array, to whoever has subscribed to their symbols."""
        for client in self._known():
            wanted = [m for m in messages if m.get("S") in client.channels.get(_CHANNEL_OF.get(m["T"], ""), ())]
            if wanted:
                client.send(*wanted)

    def tell_anyway(self, *messages: Json) -> None:
        """Send messages to every client, subscribed or not."""
        for client in self._known():
            client.send(*messages)

    def send_bytes(self, payload: bytes) -> None:
        """Send a text frame with these bytes."""
        for client in self._known():
            client.socket.write(frame(TEXT, payload))

    def disconnect(self) -> None:
        """Cut every connection, without a closing handshake."""
        with self._changed:
            clients, self._clients = self._clients, []
        for client in clients:
            client.socket.cut()

    def wait_for(self, symbols: set[str], *, connections: int = 1, timeout_seconds: float = 10.0) -> None:
        """Return when exactly these symbols are subscribed to, on the connection of that number or a later one."""

        def are_there() -> bool:
            found = self._clients[-1].channels["quotes"] if self._clients else None
            return self.connections >= connections and found == symbols

        with self._changed:
            if not self._changed.wait_for(are_there, timeout_seconds):
                raise TimeoutError(f"{self.connections} connections, requests {self.requests}")

    def _known(self) -> list[_Client]:
        with self._changed:
            return [client for client in self._clients if client.is_known]

    def _serve(self, client: _Client) -> None:
        self.paths.append(client.socket.shake_hands())
        with self._changed:
            self.connections += 1
            self._clients.append(client)
            self._changed.notify_all()
        if not self.is_mute:
            client.send({"T": "success", "msg": "connected"})
        while (received := client.socket.receive()) is not None:
            kind, payload = received
            if kind == PING:
                if self.answers_pings:
                    client.socket.write(frame(PONG, payload))
            elif not self.is_mute:
                self._answer(client, msgpack.unpackb(payload) if client.is_packed else json.loads(payload))
        with self._changed:
            if client in self._clients:
                self._clients.remove(client)

    def _answer(self, client: _Client, request: Json) -> None:
        if request["action"] == "auth":
            refusal = self.refusals.pop(0) if self.refusals else None
            if refusal is None and (request["key"], request["secret"]) != (KEY_ID, SECRET_KEY):
                refusal = (402, "auth failed")
            if refusal is not None:
                client.send({"T": "error", "code": refusal[0], "msg": refusal[1]})
                return
            client.is_known = True
            client.send({"T": "success", "msg": "authenticated"})
            return
        self.requests.append(request)
        changed = {channel: set(client.channels[channel]) for channel in CHANNELS}
        for channel in CHANNELS:
            symbols, is_added = set(request.get(channel) or ()), request["action"] == "subscribe"
            changed[channel] = changed[channel] | symbols if is_added else changed[channel] - symbols
        if len(changed["quotes"]) > self.symbol_limit:
            client.send({"T": "error", "code": 405, "msg": "symbol limit exceeded"})
            return
        lists = {channel: sorted(symbols) for channel, symbols in changed.items()}
        automatic = {"corrections": lists["trades"], "cancelErrors": lists["trades"]}
        client.send({"T": "subscription", **lists, **automatic})
        with self._changed:
            client.channels = changed
            self._changed.notify_all()


def _nanoseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000_000) * 1000
