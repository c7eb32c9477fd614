"""A process that keeps one session after another in a cache, to be killed or to run beside another.

Arguments: the cache's folder, then the sessions. Prints a line after each.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from aegis.clock import FixedClock
from aegis.market_data.sources.cached_answers import FETCHED_AT, KEPT_BARS, CachedAnswers, identity_of
from aegis.market_data.sources.content_store import ContentStore

SYMBOLS = ("AAA", "BBB", "SPY")


def main(folder: Path, sessions: list[date]) -> None:
    """Keep the bars of each session by itself."""
    now = datetime(2014, 6, 13, 21, tzinfo=UTC)
    store = ContentStore(folder, max_bytes=10**9, clock=FixedClock(now))
    answers = CachedAnswers(store, identity_of(source="yahoo", parameters={"symbols": SYMBOLS}))
    for session in sessions:
        rows = pd.DataFrame({"session": pd.Timestamp(session), "symbol": SYMBOLS, "ticker": SYMBOLS, "source": "yahoo"})
        prices = dict.fromkeys(("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"), 100.0)
        times = dict.fromkeys(("known_at_utc", FETCHED_AT), pd.Timestamp(now))
        answers.keep_new(KEPT_BARS.conform(rows.assign(**prices, volume_shares=1e6, **times)))
        print(session, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [date.fromisoformat(text) for text in sys.argv[2:]])
