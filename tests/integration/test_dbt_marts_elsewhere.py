"""The marts of a lake with its catalog in PostgreSQL, its files in a bucket, or both: equal, and no key told."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from pydantic import SecretStr

from aegis.config import AegisConfig
from aegis.errors import ReportingError
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.object_store import ObjectStore
from aegis.postgres import PostgresSchema
from aegis.reporting.dbt_build import run_dbt_build
from aegis.reporting.dbt_environment import environment_for
from aegis.reporting.marts import read_written_marts
from aegis.workspace import Workspace
from tests.integration.hand_made_book import DBT_PROJECT, FEB_1, FRAMES, JAN_30
from tests.integration.postgres_server import PASSWORD, PostgresServer

SECRET_KEY = "the-secret-of-a-test"  # noqa: S105 - of a server that lives as long as a test
MARTS = sorted(file.stem for file in DBT_PROJECT.glob("models/marts/*.sql"))
FIRST, LAST = pd.Timestamp(JAN_30).date(), pd.Timestamp(FEB_1).date()


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    """An S3 server with an empty bucket, and its keys in the environment."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - two seconds

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    request = urllib.request.Request(f"http://{host}:{port}/prices", method="PUT")
    urllib.request.urlopen(request).close()  # noqa: S310 - our own server
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "the-key-of-a-test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        yield ObjectStore("s3://prices/history/mine/", endpoint_url=f"http://{host}:{port}", url_style="path")
    running.stop()


def filled(location: LakeLocation) -> LakeLocation:
    """Write the tables of the book by hand to a new lake that keeps every row in a data file, however few they are."""
    with connect(location) as connection:
        connection.execute("call lake.set_option('data_inlining_row_limit', 0)")
        lake = Lake(connection)
        lake.create_tables(list(FRAMES))
        for table, frame in FRAMES.items():
            bounds = (FIRST, LAST) if table.is_sessioned else (None, None)
            lake.write([Replacement(table, frame, *bounds)], CommitMessage("by hand", "", "test", "1"))
    return location


def built(location: LakeLocation, scratch: Path) -> dict[str, pd.DataFrame]:
    """Build on a lake, see that every test passed and no secret was kept, and return the marts by name."""
    build = run_dbt_build(DBT_PROJECT, location, scratch)
    assert (build.unbuilt_models, build.messages) == ({}, ())
    assert {test.outcome for test in build.tests} == {"pass"}
    assert_nothing_told(scratch)
    written = read_written_marts(location, MARTS)
    with connect(location) as connection:
        found = {name: connection.execute(f"from lake.marts.{name} order by all").df() for name in MARTS}
        files = connection.execute("select file from glob(?)", [f"{location.data_url}marts/**/*.parquet"]).fetchall()
        assert len(files) >= len(MARTS)
        assert Lake(connection).checksums.record() >= len(MARTS)
    assert {name: len(frame) for name, frame in found.items()} == {n: mart.row_count for n, mart in written.items()}
    return found


def assert_nothing_told(scratch: Path) -> None:
    kept = [file for file in scratch.rglob("*") if file.is_file()]
    assert {"run_results.json", "manifest.json", "dbt.log"} <= {file.name for file in kept}
    for secret in (PASSWORD, "sesame", SECRET_KEY):
        assert [file for file in kept if secret.encode() in file.read_bytes()] == []


@pytest.mark.long
@pytest.mark.service
def test_marts_on_a_server_and_in_a_bucket_equal_the_embedded_ones(
    server: PostgresServer, store: ObjectStore, tmp_path: Path
) -> None:
    embedded = built(filled(LakeLocation(tmp_path / "embedded")), tmp_path / "dbt embedded")
    assert all(len(frame) > 0 for frame in embedded.values())
    bucket = {"data_path": "s3://prices/history", "s3_endpoint_url": store.endpoint_url, "s3_url_style": "path"}
    storage = {"postgres_url": server.url, **bucket}
    elsewhere = {
        "server": LakeLocation(tmp_path / "server", PostgresSchema.of(server.secret, "server", "lake")),
        "bucket": LakeLocation(tmp_path / "bucket", store=store),
        "both": Workspace.of(AegisConfig(run={"home": tmp_path, "workspace": "both"}, storage=storage)).lake,
    }
    for name, location in elsewhere.items():
        marts = built(filled(location), tmp_path / f"dbt {name}")
        for mart in MARTS:
            pd.testing.assert_frame_equal(marts[mart], embedded[mart], check_exact=True, obj=f"{mart} in {name}")
    kept = {name: {file.suffix for file in place.folder.rglob("*.*")} for name, place in elsewhere.items()}
    assert ".parquet" in kept["server"]
    assert ".sqlite" not in kept["server"] | kept["both"]
    assert ".parquet" not in kept["bucket"] | kept["both"]


@pytest.mark.long
def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    url = SecretStr(f"postgresql://aegis:sesame@/postgres?host={tmp_path}")
    nowhere = LakeLocation(tmp_path / "lake", PostgresSchema.of(url, "nowhere", "lake"))
    with pytest.raises(ReportingError, match=r"PostgreSQL|lake catalog") as refused:
        run_dbt_build(DBT_PROJECT, nowhere, tmp_path / "dbt", sleep=lambda _: None)
    assert "sesame" not in str(refused.value)
    assert str(tmp_path) in str(refused.value)
    for file in (tmp_path / "dbt").rglob("*"):
        assert not file.is_file() or b"sesame" not in file.read_bytes()


def test_dbt_s_connection_is_attached_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbt.adapters.duckdb.plugins import BasePlugin  # noqa: PLC0415 - a second
    from dbt.adapters.exceptions.connection import FailedToConnectError  # noqa: PLC0415 - the same

    plugin = BasePlugin.create("aegis.reporting.dbt_plugin")
    told = environment_for(LakeLocation(tmp_path / "lake"), {})
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with duckdb.connect(":memory:") as connection:
        plugin.configure_connection(connection)
        found = connection.execute("select path from duckdb_databases() where type = 'ducklake'").fetchall()
        assert found == [(f"sqlite:{tmp_path}/lake/catalog.sqlite",)]
        cursor = connection.cursor()
        cursor.execute("set TimeZone = 'America/New_York'")
        plugin.configure_cursor(cursor)
        assert cursor.execute("select current_setting('TimeZone')").fetchone() == ("UTC",)

    monkeypatch.delenv("AEGIS_LAKE_DATA")
    with duckdb.connect(":memory:") as connection, pytest.raises(FailedToConnectError, match="_DATA is not set"):
        plugin.configure_connection(connection)
