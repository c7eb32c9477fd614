"""The stop that waits for nothing: what is open at the broker is ended as soon as the kill switch is engaged.

Belongs here: ending orders by the broker's own list, whatever the journal says of them, while another order is on its
way or the journal cannot be written. That nothing new leaves is :mod:`aegis.live_trading.exit_door`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from aegis.errors import AegisError
from aegis.execution.brokers.broker import Broker
from aegis.live_trading.exit_permits import flatten_request
from aegis.live_trading.kill_switch import KillSwitch


class StopWatch:
    """Looks at the kill switch in a thread of its own.

    Parameters
    ----------
    broker : Broker
        Whose open orders are ended.
    switch : KillSwitch
        The account's.
    pause_seconds : float
        Between two looks.

    Notes
    -----
    It takes no lock of the door's: a request that the venue does not answer holds up no stop.
    """

    def __init__(self, broker: Broker, switch: KillSwitch, *, pause_seconds: float) -> None:
        self._broker, self._switch, self._pause_seconds = broker, switch, pause_seconds
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stop-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def cancel_open(self, *, besides: Collection[str] = ()) -> tuple[str, ...]:
        """Ask for the end of the orders that the broker has open, but those that close positions for this stop.

        Parameters
        ----------
        besides : collection of str
            Orders whose end was asked for already.

        Returns
        -------
        tuple of str
            What went wrong; one order that cannot be cancelled keeps no other from it.
        """
        request, failures = self._switch.status().flatten, []
        try:
            found = self._broker.open_orders()
        except AegisError as error:
            return (str(error),)
        for status in found:
            name = status.order.client_order_id
            if name in besides or (request and flatten_request(status.order.decision_id) == request):
                continue
            try:
                self._broker.cancel(name)
            except AegisError as error:
                failures.append(str(error))
        return tuple(failures)

    def _run(self) -> None:
        was_engaged = False
        while not self._closing.wait(self._pause_seconds):
            is_engaged = self._switch.is_engaged()
            if is_engaged and not was_engaged:
                self.cancel_open()  # what is left after it, whoever steps the system goes on with
            was_engaged = is_engaged
