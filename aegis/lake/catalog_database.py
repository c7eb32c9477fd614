"""The database that DuckLake's catalog lives in, asked in its own SQL.

Belongs here: how a question reaches it. DuckDB would read whole tables of the catalog, which grow with every file, and
join them itself; SQLite and PostgreSQL know their keys and answer in a millisecond. What is asked is
:mod:`aegis.lake.checksums`.
"""

from __future__ import annotations

from typing import Any

import duckdb

from aegis.errors import LakeUnreadable
from aegis.lake.attachment import ALIAS

_ATTACHED = f"__ducklake_metadata_{ALIAS}"
_QUESTIONS = {"sqlite": "sqlite_query", "postgres": "postgres_query"}


class CatalogDatabase:
    """The catalog's database, reached through a connection that has the lake attached.

    Parameters
    ----------
    connection : DuckDBPyConnection
        With the lake attached.

    Raises
    ------
    LakeUnreadable
        The catalog is in a database of another kind.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        kind, data_path = connection.execute(
            f"SELECT catalog_type, data_path FROM ducklake_settings('{ALIAS}')"  # noqa: S608 - a constant
        ).fetchall()[0]
        if kind not in _QUESTIONS:
            raise LakeUnreadable(
                f"the lake's catalog is in a database of kind {kind!r}, and Aegis knows {', '.join(_QUESTIONS)}; name "
                "a PostgreSQL server with storage.postgres_url, or leave it out"
            )
        self._question = _QUESTIONS[kind]
        self.data_path = str(data_path)
        """Where relative paths of data files begin, ending in a slash."""

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """Return the rows that answer a question in SQL which both databases understand.

        Parameters
        ----------
        question : str
            A SELECT with a name of its own for each column. It has no place for parameters: what it says comes from
            this package, as names of tables, numbers and dates.

        Raises
        ------
        duckdb.Error
            The database refuses, or another process holds it.
        """
        text = question.replace("'", "''")
        return self._connection.execute(f"SELECT * FROM {self._question}('{_ATTACHED}', '{text}')").fetchall()  # noqa: S608

    @staticmethod
    def attached_name(table: str) -> str:
        """Return the name under which DuckDB reaches a table of the database, to write into it."""
        return f"{_ATTACHED}.{table}"
