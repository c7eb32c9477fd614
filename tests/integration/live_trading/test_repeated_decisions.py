"""The same decision made again and again, by whatever makes it: no order more than the first time.

Rerun, backfill, Dagster runs at the same time in processes of their own, runs killed at any instant and started again,
and the process that trades restarted: all on one account, whose venue counts what it was sent.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from aegis.execution.decisions import DecisionEventKind
from aegis.execution.orders import OrderEventKind
from aegis.lake import tables
from aegis_sensors.jobs import EXECUTE_TRADES
from tests.integration.conftest import CALENDAR, THE_DAY
from tests.integration.live_trading.traded_account import MORNING, TradedAccount

BEGIN, DECIDED, EXECUTION = CALENDAR.sessions(CALENDAR.offset(THE_DAY, -3), CALENDAR.previous(THE_DAY))
PROGRAM = Path(__file__).with_name("deciding_process.py")
EACH = 40


class Repeated:
    """An account with a committed decision, and what must stay as it is."""

    def __init__(self, account: TradedAccount) -> None:
        self.account = account
        account.evening(BEGIN)
        account.day(DECIDED)
        account.evening(DECIDED)
        self.orders = account.chain.read(tables.ORDERS, account="paper")
        self.decided = self._decided()
        assert len(self.orders) > 10

    def rerun(self, first: date = DECIDED) -> None:
        assert all(self.account.chain.checks(self.account.chain.run(EXECUTE_TRADES, first, DECIDED)).values())

    def start_the_trader(self) -> None:
        """Start the process that trades on the morning of the orders, let it look, and stop it."""
        self.account.until(CALENDAR.open_utc(EXECUTION) + MORNING)
        self.account.start_and_stop()

    def require_no_order_more(self) -> None:
        assert self._decided() == self.decided
        assert self.account.chain.read(tables.ORDERS, account="paper").equals(self.orders)

    def require_each_sent_once(self) -> None:
        """Hold what the venue and the journal know of the second decision against its orders."""
        approved = self.orders[self.orders["gate_outcome"] == "approved"]
        wanted = set(approved.loc[approved["session"].dt.date == DECIDED, "client_order_id"])
        assert wanted
        at_venue = Counter(e.event.client_order_id for e in self.account.venue.events_since(0))
        assert wanted <= at_venue.keys()
        with self.account.journal() as journal:
            journal.verify()
            sent = Counter(row.client_order_id for row in journal.events(kinds=[OrderEventKind.SUBMITTED]))
        assert set(sent) == set(approved["client_order_id"])
        assert set(sent.values()) == {1}

    def _decided(self) -> Counter[str]:
        """Return how often the journal has each decision and each intent."""
        kinds = [DecisionEventKind.DECISION_COMMITTED, DecisionEventKind.INTENT_RECORDED]
        refused = [DecisionEventKind.DECISION_REFUSED]
        with self.account.journal() as journal:
            rows = journal.events(kinds=[*kinds, *refused])
        return Counter(f"{row.kind} {row.client_order_id or row.decision_id}" for row in rows)


@contextmanager
def deciding(file: Path, number: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start programs that make the book, and end them."""
    started = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"AEGIS_CONFIG": str(file), "PYTHONPATH": str(PROGRAM.parents[3]), "OMP_NUM_THREADS": "1"},
            text=True,
        )
        for _ in range(number)
    ]
    try:
        yield started
    finally:
        for program in started:
            program.communicate()


def ask(program: subprocess.Popen[str], line: str) -> None:
    assert program.stdin is not None
    program.stdin.write(line + "\n")
    program.stdin.flush()


def answer(program: subprocess.Popen[str]) -> str:
    """Return how a run ended: complete, refused, or killed."""
    assert program.stdout is not None
    said = program.stdout.readline().strip()
    if said != "ended":
        assert program.stdout.readline().strip() == "ended"
    return "killed" if said == "ended" else said


def test_a_decision_made_six_times_is_sent_once(eve: Path, tmp_path: Path) -> None:
    repeated = Repeated(TradedAccount(eve, tmp_path / "home", [BEGIN, DECIDED, EXECUTION]))
    repeated.rerun()
    repeated.rerun(CALENDAR.offset(BEGIN, -2))
    repeated.start_the_trader()
    repeated.start_the_trader()
    repeated.rerun()
    repeated.start_the_trader()
    repeated.require_no_order_more()
    repeated.require_each_sent_once()


@pytest.mark.long
def test_a_decision_made_two_hundred_times_is_sent_once(eve: Path, tmp_path: Path) -> None:
    repeated = Repeated(TradedAccount(eve, tmp_path / "home", [BEGIN, DECIDED, EXECUTION]))
    account, chosen = repeated.account, np.random.default_rng(20141014)
    file = tmp_path / "aegis.yaml"
    file.write_text(yaml.safe_dump(account.config.model_dump(mode="json")), encoding="utf-8")
    now = (account.clock.now_utc() + timedelta(minutes=5)).isoformat()
    ended: Counter[str] = Counter()
    with deciding(file, 2) as programs:
        for _ in range(EACH):
            for first, lives in ((DECIDED, 0.0), (CALENDAR.offset(BEGIN, -2), 0.0), (DECIDED, chosen.uniform(0.3, 4))):
                ask(programs[0], f"{file} {now} {first} {DECIDED} {lives}")
                ended[answer(programs[0]).split(" ")[0]] += 1
            for program in programs:
                ask(program, f"{file} {now} {DECIDED} {DECIDED} 0")
            for program in programs:
                ended[answer(program).split(" ")[0]] += 1
            repeated.require_no_order_more()
    assert sum(ended.values()) == 5 * EACH
    assert ended["complete"] >= 3 * EACH
    assert ended["killed"] > EACH // 4
    for _ in range(EACH):
        repeated.start_the_trader()
    repeated.rerun()
    repeated.require_no_order_more()
    repeated.require_each_sent_once()
