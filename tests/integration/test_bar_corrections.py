"""Corrected bars on a lake: what is kept, what is set aside, and two persons who correct at the same time.

Twenty-five symbols over twelve sessions; in the last but one, BAD closes at a hundredth of what it should and is set
aside.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_quality import QualitySettings
from aegis.errors import LakeError, QualityGateBlocked
from aegis.lake import tables
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import TableSchema
from aegis.lake.tables.market import MARKET_TABLES
from aegis.market_data.corrections import Correction, correct_bars, given_bars
from aegis.market_data.kept_corrections import with_kept_corrections
from aegis.market_data.quality_gate import run_quality_gate
from aegis.market_data.quarantine import untradable_symbols

CALENDAR = trading_calendar("XNYS")
DAYS = CALENDAR.sessions(date(2014, 6, 2), date(2014, 6, 17))
SET_ASIDE = DAYS[-2]
SYMBOLS = ["AAA", "BAD", "SPY", *(f"S{number:02d}" for number in range(22))]
SETTINGS = QualitySettings()


def delivered() -> pd.DataFrame:
    rows = []
    for number, day in enumerate(DAYS):
        known = CALENDAR.closes_utc([day])[0] + pd.Timedelta(minutes=15)
        for place, symbol in enumerate(SYMBOLS):
            close = 50 + place + (number % 3) / 10
            if (symbol, day) == ("BAD", SET_ASIDE):
                close /= 100
            prices = (close, close + 0.05, close - 0.05, close)
            rows.append((day, symbol, symbol, *prices, 100_000.0 + number, "files", known))
    return tables.RAW_BARS.conform(pd.DataFrame(rows, columns=tables.RAW_BARS.column_names))


def listings() -> pd.DataFrame:
    values = {"first_session": DAYS[0], "last_session": pd.NaT, "sector": "X", "source": "files"}
    frame = pd.DataFrame({"symbol": SYMBOLS, "ticker": SYMBOLS, "name": SYMBOLS}).assign(**values)
    return tables.LISTINGS.conform(frame.assign(tradable=frame["symbol"] != "SPY"))


def write(lake: Lake, table: TableSchema, frame: pd.DataFrame) -> None:
    bounds = (DAYS[0], DAYS[-1]) if table.is_sessioned else (None, None)
    lake.write([Replacement(table, frame, *bounds)], CommitMessage(table.key, f"{DAYS[0]}..{DAYS[-1]}", "run", "1"))


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake in which the bars went through the gate as in the daily graph."""
    folder = tmp_path_factory.mktemp("gated") / "lake"
    with connect(LakeLocation(folder)) as connection:
        lake = Lake(connection)
        lake.create_tables(MARKET_TABLES)
        write(lake, tables.LISTINGS, listings())
        write(lake, tables.RAW_BARS, delivered())
        result = run_quality_gate(
            delivered(), listings=listings(), actions=tables.CORPORATE_ACTIONS.empty(), calendar=CALENDAR,
            settings=SETTINGS, snapshot_id=lake.snapshot_id(), first=DAYS[0], last=DAYS[-1],
            protected=untradable_symbols(listings(), DAYS),
        )  # fmt: skip
        write(lake, tables.CHECK_RESULTS, result.check_results)
        write(lake, tables.QUARANTINED_BARS, result.quarantined_bars)
        write(lake, tables.DAILY_BARS, result.daily_bars)
        assert not result.blocked_sessions
    return folder


@pytest.fixture
def lake(gated: Path, tmp_path: Path) -> Iterator[Lake]:
    with connect(LakeLocation(Path(shutil.copytree(gated, tmp_path / "lake")))) as connection:
        yield Lake(connection)


def corrected(lake: Lake, symbol: str, session: date, *, read_at: int | None = None, **values: float) -> Correction:
    snapshot = lake.snapshot_id() if read_at is None else read_at
    given = pd.DataFrame({"session": [session], "symbol": [symbol]} | {name: [value] for name, value in values.items()})
    stored = lake.read(tables.RAW_BARS, first=session, last=session, snapshot_id=snapshot)
    return correct_bars(
        lake, given_bars(given, stored, known_at={}), read_at=snapshot, first=session, last=session, calendar=CALENDAR,
        settings=SETTINGS, reason="looked up", person="tester", code_version="1",
    )  # fmt: skip


def set_aside(lake: Lake) -> set[tuple[str, date]]:
    rows = lake.read(tables.QUARANTINED_BARS)
    return {(row.symbol, row.session.date()) for row in rows.itertuples()}


def close(frame: pd.DataFrame, symbol: str, session: date) -> list[float]:
    chosen = (frame["symbol"] == symbol) & (frame["session"] == pd.Timestamp(session))
    return [float(value) for value in frame.loc[chosen, "close_raw_usd"]]


@pytest.mark.parametrize("session", [DAYS[3], pytest.param(SET_ASIDE, marks=pytest.mark.long)])
def test_a_bar_that_was_set_aside_hinders_no_correction_of_another_symbol(lake: Lake, session: date) -> None:
    assert set_aside(lake) == {("BAD", SET_ASIDE)}
    corrected(lake, "AAA", session, volume_shares=123_456.0)
    bars = lake.read(tables.DAILY_BARS)
    chosen = (bars["symbol"] == "AAA") & (bars["session"] == pd.Timestamp(session))
    assert bars.loc[chosen, "volume_shares"].tolist() == [123_456.0]
    assert set_aside(lake) == {("BAD", SET_ASIDE)}
    assert close(bars, "BAD", SET_ASIDE) == []


def test_a_bar_that_was_set_aside_and_is_corrected_is_trusted_and_no_longer_set_aside(lake: Lake) -> None:
    prices = {"open_raw_usd": 51.1, "high_raw_usd": 51.3, "low_raw_usd": 51.0, "close_raw_usd": 51.2}
    corrected(lake, "BAD", SET_ASIDE, **prices)
    assert close(lake.read(tables.DAILY_BARS), "BAD", SET_ASIDE) == [51.2]
    assert set_aside(lake) == set()


def test_a_correction_that_would_be_set_aside_itself_is_refused(lake: Lake) -> None:
    before = lake.snapshot_id()
    with pytest.raises(QualityGateBlocked, match=r"1 bars would be set aside .*AAA 2014-06-05.*Correct those rows"):
        corrected(lake, "AAA", DAYS[3], volume_shares=-1.0)
    assert lake.snapshot_id() == before


def test_of_two_corrections_of_what_both_read_the_second_is_refused_and_the_first_stands(lake: Lake) -> None:
    both_read = lake.snapshot_id()
    corrected(lake, "AAA", DAYS[3], read_at=both_read, close_raw_usd=50.02)
    stands = lake.snapshot_id()
    with pytest.raises(LakeError, match=r"market_data/raw_bars .* written by somebody else .* run it again"):
        corrected(lake, "S01", DAYS[3], read_at=both_read, close_raw_usd=54.02)
    assert lake.snapshot_id() == stands
    assert close(lake.read(tables.RAW_BARS), "AAA", DAYS[3]) == [50.02]
    corrected(lake, "S01", DAYS[3], close_raw_usd=54.02)
    bars = lake.read(tables.DAILY_BARS)
    assert (close(bars, "AAA", DAYS[3]), close(bars, "S01", DAYS[3])) == ([50.02], [54.02])


def test_a_corrected_bar_stands_when_the_source_repeats_or_leaves_out_what_was_wrong(lake: Lake) -> None:
    asked = delivered()[lambda rows: rows["session"] == pd.Timestamp(DAYS[3])]
    assert with_kept_corrections(asked, lake, first=DAYS[3], last=DAYS[3]) is asked, "nobody corrected anything"
    corrected(lake, "AAA", DAYS[3], close_raw_usd=50.02)
    for answer in (asked, asked[asked["symbol"] != "AAA"], asked.iloc[:0]):
        kept = with_kept_corrections(answer, lake, first=DAYS[3], last=DAYS[3])
        assert close(kept, "AAA", DAYS[3]) == [50.02]
        assert len(kept) == max(len(answer[answer["symbol"] != "AAA"]) + 1, 1)
    other = delivered()[lambda rows: rows["session"] == pd.Timestamp(DAYS[4])]
    assert with_kept_corrections(other, lake, first=DAYS[4], last=DAYS[4]) is other
