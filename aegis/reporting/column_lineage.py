"""Which columns of the lake a column of a query is computed from.

Belongs here: the walk through a query as DuckDB itself parses it, so that whatever the lake can run can be followed
(``asof`` joins, ``union by name``). Which queries those are is :mod:`aegis.reporting.dbt_build`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from aegis.errors import ReportingError

_NOT_THE_VALUE = frozenset({"order_bys", "orders", "partitions"})
"""Parts of an expression that say in which order or group a value is taken, and not what it is."""


@dataclass(frozen=True, order=True)
class SourceColumn:
    """A column of a table of the lake: ``execution/fills``, ``price_usd``."""

    table: str
    column: str


Columns = dict[str, frozenset[SourceColumn]]
"""What each column of a relation is computed from, by name, in order."""
Relations = Mapping[str, Columns]


def column_lineage(query: str, columns_of: Mapping[str, Sequence[str]]) -> Columns:
    """Return for each column of a query the columns of the lake that its value is computed from.

    Parameters
    ----------
    query : str
        One ``select``; tables of the lake are named with their schema.
    columns_of : mapping of str to sequence of str
        Columns of each table that the query may read, by key ``layer/name``.

    Returns
    -------
    dict of str to frozenset of SourceColumn
        Columns in their order; a count or a constant has no sources.

    Raises
    ------
    ReportingError
        DuckDB cannot parse the query, or it names a table or a column that is not there, or uses a form that is not
        followed here; the message says which.

    Notes
    -----
    Counted are the columns inside an expression, a ``filter`` included. Conditions of joins and of ``where``, orders
    and groups choose rows; no value is computed from them.
    """
    with duckdb.connect() as connection:
        parsed = json.loads(connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0])
    if parsed["error"]:
        raise ReportingError(
            f"column lineage: DuckDB cannot parse the query ({parsed['error_message']}); correct it:\n{query}"
        )
    tables = {key: {name: frozenset({SourceColumn(key, name)}) for name in names} for key, names in columns_of.items()}
    return _Walk(tables).columns(parsed["statements"][0]["node"], {})


class _Walk:
    def __init__(self, tables: Relations) -> None:
        self._tables = tables

    def columns(self, node: Mapping[str, Any], named: Relations) -> Columns:
        """Return the columns of a query node; `named` are the queries that its ``with`` and those around it define."""
        known = dict(named)
        for entry in node["cte_map"]["map"]:
            known[entry["key"]] = self.columns(entry["value"]["query"]["node"], known)
        if node["type"] == "SELECT_NODE":
            return self._selected(node, known)
        if node["type"] == "SET_OPERATION_NODE":
            parts = [self.columns(node[side], known) for side in ("left", "right")]
            return _united(parts, by_name=node["setop_type"].endswith("NAME"))
        raise ReportingError(f"column lineage: a {node['type']} is not followed; write it as a select or a union")

    def _selected(self, node: Mapping[str, Any], named: Relations) -> Columns:
        scope = dict(self._relations(node["from_table"], named))
        found: Columns = {}
        for item in node["select_list"]:
            if item["type"] == "STAR":
                found |= _starred(item, scope)
            else:
                found[_name(item)] = self._sources(item, scope, found, named)
        return found

    def _relations(self, source: Mapping[str, Any], named: Relations) -> Iterator[tuple[str, Columns]]:
        kind = source["type"]
        if kind == "JOIN":
            yield from self._relations(source["left"], named)
            yield from self._relations(source["right"], named)
        elif kind == "SUBQUERY":
            yield source["alias"], self.columns(source["subquery"]["node"], named)
        elif kind == "BASE_TABLE":
            yield source["alias"] or source["table_name"], self._table(source, named)
        elif kind != "EMPTY":
            raise ReportingError(
                f"column lineage: reading from a {kind} is not followed; read from a model or a source"
            )

    def _table(self, source: Mapping[str, Any], named: Relations) -> Columns:
        layer, name = source["schema_name"], source["table_name"]
        if not layer and name in named:
            return named[name]
        key = f"{layer}/{name}"
        if key not in self._tables:
            raise ReportingError(
                f"column lineage: the query reads {key}, which is no source; known are {sorted(self._tables)}"
            )
        return self._tables[key]

    def _sources(self, part: Any, scope: Relations, earlier: Columns, named: Relations) -> frozenset[SourceColumn]:
        """Return what the columns inside an expression are computed from."""
        if isinstance(part, list):
            return frozenset().union(*(self._sources(one, scope, earlier, named) for one in part))
        if not isinstance(part, dict):
            return frozenset()
        if part.get("type") == "COLUMN_REF":
            return _resolved(part["column_names"], scope, earlier)
        if part.get("type") == "SUBQUERY":
            return frozenset().union(*self.columns(part["subquery"]["node"], named).values())
        inside = [value for key, value in part.items() if key not in _NOT_THE_VALUE]
        return self._sources(inside, scope, earlier, named)


def _resolved(names: Sequence[str], scope: Relations, earlier: Columns) -> frozenset[SourceColumn]:
    """Return the sources of a column that an expression names, with or without its relation."""
    if len(names) > 1 and names[0] in scope:
        candidates, column = [scope[names[0]]], names[1]
    else:
        # A name that no relation has may be one that the same select has given before.
        candidates, column = [*scope.values(), earlier], names[0]
    for columns in candidates:
        if column in columns:
            return columns[column]
    raise ReportingError(
        f"column lineage: no relation of the query has the column {'.'.join(names)}; it has {sorted(scope)}"
    )


def _starred(item: Mapping[str, Any], scope: Relations) -> Columns:
    if item["replace_list"] or item["rename_list"] or item["columns"]:
        raise ReportingError(
            "column lineage: a star with replace, rename or columns() is not followed; name the columns"
        )
    chosen = [item["relation_name"]] if item["relation_name"] else list(scope)
    left_out = set(item["exclude_list"])
    return {column: found for name in chosen for column, found in scope[name].items() if column not in left_out}


def _united(parts: Sequence[Columns], *, by_name: bool) -> Columns:
    names = list(dict.fromkeys(name for part in parts for name in part)) if by_name else list(parts[0])
    if by_name:
        return {name: frozenset().union(*(part.get(name, frozenset()) for part in parts)) for name in names}
    rows = zip(*(part.values() for part in parts), strict=True)
    return {name: frozenset().union(*row) for name, row in zip(names, rows, strict=True)}


def _name(item: Mapping[str, Any]) -> str:
    if item["alias"]:
        return str(item["alias"])
    if item["type"] == "COLUMN_REF":
        return str(item["column_names"][-1])
    raise ReportingError(f"column lineage: a {item['type']} in the select list has no name; give it one with `as`")
