"""``python -m benchmarks.live_trading``: latency to the wire and events a second, or an hour of trading (``--soak``).

Belongs here: the command's options and where results go. The tables and targets are
:mod:`benchmarks.live_trading.table`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.backtesting import environments
from benchmarks.live_trading import events, group_commit, latency, soak, table

_QUICK_ORDERS, _QUICK_STREAM = 50, 200


def main() -> None:
    """Read the options, measure, print, and fail where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_trading", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few orders: whether it runs, not how fast")
    parser.add_argument("--orders", type=int, default=1_000, help="whose latency is measured")
    parser.add_argument(
        "--stream", type=int, default=10_000, help="orders that are written and replayed, 10 events each"
    )
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds of replay")
    parser.add_argument(
        "--soak", type=float, metavar="SECONDS", help="trade so long instead, and watch memory; 3600 counts"
    )
    parser.add_argument("--orders-per-second", type=float, default=4.0, help="of the soak's desk")
    parser.add_argument("--folder", type=Path, help="a new one on the disk that is measured, which is kept")
    parser.add_argument("--output", type=Path, help="write everything measured to this JSON file")
    options = parser.parse_args()
    with contextlib.ExitStack() as opened:
        folder = options.folder or Path(opened.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        told, is_met = (_soak if options.soak else _measure)(folder.resolve(), options)
    if options.output:
        options.output.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if not is_met:
        sys.exit(1)


def _measure(folder: Path, options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    orders, stream = (_QUICK_ORDERS, _QUICK_STREAM) if options.quick else (options.orders, options.stream)
    to_the_wire = latency.measure(folder / "latency", orders=orders)
    is_fast = table.print_latency(to_the_wire)
    rounds = 1 if options.quick else options.rounds
    replayed = events.measure(folder / "events", orders=stream, rounds=rounds, peer_python=_peer())
    source = folder / "events" / events.STREAM_FILE
    groups = group_commit.measure(folder / "events", source, share=0.1 if options.quick else 1.0)
    is_kept = table.print_events(replayed, groups)
    told = {
        "latency": asdict(to_the_wire),
        "events": asdict(replayed),
        "group_commit": [asdict(each) for each in groups],
    }
    return told, is_fast and is_kept


def _peer() -> Path | None:
    try:
        return environments.python_of("nautilus_cython")
    except environments.EnvironmentUnavailableError as unavailable:
        sys.stderr.write(f"NautilusTrader left out: {unavailable}\n")
        return None


def _soak(folder: Path, options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    found = soak.soak(folder, seconds=options.soak, orders_per_second=options.orders_per_second)
    return asdict(found), table.print_soak(found)


if __name__ == "__main__":
    main()
