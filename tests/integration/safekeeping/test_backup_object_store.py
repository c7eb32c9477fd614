"""Backups in an object store, against an S3 server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.fs
import pytest

from aegis.backup.making import back_up
from aegis.backup.restoring import chosen_backup, drill, restore
from aegis.backup.store import BackupStore
from aegis.errors import BackupError
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import Lake
from aegis.workspace import Workspace
from tests.integration.safekeeping.test_backup import AT, LATER, _rows, _write, workspace
from tests.trial_tables import ACCOUNTS

__all__ = ["workspace"]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An S3 server with an empty bucket; yields where backups go, with the server's address in the query."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - two seconds

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "someone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not a secret")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        address = {"scheme": "http", "region": "us-east-1", "endpoint_override": f"{host}:{port}"}
        pyarrow.fs.S3FileSystem(**address, allow_bucket_creation=True).create_dir("kept")
        yield f"s3://kept/aegis?scheme=http&region=us-east-1&endpoint_override={host}:{port}"
    server.stop()


def test_a_backup_in_a_bucket_is_incremental_and_comes_back_equal(
    workspace: Workspace, bucket: str, tmp_path: Path
) -> None:
    store = BackupStore(bucket)
    first = back_up(workspace, store, configuration={}, at_utc=AT)
    with connect(workspace.lake) as connection:
        _write(Lake(connection), 3.0)
    second = back_up(workspace, store, configuration={}, at_utc=LATER)

    assert store.manifests() == [first.name, second.name]
    drill(store, chosen_backup(store, first.name))
    restore(store, chosen_backup(store), tmp_path / "restored")
    for mine, theirs in zip(_rows(LakeLocation(tmp_path / "restored" / "lake")), _rows(workspace.lake), strict=True):
        pd.testing.assert_frame_equal(mine, theirs)
    with connect(LakeLocation(tmp_path / "restored" / "lake")) as connection:
        assert set(Lake(connection).read(ACCOUNTS)["cash_usd"]) == {3.0}


def test_a_bucket_that_does_not_exist_is_refused_and_names_no_credentials(workspace: Workspace, bucket: str) -> None:
    with pytest.raises(BackupError, match="cannot be") as refused:
        back_up(workspace, BackupStore(bucket.replace("kept", "never-made")), configuration={}, at_utc=AT)
    assert "not a secret" not in str(refused.value)
