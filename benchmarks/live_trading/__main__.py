"""``python -m benchmarks.live_trading``: latency to the wire and events a second, or with ``--soak`` an hour of trading.

Belongs here: the command's options, the table and the targets.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.live_trading import soak


def main() -> None:
    """Read the options, measure, print, and fail where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_trading", description=__doc__)
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="trade so long, and watch memory; 3600 counts")
    parser.add_argument("--orders-per-second", type=float, default=4.0, help="of the soak's desk")
    parser.add_argument("--folder", type=Path, help="a new one on the disk that is measured, which is kept")
    parser.add_argument("--output", type=Path, help="write everything measured to this JSON file")
    options = parser.parse_args()
    with contextlib.ExitStack() as opened:
        folder = options.folder or Path(opened.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        found = soak.soak(folder.resolve(), seconds=options.soak, orders_per_second=options.orders_per_second)
        is_met = soak.report(found)
        told = found.to_record()
    if options.output:
        options.output.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if not is_met:
        sys.exit(1)


if __name__ == "__main__":
    main()
