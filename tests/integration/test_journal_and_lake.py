"""The journal and the lake of one account belong together: what is refused when one of them is not the other's."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aegis.config import AegisConfig
from aegis.errors import ExecutionError, JournalError
from aegis.lake import tables
from aegis_assets import book
from aegis_sensors.jobs import EXECUTE_TRADES
from tests.integration.conftest import CALENDAR, FIRST, Chain, settings

SECOND, THIRD = CALENDAR.next(FIRST), date(2014, 6, 4)


@pytest.fixture(scope="module")
def two_booked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a platform with two sessions booked and the third fetched, to be copied."""
    home = tmp_path_factory.mktemp("two_booked")
    made = Chain(AegisConfig(**settings(home=home, last_session=THIRD)))
    made.fetch_and_trade(FIRST, SECOND)
    made.run("fetch_market_data", THIRD, THIRD)
    return home


@pytest.fixture
def chain(two_booked: Path, tmp_path: Path) -> Chain:
    """Two sessions are booked and the third is fetched."""
    home = shutil.copytree(two_booked, tmp_path / "home")
    return Chain(AegisConfig(**settings(home=home, last_session=THIRD)))


def _journal(chain: Chain) -> Path:
    return chain.workspace.journal("simulated")


def _delete(chain: Chain) -> None:
    for file in _journal(chain).parent.iterdir():
        file.unlink()


def _begin_anew(chain: Chain) -> None:
    _delete(chain)
    with chain.desk.journal():
        pass


def _cut(chain: Chain) -> None:
    with sqlite3.connect(_journal(chain)) as file:
        file.execute("DROP TRIGGER journal_events_refuse_delete")
        file.execute("DELETE FROM journal_events WHERE session = ?", [SECOND.isoformat()])
        file.execute(
            "UPDATE journal_heads SET (sequence, hash) = "
            "(SELECT sequence, hash FROM journal_events ORDER BY sequence DESC LIMIT 1)"
        )


@pytest.mark.parametrize(
    ("lose", "message"),
    [
        (_delete, "does not exist; restore it from a backup"),
        (_begin_anew, "the lake has booked sessions up to 2014-06-03, and the journal is empty"),
        (_cut, "the lake has booked sessions up to 2014-06-03, and the journal ends with session 2014-06-02"),
    ],
    ids=["deleted", "begun anew", "cut"],
)
def test_nothing_is_decided_on_a_journal_that_lost_the_past(
    chain: Chain, lose: Callable[[Chain], None], message: str
) -> None:
    lose(chain)
    existed = _journal(chain).exists()
    with pytest.raises(JournalError, match=message):
        chain.run(EXECUTE_TRADES, THIRD, THIRD)
    assert _journal(chain).exists() == existed
    assert chain.read(tables.BOOK_STATES, first=THIRD).empty


def test_the_end_of_the_journal_is_published_with_the_book(chain: Chain) -> None:
    with chain.desk.recorded_journal() as journal:
        published = journal.head()
    with chain.lake() as store:
        found = book.Provenance(store.snapshots()).journal_head("simulated")
    assert found == published
    chain.run(EXECUTE_TRADES, THIRD, THIRD)
    with chain.desk.recorded_journal() as journal:
        assert journal.verify_since(published) > 0


def test_a_switch_engaged_after_the_last_session_was_decided_lets_nothing_be_written(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_tables = book.book_tables

    def engaging(*given: Any) -> Any:
        chain.desk.kill_switch.engage("stop", actor="ada", at_utc=datetime(2014, 6, 4, 21, tzinfo=UTC))
        return book_tables(*given)

    monkeypatch.setattr(book, "book_tables", engaging)
    with chain.desk.recorded_journal() as journal:
        before = journal.head()
    with pytest.raises(ExecutionError, match="none of their decisions was committed and nothing was written"):
        chain.run(EXECUTE_TRADES, THIRD, THIRD)
    with chain.desk.recorded_journal() as journal:
        assert journal.head() == before
    assert chain.read(tables.BOOK_STATES, first=THIRD).empty

    monkeypatch.undo()
    refused: dg.ExecuteInProcessResult = chain.run(EXECUTE_TRADES, THIRD, THIRD)
    assert chain.checks(refused)["no_session_is_blocked"] is False
    gate = chain.read(tables.PRE_TRADE_GATE, first=THIRD).set_index("rule")["outcome"]
    assert gate["kill_switch_is_off"] == "refuse"
