"""The rows of a trace are read in a terminal of 100 columns."""

from __future__ import annotations

import io

from rich.console import Console
from rich.tree import Tree

from aegis_sensors.trace import in_lines


def test_a_row_of_many_columns_fits_into_a_hundred_columns_and_loses_none() -> None:
    pairs = [f"feature_number_{number}={number / 7:.6g}" for number in range(38)]
    text = in_lines(pairs)
    assert text.split() == pairs
    tree = Tree("order")
    tree.add("features/daily_features").add(text)
    printed = io.StringIO()
    Console(file=printed, width=100).print(tree)
    lines = printed.getvalue().splitlines()
    assert len(lines) == 2 + len(text.splitlines()), "the terminal breaks no line again"
    assert all(len(line.rstrip()) <= 100 for line in lines)


def test_a_short_row_stays_on_one_line_and_a_long_value_has_its_own() -> None:
    assert in_lines(["score=0.5", "confidence=1"]) == "score=0.5  confidence=1"
    long = "reason=" + "x" * 120
    assert in_lines(["a=1", long, "b=2"]) == f"a=1\n{long}\nb=2"
