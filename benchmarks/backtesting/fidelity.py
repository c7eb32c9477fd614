"""``python -m benchmarks.backtesting.fidelity``: what each part of the engine's fidelity costs in speed.

Belongs here: tasks A, B and C on our engine alone, once as the other benchmark runs them and once with each part
switched on, rounds interleaved. Fills differ between the lines, because the parts change them; every line's are
printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.financing import Financing
from aegis.backtesting.market_impact import SquareRoot
from benchmarks.backtesting import environments, expectations, markets, tasks
from benchmarks.backtesting.markets import FIRST_SESSION
from benchmarks.backtesting.peers.aegis_engine import bars_of, config_of, strategy_of
from benchmarks.backtesting.tasks import Task

Change = Callable[[BacktestConfig, Task], BacktestConfig]


def margin(config: BacktestConfig, _task: Task) -> BacktestConfig:
    """Use a margin account, watched at every close, with interest and borrow fees by calendar day."""
    financing = Financing(credit_rate_per_year=0.02, debit_rate_per_year=0.06, borrow_rate_per_year=0.01)
    rules = replace(config.rules, account_type="margin")
    return replace(config, rules=rules, costs=replace(config.costs, financing=financing))


def settlement(config: BacktestConfig, _task: Task) -> BacktestConfig:
    """Settle sales a session later."""
    return replace(config, rules=replace(config.rules, settlement_sessions=1))


def impact(config: BacktestConfig, _task: Task) -> BacktestConfig:
    """Add square-root impact, from trailing volatility and volume that are computed in the measured time."""
    return replace(config, costs=replace(config.costs, impact=SquareRoot()))


def partial_fills(config: BacktestConfig, task: Task) -> BacktestConfig:
    """Cap participation so that most orders need several bars; they work until cancelled or the session ends."""
    typical = {"A": tasks.CROSS_SHARES, "B": 50.0, "C": tasks.BRACKET_SHARES}[task.name]
    rate = 0.4 * typical / float(task.bars.volume.mean())
    return replace(config, rules=replace(config.rules, participation_rate=rate))


def fees(config: BacktestConfig, _task: Task) -> BacktestConfig:
    """Charge regulatory fees on sales, by effective date."""
    return replace(config, costs=replace(config.costs, regulatory_fees=True))


def corporate_events(config: BacktestConfig, task: Task) -> BacktestConfig:
    """Pay a dividend each quarter."""
    symbols = 1 if task.bars.close.ndim == 1 else task.bars.close.shape[1]
    first: date = FIRST_SESSION.astype(object)
    days = int((task.bars.times[-1] - task.bars.times[0]) // 86_400_000_000_000)
    quarters = [first + timedelta(days=ahead) for ahead in range(70, days, 91)]
    events = [
        CorporateEvent(kind="dividend", symbol=f"S{symbol}", ex_date=day, amount_usd=0.5)
        for symbol in range(symbols)
        for day in quarters
    ]
    return replace(config, events=events)


CHANGES: dict[str, Change | None] = {
    "as in the tasks": None,
    "margin account": margin,
    "T+1 settlement": settlement,
    "square-root impact": impact,
    "partial fills": partial_fills,
    "regulatory fees": fees,
    "quarterly dividends": corporate_events,
}


def main() -> None:
    """Read the options and print a block for each task."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backtesting.fidelity", description=__doc__)
    parser.add_argument("--tasks", default="A,B,C", help="names separated by commas")
    parser.add_argument("--quick", action="store_true", help="small sizes: whether everything runs, not how fast")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name in options.tasks.split(","):
        size = tasks.SIZES[name].quick if options.quick else tasks.SIZES[name].full
        folder = expectations.market_folder(tasks.SIZES[name].market, environments.cache_folder())
        print_block(tasks.make_task(name, size, markets.load(folder)), 1 if options.quick else options.rounds)


def print_block(task: Task, rounds: int) -> None:
    """Run `task` with every change in turn, `rounds` times after one that warms up, and print a line for each."""
    seconds: dict[str, list[float]] = {name: [] for name in CHANGES}
    fills: dict[str, int] = {}
    for turn in range(rounds + 1):
        for name, change in CHANGES.items():
            strategy, config = strategy_of(task), config_of(task)
            config = config if change is None else change(config, task)
            began = time.perf_counter()
            results = EventDrivenBacktest(strategy, bars_of(task.bars), config).run()
            if turn:
                seconds[name].append(time.perf_counter() - began)
            fills[name] = len(results.fill_records)
    plain = seconds["as in the tasks"]
    print(f"({task.name}) {tasks.SIZES[task.name].title}, {task.units:,} {task.unit}s")
    for name, measured in seconds.items():
        median = statistics.median(measured)
        ratio = statistics.median(this / base for this, base in zip(measured, plain, strict=True))
        print(f"  {name:<20} {task.units / median:>14,.0f} {task.unit}s/s  {ratio:>5.2f} x  {fills[name]:>9,} fills")


if __name__ == "__main__":
    main()
