"""Generated bars: seeded, the same for every engine, kept as .npy files that each process maps.

Belongs here: how prices are made and stored. What is traded on them is in :mod:`benchmarks.backtesting.tasks`.

Notes
-----
All prices are multiples of an eighth of a dollar. Sums of such prices are exact in float64, so an average is the same
number however an engine sums, and two averages that tie do so everywhere; one flipped signal would make every later
number differ. An eighth also has three decimals, as many as the coarsest peer stores.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TICK_USD = 0.125
MINUTES_PER_SESSION = 390
FIRST_SESSION = np.datetime64("2010-01-04")
COLUMNS = ("times", "open", "high", "low", "close", "volume")

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Bars:
    """Bars of one symbol, columns of shape (bars,), or of many, columns of shape (bars, symbols).

    `times` is always one-dimensional: the instant at which the bars close, in nanoseconds since 1970, UTC. Prices are
    USD, volumes shares.
    """

    times: Integers
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def first(self, bars: int) -> Bars:
        """Return the first `bars` bars, contiguous and in memory."""
        return Bars(*(np.array(getattr(self, column)[:bars]) for column in COLUMNS))

    def symbols(self, first: int, end: int) -> Bars:
        """Return the symbols of columns `first` to `end`, one-dimensional if it is one."""
        chosen = slice(first, end) if end - first > 1 else first
        columns = (np.ascontiguousarray(getattr(self, column)[:, chosen]) for column in COLUMNS[1:])
        return Bars(self.times, *columns)


def minute_bars(bars: int, *, seed: int = 20) -> Bars:
    """Return `bars` one-minute bars of one symbol that swings around 1,000 USD.

    Notes
    -----
    The logarithm of the price reverts slowly to its mean, so that a million bars stay between about 500 and 2,000 USD.
    A bar opens up to a few ticks away from the close before it, and its range stays below 4 USD: a bracket 4 USD wide
    can neither fill in its entry's own bar nor reach both exits in one bar, where engines have different conventions.
    """
    random = np.random.default_rng(seed)
    steps = random.normal(0.0, 5e-4, bars)
    deviation = np.empty(bars)
    last = 0.0
    for bar, step in enumerate(steps.tolist()):
        last = last * 0.99999 + step
        deviation[bar] = last
    close = _to_tick(1_000.0 * np.exp(deviation))
    open_ = np.empty(bars)
    open_[0] = 1_000.0
    open_[1:] = close[:-1] + TICK_USD * random.integers(-2, 3, bars - 1)
    reach = random.integers(0, 6, (2, bars)) * TICK_USD
    high, low = np.maximum(open_, close) + reach[0], np.minimum(open_, close) - reach[1]
    assert (high - low).max() < 4.0
    return Bars(_minute_times(bars), open_, high, low, close, random.integers(10_000, 50_000, bars).astype(np.float64))


def daily_bars(sessions: int, symbols: int, *, seed: int = 21) -> Bars:
    """Return `sessions` daily bars of `symbols` symbols with a common factor and volatilities of 0.8 to 3.2 % a day."""
    random = np.random.default_rng(seed)
    volatility = random.uniform(0.008, 0.032, symbols)
    start = random.uniform(400.0, 2_000.0, symbols)
    market = random.normal(0.0, 1.0, (sessions, 1))
    returns = volatility * (0.5 * market + np.sqrt(0.75) * random.normal(0.0, 1.0, (sessions, symbols)))
    deviation = np.empty_like(returns)
    last = np.zeros(symbols)
    for session in range(sessions):
        last = last * 0.998 + returns[session]
        deviation[session] = last
    close = np.maximum(_to_tick(start * np.exp(deviation)), 8.0)
    open_ = np.empty_like(close)
    open_[0] = _to_tick(start)
    gaps = 0.3 * volatility * random.normal(0.0, 1.0, (sessions - 1, symbols))
    open_[1:] = np.maximum(_to_tick(close[:-1] * np.exp(gaps)), 8.0)
    reach = _to_tick(close * volatility * random.uniform(0.0, 0.5, (2, sessions, symbols)))
    high, low = np.maximum(open_, close) + reach[0], np.maximum(np.minimum(open_, close) - reach[1], TICK_USD)
    volume = random.integers(1_000_000, 9_000_000, (sessions, symbols)).astype(np.float64)
    return Bars(_daily_times(sessions), open_, high, low, close, volume)


def save(bars: Bars, folder: Path) -> None:
    """Write each column to its own file in `folder`, complete or not at all."""
    half_made = folder.with_name(folder.name + ".part")
    half_made.mkdir(parents=True, exist_ok=True)
    for column in COLUMNS:
        np.save(half_made / f"{column}.npy", getattr(bars, column))
    half_made.rename(folder)


def load(folder: Path) -> Bars:
    """Map the columns in `folder`; they are read when they are used."""
    return Bars(*(np.load(folder / f"{column}.npy", mmap_mode="r") for column in COLUMNS))


def _to_tick(prices: Floats) -> Floats:
    return np.round(prices / TICK_USD) * TICK_USD


def _sessions(count: int) -> NDArray[np.datetime64]:
    return np.busday_offset(FIRST_SESSION, np.arange(count))


def _minute_times(bars: int) -> Integers:
    sessions = _sessions(-(-bars // MINUTES_PER_SESSION)).astype("datetime64[m]")
    minutes = np.arange(14 * 60 + 31, 14 * 60 + 31 + MINUTES_PER_SESSION).astype("timedelta64[m]")
    times = (sessions[:, None] + minutes[None, :]).reshape(-1)[:bars]
    return times.astype("datetime64[ns]").astype(np.int64)


def _daily_times(sessions: int) -> Integers:
    closes = _sessions(sessions).astype("datetime64[m]") + np.timedelta64(21 * 60, "m")
    return closes.astype("datetime64[ns]").astype(np.int64)
