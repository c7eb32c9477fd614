"""Every data file has a checksum, and what is not the file that was written is never read on the way to an order."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from aegis.errors import LakeError, LakeUnreadable
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.checksums import ANCHOR, DataFile
from aegis.lake.compaction import merge_small_files
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.verification import database_problem, verify_lake
from aegis.lake.verified_lake import VerifiedLake
from tests.trial_tables import ACCOUNTS, READINGS, cash, readings

MESSAGE = CommitMessage("trial/accounts", "2014-01-01..2015-12-31", "run-1", "v1")
FORGET = "DELETE FROM __ducklake_metadata_lake.aegis_data_file_checksums WHERE file_id BETWEEN ? AND ?"
DAYS_2014, DAYS_2015 = (
    [day.date() for day in pd.bdate_range(f"{year}-01-01", f"{year}-03-31")] for year in (2014, 2015)
)


@pytest.fixture
def lake(location: LakeLocation) -> Iterator[VerifiedLake]:
    """Two years of accounts in two files, and one file of readings."""
    with connect(location) as connection:
        store = VerifiedLake(connection)
        store.create_tables([ACCOUNTS, READINGS])
        for days in (DAYS_2014, DAYS_2015):
            store.write([Replacement(ACCOUNTS, cash(*days), days[0], days[-1])], MESSAGE)
        message = CommitMessage("trial/readings", "2014-01-01..2014-12-31", "run-2", "v1")
        store.write([Replacement(READINGS, readings(*DAYS_2014), DAYS_2014[0], DAYS_2014[-1])], message)
        yield store


def _files(lake: Lake, table: str = "trial/accounts") -> list[DataFile]:
    return [file for file in lake.checksums.all_files() if file.table_key == table]


def _flip_a_byte(path: Path, at: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 0x10
    path.write_bytes(content)


def test_every_data_file_has_the_checksum_of_its_bytes(lake: VerifiedLake) -> None:
    for file in lake.checksums.all_files():
        assert file.sha256 == hashlib.sha256(Path(file.path).read_bytes()).hexdigest()
    assert len(lake.checksums.all_files()) == 3
    assert verify_lake(lake).damaged == ()


@pytest.mark.parametrize("at", [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
def test_a_flipped_bit_anywhere_is_refused_with_file_table_sessions_and_remedy(lake: VerifiedLake, at: float) -> None:
    damaged = _files(lake)[1]
    _flip_a_byte(Path(damaged.path), at)

    with pytest.raises(LakeUnreadable) as refused:
        lake.read(ACCOUNTS, first=date(2015, 1, 5), last=date(2015, 1, 9))

    said = str(refused.value)
    for part in ("trial/accounts 2015-01-05..2015-01-09", damaged.path, "damaged or exchanged", "aegis data restore"):
        assert part in said
    assert len(lake.read(ACCOUNTS, last=date(2014, 12, 31))) == len(DAYS_2014), "the other file is as it was"


def test_an_exchanged_file_with_other_valid_rows_is_refused(lake: VerifiedLake, tmp_path: Path) -> None:
    with connect(LakeLocation(tmp_path / "other")) as connection:
        other = Lake(connection)
        other.create_tables([ACCOUNTS])
        richer = cash(*DAYS_2015).assign(cash_usd=1e9)
        other.write([Replacement(ACCOUNTS, richer, DAYS_2015[0], DAYS_2015[-1])], MESSAGE)
        forged = _files(other)[0].path
    shutil.copy(forged, _files(lake)[1].path)

    with pytest.raises(LakeUnreadable, match="damaged or exchanged"):
        lake.read(ACCOUNTS)
    found = verify_lake(lake)
    assert [damaged.file for damaged in found.damaged] == [_files(lake)[1]]


@pytest.mark.parametrize("way", ["truncated", "deleted"])
def test_a_truncated_or_lost_file_is_refused(lake: VerifiedLake, way: str) -> None:
    file = Path(_files(lake)[0].path)
    if way == "deleted":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-7])

    with pytest.raises(LakeUnreadable, match=r"trial/accounts .*(cannot be read|damaged).*materialize"):
        lake.read(ACCOUNTS)
    assert len(verify_lake(lake, table="trial/accounts").damaged) == 1
    assert verify_lake(lake, table="trial/readings").damaged == ()
    assert verify_lake(lake, since=date(2015, 1, 1)).damaged == (), "rows since then are in other files"


def test_a_file_of_deleted_rows_has_a_checksum_too(lake: VerifiedLake) -> None:
    lake.write([Replacement(ACCOUNTS, ACCOUNTS.empty(), DAYS_2014[3], DAYS_2014[40])], MESSAGE)
    places = next(file for file in _files(lake) if file.path.endswith("-delete.parquet"))
    _flip_a_byte(Path(places.path), 0.3)

    with pytest.raises(LakeUnreadable, match=r"-delete\.parquet"):
        lake.read(ACCOUNTS, first=DAYS_2014[0], last=DAYS_2014[2])


def test_merged_files_have_checksums_and_older_snapshots_are_checked_by_theirs(lake: VerifiedLake) -> None:
    before = lake.snapshot_id()
    rows = lake.read(ACCOUNTS, snapshot_id=before)
    assert merge_small_files(lake, CommitMessage("maintain_lake", "", "run-3", "v1")) == {"trial/accounts": 2}
    (merged,) = _files(lake)
    pd.testing.assert_frame_equal(lake.read(ACCOUNTS, snapshot_id=before), rows)

    _flip_a_byte(Path(merged.path), 0.5)

    for snapshot in (before, None):
        with pytest.raises(LakeUnreadable, match="damaged or exchanged"):
            lake.read(ACCOUNTS, snapshot_id=snapshot)


@pytest.mark.parametrize("kept", [0, 1])
def test_checksums_that_were_cut_off_are_noticed_by_readers_and_by_the_next_write(
    lake: VerifiedLake, kept: int
) -> None:
    lake._connection.execute(FORGET, [kept, 99])

    with pytest.raises(LakeUnreadable, match="has no checksum"):
        lake.read(ACCOUNTS)
    with pytest.raises(LakeUnreadable, match="were cut off"):
        verify_lake(lake)
    with pytest.raises(LakeUnreadable, match="were cut off"):
        lake.write([Replacement(ACCOUNTS, cash(*DAYS_2014), DAYS_2014[0], DAYS_2014[-1])], MESSAGE)


def test_a_checksum_taken_out_of_the_middle_is_not_made_again(lake: VerifiedLake) -> None:
    lake._connection.execute(FORGET, [1, 1])
    lake.write([Replacement(READINGS, readings(*DAYS_2014), DAYS_2014[0], DAYS_2014[-1])], MESSAGE)

    with pytest.raises(LakeUnreadable, match=r"has no checksum: its write was cut off, or the checksum was removed"):
        lake.read(ACCOUNTS)


def test_files_of_a_process_killed_before_it_recorded_them_get_theirs_with_the_next_write(lake: VerifiedLake) -> None:
    # What a process leaves that was killed right after its commit: an INSERT that nobody recorded.
    lake._connection.execute(
        "INSERT INTO lake.trial.accounts SELECT session + 730, account, 2.0 FROM lake.trial.accounts"
    )
    with pytest.raises(LakeUnreadable, match="has no checksum"):
        lake.read(ACCOUNTS)

    lake.write([Replacement(READINGS, readings(*DAYS_2014), DAYS_2014[0], DAYS_2014[-1])], MESSAGE)

    assert len(lake.read(ACCOUNTS)) == 2 * len(DAYS_2014 + DAYS_2015)
    assert verify_lake(lake).damaged == ()


def test_commit_messages_anchor_the_checksums_that_were_there(lake: VerifiedLake) -> None:
    messages = [json.loads(text) for text in lake.snapshots()["commit_extra_info"].dropna()]
    assert [message[ANCHOR] for message in messages] == [-1, -1, 0, 1]


def test_a_second_read_of_an_unchanged_file_reads_it_from_the_table_alone(
    lake: VerifiedLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.read(ACCOUNTS)
    hashed: list[str] = []
    plain: Callable[[DataFile], str] = lake.checksums.digest
    monkeypatch.setattr(lake.checksums, "digest", lambda file: (hashed.append(file.path), plain(file))[1])

    lake.read(ACCOUNTS)
    assert hashed == []
    _flip_a_byte(Path(_files(lake)[0].path), 0.5)
    with pytest.raises(LakeUnreadable, match="damaged"):
        lake.read(ACCOUNTS)


def test_a_few_rows_of_a_covered_table_lie_in_a_file_too(lake: VerifiedLake) -> None:
    lake.checksums.cover([ACCOUNTS])
    day = date(2016, 1, 4)
    lake.write([Replacement(ACCOUNTS, cash(day), day, day)], MESSAGE)

    newest = _files(lake)[-1]
    _flip_a_byte(Path(newest.path), 0.5)
    with pytest.raises(LakeUnreadable, match="damaged or exchanged"):
        lake.read(ACCOUNTS, first=day)


def test_verify_refuses_a_table_that_is_not_there(lake: VerifiedLake) -> None:
    with pytest.raises(LakeError, match=r"tables that have: trial/accounts, trial/readings"):
        verify_lake(lake, table="trial/acounts")


def test_a_damaged_database_file_is_described(location: LakeLocation) -> None:
    with connect(location) as connection:
        Lake(connection).create_tables([ACCOUNTS])
    assert database_problem(location.catalog) == ""
    content = bytearray(location.catalog.read_bytes())
    content[4096:8192] = bytes(4096)
    location.catalog.write_bytes(content)
    assert database_problem(location.catalog) != ""


def test_reads_at_the_first_and_last_session_of_a_file_check_that_file(lake: VerifiedLake) -> None:
    file = _files(lake)[0]
    _flip_a_byte(Path(file.path), 0.5)
    for first, last in ((DAYS_2014[-1], None), (None, DAYS_2014[0])):
        with pytest.raises(LakeUnreadable, match="damaged"):
            lake.read(ACCOUNTS, first=first, last=last)
    assert len(lake.read(ACCOUNTS, first=DAYS_2014[-1] + timedelta(days=1))) == len(DAYS_2015)
