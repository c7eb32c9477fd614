"""A lake whose data files are in an object store: written, read as of then, compacted, restored, and no key is told."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from aegis.config import AegisConfig
from aegis.errors import ConfigurationError, LakeUnreadable
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.compaction import merge_small_files, remove_unused_files
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.object_store import ObjectStore
from aegis.lake.tables import DAILY_BARS
from aegis.workspace import Workspace
from aegis_sensors.definitions import lake_resource

BUCKET = "prices"
KEYS = {"AWS_ACCESS_KEY_ID": "the-key-of-a-test", "AWS_SECRET_ACCESS_KEY": "the-secret-of-a-test"}
DAYS = [date(2014, 6, 9) + timedelta(days=number) for number in range(4)]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Bucket:
    """An empty bucket of the server, asked as the protocol says and without the code under test."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._ask("POST", "moto-api/reset")
        self._ask("PUT", BUCKET)

    def names(self) -> list[str]:
        listed = ET.fromstring(self._ask("GET", f"{BUCKET}?list-type=2"))  # noqa: S314 - our own server
        return [each.text or "" for each in listed.iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key")]

    def data_files(self) -> list[str]:
        return [key for key in self.names() if key.endswith(".parquet")]

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"{self._endpoint}/{path}", method=method)  # noqa: S310 - http, on this machine
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - the same
            return bytes(answer.read())


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return Bucket(endpoint)


@pytest.fixture
def place(tmp_path: Path, endpoint: str, bucket: Bucket) -> LakeLocation:
    assert bucket is not None
    store = ObjectStore(f"s3://{BUCKET}/history/mine/", endpoint_url=endpoint, url_style="path")
    return LakeLocation(tmp_path / "lake", store=store)


def bars(session: date, close: float) -> pd.DataFrame:
    symbols = [f"S{number:03}" for number in range(60)]
    prices = dict.fromkeys(("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"), close)
    frame = pd.DataFrame({"session": session, "symbol": symbols, "ticker": symbols, **prices})
    known = pd.Timestamp(f"{session} 20:15", tz="UTC")
    return frame.assign(volume_shares=np.arange(60.0), source="hand", known_at_utc=known)


def write(store: Lake, session: date, close: float, reason: str = "materialize") -> int:
    message = CommitMessage("by hand", f"{session}..{session}", "test", "1", reason)
    return store.write([Replacement(DAILY_BARS, bars(session, close), session, session)], message)


def test_every_version_reads_as_it_was_after_a_correction_and_after_compaction(
    place: LakeLocation, bucket: Bucket, tmp_path: Path
) -> None:
    hashes: dict[int, dict[date, str]] = {}
    with connect(place) as connection:
        store = Lake(connection)
        store.create_tables([DAILY_BARS])
        for number, day in enumerate(DAYS):
            snapshot = write(store, day, 100.0 + number)
            hashes[snapshot] = DAILY_BARS.content_hashes(store.read(DAILY_BARS))
        corrected = write(store, DAYS[1], 99.0, "the vendor corrected a close")
        hashes[corrected] = DAILY_BARS.content_hashes(store.read(DAILY_BARS))
        files = bucket.data_files()
        assert len(files) >= len(DAYS)
        assert all(key.startswith("history/mine/") for key in files)
        assert not list(tmp_path.rglob("*.parquet"))

        merged = merge_small_files(store, CommitMessage("maintain_lake", "", "test", "1"))
        assert merged[DAILY_BARS.key] >= len(DAYS) - 1
        assert remove_unused_files(store, unused_for=timedelta(0)) >= len(DAYS) - 1
        assert len(bucket.data_files()) < len(files)

    with connect(place) as connection:
        store = Lake(connection)
        for snapshot, then in hashes.items():
            assert DAILY_BARS.content_hashes(store.read(DAILY_BARS, snapshot_id=snapshot)) == then


def test_a_catalog_that_was_lost_is_not_begun_anew_and_its_copy_brings_everything_back(
    place: LakeLocation, tmp_path: Path
) -> None:
    with connect(place) as connection:
        store = Lake(connection)
        store.create_tables([DAILY_BARS])
        first = write(store, DAYS[0], 100.0)
        before = store.read(DAILY_BARS)
        write(store, DAYS[0], 101.0)
    shutil.copy(place.catalog, tmp_path / "copy.sqlite")
    for file in place.folder.glob("catalog.sqlite*"):
        file.unlink()

    with pytest.raises(LakeUnreadable, match=r"is gone, but s3://prices/history/mine/ holds"), connect(place):
        pass

    elsewhere = LakeLocation(tmp_path / "another machine", store=place.store)
    elsewhere.folder.mkdir()
    shutil.copy(tmp_path / "copy.sqlite", elsewhere.catalog)
    with connect(elsewhere) as connection:
        pd.testing.assert_frame_equal(Lake(connection).read(DAILY_BARS, snapshot_id=first), before, check_exact=True)


def test_keys_come_from_the_environment_and_are_told_to_nobody(
    place: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(place) as connection:
        Lake(connection).create_tables([DAILY_BARS])
        told = str(connection.execute("SELECT * FROM duckdb_secrets()").fetchall())
        told += str(connection.execute("SELECT * FROM duckdb_databases()").fetchall())
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in told + repr(place)
    for file in place.folder.rglob("*"):
        assert not file.is_file() or KEYS["AWS_SECRET_ACCESS_KEY"].encode() not in file.read_bytes()

    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY not set in the environment"), connect(place):
        pass


def test_a_bucket_that_is_not_there_is_named_and_no_key_with_it(place: LakeLocation, endpoint: str) -> None:
    nowhere = LakeLocation(
        place.folder, store=ObjectStore("s3://no-such-bucket/x/", endpoint_url=endpoint, url_style="path")
    )
    with pytest.raises(LakeUnreadable, match="no-such-bucket") as refused, connect(nowhere):
        pass
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(refused.value)


def test_each_workspace_has_a_prefix_of_its_own_by_one_setting(tmp_path: Path, endpoint: str, bucket: Bucket) -> None:
    storage = {"data_path": f"s3://{BUCKET}/history", "s3_endpoint_url": endpoint, "s3_url_style": "path"}
    for name in ("one", "two"):
        config = AegisConfig(run={"home": tmp_path, "workspace": name}, storage=storage)
        with lake_resource(Workspace.of(config)).open() as store:
            write(store, DAYS[0], 100.0)
            assert len(store.read(DAILY_BARS)) == 60
    prefixes = {"/".join(key.split("/")[:2]) for key in bucket.names()}
    assert prefixes == {"history/one", "history/two"}
