"""The end of a journal kept by a service: a real PostgreSQL server, and a bucket."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from aegis.config import AegisConfig
from aegis.errors import AnchorUnavailable, JournalError
from aegis.execution.anchor_places import BucketPlace, PostgresPlace, configured_place
from aegis.execution.journal import Journal, NewEvent
from aegis.execution.journal_anchor import AnchorPlace, JournalAnchor
from aegis.execution.journal_chain import JournalHead
from aegis.live_trading.anchoring import Anchoring, require_anchored
from aegis.postgres import PostgresSchema
from aegis.workspace import Workspace
from tests.integration.postgres_server import PASSWORD, PostgresServer, programs, running_server

pytestmark = [pytest.mark.long, pytest.mark.service]

ACCOUNT, FRIDAY = "paper", date(2014, 6, 6)
NOON = datetime(2014, 6, 6, 16, tzinfo=UTC)


@pytest.fixture(scope="module")
def store() -> Iterator[ThreadedMotoServer]:
    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    yield started
    started.stop()


def on_server(home: Path, server: PostgresServer) -> AnchorPlace:
    config = AegisConfig(run={"home": home}, storage={"anchor_postgres_url": SecretStr(server.url)})
    place = configured_place(Workspace.of(config), ACCOUNT)
    assert isinstance(place, PostgresPlace)
    return place


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AnchorPlace]:
    """Return a place of each kind, as the configuration makes it."""
    found: AnchorPlace | None
    if request.param == "postgres":
        running: PostgresServer = request.getfixturevalue("server")
        schema = PostgresSchema.of(running.secret, "simulated-simulated", "anchor")
        running.ask(f"DROP SCHEMA IF EXISTS {schema.name} CASCADE")
        found = on_server(tmp_path / "home", running)
    else:
        host, port = request.getfixturevalue("store").get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "the-key-of-a-test",
            "AWS_SECRET_ACCESS_KEY": "the-secret-of-a-test",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        for method, path in (("POST", "moto-api/reset"), ("PUT", "anchors")):
            asked = urllib.request.Request(f"http://{host}:{port}/{path}", method=method)
            with urllib.request.urlopen(asked):  # noqa: S310 - this machine
                pass
        storage = {"anchor_location": "s3://anchors/of/aegis"}
        found = configured_place(Workspace.of(AegisConfig(run={"home": tmp_path / "home"}, storage=storage)), ACCOUNT)
        assert isinstance(found, BucketPlace)
    assert found is not None
    with closing(found):
        yield found


BOTH = pytest.mark.parametrize("place", ["postgres", "bucket"], indirect=True)


def append(journal: Journal, *texts: str) -> None:
    with journal.batch() as batch:
        for text in texts:
            batch.append(NewEvent(kind="note", session=FRIDAY, at_utc=NOON, payload_json=f'"{text}"'))


@BOTH
def test_a_head_is_there_for_the_next_process_and_never_goes_back(place: AnchorPlace) -> None:
    assert place.read() is None
    first, later = JournalHead(3, "a" * 64), JournalHead(7, "b" * 64)
    for head in (first, later):
        assert place.keep(head) == head
        assert place.read() == head
    assert place.keep(first) == later
    assert place.keep(JournalHead(7, "c" * 64)) == later
    assert place.read() == later


@BOTH
def test_a_journal_that_lost_its_end_is_refused_by_the_service(place: AnchorPlace, tmp_path: Path) -> None:
    with closing(Journal.open(tmp_path / "whole.sqlite", account=ACCOUNT)) as journal:
        anchoring = Anchoring(place, journal)
        anchoring.begin(session=FRIDAY, at_utc=NOON)
        append(journal, "one", "two")
        anchoring.require()
        whole = journal.head()
        anchor = JournalAnchor(place, account=ACCOUNT)
        assert require_anchored(anchor, journal) == whole == JournalHead(3, whole.hash)
        append(journal, "three")
        assert require_anchored(anchor, journal) == whole, "what is not anchored yet is no fault"
    # A journal of the same beginning without its end, and one that went another way.
    for name, texts, message in (
        ("cut", ["one"], "published up to sequence 3 and now ends with 2"),
        ("other", ["one", "2"], "sequence 3 has hash .*rewritten, or is another journal"),
    ):
        with closing(Journal.open(tmp_path / f"{name}.sqlite", account=ACCOUNT)) as journal:
            append(journal, "begun", *texts)
            with pytest.raises(JournalError, match=message) as refused:
                Anchoring(place, journal).begin(session=FRIDAY, at_utc=NOON)
            assert str(place) in str(refused.value)
    assert place.read() == whole


def test_a_server_that_stopped_is_an_anchor_that_gives_no_answer_and_tells_no_password(
    server: PostgresServer, tmp_path: Path
) -> None:
    assert server is not None
    bin_folder = programs()
    assert bin_folder is not None
    with (
        running_server(bin_folder) as own,
        closing(on_server(tmp_path / "home", own)) as place,
        closing(Journal.open(tmp_path / "journal.sqlite", account=ACCOUNT)) as journal,
    ):
        anchoring = Anchoring(place, journal)
        anchoring.begin(session=FRIDAY, at_utc=NOON)
        append(journal, "one")
        assert own.kill_backends("") >= 1
        anchoring.require()  # a connection that died idle is replaced
        assert place.read() == journal.head()
        own.stop()
        append(journal, "two")
        anchoring.follow()
        assert anchoring.failure.startswith("journal of paper: its anchor ")
        for secret in (PASSWORD, "sesame"):
            assert secret not in anchoring.failure + str(place)
        with pytest.raises(AnchorUnavailable):
            require_anchored(JournalAnchor(place, account=ACCOUNT), journal)


def test_a_bucket_that_is_not_there_is_an_anchor_that_gives_no_answer(
    store: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = store.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-a-test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    place = BucketPlace("s3://nowhere/of/aegis", "a-workspace", ACCOUNT)
    with pytest.raises(AnchorUnavailable, match=r"s3://nowhere/of/aegis/a-workspace/paper\.json"):
        place.keep(JournalHead(1, "a" * 64))
