"""A schema of a PostgreSQL database: where one part of a team's workspace is kept.

Belongs here: the address, its password kept out of every message, and making the schema. What is kept in it belongs to
the lake, the journal, Dagster and MLflow.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from pydantic import SecretStr

from aegis.errors import ConfigurationError, StorageUnavailable

Part = Literal["lake", "journal", "dagster", "mlflow", "anchor"]

_LONGEST_NAME = 40
"""Leaves room for a hash and the part in the 63 bytes that PostgreSQL keeps of a name."""
_CONNECT_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class PostgresSchema:
    """One schema of one database.

    Parameters
    ----------
    url : SecretStr
        ``postgresql://user:password@host:port/database``.
    name : str
        Schema; letters, digits and underscores.
    """

    url: SecretStr
    name: str

    @classmethod
    def of(cls, url: SecretStr, workspace: str, part: Part) -> PostgresSchema:
        """Return the schema that holds a part of a workspace.

        Notes
        -----
        A workspace's name may hold what PostgreSQL would fold or have quoted everywhere, so the schema has the plain
        form of the name and the beginning of its hash: two workspaces never share one.
        """
        plain = re.sub(r"[^a-z0-9]+", "_", workspace.lower())[:_LONGEST_NAME].strip("_")
        digest = hashlib.sha256(workspace.encode()).hexdigest()[:8]
        return cls(url, f"w_{plain}_{digest}_{part}")

    def __str__(self) -> str:
        """Say where it is, without the password."""
        return f"{self.server_url().render_as_string(hide_password=True)}, schema {self.name}"

    def server_url(self) -> sa.URL:
        """Return the database's URL for SQLAlchemy, with its password.

        Raises
        ------
        ConfigurationError
            It cannot be read; its text, which may hold a password, is not shown.
        """
        try:
            url = sa.make_url(self.url.get_secret_value())
        except (sa.exc.ArgumentError, ValueError):
            raise ConfigurationError(
                "storage.postgres_url cannot be read as a URL; give postgresql://user@host:port/database, and escape "
                "special characters of the password (@ is %40)"
            ) from None
        return url.set(drivername="postgresql+psycopg2")

    def url_with_schema(self) -> str:
        """Return the database's URL, password and all, for programs that know nothing of schemas."""
        options = f"-csearch_path={self.name}"
        return self.server_url().update_query_dict({"options": options}).render_as_string(hide_password=False)

    def engine(self) -> sa.Engine:
        """Return an engine whose connections see this schema alone; a connection that died idle is replaced."""
        options = f"-csearch_path={self.name}"
        return sa.create_engine(
            self.server_url(),
            pool_pre_ping=True,
            connect_args={"options": options, "connect_timeout": _CONNECT_TIMEOUT_SECONDS},
        )

    def create(self) -> None:
        """Create the schema where it does not exist.

        Raises
        ------
        StorageUnavailable
            The server cannot be reached, or refuses.
        """
        with self.connected() as connection:
            _lock_schema(connection, self.name)
            connection.execute(sa.schema.CreateSchema(self.name, if_not_exists=True))

    def has_table(self, table: str) -> bool:
        """Whether the schema exists and has a table of this name.

        Raises
        ------
        StorageUnavailable
            The server cannot be reached, or refuses.
        """
        with self.connected() as connection:
            return bool(sa.inspect(connection).has_table(table, schema=self.name))

    @contextmanager
    def locked(self, purpose: str) -> Iterator[None]:
        """Let one process at a time do what is named by `purpose` in this schema; others wait.

        Raises
        ------
        StorageUnavailable
            The server cannot be reached, or refuses.
        """
        with self.connected() as connection:
            _lock_schema(connection, f"{self.name} {purpose}")
            yield

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """Give one transaction of a connection that sees this schema alone.

        Raises
        ------
        StorageUnavailable
            The server cannot be reached, refuses, or dies meanwhile.
        """
        engine = self.engine()
        try:
            with engine.begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise StorageUnavailable(
                f"PostgreSQL {self}: {error.orig}; see that the server runs, that storage.postgres_url names it and "
                "that its user may create schemas"
            ) from error
        finally:
            engine.dispose()


def _lock_schema(connection: sa.Connection, name: str) -> None:
    # CREATE SCHEMA IF NOT EXISTS of two sessions at once fails in one of them: the name is looked for, then locked.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
