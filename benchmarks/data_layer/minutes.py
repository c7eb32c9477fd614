"""Minute bars of 50 symbols over a year: drawn, judged, stored and read, with the memory that it takes.

``python -m benchmarks.data_layer.minutes`` prints the time of each step. The daily bars are random walks, the minutes
those of the simulated market within them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from aegis.config import MinuteBarsSettings
from aegis.lake.attachment import LakeLocation, attach
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.tables import MINUTE_BARS
from aegis.market_data.minute_checks import judge_minute_bars
from aegis.market_data.sources.simulated_minutes import SimulatedMinutes
from benchmarks.data_layer.features import market

_KIB_PER_MB = 1024


@dataclass(frozen=True)
class _Daily:
    """As much of a source of daily bars as minutes are drawn from."""

    rows: pd.DataFrame

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return the bars of some sessions."""
        return self.rows[self.rows["session"].between(pd.Timestamp(first), pd.Timestamp(last))]


def main() -> None:
    """Time each step and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--sessions", type=int, default=252)
    chosen = parser.parse_args()
    given = market(chosen.symbols - 1, 1)
    sessions = given.decided[-chosen.sessions :]
    daily = given.bars.copy()
    prices = [name for name in daily.columns if name.endswith("_usd")]
    daily[prices] = np.maximum(daily[prices].round(2), 0.01)
    source: Any = SimulatedMinutes(_Daily(daily), given.calendar, seed=1, vendor_delay=timedelta(minutes=15))
    names = tuple(daily["symbol"].unique())
    settings = MinuteBarsSettings(symbols=names, price_tolerance=0.0, volume_tolerance=0.0)
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect()
        attach(connection, LakeLocation(Path(folder) / "lake"))
        lake = Lake(connection)
        lake.create_tables([MINUTE_BARS])
        delivered = _timed("drawn", lambda: source.minute_bars(sessions, names))
        judged = _timed(
            "judged",
            lambda: judge_minute_bars(delivered, daily, sessions=sessions, calendar=given.calendar, settings=settings),
        )
        assert not judged.blocked_sessions
        message = CommitMessage("benchmark", "year", "benchmark", "1")
        replaced = Replacement(MINUTE_BARS, judged.bars, sessions[0], sessions[-1])
        version = _timed("stored", lambda: lake.write([replaced], message))
        own = names[len(names) // 2]
        one = _timed("one symbol read", lambda: lake.read(MINUTE_BARS, symbols=[own]))
        _timed("one symbol read as of", lambda: lake.read(MINUTE_BARS, symbols=[own], snapshot_id=version))
        middle = sessions[len(sessions) // 2]
        session = _timed("one session read", lambda: lake.read(MINUTE_BARS, first=middle, last=middle))
        assert one["close_raw_usd"].equals(judged.bars.query("symbol == @own")["close_raw_usd"].reset_index(drop=True))
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet"))
        connection.close()
    sys.stdout.write(
        f"{len(judged.bars):,} rows, of one symbol {len(one):,}, of one session {len(session):,}; "
        f"{size / 1e6:.0f} MB of Parquet; at most {_peak_mb():,.0f} MB resident\n"
    )


def _timed(name: str, step: Callable[[], Any]) -> Any:
    began, worked = time.perf_counter(), time.process_time()
    done = step()
    processor = time.process_time() - worked
    sys.stdout.write(f"{name:24} {processor:7.3f} s of processor, {time.perf_counter() - began:7.3f} s of time\n")
    sys.stdout.flush()
    return done


def _peak_mb() -> float:
    """Return the most that this process has held (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / _KIB_PER_MB


if __name__ == "__main__":
    main()
