"""The process that is soaked: all parts of ``aegis trade``, and a desk that asks for orders beside the decisions.

Belongs here: what the desk asks for. On standard input it is given one line of JSON; it trades until the input ends,
and then tells what it asked for and what failed. It is watched from outside, by :mod:`benchmarks.live_trading.soak`.
"""

from __future__ import annotations

import gc
import json
import random
import re
import sys
import threading
import time
from collections import Counter, deque
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from aegis.errors import AegisError
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.live_trader import TraderReport
from aegis.workspace import Workspace
from aegis_resources.lake import LakeResource
from aegis_resources.trading import traded_account
from benchmarks.live_trading.market import RunningClock, settings

STEP_SECONDS = 1.0
"""Between two steps of the trader and looks of the monitor, as `aegis trade` has it."""
_AT_MARKET = 0.7
_REPLACED = 0.4
_RESTS_SECONDS = 3.0
_BEFORE_SECONDS = 10.0
_LAST_FILLS_SECONDS = 30.0
"""For what is at the venue at the end to be filled or cancelled there."""
_FAR = 0.03


class Desk:
    """Asks for orders at a steady rate: at the market, and with far limits that are replaced and cancelled.

    Parameters
    ----------
    system : ExecutionSystem
        The account.
    quotes_usd : mapping of str to float
        Symbols and prices; half of the symbols are traded at the market, in the others limits rest.
    orders_per_second : float
        How often.
    seed : int
        Of its choices.
    """

    def __init__(
        self, system: ExecutionSystem, quotes_usd: dict[str, float], *, orders_per_second: float, seed: int
    ) -> None:
        self._system = system
        self._every = 1.0 / orders_per_second
        self._random = random.Random(seed)  # noqa: S311 - the same orders in every run
        names = sorted(quotes_usd)
        self._traded, self._rested = names[: len(names) // 2], names[len(names) // 2 :]
        self._quotes = quotes_usd
        self._bought: Counter[str] = Counter()
        self._resting: deque[Order] = deque()
        self._number = 0
        self.asked: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop, once there were quotes."""
        stop.wait(_BEFORE_SECONDS)
        while not stop.wait(self._every):
            self._attempt(self._trade if self._random.random() < _AT_MARKET else self._rest)
            if len(self._resting) > _RESTS_SECONDS / self._every * (1 - _AT_MARKET):
                self._attempt(self._cancel)

    def _trade(self) -> None:
        symbol = self._random.choice(self._traded)
        held = self._bought[symbol]
        shares = -held if held else self._random.randint(10, 40)
        order = self._order(symbol, shares, is_reducing=shares < 0)
        self.asked["market orders"] += 1
        if self._sent(self._system.submit_order(order)):
            self._bought[symbol] += shares

    def _rest(self) -> None:
        symbol = self._random.choice(self._rested)
        limit = round(self._quotes[symbol] * (1 - _FAR), 2)
        order = self._order(symbol, self._random.randint(1, 20), order_type="limit", limit_price_usd=limit)
        self.asked["limit orders"] += 1
        if not self._sent(self._system.submit_order(order)):
            return
        self._resting.append(order)
        if self._random.random() < _REPLACED:
            self.asked["replacements"] += 1
            self._system.replace_order(replace(order, limit_price_usd=round(limit - 0.05, 2)), revision=1)

    def _cancel(self) -> None:
        self.asked["cancellations"] += 1
        self._system.cancel_order(self._resting[0].client_order_id)
        self._resting.popleft()

    def _order(self, symbol: str, shares: float, **terms: Any) -> Order:
        self._number += 1
        price = self._quotes[symbol]
        return self._system.order(symbol, shares, name=f"soak-{self._number}", arrival_price_usd=price, **terms)

    def _sent(self, status: OrderStatus) -> bool:
        if status.is_final and not status.filled_shares:
            self.failures[str(status.state)] += 1
            return False
        return True

    def _attempt(self, action: Any) -> None:
        try:
            action()
        except AegisError as error:
            self.failures[f"{type(error).__name__}"] += 1


class Steps:
    """Counts the trader's steps and what failed in them."""

    def __init__(self) -> None:
        self.steps = 0
        self.failures: Counter[str] = Counter()
        self.breaks: Counter[str] = Counter()

    def tell(self, report: TraderReport) -> None:
        """Take note of a step."""
        self.steps += 1
        self.failures.update(_without_names(said) for said in report.failures)
        self.breaks.update(_without_names(said) for said in report.breaks)


def _without_names(said: str) -> str:
    """Return the beginning of a message without the ids and instants that make each of them another one."""
    return re.sub(r"[0-9a-f]{8,}|[0-9]+", "#", said)[:160]


def _await_the_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def main() -> None:
    """Trade until standard input ends."""
    given = json.loads(sys.stdin.readline())
    clock = RunningClock(datetime.fromisoformat(given["begins_utc"]), given["began_ns"])
    config = settings(Path(given["folder"]), given["venue"], health_port=given["health_port"])
    stop = threading.Event()
    watcher = threading.Thread(target=_await_the_end, args=(stop,), daemon=True)
    steps = Steps()
    with traded_account(config, clock=clock, lake=LakeResource.of(Workspace.of(config))) as account:
        desk = Desk(
            account.system,
            given["quotes_usd"],
            orders_per_second=given["orders_per_second"],
            seed=given["seed"],
        )
        asking = threading.Thread(target=desk.run, args=(stop,))
        sys.stdout.write(json.dumps({"trades": True}) + "\n")
        sys.stdout.flush()
        watcher.start()
        asking.start()
        account.process.run(stop, every_seconds=STEP_SECONDS, tell=steps.tell)
        asking.join()
        for status in account.system.open_orders():
            if status.order.order_type == "limit":
                account.system.cancel_order(status.order.client_order_id)
        until = time.monotonic() + _LAST_FILLS_SECONDS
        while account.system.sent_orders() and time.monotonic() < until:  # the venue goes on filling them
            account.system.step()
            time.sleep(STEP_SECONDS / 10)
        breaks = account.system.reconcile().breaks
    sys.stdout.write(
        json.dumps(
            {
                "steps": steps.steps,
                "asked": dict(desk.asked),
                "refused_or_failed": dict(desk.failures),
                "failures_of_steps": dict(steps.failures),
                "breaks_on_the_way": dict(steps.breaks),
                "breaks_at_the_end": list(breaks),
                "objects_tracked": len(gc.get_objects()),
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
