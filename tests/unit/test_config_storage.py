"""The settings of where a history is kept: what they accept, and that no password is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from aegis.config import AegisConfig, load_config
from aegis.errors import ConfigurationError
from aegis.postgres import PostgresSchema
from aegis.workspace import Workspace
from aegis_resources.desk import config_hash

URL = "postgresql://aegis:sesame@db.example:5432/aegis"


def _file(folder: Path, text: str) -> Path:
    file = folder / "aegis.yaml"
    file.write_text(text)
    return file


def test_the_url_comes_from_the_environment_and_is_shown_by_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("AEGIS_STORAGE__POSTGRES_URL", URL)
    config = load_config(_file(tmp_path, "storage:\n  data_path: s3://prices/history\n"))
    workspace = Workspace.of(config)
    assert workspace.server("lake").server_url().password == "sesame"  # noqa: S105 - of no server
    assert workspace.lake.data_url == "s3://prices/history/simulated-simulated/"
    assert "sesame" not in repr(config) + config.model_dump_json() + repr(workspace) + str(workspace.server("lake"))


def test_a_password_in_the_file_is_refused_with_the_place_for_it(tmp_path):
    for url in (URL, "postgresql://aegis@db/aegis?password=sesame"):
        with pytest.raises(ConfigurationError, match="AEGIS_STORAGE__POSTGRES_URL") as refused:
            load_config(_file(tmp_path, f"storage:\n  postgres_url: {url}\n"))
        assert "sesame" not in str(refused.value)


def test_a_url_without_a_password_may_stand_in_the_file(tmp_path):
    config = load_config(_file(tmp_path, "storage:\n  postgres_url: postgresql://aegis@db/aegis\n"))
    assert config.storage.postgres_url.get_secret_value() == "postgresql://aegis@db/aegis"


@pytest.mark.parametrize(
    "value",
    ["mysql://aegis:sesame@db/aegis", "postgresql://aegis:sesame@db", "sesame", "postgresql://db/x?password=sesame"],
)
def test_a_url_that_is_none_is_refused_and_not_repeated(monkeypatch, tmp_path, value):
    monkeypatch.setenv("AEGIS_STORAGE__POSTGRES_URL", value)
    with pytest.raises(ConfigurationError, match=r"storage\.postgres_url: .*expected") as refused:
        load_config(_file(tmp_path, ""))
    assert "sesame" not in str(refused.value)


def test_a_contradiction_beside_a_url_does_not_repeat_it(monkeypatch, tmp_path):
    monkeypatch.setenv("AEGIS_STORAGE__POSTGRES_URL", URL)
    monkeypatch.setenv("AEGIS_STORAGE__S3_ENDPOINT_URL", "http://localhost:9000")
    with pytest.raises(ConfigurationError, match=r"storage\.data_path is not; name the bucket") as refused:
        load_config(_file(tmp_path, ""))
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "path",
    ["/data", "s3://", "s3://Bucket/x", "s3://prices/../etc", "s3://prices/a'b", "s3://prices/a b", "s3://prices//x"],
)
def test_a_data_path_that_is_no_folder_of_a_bucket_is_refused(path):
    with pytest.raises(ValueError, match="expected s3://bucket"):
        AegisConfig(storage={"data_path": path})


@pytest.mark.parametrize("url", ["localhost:9000", "http://host/path", "http://user:pw@host", "https://host'x"])
def test_an_endpoint_that_is_more_than_a_host_is_refused(url):
    with pytest.raises(ValueError, match="expected http://"):
        AegisConfig(storage={"data_path": "s3://prices", "s3_endpoint_url": url})


def test_where_a_history_is_kept_does_not_change_its_decisions():
    assert config_hash(AegisConfig()) == config_hash(AegisConfig(storage={"postgres_url": URL}))


def test_two_workspaces_never_share_a_schema_and_names_are_plain():
    names = {PostgresSchema.of(SecretStr(URL), name, "lake").name for name in ("a-b", "a_b", "A-B", "x" * 81, "x" * 80)}
    assert len(names) == 5
    assert all(name.isidentifier() and name == name.lower() and len(name) <= 63 for name in names)


def test_a_url_with_an_unreadable_port_is_refused_without_it():
    schema = PostgresSchema(SecretStr("postgresql://aegis:sesame@db:port/x"), "w")
    with pytest.raises(ConfigurationError, match="cannot be read as a URL") as refused:
        schema.server_url()
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("place", ["backups", "./backups", "s3://key:secret@bucket/x", "gopher://x", ""])
def test_a_place_for_backups_is_an_absolute_folder_or_a_bucket(tmp_path, place):
    with pytest.raises(ConfigurationError, match=r"storage\.backup_location: .*expected an absolute folder"):
        load_config(_file(tmp_path, f"storage:\n  backup_location: '{place}'\n"))


@pytest.mark.parametrize("elsewhere", ["postgres_url: postgresql://aegis@db/aegis", "data_path: s3://prices/history"])
def test_a_scheduled_backup_of_what_lies_elsewhere_is_refused(tmp_path, elsewhere):
    with pytest.raises(ConfigurationError, match="back PostgreSQL up with pg_dump"):
        load_config(_file(tmp_path, f"storage:\n  backup_location: /mnt/backups\n  {elsewhere}\n"))


def test_an_anchor_is_a_folder_or_bucket_or_another_server(monkeypatch, tmp_path):
    other = "postgresql://aegis:sesame@other.example/aegis"
    monkeypatch.setenv("AEGIS_STORAGE__POSTGRES_URL", URL)
    monkeypatch.setenv("AEGIS_STORAGE__ANCHOR_POSTGRES_URL", other)
    config = load_config(_file(tmp_path, ""))
    assert config.storage.anchor_postgres_url.get_secret_value() == other
    assert "sesame" not in repr(config) + config.model_dump_json()
    with pytest.raises(ConfigurationError, match="leave out one of them") as refused:
        load_config(_file(tmp_path, "storage:\n  anchor_location: /mnt/other\n"))
    assert "sesame" not in str(refused.value)
    for same in (URL, "postgres://someone:sesame@db.example/other", "postgresql://db.example:5432/x"):
        monkeypatch.setenv("AEGIS_STORAGE__ANCHOR_POSTGRES_URL", same)
        with pytest.raises(ConfigurationError, match="the server that the journal itself is in") as refused:
            load_config(_file(tmp_path, ""))
        assert "sesame" not in str(refused.value)


def test_the_password_of_an_anchor_does_not_stand_in_the_file(tmp_path):
    with pytest.raises(ConfigurationError, match="AEGIS_STORAGE__ANCHOR_POSTGRES_URL") as refused:
        load_config(_file(tmp_path, f"storage:\n  anchor_postgres_url: {URL}\n"))
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "location", ["anchors", "./anchors", "s3://Bucket", "s3://key:secret@bucket/x", "ftp://host/x"]
)
def test_an_anchor_that_is_no_place_is_refused(location):
    with pytest.raises(ValueError, match="expected an absolute folder"):
        AegisConfig(storage={"anchor_location": location})
