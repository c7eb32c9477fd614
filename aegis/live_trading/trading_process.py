"""The process that trades one account: market data, the rules, the trader and the monitor, step by step.

Belongs here: the order of a step, and what has to be known before a session. How orders leave is
:mod:`aegis.live_trading.execution_system`, what is done with decisions :mod:`aegis.live_trading.live_trader`, from the
configuration to these parts ``aegis_sensors.trade_command``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from aegis.backtesting.session_market import CorporateAction
from aegis.clock import Clock
from aegis.errors import AegisError
from aegis.execution.brokers.broker_abilities import ClockedBroker
from aegis.live_data.port import LiveMarketData
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.live_trader import LiveTrader, TraderReport
from aegis.live_trading.restricted_orders import end_restricted
from aegis.live_trading.risk_manager import LiveRiskManager
from aegis.risk.exit_view import SymbolFacts

_CLOCK_CHECK = timedelta(minutes=5)
_ASK_AGAIN = timedelta(minutes=1)
"""After a question that failed: a vendor is not asked at every step."""


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What has to be known before a session, each asked for when it is needed.

    Parameters
    ----------
    facts : callable
        From symbols and a session to what is known of them before it.
    actions : callable
        From a session to its corporate actions, as they are known now.
    closes : callable
        From symbols and a session to their last raw closes before it; those that are not known are left out.
    look_at_restrictions : callable
        Asked in each step; whether what is known of symbols may be another thing than in the step before. It raises an
        :class:`~aegis.errors.AegisError` where the restricted list cannot be read any more; the old one stays in force.
    """

    facts: Callable[[Iterable[str], date], Mapping[str, SymbolFacts]]
    actions: Callable[[date], tuple[CorporateAction, ...]]
    closes: Callable[[Iterable[str], date], Mapping[str, float]] = lambda *_: {}
    look_at_restrictions: Callable[[], bool] = lambda: False


class TradingProcess:
    """Trades one account until it is told to stop.

    Parameters
    ----------
    system : ExecutionSystem
        The account; recovered and reconciled.
    trader : LiveTrader
        Works its decisions.
    rules : LiveRiskManager
        At its door.
    feed : LiveMarketData
        Started here; its owner closes it.
    knowledge : Knowledge
        What is asked before a session.
    venue : object
        The broker; asked for its clock if it has one.
    clock : Clock
        The machine's, or a simulation's.
    watch : callable, optional
        Is given each report: the monitor.
    """

    def __init__(
        self,
        system: ExecutionSystem,
        trader: LiveTrader,
        rules: LiveRiskManager,
        feed: LiveMarketData,
        knowledge: Knowledge,
        *,
        venue: object,
        clock: Clock,
        watch: Callable[[TraderReport], object] | None = None,
    ) -> None:
        self._system, self._trader, self._rules, self._feed = system, trader, rules, feed
        self._knowledge, self._venue, self._clock = knowledge, venue, clock
        self._watch = watch
        self._session: date | None = None
        self._known: set[str] = set()
        self._screened: date | None = None
        self._told: list[str] = []
        self._clock_checked: datetime | None = None
        self._preparations = {
            "actions": self._book_actions,
            "symbols": self._learn,
            "restricted orders": self._end_restricted,
            "clock": self._check_clock,
        }
        self._failed: dict[str, tuple[datetime, str]] = {}
        feed.start()

    def step(self) -> TraderReport:
        """Look at everything once; what fails is in the report, and what needs it stops at the exit door."""
        failures = _failure_of(self._look_at_restrictions)
        for name in self._preparations:
            self._prepare(name)
        unfed = _failure_of(self._feed.step)
        # What is released in this step may be of symbols that nobody has asked about yet.
        report = self._trader.attempt(lambda: self._prepare("symbols"))
        failures += [self._failed[name][1] for name in self._preparations if name in self._failed]
        told, self._told = self._told, []
        report = report.with_failures([*failures, *unfed, *told])
        if self._watch is not None:
            self._watch(report)
        return report

    def run(
        self, stop: threading.Event, *, every_seconds: float, tell: Callable[[TraderReport], object] = lambda _: None
    ) -> None:
        """Step until `stop` is set, and tell of each step."""
        while not stop.is_set():
            tell(self.step())
            stop.wait(every_seconds)

    def execution_session(self) -> date:
        """Return the session that is open, or comes next."""
        return self._trader.execution_session()

    def waiting(self) -> tuple[str, ...]:
        """Return the ids of decided orders that have not come to their end, sorted."""
        return self._trader.waiting()

    def _prepare(self, name: str) -> None:
        """Ask what is to be known; after a failure not again before its time."""
        failed = self._failed.get(name)
        if failed is not None and self._clock.now_utc() - failed[0] < _ASK_AGAIN:
            return
        try:
            self._preparations[name]()
            self._failed.pop(name, None)
        except AegisError as error:
            self._failed[name] = self._clock.now_utc(), str(error)

    def _look_at_restrictions(self) -> None:
        if self._knowledge.look_at_restrictions():
            self._known, self._screened = set(), None

    def _book_actions(self) -> None:
        """Write down, once at each session's opening, what it did to what is held: the broker has booked it too."""
        session = self._system.session_of(self._clock.now_utc())
        if session == self._session:
            return
        for each in self._system.unbooked_sessions():
            actions = self._knowledge.actions(each)
            priced = {action.symbol for action in actions if action.action != "dividend"}
            priced |= {action.acquirer for action in actions if action.acquirer is not None}
            closes = self._knowledge.closes(sorted(priced), each) if priced else {}
            self._system.book_actions(actions, session=each, closes_usd=closes)
        self._session, self._known = session, set()

    def _learn(self) -> None:
        """Tell the rules what is known of symbols that are new today."""
        missing = self._trader.symbols() - self._known
        if missing:
            session = self._trader.execution_session()
            self._rules.observe_symbols(self._knowledge.facts(sorted(missing), session))
            self._known |= missing

    def _end_restricted(self) -> None:
        """End, once for each session and each change of the list, what is open in symbols that it restricts."""
        session = self._trader.execution_session()
        if session != self._screened and not self._system.stopped:
            self._told += end_restricted(self._system, self._rules, self._knowledge.facts, session=session)
            self._screened = session

    def _check_clock(self) -> None:
        now, since = self._clock.now_utc(), self._clock_checked
        if since is not None and now - since < _CLOCK_CHECK:
            return
        # A venue without a clock of its own goes by ours.
        skew = -self._venue.clock_skew_seconds() if isinstance(self._venue, ClockedBroker) else 0.0
        self._rules.observe_clock_skew(skew)
        self._clock_checked = now


def _failure_of(look: Callable[[], object]) -> list[str]:
    """Look, and return what went wrong; empty where nothing did."""
    try:
        look()
    except AegisError as error:
        return [str(error)]
    return []
