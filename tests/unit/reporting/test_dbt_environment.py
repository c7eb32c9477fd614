"""What dbt's process is told of a lake: the same place on the other side, and the password in one variable alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from aegis.errors import ConfigurationError, LakeUnreadable
from aegis.lake.attachment import LakeLocation
from aegis.lake.object_store import ObjectStore
from aegis.postgres import PostgresSchema
from aegis.reporting.dbt_environment import environment_for, location_in

FOLDER = Path("/team/lake")
URL = SecretStr("postgresql://team:se%40s%2Fame%27@db:5433/aegis?sslmode=require")
SERVER = PostgresSchema(URL, "w_mine_0a1b2c3d_lake")
STORE = ObjectStore("s3://prices/history/mine/", "eu-west-1", "http://store:9000", "path")


def test_an_embedded_lake_is_told_by_two_variables_whatever_this_process_was_told() -> None:
    inherited = environment_for(LakeLocation(Path("/other"), SERVER, STORE), {"PATH": "/bin"})
    assert environment_for(LakeLocation(FOLDER), inherited) == {
        "PATH": "/bin",
        "AEGIS_LAKE_CATALOG": "/team/lake/catalog.sqlite",
        "AEGIS_LAKE_DATA": "/team/lake/data/",
    }


def test_a_password_has_a_variable_that_dbt_strikes_out_and_stands_in_no_other() -> None:
    told = environment_for(LakeLocation(FOLDER, SERVER, STORE), {})
    assert told == {
        "AEGIS_LAKE_CATALOG": "/team/lake/catalog.sqlite",
        "AEGIS_LAKE_DATA": "s3://prices/history/mine/",
        "AEGIS_LAKE_POSTGRES_URL": "postgresql+psycopg2://team@db:5433/aegis?sslmode=require",
        "AEGIS_LAKE_POSTGRES_SCHEMA": "w_mine_0a1b2c3d_lake",
        "DBT_ENV_SECRET_AEGIS_LAKE_PASSWORD": "se@s/ame'",
        "AEGIS_LAKE_S3_REGION": "eu-west-1",
        "AEGIS_LAKE_S3_ENDPOINT_URL": "http://store:9000",
        "AEGIS_LAKE_S3_URL_STYLE": "path",
    }


@pytest.mark.parametrize(
    ("server", "store"),
    [(None, None), (SERVER, None), (None, STORE), (SERVER, STORE), (None, ObjectStore("s3://prices/x/"))],
    ids=["embedded", "server", "bucket", "server and bucket", "bucket of Amazon"],
)
def test_the_place_that_is_read_is_the_place_that_was_told(
    server: PostgresSchema | None, store: ObjectStore | None
) -> None:
    location = LakeLocation(FOLDER, server, store)
    read = location_in(environment_for(location, os.environ))
    assert (read.folder, read.store) == (FOLDER, store)
    assert (read.server and read.server.server_url()) == (server and server.server_url())
    assert (read.server and read.server.name) == (server and server.name)


def test_a_server_without_a_password_is_told_without_one() -> None:
    trusting = PostgresSchema(SecretStr("postgresql://team@db/aegis"), "mine")
    told = environment_for(LakeLocation(FOLDER, trusting), {"DBT_ENV_SECRET_AEGIS_LAKE_PASSWORD": "of another"})
    assert "DBT_ENV_SECRET_AEGIS_LAKE_PASSWORD" not in told
    read = location_in(told)
    assert read.server is not None
    assert read.server.server_url().password is None


def test_what_is_missing_or_lies_elsewhere_is_named() -> None:
    embedded = {"AEGIS_LAKE_CATALOG": "/team/lake/catalog.sqlite", "AEGIS_LAKE_DATA": "/team/lake/data"}
    assert location_in(embedded) == LakeLocation(FOLDER)
    for changed, said in (
        ({"AEGIS_LAKE_CATALOG": ""}, "AEGIS_LAKE_CATALOG is not set"),
        ({"AEGIS_LAKE_DATA": ""}, "AEGIS_LAKE_DATA is not set"),
        ({"AEGIS_LAKE_CATALOG": "/team/lake/other.sqlite"}, "expected catalog.sqlite in the lake's folder"),
        ({"AEGIS_LAKE_DATA": "/team/elsewhere/data"}, "expected /team/lake/data/"),
        ({"AEGIS_LAKE_POSTGRES_URL": "postgresql://db/aegis"}, "AEGIS_LAKE_POSTGRES_SCHEMA is not set"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            location_in(embedded | changed)
    with pytest.raises(LakeUnreadable, match="must be absolute"):
        location_in({"AEGIS_LAKE_CATALOG": "lake/catalog.sqlite", "AEGIS_LAKE_DATA": "lake/data"})
