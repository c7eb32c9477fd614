"""An object store that holds a lake's data files, reached through DuckDB's httpfs.

Belongs here: the address and the credentials, handed to DuckDB as a secret. Attaching is :mod:`aegis.lake.attachment`.

Notes
-----
Credentials come from the environment variables that every S3 client reads, ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN``. They are bound to a parameter of the statement: they stand in no
ATTACH string, message or log, and DuckDB shows a secret's keys as ``redacted``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

import duckdb

from aegis.errors import ConfigurationError

_SECRET = "aegis_object_store"  # noqa: S105 - the name of a secret
KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
TOKEN_VARIABLE = "AWS_SESSION_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class ObjectStore:
    """A folder of a bucket.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix/workspace/``, ending in a slash.
    region : str
    endpoint_url : str, optional
        Of a store that is not Amazon's.
    url_style : {"vhost", "path"}
        Whether the bucket is part of the host's name or of the path.
    """

    url: str
    region: str = "us-east-1"
    endpoint_url: str | None = None
    url_style: str = "vhost"

    @property
    def endpoint(self) -> tuple[str, bool]:
        """Host and port, and whether TLS protects the way there."""
        if self.endpoint_url is None:
            return "s3.amazonaws.com", True
        parts = urlsplit(self.endpoint_url)
        return parts.netloc, parts.scheme == "https"

    def open(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give `connection` the credentials for this folder.

        Raises
        ------
        ConfigurationError
            The environment holds none.
        """
        keys = [os.environ.get(name, "") for name in KEY_VARIABLES]
        if not all(keys):
            lacking = [name for name, key in zip(KEY_VARIABLES, keys, strict=True) if not key]
            raise ConfigurationError(
                f"storage.data_path {self.url}: {' and '.join(lacking)} not set in the environment; set the "
                "credentials of the object store"
            )
        endpoint, is_encrypted = self.endpoint
        connection.execute(
            f"CREATE OR REPLACE TEMPORARY SECRET {_SECRET} (TYPE s3, PROVIDER config, KEY_ID ?, SECRET ?, "
            "SESSION_TOKEN ?, REGION ?, ENDPOINT ?, URL_STYLE ?, USE_SSL ?, SCOPE ?)",
            [*keys, os.environ.get(TOKEN_VARIABLE, ""), self.region, endpoint, self.url_style, is_encrypted, self.url],
        )

    def has_files(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Whether any data file is in the folder."""
        found = connection.execute("SELECT 1 FROM glob(?) LIMIT 1", [f"{self.url}**/*.parquet"]).fetchone()
        return found is not None
