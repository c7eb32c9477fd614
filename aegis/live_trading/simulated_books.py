"""A simulated account through one session, with what the journal holds standing.

Belongs here: trading a session on the simulated broker and recording it, and booking it as recorded where the two
differ. What the broker does is :mod:`aegis.execution.brokers.simulated`.

Notes
-----
Prices may be corrected after a session was traded. The journal is what happened: a fill at yesterday's price stays a
fill at that price, and an order that expired on a blocked session stays expired. What would happen now is compared with
it, and every difference is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.clock import FixedClock
from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState
from aegis.execution.order_management import DecisionLedger
from aegis.execution.orders import Order, OrderEvent, OrderEventKind
from aegis.live_trading.account_books import BookedSession, Standing
from aegis.live_trading.session_inputs import SessionInputs
from aegis.risk.gate_inputs import GateInputs

if TYPE_CHECKING:
    from aegis.execution.brokers.simulated import SimulatedBroker


@dataclass(frozen=True)
class SimulatedBooks:
    """The simulated venue and custodian of one account, and its journal.

    Parameters
    ----------
    ledger : DecisionLedger
        Where events are recorded; flushed by the caller.
    costs : CostModel
        Slippage and commission.
    rules : TradingRules
        The venue's and the account's.
    """

    ledger: DecisionLedger
    costs: CostModel
    rules: TradingRules

    def trade_session(self, before: AccountState, inputs: SessionInputs) -> BookedSession:
        """Execute the open orders in a session, book its corporate actions, and mark the account at the close.

        Parameters
        ----------
        before : AccountState
            With the orders that wait for this session.
        inputs : SessionInputs
            Trusted bars and corporate actions, and the decision clock.

        Raises
        ------
        ExecutionError
            The session is not after the account's, or the journal does not hold the end of an order that was due.
        """
        market, at_utc = inputs.market, inputs.decided_at_utc
        broker = self._broker(before, at_utc)
        broker.begin_session(market)
        account = broker.end_session()
        conflicts = self.ledger.record(_events(broker))
        if conflicts:
            waiting = [status.order.client_order_id for status in before.open_orders]
            broker = self._broker(before, at_utc)
            account = broker.replay_session(market, self.ledger.recorded(market.session, waiting))
        fills = tuple(event.fill for event in _events(broker) if event.fill is not None)
        return BookedSession(account, fills, conflicts)

    def standing(
        self, account: AccountState, earlier: Sequence[Order], decision_id: str, *, inputs: SessionInputs
    ) -> Standing:
        """Return the account as it is after the session: it takes one decision in each.

        Raises
        ------
        ExecutionError
            A later decision is asked for: the next session would be over before it is made.
        """
        if earlier or not decision_id.endswith("/1"):
            raise ExecutionError(
                f"decision {decision_id}: a simulated account decides once in a session, and executes it in the bar of "
                "the next one; a later decision is for an account that is traded"
            )
        return Standing(account, inputs.decided_at_utc)

    def submit(
        self, account: AccountState, orders: Sequence[Order], *, session: date, at_utc: datetime
    ) -> tuple[AccountState, tuple[str, ...]]:
        """Hand committed orders to the venue; return the account with those that wait, and conflicts as above.

        Parameters
        ----------
        orders : sequence of Order
            Approved and committed.
        session : date
            Session after whose close they are submitted.
        at_utc : datetime
            When.
        """
        broker = self._broker(account, at_utc)
        conflicts: list[str] = []
        for order in orders:
            submitted = OrderEvent(
                kind=OrderEventKind.SUBMITTED, client_order_id=order.client_order_id, session=session, at_utc=at_utc
            )
            seen = len(_events(broker))
            broker.submit(order)
            conflicts += self.ledger.record([submitted, *_events(broker)[seen:]])
        if conflicts:
            names = [order.client_order_id for order in orders]
            answers = self.ledger.recorded(session, names)
            broker = self._broker(account, at_utc)
            for order in orders:
                own = [e for e in answers if e.client_order_id == order.client_order_id]
                broker.adopt(order, [e for e in own if e.kind is not OrderEventKind.SUBMITTED])
        return broker.state(), tuple(conflicts)

    def seen_late(self, seen: GateInputs) -> GateInputs:
        """Return what the gate sees of a decision that a later session has passed by."""
        later = self.ledger.passed_by(seen.decision_id, seen.session)
        return seen if later is None else replace(seen, passed_by_session=later)

    def _broker(self, account: AccountState, at_utc: datetime) -> SimulatedBroker:
        # The matching kernel takes two seconds to load, and definitions are loaded without trading anything.
        from aegis.execution.brokers.simulated import SimulatedBroker  # noqa: PLC0415

        return SimulatedBroker(account, costs=self.costs, rules=self.rules, clock=FixedClock(at_utc))


def _events(broker: SimulatedBroker) -> list[OrderEvent]:
    return [numbered.event for numbered in broker.events_since(0)]
