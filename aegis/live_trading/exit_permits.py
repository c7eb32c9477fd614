"""By what an order may leave: the rules and a released switch, or, for what closes a position, the stop itself.

Belongs here: the two permits and which order needs which. Who asks is :mod:`aegis.live_trading.exit_door`; which
positions are closed, and when, :mod:`aegis.live_trading.flattening`.

Notes
-----
While the switch is engaged nothing leaves but the orders of the flatten request that stands in its file. The request is
part of an order's decision id, so the door knows it again after a restart. Such an order needs none of the ordinary
rules: a position must be closed that is beyond every limit, without a quote, with the loss breaker tripped. In their
place stand these: it is of the request that stands, at the market and good for an open session, no other order of its
symbol is open, and it shrinks the position that the broker tells *now* without crossing zero.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from urllib.parse import quote

from aegis.clock import Clock
from aegis.errors import ExecutionError
from aegis.execution.brokers.broker import Broker
from aegis.execution.orders import Order
from aegis.live_trading.broker_account import SharedAccount
from aegis.live_trading.exit_review import ExitReview
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.session_clock import SessionClock
from aegis.risk.exit_view import ExitRow, ExitVerdict
from aegis.risk.reducing import are_reducing

FLATTEN = "flatten"
_PARTS, _KIND = 5, 3


def flatten_kind(request: str, symbol: str) -> str:
    """Return the kind of a decision that closes a position for a request; part of its order's name."""
    return f"{FLATTEN}:{request}:{quote(symbol, safe='')}"


def flatten_request(decision_id: str) -> str:
    """Return the flatten request that a decision belongs to; empty for any other decision."""
    parts = decision_id.split("/")
    kind = parts[_KIND].split(":") if len(parts) == _PARTS else []
    return kind[1] if len(kind) == len(("flatten", "request", "symbol")) and kind[0] == FLATTEN else ""


class ExitPermit(Protocol):
    """What lets an order leave."""

    def review(self, order: Order, *, is_replacement: bool = False) -> ExitVerdict:
        """Judge an order that is about to be sent, and reserve what it takes if it may leave."""
        ...

    def withdraw(self, client_order_id: str) -> None:
        """Take back what was let through and never sent."""
        ...

    def stopped(self, order: Order) -> str:
        """Return why the kill switch keeps the order; asked last, while the lock is held; empty where it does not."""
        ...


class OrdinaryPermit:
    """The live rules, and a kill switch that is off.

    Parameters
    ----------
    rules : ExitReview
    switch : KillSwitch
    """

    def __init__(self, rules: ExitReview, switch: KillSwitch) -> None:
        self.review = rules.review
        self.withdraw = rules.withdraw
        self._switch = switch

    def stopped(self, order: Order) -> str:  # noqa: ARG002 - every order is stopped
        """Return what the switch says."""
        return self._switch.status().told


class FlattenPermit:
    """The flatten request that stands, and the broker's own word for the position.

    Parameters
    ----------
    broker : Broker
        Asked for positions and open orders at every review.
    switch : KillSwitch
        Engaged, with the request in its file.
    account : str
    clock : Clock
    sessions : SessionClock
    """

    def __init__(
        self, broker: Broker, switch: KillSwitch, *, account: str, clock: Clock, sessions: SessionClock
    ) -> None:
        self._broker = broker
        self._switch = switch
        self._account = account
        self._clock = clock
        self._sessions = sessions

    def review(self, order: Order, *, is_replacement: bool = False) -> ExitVerdict:  # noqa: ARG002 - judged alike
        """Judge an order that closes a position; nothing is reserved, as nothing else may leave.

        Raises
        ------
        BrokerUnavailable
            The broker does not tell its positions or open orders: nothing is closed on a guess.
        """
        now = self._clock.now_utc()
        name, symbol = order.client_order_id, order.symbol
        held = {position.symbol: position.quantity_shares for position in self._broker.positions()}
        others = [
            status.order.client_order_id for status in self._broker.open_orders() if status.order.symbol == symbol
        ]
        others = [other for other in others if other != name]
        if isinstance(self._broker, SharedAccount):
            others += [other.venue_id for other in self._broker.foreign_orders() if other.ticker == order.ticker]
        reduces = are_reducing([(symbol, order.quantity_shares)], held)[0]
        at_market = order.order_type == "market" and order.time_in_force == "DAY"
        label = f"{symbol} {now:%Y-%m-%d %H:%M:%S} UTC, order {name}"
        rows = (
            _row("flatten_request_stands", self.stopped(order)),
            _row("order_is_for_this_account", "" if order.account == self._account else f"{label}: {order.account}"),
            _row("order_is_at_the_market", "" if at_market else f"{label}: {order.order_type} {order.time_in_force}"),
            _row("market_is_open", self._closed(order, now)),
            _row(
                "symbol_has_no_other_open_order",
                f"{label}: {others[0]} is open; cancel it at the broker" if others else "",
            ),
            _row(
                "order_only_reduces_what_the_broker_holds",
                ""
                if reduces
                else f"{label}: {order.quantity_shares:g} shares, the broker holds {held.get(symbol, 0.0):g}",
            ),
        )
        return ExitVerdict(name, now, rows, order.arrival_price_usd)

    def withdraw(self, client_order_id: str) -> None:
        """Nothing was reserved."""

    def stopped(self, order: Order) -> str:
        """Return why the order may not leave: its request does not stand in the engaged switch."""
        status = self._switch.status()
        request = flatten_request(order.decision_id)
        if status.is_engaged and request and status.flatten == request:
            return ""
        found = f"request {status.flatten}" if status.flatten else "no request"
        return f"the kill switch holds {found} to flatten, the order is of {request or 'none'}"

    def _closed(self, order: Order, now: datetime) -> str:
        session = order.execution_session
        return "" if self._sessions.is_open(now, session) else f"the market of session {session} is closed at {now} UTC"


def _row(rule: str, detail: str) -> ExitRow:
    return ExitRow(rule, "refuse" if detail else "pass", 1.0 if detail else 0.0, 0.0, detail or None)


def require_released(order: Order, switch: KillSwitch) -> None:
    """Refuse to change an order while the kill switch stops its account.

    Raises
    ------
    ExecutionError
        It does, or nobody knows.
    """
    stopped = switch.status().told
    if stopped:
        raise ExecutionError(
            f"order {order.client_order_id} ({order.symbol}) was not replaced: the kill switch {stopped}; release it "
            'with `aegis release --reason "..."`'
        )
