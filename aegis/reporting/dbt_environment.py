"""Telling dbt's process which lake it builds on, by environment variables.

Belongs here: both directions, and nothing of how a lake is attached (:mod:`aegis.lake.attachment`). The process itself
is :mod:`aegis.reporting.dbt_build`; :mod:`aegis.reporting.dbt_plugin` reads the variables in it.

Notes
-----
A password has a variable of its own whose name begins with ``DBT_ENV_SECRET``: dbt strikes its value out of whatever
it prints and logs, and refuses to render it in a model. The bucket's keys stay in the variables that every S3 client
reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr

from aegis.errors import ConfigurationError
from aegis.lake.attachment import LakeLocation
from aegis.lake.object_store import ObjectStore
from aegis.postgres import PostgresSchema

_CATALOG = "AEGIS_LAKE_CATALOG"
_DATA = "AEGIS_LAKE_DATA"
_SERVER = "AEGIS_LAKE_POSTGRES_URL"
_SCHEMA = "AEGIS_LAKE_POSTGRES_SCHEMA"
_PASSWORD = "DBT_ENV_SECRET_AEGIS_LAKE_PASSWORD"  # noqa: S105 - the name of a variable
_STORE = {
    "region": "AEGIS_LAKE_S3_REGION",
    "endpoint_url": "AEGIS_LAKE_S3_ENDPOINT_URL",
    "url_style": "AEGIS_LAKE_S3_URL_STYLE",
}
_ALL = frozenset({_CATALOG, _DATA, _SERVER, _SCHEMA, _PASSWORD, *_STORE.values()})


def environment_for(location: LakeLocation, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that builds on the lake at `location`.

    Parameters
    ----------
    location : LakeLocation
    inherited : mapping of str to str
        Environment of this process; what it says of another lake is left out.

    Raises
    ------
    ConfigurationError
        The server's URL cannot be read.
    """
    told = {_CATALOG: str(location.catalog), _DATA: location.data_url}
    if location.server is not None:
        url = location.server.server_url()
        told[_SERVER] = _rendered(
            sa.URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)
        )  # url.set(password=None) would keep the password
        told[_SCHEMA] = location.server.name
        if url.password:
            told[_PASSWORD] = str(url.password)
    if location.store is not None:
        given = {name: getattr(location.store, field) for field, name in _STORE.items()}
        told |= {name: value for name, value in given.items() if value is not None}
    return {name: value for name, value in inherited.items() if name not in _ALL} | told


def location_in(environment: Mapping[str, str]) -> LakeLocation:
    """Return the lake that an environment names.

    Raises
    ------
    ConfigurationError
        A variable is missing, or catalog and data files are not where one lake has them.
    LakeUnreadable
        The catalog's path is relative.
    """
    catalog, data = Path(_value_of(_CATALOG, environment)), _value_of(_DATA, environment)
    store = None
    if data.startswith("s3://"):
        given = {field: environment[name] for field, name in _STORE.items() if name in environment}
        store = ObjectStore(f"{data.rstrip('/')}/", **given)
    location = LakeLocation(catalog.parent, _server_in(environment), store)
    if catalog != location.catalog:
        raise ConfigurationError(f"{_CATALOG} is {catalog}; expected {location.catalog.name} in the lake's folder")
    if store is None and Path(data) != location.data_path:
        raise ConfigurationError(f"{_DATA} is {data}; expected {location.data_url}, beside {_CATALOG}, or s3://…")
    return location


def _server_in(environment: Mapping[str, str]) -> PostgresSchema | None:
    if _SERVER not in environment:
        return None
    name = _value_of(_SCHEMA, environment)
    url = PostgresSchema(SecretStr(environment[_SERVER]), name).server_url()
    if _PASSWORD in environment:
        url = url.set(password=environment[_PASSWORD])
    return PostgresSchema(SecretStr(_rendered(url)), name)


def _value_of(name: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name, "")
    if not value:
        raise ConfigurationError(f"{name} is not set in the environment; docs/marts.md says what dbt is told of a lake")
    return value


def _rendered(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)
