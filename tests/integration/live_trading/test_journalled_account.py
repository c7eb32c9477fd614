"""An account's journal is read once, row by row, and says the same as if it were read whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis.backtesting.session_market import CorporateAction
from aegis.execution.account_state import Position
from aegis.execution.journal import Journal, NewEvent
from aegis.live_trading.booked_actions import opening_entries, opening_marker
from aegis.live_trading.held_positions import AccountEventKind, account_entry, adoption_entry
from aegis.live_trading.journalled_account import JournalledAccount

MONDAY, TUESDAY = date(2014, 6, 9), date(2014, 6, 10)
MORNING = datetime(2014, 6, 9, 12, tzinfo=UTC)
CLOSES = {"AAA": 50.0, "BBB": 20.0, "CCC": 8.0}
ACTIONS = (
    CorporateAction(action="split", symbol="AAA", split_ratio=2.0),
    CorporateAction(action="dividend", symbol="BBB", dividend_usd=0.25, pay_session=TUESDAY),
    CorporateAction(action="merger", symbol="CCC", merger_ratio=0.5, merger_cash_usd=1.0, acquirer="AAA"),
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.sqlite", account="alpaca") as opened:
        yield opened


def entries() -> list[NewEvent]:
    shares = {"AAA": 10.0, "BBB": 40.0, "CCC": 6.0}
    held = [Position(name, name, count, CLOSES[name], CLOSES[name], MONDAY) for name, count in shares.items()]
    terms: dict[str, Any] = {"session": MONDAY, "at_utc": MORNING}
    paid = {"due": f"{AccountEventKind.DIVIDEND_BOOKED}:BBB:{MONDAY}:0", "amount_usd": 10.0}
    exchanged = {"action": "merger", "symbol": "CCC", "shares": 6.0, "acquirer": "AAA", "received_shares": 3.0,
                 "amount_usd": 6.0}  # fmt: skip
    return [
        adoption_entry(held, reason="first start", actor="test", cash_usd=1000.0, **terms),
        *opening_entries(ACTIONS, shares, closes_usd=CLOSES, **terms),
        opening_marker(ACTIONS, shares, closes_usd=CLOSES, **terms),
        account_entry(AccountEventKind.CASH_PAID, paid, **terms, key="paid"),
        account_entry(AccountEventKind.SHARES_EXCHANGED, exchanged, **terms, key="exchanged"),
    ]


def test_reading_row_by_row_says_the_same_as_reading_the_whole(journal: Journal) -> None:
    """10 shares split to 20; 40 shares x 0.25 USD are due, then paid; 6 shares become 3 of the acquirer's and 6 USD."""
    account, coming, dues = JournalledAccount(journal), [], []
    assert account.read().held is None
    for entry in entries():
        with journal.batch() as batch:
            batch.append(entry)
        found = account.read()
        assert found == JournalledAccount(journal).read(), json.loads(entry.payload_json)
        coming.append([each.action.symbol for each in found.coming])
        dues.append([due.amount_usd for due in found.cash.dues])

    assert found.held == {"AAA": 23.0, "BBB": 40.0}
    assert found.cash.balance_usd == 1010.0
    assert coming == [[], [], [], ["CCC"], ["CCC"], []]
    assert dues == [[], [10.0], [10.0], [10.0], [], [6.0]]
