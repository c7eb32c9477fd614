"""A source with faults planted in what it delivers, to see the quality gate refuse them.

Belongs here: the four faults of ``market_data.faults``. Any source can be wrapped; nothing that is stored is changed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from datetime import date

import numpy as np
import pandas as pd

from aegis.config import FaultSettings
from aegis.errors import ConfigurationError
from aegis.market_data.sources.source import MarketDataSource
from aegis.market_data.sources.wrapped import WrappedSource

Rows = pd.DataFrame


class FaultySource(WrappedSource):
    """A market-data source whose bars carry planted faults; everything else is the wrapped source's.

    Parameters
    ----------
    source : MarketDataSource
        The source to wrap.
    faults : tuple of FaultSettings
        Planted in order; several may hit one bar.

    Raises
    ------
    ConfigurationError
        A fault names a symbol that the source does not list, or a session outside its range; raised at once, so that a
        drill with a typing error does not pass for one that found nothing.

    Notes
    -----
    ``negative_price``
        The low of the bar becomes negative: no other rule about a bar is broken with it.
    ``duplicate_row``
        The bar is delivered twice.
    ``high_below_low``
        The high becomes 1 % less than the low.
    ``missing_bar``
        The bar is not delivered.
    """

    def __init__(self, source: MarketDataSource, faults: tuple[FaultSettings, ...]) -> None:
        _refuse_unknown_symbols(source, faults)
        _refuse_outside_range(source, faults)
        super().__init__(source)
        self._faults = faults

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return the wrapped source's bars with the faults of these sessions in them, in order of session and symbol.

        Raises
        ------
        ConfigurationError
            There is no bar to plant a fault in: the symbol does not trade in that session, or the day is no session.
        """
        bars = self._source.bars(first, last)
        for fault in self._faults:
            if first <= fault.session <= last:
                bars = _plant(bars, fault)
        return bars.sort_values(["session", "symbol"], kind="stable", ignore_index=True)


def _plant(bars: Rows, fault: FaultSettings) -> Rows:
    hit = ((bars["symbol"] == fault.symbol) & (bars["session"] == pd.Timestamp(fault.session))).to_numpy()
    if not hit.any():
        raise ConfigurationError(
            f"market_data.faults: {fault.kind} in {fault.symbol} {fault.session}: there is no bar to plant it in; "
            "choose a session in which the symbol trades"
        )
    return _FAULTS[fault.kind](bars, hit)


def _negative_price(bars: Rows, hit: np.ndarray) -> Rows:
    return bars.assign(low_raw_usd=bars["low_raw_usd"].mask(hit, -bars["low_raw_usd"].abs()))


def _duplicate_row(bars: Rows, hit: np.ndarray) -> Rows:
    return pd.concat([bars, bars[hit]], ignore_index=True)


def _high_below_low(bars: Rows, hit: np.ndarray) -> Rows:
    return bars.assign(
        high_raw_usd=bars["high_raw_usd"].mask(hit, bars["low_raw_usd"] - 0.01 * bars["low_raw_usd"].abs())
    )


def _missing_bar(bars: Rows, hit: np.ndarray) -> Rows:
    return bars[~hit]


_FAULTS: Mapping[str, Callable[[Rows, np.ndarray], Rows]] = {
    "negative_price": _negative_price,
    "duplicate_row": _duplicate_row,
    "high_below_low": _high_below_low,
    "missing_bar": _missing_bar,
}


def _refuse_unknown_symbols(source: MarketDataSource, faults: tuple[FaultSettings, ...]) -> None:
    if not faults:
        return
    symbols = sorted(set(source.listings()["symbol"]))
    for fault in faults:
        if fault.symbol not in symbols:
            nearest = difflib.get_close_matches(fault.symbol, symbols, n=1, cutoff=0.0)[0]
            raise ConfigurationError(
                f"market_data.faults: {fault.symbol} is not a symbol of the source {source.name}; the nearest is "
                f"{nearest}"
            )


def _refuse_outside_range(source: MarketDataSource, faults: tuple[FaultSettings, ...]) -> None:
    first, last = source.session_range()
    for fault in faults:
        if not first <= fault.session <= last:
            raise ConfigurationError(
                f"market_data.faults: {fault.symbol} {fault.session} lies outside the source {source.name}, which "
                f"covers {first} to {last}; choose a session inside"
            )
