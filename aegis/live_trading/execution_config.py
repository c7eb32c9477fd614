"""Where an account that is traded lives, and what keeps it in bounds.

Belongs here: the values. What is done with them is :mod:`aegis.live_trading.execution_system`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aegis.calendars import TradingCalendar
from aegis.clock import Clock, SystemClock
from aegis.execution.journal import Journal
from aegis.execution.journal_anchor import AnchorPlace
from aegis.execution.journal_tables import JournalLocation
from aegis.live_trading.exit_review import ExitReview, MadeBy


@dataclass(frozen=True, kw_only=True)
class ExecutionConfig:
    """Where an account lives and what keeps it in bounds.

    Parameters
    ----------
    account : str
        Ours; the broker's own name of it is the broker's business.
    journal : Path, str or PostgresSchema
        Append-only event table of the account.
    kill_switch : Path
        File that stops all orders of the account while it says so.
    lease : Path
        File on a disk of this machine, by which one process at a time trades the account.
    calendar : TradingCalendar
        Sessions of the venue.
    rules : callable
        Makes the rules at the exit door from the journal.
    clock : Clock
        The machine's.
    made_by : MadeBy
        Versions written with orders that no asset decided.
    poll_seconds : float
        How often the broker's events, the kill switch and the schedule are looked at.
    reconcile_seconds : float
        How often the account is compared with the broker: at least twice within what the limits let a statement and
        the order stream be silent.
    book : str
        Part of the names of orders that are submitted here.
    takes_over : bool
        Whether positions that were never in the journal are taken over at the first start; otherwise they are a break.
    anchor : AnchorPlace, optional
        Where the journal's head is kept a second time; closed with the system.
    why_only_reducing : callable
        Why only orders that reduce a position may leave now, whatever the books say; empty while all may. See
        :func:`aegis.live_trading.live_safety.broker_for`.
    cash_tolerance_usd : float
        Difference between our cash and the broker's that is no break, beside half a cent for each fill since they last
        agreed.
    cash_lag_seconds : float
        How far the broker's cash may be behind its executions: Interactive Brokers renews its summary every three
        minutes.
    """

    account: str
    journal: JournalLocation
    kill_switch: Path
    lease: Path
    calendar: TradingCalendar
    rules: Callable[[Journal], ExitReview]
    made_by: MadeBy
    clock: Clock = field(default_factory=SystemClock)
    poll_seconds: float = 0.2
    reconcile_seconds: float = 20.0
    book: str = "desk"
    takes_over: bool = True
    anchor: AnchorPlace | None = None
    why_only_reducing: Callable[[], str] = str
    cash_tolerance_usd: float = 0.05
    cash_lag_seconds: float = 240.0
