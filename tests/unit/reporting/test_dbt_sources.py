"""The lake's tables are described once, in code; dbt's files of them are what is written from there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from aegis.errors import ReportingError
from aegis.reporting.dbt_sources import SOURCE_TABLES, columns_md, documentation_blocks, resolved, sources_yml

PROJECT = Path(__file__).parents[3] / "dbt"
STAGING = PROJECT / "models" / "staging"


def test_the_files_of_sources_are_those_written_from_the_schemas() -> None:
    message = "write them again: python -m aegis.reporting.dbt_sources dbt"
    assert (STAGING / "sources.yml").read_text(encoding="utf-8") == sources_yml(), message
    assert (STAGING / "columns.md").read_text(encoding="utf-8") == columns_md(), message


def test_sources_are_the_tables_that_staging_reads() -> None:
    sql = "".join(file.read_text(encoding="utf-8") for file in STAGING.glob("*.sql"))
    read = {f"{layer}/{name}" for layer, name in re.findall(r"source\('(\w+)', '(\w+)'\)", sql)}
    assert read == {table.key for table in SOURCE_TABLES}


def test_each_source_names_every_column_with_its_type() -> None:
    sources = yaml.safe_load(sources_yml())["sources"]
    found = {
        f"{source['name']}/{table['name']}": {c["name"]: c["data_type"] for c in table["columns"]}
        for source in sources
        for table in source["tables"]
    }
    assert found["execution/fills"]["fill_number"] == "bigint"
    assert found["execution/fills"]["filled_at_utc"] == "timestamptz"
    assert {key: list(columns) for key, columns in found.items()} == {t.key: t.column_names for t in SOURCE_TABLES}


def test_a_documentation_block_says_meaning_and_unit() -> None:
    assert (
        documentation_blocks()["execution__orders__quantity_shares"] == "Signed: buy positive, sell negative. [shares]"
    )


def test_a_description_that_names_an_unknown_block_is_refused() -> None:
    assert resolved('Plain, {{ doc("a__b") }}', {"a__b": "meant"}) == "Plain, meant"
    with pytest.raises(ReportingError, match="no source column has the documentation block a__c"):
        resolved("{{ doc('a__c') }}", {"a__b": "meant"})
