"""Whether an account at a broker is as the journal has it: positions, orders of others, and what was told in two ways.

Belongs here: asking the broker and naming every difference. What a difference leads to is
:mod:`aegis.live_trading.execution_system`; how numbers are compared is :mod:`aegis.live_trading.reconciliation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance, Broker
from aegis.execution.brokers.broker_abilities import SeveralVenues
from aegis.execution.brokers.holdings import Holdings
from aegis.execution.order_states import FILL_TOLERANCE_SHARES
from aegis.live_trading.reconciliation import reconcile


class ForeignOrder(Protocol):
    """An open order of the account that is not ours."""

    @property
    def ticker(self) -> str:
        """Its symbol at the venue."""
        ...

    @property
    def quantity_shares(self) -> float:
        """Signed."""
        ...

    @property
    def venue_id(self) -> str:
        """The venue's name of it."""
        ...


@runtime_checkable
class SharedAccount(Protocol):
    """A broker whose account others can trade as well, by hand or with another program."""

    def foreign_orders(self) -> Sequence[ForeignOrder]:
        """Return open orders that are not ours."""
        ...

    def contradictions(self) -> Sequence[str]:
        """Return what the venue told in two ways."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReview:
    """What was found.

    Parameters
    ----------
    positions : tuple of Position
        As the broker tells them.
    balance : AccountBalance
        As the broker tells it.
    breaks : tuple of str
        Every difference that nothing explains, with both sides and the remedy; empty when all agree.
    """

    positions: tuple[Position, ...]
    balance: AccountBalance
    breaks: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not self.breaks


def holdings_of(broker: Broker) -> Holdings:
    """Return what an account holds by the broker's word, and what of it an order to close it would miss.

    Raises
    ------
    BrokerUnavailable
        The broker gives no usable answer.
    """
    return broker.holdings() if isinstance(broker, SeveralVenues) else Holdings(tuple(broker.positions()))


def review_account(
    broker: Broker, journal_shares: Mapping[str, float], *, label: str, contradictions: Sequence[str] = ()
) -> AccountReview:
    """Compare the journal with the broker.

    Parameters
    ----------
    broker : Broker
        Asked for positions and balance; one that knows orders of others is asked for them too.
    journal_shares : mapping of str to float
        What the account should hold, by permanent symbol.
    label : str
        Account and instant, named in the messages.
    contradictions : sequence of str
        What the broker told that the journal has otherwise.

    Raises
    ------
    BrokerUnavailable
        The broker gives no usable answer: nothing is known.
    """
    held = holdings_of(broker)
    positions = held.positions
    theirs = {each.symbol: each.quantity_shares for each in positions}
    compared = reconcile(journal_shares, theirs, residual_usd=0.0, share_tolerance=FILL_TOLERANCE_SHARES, label=label)
    breaks = [found.message for found in compared.breaks]
    breaks += [f"{label} {found.told}" for found in held.misplaced]
    if isinstance(broker, SharedAccount):
        breaks += [
            f"{label} {order.ticker}: an open order of {order.quantity_shares:g} shares (venue id {order.venue_id}) is "
            "not ours; cancel it at the broker, or wait until it ends and take the positions over"
            for order in broker.foreign_orders()
        ]
        breaks += list(broker.contradictions())
    breaks += list(contradictions)
    return AccountReview(positions=tuple(positions), balance=broker.account(), breaks=tuple(dict.fromkeys(breaks)))
