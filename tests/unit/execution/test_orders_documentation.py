"""docs/orders.md draws the state machine and lists terms and reasons: the page and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

from aegis.execution.order_reasons import EXPLANATIONS
from aegis.execution.order_states import TRANSITIONS
from aegis.execution.order_terms import PRICES_OF, TIMES_OF

PAGE = (Path(__file__).parents[3] / "docs" / "orders.md").read_text(encoding="utf-8")


def _rows(header: str) -> list[list[str]]:
    """Return the rows of the table whose first header cell is `header`, the header first."""
    lines = PAGE[PAGE.index(f"\n| {header} |") + 1 :].split("\n\n")[0].strip().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def test_the_picture_and_the_table_are_the_transition_table():
    drawn = {
        (before.replace("_", " "), event, after.replace("_", " "))
        for before, after, event in re.findall(r"^ +(\w+) --> (\w+): ([a-z ]+)$", PAGE, re.MULTILINE)
    }
    header, *rows = _rows("Event")
    listed = {
        (state, row[0], state) for row in rows for state, cell in zip(header[1:], row[1:], strict=True) if cell == "yes"
    }
    assert all(before != after for before, _, after in drawn)
    assert drawn | listed == {
        (str(state), str(event), str(after)) for state, edges in TRANSITIONS.items() for event, after in edges.items()
    }


def test_the_table_of_order_types_is_the_codes():
    _, *rows = _rows("Order type")
    assert {row[0].strip("`"): (row[1], row[2]) for row in rows} == {
        kind: (" and ".join(prices) or "no price", ", ".join(TIMES_OF[kind])) for kind, prices in PRICES_OF.items()
    }


def test_the_table_of_reasons_is_the_codes():
    _, *rows = _rows("Reason")
    assert [(word, meaning) for word, meaning in rows] == [(str(r), EXPLANATIONS[r]) for r in EXPLANATIONS]
