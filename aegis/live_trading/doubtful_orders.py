"""Orders of which nobody knows whether the venue has them: asking it for them, and telling what its answer proves.

Belongs here: which orders these are, and why. What is sent or ended is :mod:`aegis.live_trading.exit_door`, whose lock
is held meanwhile, but where an order's end is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from aegis.clock import Clock
from aegis.errors import BrokerUnavailable, ExecutionError, SubmissionUnknown
from aegis.execution.brokers.broker import Broker
from aegis.execution.order_reasons import remedy_of_missing
from aegis.execution.orders import Order
from aegis.live_trading.door_record import DoorRecord

_ASKED_AGAIN_AFTER = timedelta(seconds=20)
"""Between two questions for an order of which the venue's last answer proved nothing: it has it no more, and each step
of the process would ask once more."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Why a question did not settle it, and when it was asked; empty and None where none was."""

    why: str = ""
    asked_at_utc: datetime | None = None


class DoubtfulOrders:
    """The orders of one account that are perhaps at the venue.

    Parameters
    ----------
    broker : Broker
        Asked.
    record : DoorRecord
        Says whether the venue ever acknowledged an order.
    clock : Clock
        Says when an order is asked for again.
    """

    def __init__(self, broker: Broker, record: DoorRecord, *, clock: Clock) -> None:
        self._broker, self._record, self._clock = broker, record, clock
        self._doubts: dict[str, _Doubt] = {}

    def __contains__(self, client_order_id: str) -> bool:
        """Whether nobody knows if the venue has this order."""
        return client_order_id in self._doubts

    def add(self, client_order_id: str) -> None:
        """Take note that an order is perhaps at the venue."""
        self._doubts[client_order_id] = _Doubt()

    def discard(self, client_order_id: str) -> None:
        """Take note that what became of an order is known."""
        self._doubts.pop(client_order_id, None)

    def names(self) -> tuple[str, ...]:
        """Return the orders, sorted."""
        return tuple(sorted(self._doubts))

    def due(self) -> tuple[str, ...]:
        """Return those that are to be asked for now, sorted."""
        if not self._doubts:
            return ()
        now = self._clock.now_utc()
        last = {name: doubt.asked_at_utc for name, doubt in self._doubts.copy().items()}  # others write meanwhile
        return tuple(sorted(name for name, at in last.items() if at is None or now - at >= _ASKED_AGAIN_AFTER))

    def missing(self) -> dict[str, str]:
        """Return why the venue's answer settled nothing, by order, for those that are still open."""
        told = sorted((name, doubt.why) for name, doubt in self._doubts.copy().items() if doubt.why)
        return {name: why for name, why in told if not self._record.require(name).is_final}

    def cancel(self, client_order_id: str) -> None:
        """Ask the venue for the end of an order; where it tells of the order no more, there is nothing to end.

        Raises
        ------
        ExecutionError
            The venue does not know an order that it should have.
        BrokerUnavailable
            The venue gives no usable answer: it may tell of the order again, and then it is to be ended.
        """
        try:
            self._broker.cancel(client_order_id)
        except BrokerUnavailable:
            raise
        except ExecutionError:
            doubt = self._doubts.get(client_order_id)
            if doubt is None or not doubt.why:
                raise

    def find(self, orders: Iterable[Order]) -> None:
        """Ask the venue for orders that were sent, and keep those that it does not tell of.

        Raises
        ------
        BrokerUnavailable
            The venue gives no usable answer.
        """
        for order in orders:
            with suppress(SubmissionUnknown):  # it is kept, with the reason, and the others are asked for
                if not self.is_at_venue(order):
                    self.add(order.client_order_id)

    def is_at_venue(self, order: Order) -> bool:
        """Ask the venue for an order.

        Returns
        -------
        bool
            False where the venue has none of it and never had: it may be sent, or ended as never sent.

        Raises
        ------
        SubmissionUnknown
            Its answer proves nothing, or denies an order that it acknowledged: it may have filled. It stays doubtful,
            and :meth:`missing` says why.
        BrokerUnavailable
            The venue gives no usable answer.
        """
        name = order.client_order_id
        try:
            is_there = self._broker.find_order(name) is not None
        except SubmissionUnknown as error:
            self._doubts[name] = _Doubt(str(error), self._clock.now_utc())
            raise
        if not is_there and self._record.is_acknowledged(name):
            why = (
                f"order {name} ({order.quantity_shares:g} {order.symbol}, session {order.execution_session}): the "
                f"broker acknowledged it and denies it now, and it may have filled; {remedy_of_missing(name)}"
            )
            self._doubts[name] = _Doubt(why, self._clock.now_utc())
            raise SubmissionUnknown(why)
        if is_there:
            self.discard(name)
        return is_there
