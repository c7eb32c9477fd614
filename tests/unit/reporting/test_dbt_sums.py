"""Every sum of the dbt project says in which order it adds up: in another, floats differ in their last bit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DBT_PROJECT = Path(__file__).parents[3] / "dbt"
QUERIES = sorted([*DBT_PROJECT.glob("models/**/*.sql"), *DBT_PROJECT.glob("macros/*.sql")])
COUNTS = {"fill_count", "of_session.fill_count", "offending_rows"}
"""Whole numbers, which add up to the same in any order."""


def sums(query: str) -> list[str]:
    """Return what stands between the brackets of each ``sum`` of a query."""
    found = []
    for call in re.finditer(r"\bsum\(", query):
        depth, end = 1, call.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(query[end], 0)
            end += 1
        found.append(query[call.end() : end - 1])
    return found


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_every_sum_of_amounts_has_an_order(file: Path) -> None:
    unordered = [part for part in sums(file.read_text(encoding="utf-8")) if " order by " not in part]
    assert set(unordered) <= COUNTS


def test_the_project_has_sums_to_look_at() -> None:
    found = {file.stem for file in QUERIES if sums(file.read_text(encoding="utf-8"))}
    assert {"costs", "turnover", "pnl_by_symbol_month", "pnl_by_month", "execution_measures"} <= found
