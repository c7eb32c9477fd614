"""A process that is killed while it sends: whoever comes after it finds the order, or sends it once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aegis.execution.order_states import OrderState
from tests.integration.vendors.tws.wire import ToGateway

REPOSITORY = Path(__file__).resolve().parents[4]
PATIENCE = 60.0
SENDS = """
import sys
from datetime import UTC, date, datetime
from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config_brokers import InteractiveBrokersBrokerSettings
from aegis.execution.brokers.interactive_brokers import InteractiveBrokersBroker
from aegis.execution.orders import Order

broker = InteractiveBrokersBroker(
    InteractiveBrokersBrokerSettings(port=int(sys.argv[1]), poll_seconds=3600),
    account="simulated",
    calendar=trading_calendar("XNYS"),
    clock=SimulatedClock(datetime(2014, 6, 5, 20, 15, tzinfo=UTC)),
)
broker.connect()
broker.submit(Order(
    client_order_id="order-ABC", decision_id="simulated/main/2014-06-05/rebalance/1", account="simulated",
    session=date(2014, 6, 5), execution_session=date(2014, 6, 6), symbol="ABC", ticker="ABC", quantity_shares=100.0,
    algorithm="market", time_in_force="DAY", arrival_price_usd=10.0, target_weight=0.05, is_reducing=False,
    reason="rebalance",
))
print("submitted", flush=True)
sys.stdin.read()
"""


class KillsAt(list):
    """Requests as the gateway notes them; at the last that a process shall send, it is killed before any answer."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self.process: subprocess.Popen[str] | None = None
        self.has_killed = False

    def append(self, request: object) -> None:
        super().append(request)
        if len(self) == self._number and self.process is not None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.has_killed = True


@pytest.mark.long  # starts nine processes
def test_a_process_that_is_killed_at_any_of_its_requests_leaves_one_order(venue, broker_of, order_of):
    """Its requests are: the logon, the time, four questions that catch up, and the order itself."""
    killed, sent_before = [], []
    for number in range(1, 10):
        venue.begin_again()
        venue.gateway.requests = requests = KillsAt(number)
        process = subprocess.Popen(
            [sys.executable, "-c", SENDS, str(venue.gateway.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
        )
        requests.process = process
        if process.stdout.readline():  # it lived to say that it has submitted
            process.kill()
        process.wait(PATIENCE)
        process.stdin.close()
        process.stdout.close()
        requests.process = None
        killed += [number] if requests.has_killed else []
        sent_before.append(len(venue.gateway.received(ToGateway.PLACE_ORDER)))
        later = broker_of()
        later.adopt(order_of())
        assert later.submit(order_of()).state is OrderState.ACCEPTED, number
        assert venue.desk.accepted == {"order-ABC": 1}, number
        later.close()
    venue.gateway.requests = []
    assert (killed, sent_before) == ([1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 0, 0, 0, 1, 1, 1])
