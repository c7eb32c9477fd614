"""Alpaca's trade updates through alpaca-py's stream, in a thread of its own with an event loop of its own.

Belongs here: that it connects, connects again and says how it is. What an update means is
:mod:`aegis.execution.brokers.alpaca_intake`; what was lost while it was away is asked for by whoever is told of the new
connection.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from aegis.config_brokers import AlpacaBrokerSettings
from aegis.execution.brokers.alpaca_hosts import stream_url
from aegis.execution.brokers.alpaca_requests import keys, load_alpaca_py
from aegis.execution.brokers.stream_health import StreamHealth
from aegis.unlogged_frames import UnloggedFrames

_STOP_SECONDS = 0.05
_CLOSE_SECONDS = 1.0


class AlpacaStream:
    """The trade updates of one account.

    Parameters
    ----------
    settings : AlpacaBrokerSettings
        Address, keys, heartbeat and pauses.
    on_update : callable
        Takes the ``data`` of each trade update, in the stream's thread.
    on_connected : callable
        Called in the stream's thread whenever it begins to listen; what was told before is lost.
    seconds : callable, optional
        A clock that never goes back.

    Notes
    -----
    A connection without an answer to a ping within ``heartbeat_seconds`` counts as broken. Between two attempts it
    waits from ``reconnect_first_seconds`` on, doubled up to ``reconnect_longest_seconds``.
    """

    def __init__(
        self,
        settings: AlpacaBrokerSettings,
        *,
        on_update: Callable[[Mapping[str, Any]], None],
        on_connected: Callable[[], None],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_connected = on_connected
        self._on_update = on_update
        self._seconds = seconds
        self._connections = 0
        self._heard_at: float | None = None
        self._listens = threading.Event()
        self._stopping: asyncio.Task[None] | None = None
        self._stream = _stream(settings, heard=self._heard, listens=self._began)
        self._stream.subscribe_trade_updates(self._take)
        self._thread = threading.Thread(target=self._stream.run, name="alpaca-trade-updates", daemon=True)

    def start(self, *, timeout_seconds: float) -> bool:
        """Begin, and return whether it listens within so many seconds; it goes on trying either way."""
        self._thread.start()
        return self._listens.wait(timeout_seconds)

    def health(self) -> StreamHealth:
        """Return how it is."""
        heard = self._heard_at
        return StreamHealth(
            is_connected=self._thread.is_alive() and self._stream._ws is not None and self._stream._running,
            connections=self._connections,
            silent_seconds=None if heard is None else self._seconds() - heard,
        )

    def close(self) -> None:
        """End the connection and the thread."""
        while self._thread.is_alive():
            loop = self._stream._loop
            if loop is not None and loop.is_running():
                with suppress(RuntimeError):  # it has ended since
                    loop.call_soon_threadsafe(self._begin_to_stop)
            self._thread.join(_STOP_SECONDS)

    def _begin_to_stop(self) -> None:
        # Made where it runs: one that is handed to a loop which ends at that moment would never be awaited.
        if self._stopping is None or self._stopping.done():
            self._stopping = asyncio.get_running_loop().create_task(self._stop())

    async def _stop(self) -> None:
        # alpaca-py looks for its stop signal every five seconds; closing the socket wakes it at once.
        await self._stream.stop_ws()
        await self._stream.close()

    async def _take(self, message: Mapping[str, Any]) -> None:
        self._on_update(message.get("data") or {})

    def _heard(self) -> None:
        self._heard_at = self._seconds()

    def _began(self) -> None:
        self._connections += 1
        self._heard()
        self._listens.set()
        self._on_connected()


def _stream(settings: AlpacaBrokerSettings, *, heard: Callable[[], None], listens: Callable[[], None]) -> Any:
    load_alpaca_py()
    from alpaca.trading.stream import TradingStream  # noqa: PLC0415

    limit = settings.connect_timeout_seconds + settings.read_timeout_seconds

    class HeardStream(TradingStream):
        async def _start_ws(self) -> None:
            # alpaca-py waits for the greeting without an end.
            await asyncio.wait_for(super()._start_ws(), limit)  # type: ignore[no-untyped-call] # alpaca-py's

        async def _dispatch(self, msg: dict[str, Any]) -> None:
            heard()
            if msg.get("stream") == "listening":
                listens()
            await super()._dispatch(msg)

    key_id, secret_key = keys(settings)
    stream = HeardStream(
        key_id,
        secret_key,
        raw_data=True,
        url_override=stream_url(settings),
        websocket_params={
            "ping_interval": settings.heartbeat_seconds,
            "ping_timeout": settings.heartbeat_seconds,
            "open_timeout": settings.connect_timeout_seconds,
            "close_timeout": _CLOSE_SECONDS,
            "max_queue": None,
            "logger": UnloggedFrames("websockets.client"),
        },
    )
    stream._reconnect_min_backoff = settings.reconnect_first_seconds
    stream._reconnect_max_backoff = settings.reconnect_longest_seconds
    return stream
