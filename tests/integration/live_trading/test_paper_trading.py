"""An account on paper through the whole live path: evenings decide in Dagster, the day is traded slice by slice."""

from __future__ import annotations

import io
import json
import math
import shutil
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from rich.console import Console

from aegis.clock import FixedClock, SimulatedClock
from aegis.config import AegisConfig
from aegis.errors import JournalError
from aegis.execution.journal import Journal
from aegis.execution.orders import OrderEventKind
from aegis.lake import tables
from aegis.monitoring.status_file import STATUS_FILE, read_status
from aegis_assets.table_assets import asset_key
from aegis_resources.lake import LakeResource
from aegis_resources.trading import traded_account
from aegis_sensors.jobs import EXECUTE_TRADES, REPORT
from aegis_sensors.shortfall_command import shortfall_command
from aegis_sensors.trade_command import trade_command
from tests.integration.conftest import CALENDAR, THE_DAY, Chain, settings

ACCOUNT = "paper"
FIRST = CALENDAR.offset(THE_DAY, -2)
SECOND = CALENDAR.next(FIRST)
HALF_HOUR = timedelta(minutes=30)


class PaperAccount:
    """The account's workspace and clock."""

    def __init__(self, eve: Path, home: Path, since: date = FIRST) -> None:
        shutil.copytree(eve, home)
        (home / "simulated-simulated").rename(home / f"simulated-{ACCOUNT}")
        sections = settings(home=home, account=ACCOUNT, account_since=since)
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
        self.clock = SimulatedClock(CALENDAR.close_utc(CALENDAR.previous(since)))
        self.chain = Chain(self.config)

    def evening(self, session: date) -> dg.ExecuteInProcessResult:
        at = CALENDAR.close_utc(session) + self.config.market_data.vendor_delay + timedelta(minutes=5)
        self.clock.advance_to(max(at, self.clock.now_utc()))
        self.chain = Chain(self.config, clock=FixedClock(self.clock.now_utc()))
        return self.chain.run(EXECUTE_TRADES, session, session)

    def day(self, session: date, every: timedelta = HALF_HOUR) -> list[str]:
        """Trade a session, look each half hour, and return what failed or differed."""
        self.clock.advance_to(CALENDAR.open_utc(session) - HALF_HOUR)
        failures: list[str] = []
        lake = LakeResource.of(self.chain.workspace)
        with traded_account(self.config, clock=self.clock, lake=lake, listens=False) as account:
            self.waited = set(account.process.waiting())
            while self.clock.now_utc() <= CALENDAR.close_utc(session):
                self.clock.advance_to(self.clock.now_utc() + every)
                report = account.process.step()
                failures += [*report.failures, *report.breaks]
            self.cash_usd = account.system.account().cash_usd
        assert not [why for why in self.refused() if "symbol_is_not_restricted" in why]
        return failures

    def start(self) -> None:
        """Begin to trade, as nothing may."""
        trade_command(self.config, console=Console(quiet=True), clock=FixedClock(self.clock.now_utc()))

    def refused(self) -> list[str]:
        """Return why the exit door refused orders and children, oldest first."""
        with Journal.open(self.chain.workspace.journal(ACCOUNT), account=ACCOUNT) as journal:
            return [str(row.payload.get("reason")) for row in journal.events(kinds=[OrderEventKind.REFUSED])]


@pytest.fixture(scope="module")
def account(eve: Path, tmp_path_factory: pytest.TempPathFactory) -> PaperAccount:
    return PaperAccount(eve, tmp_path_factory.mktemp("paper") / "home")


def test_a_day_on_paper_is_traded_in_slices_and_booked_in_the_evening(account: PaperAccount) -> None:
    account.evening(FIRST)
    orders = account.chain.read(tables.ORDERS, account=ACCOUNT)
    require_refusal_of_another_journal(account)
    assert account.day(SECOND) == []
    assert account.waited == set(orders["client_order_id"])
    assert account.refused() == []
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
    require_shortfalls(account, orders, fills)


def require_refusal_of_another_journal(account: PaperAccount) -> None:
    """Hold that a journal that is gone is neither traded without nor made anew, and is wanted whole."""
    journal = account.chain.workspace.journal(ACCOUNT)
    assert isinstance(journal, Path)
    away = journal.with_name("away")
    journal.rename(away)
    with pytest.raises(JournalError, match=r"journal of paper: .* does not exist; restore it from a backup"):
        account.start()
    assert not journal.exists()
    Journal.open(journal, account=ACCOUNT).close()
    with pytest.raises(JournalError, match=f"has booked sessions up to {FIRST}, and the journal is empty; restore it"):
        account.start()
    away.replace(journal)


def require_shortfalls(account: PaperAccount, orders: pd.DataFrame, fills: pd.DataFrame) -> None:
    """Compare the parts of each order's shortfall with its gain on paper less that of what was traded."""
    account.chain.run(REPORT, SECOND, SECOND, assets=[asset_key(tables.IMPLEMENTATION_SHORTFALL)])
    found = account.chain.read(tables.IMPLEMENTATION_SHORTFALL, account=ACCOUNT).set_index("symbol").sort_index()
    said = Console(file=io.StringIO(), width=200)
    shortfall_command(account.config, first=None, last=None, console=said)
    cost = math.fsum(found["shortfall_usd"])
    assert f"{SECOND} to {SECOND}: {len(found)} orders cost {cost:,.2f} USD" in said.file.getvalue()
    bars = account.chain.read(tables.DAILY_BARS, first=SECOND, last=SECOND).set_index("symbol")
    assert set(found["client_order_id"]) == set(orders["client_order_id"])
    assert set(found["release_source"]) == {"touch"}
    parts = found[["delay_usd", "market_usd", "spread_usd", "fees_usd", "opportunity_usd"]].abs().sum()
    assert (parts[["delay_usd", "market_usd", "spread_usd", "fees_usd"]] > 0).all()
    wanted = orders.set_index("symbol")
    for symbol, row in found.iterrows():
        own, close = fills[fills["symbol"] == symbol], Fraction(bars.loc[symbol, "close_raw_usd"])
        shares = [Fraction(each) for each in own["quantity_shares"]]
        paid = [Fraction(each) for each in own["price_usd"]]
        on_paper = Fraction(wanted.loc[symbol, "quantity_shares"]) * (
            close - Fraction(wanted.loc[symbol, "arrival_price_usd"])
        )
        real = sum(q * (close - p) for q, p in zip(shares, paid, strict=True)) - sum(
            map(Fraction, own["commission_usd"])
        )
        assert row["shortfall_usd"] == float(on_paper - real)
        by_part = math.fsum(row[list(parts.index)])
        assert by_part == pytest.approx(
            row["shortfall_usd"], rel=0, abs=1e-12 * max(1.0, row[list(parts.index)].abs().max())
        )


@pytest.mark.long
def test_dividends_are_due_paid_and_booked_over_weeks(eve: Path, tmp_path: Path) -> None:
    """VRXQ goes ex on 2014-09-18 and MVQZ a day later; both pay on 2014-10-03. Each day is a process of its own."""
    since, pays = date(2014, 9, 16), date(2014, 10, 3)
    days = CALENDAR.sessions(CALENDAR.next(since), pays)
    account = PaperAccount(eve, tmp_path / "home", since)
    account.evening(since)
    for session in days:
        assert account.day(session, every=2 * HALF_HOUR) == []
        checks = account.chain.checks(account.evening(session))
        assert checks == dict.fromkeys(checks, True), session
        states = account.chain.read(tables.BOOK_STATES, account=ACCOUNT, first=session, last=session)
        cash_usd = json.loads(states["state_json"].iloc[0])["account"]["cash_usd"]
        assert cash_usd == pytest.approx(account.cash_usd, abs=0.01)
    with Journal.open(account.chain.workspace.journal(ACCOUNT), account=ACCOUNT) as journal:
        dues = journal.events(kinds=["dividend booked"], last=pays)
        paid = {row.payload["due"]: row for row in journal.events(kinds=["cash paid"])}
        assert len(journal.events(kinds=["opening booked"])) == len(days)
    due_by_now = [row for row in dues if row.payload["pay_session"] <= pays.isoformat()]
    assert {row.payload["symbol"] for row in due_by_now} & {"VRXQ", "MVQZ"}
    for row in due_by_now:
        found = paid.pop(row.idempotency_key)
        assert (found.session, found.payload["amount_usd"]) == (row.payload["pay_session"], row.payload["amount_usd"])
        assert row.payload["amount_usd"] == row.payload["shares"] * row.payload["dividend_usd"]
    assert not paid
