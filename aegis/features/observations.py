"""What the features of some symbols are computed from: prices, returns, actions and the benchmark, as known at once.

Belongs here: the arrays that several features share, how many sessions of a window may be missing, and the cutting of a
panel into blocks of symbols. What a feature makes of them is in the module of its family.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aegis.features.panel import SessionSymbolPanel

CELLS_OF_A_BLOCK = 72_000
"""Sessions times symbols of a block, 576 kB an array: smaller ones are more calls, larger ones leave the caches.
Measured alike between 64,000 and 96,000."""

_CUT_FROM_THE_PANEL = (
    "has_bar", "is_known", "total_returns", "dollar_volume_usd", "open_usd", "high_usd", "low_usd", "close_usd",
    "split_ratios", "dividends_usd",
)  # fmt: skip

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Observations:
    """A block of symbols over consecutive sessions, the last `rows` of which get features.

    Arrays are those of :class:`~aegis.features.panel.SessionSymbolPanel` with axes exchanged: each symbol's sessions
    stand side by side.

    Parameters
    ----------
    first_symbol : int
        Position of the block's first symbol in the panel that it was cut from.
    rows : int
        Number of sessions, the last ones, that get features.
    has_bar, is_known : ndarray of bool, shape (n_symbols, n_sessions)
    total_returns : ndarray of float64, shape (n_symbols, n_sessions)
    dollar_volume_usd : ndarray of float64, shape (n_symbols, n_sessions)
        These four as in :class:`~aegis.features.panel.SessionSymbolPanel`.
    open_usd, high_usd, low_usd, close_usd : ndarray of float64, shape (n_symbols, n_sessions)
        Raw prices; NaN without a bar.
    split_ratios, dividends_usd : ndarray of float64, shape (n_symbols, n_sessions)
        New shares for one old, 1 without a split; cash per share held before the ex-session, 0 without a dividend.
    benchmark_returns : ndarray of float64, shape (1, n_sessions)
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
        return len(self.has_bar)

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
        ndarray of bool, shape (n_symbols, rows)
        """
        if (closes, lag) not in self._full_windows:
            known = self._counted(self._known_counts, closes, lag) == closes
            enough = self._counted(self._bar_counts, closes, lag) >= closes - missing_allowed(closes)
            self._full_windows[closes, lag] = known & enough
        return self._full_windows[closes, lag]

    def count(self, flags: Flags, length: int) -> NDArray[np.int32]:
        """Return how many flags are true in each trailing window, shape (n_symbols, rows)."""
        return self._counted(_counts(flags), length, 0)

    @cached_property
    def _full_windows(self) -> dict[tuple[int, int], Flags]:
        return {}

    @cached_property
    def _bar_counts(self) -> NDArray[np.int32]:
        return _counts(self.has_bar)

    @cached_property
    def _known_counts(self) -> NDArray[np.int32]:
        return _counts(self.is_known)

    def _counted(self, counts: NDArray[np.int32], length: int, lag: int) -> NDArray[np.int32]:
        end = counts.shape[1] - lag
        newest = counts[:, end - self.rows : end]
        start = end - self.rows - length
        if start < 0:
            raise ValueError(f"{self.rows} windows of {length} sessions, {lag} back, need {-start} more sessions")
        found: NDArray[np.int32] = newest - counts[:, start : start + self.rows]
        return found


def missing_allowed(length: int) -> int:
    """Return how many sessions of a window may lack a bar: 5 % of its `length`, rounded down, and at least one."""
    return max(1, length // 20)


def blocks_of_symbols(panel: SessionSymbolPanel) -> list[slice]:
    """Return the neighbouring symbols that are worked on together, as slices of the panel's symbols."""
    width = max(1, CELLS_OF_A_BLOCK // len(panel.sessions))
    return [slice(start, start + width) for start in range(0, len(panel.symbols), width)]


def observations(panel: SessionSymbolPanel, symbols: slice, *, rows: int, benchmark: str) -> Observations:
    """Return a block of the panel.

    Parameters
    ----------
    panel : SessionSymbolPanel
        Holds the benchmark among its symbols.
    symbols : slice
        One of :func:`blocks_of_symbols`.
    rows : int
        Number of sessions, the last of the panel, that get features.
    benchmark : str
        Permanent symbol of the benchmark.
    """
    market = panel.symbols.index(benchmark)
    one_session = _session_before(panel.has_bar[:, market])
    market_returns = np.where(one_session, panel.total_returns[:, market], np.nan)[None, :]
    arrays = {name: np.ascontiguousarray(getattr(panel, name)[:, symbols].T) for name in _CUT_FROM_THE_PANEL}
    return Observations(first_symbol=symbols.start, rows=rows, benchmark_returns=market_returns, **arrays)


def _session_before(has_bar: Flags) -> Flags:
    before = np.zeros_like(has_bar)
    before[..., 1:] = has_bar[..., :-1]
    return before


def _counts(flags: Flags) -> NDArray[np.int32]:
    """Return running counts: whole numbers, so that their differences are exact."""
    return np.cumsum(flags, axis=1, dtype=np.int32)
