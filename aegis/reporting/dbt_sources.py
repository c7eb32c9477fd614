"""The lake's tables as dbt sources, written from the schemas in code.

Belongs here: which tables the reporting marts may read, and the two files of ``dbt/models/staging`` that describe them:
``sources.yml``, and ``columns.md`` with one documentation block for each column. Nobody edits these by hand; write them
again with ``python -m aegis.reporting.dbt_sources dbt``. Descriptions of marts are in ``dbt/models/marts``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from aegis.durable_files import replace_file
from aegis.errors import ReportingError
from aegis.lake import tables
from aegis.lake.schema import Column, TableSchema

SOURCE_TABLES: tuple[TableSchema, ...] = (
    tables.LISTINGS,
    tables.CORPORATE_ACTIONS,
    tables.DAILY_BARS,
    tables.CHECK_RESULTS,
    tables.ORDERS,
    tables.FILLS,
    tables.POSITIONS,
    tables.ACCOUNT_VALUES,
    tables.DAILY_PNL,
    tables.STRATEGY_PNL,
)
"""Tables that ``dbt/models/staging`` reads; a model that wants another one adds it here first."""

WARN_AFTER_DAYS = 5
"""A source that no run wrote for longer is stale: Thursday's rows are still fresh after a long weekend."""

_DOC = re.compile(r"""\{\{\s*doc\(\s*["'](\w+)["']\s*\)\s*\}\}""")
_WRITTEN = "Written by aegis/reporting/dbt_sources.py from aegis/lake/tables; do not edit."


def block_name(table: TableSchema, column: Column) -> str:
    """Return the name of a column's documentation block: ``portfolio__daily_pnl__residual_usd``."""
    return f"{table.layer}__{table.name}__{column.name}"


def documentation_blocks() -> dict[str, str]:
    """Return the text of every column's documentation block, by name."""
    return {block_name(t, column): column.documentation for t in SOURCE_TABLES for column in t.columns}


def resolved(text: str, blocks: Mapping[str, str]) -> str:
    """Return a description as dbt prints it, with each ``{{ doc("...") }}`` replaced by its block.

    Raises
    ------
    ReportingError
        No table of the lake has such a column.
    """

    def block(found: re.Match[str]) -> str:
        if found[1] not in blocks:
            raise ReportingError(
                f"dbt description {text!r}: no source column has the documentation block {found[1]}; name one as "
                "<layer>__<table>__<column>, and list its table in aegis/reporting/dbt_sources.py"
            )
        return blocks[found[1]]

    return _DOC.sub(block, text)


def sources_yml() -> str:
    """Return the text of ``sources.yml``.

    Notes
    -----
    Freshness asks when a run last wrote the table, which the lake's snapshots know, and not how recent its sessions
    are: a history of 2014 is no stale one. Whether the newest session is there is
    the check ``bars_are_fresh``, which knows the calendar.
    """
    lines = ["version: 2", "", f"# {_WRITTEN}", "sources:"]
    for layer, members in groupby(SOURCE_TABLES, key=lambda table: table.layer):
        lines += [
            f"  - name: {layer}",
            "    database: lake",
            f"    schema: {layer}",
            f"    description: Tables of the layer {layer}.",
            "    tables:",
        ]
        for table in members:
            lines += _table_lines(table)
    return "\n".join(lines) + "\n"


def columns_md() -> str:
    """Return the text of ``columns.md``."""
    parts = [f"{{% docs {name} %}}\n{text}\n{{% enddocs %}}\n" for name, text in documentation_blocks().items()]
    return f"<!-- {_WRITTEN} -->\n\n" + "\n".join(parts)


def write_sources(project: Path) -> None:
    """Write both files into the dbt project in folder `project`."""
    staging = project / "models" / "staging"
    replace_file(staging / "sources.yml", sources_yml().encode())
    replace_file(staging / "columns.md", columns_md().encode())


def _table_lines(table: TableSchema) -> list[str]:
    lines = [
        f"      - name: {table.name}",
        f"        description: {_quoted(table.description)}",
        "        config:",
        "          freshness:",
        f"            warn_after: {{count: {WARN_AFTER_DAYS}, period: day}}",
        "          loaded_at_query: >",
        "            select max(snapshot_time) from lake.snapshots()",
        "            where list_contains(string_split(json_extract_string(commit_extra_info, 'asset'), ', '),",
        f"            '{table.key}')",
        "        columns:",
    ]
    for column in table.columns:
        lines += [
            f"          - name: {column.name}",
            f"            data_type: {column.sql_type.lower()}",
            f"            description: '{{{{ doc(\"{block_name(table, column)}\") }}}}'",
        ]
    return lines


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    write_sources(Path(sys.argv[1]))
