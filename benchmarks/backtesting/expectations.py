"""Markets and what the reference says about them, kept in the cache under a hash of the code that made them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

from benchmarks.backtesting import markets, reference, tasks
from benchmarks.backtesting.tasks import Outcome


def market_folder(name: str, cache: Path) -> Path:
    """Return the folder of market `name`, generated if it is not there."""
    shape = tasks.MARKETS[name]
    folder = cache / "markets" / f"{name}-{'x'.join(map(str, shape))}-{_hash_of(markets)}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        make = markets.minute_bars if name == "minutes" else markets.daily_bars
        markets.save(make(*shape), folder)
    return folder


def expected_outcome(task: str, size: int, cache: Path) -> Outcome:
    """Return what the reference says about `task` at `size`; its answer is kept, because a sweep takes it minutes."""
    folder = cache / "expectations"
    folder.mkdir(exist_ok=True)
    file = folder / f"{task}-{size}-{_hash_of(markets, tasks, reference)}.json"
    if not file.is_file():
        market = markets.load(market_folder(tasks.SIZES[task].market, cache))
        outcome = reference.outcome(tasks.make_task(task, size, market))
        file.write_text(json.dumps(dataclasses.asdict(outcome)), encoding="utf-8")
    return Outcome(**json.loads(file.read_text(encoding="utf-8")))


def _hash_of(*modules: object) -> str:
    sources = b"".join(Path(str(getattr(module, "__file__", ""))).read_bytes() for module in modules)
    return hashlib.sha256(sources).hexdigest()[:12]
