"""A corrected input after a decision was sent, and a second decision of the day: of an account that is traded.

The book of `test_session_loop`: 300 shares each of AAA, BBB and CCC at 100 USD, and 10,000 USD. CCC has left the
universe on Thursday evening, and is sold; on Friday morning it turns out that AAA had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from aegis.errors import ExecutionError
from aegis.execution.journal import Journal
from aegis.execution.order_management import DecisionLedger
from aegis.execution.orders import Order
from aegis.lake import tables
from aegis.live_trading.book_state import BookState
from aegis.live_trading.book_tables import book_tables
from aegis.live_trading.session_inputs import InputHistory
from aegis.live_trading.session_loop import SessionLoop
from aegis.live_trading.session_outcome import SessionOutcome
from aegis.live_trading.traded_books import TradedBooks
from tests.unit.live_trading.test_session_loop import NAMES, NEW_YORK, POLICY, history, opening, rules
from tests.unit.live_trading.traded_accounts import EVENING, FRIDAY, THURSDAY, Account, K

FRIDAY_TEN = datetime(2020, 6, 12, 14, tzinfo=UTC)
PRICES = {THURSDAY: 100.0, FRIDAY: 110.0}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.sqlite", account="paper") as opened:
        yield opened


def corrected() -> InputHistory:
    """The same sessions; AAA has left the universe, and CCC has not."""
    frames = [
        pd.DataFrame({"session": day, "symbol": NAMES, "ticker": NAMES, "known_at_utc": NEW_YORK.close_utc(day)})
        for day in PRICES
    ]
    universe = pd.concat(frames).assign(sector="x", reason="by hand", median_dollar_volume_usd=1e8)
    universe["is_member"] = universe["symbol"] != "AAA"
    return history(PRICES, universe=tables.UNIVERSE.conform(universe))


def begin() -> BookState:
    state = opening()
    return replace(state, account=replace(state.account, account="paper"))


def decide(
    journal: Journal, market: InputHistory, *, now: datetime = EVENING, number: int = 1, state: BookState | None = None
) -> SessionOutcome:
    ledger = DecisionLedger(journal, first=THURSDAY, last=THURSDAY)
    loop = SessionLoop(POLICY, ledger, TradedBooks(ledger, NEW_YORK, now))
    outcome = loop.advance(state or begin(), market.session(THURSDAY), number=number)
    ledger.flush()
    return outcome


def wanted(outcome: SessionOutcome) -> list[tuple[str, float]]:
    return [(order.symbol, order.quantity_shares) for order in sorted(outcome.commit.orders, key=lambda o: o.symbol)]


def waiting(outcome: SessionOutcome) -> list[tuple[str, float]]:
    found = [(s.order.symbol, s.order.quantity_shares) for s in outcome.state.account.open_orders]
    return sorted(found)


def test_a_decision_that_comes_out_otherwise_later_fails_its_check_and_sends_nothing(journal: Journal) -> None:
    first = decide(journal, history(PRICES))
    assert (wanted(first), waiting(first)) == ([("CCC", -300.0)], [("CCC", -300.0)])
    events = journal.verify()
    again = decide(journal, corrected(), now=FRIDAY_TEN)
    (said,) = again.conflicts
    assert "was committed with other orders: AAA" in said
    assert "take a new decision number for a new decision" in said
    assert waiting(again) == [("CCC", -300.0)]
    assert journal.verify() == events


def test_a_second_decision_adds_to_what_the_first_has_come_to(journal: Journal) -> None:
    account, second = _decided_twice(journal)
    # 200 of CCC are held at ten o'clock and are being sold: to hold them they would be bought back, which a book
    # beyond its limits may not.
    assert wanted(second) == [("AAA", -300.0)]
    assert [(o.symbol, o.quantity_shares) for o in second.commit.refused_orders] == [("CCC", 200.0)]
    assert waiting(second) == [("AAA", -300.0), ("CCC", -300.0)]
    assert second.decided_at_utc == FRIDAY_TEN
    rows = book_tables([second])[tables.ORDERS].sort_values(["decision_id", "symbol"])
    assert rows["decision_id"].str[-1].tolist() == ["1", "2", "2"]
    assert rows["known_at_utc"].tolist() == [EVENING, FRIDAY_TEN, FRIDAY_TEN]
    assert account.journal.verify() > 0


def test_the_same_second_decision_is_found_whatever_happened_since(journal: Journal) -> None:
    account, second = _decided_twice(journal)
    account.fill(_only(second, "AAA"), -300.0, 108.0)
    events = journal.verify()
    later = datetime(2020, 6, 12, 19, tzinfo=UTC)
    for number in (1, 2):
        again = decide(journal, corrected(), now=later, number=number)
        assert (again.conflicts, wanted(again), waiting(again)) == ((), wanted(second), waiting(second))
        assert again.state == second.state
    assert journal.verify() == events
    with pytest.raises(ExecutionError, match=r"decision number 4 was asked for, and 2 are committed; the next one is"):
        decide(journal, corrected(), now=later, number=4)
    assert journal.verify() == events


def test_a_decision_after_its_session_is_refused_and_says_so_once(journal: Journal) -> None:
    over = NEW_YORK.close_utc(FRIDAY)
    outcome = decide(journal, history(PRICES), now=over)
    assert rules(outcome) == {"orders_can_still_execute": "refuse"}
    assert "session 2020-06-12, in which the orders were to execute, is over" in str(outcome.verdict.rows)
    assert (wanted(outcome), waiting(outcome)) == ([], [])
    events = journal.verify()
    assert rules(decide(journal, history(PRICES), now=datetime(2026, 1, 2, tzinfo=UTC))) == rules(outcome)
    assert journal.verify() == events


def test_a_committed_decision_is_not_too_late_however_late_it_is_looked_at(journal: Journal) -> None:
    first = decide(journal, history(PRICES))
    again = decide(journal, history(PRICES), now=datetime(2026, 1, 2, tzinfo=UTC))
    assert (again.conflicts, rules(again), again.state) == ((), {}, first.state)


def test_a_simulated_account_decides_once(journal: Journal) -> None:
    ledger = DecisionLedger(journal, first=THURSDAY, last=THURSDAY)
    state = begin()
    loop = SessionLoop(POLICY, ledger)
    loop.advance(state, history(PRICES).session(THURSDAY))
    with pytest.raises(ExecutionError, match="a simulated account decides once in a session"):
        loop.advance(state, history(PRICES).session(THURSDAY), number=2)


def _decided_twice(journal: Journal) -> tuple[Account, SessionOutcome]:
    """Decide on Thursday, sell 100 of 300 CCC by ten on Friday, and decide again on what is known then."""
    sale = _only(decide(journal, history(PRICES)), "CCC")
    account = Account(journal, PRICES)
    child = account.child(sale, 1, -100.0)
    account.fill(child, -100.0, 101.0)
    second = decide(journal, corrected(), now=FRIDAY_TEN, number=2)
    assert second.conflicts == ()
    account.tell(_only(second, "AAA"), K.SUBMITTED)
    return account, second


def _only(outcome: SessionOutcome, symbol: str) -> Order:
    (order,) = (order for order in outcome.commit.orders if order.symbol == symbol)
    return order
