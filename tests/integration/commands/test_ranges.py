"""What a second ``aegis run`` may be asked for, and what it makes, in a workspace of ten sessions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Answer = tuple[int, str, str]
Ask = Callable[..., Answer]
Contents = Callable[[Path], Mapping[str, bytes]]


def _workspace(config: Path) -> Path:
    return config.parent / "home" / "simulated-simulated"


@pytest.mark.parametrize("words", [("--to", "2014-06-10"), ("--from", "2014-06-05", "--to", "2014-06-10")])
def test_a_range_that_stops_before_the_newest_session_is_refused(
    own: Path, ask: Ask, contents: Contents, words: tuple[str, ...]
) -> None:
    before = contents(_workspace(own) / "lake")
    status, _, errors = ask(own, "run", *words)
    assert status == 2
    assert "--to 2014-06-10 (TO) stops before 2014-06-13, the newest session of this workspace" in errors
    assert "leave it out, or give 2014-06-13" in errors
    assert contents(_workspace(own) / "lake") == before


def test_a_last_session_before_what_the_workspace_holds_is_refused_and_nothing_is_written(
    own: Path, ask: Ask, contents: Contents
) -> None:
    before = contents(own.parent)
    status, _, errors = ask(own, "run", "--from", "2014-06-10", AEGIS_RUN__LAST_SESSION="2014-06-10")
    assert status == 2
    assert "holds sessions up to 2014-06-13, but run.last_session (LAST) is 2014-06-10" in errors
    assert "leave run.last_session out, or choose another workspace" in errors
    assert contents(own.parent) == before


@pytest.mark.parametrize("first", ["2014-06-04", "2014-05-29"])
def test_another_first_session_than_that_of_the_book_is_refused_and_nothing_is_written(
    own: Path, ask: Ask, contents: Contents, first: str
) -> None:
    before = contents(own.parent)
    status, _, errors = ask(own, "run", AEGIS_RUN__FIRST_SESSION=first)
    assert status == 2
    assert f"holds a book that begins with 2014-06-02, but run.first_session (FIRST) is {first}" in errors
    assert "say FIRST=2014-06-02 as when it was made, or choose another workspace" in errors
    assert contents(own.parent) == before


@pytest.mark.long
def test_missing_sessions_up_to_a_date_are_made_and_no_more(own: Path, ask: Ask) -> None:
    status, printed, errors = ask(own, "run", "--to", "2014-06-17", AEGIS_RUN__LAST_SESSION="2014-06-20")
    assert status == 0, printed + errors
    assert "Materialised 2 sessions, 2014-06-16 to 2014-06-17" in printed
    assert "12 sessions from 2014-06-02 to 2014-06-17" in printed


def test_a_range_after_a_gap_is_refused(own: Path, ask: Ask, contents: Contents) -> None:
    before = contents(_workspace(own) / "lake")
    status, _, errors = ask(own, "run", "--from", "2014-06-18", AEGIS_RUN__LAST_SESSION="2014-06-20")
    assert status == 2
    assert "--from 2014-06-18 (FROM) leaves out 2014-06-16, which is missing" in errors
    assert contents(_workspace(own) / "lake") == before


@pytest.mark.long
def test_a_report_that_failed_is_made_by_the_next_run(own: Path, ask: Ask) -> None:
    reports = own.parent / "reports" / "simulated-simulated"
    for file in reports.iterdir():
        file.unlink()
    reports.rmdir()
    reports.write_text("a file where a folder must be", encoding="utf-8")

    status, printed, _ = ask(own, "run", "--from", "2014-06-13")
    assert status == 1
    assert "failed: reporting/performance report: " in printed

    reports.unlink()
    status, printed, errors = ask(own, "run")
    assert status == 0, printed + errors
    assert "No session was missing. Made the marts and the report again, which were behind" in printed
    assert (reports / "performance.html").is_file()

    assert "Nothing to do: every session is materialised." in ask(own, "run")[1]


@pytest.mark.long
def test_a_check_that_fails_makes_the_run_fail_and_is_printed_below_the_summary(own: Path, ask: Ask) -> None:
    with sqlite3.connect(_workspace(own) / "journals" / "simulated.sqlite") as journal:
        journal.execute("DROP TRIGGER journal_events_refuse_update")
        assert journal.execute("UPDATE journal_events SET payload_json = '{}' WHERE sequence = 2").rowcount == 1

    status, printed, _ = ask(own, "run", "--from", "2014-06-13")

    assert status == 1
    assert "Materialised 1 session, 2014-06-13 to 2014-06-13" in printed
    assert "check failed: execution/orders journal_chain_verifies: " in printed
