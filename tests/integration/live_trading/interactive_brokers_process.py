"""A process that trades a rebalance at Interactive Brokers through the execution system, started to be killed.

One run a line on standard input: the gateway's port, and the account's folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from aegis.clock import SimulatedClock
from aegis.config_brokers import InteractiveBrokersBrokerSettings
from aegis.execution.brokers.interactive_brokers import InteractiveBrokersBroker
from aegis.live_trading.execution_system import ExecutionSystem
from tests.integration.live_trading.forked_runs import fork_each_run
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR, IN_SESSION, config_in, rebalance

COMPLETE = "complete"


def broker_at(port: int, clock: SimulatedClock) -> InteractiveBrokersBroker:
    """Return a broker that reaches the gateway of the tests without pauses; nothing is asked yet."""
    settings = InteractiveBrokersBrokerSettings(
        port=port,
        connect_timeout_seconds=5.0,
        answer_timeout_seconds=5.0,
        first_pause_seconds=0.0,
        poll_seconds=3600.0,
        reconnect_first_seconds=0.01,
        reconnect_longest_seconds=0.02,
        commission_wait_seconds=0.02,
    )
    return InteractiveBrokersBroker(settings, account=ACCOUNT, calendar=CALENDAR, clock=clock)


def run(words: Sequence[str]) -> str:
    """Trade until killed, or to the end."""
    folder, clock = Path(words[1]), SimulatedClock(IN_SESSION)
    with (
        broker_at(int(words[0]), clock) as broker,
        closing(ExecutionSystem(broker, config_in(folder, clock))) as system,
    ):
        rebalance(system)
    return COMPLETE


if __name__ == "__main__":
    fork_each_run(run)
