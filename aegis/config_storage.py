"""Settings of where a history is kept: this machine, or PostgreSQL and an object store.

Belongs here: the ``storage`` block of ``aegis.yaml``. What each setting moves is written out in ``docs/scale.md``.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from aegis.config_section import Section

POSTGRES_URL_VARIABLE = "AEGIS_STORAGE__POSTGRES_URL"
_POSTGRES_PORT = 5432
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9][A-Za-z0-9._=-]*)*/?")


class StorageSettings(Section):
    """Where the lake's catalog and data files, the journals, Dagster's records and MLflow's runs are kept."""

    postgres_url: SecretStr | None = Field(
        None,
        description="`postgresql://user@host:5432/database`. A password comes from the environment alone, as part of "
        f"{POSTGRES_URL_VARIABLE}.",
    )
    data_path: str | None = Field(None, description="`s3://bucket/prefix` of the lake's data files; a folder without.")
    s3_endpoint_url: str | None = Field(None, description="Of a store that is not Amazon's: `https://host:port`.")
    s3_region: str = Field("us-east-1", pattern=r"^[a-z0-9-]{1,40}$")
    s3_url_style: Literal["vhost", "path"] = "vhost"
    backup_location: str | None = Field(
        None, description="Absolute folder or `s3://bucket/prefix` of the scheduled backups; without it there are none."
    )

    anchor_location: str | None = Field(
        None,
        description="Absolute folder of another volume, or `s3://bucket/prefix`, in which the end of the journal of an "
        "account that is traded is kept a second time.",
    )
    anchor_postgres_url: SecretStr | None = Field(
        None, description="In the place of `anchor_location`: another PostgreSQL server than that of `postgres_url`."
    )

    @field_validator("postgres_url", "anchor_postgres_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in ("postgresql", "postgres") or len(parts.path) < 2:  # noqa: PLR2004 - "/" and a name
            raise ValueError("expected postgresql://user@host:port/database")
        if "password" in parse_qs(parts.query):
            raise ValueError("expected the password before the host, postgresql://user:password@host:port/database")
        return value

    @field_validator("data_path")
    @classmethod
    def _is_bucket(cls, value: str | None) -> str | None:
        if value is not None and not _BUCKET.fullmatch(value):
            raise ValueError("expected s3://bucket or s3://bucket/prefix, of letters, digits and `._=-`")
        return value

    @field_validator("s3_endpoint_url")
    @classmethod
    def _is_endpoint(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/?", value):
            raise ValueError("expected http:// or https://, a host and perhaps a port, and nothing else")
        return value

    @field_validator("backup_location", "anchor_location")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if value is not None and not (PurePosixPath(value).is_absolute() or _BUCKET.fullmatch(value)):
            raise ValueError("expected an absolute folder, or s3://bucket/prefix without credentials")
        return value

    @model_validator(mode="after")
    def _backup_is_of_this_machine(self) -> Self:
        if self.backup_location is not None and (self.postgres_url is not None or self.data_path is not None):
            raise ValueError(
                "storage.backup_location is for a lake on this machine; back PostgreSQL up with pg_dump and a bucket "
                "with its versions, and leave it out"
            )
        return self

    @model_validator(mode="after")
    def _anchor_is_elsewhere(self) -> Self:
        if self.anchor_postgres_url is None:
            return self
        if self.anchor_location is not None:
            raise ValueError("storage.anchor_location and storage.anchor_postgres_url are set; leave out one of them")
        if self.postgres_url is not None and _server(self.anchor_postgres_url) == _server(self.postgres_url):
            raise ValueError(
                "storage.anchor_postgres_url is the server that the journal itself is in, and what takes one takes "
                "both; give another server, or a folder or bucket as storage.anchor_location"
            )
        return self

    @model_validator(mode="after")
    def _endpoint_has_a_bucket(self) -> Self:
        if self.s3_endpoint_url is not None and self.data_path is None:
            raise ValueError("storage.s3_endpoint_url is set and storage.data_path is not; name the bucket there")
        return self


def _server(url: SecretStr) -> tuple[str | None, int, list[str]]:
    parts = urlsplit(url.get_secret_value())
    return parts.hostname, parts.port or _POSTGRES_PORT, parse_qs(parts.query).get("host", [])


def password_in(url: object) -> bool:
    """Whether a URL, as it stands in a file, holds a password."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        return parts is not None and bool(parts.password or "password" in parse_qs(parts.query))
    except ValueError:  # no URL at all, which the setting itself refuses
        return False
