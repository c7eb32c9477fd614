"""An account on paper through the whole live path: evenings decide in Dagster, days are traded minute by minute."""

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
FIRST = CALENDAR.offset(THE_DAY, -3)
SECOND, THIRD = CALENDAR.next(FIRST), CALENDAR.offset(FIRST, 2)


class PaperAccount:
    """The account's workspace and clock."""

    def __init__(self, eve: Path, home: Path, **execution: object) -> None:
        shutil.copytree(eve, home)
        (home / "simulated-simulated").rename(home / f"simulated-{ACCOUNT}")
        live = {"broker": "simulated", "market_data": {"simulated": {"half_spread_bps": 0}}}
        sections = settings(home=home, account=ACCOUNT, account_since=FIRST)
        self.config = AegisConfig(eval={"execution": execution, "live_trading": live}, **sections)
        self.clock = SimulatedClock(CALENDAR.close_utc(CALENDAR.previous(FIRST)))
        self.chain = Chain(self.config)

    def evening(self, session: date) -> dg.ExecuteInProcessResult:
        at = CALENDAR.close_utc(session) + self.config.market_data.vendor_delay + timedelta(minutes=5)
        self.clock.advance_to(max(at, self.clock.now_utc()))
        self.chain = Chain(self.config, clock=FixedClock(self.clock.now_utc()))
        return self.chain.run(EXECUTE_TRADES, session, session)

    def day(self, session: date, *, every: timedelta = timedelta(minutes=1)) -> list[str]:
        """Trade a session; return what failed."""
        opens, closes = CALENDAR.open_utc(session), CALENDAR.close_utc(session)
        self.clock.advance_to(opens - timedelta(minutes=20))
        failures: list[str] = []
        with traded_account(
            self.config, clock=self.clock, lake=LakeResource.of(self.chain.workspace), listens=False
        ) as account:
            while self.clock.now_utc() <= closes + every:
                failures += account.process.step().failures
                self.clock.advance_to(self.clock.now_utc() + every)
        return failures


@pytest.fixture(scope="module")
def account(eve: Path, tmp_path_factory: pytest.TempPathFactory) -> PaperAccount:
    return PaperAccount(eve, tmp_path_factory.mktemp("paper") / "home", default_algorithm="twap", interval_minutes=30)


def test_a_day_on_paper_is_traded_in_slices_and_booked_in_the_evening(account: PaperAccount) -> None:
    account.evening(FIRST)
    assert account.day(SECOND, every=timedelta(minutes=5)) == []
    result = account.evening(SECOND)
    assert all(account.chain.checks(result).values())
    fills = account.chain.read(tables.FILLS, account=ACCOUNT)
    orders = account.chain.read(tables.ORDERS, account=ACCOUNT)
    print(fills.groupby("symbol").agg({"quantity_shares": ["sum", "count"]}), len(orders))
    assert fills.groupby("symbol").size().median() > 5
    status = read_status(account.chain.workspace.monitor(ACCOUNT) / STATUS_FILE)
    print(status)
