"""The stop that waits for nothing: what is open at the broker is ended as soon as the kill switch is engaged.

Belongs here: which orders end, by the broker's own list, whatever the journal says of them, while another order is on
its way or the journal cannot be written. How they are asked for at once is
:mod:`aegis.live_trading.concurrent_cancels`; that nothing new leaves is :mod:`aegis.live_trading.exit_door`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from aegis.errors import AegisError
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.broker_abilities import KnowsOpenOrders, SeveralVenues
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.live_trading.concurrent_cancels import ConcurrentCancels
from aegis.live_trading.exit_permits import flatten_request
from aegis.live_trading.kill_switch import KillSwitch

AGAIN_SECONDS = 0.5
"""Between two looks while the switch stays engaged."""


class StopWatch:
    """Looks at the kill switch in a thread of its own.

    Parameters
    ----------
    broker : Broker
        Whose open orders are ended; its `cancel` is called by several threads at once.
    switch : KillSwitch
        The account's.
    pause_seconds : float
        Between two looks while the switch is off.

    Notes
    -----
    It takes no lock of the door's, and asks a broker that knows its open orders for no list: a request that a venue
    does not answer holds up no stop. What could not be cancelled is asked for again for as long as the switch stays
    engaged.
    """

    def __init__(self, broker: Broker, switch: KillSwitch, *, pause_seconds: float) -> None:
        self._broker, self._switch, self._pause_seconds = broker, switch, pause_seconds
        self._cancels = ConcurrentCancels(broker.cancel, lane_of=self._venue_of)
        self._unlisted = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stop-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._closing.set()
        self._cancels.close()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def ends_on_failure(self) -> Iterator[None]:
        """End what is open, where the account is stopped, although what is done meanwhile fails."""
        try:
            yield
        except AegisError:
            self.cancel_open()
            raise

    def cancel_all(
        self, journalled: Callable[[], Iterable[OrderStatus]], *, while_stopped: bool = True
    ) -> tuple[str, ...]:
        """Ask for the end of what the broker has open, then of what is open by the journal besides.

        Parameters
        ----------
        journalled : callable
            Returns the orders that are open by the journal; called once the first are asked for, because it waits for
            the door.
        while_stopped : bool
            See :meth:`cancel`.

        Returns
        -------
        tuple of str
            What keeps any of them from its end.
        """
        asked = self.cancel_open(while_stopped=while_stopped)
        besides = (status for status in journalled() if status.order.client_order_id not in asked)
        asked |= self.cancel(besides, while_stopped=while_stopped)
        return (*filter(None, [self._unlisted]), *self._cancels.failures(asked))

    def cancel_open(self, *, while_stopped: bool = True) -> frozenset[str]:
        """Ask for the end of the orders that the broker has open, and return these; see :meth:`cancel`."""
        try:
            found = self._open()
        except AegisError as error:
            self._unlisted = str(error)
            return frozenset()
        except Exception as error:  # noqa: BLE001 - whatever it is, the journal's orders are cancelled next
            self._unlisted = f"the broker's list of open orders met {error!r}; look at its own pages"
            return frozenset()
        self._unlisted = ""
        return self.cancel(found, while_stopped=while_stopped)

    def cancel(self, found: Iterable[OrderStatus], *, while_stopped: bool = True) -> frozenset[str]:
        """Ask for the end of orders, but those that close positions for the stop that stands, and return which.

        Parameters
        ----------
        found : iterable of OrderStatus
            Those that are open. The switch is read after the last of them: what left after a release is not ended.
        while_stopped : bool
            Whether nothing is asked for once the switch is released.
        """
        listed, stop = tuple(found), self._switch.status()
        if while_stopped and not stop.is_engaged:
            return frozenset()
        request = stop.flatten
        ending = {
            status.order.client_order_id: status
            for status in listed
            if not request or flatten_request(status.order.decision_id) != request
        }
        acknowledged = {name for name, status in ending.items() if status.is_cancel_requested}
        arrived = {name for name, status in ending.items() if status.state is not OrderState.SUBMITTED}
        self._cancels.ask(sorted(ending), acknowledged=acknowledged, arrived=arrived)
        return frozenset(ending)

    def _open(self) -> tuple[OrderStatus, ...]:
        """Return what the broker has open, by what it knows if it can say so without asking its venue."""
        broker = self._broker
        return broker.known_open() if isinstance(broker, KnowsOpenOrders) else broker.open_orders()

    def _venue_of(self, client_order_id: str) -> str:
        """Return the venue of an order among several; empty where there is one, or where it was not found yet."""
        broker = self._broker
        return (broker.broker_of(client_order_id) or "") if isinstance(broker, SeveralVenues) else ""

    def _run(self) -> None:
        pause_seconds, was_engaged = self._pause_seconds, False
        while not self._closing.wait(pause_seconds):
            is_engaged = self._switch.is_engaged()
            try:
                if is_engaged:
                    self.cancel_open()
                elif was_engaged:
                    self._cancels.forget_waiting()
            except Exception as error:  # noqa: BLE001 - whatever it is, a watch that has ended would obey no stop
                self._unlisted = f"cancelling what is open met {error!r}; it is tried again, or cancel it by hand"
            was_engaged = is_engaged
            pause_seconds = max(self._pause_seconds, AGAIN_SECONDS) if is_engaged else self._pause_seconds
