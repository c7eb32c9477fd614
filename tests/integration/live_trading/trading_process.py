"""A process that trades a rebalance through the execution system, started to be killed; imports once, forks each run.

One run a line on standard input: the venue's REST address, the address of its stream, and the account's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config_brokers import AlpacaBrokerSettings
from aegis.execution.account_state import Position
from aegis.execution.brokers.alpaca import AlpacaBroker
from aegis.execution.brokers.broker import AccountBalance
from aegis.execution.orders import Order, OrderEvent
from aegis.live_trading.execution_config import ExecutionConfig
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.exit_review import MadeBy
from aegis.live_trading.flattening import flatten_progress
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.standing_breakers import BreakerRecord
from aegis.live_trading.stopping import stop_account
from aegis.risk.exit_view import ExitRow, ExitVerdict
from tests.integration.live_trading.forked_runs import fork_each_run

ACCOUNT = "paper"
IN_SESSION = datetime(2014, 6, 6, 13, 31, tzinfo=UTC)
KEY_ID, SECRET_KEY = "PK-CANARY-KEY", "canary-secret-5f1c"  # what the venue of the tests asks for
CALENDAR = trading_calendar("XNYS")
FLATTENS, FLATTEN_STEPS = "flatten", 40


class NoRules:
    """An exit door without rules: what is tested here is that nothing leaves twice and nothing is lost."""

    def review(self, order: Order, *, is_replacement: bool = False) -> ExitVerdict:
        """Let it go."""
        row = ExitRow("there_is_no_rule", "pass", float(is_replacement), 1.0, None)
        return ExitVerdict(order.client_order_id, IN_SESSION, (row,), order.arrival_price_usd)

    def withdraw(self, client_order_id: str) -> None:
        """Keep no count."""

    def settle(self, event: OrderEvent) -> None:
        """Keep no count."""

    def let_go(self, client_order_ids: Iterable[str]) -> None:
        """Know of no order."""

    def observe_account(self, balance: AccountBalance, positions: Iterable[Position], *, at_utc: datetime) -> None:
        """Keep no statement."""

    def observe_stream(self, at_utc: datetime) -> None:
        """Keep no time."""

    def observe_reconciliation(self, *, is_clean: bool) -> None:
        """Keep no answer."""

    def record(self) -> BreakerRecord:
        """Remember nothing."""
        return BreakerRecord()


def broker_at(url: str, stream_url: str, clock: SimulatedClock) -> AlpacaBroker:
    """Return a broker that reaches the venue of the tests without pauses."""
    settings = {
        "url": url,
        "stream_url": stream_url,
        "key_id": KEY_ID,
        "secret_key": SECRET_KEY,
        "read_timeout_seconds": 5.0,
        "first_pause_seconds": 0.0,
        "poll_seconds": 3600.0,
        "reconnect_first_seconds": 0.01,
        "reconnect_longest_seconds": 0.02,
    }
    return AlpacaBroker(AlpacaBrokerSettings.model_validate(settings), account=ACCOUNT, calendar=CALENDAR, clock=clock)


def config_in(folder: Path, clock: SimulatedClock, **terms: Any) -> ExecutionConfig:
    """Return an account that lives in a folder."""
    given: dict[str, Any] = {
        "account": ACCOUNT,
        "journal": folder / "journal.sqlite",
        "kill_switch": folder / "kill.json",
        "lease": folder / "lease.json",
        "calendar": CALENDAR,
        "rules": lambda _: NoRules(),
        "clock": clock,
        "made_by": MadeBy(code_version="test", config_hash="test"),
    }
    return ExecutionConfig(**{**given, **terms})


def rebalance(system: ExecutionSystem) -> None:
    """Trade the same rebalance, whatever of it was done before: buy, buy cheaper, take back, and ask too much."""
    system.submit_order(system.order("ABC", 100, name="buy", arrival_price_usd=10.0))
    cheap = system.order("ABC", 50, name="cheap", arrival_price_usd=10.0, order_type="limit", limit_price_usd=8.0)
    system.submit_order(cheap)
    system.submit_order(
        system.order("DEF", 20, name="taken back", arrival_price_usd=20.0, order_type="limit", limit_price_usd=15.0)
    )
    system.submit_order(system.order("DEF", 100_000, name="too much", arrival_price_usd=20.0))
    system.replace_order(replace(cheap, limit_price_usd=8.5), revision=1)
    system.cancel_order(system.order("DEF", 20, name="taken back", arrival_price_usd=20.0).client_order_id)
    system.step()


def flatten(system: ExecutionSystem, broker: AlpacaBroker, folder: Path) -> None:
    """Stop the account with a request to close everything, whatever of it was done before, and work on it."""
    stop_account(KillSwitch(folder / "kill.json"), reason="enough", actor="ada", at_utc=IN_SESSION, flatten=True)
    for _ in range(FLATTEN_STEPS):
        broker.catch_up()
        system.step()
        progress = flatten_progress(folder / "kill.json")
        if progress is not None and progress.state == "flat":
            return


def run(words: Sequence[str]) -> str:
    """Trade until killed, or to the end, and say that it is complete; a folder that is named so flattens instead."""
    url, stream_url, folder = words[0], words[1], Path(words[2])
    clock = SimulatedClock(IN_SESSION)
    with broker_at(url, stream_url, clock) as broker:
        system = ExecutionSystem(broker, config_in(folder, clock))
        if folder.name.startswith(FLATTENS):
            flatten(system, broker, folder)
        else:
            rebalance(system)
        system.close()
    return "complete"


if __name__ == "__main__":
    fork_each_run(run)
