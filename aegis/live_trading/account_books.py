"""How an account comes from one session to the next, whoever executes its orders.

Belongs here: the port between the session loop and an account that is simulated
(:mod:`aegis.live_trading.simulated_books`) or traded (:mod:`aegis.live_trading.traded_books`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from aegis.execution.account_state import AccountState
from aegis.execution.orders import Fill, Order
from aegis.live_trading.session_inputs import SessionInputs
from aegis.risk.gate_inputs import GateInputs


@dataclass(frozen=True)
class BookedSession:
    """An account after a session.

    Parameters
    ----------
    account : AccountState
        After the close.
    fills : tuple of Fill
        As the journal holds them.
    conflicts : tuple of str
        How the session would be traded differently now.
    taken_over_shares : mapping of str to float
        Signed shares that came without a trade, by permanent symbol.
    transfers_usd : float
        What was paid in or out, and the worth of `taken_over_shares`; part of the account's interest and no gain.
    breaks : tuple of str
        How the book differs from what the journal says is held, with both sides and the remedy.
    """

    account: AccountState
    fills: tuple[Fill, ...]
    conflicts: tuple[str, ...] = ()
    taken_over_shares: Mapping[str, float] = field(default_factory=dict)
    transfers_usd: float = 0.0
    breaks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """What a decision is made on.

    Parameters
    ----------
    account : AccountState
        After the close of the decision's session and, for a later decision of it, after what the earlier ones came to
        since: their fills are held, and the rest of what they ordered is at work.
    decided_at_utc : datetime
        When the decision is made, or was.
    """

    account: AccountState
    decided_at_utc: datetime


class AccountBooks(Protocol):
    """The venue and custodian of one account, or what is known of them."""

    def trade_session(self, before: AccountState, inputs: SessionInputs) -> BookedSession:
        """Return the account after a session: orders executed, corporate actions booked, marked at the close.

        Parameters
        ----------
        before : AccountState
            With the orders that wait for this session.
        inputs : SessionInputs
            Trusted bars and corporate actions, and the decision clock.

        Raises
        ------
        ExecutionError
            The session is not after the account's, or it is not known how it ended.
        """
        ...

    def standing(
        self, account: AccountState, earlier: Sequence[Order], decision_id: str, *, inputs: SessionInputs
    ) -> Standing:
        """Return what a decision is made on, the same whenever it is made again.

        Parameters
        ----------
        account : AccountState
            After the session.
        earlier : sequence of Order
            Approved orders of earlier decisions of the session.
        decision_id : str
            The decision.
        inputs : SessionInputs
            Of its session.

        Raises
        ------
        ExecutionError
            There are earlier decisions, and this account takes one in a session.
        """
        ...

    def submit(
        self, account: AccountState, orders: Sequence[Order], *, session: date, at_utc: datetime
    ) -> tuple[AccountState, tuple[str, ...]]:
        """Return the account with committed orders that wait for their session, and conflicts as above.

        Parameters
        ----------
        account : AccountState
            After the session.
        orders : sequence of Order
            Approved and committed.
        session : date
            Session after whose close they were decided.
        at_utc : datetime
            When.
        """
        ...

    def seen_late(self, seen: GateInputs) -> GateInputs:
        """Return what the gate sees of a decision that would come too late; `seen` itself where it does not."""
        ...
