"""``aegis trade``: the process that trades one account until it is told to stop.

Belongs here: starting it, stopping it by a signal, and what a person reads meanwhile. What it does is
:mod:`aegis.live_trading.trading_process`, what it is made of :mod:`aegis_resources.trading`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.text import Text

from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.errors import AegisError
from aegis.live_trading.live_trader import TraderReport
from aegis.workspace import Workspace
from aegis_resources.lake import LakeResource
from aegis_resources.trading import TradedAccount, traded_account
from aegis_sensors.workspace_identity import require_account


def trade_command(
    config: AegisConfig,
    *,
    console: Console,
    every_seconds: float = 1.0,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Trade the configured account until SIGINT or SIGTERM; orders stay at the broker as they are.

    Parameters
    ----------
    config : AegisConfig
        ``run.account`` is the account.
    console : Console
        Where changes are told.
    every_seconds : float
        Between two steps.
    clock : Clock, optional
        By default the machine's.
    stop : Event, optional
        Ends it as well.

    Raises
    ------
    ConfigurationError
        The workspace does not exist or is another account's, or real money is not confirmed.
    AegisError
        It cannot begin; nothing was sent.
    """
    workspace = Workspace.of(config)
    require_account(config, workspace)
    stop = stop or threading.Event()
    with (
        _ends_by_signal(stop),
        traded_account(config, clock=clock or SystemClock(), lake=LakeResource.of(workspace)) as account,
    ):
        console.print(Text(_beginning(config, account)), soft_wrap=True)
        account.process.run(stop, every_seconds=every_seconds, tell=_Teller(console, account).tell)
        left = len(account.system.sent_orders())
    console.print(Text(ending(left)), soft_wrap=True)
    return 0


def _beginning(config: AegisConfig, account: TradedAccount) -> str:
    money = "REAL MONEY" if account.trades_real_money else "paper"
    held, open_orders = len(account.system.held_symbols), len(account.system.open_orders())
    return (
        f"trading account {config.run.account} at {config.eval.live_trading.broker} ({money}): {held} positions, "
        f"{open_orders} open orders. Ctrl-C ends it; `aegis monitor` shows it."
    )


def ending(sent_orders: int) -> str:
    """Return what a person is told at the end, with so many open orders at the broker."""
    if not sent_orders:
        return "ended; no open order is at the broker. `aegis trade` goes on where it was."
    stays = "1 open order stays" if sent_orders == 1 else f"{sent_orders} open orders stay"
    return (
        f"ended; {stays} at the broker. `aegis kill` stops new ones; only `aegis trade`, or the broker's own pages, "
        "cancel what is there."
    )


class _Teller:
    """Prints a report where it says something else than the one before."""

    def __init__(self, console: Console, account: TradedAccount) -> None:
        self._console, self._account = console, account
        self._last: object = None
        self._remarks: tuple[str, ...] = ()

    def tell(self, report: TraderReport) -> None:
        """Print what changed."""
        self._tell_remarks()
        working = tuple((s.order.symbol, str(s.phase)) for s in report.parents)
        at_work = self._at_work(report)
        said = (report.stopped, report.breaks, report.failures, working, at_work)
        if said == self._last:
            return
        self._last = said
        self._console.print(Text(f"{_time(report.at_utc)} {at_work}"), soft_wrap=True)
        if report.stopped:
            self._console.print(Text(f"  stopped: the kill switch {report.stopped}", style="bold red"), soft_wrap=True)
        for label, found in (("differs from the broker", report.breaks), ("failed", report.failures)):
            for text in found:
                self._console.print(Text(f"  {label}: {text}", style="red"), soft_wrap=True)

    def _tell_remarks(self) -> None:
        try:
            remarks = self._account.remarks()
        except AegisError:
            return  # the lake does not answer, which no trading ends for; the next step asks again
        if remarks != self._remarks:
            self._remarks = remarks
            for remark in remarks:
                self._console.print(Text(f"  remark: {remark}", style="red"), soft_wrap=True)

    def _at_work(self, report: TraderReport) -> str:
        """Return how many orders are at work or, while the market is closed, wait."""
        calendar, session = self._account.calendar, self._account.process.execution_session()
        opens = calendar.open_utc(session)
        if report.at_utc >= opens:
            return f"{len(report.parents)} orders at work"
        waiting = len(self._account.process.waiting())
        orders = "1 order waits" if waiting == 1 else f"{waiting} orders wait"
        return f"{calendar.name} is closed; opens {opens:%Y-%m-%d %H:%M} UTC; {orders}"


def _time(at_utc: datetime) -> str:
    return f"{at_utc:%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def _ends_by_signal(stop: threading.Event) -> Iterator[None]:
    """Set `stop` at SIGINT and SIGTERM; outside of the main thread signals are somebody else's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, Callable[..., object] | int | None] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, lambda *_: stop.set())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
