"""Which ticker a vendor calls a permanent symbol by today, and back.

Belongs here: the two directions and what cannot be named. Where tickers come from is passed in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from aegis.errors import AegisError
from aegis.instruments import require_symbol


class TickerNames:
    """Names of the symbols that are watched; any thread may use it.

    Parameters
    ----------
    ticker_of : callable
        From a permanent symbol to its ticker of today; raises KeyError or an error of ours where there is none.
    """

    def __init__(self, ticker_of: Callable[[str], str]) -> None:
        self._ticker_of = ticker_of
        self._lock = threading.Lock()
        self._tickers: dict[str, str] = {}
        self._symbols: dict[str, str] = {}

    def add(self, symbols: Iterable[str]) -> Mapping[str, str]:
        """Name symbols, and return why some cannot be named; those are left out."""
        problems: dict[str, str] = {}
        with self._lock:
            for symbol in sorted(symbols):
                try:
                    ticker = require_symbol(self._ticker_of(symbol))
                except (KeyError, AegisError) as error:
                    problems[symbol] = f"no ticker of today is known ({error}); look at market_data/listings"
                    continue
                other = self._symbols.get(ticker, symbol)
                if other != symbol:
                    problems[symbol] = f"its ticker {ticker} is that of {other}; look at market_data/listings"
                    continue
                self._tickers[symbol], self._symbols[ticker] = ticker, symbol
        return problems

    def remove(self, symbols: Iterable[str]) -> None:
        """Forget symbols."""
        with self._lock:
            for symbol in symbols:
                ticker = self._tickers.pop(symbol, None)
                if ticker is not None:
                    del self._symbols[ticker]

    def symbol_of(self, ticker: object) -> str | None:
        """Return the permanent symbol that a vendor means."""
        with self._lock:
            return self._symbols.get(ticker) if isinstance(ticker, str) else None

    def tickers(self) -> dict[str, str]:
        """Return the ticker of each symbol."""
        with self._lock:
            return dict(self._tickers)
