"""From the decision to the wire: how long until the first byte of an order is at the venue's socket.

Belongs here: the paired measurement. In turns, in one run and on one disk: a raw write with fsync of as many bytes as
the order's rows have, the same rows committed to a journal that nothing else uses, and an order through
:class:`~aegis.live_trading.execution_system.ExecutionSystem`: rules, intent, verdict and 'submitted' in one commit, and
the request to the broker Alpaca in another process.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aegis.execution.brokers.alpaca import AlpacaBroker
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_ids import client_order_id
from aegis.live_trading.execution_config import ExecutionConfig
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.exit_review import MadeBy
from aegis.live_trading.journalled_rules import restored_risk_manager
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.live_safety import broker_for
from aegis.live_trading.risk_manager import LiveRiskManager
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_view import SymbolFacts
from aegis.workspace import Workspace
from benchmarks.live_trading.durable_commits import committed, write_and_sync
from benchmarks.live_trading.market import ACCOUNT, CALENDAR, SESSION, RunningClock, settings
from benchmarks.live_trading.processes import Started

SPEED = 10.0
"""Of the clock that the rules see: what is sent in a second counts as sent in ten, so that rates are as in trading."""
_QUOTES_USD = {f"S{number:02}": 20.0 + number for number in range(20)}
_CASH_USD = 1_000_000.0
_NOT_COUNTED = 20
_COMMITS_MEASURED = 50


@dataclass
class Latency:
    """What was measured, in nanoseconds, one entry an order.

    Parameters
    ----------
    raw_ns : list of int
        A write with fsync of as many bytes as the order's rows have.
    pages_ns : list of int
        The same of as many bytes as SQLite writes for them: whole pages of the table and its indexes.
    durable_ns : list of int
        The same rows in one commit of another journal.
    wire_ns : list of int
        From the call of ``submit_order`` to the first byte at the venue's socket.
    answer_ns : list of int
        From the same call to its return: the venue has accepted.
    row_bytes, file_bytes : int
        Of the rows of one order, and what SQLite writes for them.
    """

    raw_ns: list[int] = field(default_factory=list)
    pages_ns: list[int] = field(default_factory=list)
    durable_ns: list[int] = field(default_factory=list)
    wire_ns: list[int] = field(default_factory=list)
    answer_ns: list[int] = field(default_factory=list)
    row_bytes: int = 0
    file_bytes: int = 0


def measure(folder: Path, *, orders: int) -> Latency:
    """Measure so many orders, and a few before that are not counted.

    Parameters
    ----------
    folder : Path
        Empty, on the disk that is measured.
    orders : int
        How many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = Latency()
    called: dict[int, Any] = {}
    with ExitStack() as opened:
        desk = _Desk(folder, opened)
        raw = opened.enter_context((folder / "raw").open("ab", buffering=0))
        beside = opened.enter_context(Journal.open(folder / "beside.sqlite", account=ACCOUNT))
        rows = desk.submit(0)[2]
        found.row_bytes = sum(len(str(value)) for row in rows for value in row)
        found.file_bytes = _bytes_a_commit(beside, folder / "beside.sqlite-wal", rows)
        blocks = {"raw": os.urandom(found.row_bytes), "as SQLite writes": os.urandom(found.file_bytes)}
        gc.collect()
        for number in range(1, _NOT_COUNTED + orders + 1):
            desk.tell()
            steps: list[Callable[[], Any]] = [
                partial(_time, partial(write_and_sync, raw.fileno(), blocks["raw"]), found.raw_ns),
                partial(_time, partial(write_and_sync, raw.fileno(), blocks["as SQLite writes"]), found.pages_ns),
                partial(_time, _again(beside, rows, number), found.durable_ns),
                partial(_submit, desk, number, called),
            ]
            turn = number % len(steps)
            for step in (*steps[turn:], *steps[:turn]):
                step()
            beside.checkpoint()  # as the process that trades does for its own, between orders
            if number == _NOT_COUNTED:
                for measured in (found.raw_ns, found.pages_ns, found.durable_ns):
                    measured.clear()
        arrivals = desk.arrivals()
    for number in range(_NOT_COUNTED + 1, _NOT_COUNTED + orders + 1):
        name, (began, ended), _ = called[number]
        found.wire_ns.append(arrivals[name] - began)
        found.answer_ns.append(ended - began)
    return found


class _Desk:
    """An account that trades at a venue in another process."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self._clock = RunningClock(CALENDAR.open_utc(SESSION), speed=SPEED)
        self._venue = Started("arrivals", folder, opened)
        reached = self._venue.tell(
            {
                "begins_utc": self._clock.begins_utc.isoformat(),
                "began_ns": self._clock.began_ns,
                "speed": SPEED,
                "quotes_usd": _QUOTES_USD,
                "cash_usd": _CASH_USD,
            }
        )
        config = settings(folder, reached)
        made = broker_for(config, Workspace.of(config), clock=self._clock, calendar=CALENDAR).broker
        assert isinstance(made, AlpacaBroker)
        self._broker = opened.enter_context(made)
        limits = ExitLimits.from_settings(config.eval.live_trading.risk_limits)
        switch = KillSwitch(folder / "kill.json")

        def rules(journal: Journal) -> LiveRiskManager:
            self._rules = restored_risk_manager(
                journal,
                limits=limits,
                clock=self._clock,
                calendar=CALENDAR,
                kill_switch_engaged=switch.is_engaged,
            )
            return self._rules

        execution = ExecutionConfig(
            account=ACCOUNT,
            journal=folder / "journal.sqlite",
            kill_switch=folder / "kill.json",
            lease=folder / "lease.json",
            calendar=CALENDAR,
            rules=rules,
            clock=self._clock,
            made_by=MadeBy(code_version="benchmark", config_hash="benchmark"),
        )
        self._system = opened.enter_context(closing(ExecutionSystem(made, execution)))
        self._journal = opened.enter_context(Journal.open(execution.journal, account=ACCOUNT))
        facts = SymbolFacts(median_daily_volume_shares=1e7, is_shortable=False)
        self._rules.observe_symbols(dict.fromkeys(_QUOTES_USD, facts))
        self.tell()
        self._system.listen()

    def tell(self) -> None:
        """Tell the rules what they must hear again and again: clock and quotes."""
        now = self._clock.now_utc()
        self._rules.observe_clock_skew(0.0)
        for symbol, price in _QUOTES_USD.items():
            self._rules.observe_quote(symbol, bid_usd=price - 0.01, ask_usd=price + 0.01, at_utc=now)

    def submit(self, number: int) -> tuple[str, tuple[int, int], list[JournalRow]]:
        """Submit an order and cancel it; return its id, the instants around the call, and its rows before the wire."""
        symbol = sorted(_QUOTES_USD)[number % len(_QUOTES_USD)]
        price = _QUOTES_USD[symbol]
        order = self._system.order(
            symbol,
            1 + number % 97,
            name=f"number-{number}",
            arrival_price_usd=price,
            order_type="limit",
            limit_price_usd=round(price * 0.97, 2),
        )
        name = order.client_order_id
        began = time.monotonic_ns()
        status = self._system.submit_order(order)
        ended = time.monotonic_ns()
        if status.is_final:
            message = f"order {number} is {status.state}; the benchmark's limits keep it from the wire"
            raise RuntimeError(message)
        rows = [] if number else self._rows(order.decision_id)
        self._system.cancel_order(name)
        return name, (began, ended), rows

    def arrivals(self) -> dict[str, int]:
        """End the venue and return when the orders arrived."""
        self._system.close()
        self._broker.close()
        arrived: dict[str, int] = self._venue.end()["arrivals_ns"]
        return arrived

    def _rows(self, decision: str) -> list[JournalRow]:
        """Return the rows of an order that were committed before it left."""
        rows = [row for row in self._journal.events_after(0) if row.decision_id == decision]
        return rows[: [row.kind for row in rows].index("submitted") + 1]


def _time(action: Callable[[], object], taken_ns: list[int]) -> None:
    began = time.monotonic_ns()
    action()
    taken_ns.append(time.monotonic_ns() - began)


def _submit(desk: _Desk, number: int, called: dict[int, Any]) -> None:
    called[number] = desk.submit(number)


def _bytes_a_commit(journal: Journal, written: Path, rows: list[JournalRow]) -> int:
    """Return how many bytes SQLite writes for the rows of an order, on average over some commits."""
    before = written.stat().st_size
    for number in range(_COMMITS_MEASURED):
        _again(journal, rows, -1 - number)()
    return (written.stat().st_size - before) // _COMMITS_MEASURED


def _again(journal: Journal, rows: list[JournalRow], number: int) -> Callable[[], None]:
    """Return what commits the rows of an order as those of another one."""
    name = client_order_id(ACCOUNT, str(rows[0].decision_id), symbol=str(number))
    return committed(journal, rows, given=str(number), client_order_id=name)
