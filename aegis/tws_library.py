"""The client library of Interactive Brokers' TWS and IB Gateway, which market data and orders share.

Belongs here: which library is used, what both ask of the gateway's version, and which of its notices say what of its
own connection. What is asked for, and what an error means for it, belongs to whoever asks.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import threading
from collections.abc import Callable
from typing import Any

LIBRARIES = ("ib_async", "ib_insync")
"""The first that is installed is used; ib_async continues ib_insync."""
OLDEST_SERVER = 164
"""The first protocol of the gateway that states sizes as decimal numbers of shares."""
IS_FINE = frozenset({2104, 2106, 2107, 2108, 2119, 2158})
"""Notices that a connection works or is idle."""
CUT_OFF = frozenset({1100, 2110})
"""The gateway itself has lost Interactive Brokers."""
CLIENT_ID_IN_USE = 326
NOT_VALID = 321
"""A parameter that the gateway does not accept."""


def load_tws_library() -> Any:
    """Return the client library; call it in the thread of the event loop, which ib_insync wants when it is imported."""
    name = next(name for name in LIBRARIES if importlib.util.find_spec(name) is not None)
    return importlib.import_module(name)


class UnreadableMessages(logging.Handler):
    """Hears what the library tells only its log: messages that it cannot read.

    Parameters
    ----------
    tell : callable
        Takes what went wrong, in the thread that made this.

    Notes
    -----
    As a handler of the library's logger it also keeps Python from printing those lines to the terminal a second time.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell
        self._thread_id = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on that a message could not be read."""
        is_own = record.thread == self._thread_id  # other connections of this process have the same logger
        if is_own and record.levelno >= logging.ERROR and record.name.lower().endswith(".decoder"):
            cause = record.exc_info[1] if record.exc_info else None
            self._tell(f"{type(cause).__name__}: {cause}" if cause else "unknown")
