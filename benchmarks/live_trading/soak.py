"""An hour of trading, watched from outside: whether memory, files and threads stay as they are, and nothing is lost.

Belongs here: starting the venue and the process that trades, committing decisions as the assets do, sampling, and
comparing the journal with the venue's own book at the end.

Notes
-----
Time is the wall's: the clock of all processes runs from ten minutes after the opening of a past session, at the pace of
the machine's. Orders come from a desk, at a steady rate of more than Alpaca takes, from a decision that is worked in
slices of a minute, and from one a minute that is sent at once. The stream is cut every half minute, a request or its
answer is lost every three quarters of one, and a monitor is looked at every five seconds.
"""

from __future__ import annotations

import math
import socket
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from aegis.config import AegisConfig
from aegis.errors import AegisError
from aegis.execution.decisions import INTENTS
from aegis.execution.journal import Journal
from aegis.execution.order_projections import order_statuses, recorded_fills
from aegis.workspace import Workspace
from benchmarks.live_trading import tests_on_the_path  # noqa: F401 - before tests' own
from benchmarks.live_trading.market import ACCOUNT, CALENDAR, SESSION, RunningClock, last_closes, make_history, settings
from benchmarks.live_trading.processes import Started
from benchmarks.live_trading.samples import Sample, sample
from tests.integration.live_trading.committed_rebalances import commit_rebalance

SAMPLE_SECONDS = 5.0
_AFTER_THE_OPENING = timedelta(minutes=10)
_CASH_USD = 1_000_000.0
_DESK_SYMBOLS = 16
_DECISION_SECONDS = 60.0
_WORKED_SHARES, _AT_ONCE_SHARES = 350.0, 10.0
_HELD_SHARES = 200.0
_SEED = 20141015


@dataclass
class Soaked:
    """What an hour of trading came to.

    Parameters
    ----------
    seconds : float
        How long orders were sent.
    samples : list of Sample
        Of the process that trades.
    looks : dict of str to int
        Answers of the health endpoint by status; ``none`` for none.
    trader, venue : dict
        What each says at its end.
    journal : dict
        Events, orders and fills by the journal.
    lost : list of str
        What journal and venue do not have alike; empty where nothing was lost.
    """

    seconds: float
    samples: list[Sample] = field(default_factory=list)
    looks: dict[str, int] = field(default_factory=dict)
    trader: dict[str, Any] = field(default_factory=dict)
    venue: dict[str, Any] = field(default_factory=dict)
    journal: dict[str, Any] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


def soak(folder: Path, *, seconds: float, orders_per_second: float) -> Soaked:
    """Trade for so many seconds of the wall's time and return what was seen.

    Parameters
    ----------
    folder : Path
        Empty; lake, journal and logs are kept there.
    seconds, orders_per_second : float
        How long, and the desk's rate.
    """
    make_history(settings(folder))
    quotes = last_closes(settings(folder))
    clock = RunningClock(CALENDAR.open_utc(SESSION) + _AFTER_THE_OPENING)
    shared = {"begins_utc": clock.begins_utc.isoformat(), "began_ns": clock.began_ns, "seed": _SEED}
    found = Soaked(seconds)
    with ExitStack() as opened:
        venue = Started("soaked_venue", folder, opened)
        desk_quotes = dict(list(quotes.items())[:_DESK_SYMBOLS])
        held = dict.fromkeys(desk_quotes, _HELD_SHARES)
        addresses = venue.tell({**shared, "quotes_usd": quotes, "cash_usd": _CASH_USD, "held_shares": held})
        health_port = _free_port()
        trader = Started("soaked_process", folder, opened)
        trader.tell(
            {
                **shared,
                "venue": addresses,
                "folder": str(folder),
                "health_port": health_port,
                "quotes_usd": desk_quotes,
                "orders_per_second": orders_per_second,
            }
        )
        config = settings(folder, addresses)
        _watch(found, trader.process.pid, config, clock, dict(list(quotes.items())[_DESK_SYMBOLS:]), health_port)
        found.trader = trader.end()
        found.venue = venue.end()
    names = found.venue.pop("names")
    found.journal, found.lost = _compared(config, names, found.venue, held)
    return found


def _watch(
    found: Soaked, process: int, config: AegisConfig, clock: RunningClock, quotes: dict[str, float], port: int
) -> None:
    """Sample, look at the monitor and commit decisions until the time is over."""
    began = time.monotonic()
    decisions, next_sample = 0, 0.0
    while (passed := time.monotonic() - began) < found.seconds:
        if passed >= decisions * _DECISION_SECONDS:
            decisions += 1
            _commit(config, clock, quotes, number=decisions)
        if passed >= next_sample:
            next_sample += SAMPLE_SECONDS
            found.samples.append(sample(process, passed))
            answer = _health(port)
            found.looks[answer] = found.looks.get(answer, 0) + 1
        time.sleep(0.2)


def _commit(config: AegisConfig, clock: RunningClock, quotes: dict[str, float], *, number: int) -> None:
    """Commit a decision: the first is worked in slices until the close, later ones buy and sell the same at once."""
    decided = CALENDAR.previous(SESSION)
    at_once = _AT_ONCE_SHARES if number % 2 == 0 else -_AT_ONCE_SHARES
    commit_rebalance(
        config,
        dict.fromkeys(quotes, _WORKED_SHARES if number == 1 else at_once),
        quotes,
        decided=decided,
        traded=SESSION,
        algorithm="twap" if number == 1 else "market",
        at_utc=clock.now_utc(),
        number=number,
    )


def _compared(
    config: AegisConfig, names: list[str], venue: dict[str, Any], held_before: dict[str, float]
) -> tuple[dict[str, Any], list[str]]:
    """Return what the journal holds, and what of it the venue has otherwise."""
    lost = []
    with Journal.open(Workspace.of(config).journal(ACCOUNT), account=ACCOUNT) as journal:
        try:
            events = journal.verify()
        except AegisError as error:
            return {}, [str(error)]
        rows = journal.events()
        fills = recorded_fills(journal, first=SESSION, last=SESSION)
    intents = [str(row.client_order_id) for row in rows if row.kind in INTENTS]
    states = Counter(str(status.state) for status in order_statuses(rows).values())
    shares = dict(held_before)
    for fill in fills:
        shares[fill.symbol] = shares.get(fill.symbol, 0.0) + fill.quantity_shares
    held = {symbol: total for symbol, total in sorted(shares.items()) if total}
    executed = math.fsum(abs(fill.quantity_shares) for fill in fills)
    if venue["most_under_one_name"] > 1:
        lost.append(f"an order was accepted {venue['most_under_one_name']} times")
    if held != dict(sorted(venue["positions"].items())):
        lost.append(f"positions: the journal has {held}, the venue {venue['positions']}")
    if (len(fills), executed) != (venue["executions"], venue["executed_shares"]):
        lost.append(
            f"executions: the journal has {len(fills)} of {executed:g} shares, the venue {venue['executions']} of "
            f"{venue['executed_shares']:g}"
        )
    known = set(intents)
    strangers = [name for name in names if name.partition(".")[0] not in known]
    if strangers:
        lost.append(f"{len(strangers)} orders of the venue are not in the journal, such as {strangers[0]}")
    if len(known) != len(intents):
        lost.append(f"{len(intents) - len(known)} intents were recorded twice")
    told = {"events": events, "orders": len(intents), "fills": len(fills), "states": dict(sorted(states.items()))}
    return told, lost


def _health(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5.0) as answer:
            answer.read()
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError:
        return "none"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
