"""A connection to TWS or IB Gateway, asked from any thread.

Belongs here: connecting, one request at a time with a timeout, and which of the gateway's errors are what. The client
library is ib_async when it is installed, else ib_insync, whose continuation it is; it is imported when it is first
needed. What is asked is :mod:`aegis.market_data.sources.interactive_brokers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from aegis.config_vendors import InteractiveBrokersSettings
from aegis.market_data.sources.call_policy import FailedAttempt
from aegis.tws_library import (
    CLIENT_ID_IN_USE,
    CUT_OFF,
    IS_FINE,
    NOT_VALID,
    OLDEST_SERVER,
    UnreadableMessages,
    load_tws_library,
)

Answer = TypeVar("Answer")

PACING_SECONDS = 60.0
"""How long to leave the gateway alone after a pacing violation: a tenth of its window of ten minutes."""
IDENTICAL_SECONDS = 15.0
"""Interactive Brokers refuses the same historical request within this time."""

_SETTINGS = "market_data.interactive_brokers"
_FINAL = {
    200: f"correct {_SETTINGS}.symbols to tickers of stocks that are quoted in USD",
    203: f"remove the symbol from {_SETTINGS}.symbols: the account may not see it",
    NOT_VALID: f"correct {_SETTINGS}: the gateway does not accept a parameter",
    354: "subscribe to the market data in Interactive Brokers' account management",
    10089: "subscribe to the market data in Interactive Brokers' account management",
    10314: f"install a newer Aegis, or correct {_SETTINGS}.first_session",
}
"""Errors that the same request meets again, with the remedy."""
_HISTORY_ERRORS = frozenset({162, 420})


class GatewayError(Exception):
    """The gateway said this instead of an answer; not one of ours, and turned into one by the source.

    Parameters
    ----------
    code : int
        Interactive Brokers' number.
    text : str
        Its words.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"error {code}: {text}")
        self.code = code
        self.text = text


def is_no_data(error: GatewayError) -> bool:
    """Whether an error says that there are no bars in the range."""
    return error.code in _HISTORY_ERRORS and "no data" in error.text.lower()


def failure_of(error: GatewayError) -> FailedAttempt:
    """Return an error of the gateway as the call policy takes it.

    Notes
    -----
    162 is a family: a pacing violation passes after a while, a missing permission does not. What is not known here may
    pass, so it is tried again.
    """
    text = error.text.lower()
    if "pacing violation" in text:
        return FailedAttempt(str(error), PACING_SECONDS)
    if error.code in _HISTORY_ERRORS and "permission" in text:
        return FailedAttempt(str(error), is_final=True, remedy=_FINAL[354])
    if error.code == CLIENT_ID_IN_USE:  # perhaps by our own broken connection, which the gateway forgets in a while
        remedy = f"set {_SETTINGS}.client_id to a number that no other program uses"
        return FailedAttempt(str(error), remedy=remedy)
    if error.code in _FINAL:
        return FailedAttempt(str(error), is_final=True, remedy=_FINAL[error.code])
    return FailedAttempt(str(error), IDENTICAL_SECONDS if error.code in _HISTORY_ERRORS else None)


class GatewayConnection:
    """A connection that is opened by the first request, kept, and opened anew after it broke.

    Parameters
    ----------
    settings : InteractiveBrokersSettings
        Host, port and client id.

    Notes
    -----
    The library needs an event loop in its thread, and neither a Dagster worker's thread nor a user's notebook has one
    to lend, so the connection lives in a thread of its own. Only the API is opened: unlike the library's own
    ``connect`` it asks for no account, position or order. A request that was not answered in time ends the connection,
    so that a late answer meets nobody.
    """

    def __init__(self, settings: InteractiveBrokersSettings) -> None:
        self._settings = settings
        self._thread = threading.Thread(target=self._run, name="interactive-brokers", daemon=True)
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._ib: Any = None
        self._broken: asyncio.Future[None]
        self._notice = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._loop, self._end = self._started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def answer(self, ask: Callable[[Any, Any], Awaitable[Answer]], timeout: float) -> Answer:
        """Return what the gateway answers.

        Parameters
        ----------
        ask : callable
            Takes the library's ``IB`` and the library itself; returns the awaitable answer.
        timeout : float
            Seconds for connecting, where that is needed, and for the answer.

        Raises
        ------
        OSError
            No connection, a broken one, or silence; asking again may help.
        GatewayError
            The gateway gave an error instead.
        """
        return asyncio.run_coroutine_threadsafe(self._answer(ask, timeout), self._loop).result()

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # the thread has no caller but the one that waits for its start
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _live(self) -> None:
        loop, end = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(lambda _, __: None)  # a frame that cannot be read ends the connection, which is told
        self._library = load_tws_library()
        name = self._library.__name__
        quiet = UnreadableMessages(self._cannot_read)
        logging.getLogger(name).addHandler(quiet)
        try:
            self._started.set_result((loop, end))
            await end.wait()
        finally:
            logging.getLogger(name).removeHandler(quiet)
            await self._drop()

    async def _answer(self, ask: Callable[[Any, Any], Awaitable[Answer]], timeout: float) -> Answer:
        try:
            async with asyncio.timeout(timeout):
                if self._ib is None:
                    await self._connect()
                return await self._unless_broken(ask(self._ib, self._library))
        except TimeoutError as error:
            await self._drop()
            raise TimeoutError(f"no answer within {timeout:g} s{self._last_notice()}") from error
        except (OSError, GatewayError):
            await self._drop()
            raise
        except self._library.wrapper.RequestError as error:
            raise GatewayError(error.code, error.message) from error

    async def _connect(self) -> None:
        self._notice = ""
        self._broken = asyncio.get_running_loop().create_future()
        self._broken.add_done_callback(lambda broken: broken.exception())  # not every break finds someone waiting
        ib = self._ib = self._library.IB()
        ib.RaiseRequestErrors = True
        ib.wrapper.clientId = self._settings.client_id
        ib.errorEvent += self._noticed
        ib.client.conn.disconnected += lambda reason: self._break(ConnectionError(self._end_of_connection(reason)))
        where = (self._settings.host, self._settings.port)
        await self._unless_broken(ib.client.connectAsync(*where, self._settings.client_id, None))
        if ib.client.serverVersion() < OLDEST_SERVER:
            version = ib.client.serverVersion()
            raise GatewayError(
                NOT_VALID, f"protocol {version} of the gateway is older than {OLDEST_SERVER}; update TWS"
            )

    async def _unless_broken(self, awaitable: Awaitable[Answer]) -> Answer:
        """Return what is awaited, or raise as soon as the connection cannot give it any more."""
        task: asyncio.Future[Any] = asyncio.ensure_future(awaitable)
        waited: set[asyncio.Future[Any]] = {task, self._broken}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.done():
                self._broken.result()
            answer: Answer = await task
            return answer
        finally:
            task.cancel()
            with contextlib.suppress(BaseException):  # what the request died of is the connection's end, told already
                await task

    async def _drop(self) -> None:
        ib, self._ib = self._ib, None
        if ib is None:
            return
        ib.errorEvent -= self._noticed
        closed = ib.client.conn.transport
        ib.client.disconnect()
        if closed is not None:
            await asyncio.sleep(0)  # lets the transport close before its loop may

    def _noticed(self, request_id: int, code: int, text: str, *_: object) -> None:
        if code not in IS_FINE:
            self._notice = f"error {code}: {text}"
        if code in CUT_OFF:  # nothing will be answered
            self._break(ConnectionError(f"error {code}: {text}"))
        # ib_async takes 'not valid' for a warning, and waits for an answer that never comes.
        if code == NOT_VALID or (code == CLIENT_ID_IN_USE and request_id < 0):
            self._break(GatewayError(code, text))

    def _cannot_read(self, what: str) -> None:
        if self._ib is not None:
            self._break(ConnectionError(f"a message that the client library cannot read: {what}"))

    def _break(self, error: Exception) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    def _end_of_connection(self, reason: str) -> str:
        return f"the connection ended{f' ({reason})' if reason else ''}{self._last_notice()}"

    def _last_notice(self) -> str:
        return f"; the gateway's last words were {self._notice!r}" if self._notice else ""
