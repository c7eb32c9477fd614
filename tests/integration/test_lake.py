"""The versioned store on disk: what is written comes back, old versions stay, and a failure leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from aegis.errors import LakeError, SchemaMismatch, SnapshotNotFound
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.compaction import merge_small_files
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.marks import mark_snapshot, marks
from aegis.lake.provenance import Provenance
from aegis.lake.schema import Column, TableSchema
from tests.trial_tables import ACCOUNTS, READINGS, cash, readings

MONDAY, TUESDAY, WEDNESDAY = date(2014, 6, 9), date(2014, 6, 10), date(2014, 6, 11)

NAMES = TableSchema("trial", "names", "No sessions.", ("symbol",), (Column("symbol", "text", "Symbol."),))
MESSAGE = CommitMessage("trial/readings", "2014-06-09..2014-06-10", "run-1", "v1")


@pytest.fixture
def lake(location: LakeLocation) -> Iterator[Lake]:
    with connect(location) as connection:
        store = Lake(connection)
        store.create_tables([READINGS, ACCOUNTS, NAMES])
        yield store


def test_every_kind_of_value_comes_back_to_the_bit(lake: Lake) -> None:
    lake.write([Replacement(READINGS, readings(MONDAY), MONDAY, MONDAY)], MESSAGE)

    frame = lake.read(READINGS)

    assert frame.columns.tolist() == READINGS.column_names
    assert frame["session"].dtype == "datetime64[ns]"
    assert frame["session"].tolist() == [pd.Timestamp("2014-06-09")] * 2
    assert frame["symbol"].tolist() == ["AAPL", "MSFT"]
    assert frame["known_at_utc"].tolist() == [pd.Timestamp("2014-06-09T20:15:00.123456", tz="UTC")] * 2
    assert str(frame["known_at_utc"].dt.tz) == "UTC"
    assert frame["close_usd"].tolist() == [93.7, 93.7]
    assert frame["spread_bps"].isna().tolist() == [False, True]
    assert frame["volume_shares"].dtype == "int64"
    assert frame["volume_shares"].tolist() == [9007199254740993] * 2, "a float would have rounded it"
    assert frame["tradable"].dtype == "bool"
    assert frame["tradable"].tolist() == [True, False]
    assert frame["note"].tolist() == [None, "naïve 'quoted' \n line"]
    assert [np.asarray(v).tobytes() for v in frame["loadings"]] == [np.array([0.1, -0.0, 1e-308]).tobytes()] * 2


def test_what_is_read_hashes_as_what_was_written(lake: Lake) -> None:
    written = readings(MONDAY, TUESDAY)

    lake.write([Replacement(READINGS, written, MONDAY, TUESDAY)], MESSAGE)

    assert READINGS.content_hashes(lake.read(READINGS)) == READINGS.content_hashes(written)


def test_many_equal_texts_come_back_as_few_do_with_their_nulls(lake: Lake) -> None:
    """Texts that repeat are stored by number of their distinct values, others one by one: nobody may tell."""
    symbols = tuple(f"S{number:05d}" for number in range(6_000))
    written = readings(MONDAY, TUESDAY, symbols=symbols)
    written["note"] = [(None, "naïve", "", "漢字", "nul\0")[number % 5] for number in range(len(written))]

    lake.write([Replacement(READINGS, written, MONDAY, TUESDAY)], MESSAGE)

    read = lake.read(READINGS)
    assert read["symbol"].tolist() == [*symbols, *symbols]
    assert read["note"].tolist() == written["note"].tolist()


@pytest.mark.parametrize("rows", [10, 12_000])
def test_a_number_among_texts_is_refused_with_its_column_and_nothing_is_written(lake: Lake, rows: int) -> None:
    number = lake.snapshot_id()
    spoiled = readings(MONDAY, symbols=tuple(f"S{row:05d}" for row in range(rows)))
    spoiled.loc[rows - 1, "note"] = 7

    with pytest.raises(pa.ArrowTypeError, match="column note"):
        lake.write([Replacement(READINGS, spoiled, MONDAY, MONDAY)], MESSAGE)

    assert lake.snapshot_id() == number


def test_an_empty_table_reads_with_its_dtypes(lake: Lake) -> None:
    assert lake.read(READINGS).dtypes.to_dict() == READINGS.empty().dtypes.to_dict()
    assert lake.sessions(READINGS) == []


def test_another_connection_sees_what_was_committed(lake: Lake, location: LakeLocation) -> None:
    lake.write([Replacement(READINGS, readings(MONDAY), MONDAY, MONDAY)], MESSAGE)

    with connect(location) as connection:
        assert len(Lake(connection).read(READINGS)) == 2


def test_a_write_replaces_its_range_and_nothing_else(lake: Lake) -> None:
    lake.write([Replacement(READINGS, readings(MONDAY, TUESDAY, WEDNESDAY), MONDAY, WEDNESDAY)], MESSAGE)
    lake.write([Replacement(READINGS, readings(TUESDAY, close_usd=1.0), TUESDAY, TUESDAY)], MESSAGE)

    closes = lake.read(READINGS).groupby("session")["close_usd"].unique().map(list)

    assert closes.to_dict() == {
        pd.Timestamp(MONDAY): [93.7],
        pd.Timestamp(TUESDAY): [1.0],
        pd.Timestamp(WEDNESDAY): [93.7],
    }
    assert lake.sessions(READINGS) == [MONDAY, TUESDAY, WEDNESDAY]
    assert lake.read(READINGS, first=TUESDAY, last=TUESDAY)["close_usd"].tolist() == [1.0, 1.0]


def test_replacing_a_range_by_nothing_empties_it(lake: Lake) -> None:
    lake.write([Replacement(READINGS, readings(MONDAY, TUESDAY), MONDAY, TUESDAY)], MESSAGE)
    lake.write([Replacement(READINGS, READINGS.empty(), MONDAY, MONDAY)], MESSAGE)

    assert lake.sessions(READINGS) == [TUESDAY]


def test_an_account_s_write_leaves_the_rows_of_others(lake: Lake) -> None:
    def cash(account: str, usd: float) -> Replacement:
        frame = pd.DataFrame({"session": [MONDAY], "account": [account], "cash_usd": [usd]})
        return Replacement(ACCOUNTS, frame, MONDAY, MONDAY, account)

    lake.write([cash("simulated", 1.0)], MESSAGE)
    lake.write([cash("paper", 2.0)], MESSAGE)
    lake.write([cash("simulated", 3.0)], MESSAGE)

    assert lake.read(ACCOUNTS).set_index("account")["cash_usd"].to_dict() == {"paper": 2.0, "simulated": 3.0}
    assert lake.read(ACCOUNTS, account="paper")["cash_usd"].tolist() == [2.0]
    assert lake.sessions(ACCOUNTS, account="nobody") == []


def test_rows_of_another_account_are_refused_and_nothing_is_written(lake: Lake) -> None:
    before = lake.snapshot_id()
    mixed = cash(MONDAY, TUESDAY).assign(account=["first", "second"])

    with pytest.raises(SchemaMismatch, match=r"trial/accounts: 1 row\(s\) are not of account 'first'.*'second'"):
        lake.write([Replacement(ACCOUNTS, mixed, MONDAY, TUESDAY, account="first")], MESSAGE)
    with pytest.raises(SchemaMismatch, match=r"trial/readings: .* account 'first', and the table has no accounts"):
        lake.write([Replacement(READINGS, readings(MONDAY), MONDAY, MONDAY, account="first")], MESSAGE)

    assert lake.snapshot_id() == before


def test_a_table_without_sessions_is_replaced_whole(lake: Lake) -> None:
    lake.write([Replacement(NAMES, pd.DataFrame({"symbol": ["A", "B"]}))], MESSAGE)
    lake.write([Replacement(NAMES, pd.DataFrame({"symbol": ["C"]}))], MESSAGE)

    assert lake.read(NAMES)["symbol"].tolist() == ["C"]


def test_every_version_stays_readable(lake: Lake) -> None:
    first = lake.write([Replacement(READINGS, readings(MONDAY, close_usd=1.0), MONDAY, MONDAY)], MESSAGE)
    second = lake.write([Replacement(READINGS, readings(MONDAY, close_usd=2.0), MONDAY, MONDAY)], MESSAGE)
    merge_small_files(lake, MESSAGE)

    assert first < second <= lake.snapshot_id()
    assert lake.read(READINGS, snapshot_id=first)["close_usd"].tolist() == [1.0, 1.0]
    assert lake.read(READINGS, snapshot_id=second)["close_usd"].tolist() == [2.0, 2.0]
    assert lake.read(READINGS)["close_usd"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize("snapshot_id", [0, 999_999], ids=["before the table", "never"])
def test_a_version_that_does_not_exist_is_refused(lake: Lake, snapshot_id: int) -> None:
    with pytest.raises(SnapshotNotFound, match=f"(?s)trial/readings at snapshot {snapshot_id}: .*aegis data versions"):
        lake.read(READINGS, snapshot_id=snapshot_id)


def test_a_snapshot_says_who_wrote_it_and_why(lake: Lake) -> None:
    message = CommitMessage("trial/readings", "2014-06-09..2014-06-09", "run-7", "v3", "vendor corrected the close")

    number = lake.write([Replacement(READINGS, readings(MONDAY), MONDAY, MONDAY)], message)

    snapshot = lake.snapshots().set_index("snapshot_id").loc[number]
    assert snapshot["commit_message"] == "trial/readings 2014-06-09..2014-06-09"
    assert json.loads(snapshot["commit_extra_info"]) == {
        "asset": "trial/readings",
        "sessions": "2014-06-09..2014-06-09",
        "run_id": "run-7",
        "journal_head": "",
        "code_version": "v3",
        "reason": "vendor corrected the close",
        "highest_checksummed_file": -1,
    }


def test_one_write_of_several_tables_is_one_snapshot(lake: Lake) -> None:
    before = len(lake.snapshots())

    number = lake.write(
        [
            Replacement(READINGS, readings(MONDAY), MONDAY, MONDAY),
            Replacement(NAMES, pd.DataFrame({"symbol": ["A"]})),
        ],
        MESSAGE,
    )

    assert len(lake.snapshots()) == before + 1
    assert len(lake.read(READINGS, snapshot_id=number)) == 2
    assert len(lake.read(NAMES, snapshot_id=number)) == 1


def test_creating_tables_that_exist_makes_no_snapshot(lake: Lake) -> None:
    before = lake.snapshot_id()

    lake.create_tables([READINGS, ACCOUNTS, NAMES])

    assert lake.snapshot_id() == before


def test_a_write_of_no_rows_where_there_are_none_is_remembered(lake: Lake) -> None:
    """A session without features was computed all the same: whoever asks when must find the write."""
    before = lake.write([Replacement(READINGS, readings(MONDAY), MONDAY, MONDAY)], MESSAGE)
    numbers = [lake.write([Replacement(READINGS, READINGS.empty(), TUESDAY, TUESDAY)], MESSAGE) for _ in range(2)]
    assert before < numbers[0] < numbers[1]
    assert lake.sessions(READINGS) == [MONDAY]
    remembered = Provenance(lake.snapshots()).writes(READINGS, TUESDAY)
    assert [write.snapshot_id for write in remembered] == [before, *numbers]


# What does not fit is refused before anything is written.


def _drop_close(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="close_usd")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (_drop_close, r"missing \['close_usd'\], unexpected \[\]"),
        (lambda f: f.assign(price=1.0), r"missing \[\], unexpected \['price'\]"),
        (
            lambda f: f.assign(close_usd="dear"),
            r"trial/readings\.close_usd: values of dtype object cannot be read as float",
        ),
        (lambda f: f.assign(volume_shares=np.nan), r"trial/readings\.volume_shares: .*cannot be read as integer"),
        (
            lambda f: f.assign(session=["2014-06-09", "someday"]),
            r"trial/readings\.session: .*cannot be read as session",
        ),
        (
            lambda f: f.assign(close_usd=np.nan),
            r"trial/readings\.close_usd: 2 null value\(s\), first at .*AAPL.*required",
        ),
        (lambda f: f.assign(symbol=None), r"trial/readings\.symbol: 2 null value\(s\)"),
        (lambda f: pd.concat([f, f.head(1)]), r"1 row\(s\) repeat the primary key .*AAPL.*keep one row for each key"),
        (lambda f: f.assign(session=TUESDAY), r"2 row\(s\) lie outside 2014-06-09\.\.2014-06-09.*AAPL"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_and_nothing_is_written(
    lake: Lake, spoil: Callable[[pd.DataFrame], pd.DataFrame], complaint: str
) -> None:
    number = lake.write([Replacement(READINGS, readings(MONDAY), MONDAY, MONDAY)], MESSAGE)

    with pytest.raises(SchemaMismatch, match=complaint):
        lake.write([Replacement(READINGS, spoil(readings(MONDAY)), MONDAY, MONDAY)], MESSAGE)

    assert lake.snapshot_id() == number
    assert len(lake.read(READINGS)) == 2


def test_a_write_without_its_range_is_refused(lake: Lake) -> None:
    with pytest.raises(SchemaMismatch, match="must name the range of sessions that it replaces"):
        lake.write([Replacement(READINGS, readings(MONDAY))], MESSAGE)


def test_a_write_that_fails_half_way_leaves_nothing_and_the_next_one_works(lake: Lake) -> None:
    number = lake.write([Replacement(READINGS, readings(MONDAY), MONDAY, MONDAY)], MESSAGE)
    absent = replace(READINGS, name="never_created")

    with pytest.raises(LakeError, match=r"(?s)trial/readings: nothing was written: .*never_created"):
        lake.write(
            [
                Replacement(READINGS, readings(MONDAY, close_usd=2.0), MONDAY, MONDAY),
                Replacement(absent, readings(MONDAY), MONDAY, MONDAY),
            ],
            MESSAGE,
        )

    assert lake.snapshot_id() == number
    assert lake.read(READINGS)["close_usd"].tolist() == [93.7, 93.7]
    assert lake.write([Replacement(READINGS, readings(MONDAY, close_usd=3.0), MONDAY, MONDAY)], MESSAGE) > number
    assert lake.read(READINGS)["close_usd"].tolist() == [3.0, 3.0]


def test_the_mark_written_last_holds_also_where_the_clock_was_set_back_before_it(lake: Lake) -> None:
    number = lake.snapshot_id()
    noon, eleven = datetime(2014, 6, 9, 12, tzinfo=UTC), datetime(2014, 6, 9, 11, tzinfo=UTC)
    mark_snapshot(lake, number, "release", reason="done with", person="a person", at_utc=noon)
    mark_snapshot(lake, number, "keep", reason="for the audit", person="a person", at_utc=eleven)
    assert marks(lake.connection) == {number: "for the audit"}
