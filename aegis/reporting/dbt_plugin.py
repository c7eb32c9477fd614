"""dbt's connection to the lake, attached as everywhere else.

Belongs here: the plugin that ``dbt/profiles.yml`` names, loaded by dbt-duckdb in dbt's own process. Which lake it is
comes by :mod:`aegis.reporting.dbt_environment`.
"""

from __future__ import annotations

import os

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.exceptions.connection import FailedToConnectError

from aegis.errors import AegisError
from aegis.lake.attachment import attach
from aegis.reporting.dbt_environment import location_in


class Plugin(BasePlugin):
    """Attaches the lake under its name before dbt-duckdb attaches what the profile lists.

    Notes
    -----
    dbt-duckdb takes ``database: lake`` only where ``attach`` of the profile lists that alias. It attaches with ``IF NOT
    EXISTS``, so that line does nothing after this; without this it fails, for it may create nothing.
    """

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Attach the lake that the environment names.

        Raises
        ------
        FailedToConnectError
            It cannot be attached; the message says why, and holds no password.
        """
        try:
            attach(conn, location_in(os.environ))
        except AegisError as error:
            raise FailedToConnectError(str(error)) from error

    def configure_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Give a cursor the lake's time zone, which it does not take over from its connection."""
        cursor.execute("SET TimeZone = 'UTC'")
