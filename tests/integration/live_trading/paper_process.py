"""A process that trades two sessions on paper through the execution system, started to be killed.

One run a line on standard input: the boundary to die at, -1 for none, and the account's folder. Boundaries are what a
crash can leave behind: of each line of the paper file nothing, a half, all but its end, or all of it; of each commit of
the journal nothing, or all of it. A run takes up the clock where the one before it in the same folder died, asks again
for all that was asked for in the session, and says at the end what the account has come to.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import CorporateAction
from aegis.clock import SimulatedClock
from aegis.durable_files import replace_file
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.paper import PaperBroker
from aegis.execution.brokers.paper_log import PaperLog
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalHead, JournalRow
from aegis.execution.journal_sqlite import SqliteStore
from aegis.execution.order_projections import recorded_fills
from aegis.execution.orders import OrderEventKind
from aegis.live_trading.execution_system import ExecutionSystem
from tests.integration.live_trading.forked_runs import fork_each_run
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR, IN_SESSION, config_in, rebalance
from tests.minute_tapes import WrittenTape, flat, minute

FRIDAY, MONDAY = date(2014, 6, 6), date(2014, 6, 9)
CASH_USD = 10_000.0
PAPER_FILE, JOURNAL_FILE, CLOCK_FILE = "paper.jsonl", "journal.sqlite", "clock.txt"
SPLIT = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
MINUTES = (
    # session, minutes after the opening, symbol, USD a share, shares; a tenth of the volume is ours at most
    (FRIDAY, 1, "ABC", 10.00, 500.0),
    (FRIDAY, 2, "ABC", 10.10, 500.0),
    (FRIDAY, 3, "ABC", 8.40, 300.0),
    (FRIDAY, 4, "ABC", 8.45, 1_000.0),
    (FRIDAY, 5, "DEF", 20.00, 100.0),
    (FRIDAY, 6, "ABC", 9.00, 200.0),
    (FRIDAY, 60, "ABC", 9.50, 1_000.0),
    (MONDAY, 0, "ABC", 4.80, 1_000.0),
    (MONDAY, 2, "DEF", 20.00, 1_000.0),
)
MOMENTS = (
    (FRIDAY, timedelta(minutes=1)),
    (FRIDAY, timedelta(minutes=2)),
    (FRIDAY, timedelta(minutes=4)),
    (FRIDAY, timedelta(minutes=6)),
    (FRIDAY, timedelta(minutes=7)),
    (FRIDAY, timedelta(hours=6, minutes=30)),
    (MONDAY, timedelta(minutes=1)),
    (MONDAY, timedelta(hours=6, minutes=30)),
)
"""Session, and time after its opening, at which the process looks at the market."""


def kill_this_process() -> None:
    """End at once, as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


class Boundaries:
    """Counts what is passed, and ends the run at one of them.

    Parameters
    ----------
    last : int
        Number of the boundary that is not passed; negative for none.
    die : callable
        Does not return.
    """

    def __init__(self, last: int, die: Callable[[], None] = kill_this_process) -> None:
        self._last, self._die = last, die
        self.passed = 0

    @property
    def is_last(self) -> bool:
        """Whether the run ends at the next one."""
        return self.passed == self._last

    def reach(self) -> None:
        """Pass a boundary, or die."""
        if self.is_last:
            self._die()
        self.passed += 1


class KilledPaperLog(PaperLog):
    """A paper file whose lines may stay unwritten, be torn, or be the last thing that its process did."""

    def __init__(self, path: Path, boundaries: Boundaries) -> None:
        super().__init__(path)
        self._file, self._boundaries = path, boundaries

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a line; four boundaries."""
        before = self._file.stat().st_size if self._file.exists() else 0
        self._boundaries.reach()
        super().append(record)
        after = self._file.stat().st_size
        for size in ((before + after) // 2, after - 1):
            if self._boundaries.is_last:
                os.truncate(self._file, size)
            self._boundaries.reach()
        self._boundaries.reach()


@contextmanager
def commits_as(boundaries: Boundaries) -> Iterator[None]:
    """Make each commit of a database in this process two boundaries."""
    append, committed = SqliteStore.append, []

    def before(_: sa.Connection) -> None:
        boundaries.reach()
        committed.append(True)

    def after(*_: object) -> None:
        if committed:
            committed.clear()
            boundaries.reach()

    def appended(store: SqliteStore, account: str, continued: Callable[[JournalHead], Sequence[JournalRow]]) -> None:
        def within(head: JournalHead) -> Sequence[JournalRow]:
            boundaries.reach()
            return continued(head)

        append(store, account, within)
        boundaries.reach()

    listeners = ((sa.Engine, "commit", before), (sa.Pool, "checkin", after))
    for listener in listeners:
        sa.event.listen(*listener)
    SqliteStore.append = appended  # type: ignore[method-assign] # what the journal commits for an order
    try:
        yield
    finally:
        SqliteStore.append = append  # type: ignore[method-assign]
        for listener in listeners:
            sa.event.remove(*listener)


def written_tape() -> WrittenTape:
    """Return the market of the two sessions."""
    tape = WrittenTape(traded=("ABC", "DEF"), booked={MONDAY: (SPLIT,)})
    for session, minutes, symbol, price_usd, shares in MINUTES:
        opens = CALENDAR.open_utc(session) + timedelta(minutes=minutes)
        bars = {symbol: flat(price_usd, shares)}
        tape.written.append(minute(session, opens, opens + timedelta(minutes=1), bars))
    return tape


def ask(system: ExecutionSystem, moment: int) -> None:
    """Ask for what is asked for at one of the moments, whatever of it was done before."""
    if moment == 0:
        rebalance(system)
    elif moment == 3:
        system.submit_order(system.order("ABC", -30, name="sell", arrival_price_usd=8.45, is_reducing=True))
    elif moment == 6:
        system.book_actions((SPLIT,), session=MONDAY)
        system.submit_order(system.order("DEF", 40, name="later", arrival_price_usd=20.0))


def play(folder: Path, boundaries: Boundaries) -> dict[str, Any]:
    """Trade from where the clock stands to the end of the second session; return what the account has come to."""
    instants = [CALENDAR.open_utc(session) + after for session, after in MOMENTS]
    kept = folder / CLOCK_FILE
    clock = SimulatedClock(datetime.fromisoformat(kept.read_text()) if kept.exists() else IN_SESSION)
    with commits_as(boundaries):
        broker = PaperBroker(
            AccountState.opening(ACCOUNT, cash_usd=CASH_USD),
            log=KilledPaperLog(folder / PAPER_FILE, boundaries),
            tape=written_tape(),
            calendar=CALENDAR,
            costs=CostModel(),
            rules=TradingRules(participation_rate=0.1),
            clock=clock,
        )
        with closing(ExecutionSystem(broker, config_in(folder, clock))) as system:
            for number, at_utc in enumerate(instants):
                if at_utc > clock.now_utc():
                    replace_file(kept, at_utc.isoformat().encode())
                    clock.advance_to(at_utc)
                if clock.now_utc() < CALENDAR.close_utc(at_utc.date()):  # afterwards it would be another order
                    ask(system, number)
                system.step()
            breaks = list(system.reconcile().breaks)
        return {"breaks": breaks, **_account(broker, folder)}


def run(words: Sequence[str]) -> str:
    """Play until killed, or to the end, and return the boundaries passed and the account as JSON."""
    boundaries = Boundaries(int(words[0]))
    account = play(Path(words[1]), boundaries)
    return json.dumps({"boundaries": boundaries.passed, "account": account})


def _account(broker: PaperBroker, folder: Path) -> dict[str, Any]:
    """Return all that the account has come to, by the venue and by the journal."""
    with Journal.open(folder / JOURNAL_FILE, account=ACCOUNT) as journal:
        journal.verify()
        fills = recorded_fills(journal, first=FRIDAY, last=MONDAY)
        told = journal.events(kinds=[OrderEventKind.REPLACED, OrderEventKind.REPLACE_REJECTED])
    balance = broker.account()
    found = {
        (fill.client_order_id, fill.fill_number): [
            fill.filled_at_utc.isoformat(), fill.symbol, fill.quantity_shares, fill.price_usd
        ]
        for fill in fills
    }  # fmt: skip
    return {
        "cash_usd": balance.cash_usd,
        "equity_usd": balance.equity_usd,
        "held": [[held.symbol, held.quantity_shares] for held in broker.positions()],
        "fills": sorted(found.values()),
        "repeated_fills": len(fills) - len(found),
        "replacements": [row.kind for row in told],
    }


if __name__ == "__main__":
    fork_each_run(run)
