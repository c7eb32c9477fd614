"""The feature pass of a backfill, paired with a pandas group-by version of the same numbers.

``python -m benchmarks.data_layer.features`` prints for both the time from long tables to long table, their ratio in
each round, the memory that each needs in a process of its own, and by how much the numbers differ.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar, trading_calendar
from aegis.features.daily import LOOKBACK_SESSIONS, daily_features
from aegis.lake.tables import CORPORATE_ACTIONS, DAILY_BARS, UNIVERSE
from aegis.lake.tables.features import FEATURES
from benchmarks.data_layer.pandas_features import pandas_features

_LAST = date(2024, 12, 31)
_SESSIONS_PER_YEAR = 252
_BENCHMARK = "MKT"
_KIB_PER_MB = 1024


@dataclass(frozen=True)
class Market:
    """Bars of a market without gaps and actions, and its members: every symbol but the benchmark."""

    calendar: TradingCalendar
    bars: pd.DataFrame
    members: pd.DataFrame
    decided: list[date]
    decision_times: dict[date, datetime]


def market(symbols: int, years: int) -> Market:
    """Return a market of random walks with a common factor, from a fixed seed."""
    calendar = trading_calendar("XNYS")
    wanted = years * _SESSIONS_PER_YEAR
    sessions = calendar.sessions(calendar.offset(_LAST, 1 - wanted - LOOKBACK_SESSIONS), _LAST)
    random = np.random.default_rng(12)
    shape = len(sessions), symbols + 1
    common = random.normal(0.0003, 0.009, (shape[0], 1))
    closes = 40.0 * np.exp(np.cumsum(common + random.normal(0.0, 0.014, shape), axis=0))
    opens = closes * np.exp(random.normal(0.0, 0.006, shape))
    names = np.array([*(f"S{number:04d}" for number in range(symbols)), _BENCHMARK], dtype=object)
    bars = pd.DataFrame(
        {
            "session": np.repeat(pd.DatetimeIndex(sessions).to_numpy(), shape[1]),
            "symbol": np.tile(names, shape[0]),
            "ticker": np.tile(names, shape[0]),
            "open_raw_usd": opens.ravel(),
            "high_raw_usd": (np.maximum(opens, closes) * np.exp(random.exponential(0.004, shape))).ravel(),
            "low_raw_usd": (np.minimum(opens, closes) / np.exp(random.exponential(0.004, shape))).ravel(),
            "close_raw_usd": closes.ravel(),
            "volume_shares": random.integers(100_000, 900_000, closes.size).astype(np.float64),
            "source": "benchmark",
            "known_at_utc": np.repeat(calendar.closes_utc(sessions), shape[1]),
        }
    )
    decided = sessions[-wanted:]
    chosen = (bars["session"] >= pd.Timestamp(decided[0])) & (bars["symbol"] != _BENCHMARK)
    members = bars.loc[chosen, ["session", "symbol", "ticker", "known_at_utc"]].assign(
        sector="Benchmark", is_member=True, reason="benchmark", median_dollar_volume_usd=1.0
    )
    times = {session: calendar.close_utc(session) + timedelta(minutes=15) for session in decided}
    return Market(calendar, DAILY_BARS.conform(bars), UNIVERSE.conform(members), decided, times)


def by_aegis(given: Market) -> pd.DataFrame:
    """Compute the features as the asset does."""
    return daily_features(
        given.bars,
        CORPORATE_ACTIONS.empty(),
        given.members,
        first=given.decided[0],
        last=given.decided[-1],
        calendar=given.calendar,
        decision_times=given.decision_times,
        benchmark=_BENCHMARK,
    )


def by_pandas(given: Market) -> pd.DataFrame:
    """Compute the features with group-by and rolling windows."""
    return pandas_features(given.bars, first=pd.Timestamp(given.decided[0]), benchmark=_BENCHMARK)


SIDES: dict[str, Callable[[Market], pd.DataFrame]] = {"aegis": by_aegis, "pandas": by_pandas}


def largest_difference(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[float, str]:
    """Return the largest relative difference and its column.

    Notes
    -----
    Values below 1 % of their column's standard deviation are differences of larger numbers: theirs is relative to that.

    Raises
    ------
    ValueError
        A value is null on one side only, or the rows are others.
    """
    worst = 0.0, ""
    if not (ours["session"].equals(theirs["session"]) and ours["symbol"].equals(theirs["symbol"])):
        raise ValueError("both sides must have the same rows")
    for feature in FEATURES:
        a, b = ours[feature.name].to_numpy(), theirs[feature.name].to_numpy()
        if not np.array_equal(np.isnan(a), np.isnan(b)):
            raise ValueError(f"{feature.name} is null on one side only")
        scale = np.maximum(np.abs(b), max(0.01 * float(np.nanstd(b)), np.finfo(float).tiny))
        worst = max(worst, (float(np.nanmax(np.abs(a - b) / scale)), feature.name))
    return worst


def peak_mb(side: str, symbols: int, years: int) -> dict[str, float]:
    """Return what a process that makes the market and computes one side once needs at most, and before computing."""
    command = [
        sys.executable,
        "-m",
        __spec__.name,
        "--memory-of",
        side,
        "--symbols",
        str(symbols),
        "--years",
        str(years),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-of", choices=SIDES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    given = market(chosen.symbols, chosen.years)
    if chosen.memory_of:
        before = _resident_mb()
        SIDES[chosen.memory_of](given)
        sys.stdout.write(json.dumps({"market_mb": before, "peak_mb": _resident_mb()}))
        return
    # By the clock on the wall, which the two threads of the one side shorten, and by the processor, which they do not.
    elapsed: dict[str, list[float]] = {side: [] for side in SIDES}
    worked: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(chosen.rounds):
        order = list(SIDES) if number % 2 == 0 else list(reversed(SIDES))
        results = {}
        for side in order:
            began, busy = time.perf_counter(), time.process_time()
            results[side] = SIDES[side](given)
            elapsed[side].append(time.perf_counter() - began)
            worked[side].append(time.process_time() - busy)
        if number == 0:
            difference, column = largest_difference(results["aegis"], results["pandas"])
            _say(f"{len(results['aegis']):,} rows, {len(FEATURES)} columns, equal to {difference:.1e} ({column})")
    for side in SIDES:
        memory = peak_mb(side, chosen.symbols, chosen.years)
        _say(
            f"{side:8} {_told(elapsed[side])} s, {_told(worked[side])} s of processor, "
            f"peak {memory['peak_mb']:,.0f} MB, of which {memory['market_mb']:,.0f} MB before computing"
        )
    for name, taken in (("times as long", elapsed), ("times the processor", worked)):
        ratios = [theirs / ours for ours, theirs in zip(taken["aegis"], taken["pandas"], strict=True)]
        _say(f"pandas takes {_told(ratios)} {name}")


def _told(values: list[float]) -> str:
    return f"{median(values):.2f} [{min(values):.2f} to {max(values):.2f}]"


def _resident_mb() -> float:
    """Return the most that this process has held (Linux); what the system reports for it includes its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / _KIB_PER_MB


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
