"""``python -m benchmarks.data_layer``: the lake beside other stores, paired in one run.

Belongs here: the command's options, the table and the targets. It makes the environment of ArcticDB on first use and
generates the market.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import json
import statistics
import sys
from pathlib import Path

from benchmarks.backtesting import environments
from benchmarks.data_layer import market, rounds

OURS, PLAIN = "aegis_lake", "plain_parquet"
STORES = (OURS, PLAIN, "duckdb_file", "arctic")
_MOST_INGEST_RATIO, _MOST_AS_OF_RATIO, _MOST_MB = 1.5, 1.3, 2048.0


def main() -> None:
    """Read the options, measure, print the table and the targets, and fail where stores disagree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_layer", description=__doc__)
    parser.add_argument("--stores", default=",".join(STORES), help="modules separated by commas; all without it")
    parser.add_argument("--quick", action="store_true", help="50 symbols × 1 year: whether it runs, not how fast")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds of each store")
    parser.add_argument("--output", type=Path, help="write everything measured to this JSON file")
    options = parser.parse_args()
    chosen = options.stores.split(",")
    if unknown := [name for name in chosen if name not in STORES]:
        parser.error(f"no store called {', '.join(unknown)}; there are {', '.join(STORES)}")
    cache = environments.cache_folder()
    symbols, sessions = (
        (market.QUICK_SYMBOLS, market.QUICK_SESSIONS) if options.quick else (market.SYMBOLS, market.SESSIONS)
    )
    bars = market.market_file(cache, symbols=symbols, sessions=sessions)
    measured = rounds.measure(_found(chosen), bars=bars, rounds=1 if options.quick else options.rounds, cache=cache)
    print(f"{symbols} symbols × {sessions} sessions; medians, and how often ours; peak of resident memory", flush=True)
    for task in market.TASKS:
        _print_task(task, measured)
    _print_targets(measured)
    if options.output:
        told = [dataclasses.asdict(each) for each in measured]
        options.output.write_text(json.dumps(told, indent=1), encoding="utf-8")
    _refuse_disagreement(measured)


def _found(chosen: list[str]) -> list[tuple[str, Path, dict[str, str]]]:
    found = []
    for store in chosen:
        facts = _facts_of(store)
        try:
            own = facts.get("ENVIRONMENT")
            python = Path(sys.executable) if own is None else environments.python_of(str(own))
        except environments.EnvironmentUnavailableError as unavailable:
            print(f"{store} left out: {unavailable}", file=sys.stderr)
            continue
        cannot = facts.get("CANNOT", {})
        assert isinstance(cannot, dict)
        found.append((store, python, cannot))
    return found


def _facts_of(store: str) -> dict[str, object]:
    """Return a store's constants, read from its source: importing it here would need its environment."""
    tree = ast.parse((Path(__file__).with_name("stores") / f"{store}.py").read_text(encoding="utf-8"))
    assigned = [each for each in tree.body if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)]
    named = {each.targets[0].id: each.value for each in assigned if isinstance(each.targets[0], ast.Name)}
    return {name: ast.literal_eval(named[name]) for name in ("ENVIRONMENT", "CANNOT") if name in named}


def _median(one: rounds.Measured, task: str) -> float | None:
    return statistics.median(one.seconds[task]) if one.seconds.get(task) else None


def _print_task(task: str, measured: list[rounds.Measured]) -> None:
    print(f"\n{task}")
    ours = next((_median(one, task) for one in measured if one.store == OURS), None)
    for one in measured:
        seconds = _median(one, task)
        if seconds is None:
            print(f"  {one.name or one.store:36} {one.failure or one.cannot.get(task, 'not measured')}")
            continue
        spread = f"{min(one.seconds[task]):.3f}–{max(one.seconds[task]):.3f}"
        ratio = f"{seconds / ours:6.2f} ×" if ours else ""
        processor = statistics.median(one.processor_seconds[task])
        print(
            f"  {one.name:36} {seconds:8.3f} s  ({spread})  {ratio}  {processor:8.3f} s of processor"
            f"  {one.peak_mb[task]:6.0f} MB"
        )


def _print_targets(measured: list[rounds.Measured]) -> None:
    by_store = {one.store: one for one in measured if one.seconds}
    ours, plain = by_store.get(OURS), by_store.get(PLAIN)
    if ours is None:
        return
    print()
    if plain is not None:
        for unit, of_ours, of_plain in (
            ("× of time", ours.seconds, plain.seconds),
            ("× of processor time", ours.processor_seconds, plain.processor_seconds),
        ):
            found = _paired_ratio(of_ours["ingest"], of_plain["ingest"])
            print(_target("ingest beside plain Parquet", found, _MOST_INGEST_RATIO, unit))
    for unit, taken in (("× of time", ours.seconds), ("× of processor time", ours.processor_seconds)):
        found = _paired_ratio(taken["as_of_read"], taken["current_read"])
        print(_target("as-of read beside a current read", found, _MOST_AS_OF_RATIO, unit))
    print(_target("peak memory, the given bars included", max(ours.peak_mb.values()), _MOST_MB, "MB"))


def _paired_ratio(mine: list[float], theirs: list[float]) -> float:
    """Return the median of the rounds' ratios; of processor time it tells less of the machine's other work."""
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))


def _target(what: str, found: float, most: float, unit: str) -> str:
    return f"{'met   ' if found <= most else 'MISSED'}  {what}: {found:.2f} {unit}, at most {most:g} {unit}"


def _refuse_disagreement(measured: list[rounds.Measured]) -> None:
    wrong = [f"{one.store}: {one.failure}" for one in measured if one.failure]
    for task in market.TASKS:
        answers = {one.store: one.checksums[task] for one in measured if one.checksums.get(task)}
        if len({json.dumps(answer) for answer in answers.values()}) > 1:
            wrong.append(f"{task}: {answers}")
    if wrong:
        sys.exit("failed, or stores that answer differently: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
