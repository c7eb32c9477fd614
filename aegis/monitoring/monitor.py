"""The monitor of an account: looks after each step of the trader, and shows, tells and keeps what it saw.

Belongs here: doing that in order, without ever holding up or ending the trading. The parts are the modules beside it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from aegis.config_monitoring import MonitoringSettings
from aegis.errors import AegisError
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalRow
from aegis.live_trading.execution_config import ExecutionConfig
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.held_positions import held_shares
from aegis.live_trading.lease import holder
from aegis.live_trading.live_trader import TraderReport
from aegis.monitoring.causes import Cause, causes_of
from aegis.monitoring.event_stream import EventStream
from aegis.monitoring.feed_health import WatchedFeeds
from aegis.monitoring.journal_projection import JournalProjection
from aegis.monitoring.observation import Surroundings, WatchedRules, snapshot_of, stated_marks, stated_shares
from aegis.monitoring.profit_start import ProfitStart, kept_start
from aegis.monitoring.snapshot import MonitorSnapshot
from aegis.monitoring.status_file import STATUS_FILE, status_record, write_status


class Told(Protocol):
    """Who hears what stands wrong: :class:`~aegis.monitoring.alert_dispatch.AlertDispatch`."""

    def hear(self, causes: Sequence[Cause], at_utc: datetime) -> None:
        """Take note of all that stands; returns at once."""
        ...

    def problems(self) -> Sequence[str]:
        """Return what keeps messages from arriving now."""
        ...


class Monitor:
    """Watches one account from inside the process that trades it.

    Parameters
    ----------
    system : ExecutionSystem
        The account.
    config : ExecutionConfig
        Its own.
    rules : WatchedRules
        The rules at its door.
    folder : Path
        Where status, events and the start of profit are kept, :meth:`aegis.workspace.Workspace.monitor`.
    settings : MonitoringSettings
    feeds : WatchedFeeds, optional
        Sources of market data.
    drift : callable, optional
        Returns what drift led to and nobody has released.
    told : Told, optional
        Who hears what stands wrong.

    Raises
    ------
    ExecutionError
        The start of profit that was kept cannot be read.
    JournalError
        The journal cannot be opened.

    Notes
    -----
    Call :meth:`observe` after each step, from one thread. What fails in it is a failure in the next snapshot, never an
    error of the trading step.
    """

    def __init__(
        self,
        system: ExecutionSystem,
        config: ExecutionConfig,
        rules: WatchedRules,
        *,
        folder: Path,
        settings: MonitoringSettings,
        feeds: WatchedFeeds | None = None,
        drift: Callable[[], Sequence[str]] | None = None,
        told: Told | None = None,
    ) -> None:
        self._system, self._config, self._rules = system, config, rules
        self._settings, self._feeds, self._drift, self._told = settings, feeds, drift, told
        self._start_file, self._status_file = folder / "profit_start.json", folder / STATUS_FILE
        self._start = kept_start(self._start_file, account=config.account)
        self.events = EventStream(folder / "events.jsonl", lines=settings.event_stream_lines)
        self._journal = Journal.open(config.journal, account=config.account)
        self._projection = None if self._start is None else _projection(self._start)
        self._seen_statement: datetime | None = None
        self._unexplained_usd: float | None = None
        self._failures: list[str] = []
        self._shown: Mapping[str, Any] = {}
        row = self.events.newest("journal")  # what happened before anybody followed is in the journal
        self._told_sequence: int = self._journal.head().sequence if row is None else row["sequence"]
        self._standing: dict[str, Cause] = {}
        self._record: dict[str, Any] = {}

    @property
    def status(self) -> Mapping[str, Any]:
        """What the status file holds or should hold; empty before the first look."""
        return self._record

    def observe(self, report: TraderReport) -> MonitorSnapshot | None:
        """Look at everything once after a step of the trader; write, show and tell what was seen.

        Parameters
        ----------
        report : TraderReport
            Of the step.

        Returns
        -------
        MonitorSnapshot or None
            None where the account's own books could not be read: the status grows stale, and a person is told.
        """
        failures, self._failures = tuple(self._failures), []
        self._attempt(self._follow_journal)
        try:
            snapshot = self._look(report, failures)
        except AegisError as error:
            if self._told is not None:
                said = Cause("monitor_blind", "The monitor cannot read the account", str(error))
                self._told.hear((*self._standing.values(), said), report.at_utc)
            return None
        causes = causes_of(snapshot, self._settings.alerts)
        self._record = status_record(snapshot, causes)
        if self._told is not None:
            self._told.hear(causes, snapshot.at_utc)
        self._show(snapshot, causes)
        self._attempt(lambda: write_status(self._status_file, self._record))
        self._attempt(self.events.flush)
        return snapshot

    def close(self) -> None:
        """Say in the status file that the process ended, and close the journal; closing again does nothing."""
        if self._record and not self._record["has_ended"]:
            self._record = {**self._record, "has_ended": True}
            self._attempt(lambda: write_status(self._status_file, self._record))
        self._journal.close()

    def _look(self, report: TraderReport, failures: Sequence[str]) -> MonitorSnapshot:
        return snapshot_of(
            self._system,
            report,
            self._rules,
            self._projection,
            start=self._start,
            unexplained_usd=self._unexplained_usd,
            surroundings=self._surroundings(failures),
            calendar=self._config.calendar,
            account=self._config.account,
        )

    def _follow_journal(self) -> None:
        review, stated_at = self._system.last_review
        if self._projection is None:
            self._projection = self._begin()
        if self._projection is None or review is None:
            return
        rows = self._journal.events_after(self._projection.sequence)
        marks = stated_marks(review)
        self._projection.take(rows, marks)
        self._tell_rows(rows)
        if stated_at != self._seen_statement and self._projection.profit.shares() == stated_shares(review):
            self._seen_statement = stated_at
            if self._start is not None:
                profit = self._projection.profit.of_account(marks)
                self._unexplained_usd = review.balance.equity_usd - self._start.equity_usd - profit.total_usd

    def _begin(self) -> JournalProjection | None:
        """Begin to count profit once the broker's statement is what the journal says."""
        review, stated_at = self._system.last_review
        if review is None or stated_at is None:
            return None
        rows = self._journal.events_after(0)
        if held_shares(rows) != stated_shares(review):
            return None
        self._start = ProfitStart(
            account=self._config.account,
            at_utc=stated_at,
            journal_sequence=rows[-1].sequence if rows else 0,
            equity_usd=review.balance.equity_usd,
            opening={held.symbol: (held.quantity_shares, held.mark_price_usd) for held in review.positions},
        )
        self._start.keep(self._start_file)
        return _projection(self._start)

    def _surroundings(self, failures: Sequence[str]) -> Surroundings:
        held = holder(self._config.lease) or ""
        drift: Sequence[str] = ()
        if self._drift is not None:
            try:
                drift = self._drift()
            except AegisError as error:
                drift = (str(error),)
        return Surroundings(
            feeds=() if self._feeds is None else self._feeds.readings(),
            lease_holder=held,
            has_lease=held.startswith(f"process {os.getpid()} on {socket.gethostname()} since "),
            drift=drift,
            failures=failures,
            silent_channels=() if self._told is None else self._told.problems(),
        )

    def _tell_rows(self, rows: Sequence[JournalRow]) -> None:
        for row in rows:
            if row.sequence <= self._told_sequence:
                continue
            self._told_sequence = row.sequence
            record = {"sequence": row.sequence, "what": row.kind, "order": row.client_order_id}
            self.events.append("journal", row.instant_utc, {**record, "decision": row.decision_id})

    def _show(self, snapshot: MonitorSnapshot, causes: Sequence[Cause]) -> None:
        """Put what changed into the stream of events."""
        now = {cause.key: cause for cause in causes}
        for key in sorted(now.keys() ^ self._standing.keys()):
            cause = now.get(key) or self._standing[key]
            what = {"key": key, "title": cause.title, "severity": cause.severity, "stands": key in now}
            self.events.append("cause", snapshot.at_utc, what)
        self._standing = now
        profit = snapshot.money.profit
        shown = {
            "equity_usd": snapshot.money.equity_usd,
            "profit_usd": None if profit is None else profit.total_usd,
            "gross_usd": snapshot.exposure.gross_usd,
            "net_usd": snapshot.exposure.net_usd,
            "open_orders": len(snapshot.open_orders),
        }
        if shown != self._shown:
            self.events.append("account", snapshot.at_utc, shown)
            self._shown = shown

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (AegisError, OSError) as error:
            self._failures.append(f"{error}")


def _projection(start: ProfitStart) -> JournalProjection:
    return JournalProjection(start.opening, after=start.journal_sequence)
