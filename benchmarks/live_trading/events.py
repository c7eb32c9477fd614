"""Order events a second: written through state machine and journal, and replayed as at the start of trading.

Belongs here: the two measurements, and that nothing is lost between them. What is written is
:mod:`benchmarks.live_trading.order_stream`; how much a commit carries :mod:`benchmarks.live_trading.group_commit`.
"""

from __future__ import annotations

import gc
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aegis.clock import FixedClock
from aegis.config_eval import LiveRiskLimits
from aegis.execution.decisions import ASIDES, INTENTS
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_projections import order_event, order_statuses, recorded_fills
from aegis.execution.order_records import order_from_record
from aegis.execution.order_states import OrderState, OrderStatus, apply_event
from aegis.execution.orders import OrderEvent
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.journalled_rules import restored_risk_manager
from aegis.risk.exit_limits import ExitLimits
from benchmarks.live_trading.market import ACCOUNT, CALENDAR, SESSION
from benchmarks.live_trading.order_stream import Expected, order_stream, plain_lives
from benchmarks.live_trading.processes import Started

STREAM_FILE = "stream.sqlite"
STATES, MACHINE, VERIFIED, STARTED = "read and replayed", "state machine alone", "chain verified", "whole start"
STAGES = {
    STATES: "rows read from the file, decoded, and followed by the state machine",
    MACHINE: "events that are in memory, followed by the state machine",
    VERIFIED: "the hash chain computed anew",
    STARTED: "what a trading process does before its first order: chain, ledger, rules, open orders",
}


@dataclass
class Events:
    """What was measured.

    Parameters
    ----------
    orders, events, rows : int
        In the journal; rows are intents and decisions besides.
    written_seconds : float
        Committing 50 orders and what happened to them, one commit each, all together.
    replay_seconds, replay_processor_seconds : dict of str to list of float
        By stage, one entry a round; the processor's tell less of the machine's other work.
    peer_seconds, peer_processor_seconds : list of float
        Of the peer's state machine over the same lives, in the same rounds; empty without it.
    peer_events : int
        That it followed; an approval is none of them.
    lost : list of str
        What the journal, or the peer, has otherwise than it was generated; empty where nothing was lost.
    """

    orders: int
    events: int
    rows: int
    written_seconds: float
    replay_seconds: dict[str, list[float]] = field(default_factory=dict)
    replay_processor_seconds: dict[str, list[float]] = field(default_factory=dict)
    peer_seconds: list[float] = field(default_factory=list)
    peer_processor_seconds: list[float] = field(default_factory=list)
    peer_events: int = 0
    lost: list[str] = field(default_factory=list)


def measure(folder: Path, *, orders: int, rounds: int, peer_python: Path | None = None) -> Events:
    """Write a stream of orders, compare it with what was generated, and replay it.

    Parameters
    ----------
    folder : Path
        On the disk that is measured.
    orders : int
        Ten events each.
    rounds : int
        Of replay.
    peer_python : Path, optional
        Of the peer's environment; none is measured without.
    """
    folder.mkdir(parents=True, exist_ok=True)
    expected = Expected()
    stream = list(order_stream(orders, expected))
    (folder / "lives.json").write_text(json.dumps(plain_lives(stream)), encoding="utf-8")
    with ExitStack() as opened:
        peer = None if peer_python is None else Started("peers.nautilus_orders", folder, opened, python=peer_python)
        journal = opened.enter_context(Journal.open(folder / STREAM_FILE, account=ACCOUNT))
        ledger = WorkedLedger(journal, first=CALENDAR.previous(SESSION))
        began = time.perf_counter()
        for decision, events in stream:
            ledger.commit(decision, at_utc=CALENDAR.close_utc(decision.session))
            ledger.record(events)
            ledger.flush()
        written = time.perf_counter() - began
        del stream, ledger
        rows = journal.events()
        found = Events(expected.orders, expected.events, len(rows), written, lost=differences(journal, rows, expected))
        in_memory = _decoded(rows)
        del rows
        stages: dict[str, Callable[[], Any]] = {
            STATES: lambda: order_statuses(journal.events()),
            MACHINE: lambda: _followed(*in_memory),
            VERIFIED: journal.verify,
            STARTED: lambda: _started(journal),
        }
        if peer is not None:
            found.peer_events = peer.tell({"stream": str(folder / "lives.json")})["events"]
        for number in range(rounds + 1):
            if peer is not None:
                _take_round(found, peer.tell({}), expected, is_counted=number > 0)
            for stage, replay in stages.items():
                gc.collect()
                began, worked = time.perf_counter(), time.process_time()
                replay()
                seconds, processor = time.perf_counter() - began, time.process_time() - worked
                if number:  # the first round warms up
                    found.replay_seconds.setdefault(stage, []).append(seconds)
                    found.replay_processor_seconds.setdefault(stage, []).append(processor)
    return found


def _take_round(found: Events, answer: dict[str, Any], expected: Expected, *, is_counted: bool) -> None:
    """Take a round of the peer, and what it came to otherwise than was generated."""
    if is_counted:
        found.peer_seconds.append(answer["seconds"])
        found.peer_processor_seconds.append(answer["processor_seconds"])
    came_to = Counter(answer["states"]), answer["filled_shares"]
    if came_to != (expected.states, expected.traded_shares):
        found.lost.append(f"the peer came to {came_to}, generated {expected.states}, {expected.traded_shares} shares")


def differences(journal: Journal, rows: list[JournalRow], expected: Expected) -> list[str]:
    """Return what a journal holds otherwise than it was generated."""
    fills = recorded_fills(journal, first=SESSION, last=SESSION)
    shares: dict[str, list[float]] = {}
    for fill in fills:
        shares.setdefault(fill.symbol, []).append(fill.quantity_shares)
    intents = sum(row.kind in INTENTS for row in rows)
    compared = {
        "orders": (intents, expected.orders),
        "events": (sum(row.client_order_id is not None for row in rows) - intents, expected.events),
        "fills": (len(fills), expected.fills),
        "states": (Counter(str(s.state) for s in order_statuses(rows).values()), expected.states),
        "shares": (
            {name: math.fsum(parts) for name, parts in sorted(shares.items())},
            dict(sorted(expected.shares.items())),
        ),
        "chain": (journal.verify(), len(rows)),
    }
    return [
        f"{name}: the journal has {ours}, generated {theirs}"
        for name, (ours, theirs) in compared.items()
        if ours != theirs
    ]


def _decoded(rows: list[JournalRow]) -> tuple[dict[str, OrderStatus], list[OrderEvent]]:
    orders = [order_from_record(row.payload["order"]) for row in rows if row.kind in INTENTS]
    begun = {order.client_order_id: OrderStatus(order, OrderState.INTENT_RECORDED) for order in orders}
    told = (row for row in rows if row.client_order_id is not None and row.kind not in INTENTS | ASIDES)
    return begun, [order_event(row) for row in told]


def _followed(begun: dict[str, OrderStatus], events: list[OrderEvent]) -> dict[str, OrderStatus]:
    statuses = dict(begun)
    for event in events:
        statuses[event.client_order_id] = apply_event(statuses[event.client_order_id], event)
    return statuses


def _started(journal: Journal) -> object:
    """Do what :class:`~aegis.live_trading.execution_system.ExecutionSystem` does with the journal when it is opened."""
    journal.verify()
    ledger = WorkedLedger(journal, first=CALENDAR.offset(SESSION, -5))
    rules = restored_risk_manager(
        journal,
        limits=ExitLimits.from_settings(LiveRiskLimits()),
        clock=FixedClock(CALENDAR.close_utc(SESSION)),
        calendar=CALENDAR,
        kill_switch_engaged=lambda: False,
    )
    return rules, ledger.histories()
