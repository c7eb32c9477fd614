"""What the journal keeps of a verdict: one text, however it is made."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aegis.errors import ExecutionError
from aegis.risk.exit_rules import RULES
from aegis.risk.exit_view import ExitRow, ExitVerdict

NOW = datetime(2014, 6, 6, 13, 31, tzinfo=UTC)
NUMBERS = st.floats(min_value=-sys.float_info.max, allow_nan=False) | st.integers(-(10**20), 10**20)
ROWS = st.builds(
    ExitRow,
    st.sampled_from(RULES) | st.text(),
    st.just("pass") | st.just("refuse"),
    NUMBERS,
    NUMBERS,
    st.none() | st.text(),
)
PASSED = st.builds(ExitRow, st.sampled_from(RULES) | st.text(), st.just("pass"), NUMBERS, NUMBERS, st.none())


@example("o-1", NOW, [ExitRow("5 %s", "pass", 1.0, 2.0, None)], 20.0)
@given(st.text(), st.datetimes(timezones=st.just(UTC)), st.lists(ROWS) | st.lists(PASSED), NUMBERS)
def test_its_text_is_the_canonical_json_of_its_record(name: str, at: datetime, rows: list[ExitRow], touch) -> None:
    verdict = ExitVerdict(name, at, tuple(rows), touch)
    text = json.dumps(verdict.to_record(), sort_keys=True, separators=(",", ":"), allow_nan=False)
    assert verdict.to_json() == text


@pytest.mark.parametrize("place", ["observed", "threshold", "touch_usd"])
def test_what_is_no_number_is_not_written(place: str) -> None:
    numbers = {"observed": 1.0, "threshold": 2.0, "touch_usd": 3.0} | {place: math.nan}
    row = ExitRow(RULES[0], "pass", numbers["observed"], numbers["threshold"], None)
    with pytest.raises(ExecutionError, match="record finite numbers"):
        ExitVerdict("o-1", NOW, (row,), numbers["touch_usd"]).to_json()
