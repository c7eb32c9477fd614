"""What tests share that kill a process that trades: when it dies, how long the next one may take, what must hold then.

Belongs here: nothing of a venue. Starting and killing is :mod:`tests.integration.live_trading.forked_runs`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from aegis.execution.journal import Journal
from aegis.execution.order_projections import recorded_fills
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.held_positions import journalled_positions
from tests.integration.live_trading.trading_process import ACCOUNT, IN_SESSION

SEED = 20260604
INSTANTS = 100
_MOST_RUNS = 4 * INSTANTS
LATEST_KILL_SECONDS = 0.35
RESTARTED_WITHIN_SECONDS = 60.0


def some_boundaries(boundaries: int, count: int) -> list[int]:
    """Return a few of the boundaries, the same in every run."""
    return random.Random(SEED).sample(range(boundaries), count)  # noqa: S311 - no secret


def kill_at_each(
    boundaries: int, folder: Path, run: Callable[[Path, int], str], require: Callable[[Path], None]
) -> int:
    """Kill a run of its own at each boundary, require what must hold after it, and return how many died.

    Parameters
    ----------
    boundaries : int
    folder : Path
        Each run gets one of its own in it.
    run : callable
        Runs in a folder to a boundary, and returns the run's last word: empty where it was killed.
    require : callable
        Finishes what was begun in a folder, and compares.
    """
    killed = 0
    for number in range(boundaries):
        own = folder / str(number)
        own.mkdir()
        killed += run(own, number) == ""
        require(own)
    return killed


def kill_at_random_instants(
    folder: Path, run: Callable[[Path, float], str], require: Callable[[Path], None], *, deaths: int = 1
) -> int:
    """Kill runs, each up to `deaths` times, until :data:`INSTANTS` have died before their end; as above.

    The instants are drawn alike in every run of the test; a run that was over before its own has shown nothing.
    """
    seconds, killed = random.Random(SEED), 0  # noqa: S311 - no secret
    for number in range(_MOST_RUNS):
        if killed >= INSTANTS:
            break
        own = folder / str(number)
        own.mkdir()
        for _ in range(deaths):
            killed += run(own, seconds.uniform(0.0, LATEST_KILL_SECONDS)) == ""
        require(own)
    return killed


class CatchingUp(Protocol):
    """A broker that can be asked for what its stream has lost."""

    def catch_up(self) -> object:
        """Ask."""
        ...


def require_settled(system: ExecutionSystem, broker: CatchingUp, *, began: float) -> None:
    """Look until no order is open, within the time, and find the books equal to the broker's.

    Parameters
    ----------
    system, broker
        Of the process that was started after the death.
    began : float
        When it was, by the monotonic clock.
    """
    while system.open_orders():
        broker.catch_up()
        system.step()
        assert time.monotonic() - began < RESTARTED_WITHIN_SECONDS
    assert system.reconcile().breaks == ()


def require_journal(folder: Path, told: Iterable[tuple[float, float]], *, held: dict[str, float]) -> None:
    """Find the chain whole, every execution that the venue told in it once, and what is held.

    Parameters
    ----------
    folder : Path
        Of the account.
    told : iterable of (float, float)
        Shares and price of each execution at the venue.
    held : dict of str to float
        Signed shares by symbol.
    """
    with Journal.open(folder / "journal.sqlite", account=ACCOUNT) as journal:
        journal.verify()
        fills = recorded_fills(journal, first=IN_SESSION.date(), last=IN_SESSION.date())
        assert journalled_positions(journal) == held
    assert sorted((fill.quantity_shares, fill.price_usd) for fill in fills) == sorted(told)
