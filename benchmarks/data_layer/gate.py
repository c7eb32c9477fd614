"""The quality gate over a backfill and over one day, timed after its libraries have been imported.

``python -m benchmarks.data_layer.gate`` prints both beside their targets: ten years of 500 symbols in 60 s, one daily
partition in 2 s. The bars are clean but for what a random walk does by itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median

import pandas as pd

from aegis.config_quality import QualitySettings
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, RAW_BARS
from aegis.market_data.price_jumps import LOOKBACK_SESSIONS
from aegis.market_data.quality_gate import run_quality_gate
from benchmarks.data_layer.features import Market, market

_MOST_SECONDS = {"backfill": 60.0, "day": 2.0}


def main() -> None:
    """Judge the whole market once and its last session several times, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--days", type=int, default=5, help="how often one session is judged")
    chosen = parser.parse_args()
    given = market(chosen.symbols, chosen.years)
    _judge(given, sessions=1)  # imports, and what is made once a process
    days = [_judge(given, sessions=1) for _ in range(chosen.days)]
    backfill = _judge(given, sessions=len(given.decided))
    for name, (seconds, processor), sessions in (
        ("day", (median(d[0] for d in days), median(d[1] for d in days)), 1),
        ("backfill", backfill, len(given.decided)),
    ):
        most = _MOST_SECONDS[name]
        verdict = "met   " if processor <= most else "MISSED"
        sys.stdout.write(
            f"{verdict}  {name}: {sessions} sessions × {chosen.symbols} symbols in {processor:.2f} s of processor, "
            f"{seconds:.2f} s of time; at most {most:g} s\n"
        )


def _judge(given: Market, *, sessions: int) -> tuple[float, float]:
    """Return time and processor time of judging the last `sessions` sessions."""
    first, last = given.decided[-sessions], given.decided[-1]
    start = given.calendar.offset(first, -LOOKBACK_SESSIONS)
    bars = RAW_BARS.conform(given.bars[given.bars["session"] >= pd.Timestamp(start)])
    listings = LISTINGS.conform(
        pd.DataFrame({"symbol": given.bars["symbol"].unique()}).assign(
            ticker=lambda frame: frame["symbol"],
            first_session=given.bars["session"].min(),
            last_session=pd.NaT,
            name="benchmark",
            sector="Benchmark",
            tradable=True,
            source="benchmark",
        )
    )
    began, worked = time.perf_counter(), time.process_time()
    run_quality_gate(
        bars,
        listings=listings,
        actions=CORPORATE_ACTIONS.empty(),
        calendar=given.calendar,
        settings=QualitySettings(),
        snapshot_id=1,
        first=first,
        last=last,
    )
    return time.perf_counter() - began, time.process_time() - worked


if __name__ == "__main__":
    main()
