"""What the features of some symbols are computed from: prices, returns, actions and the benchmark, as known at once.

Belongs here: the arrays that several features share, how many sessions of a window may be missing, and the cutting of a
panel into blocks of symbols. What a feature makes of them is in the module of its family.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.features.panel import SessionSymbolPanel
from aegis.market_data.adjustments import splits_and_dividends
from aegis.market_data.panel_cells import session_symbol_arrays

CELLS_OF_A_BLOCK = 48_000
"""Sessions times symbols of a block: its few dozen arrays then stay near the processor instead of in main memory."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_PRICES = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd")


@dataclass(frozen=True)
class Observations:
    """A block of symbols over consecutive sessions, the last `rows` of which get features.

    Parameters
    ----------
    first_symbol : int
        Position of the block's first symbol in the panel that it was cut from.
    rows : int
        Number of sessions, the last ones, that get features.
    has_bar, is_known : ndarray of bool, shape (n_sessions, n_symbols)
    total_returns : ndarray of float64, shape (n_sessions, n_symbols)
    dollar_volume_usd : ndarray of float64, shape (n_sessions, n_symbols)
        These four as in :class:`~aegis.features.panel.SessionSymbolPanel`.
    open_usd, high_usd, low_usd, close_usd : ndarray of float64, shape (n_sessions, n_symbols)
        Raw prices; NaN without a bar.
    split_ratios, dividends_usd : ndarray of float64, shape (n_sessions, n_symbols)
        New shares for one old, 1 without a split; cash per share held before the ex-session, 0 without a dividend.
    benchmark_returns : ndarray of float64, shape (n_sessions, 1)
        Total return of the benchmark over one session; NaN without its bar in that session or the one before.
    """

    first_symbol: int
    rows: int
    has_bar: Flags
    is_known: Flags
    total_returns: Floats
    dollar_volume_usd: Floats
    open_usd: Floats
    high_usd: Floats
    low_usd: Floats
    close_usd: Floats
    split_ratios: Floats
    dividends_usd: Floats
    benchmark_returns: Floats

    @cached_property
    def is_observed(self) -> Flags:
        """Whether the session has a total return."""
        return ~np.isnan(self.total_returns)

    @cached_property
    def returns(self) -> Floats:
        """Total return; 0 where there is none."""
        return np.where(self.is_observed, self.total_returns, 0.0)

    @cached_property
    def gross_returns(self) -> Floats:
        """One plus the total return; 1 where there is none, so that the adjusted close is carried forward."""
        return 1.0 + self.returns

    @cached_property
    def has_one_session_return(self) -> Flags:
        """Whether the total return is that of one session: over a gap it is compared with nothing of one session."""
        return self.is_observed & _session_before(self.has_bar)

    @cached_property
    def has_traded(self) -> Flags:
        """Whether there is a bar with volume; a halted session's prices are only repeated."""
        return self.dollar_volume_usd > 0.0

    @cached_property
    def log_ranges(self) -> Floats:
        """Log of high over low; 0 where nothing was traded."""
        return np.log(np.where(self.has_traded, self.high_usd / self.low_usd, 1.0))

    @property
    def symbols(self) -> int:
        """Number of symbols."""
        return int(self.has_bar.shape[1])

    def is_full(self, closes: int, *, lag: int = 0) -> Flags:
        """Return whether the closes of a window are known and few enough of its bars are missing.

        Parameters
        ----------
        closes : int
            Sessions of the window, the one that its first return starts from included.
        lag : int, default=0
            Number of sessions between the end of the window and the session it belongs to.

        Returns
        -------
        ndarray of bool, shape (rows, n_symbols)
        """
        known = self._counted(self._known_counts, closes, lag)
        full: Flags = (known == closes) & (
            self._counted(self._bar_counts, closes, lag) >= closes - missing_allowed(closes)
        )
        return full

    def count(self, flags: Flags, length: int) -> NDArray[np.int32]:
        """Return how many flags are true in each trailing window, shape (rows, n_symbols)."""
        return self._counted(_counts(flags), length, 0)

    @cached_property
    def _bar_counts(self) -> NDArray[np.int32]:
        return _counts(self.has_bar)

    @cached_property
    def _known_counts(self) -> NDArray[np.int32]:
        return _counts(self.is_known)

    def _counted(self, counts: NDArray[np.int32], length: int, lag: int) -> NDArray[np.int32]:
        end = len(counts) - lag
        newest = counts[end - self.rows : end]
        start = end - self.rows - length
        if start < 0:
            raise ValueError(f"{self.rows} windows of {length} sessions, {lag} back, need {-start} more sessions")
        found: NDArray[np.int32] = newest - counts[start : start + self.rows]
        return found


def missing_allowed(length: int) -> int:
    """Return how many sessions of a window may lack a bar: 5 % of its `length`, rounded down, and at least one."""
    return max(1, length // 20)


def observations(
    panel: SessionSymbolPanel,
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    *,
    rows: int,
    benchmark: str,
    as_known_at: datetime,
) -> Iterator[Observations]:
    """Yield the panel in blocks of neighbouring symbols.

    Parameters
    ----------
    panel : SessionSymbolPanel
        Holds the benchmark among its symbols.
    bars, actions : DataFrame
        What the panel was built from.
    rows : int
        Number of sessions, the last of the panel, that get features.
    benchmark : str
        Permanent symbol of the benchmark.
    as_known_at : datetime
        As the panel's: an action that became known later is not applied.
    """
    sessions, symbols = panel.sessions, panel.symbols
    wanted = bars[bars["session"].between(pd.Timestamp(sessions[0]), pd.Timestamp(sessions[-1]))]
    prices = session_symbol_arrays(wanted, _PRICES, sessions=sessions, symbols=symbols)
    ratios, dividends = splits_and_dividends(actions, symbols, sessions, as_known_at=as_known_at)
    market = symbols.index(benchmark)
    one_session = _session_before(panel.has_bar[:, market])
    market_returns = np.where(one_session, panel.total_returns[:, market], np.nan)[:, None]
    width = max(1, CELLS_OF_A_BLOCK // len(sessions))
    for start in range(0, len(symbols), width):
        block = slice(start, start + width)
        opens, highs, lows, closes = (np.ascontiguousarray(values[:, block]) for values in prices)
        yield Observations(
            first_symbol=start,
            rows=rows,
            has_bar=np.ascontiguousarray(panel.has_bar[:, block]),
            is_known=np.ascontiguousarray(panel.is_known[:, block]),
            total_returns=np.ascontiguousarray(panel.total_returns[:, block]),
            dollar_volume_usd=np.ascontiguousarray(panel.dollar_volume_usd[:, block]),
            open_usd=opens,
            high_usd=highs,
            low_usd=lows,
            close_usd=closes,
            split_ratios=np.ascontiguousarray(ratios[:, block]),
            dividends_usd=np.ascontiguousarray(dividends[:, block]),
            benchmark_returns=market_returns,
        )


def _session_before(has_bar: Flags) -> Flags:
    before = np.zeros_like(has_bar)
    before[1:] = has_bar[:-1]
    return before


def _counts(flags: Flags) -> NDArray[np.int32]:
    """Return running counts: whole numbers, so that their differences are exact."""
    return np.cumsum(flags, axis=0, dtype=np.int32)
