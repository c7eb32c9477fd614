"""The way to TWS or IB Gateway from any thread: connected, connected again, and asked without an event loop.

Belongs here: the thread that the connection lives in, when it connects again, and which errors become ours. The client
library is ib_async when it is installed, else ib_insync; either needs an event loop in its thread, and no thread of
ours or of a notebook has one to lend. What goes over the wire is
:mod:`aegis.execution.brokers.interactive_brokers_session`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from aegis.config_brokers import InteractiveBrokersBrokerSettings
from aegis.errors import BrokerUnavailable, ConfigurationError
from aegis.execution.brokers.interactive_brokers_messages import GatewayRefused, OrderSink
from aegis.execution.brokers.interactive_brokers_session import GatewaySession, OrderIds
from aegis.execution.brokers.stream_health import StreamHealth
from aegis.tws_library import CLIENT_ID_IN_USE, UnreadableMessages, load_tws_library

Answer = TypeVar("Answer")
_MOST_DOUBLINGS = 16


class InteractiveBrokersConnection:
    """A connection that is kept; safe to share between threads.

    Parameters
    ----------
    settings : InteractiveBrokersBrokerSettings
        Address, client id, timeouts and pauses.
    sink : OrderSink
        Takes what is told of orders, in the connection's thread.
    admit : callable
        Takes the accounts that the gateway manages, after each logon; raises ConfigurationError to end it for good.
    on_connected : callable
        Called in the connection's thread after each logon, and when the gateway has Interactive Brokers again: what
        was told before is lost.
    pause : callable, optional
        Waits so many seconds between attempts of one request.
    on_lost : callable, optional
        Called in the connection's thread with what went wrong, whenever a connection, or an attempt at one, has ended.
    session_type : type of GatewaySession
        What is asked and told over a connection.
    thread_name : str
        Of the connection's thread.
    """

    def __init__(
        self,
        settings: InteractiveBrokersBrokerSettings,
        *,
        sink: OrderSink,
        admit: Callable[[Sequence[str]], None],
        on_connected: Callable[[], None],
        pause: Callable[[float], None] = time.sleep,
        on_lost: Callable[[str], None] = lambda _: None,
        session_type: type[GatewaySession] = GatewaySession,
        thread_name: str = "interactive-brokers-orders",
    ) -> None:
        self._settings = settings
        self._on_lost = on_lost
        self._session_type = session_type
        self._sink = sink
        self._admit = admit
        self._on_connected = on_connected
        self._pause = pause
        self._ids = OrderIds()
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._run, name=thread_name, daemon=True)
        self._session: GatewaySession | None = None
        self._refusal: ConfigurationError | None = None
        self._failure = ""
        self._connections = 0
        self._closed = False

    def start(self) -> None:
        """Begin to connect, or wait once more where it has begun.

        Raises
        ------
        BrokerUnavailable
            No connection within ``connect_timeout_seconds``; it goes on trying.
        ConfigurationError
            The gateway does not manage the account, or may not trade it.
        """
        self.begin()
        self.ask(lambda session: session.time_utc(), attempts=1)

    def begin(self) -> None:
        """Begin to connect, and wait for no connection."""
        if self._thread.ident is None:
            self._thread.start()
        self._started.result()

    @property
    def session(self) -> GatewaySession | None:
        """The connection that is open now; for the connection's thread."""
        return self._session

    def take_order_id(self) -> int:
        """Return an order id that was never used on this connection, nor before it as far as the gateway says."""

        async def take() -> int:
            return self._ids.take()

        return self._result(take())

    def ask(self, question: Callable[[GatewaySession], Awaitable[Answer]], *, attempts: int | None = None) -> Answer:
        """Return the gateway's answer to a question; asked again after a pause where there is none.

        Raises
        ------
        BrokerUnavailable
            There is none.
        """
        most = attempts or self._settings.attempts
        for attempt in range(most):
            if attempt:
                self.rest_after(attempt - 1)
            try:
                return self.send(question)
            except BrokerUnavailable:
                if attempt == most - 1:
                    raise
        raise AssertionError  # the loop returns or raises

    def send(self, request: Callable[[GatewaySession], Awaitable[Answer]]) -> Answer:
        """Return the gateway's answer to a request that is made once.

        Raises
        ------
        BrokerUnavailable
            There is none, for whatever reason.
        """

        async def with_session() -> Answer:
            session = await self._ready()
            try:
                return await request(session)
            except GatewayRefused as error:
                raise BrokerUnavailable(f"Interactive Brokers: {error}; correct the request or ask again") from error
            except TimeoutError as error:
                limit = self._settings.answer_timeout_seconds
                raise BrokerUnavailable(f"Interactive Brokers: no answer within {limit:g} s; ask again") from error
            except OSError as error:
                raise BrokerUnavailable(f"Interactive Brokers: {error}; ask again when it is connected") from error

        return self._result(with_session())

    def require_ready(self) -> None:
        """Wait for a connection to Interactive Brokers, through the gateway.

        Raises
        ------
        BrokerUnavailable
            There is none.
        """

        async def check(session: GatewaySession) -> None:
            session.require_interactive_brokers()

        self.send(check)

    def rest_after(self, failures: int) -> None:
        """Pause before the next attempt, longer after more failures."""
        settings = self._settings
        self._pause(
            min(settings.first_pause_seconds * 2.0 ** min(failures, _MOST_DOUBLINGS), settings.longest_pause_seconds)
        )

    def call_later(self, seconds: float, then: Callable[[], None]) -> None:
        """Call something in the connection's thread, in which this is called."""
        asyncio.get_running_loop().call_later(seconds, then)

    def call_soon(self, then: Callable[[], None]) -> None:
        """Call something in the connection's thread, from any thread, once it has begun."""
        if self._started.done() and not self._closed:
            self._started.result().call_soon_threadsafe(then)

    def health(self) -> StreamHealth:
        """Return how the connection is."""
        session = self._session
        return StreamHealth(
            is_connected=session is not None and not session.lost.done() and not session.is_cut_off,
            connections=self._connections,
            silent_seconds=None if session is None else time.monotonic() - session.heard_at,
        )

    def close(self) -> None:
        """Let go of the connection and the thread."""
        if self._closed or not self._thread.is_alive():
            self._closed = True
            return
        self._closed = True
        self._started.result().call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _result(self, work: Awaitable[Answer]) -> Answer:
        if self._closed or not self._started.done():
            work.close()  # type: ignore[attr-defined] # all are coroutines
            raise BrokerUnavailable("Interactive Brokers: the broker is closed, or not connected yet; connect it")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._started.result()).result()  # type: ignore[arg-type]
        except CancelledError as error:
            raise BrokerUnavailable("Interactive Brokers: the broker was closed; make another one") from error

    async def _ready(self) -> GatewaySession:
        limit = self._settings.connect_timeout_seconds
        try:
            async with asyncio.timeout(limit):
                while self._refusal is None and (self._session is None or self._session.lost.done()):
                    await self._changed.wait()
        except TimeoutError as error:
            where = f"{self._settings.host}:{self._settings.port}"
            raise BrokerUnavailable(
                f"Interactive Brokers: no connection to {where} within {limit:g} s ({self._failure or 'no answer'}); "
                "start TWS or IB Gateway, enable its API, and look at brokers.interactive_brokers"
            ) from error
        if self._refusal is not None:
            raise self._refusal
        assert self._session is not None  # noqa: S101 - the loop above
        return self._session

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # the thread has no caller but the one that waits for its start
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, __: None)  # a frame that cannot be read ends the connection, which is told
        self._end, self._changed = asyncio.Event(), _Signal()
        self._library = load_tws_library()
        unread = UnreadableMessages(self._cannot_read)
        logger = logging.getLogger(self._library.__name__)
        logger.addHandler(unread)
        try:
            self._started.set_result(loop)
            await self._keep()
        finally:
            logger.removeHandler(unread)

    async def _keep(self) -> None:
        """Connect, and again whenever the connection is lost, until the end."""
        ending: asyncio.Future[Any] = asyncio.ensure_future(self._end.wait())
        failures = 0
        while not ending.done() and self._refusal is None:
            session = self._session_type(
                self._library, self._settings, self._sink, self._ids, on_restored=self._on_connected
            )
            self._opening = session
            try:
                opening = asyncio.ensure_future(session.open())
                await asyncio.wait(_either(opening, ending), return_when=asyncio.FIRST_COMPLETED)
                if opening.done():
                    opening.result()
                    self._admit(session.accounts)
                    failures = 0
                    self._begin(session)
                    await asyncio.wait(_either(session.lost, ending), return_when=asyncio.FIRST_COMPLETED)
                    self._failure = str(session.lost.exception()) if session.lost.done() else ""
                else:
                    opening.cancel()
            except ConfigurationError as error:
                self._refusal = error
            except (OSError, GatewayRefused) as error:
                self._failure = _explained(error)
            finally:
                self._session = None
                await session.close()
                self._changed.tell()
                self._on_lost(str(self._refusal or self._failure or "closed"))
            if self._refusal is None and not ending.done():
                await self._wait_before(failures, ending)
                failures = min(failures + 1, _MOST_DOUBLINGS)
        await ending

    def _begin(self, session: GatewaySession) -> None:
        self._session, self._failure = session, ""
        self._connections += 1
        self._changed.tell()
        self._on_connected()

    async def _wait_before(self, failures: int, ending: asyncio.Future[Any]) -> None:
        pause = self._settings.reconnect_first_seconds * 2.0**failures
        await asyncio.wait({ending}, timeout=min(pause, self._settings.reconnect_longest_seconds))

    def _cannot_read(self, what: str) -> None:
        self._opening.lose(ConnectionError(f"a message that the client library cannot read: {what}"))


class _Signal:
    """Wakes whoever waits for a change."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()


def _either(*futures: asyncio.Future[Any]) -> set[asyncio.Future[Any]]:
    return set(futures)


def _explained(error: Exception) -> str:
    if isinstance(error, GatewayRefused) and error.code == CLIENT_ID_IN_USE:
        # Perhaps by our own broken connection, which the gateway forgets in a while.
        return f"{error}; set brokers.interactive_brokers.client_id to a number that no other program uses"
    return str(error) or type(error).__name__
