"""Corporate actions of a traded account as rows of its journal, and what the journal says afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aegis.backtesting.session_market import CorporateAction
from aegis.execution.account_state import Position
from aegis.execution.journal import Journal, NewEvent
from aegis.execution.journal_chain import JournalRow
from aegis.live_trading.booked_actions import (
    AnnouncedExchanges,
    ComingExchange,
    exchange_entry,
    is_exchanged,
    not_exchanged,
    opening_entries,
    opening_marker,
)
from aegis.live_trading.cash_balance import cash_balance
from aegis.live_trading.held_positions import adoption_entry, held_shares

FRIDAY, MONDAY = date(2014, 6, 6), date(2014, 6, 9)
OPEN = datetime(2014, 6, 9, 13, 30, tzinfo=UTC)
HELD = {"ABC": 100.0, "DEF": -40.0, "GHI": 10.0}
CLOSES = {"ABC": 10.0, "DEF": 20.0, "GHI": 7.0, "JKL": 30.0}
MERGER = CorporateAction(action="merger", symbol="GHI", merger_cash_usd=1.5, merger_ratio=0.25, acquirer="JKL")
GONE = CorporateAction(action="delisting", symbol="GHI")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.sqlite", account="paper") as opened:
        held = [Position(symbol, symbol, shares, 1.0, 1.0, FRIDAY) for symbol, shares in HELD.items()]
        entry = adoption_entry(held, reason="start", actor="aegis", session=FRIDAY, at_utc=OPEN, cash_usd=1_000.0)
        _append(opened, entry)
        yield opened


def _append(journal: Journal, *entries: NewEvent) -> None:
    with journal.batch() as batch:
        for entry in entries:
            batch.append(entry)


def _open(journal: Journal, *actions: CorporateAction) -> None:
    about = {"session": MONDAY, "at_utc": OPEN, "closes_usd": CLOSES}
    _append(journal, *opening_entries(actions, HELD, **about), opening_marker(actions, HELD, **about))


def coming_exchanges(rows: Iterable[JournalRow], held: Mapping[str, float]) -> list[ComingExchange]:
    announced = AnnouncedExchanges()
    for row in rows:
        announced.take(row)
    return list(announced.coming(held))


def test_a_dividend_is_due_on_the_shares_of_before_a_split_of_the_same_day(journal: Journal) -> None:
    split = CorporateAction(action="split", symbol="ABC", split_ratio=1 / 3)
    dividends = [
        CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.25, pay_session=MONDAY),
        CorporateAction(action="dividend", symbol="DEF", dividend_usd=0.10),
        CorporateAction(action="dividend", symbol="NOT", dividend_usd=9.0),
    ]
    _open(journal, split, *dividends)
    assert held_shares(journal.events()) == {"ABC": 33.0, "DEF": -40.0, "GHI": 10.0}
    known = cash_balance(journal.events())
    assert known.balance_usd == 1_000.0
    # 100 at 0.25; the short position owes 40 at 0.10; a third of a share at 30.
    assert [(item.amount_usd, item.is_estimate) for item in known.dues] == [
        (25.0, False), (-4.0, False), (pytest.approx(10.0), True),
    ]  # fmt: skip


def test_a_merger_for_shares_and_cash_is_booked_when_the_broker_shows_it(journal: Journal) -> None:
    _open(journal, MERGER, GONE)
    (coming,) = coming_exchanges(journal.events(), HELD)
    assert (coming.action, coming.session, coming.shares) == (MERGER, MONDAY, 10.0)
    assert not is_exchanged(coming.action, HELD, HELD)
    without = {symbol: shares for symbol, shares in HELD.items() if symbol != "GHI"}
    assert not is_exchanged(coming.action, HELD, without), "the acquirer's shares are missing"
    assert is_exchanged(coming.action, HELD, {**without, "JKL": 2.0})
    said = not_exchanged(coming, label="paper")
    assert "paper GHI, session 2014-06-09: a merger takes 10 shares for 2 shares of JKL and cash" in said
    _append(journal, exchange_entry(coming, at_utc=OPEN))
    assert held_shares(journal.events()) == {**without, "JKL": 2.0}
    assert coming_exchanges(journal.events(), {**without, "JKL": 2.0}) == []
    # 10 shares at 1.50, and half a share of JKL at 30.
    assert [item.amount_usd for item in cash_balance(journal.events()).dues] == [30.0]


def test_a_delisting_is_worth_the_last_close(journal: Journal) -> None:
    _open(journal, GONE)
    (coming,) = coming_exchanges(journal.events(), HELD)
    without = {symbol: shares for symbol, shares in HELD.items() if symbol != "GHI"}
    assert is_exchanged(coming.action, HELD, without)
    _append(journal, exchange_entry(coming, at_utc=OPEN))
    assert held_shares(journal.events()) == without
    assert [item.amount_usd for item in cash_balance(journal.events()).dues] == [70.0]


def test_whoever_takes_the_brokers_word_ends_the_waiting_for_an_exchange(journal: Journal) -> None:
    _open(journal, GONE)
    assert len(coming_exchanges(journal.events(), HELD)) == 1
    held = [Position(symbol, symbol, shares, 1.0, 1.0, FRIDAY) for symbol, shares in HELD.items()]
    _append(journal, adoption_entry(held, reason="it trades on", actor="ada", session=MONDAY, at_utc=OPEN))
    assert coming_exchanges(journal.events(), HELD) == []


def test_fractions_that_a_broker_keeps_bring_no_cash(journal: Journal) -> None:
    held = {"ABC": 0.5}
    split = CorporateAction(action="split", symbol="ABC", split_ratio=3.0)
    (row,) = opening_entries((split,), held, session=MONDAY, at_utc=OPEN, closes_usd=CLOSES)
    assert '"in_lieu_usd"' not in row.payload_json
    assert cash_balance(journal.events()).dues == ()
