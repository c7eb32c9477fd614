"""``aegis trade``: it begins, shows itself, is alone, and ends when it is told to."""

from __future__ import annotations

import io
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.errors import AnchorUnavailable, ConfigurationError, ExecutionError, JournalError
from aegis.monitoring.status_file import STATUS_FILE, read_status
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_sensors.desk_commands import audit_command
from aegis_sensors.monitor_command import monitor_command
from aegis_sensors.trade_command import ending, trade_command
from tests.integration.conftest import CALENDAR, THE_DAY, settings

CLOCK = FixedClock(CALENDAR.open_utc(CALENDAR.previous(THE_DAY)))


def config_of(home: Path, account: str = "paper", **storage: str) -> AegisConfig:
    since = None if account == "simulated" else CALENDAR.offset(THE_DAY, -2)
    sections = settings(home=home, account=account, account_since=since)
    return AegisConfig(eval={"live_trading": {"broker": "simulated"}}, storage=storage, **sections)


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def config(eve: Path, tmp_path: Path) -> AegisConfig:
    shutil.copytree(eve / "simulated-simulated", tmp_path / "simulated-paper")
    return config_of(tmp_path)


@pytest.fixture
def trading(config: AegisConfig) -> Iterator[Console]:
    """Trade in a thread until the test is over."""
    said, stop, ended = console(), threading.Event(), []
    thread = threading.Thread(
        target=lambda: ended.append(trade_command(config, console=said, every_seconds=0.01, clock=CLOCK, stop=stop))
    )
    thread.start()
    path = Workspace.of(config).monitor("paper") / STATUS_FILE
    while thread.is_alive() and not path.exists():
        time.sleep(0.01)
    yield said
    stop.set()
    thread.join()
    assert ended == [0]


def test_it_says_what_it_trades_and_shows_itself(config: AegisConfig, trading: Console) -> None:
    assert "trading account paper at simulated (paper): 0 positions, 0 open orders" in trading.file.getvalue()
    status = read_status(Workspace.of(config).monitor("paper") / STATUS_FILE)
    assert status is not None
    assert (status.account, status.snapshot["has_lease"]) == ("paper", True)
    assert monitor_command(config, console=console(), clock=CLOCK) == 0
    with pytest.raises(ExecutionError, match="is traded by process"):
        trade_command(config, console=console(), clock=CLOCK, stop=threading.Event())


def test_after_its_end_the_monitor_says_so(config: AegisConfig) -> None:
    stop = threading.Event()
    stop.set()
    assert trade_command(config, console=console(), clock=CLOCK, stop=stop) == 0
    assert monitor_command(config, console=console(), clock=CLOCK) == 1


class OneStep(threading.Event):
    """Ends a process after its first step."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - it does not wait
        self.set()
        return True


def test_outside_market_hours_it_says_when_the_market_opens_and_which_restrictions_restrict_nothing(
    config: AegisConfig, tmp_path: Path
) -> None:
    file = tmp_path / "restricted.csv"
    file.write_text(
        "symbol,from,until,known_at_utc,restriction,reason\nQ9Q9Q9,2014-06-02,,2014-06-01T00:00:00Z,no opening,typo\n",
        encoding="utf-8",
    )
    listed = config.model_copy(update={"compliance": config.compliance.model_copy(update={"restricted_list": file})})
    early, said = FixedClock(CLOCK.now_utc() - timedelta(minutes=1)), console()
    assert trade_command(listed, console=said, clock=early, stop=OneStep()) == 0
    opens = f"{CLOCK.now_utc():%Y-%m-%d} 13:30 UTC"
    told = said.file.getvalue()
    assert f"XNYS is closed; opens {opens}; 0 orders wait" in told
    assert "remark: restricted list line 2: Q9Q9Q9 is no symbol of this market" in told
    assert "ended; no open order is at the broker." in told


@pytest.mark.parametrize(("sent", "stays"), [(1, "1 open order stays"), (15, "15 open orders stay")])
def test_at_its_end_it_says_how_many_orders_stay_and_what_cancels_them(sent: int, stays: str) -> None:
    assert ending(sent) == (
        f"ended; {stays} at the broker. `aegis kill` stops new ones; only `aegis trade`, or the broker's own pages, "
        "cancel what is there."
    )


def test_the_simulated_account_is_not_traded(eve: Path, tmp_path: Path) -> None:
    shutil.copytree(eve / "simulated-simulated", tmp_path / "simulated-simulated")
    with pytest.raises(ConfigurationError, match="name another account"):
        trade_command(config_of(tmp_path, "simulated"), console=console(), clock=CLOCK)


def test_an_account_is_anchored_audited_and_refused_once_its_end_is_cut_off(
    config: AegisConfig, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    anchored = config_of(tmp_path, anchor_location=str(volume))
    stop = threading.Event()
    stop.set()

    def trade() -> int:
        return trade_command(anchored, console=console(), clock=CLOCK, stop=stop)

    assert trade() == 0
    said = console()
    audit_command(anchored, console=said)
    assert f"The head that {volume}/simulated-paper/paper.json keeps is in it." in said.file.getvalue()
    journal = Workspace.of(anchored).journal("paper")
    assert isinstance(journal, Path)
    with closing(sqlite3.connect(journal)) as file, file:
        file.execute("DROP TRIGGER journal_events_refuse_delete")
        file.execute("DELETE FROM journal_events WHERE sequence > 1")
        file.execute("UPDATE journal_heads SET sequence = 1, hash = (SELECT hash FROM journal_events)")
    audit_command(config, console=console())  # without its anchor it is a whole journal
    desk = Desk.of(anchored)

    def decide() -> None:
        with desk.ledger(THE_DAY, THE_DAY, published=None, last_booked=None):
            pytest.fail("nothing may be decided")

    for attempt in (trade, lambda: audit_command(anchored, console=console()), decide):
        with pytest.raises(
            JournalError, match=r"published up to sequence \d+ and now ends with 1; .*paper\.json tells"
        ):
            attempt()
    volume.rename(tmp_path / "away")
    for attempt in (lambda: audit_command(anchored, console=console()), decide):
        with pytest.raises(AnchorUnavailable, match="there is no folder"):
            attempt()
