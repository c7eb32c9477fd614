"""What the broker tells at the door: written down first, then told to the rules, and forgotten where it has ended.

Belongs here: the one way in. The way out is :mod:`aegis.live_trading.exit_door`, whose lock is held meanwhile.
"""

from __future__ import annotations

from aegis.clock import Clock
from aegis.errors import RiskError
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.broker_abilities import ForgettingBroker
from aegis.execution.orders import OrderEvent
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.exit_review import ExitReview


class HeardEvents:
    """The broker's events on their way into one account's journal.

    Parameters
    ----------
    broker : Broker
        Connected.
    ledger : WorkedLedger
        The account's page of the journal.
    rules : ExitReview
        Told of every event once it is written down.
    clock : Clock
        Says when the broker was heard.
    """

    def __init__(self, broker: Broker, ledger: WorkedLedger, *, rules: ExitReview, clock: Clock) -> None:
        self._broker, self._ledger, self._rules, self._clock = broker, ledger, rules, clock
        self.sequence = 0
        """How many events of the broker are written down."""
        self.contradictions: tuple[str, ...] = ()
        """What the broker told that the journal has otherwise; reconciliation decides."""

    def take(self) -> tuple[OrderEvent, ...]:
        """Write down what the broker has told since the last time, and return it; see :meth:`ExitDoor.take_events`."""
        told = self._broker.events_since(self.sequence)
        if not told:
            return ()
        events = tuple(item.event for item in told)
        conflicts = self._ledger.record(events)
        self._ledger.flush()
        self.sequence = told[-1].sequence
        self.contradictions += tuple(said for said in dict.fromkeys(conflicts) if said not in self.contradictions)
        self._rules.observe_stream(self._clock.now_utc())
        uncounted = []
        for event in events:
            try:
                self._rules.settle(event)
            except RiskError as error:
                uncounted.append(error)  # the others are told all the same: nothing is taken again
        self._let_go()
        if uncounted:
            raise uncounted[0]
        return events

    def _let_go(self) -> None:
        """Let rules and broker forget what the ledger has forgotten: the journal has it."""
        gone = self._ledger.let_go()
        self._rules.let_go(gone)
        if isinstance(self._broker, ForgettingBroker):
            self._broker.let_go(gone, heard=self.sequence, recall=self._ledger.recall)
