"""Final sessions are asked for once: zero calls, damage, corrections, eviction, two processes, and kill -9."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aegis.clock import FixedClock, SimulatedClock
from aegis.config_vendors import YahooSettings
from aegis.errors import SourceUnavailable
from aegis.lake.tables import RAW_BARS
from aegis.market_data.ingestion import fetch_raw_bars
from aegis.market_data.sources.cached import CachedSource, RefreshedSource
from aegis.market_data.sources.cached_answers import CachedAnswers, forget_sessions, identity_of
from aegis.market_data.sources.content_store import ContentStore
from aegis.market_data.sources.yahoo import YahooSource
from aegis.market_data.sources.yahoo_download import Downloaded
from tests.scripted_vendor import CALENDAR, ScriptedVendor, steady

FIRST, LAST = date(2013, 12, 2), date(2014, 6, 13)
WEDNESDAY, THURSDAY = date(2014, 6, 11), date(2014, 6, 12)
SYMBOLS = ("AAA", "BBB", "SPY")
WHOLE = steady(SYMBOLS, FIRST, LAST)
EVENING = datetime(2014, 6, 13, 20, 16, tzinfo=UTC)
PLENTY = 10**9
KILLED_WRITER = Path(__file__).parents[1] / "cache_writer.py"


class Process:
    """One process of ours: a vendor that holds no answer yet, and the cache in `folder`."""

    def __init__(
        self,
        folder: Path,
        closes: dict[tuple[date, str], float] | None = None,
        *,
        last: date = LAST,
        kind: type[CachedSource] = CachedSource,
        max_bytes: int = PLENTY,
        now: datetime | None = None,
    ) -> None:
        close = CALENDAR.close_utc(last) + timedelta(minutes=16)
        clock = FixedClock(now or close)
        stated = {key: value for key, value in (closes or WHOLE).items() if key[0] <= last}
        self.vendor = ScriptedVendor("yahoo", stated)
        self.store = ContentStore(folder, max_bytes=max_bytes, clock=clock)
        answers = CachedAnswers(self.store, identity_of(source="yahoo", parameters={"symbols": SYMBOLS}))
        self.source = kind(self.vendor, answers, calendar=CALENDAR, last_session=last, clock=clock)


def closes(bars: pd.DataFrame) -> dict[tuple[date, str], float]:
    return {(row.session.date(), row.symbol): row.close_raw_usd for row in bars.itertuples()}


def test_final_sessions_that_were_fetched_make_no_call(tmp_path: Path) -> None:
    first = Process(tmp_path)
    told = first.source.bars(FIRST, LAST)
    assert first.vendor.asked == 1

    second = Process(tmp_path)
    pd.testing.assert_frame_equal(second.source.bars(FIRST, LAST), told)
    assert second.source.session_range() == (FIRST, LAST)
    pd.testing.assert_frame_equal(second.source.listings(), first.source.listings())
    assert second.source.corporate_actions(FIRST, LAST).empty
    assert second.source.coverage_notes() == ["a remark"]
    assert second.vendor.asked == 0


def test_a_later_day_asks_for_the_new_session_and_not_for_the_old_ones(tmp_path: Path) -> None:
    Process(tmp_path, last=THURSDAY).source.bars(FIRST, THURSDAY)

    old = Process(tmp_path)
    fetched = fetch_raw_bars(old.source, [WEDNESDAY, THURSDAY], last_complete=LAST, has_ended=False)
    assert closes(fetched).keys() == {(day, symbol) for day in (WEDNESDAY, THURSDAY) for symbol in SYMBOLS}
    assert old.vendor.asked == 0

    new = Process(tmp_path)
    fetch_raw_bars(new.source, [LAST], last_complete=LAST, has_ended=False)
    assert new.vendor.asked == 1
    third = Process(tmp_path)
    fetch_raw_bars(third.source, [LAST], last_complete=LAST, has_ended=False)
    assert third.vendor.asked == 0


def test_what_came_from_the_cache_says_since_when(tmp_path: Path) -> None:
    Process(tmp_path, last=THURSDAY).source.bars(THURSDAY, THURSDAY)
    later = Process(tmp_path)
    later.source.bars(THURSDAY, LAST)
    assert later.source.fetch_notes() == [
        "yahoo: bars of 1 session(s), 2014-06-12 to 2014-06-12, as fetched at 2014-06-12 20:16:00 UTC (cache)",
        "yahoo: bars of 2014-06-13 to 2014-06-13 asked of the vendor now",
    ]


def test_a_session_that_is_not_final_is_never_kept(tmp_path: Path) -> None:
    noon = datetime(2014, 6, 13, 16, tzinfo=UTC)
    for now in (noon, CALENDAR.close_utc(LAST) + timedelta(minutes=14)):
        early = Process(tmp_path, now=now)  # a vendor that states the running session anyway
        early.source.bars(THURSDAY, LAST)
    after = Process(tmp_path)
    after.source.bars(LAST, LAST)
    assert after.vendor.asked == 1

    stale = Process(tmp_path / "other", last=THURSDAY)
    stale.vendor.closes |= {(LAST, symbol): 1.0 for symbol in SYMBOLS}
    assert (LAST, "AAA") in closes(stale.source.bars(THURSDAY, LAST))
    assert (LAST, "AAA") not in closes(stale.source._answers.bars([THURSDAY, LAST]))


@pytest.mark.parametrize("fault", ["missing", "impossible", "repeated"])
def test_a_recent_session_that_is_not_whole_is_asked_for_again_until_it_has_settled(tmp_path: Path, fault: str) -> None:
    class Faulty(ScriptedVendor):
        def bars(self, first: date, last: date) -> pd.DataFrame:
            bars = super().bars(first, last)
            hit = (bars["symbol"] == "BBB") & (bars["session"] == pd.Timestamp(THURSDAY))
            if fault == "missing":
                return bars[~hit]
            if fault == "impossible":
                return bars.assign(low_raw_usd=bars["low_raw_usd"].mask(hit, -1.0))
            return pd.concat([bars, bars[hit]], ignore_index=True)

    def ask_on(last: date) -> int:
        process = Process(tmp_path, steady(SYMBOLS, FIRST, date(2014, 6, 30)), last=last)
        process.source._source = vendor = Faulty("yahoo", process.vendor.closes)
        process.source.bars(THURSDAY, THURSDAY)
        return vendor.asked

    # Thursday the 12th; five sessions later is Thursday the 19th
    days = [date(2014, 6, 12), date(2014, 6, 18), date(2014, 6, 19), date(2014, 6, 20)]
    assert [ask_on(day) for day in days] == [1, 1, 1, 0]


def test_a_vendor_that_is_late_is_asked_again(tmp_path: Path) -> None:
    late = Process(tmp_path, steady(SYMBOLS, FIRST, THURSDAY))
    assert late.source.session_range() == (FIRST, THURSDAY)
    with pytest.raises(SourceUnavailable):
        late.source.bars(LAST, LAST)
    on_time = Process(tmp_path)
    assert on_time.source.session_range() == (FIRST, LAST)
    assert on_time.vendor.asked == 1


def test_a_failing_vendor_is_an_error_and_kept_sessions_stand(tmp_path: Path) -> None:
    Process(tmp_path, last=THURSDAY).source.bars(FIRST, THURSDAY)
    down = Process(tmp_path)
    down.vendor.failure = SourceUnavailable("HTTP 503")
    with pytest.raises(SourceUnavailable, match="HTTP 503"):
        down.source.bars(THURSDAY, LAST)
    assert closes(down.source.bars(THURSDAY, THURSDAY)) == {(THURSDAY, symbol): 100.0 for symbol in SYMBOLS}


def test_a_restated_close_is_named_and_the_first_stays_in_use(tmp_path: Path) -> None:
    Process(tmp_path, last=THURSDAY).source.bars(WEDNESDAY, THURSDAY)
    forget_sessions(Process(tmp_path).store, source=None, first=WEDNESDAY, last=WEDNESDAY)
    # Wednesday and Friday are missing, so the vendor is asked for both and states Thursday on the way
    restated = Process(tmp_path, {**WHOLE, (THURSDAY, "AAA"): 50.0})
    assert closes(restated.source.bars(WEDNESDAY, LAST))[THURSDAY, "AAA"] == 100.0
    assert restated.source.fetch_notes()[-1] == (
        "AAA 2014-06-12: yahoo stated the close 100 on 2014-06-12 and states 50 now; the first is in use: "
        "`aegis cache forget` takes the other"
    )


def test_a_correction_is_taken_by_forgetting_or_refreshing(tmp_path: Path) -> None:
    corrected = {**WHOLE, (THURSDAY, "AAA"): 50.0}
    Process(tmp_path).source.bars(FIRST, LAST)
    assert forget_sessions(Process(tmp_path).store, source="alpaca", first=THURSDAY, last=THURSDAY) == 0
    assert closes(Process(tmp_path, corrected).source.bars(FIRST, LAST))[THURSDAY, "AAA"] == 100.0

    assert forget_sessions(Process(tmp_path).store, source="yahoo", first=THURSDAY, last=THURSDAY) == 1
    after = Process(tmp_path, corrected)
    assert closes(after.source.bars(WEDNESDAY, THURSDAY))[THURSDAY, "AAA"] == 50.0
    assert after.vendor.asked == 1

    twice = {**WHOLE, (THURSDAY, "AAA"): 25.0}
    refreshed = Process(tmp_path, twice, kind=RefreshedSource)
    assert closes(refreshed.source.bars(FIRST, LAST))[THURSDAY, "AAA"] == 25.0
    kept = Process(tmp_path)
    assert closes(kept.source.bars(FIRST, LAST))[THURSDAY, "AAA"] == 25.0
    assert kept.vendor.asked == 0


def test_other_symbols_or_another_client_are_another_request(tmp_path: Path) -> None:
    Process(tmp_path).source.bars(LAST, LAST)
    for changed in ({"parameters": {"symbols": ("AAA",)}}, {"client": "yfinance 2"}, {"source": "alpaca"}):
        process = Process(tmp_path)
        same = {"source": "yahoo", "parameters": {"symbols": SYMBOLS}}
        process.source._answers = CachedAnswers(process.store, identity_of(**{**same, **changed}))
        process.source.bars(LAST, LAST)
        assert process.vendor.asked == 1


@pytest.mark.parametrize("place", ["objects", "entries"])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "emptied"])
def test_damage_is_found_set_aside_and_fetched_again(tmp_path: Path, place: str, damage: str) -> None:
    Process(tmp_path).source.bars(FIRST, LAST)
    for file in (tmp_path / place).iterdir():
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        spoilt = {"flipped": bytes(content), "truncated": bytes(content[:-9]), "emptied": b""}[damage]
        file.write_bytes(spoilt)

    after = Process(tmp_path)
    assert closes(after.source.bars(FIRST, LAST)) == WHOLE
    assert after.vendor.asked == 1
    assert any("damaged on disk" in note for note in after.source.fetch_notes())
    assert list((tmp_path / "damaged").iterdir())
    healed = Process(tmp_path)
    assert closes(healed.source.bars(FIRST, LAST)) == WHOLE
    assert (healed.vendor.asked, healed.store.verify()) == (0, [])


def test_answers_beyond_the_bound_are_dropped_least_recently_used_first(tmp_path: Path) -> None:
    clock = SimulatedClock(EVENING)
    store = ContentStore(tmp_path, max_bytes=300, clock=clock)

    def keep(name: str) -> None:
        clock.advance_to(clock.now_utc() + timedelta(minutes=1))
        store.replace({"kind": name}, lambda _: name.encode() * 100)

    for name in ("a", "b", "c"):
        keep(name)
    clock.advance_to(clock.now_utc() + timedelta(minutes=1))
    assert store.read({"kind": "a"}) is not None
    keep("d")
    assert [entry.request["kind"] for entry in store.entries()] == ["a", "c", "d"]
    assert len(list((tmp_path / "objects").iterdir())) == 3


def test_an_answer_larger_than_the_bound_is_given_and_not_kept(tmp_path: Path) -> None:
    small = Process(tmp_path, max_bytes=100)
    assert closes(small.source.bars(FIRST, LAST)) == WHOLE
    assert [entry for entry in small.store.entries() if entry.request["kind"] == "bars"] == []


def test_a_folder_that_cannot_be_written_costs_the_copy_and_not_the_answer(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    process = Process(tmp_path / "cache")
    assert closes(process.source.bars(FIRST, LAST)) == WHOLE
    assert any("could not be kept" in note for note in process.source.fetch_notes())


THE_FIFTH, EVE_OF_SPLIT, SPLIT_DAY = date(2014, 6, 5), date(2014, 6, 6), date(2014, 6, 9)
FIELDS = ["Open", "High", "Low", "Close", "Adj Close", "Volume", "Dividends", "Stock Splits"]


class AppleOnYahoo:
    """Yahoo's history on one day: Apple's closes adjusted for the split of 7 from the day on which it happened."""

    def __init__(self, today: date) -> None:
        traded = {THE_FIFTH: 647.35, EVE_OF_SPLIT: 645.57, SPLIT_DAY: 93.70}
        self.asked = 0
        rows = []
        for day in (day for day in traded if day <= today):
            adjusted = traded[day] / (7 if day < SPLIT_DAY <= today else 1)
            split = 7.0 if day == SPLIT_DAY else 0.0
            rows.append([*[adjusted] * 5, 1e6, 0.0, split, *[190.0] * 5, 1e6, 0.0, 0.0])
        columns = pd.MultiIndex.from_product([["AAPL", "SPY"], FIELDS])
        self._frame = pd.DataFrame(rows, index=pd.DatetimeIndex(list(traded)[: len(rows)]), columns=columns)

    def __call__(self, symbols: Sequence[str], *, start: date, timeout: float) -> Downloaded:
        assert (set(symbols), start < THE_FIFTH, timeout > 0) == ({"AAPL", "SPY"}, True, True)
        self.asked += 1
        return Downloaded(self._frame)


def yahoo_on(folder: Path, today: date, kind: type[CachedSource] = CachedSource) -> tuple[CachedSource, AppleOnYahoo]:
    clock = FixedClock(CALENDAR.close_utc(today) + timedelta(minutes=16))
    download = AppleOnYahoo(today)
    yahoo = YahooSource(
        YahooSettings(symbols=("AAPL",), attempts=1), CALENDAR, benchmark_symbol="SPY", last_session=today,
        vendor_delay=timedelta(minutes=15), download=download,
    )  # fmt: skip
    answers = CachedAnswers(ContentStore(folder, max_bytes=PLENTY, clock=clock), identity_of(source="yahoo"))
    return kind(yahoo, answers, calendar=CALENDAR, last_session=today, clock=clock), download


def apple(source: CachedSource, first: date, last: date) -> list[float]:
    bars = source.bars(first, last)
    return [float(close) for close in bars.loc[bars["symbol"] == "AAPL", "close_raw_usd"]]


@pytest.mark.parametrize("kind", [CachedSource, RefreshedSource])
def test_a_history_that_is_adjusted_until_today_is_kept_as_traded(tmp_path: Path, kind: type[CachedSource]) -> None:
    before, _ = yahoo_on(tmp_path, EVE_OF_SPLIT)
    assert apple(before, THE_FIFTH, EVE_OF_SPLIT) == [647.35, 645.57]

    after, download = yahoo_on(tmp_path, SPLIT_DAY, kind)
    assert apple(after, THE_FIFTH, EVE_OF_SPLIT) == [647.35, 645.57]
    assert download.asked == (0 if kind is CachedSource else 1)
    assert apple(after, EVE_OF_SPLIT, SPLIT_DAY) == [645.57, 93.70]
    assert download.asked == 1
    assert after.corporate_actions(THE_FIFTH, SPLIT_DAY)["split_ratio"].tolist() == [7.0]
    assert not any("stated the close" in note for note in after.fetch_notes())


def writer(folder: Path, *sessions: date) -> subprocess.Popen[bytes]:
    program = [sys.executable, str(KILLED_WRITER), str(folder), *(day.isoformat() for day in sessions)]
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(program, env={**os.environ, "PYTHONPATH": root}, stdout=subprocess.PIPE)


def test_two_processes_that_keep_sessions_of_one_year_lose_none(tmp_path: Path) -> None:
    days = CALENDAR.sessions(date(2014, 1, 2), date(2014, 2, 28))
    both = [writer(tmp_path, *days[0::2]), writer(tmp_path, *days[1::2])]
    for process in both:
        process.communicate(timeout=120)
    assert [process.returncode for process in both] == [0, 0]
    process = Process(tmp_path)
    assert closes(process.source.bars(days[0], days[-1])).keys() == {(day, s) for day in days for s in SYMBOLS}
    assert process.vendor.asked == 0
    assert process.store.verify() == []


def killed_writers(folder: Path, count: int, seed: int) -> int:
    """Kill writers at random moments while they write and return how many sessions were kept in the end."""
    draws = np.random.default_rng(seed)
    days = CALENDAR.sessions(date(2014, 1, 2), date(2014, 5, 30))
    for _ in range(count):
        process = writer(folder, *days)
        assert process.stdout is not None
        for _ in range(draws.integers(1, 7)):
            process.stdout.readline()  # one line for each answer kept
        for _ in range(draws.integers(400_000)):
            pass  # somewhere in the next one
        process.kill()
        process.wait()
        process.stdout.close()
        store = Process(folder).store
        assert store.verify() == []
        assert not (folder / "damaged").exists()
    kept = CachedAnswers(store, identity_of(source="yahoo", parameters={"symbols": SYMBOLS})).bars(days)
    assert (kept.groupby("session").size() == len(SYMBOLS)).all()
    RAW_BARS.conform(kept[RAW_BARS.column_names])
    return int(kept["session"].nunique())


def test_a_writer_that_is_killed_leaves_nothing_half_written(tmp_path: Path) -> None:
    assert killed_writers(tmp_path, 2, seed=20261122) > 0
    again = Process(tmp_path)
    assert closes(again.source.bars(FIRST, LAST)) == WHOLE
    assert list((tmp_path / "entries").glob(".*")) == []


@pytest.mark.long
def test_a_hundred_killed_writers_leave_nothing_half_written(tmp_path: Path) -> None:
    assert killed_writers(tmp_path, 100, seed=4) > 0
