"""The page of features tells of every column what its definition says."""

from pathlib import Path

import pytest

from aegis.features.documentation import feature_tables
from aegis.lake.tables import DAILY_FEATURES
from aegis.lake.tables.features import FEATURES, SYMBOL_FEATURES

PAGE = (Path(__file__).parents[3] / "docs" / "features.md").read_text(encoding="utf-8")


def test_the_page_holds_the_tables_that_the_definitions_give():
    assert PAGE.endswith(feature_tables() + "\n"), "run `python -m aegis.features.documentation` and replace the tables"


def test_the_page_counts_the_features_right():
    assert f"{len(SYMBOL_FEATURES)} features of the symbol" in PAGE


@pytest.mark.parametrize("column", DAILY_FEATURES.column_names[2:-1])
def test_every_column_stands_on_the_page_with_a_formula_and_a_source(column):
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{column}` |")]
    cells = line.strip("| ").split(" | ")

    assert len(cells) == 6
    assert all(cells)


def test_a_column_s_unit_and_meaning_are_those_of_its_definition():
    for feature in FEATURES:
        assert (feature.column.unit, feature.column.description) == (feature.unit, feature.description)
        assert feature.column.nullable
