"""The list of a process that runs for days, and lines of it that restrict nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from aegis.clock import SimulatedClock
from aegis.compliance.restricted_list import Restriction, unknown_symbols
from aegis.compliance.restricted_list_in_use import RestrictedListInUse
from aegis.errors import ComplianceError

HEADER = "symbol,from,until,known_at_utc,restriction,reason\n"
LINE = "{},2024-03-04,,2024-03-01T21:00:00Z,no trading,merger talks\n"
NOW = datetime(2024, 3, 4, 15, 0, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "restricted.csv"
    path.write_text(HEADER + LINE.format("ABC"), encoding="utf-8")
    return path


def symbols(listed: RestrictedListInUse) -> list[str]:
    return [restriction.symbol for restriction in listed.restrictions]


def test_a_line_that_is_added_is_in_force_at_the_next_look_and_an_unchanged_file_changes_nothing(file: Path) -> None:
    listed = RestrictedListInUse(file, SimulatedClock(NOW))
    assert (listed.look(), symbols(listed)) == (False, ["ABC"])
    with file.open("a", encoding="utf-8") as stream:
        stream.write(LINE.format("DEF"))
    assert (listed.look(), symbols(listed)) == (True, ["ABC", "DEF"])
    assert listed.look() is False


@pytest.mark.parametrize("broken", ["deleted", "misspelt", "no file"])
def test_a_list_that_cannot_be_read_any_more_is_told_at_each_look_and_the_old_one_stays(
    file: Path, broken: str
) -> None:
    listed, was = RestrictedListInUse(file, SimulatedClock(NOW)), file.read_bytes()
    file.unlink()
    if broken == "misspelt":
        file.write_text(HEADER + LINE.format("DEF").replace("no trading", "no"), encoding="utf-8")
    elif broken == "no file":
        file.mkdir()
    for _ in range(2):
        with pytest.raises(ComplianceError, match=r"restricted.csv.*the list of before stays in force, 1 lines"):
            listed.look()
        assert symbols(listed) == ["ABC"]
    if broken == "no file":
        file.rmdir()
    file.write_bytes(was + LINE.format("DEF").encode())
    assert (listed.look(), symbols(listed)) == (True, ["ABC", "DEF"])


def test_a_restriction_that_becomes_known_while_the_process_runs_counts_as_a_change(file: Path) -> None:
    file.write_text(HEADER + LINE.format("ABC").replace("2024-03-01T21:00", "2024-03-04T15:30"), encoding="utf-8")
    clock = SimulatedClock(NOW)
    listed = RestrictedListInUse(file, clock)
    seen = []
    for minutes in (29, 30, 31):
        clock.advance_to(NOW + timedelta(minutes=minutes))
        seen.append(listed.look())
    assert seen == [False, True, False]


def test_a_list_that_cannot_be_read_at_the_beginning_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ComplianceError, match=r"none\.csv: the restricted list cannot be read"):
        RestrictedListInUse(tmp_path / "none.csv", SimulatedClock(NOW))


def test_without_a_list_nothing_is_restricted_and_nothing_changes() -> None:
    listed = RestrictedListInUse(None, SimulatedClock(NOW))
    assert (listed.look(), listed.restrictions) == (False, ())


def restriction(symbol: str, line: int, last: date | None = None) -> Restriction:
    return Restriction(
        symbol=symbol,
        first=date(2024, 3, 4),
        last=last,
        known_at_utc=NOW,
        restriction="no trading",
        reason="merger talks",
        line=line,
    )


def test_a_misspelt_symbol_and_a_ticker_are_named_with_their_line_and_what_was_meant() -> None:
    day = date(2024, 3, 5)
    lines = [
        restriction("PHZQ", 2),
        restriction("PHZZ", 3),
        restriction("NEW", 4),
        restriction("###", 5),
        restriction("OLDD", 6, date(2024, 3, 4)),
    ]
    found = unknown_symbols(lines, day, symbols={"PHZQ", "AVQR", "OLD"}, tickers={"NEW": "OLD", "PHZQ": "PHZQ"})
    nothing = "is no symbol of this market, so the line restricts nothing here"
    assert found == (
        f"restricted list line 3: PHZZ {nothing}; the nearest that is listed is PHZQ",
        f"restricted list line 4: NEW {nothing}; it is a ticker, of OLD: write the permanent symbol",
        f"restricted list line 5: ### {nothing}",
    )


def test_where_nothing_is_listed_nothing_is_said() -> None:
    assert unknown_symbols([restriction("PHZZ", 2)], date(2024, 3, 5), symbols=(), tickers={}) == ()
