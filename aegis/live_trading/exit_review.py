"""What the exit door needs of the rules that it asks, and what it writes of orders that no asset decided.

Belongs here: the port. The rules are :mod:`aegis.live_trading.risk_manager`, who asks is
:mod:`aegis.live_trading.exit_door`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance
from aegis.execution.orders import Order, OrderEvent
from aegis.live_trading.standing_breakers import BreakerRecord
from aegis.risk.exit_view import ExitVerdict


class ExitReview(Protocol):
    """The rules at the door and what they keep count of: :class:`~aegis.live_trading.risk_manager.LiveRiskManager`."""

    def review(self, order: Order, *, is_replacement: bool = False) -> ExitVerdict:
        """Judge an order that is about to be sent, and reserve what it takes if it may leave."""
        ...

    def withdraw(self, client_order_id: str) -> None:
        """Take back what was let through last under an id and was never sent."""
        ...

    def settle(self, event: OrderEvent) -> None:
        """Take note of what happened to an order."""
        ...

    def let_go(self, client_order_ids: Iterable[str]) -> None:
        """Forget orders that have ended and are in the journal."""
        ...

    def observe_account(self, balance: AccountBalance, positions: Iterable[Position], *, at_utc: datetime) -> None:
        """Take note of what the broker says of the account, and when it was asked."""
        ...

    def observe_stream(self, at_utc: datetime) -> None:
        """Take note that the broker was heard."""
        ...

    def observe_reconciliation(self, *, is_clean: bool) -> None:
        """Take note of whether our books and the broker's agree."""
        ...

    def record(self) -> BreakerRecord:
        """Return what has to be written down to survive a restart, besides orders and their events."""
        ...


@dataclass(frozen=True, slots=True)
class MadeBy:
    """What computed an order that no asset decided, for the journal.

    Parameters
    ----------
    code_version, config_hash : str
        Of this process.
    input_snapshot_id : int
        Lake snapshot that it looked at; 0 for none.
    """

    code_version: str
    config_hash: str
    input_snapshot_id: int = 0
