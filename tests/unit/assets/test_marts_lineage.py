"""The lineage that Dagster shows of a mart is the one that dbt's SQL has."""

from __future__ import annotations

import re
from pathlib import Path

from aegis_assets.marts import DBT_PROJECT, MARTS

_REF = re.compile(r"ref\('(\w+)'\)")
_SOURCE = re.compile(r"source\('(\w+)', '(\w+)'\)")


def tables_behind(model: str, files: dict[str, Path]) -> set[str]:
    """Return the keys of the lake's tables that a model reads, through as many models as it takes."""
    sql = files[model].read_text(encoding="utf-8")
    found = {"/".join(pair) for pair in _SOURCE.findall(sql)}
    return found.union(*(tables_behind(other, files) for other in _REF.findall(sql)))


def test_each_mart_depends_on_the_tables_that_its_sql_reads() -> None:
    files = {file.stem: file for file in DBT_PROJECT.glob("models/**/*.sql")}
    marts = {file.stem for file in DBT_PROJECT.glob("models/marts/*.sql")}
    assert marts
    assert {mart: tables_behind(mart, files) for mart in marts} == {
        mart: {table.key for table in read} for mart, read in MARTS.items()
    }
