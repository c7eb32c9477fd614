"""What the broker tells at the door: written down first, then told to the rules, and forgotten where it has ended.

Belongs here: the one way in. The way out is :mod:`aegis.live_trading.exit_door`, whose lock is held meanwhile.
"""

from __future__ import annotations

from aegis.clock import Clock
from aegis.errors import ExecutionError, RiskError
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.broker_abilities import ForgettingBroker
from aegis.execution.orders import OrderEvent
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.exit_review import ExitReview


class HeardEvents:
    """The broker's events on their way into one account's journal.

    One that cannot have happened, or that the rules cannot count, is a contradiction, which stops new entries until a
    person has looked; it keeps no other event, and no stop, from being heard.

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
        conflicts = [said for event in events for said in self._recorded(event)]
        self._ledger.flush()
        self.sequence = told[-1].sequence
        self._rules.observe_stream(self._clock.now_utc())
        for event in events:
            try:
                self._rules.settle(event)
            except RiskError as error:
                conflicts.append(str(error))
        self.contradictions += tuple(said for said in dict.fromkeys(conflicts) if said not in self.contradictions)
        self._let_go()
        return events

    def _recorded(self, event: OrderEvent) -> tuple[str, ...]:
        """Record an event; return how it contradicts what is recorded, where it cannot have happened as it is told."""
        try:
            return self._ledger.record([event])
        except ExecutionError as error:
            fill = "" if event.fill is None else f": {event.fill.quantity_shares:g} at {event.fill.price_usd:g} USD"
            return (f"{error}{fill}; it is not booked, compare the broker's statement",)

    def _let_go(self) -> None:
        """Let rules and broker forget what the ledger has forgotten: the journal has it."""
        gone = self._ledger.let_go()
        self._rules.let_go(gone)
        if isinstance(self._broker, ForgettingBroker):
            self._broker.let_go(gone, heard=self.sequence, recall=self._ledger.recall)
