from datetime import date

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.market_data.sources.coverage import MAX_GAP_SESSIONS, Coverage, notes_by_relevance, trace_coverage

XNYS = trading_calendar("XNYS")
DAYS = XNYS.sessions(date(2014, 1, 2), date(2014, 3, 31))


def trace(
    bars: dict[str, list[tuple[date, str]]], *, ends: dict[str, list[date]] | None = None, last: date = DAYS[40]
) -> Coverage:
    rows = [(day, symbol, ticker) for symbol, days in bars.items() for day, ticker in days if day <= last]
    frame = pd.DataFrame(rows, columns=["session", "symbol", "ticker"])
    return trace_coverage(
        frame.assign(session=pd.to_datetime(frame["session"])), ends or {}, calendar=XNYS, last_session=last
    )


def under(ticker: str, days: list[date]) -> list[tuple[date, str]]:
    return [(day, ticker) for day in days]


def intervals(coverage: Coverage) -> list[tuple[str, str, date, date | None]]:
    return [
        (row["symbol"], row["ticker"], row["first_session"].date(),
         None if pd.isna(row["last_session"]) else row["last_session"].date())
        for row in coverage.listings.to_dict("records")
    ]  # fmt: skip


def events(coverage: Coverage) -> list[tuple[date, str, str | None]]:
    return [(row["session"].date(), row["action"], row["new_ticker"]) for row in coverage.actions.to_dict("records")]


def test_an_instrument_with_bars_until_the_end_is_open() -> None:
    found = trace({"AAA": under("AAA", DAYS[:41])})
    assert intervals(found) == [("AAA", "AAA", DAYS[0], None)]
    assert events(found) == []
    assert found.notes == ()


def test_a_rename_ends_one_interval_and_opens_the_next() -> None:
    found = trace({"AAA": under("OLD", DAYS[:10]) + under("AAA", DAYS[10:41])})
    assert intervals(found) == [("AAA", "OLD", DAYS[0], DAYS[9]), ("AAA", "AAA", DAYS[10], None)]
    assert events(found) == [(DAYS[10], "rename", "AAA")]


def test_an_announced_end_delists_in_the_next_session() -> None:
    found = trace({"AAA": under("AAA", DAYS[:20])}, ends={"AAA": [DAYS[19]]})
    assert intervals(found) == [("AAA", "AAA", DAYS[0], DAYS[19])]
    assert events(found) == [(DAYS[20], "delisting", None)]


def test_an_announced_end_holds_when_the_last_bars_before_it_are_missing() -> None:
    found = trace({"AAA": under("AAA", DAYS[:18])}, ends={"AAA": [DAYS[19]]})
    assert intervals(found) == [("AAA", "AAA", DAYS[0], DAYS[19])]
    assert events(found) == [(DAYS[20], "delisting", None)]


def test_bars_that_stop_silently_leave_the_listing_open_for_five_sessions() -> None:
    found = trace({"AAA": under("AAA", DAYS[:20])})
    assert intervals(found) == [("AAA", "AAA", DAYS[0], DAYS[24])]
    assert events(found) == [(DAYS[25], "delisting", None)]
    assert found.notes == (
        f"AAA: last bar {DAYS[19]}; listing ends {DAYS[24]}, 5 sessions after bars stopped without notice",
    )


def test_a_short_gap_stays_inside_the_listing_and_is_noted() -> None:
    days = DAYS[:10] + DAYS[10 + MAX_GAP_SESSIONS : 41]
    found = trace({"AAA": under("AAA", days)})
    assert intervals(found) == [("AAA", "AAA", DAYS[0], None)]
    assert found.notes == (f"AAA: 5 session(s) without a bar inside its listing, first {DAYS[10]}",)


def test_a_long_gap_is_a_coverage_gap_with_a_new_listing_after_it() -> None:
    days = DAYS[:10] + DAYS[11 + MAX_GAP_SESSIONS : 41]
    found = trace({"AAA": under("AAA", days)})
    assert intervals(found) == [("AAA", "AAA", DAYS[0], DAYS[14]), ("AAA", "AAA", DAYS[16], None)]
    assert events(found) == [(DAYS[15], "delisting", None)]
    assert found.notes[-1] == f"AAA: no bars for 6 sessions until {DAYS[16]}: a coverage gap"


def test_an_end_that_bars_follow_directly_is_a_delisting_and_a_new_listing() -> None:
    found = trace({"AAA": under("AAA", DAYS[:41])}, ends={"AAA": [DAYS[19]]})
    assert intervals(found) == [("AAA", "AAA", DAYS[0], DAYS[19]), ("AAA", "AAA", DAYS[20], None)]
    assert events(found) == [(DAYS[20], "delisting", None)]


MARKET = {
    "GAP": under("GAP", DAYS[:10] + DAYS[13:41]),
    "LONG": under("LONG", DAYS[:10] + DAYS[20:41]),
    "STOP": under("STOP", DAYS[:20]),
    "END": under("END", DAYS[:20]),
    "NAME": under("OLD", DAYS[:15]) + under("NAME", DAYS[17:41]),
    "ALL": under("ALL", DAYS[:41]),
}


@pytest.mark.parametrize("position", range(5, 41))
def test_what_is_listed_and_announced_up_to_t_does_not_depend_on_bars_after_t(position: int) -> None:
    t = DAYS[position]
    ends = {"END": [DAYS[19]]}
    whole, known_at_t = trace(MARKET, ends=ends), trace(MARKET, ends=ends, last=t)

    def listed(coverage: Coverage) -> set[tuple[str, str, date]]:
        return {
            (symbol, ticker, day)
            for symbol, ticker, first, last in intervals(coverage)
            for day in DAYS[: position + 1]
            if first <= day and (last is None or day <= last)
        }

    assert listed(known_at_t) == listed(whole)
    assert events(known_at_t) == [event for event in events(whole) if event[0] <= t]


def test_remarks_about_the_decided_years_come_first() -> None:
    before = "AAA: 3 bars missing, 2001-02-01 to 2001-03-01"
    around = "BBB: 2 split(s) left out, 1999-01-04 to 2020-01-06"
    within = "CCC: bars end on 2015-06-15"
    undated = "no actions and no factors file"
    after = "DDD: bars begin on 2021-01-04"
    assert notes_by_relevance([before, around, after, within, undated], date(2014, 1, 2), date(2016, 1, 4)) == [
        around,
        within,
        undated,
        before,
        after,
    ]
