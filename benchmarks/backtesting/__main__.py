"""``python -m benchmarks.backtesting``: our engine beside the field's, paired in one run.

Belongs here: the command's options and the order of things. It makes the peers' environments, generates the markets,
asks the reference what has to come out, runs the rounds and prints the table.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.backtesting import environments, expectations, rounds, table, tasks

OURS = "aegis_engine"
OURS_FUSED = "aegis_fused"
PEERS = (
    OURS,
    OURS_FUSED,
    "vectorbt_rust",
    "vectorbt_numba",
    "hftbacktest",
    "backtesting_py",
    "backtrader",
    "bt",
    "zipline",
    "nautilus_rust",
    "nautilus_cython",
)
OUR_MODULES = {OURS, OURS_FUSED}


def facts_of(peer: str) -> dict[str, Any]:
    """Return a peer's constants, read from its source: importing it here would need its environment."""
    folder = Path(__file__).with_name("peers")
    facts: dict[str, Any] = {"CANNOT": {}, "LARGEST": {}, "DIFFERS": {}, "COMPILES": False}
    sources = [folder / "vectorbt_portfolios.py"] if peer.startswith("vectorbt") else []
    for source in [*sources, folder / f"{peer}.py"]:
        for statement in ast.parse(source.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.AnnAssign) and statement.value is not None:
                target, value = statement.target, statement.value
            elif isinstance(statement, ast.Assign):
                target, value = statement.targets[0], statement.value
            else:
                continue
            if isinstance(target, ast.Name) and target.id in {*facts, "ENVIRONMENT"}:
                facts[target.id] = ast.literal_eval(value)
    return facts


def run_task(task: str, peers: Sequence[str], *, quick: bool, repeats: int, cache: Path) -> dict[str, Any]:
    """Measure `peers` on one task, print its block and return everything measured."""
    size = tasks.SIZES[task].quick if quick else tasks.SIZES[task].full
    market = expectations.market_folder(tasks.SIZES[task].market, cache)
    engines, notes = [], {}
    for peer in peers:
        facts = facts_of(peer)
        if task in facts["CANNOT"]:
            notes[peer] = facts["CANNOT"][task]
            continue
        try:
            python = Path(sys.executable) if peer in OUR_MODULES else environments.python_of(facts["ENVIRONMENT"])
        except environments.EnvironmentUnavailableError as unavailable:
            notes[peer] = str(unavailable)
            continue
        if task in facts["DIFFERS"]:
            notes[peer] = facts["DIFFERS"][task]
        engines.append((peer, python, min(size, facts["LARGEST"].get(task, size))))
    logs = cache / "logs"
    logs.mkdir(exist_ok=True)
    # What compiles does so once before, so that the first run measured is that of a second process.
    compiling = [(peer, python, tasks.SIZES[task].quick) for peer, python, _ in engines if facts_of(peer)["COMPILES"]]
    for engine in compiling:
        rounds.measure([engine], task=task, market=market, rounds=0, logs=logs)
    measured = rounds.measure(engines, task=task, market=market, rounds=repeats, logs=logs)
    expected = {each.size: expectations.expected_outcome(task, each.size, cache) for each in measured}
    print(table.block(task, measured, expected, ours=OURS, notes=notes), flush=True)
    wrong = [
        each.peer
        for each in measured
        if not each.rounds
        or table.verdict(each, expected[each.size], is_explained=each.peer in notes) == table.DISAGREES
    ]
    engines_measured = [dataclasses.asdict(each) for each in measured]
    return {"task": task, "engines": engines_measured, "notes": notes, "wrong": wrong}


def main() -> None:
    """Read the options and run the tasks one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backtesting", description=__doc__)
    parser.add_argument("--tasks", default=",".join(tasks.SIZES), help="names separated by commas; all without it")
    parser.add_argument("--peers", default=",".join(PEERS), help="modules separated by commas; all without it")
    parser.add_argument("--quick", action="store_true", help="small sizes: whether everything runs, not how fast")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds of each engine")
    parser.add_argument("--output", type=Path, help="write everything measured to this JSON file")
    options = parser.parse_args()
    cache = environments.cache_folder()
    chosen, peers = options.tasks.split(","), options.peers.split(",")
    for given, known, what in ((chosen, tasks.SIZES, "task"), (peers, PEERS, "peer")):
        unknown = [name for name in given if name not in known]
        if unknown:
            parser.error(f"no {what} called {', '.join(unknown)}; there are {', '.join(known)}")
    repeats = 1 if options.quick else options.rounds
    results = [run_task(task, peers, quick=options.quick, repeats=repeats, cache=cache) for task in chosen]
    if options.output:
        options.output.write_text(json.dumps(results, indent=1), encoding="utf-8")
    wrong = [f"{peer} in task {result['task']}" for result in results for peer in result["wrong"]]
    if wrong:
        sys.exit(f"failed, or did something else than the reference: {', '.join(wrong)}; the remarks above say what")


if __name__ == "__main__":
    main()
