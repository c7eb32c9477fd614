"""The file, and what binds when."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from aegis.compliance.restricted_list import read_restricted_list, restrictions_in_force
from aegis.errors import ComplianceError

HEADER = "symbol,from,until,known_at_utc,restriction,reason\n"
LINE = "ABC,2024-03-04,2024-03-08,2024-03-01T21:00:00Z,no trading,merger talks\n"
KNOWN = datetime(2024, 3, 1, 21, 0, tzinfo=UTC)


@pytest.fixture
def listed(tmp_path):
    def write(text: str):
        file = tmp_path / "restricted.csv"
        file.write_text(text, encoding="utf-8")
        return read_restricted_list(file)

    return write


@pytest.mark.parametrize(
    ("day", "binds"),
    [("2024-03-03", False), ("2024-03-04", True), ("2024-03-08", True), ("2024-03-09", False)],
)
def test_a_restriction_binds_from_its_first_to_its_last_day(listed, day, binds) -> None:
    found = restrictions_in_force(listed(HEADER + LINE), date.fromisoformat(day), known_by=KNOWN)

    assert ("ABC" in found) is binds


def test_a_restriction_without_end_binds_on(listed) -> None:
    restrictions = listed(HEADER + LINE.replace("2024-03-08", ""))

    assert "ABC" in restrictions_in_force(restrictions, date(2034, 3, 1), known_by=KNOWN)


def test_what_was_not_known_yet_binds_no_past_decision(listed) -> None:
    restrictions = listed(HEADER + LINE)

    assert restrictions_in_force(restrictions, date(2024, 3, 5), known_by=KNOWN.replace(hour=20)) == {}


@pytest.mark.parametrize("order", [("no opening", "no trading"), ("no trading", "no opening")])
def test_of_two_restrictions_the_stricter_binds(listed, order) -> None:
    restrictions = listed(HEADER + "".join(LINE.replace("no trading", kind) for kind in order))
    found = restrictions_in_force(restrictions, date(2024, 3, 5), known_by=KNOWN)

    assert found["ABC"].restriction == "no trading"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected the columns"),
        ("symbol,from\n", "expected the columns"),
        (HEADER + "ABC,2024-03-04\n", "line 2: expected 6 fields"),
        (HEADER + LINE.replace("2024-03-04", "4 March"), "line 2.*4 March"),
        (HEADER + LINE.replace("2024-03-08", "2024-03-01"), "swap the dates"),
        (HEADER + LINE.replace("00Z", "00"), "no time zone"),
        (HEADER + LINE.replace("no trading", "careful"), "'careful' of ABC"),
        (HEADER + LINE.replace("ABC", "=1+1"), "is not a symbol"),
        (HEADER + '"ABC', "cannot be read"),
    ],
)
def test_a_list_that_cannot_be_understood_is_refused(listed, text, told) -> None:
    with pytest.raises(ComplianceError, match=told):
        listed(text)


def test_a_missing_list_is_refused(tmp_path) -> None:
    with pytest.raises(ComplianceError, match="cannot be read"):
        read_restricted_list(tmp_path / "none.csv")


def test_a_restriction_knows_its_line_of_the_file(listed) -> None:
    assert [restriction.line for restriction in listed(HEADER + LINE + LINE)] == [2, 3]


def test_an_empty_list_restricts_nothing(listed) -> None:
    assert listed(HEADER) == ()
