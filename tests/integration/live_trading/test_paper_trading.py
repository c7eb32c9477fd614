"""An account on paper through the whole live path: evenings decide in Dagster, the day is traded slice by slice."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from aegis.clock import FixedClock, SimulatedClock
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.monitoring.status_file import STATUS_FILE, read_status
from aegis_resources.lake import LakeResource
from aegis_resources.trading import traded_account
from aegis_sensors.jobs import EXECUTE_TRADES
from tests.integration.conftest import CALENDAR, THE_DAY, Chain, settings

ACCOUNT = "paper"
FIRST = CALENDAR.offset(THE_DAY, -2)
SECOND = CALENDAR.next(FIRST)
HALF_HOUR = timedelta(minutes=30)


class PaperAccount:
    """The account's workspace and clock."""

    def __init__(self, eve: Path, home: Path) -> None:
        shutil.copytree(eve, home)
        (home / "simulated-simulated").rename(home / f"simulated-{ACCOUNT}")
        sections = settings(home=home, account=ACCOUNT, account_since=FIRST)
        limits = {"max_orders_per_second": 100, "max_position_size": 0.2}
        volume = home.parent / "another volume"
        volume.mkdir()
        self.config = AegisConfig(
            eval={
                "execution": {"default_algorithm": "twap", "interval_minutes": 30},
                "live_trading": {"broker": "simulated", "risk_limits": limits},
            },
            storage={"anchor_location": str(volume)},
            **sections,
        )
        self.clock = SimulatedClock(CALENDAR.close_utc(CALENDAR.previous(FIRST)))
        self.chain = Chain(self.config)

    def evening(self, session: date) -> dg.ExecuteInProcessResult:
        at = CALENDAR.close_utc(session) + self.config.market_data.vendor_delay + timedelta(minutes=5)
        self.clock.advance_to(max(at, self.clock.now_utc()))
        self.chain = Chain(self.config, clock=FixedClock(self.clock.now_utc()))
        return self.chain.run(EXECUTE_TRADES, session, session)

    def day(self, session: date) -> list[str]:
        """Trade a session, look each half hour, and return what failed."""
        self.clock.advance_to(CALENDAR.open_utc(session) - HALF_HOUR)
        failures: list[str] = []
        lake = LakeResource.of(self.chain.workspace)
        with traded_account(self.config, clock=self.clock, lake=lake, listens=False) as account:
            while self.clock.now_utc() <= CALENDAR.close_utc(session):
                self.clock.advance_to(self.clock.now_utc() + HALF_HOUR)
                failures += account.process.step().failures
        return failures


@pytest.fixture(scope="module")
def account(eve: Path, tmp_path_factory: pytest.TempPathFactory) -> PaperAccount:
    return PaperAccount(eve, tmp_path_factory.mktemp("paper") / "home")


def test_a_day_on_paper_is_traded_in_slices_and_booked_in_the_evening(account: PaperAccount) -> None:
    account.evening(FIRST)
    orders = account.chain.read(tables.ORDERS, account=ACCOUNT)
    assert account.day(SECOND) == []
    assert all(account.chain.checks(account.evening(SECOND)).values())

    fills = account.chain.read(tables.FILLS, account=ACCOUNT)
    wanted = orders.set_index("symbol")["quantity_shares"]
    filled = fills.groupby("symbol")["quantity_shares"].sum()
    assert len(wanted) > 5
    assert filled.to_dict() == wanted.to_dict()
    assert fills.groupby("symbol").size().min() > 8  # thirteen half hours

    positions = account.chain.read(tables.POSITIONS, account=ACCOUNT, last=SECOND)
    held = positions[positions["session"].dt.date == SECOND].set_index("symbol")["quantity_shares"]
    assert held.to_dict() == wanted.to_dict()
    status = read_status(account.chain.workspace.monitor(ACCOUNT) / STATUS_FILE)
    assert status is not None
    assert (status.causes, status.snapshot["breaks"], status.snapshot["open_orders"]) == ((), [], [])
