"""An account traded through the live code path beside the same account simulated, and days on which nobody traded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from aegis.errors import ExecutionError
from aegis.execution.journal import Journal
from aegis.execution.order_management import DecisionLedger
from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis.live_trading.book_state import BookState
from aegis.live_trading.book_tables import book_tables
from aegis.live_trading.kill_switch import HeldSwitch, KillSwitch
from aegis.live_trading.trader import run_sessions
from aegis_sensors.jobs import EXECUTE_TRADES, MONITOR
from tests.integration.conftest import CALENDAR, THE_DAY
from tests.integration.live_trading.traded_account import TradedAccount

pytestmark = pytest.mark.long
"""A day on paper and six repetitions of a decision go through the same books in the short run."""

DAYS = CALENDAR.sessions(CALENDAR.offset(THE_DAY, -4), CALENDAR.previous(THE_DAY))
FIRST, TRADED, MISSED, AFTER = DAYS


@pytest.fixture(scope="module")
def account(eve: Path, tmp_path_factory: pytest.TempPathFactory) -> TradedAccount:
    """An account that decided on two evenings and was traded on the day between them."""
    account = TradedAccount(eve, tmp_path_factory.mktemp("traded") / "home", DAYS)
    live(account, DAYS[:2])
    return account


def live(account: TradedAccount, sessions: Sequence[date]) -> None:
    account.evening(sessions[0])
    for session in sessions[1:]:
        account.day(session)
        assert all(account.chain.checks(account.evening(session)).values())


def simulated(account: TradedAccount, sessions: Sequence[date], folder: Path) -> dict[TableSchema, pd.DataFrame]:
    """Return the tables of an account with the same name and settings that the book simulates itself."""
    switch = KillSwitch(folder / "kill.json")
    policy = account.chain.desk.policy(switch.status())
    with Journal.open(folder / "journal.sqlite", account="paper") as journal:
        ledger = DecisionLedger(journal, first=sessions[0], last=sessions[-1])
        opening = BookState.opening("paper", cash_usd=account.config.run.initial_cash_usd)
        held = HeldSwitch(switch)
        return book_tables(
            run_sessions(opening, account.history, sessions, policy=policy, ledger=ledger, kill_switch=held)
        )


def require_equal(account: TradedAccount, expected: dict[TableSchema, pd.DataFrame]) -> None:
    """Hold the lake's tables of the account against others, to the bit; a carried state also knows the journal."""
    for table in expected.keys() - {tables.BOOK_STATES}:
        traded = account.chain.read(table, account="paper")
        compared = [name for name in expected[table].columns if name != "input_snapshot_id"]
        by = [name for name in table.primary_key if name in compared]
        pd.testing.assert_frame_equal(
            traded[compared].sort_values(by, ignore_index=True),
            expected[table][compared].sort_values(by, ignore_index=True),
            check_exact=True,
            check_dtype=False,
            obj=table.key,
        )


def test_traded_and_simulated_books_are_equal_to_the_bit(account: TradedAccount, tmp_path: Path) -> None:
    expected = simulated(account, DAYS[:2], tmp_path)
    assert len(expected[tables.FILLS]) > 10
    require_equal(account, expected)


def test_three_weeks_of_traded_and_simulated_books_are_equal_to_the_bit(eve: Path, tmp_path: Path) -> None:
    days = CALENDAR.sessions(CALENDAR.offset(THE_DAY, -15), CALENDAR.previous(THE_DAY))
    account = TradedAccount(eve, tmp_path / "home", days)
    live(account, days)
    expected = simulated(account, days, tmp_path)
    fills = expected[tables.FILLS]
    assert fills["session"].nunique() > 10
    assert (fills["quantity_shares"] < 0).any()
    require_equal(account, expected)


def test_a_run_over_history_before_the_account_begins_books_nothing(account: TradedAccount) -> None:
    before = CALENDAR.previous(FIRST)
    with account.journal() as journal:
        events = journal.verify()
    result = account.chain.run(EXECUTE_TRADES, CALENDAR.offset(before, -5), before)
    assert all(account.chain.checks(result).values())
    (told,) = {m.metadata["nothing_to_book"].value for m in result.asset_materializations_for_node("book")}
    assert told == f"account paper begins with session {FIRST}"
    assert account.chain.read(tables.BOOK_STATES, last=before, account="paper").empty
    with account.journal() as journal:
        assert journal.verify() == events


def test_a_day_on_which_nobody_traded_waits_for_the_trader_and_then_goes_on(account: TradedAccount) -> None:
    account.pass_by(MISSED)
    with pytest.raises(ExecutionError, match=rf"paper {MISSED}: order .* was never sent .*`aegis trade`"):
        account.evening(MISSED)
    assert account.chain.read(tables.BOOK_STATES, first=MISSED, account="paper").empty
    account.until(CALENDAR.open_utc(AFTER) + timedelta(minutes=5))
    account.start_and_stop()
    account.evening(MISSED)
    assert account.chain.read(tables.FILLS, first=MISSED, account="paper").empty
    pnl = account.chain.read(tables.DAILY_PNL, first=MISSED, last=MISSED, account="paper").iloc[0]
    assert (pnl["trading_pnl_usd"], pnl["commission_usd"]) == (0.0, 0.0)
    assert account.chain.checks(account.chain.run(MONITOR, MISSED, MISSED))["fills_match_the_journal"] is True
