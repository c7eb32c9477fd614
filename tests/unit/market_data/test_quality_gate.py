"""Outcomes, splitting of rows and wording, on three symbols and six sessions; prices are written out by hand."""

from datetime import date

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_quality import QualitySettings
from aegis.errors import CalendarError, QualityGateBlocked, SchemaMismatch
from aegis.lake.tables import CHECK_RESULTS, CORPORATE_ACTIONS, DAILY_BARS, LISTINGS, RAW_BARS
from aegis.market_data.check_definition import CheckDefinition, Expectation
from aegis.market_data.expectations import CHECKS
from aegis.market_data.quality_gate import run_quality_gate
from aegis.market_data.validation import offending_rows

CALENDAR = trading_calendar("XNYS")
FIRST, SPLIT, LAST = date(2014, 6, 5), date(2014, 6, 9), date(2014, 6, 10)
SESSIONS = [date(2014, 6, 4), FIRST, date(2014, 6, 6), SPLIT, LAST]
CLOSES = {
    "AAPL": [644.82, 647.35, 645.57, 93.70, 94.25],
    "KO": [40.77, 40.93, 40.90, 40.83, 40.82],
    "SPY": [193.19, 194.45, 195.38, 195.58, 195.60],
}
JUMP = "jumps_hide_no_split_or_unit_slip"


def make_bars():
    rows = [
        {
            "session": session, "symbol": symbol, "ticker": symbol, "open_raw_usd": close, "high_raw_usd": close + 0.5,
            "low_raw_usd": close - 0.5, "close_raw_usd": close, "volume_shares": 1000.0, "source": "test",
            "known_at_utc": CALENDAR.close_utc(session),
        }
        for symbol, closes in CLOSES.items()
        for session, close in zip(SESSIONS, closes, strict=True)
    ]  # fmt: skip
    return RAW_BARS.conform(pd.DataFrame(rows))


def make_listings():
    rows = [
        {
            "symbol": symbol, "ticker": symbol, "first_session": SESSIONS[0], "last_session": None, "name": symbol,
            "sector": "Benchmark" if symbol == "SPY" else "Test", "tradable": symbol != "SPY", "source": "test",
        }
        for symbol in CLOSES
    ]  # fmt: skip
    return LISTINGS.conform(pd.DataFrame(rows))


def apple_split():
    row = {
        "session": SPLIT, "symbol": "AAPL", "action": "split", "split_ratio": 7.0, "dividend_usd": 0.0,
        "pay_session": None, "new_ticker": None, "source": "test", "known_at_utc": CALENDAR.open_utc(SPLIT),
    }  # fmt: skip
    return CORPORATE_ACTIONS.conform(pd.DataFrame([row]))


def gate(bars=None, **changed):
    arguments = {
        "listings": make_listings(), "actions": apple_split(), "calendar": CALENDAR, "settings": QualitySettings(),
        "snapshot_id": 17, "first": FIRST, "last": LAST,
    }  # fmt: skip
    return run_quality_gate(make_bars() if bars is None else bars, **{**arguments, **changed})


def result_of(found, check, session):
    rows = found.check_results
    row = rows[(rows["check"] == check) & (rows["session"] == pd.Timestamp(session))]
    assert len(row) == 1
    return row.iloc[0]


@pytest.fixture(scope="module")
def clean():
    return gate()


@pytest.fixture(scope="module")
def unrecorded_split():
    return gate(actions=CORPORATE_ACTIONS.empty())


def test_every_check_has_a_row_in_every_session_when_all_is_well(clean):
    expected = {(check.name, pd.Timestamp(session)) for check in CHECKS for session in SESSIONS[1:]}
    rows = clean.check_results
    assert set(zip(rows["check"], rows["session"], strict=True)) == expected
    assert len(rows) == len(CHECKS) * 4
    assert set(rows["outcome"]) == {"pass"}
    assert rows["detail"].isna().all()
    assert (rows["observed"] == 0).all()
    assert set(rows["snapshot_id"]) == {17}
    assert set(rows["table"]) == {"market_data/raw_bars", "market_data/corporate_actions"}
    assert all(summary.passed and summary.first_detail is None for summary in clean.summary)


def test_clean_bars_pass_unchanged_and_the_look_back_is_not_among_them(clean):
    expected = make_bars()
    expected = expected[expected["session"] >= pd.Timestamp(FIRST)].reset_index(drop=True)
    pd.testing.assert_frame_equal(clean.daily_bars, expected, check_exact=True)
    assert clean.blocked_sessions == {}


def test_results_hold_for_the_content_hash_of_the_raw_rows(clean):
    hashes = RAW_BARS.content_hashes(make_bars())
    for session in SESSIONS[1:]:
        assert result_of(clean, "prices_are_positive", session)["content_hash"] == hashes[session]


def test_results_about_actions_hold_for_the_content_hash_of_the_actions(clean):
    of_the_split = CORPORATE_ACTIONS.content_hashes(apple_split())[SPLIT]
    for session in SESSIONS[1:]:
        row = result_of(clean, "recorded_actions_are_possible", session)
        assert row["table"] == CORPORATE_ACTIONS.key
        assert row["content_hash"] == (of_the_split if session == SPLIT else CORPORATE_ACTIONS.hash_of_no_rows)


def coke_dividend(cash, session=LAST):
    row = {
        "session": session, "symbol": "KO", "action": "dividend", "split_ratio": 1.0, "dividend_usd": cash,
        "pay_session": None, "new_ticker": None, "source": "test", "known_at_utc": CALENDAR.open_utc(session),
    }  # fmt: skip
    return CORPORATE_ACTIONS.conform(pd.DataFrame([*apple_split().to_dict("records"), row]))


@pytest.mark.parametrize(
    ("cash", "possible", "small"),
    [(0.31, "pass", "pass"), (10.20, "pass", "pass"), (10.21, "pass", "warn"), (40.83, "block", "warn")],
)
def test_a_dividend_is_compared_with_the_close_before_its_ex_session(cash, possible, small):
    """KO closed at 40.83 on 2014-06-09: a quarter is 10.2075."""
    found = gate(actions=coke_dividend(cash))
    assert result_of(found, "recorded_actions_are_possible", LAST)["outcome"] == possible
    assert result_of(found, "dividends_are_a_small_share_of_the_close", LAST)["outcome"] == small


def test_an_impossible_dividend_is_named_with_its_remedy():
    found = gate(actions=coke_dividend(5000.0))
    assert "recorded_actions_are_possible" in found.blocked_sessions[LAST]
    assert result_of(found, "recorded_actions_are_possible", LAST)["detail"] == (
        "KO 2014-06-10: a dividend of 5000 USD is not below the previous close 40.83; correct the dividend, or record "
        "a delisting if the company was paid out"
    )
    alone = gate(actions=coke_dividend(5000.0), first=LAST)
    assert alone.blocked_sessions == {LAST: found.blocked_sessions[LAST]}


def test_a_dividend_before_the_first_bar_has_nothing_to_be_compared_with():
    found = gate(make_bars()[lambda bars: bars["session"] >= pd.Timestamp(FIRST)], actions=coke_dividend(50.0, FIRST))
    assert result_of(found, "recorded_actions_are_possible", FIRST)["outcome"] == "pass"


TIMELY = "actions_are_known_when_they_are_booked"


@pytest.mark.parametrize(
    ("ex_session", "known_at", "warned"),
    [
        (FIRST, "2014-06-05T13:30", None),  # at the opening
        (FIRST, "2014-06-05T20:00", None),  # with the bars of its session
        (FIRST, "2014-06-05T20:01", date(2014, 6, 6)),
        (FIRST, "2014-06-07T12:00", SPLIT),  # a Saturday: Monday's decision is the first to know
        (SESSIONS[0], "2014-06-10T20:00", LAST),  # ex before the judged range
        (FIRST, "2014-06-10T20:01", None),  # not known yet
    ],
)
def test_an_action_that_became_known_after_it_was_due_warns_in_the_session_that_learns_of_it(
    ex_session, known_at, warned
):
    late = coke_dividend(0.31, ex_session)
    late.loc[late["symbol"] == "KO", "known_at_utc"] = pd.Timestamp(known_at, tz="UTC")
    found = gate(actions=late)
    rows = found.check_results[found.check_results["check"] == TIMELY]
    assert rows.loc[rows["outcome"] == "warn", "session"].dt.date.tolist() == ([] if warned is None else [warned])
    assert found.blocked_sessions == {}
    if warned is not None:
        assert result_of(found, TIMELY, warned)["detail"] == (
            f"KO {warned}: a dividend of {ex_session} became known at {known_at.replace('T', ' ')} UTC, after that "
            "session was decided: no book of it has the shares or the cash; decide again from there on "
            f"(make run FROM={ex_session}), and book what a traded account missed"
        )
        alone = gate(actions=late, first=warned, last=warned)
        assert result_of(alone, TIMELY, warned)["detail"] == result_of(found, TIMELY, warned)["detail"]


def test_a_corrected_bar_does_not_make_a_late_action_timely():
    bars, late = make_bars(), coke_dividend(0.31, FIRST)
    bars.loc[(bars["session"] == pd.Timestamp(FIRST)), "known_at_utc"] = pd.Timestamp("2014-07-01T12:00", tz="UTC")
    late.loc[late["symbol"] == "KO", "known_at_utc"] = pd.Timestamp("2014-06-09T12:00", tz="UTC")
    assert result_of(gate(bars, actions=late), TIMELY, SPLIT)["outcome"] == "warn"


def test_a_recorded_split_that_the_prices_do_not_show_blocks_even_where_nobody_holds_the_symbol():
    split = apple_split().assign(symbol="KO")
    found = gate(
        actions=CORPORATE_ACTIONS.conform(pd.concat([apple_split(), split])),
        protected=dict.fromkeys(SESSIONS, frozenset()),
        settings=QualitySettings(max_quarantined_share=1.0),
    )
    assert found.blocked_sessions == {SPLIT: ["prices_show_the_recorded_actions"]}
    assert result_of(found, "prices_show_the_recorded_actions", SPLIT)["detail"].startswith(
        "KO 2014-06-09: open 40.83 and close 40.83 after a close of 40.9: the prices do not show that a split of 7 new "
        "shares for one is recorded; correct the recorded action, or the prices"
    )


def test_a_price_a_thousand_times_too_high_blocks_its_session_only():
    bars = make_bars()
    slipped = (bars["symbol"] == "KO") & (bars["session"] == pd.Timestamp(SESSIONS[2]))
    bars.loc[slipped, ["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"]] *= 1000.0
    found = gate(bars)
    assert found.blocked_sessions == {SESSIONS[2]: [JUMP]}
    assert "a unit slip, 1000 x too high; correct the price" in result_of(found, JUMP, SESSIONS[2])["detail"]


@pytest.mark.parametrize("price", [1e308, 1e-300])
def test_a_price_at_the_end_of_what_a_float_holds_blocks_its_session_and_is_no_crash(price):
    bars = make_bars()
    slipped = (bars["symbol"] == "KO") & (bars["session"] == pd.Timestamp(SESSIONS[2]))
    bars.loc[slipped, ["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"]] = price
    found = gate(bars)
    assert found.blocked_sessions[SESSIONS[2]] == [JUMP]
    assert "an error in the prices, larger than any move" in result_of(found, JUMP, SESSIONS[2])["detail"]


def test_three_bars_are_enough_to_be_judged():
    """Fewer rows than the look-back of identical closes."""
    assert len(gate(make_bars()[lambda bars: bars["session"] == pd.Timestamp(LAST)], first=LAST).daily_bars) == 3


def test_tables_fit_their_schemas(clean, unrecorded_split):
    for found in (clean, unrecorded_split):
        pd.testing.assert_frame_equal(found.check_results, CHECK_RESULTS.conform(found.check_results))
        pd.testing.assert_frame_equal(found.daily_bars, DAILY_BARS.conform(found.daily_bars))


def test_an_unrecorded_split_is_named_with_its_remedy(unrecorded_split):
    row = result_of(unrecorded_split, JUMP, SPLIT)
    assert row["detail"] == (
        "AAPL 2014-06-09: close 93.70 is 0.145 x the previous close 645.57 and no split is recorded: it looks like a "
        "7:1 split missing from the actions or doubled in the prices; add the split or quarantine the row; if you "
        "looked it up and it is true: aegis data confirm AAPL 2014-06-09 --close 93.7"
    )
    assert row["observed"] == 1


def test_a_quarantine_blocks_while_nobody_knows_what_is_held(unrecorded_split):
    assert result_of(unrecorded_split, JUMP, SPLIT)["outcome"] == "block"
    assert unrecorded_split.blocked_sessions == {SPLIT: [JUMP]}
    assert pd.Timestamp(SPLIT) not in set(unrecorded_split.daily_bars["session"])
    assert len(unrecorded_split.daily_bars) == 9


def quarantine(protected, share=0.34):
    settings = QualitySettings(max_quarantined_share=share)
    return gate(actions=CORPORATE_ACTIONS.empty(), settings=settings, protected=protected)


def test_a_row_that_nobody_holds_is_quarantined_alone():
    found = quarantine({SPLIT: frozenset({"KO"})})
    assert result_of(found, JUMP, SPLIT)["outcome"] == "quarantine"
    assert found.blocked_sessions == {}
    of_the_split = found.daily_bars[found.daily_bars["session"] == pd.Timestamp(SPLIT)]
    assert sorted(of_the_split["symbol"]) == ["KO", "SPY"]
    assert len(found.daily_bars) == 11


@pytest.mark.parametrize(
    ("protected", "share"),
    [
        ({SPLIT: frozenset({"AAPL", "KO"})}, 0.34),  # held
        ({FIRST: frozenset()}, 0.34),  # nothing is known of the session itself
        ({SPLIT: frozenset()}, 0.33),  # one row of three is more than 0.33
    ],
    ids=["held", "unknown", "too many"],
)
def test_a_quarantine_becomes_a_block_where_its_conditions_fail(protected, share):
    found = quarantine(protected, share)
    assert found.blocked_sessions == {SPLIT: [JUMP]}
    assert pd.Timestamp(SPLIT) not in set(found.daily_bars["session"])


def test_a_blocking_fault_is_never_quarantined():
    bars = make_bars()
    bars.loc[bars["symbol"] == "KO", "low_raw_usd"] = -1.0
    found = gate(
        bars, settings=QualitySettings(max_quarantined_share=1.0), protected=dict.fromkeys(SESSIONS, frozenset())
    )
    assert list(found.blocked_sessions) == SESSIONS[1:]
    assert found.daily_bars.empty


def test_a_true_jump_warns_and_its_row_passes():
    bars = make_bars()
    bars.loc[(bars["symbol"] == "KO") & (bars["session"] == pd.Timestamp(LAST)), ["open_raw_usd", "close_raw_usd"]] = (
        25.0
    )
    bars.loc[(bars["symbol"] == "KO") & (bars["session"] == pd.Timestamp(LAST)), "low_raw_usd"] = 24.0
    found = gate(bars)
    row = result_of(found, "jumps_are_explained_by_actions", LAST)
    assert row["outcome"] == "warn"
    assert not row["is_blocking"]
    assert len(found.daily_bars) == 12
    summary = {each.check: each for each in found.summary}["jumps_are_explained_by_actions"]
    assert (summary.passed, summary.severity, summary.observed, summary.failed_sessions) == (False, "WARN", 1.0, 1)


def test_details_name_the_first_three_offenders_and_count_the_others():
    bars = make_bars()
    extra = bars[(bars["symbol"] == "KO") & (bars["session"] == pd.Timestamp(FIRST))]
    bars = pd.concat([bars, *(extra.assign(symbol=f"K{n}") for n in range(3))])
    bars.loc[bars["session"] == pd.Timestamp(FIRST), "volume_shares"] = -5.0
    detail = result_of(gate(bars), "volume_is_not_negative", FIRST)["detail"]
    parts = detail.split(" | ")
    assert [part.split(":")[0] for part in parts[:3]] == [f"{name} 2014-06-05" for name in ("AAPL", "K0", "K1")]
    assert parts[3] == "and 3 more row(s)"
    assert "volume is -5 shares" in parts[0]


def test_a_whole_missing_session_is_said_once_and_has_a_stated_hash():
    bars = make_bars()
    found = gate(bars[bars["session"] != pd.Timestamp(SPLIT)])
    row = result_of(found, "bars_cover_every_listed_symbol", SPLIT)
    assert row["detail"].startswith("2014-06-09: the whole session is missing, no symbol has a bar; ")
    assert row["observed"] == 3
    assert row["content_hash"] == RAW_BARS.hash_of_no_rows


def test_no_bars_at_all_blocks_every_session():
    found = gate(RAW_BARS.empty())
    assert list(found.blocked_sessions) == SESSIONS[1:]
    assert len(found.check_results) == len(CHECKS) * 4


def test_a_session_in_which_nothing_is_listed_is_blocked():
    found = gate(listings=LISTINGS.empty())
    assert list(found.blocked_sessions) == SESSIONS[1:]
    detail = result_of(found, "bars_cover_every_listed_symbol", FIRST)["detail"]
    assert detail.startswith("2014-06-05: no instrument is listed in this session")


def test_a_weekend_row_counts_against_the_next_session_however_it_is_asked():
    bars = make_bars()
    saturday = bars[(bars["symbol"] == "KO") & (bars["session"] == pd.Timestamp(FIRST))].assign(
        session=pd.Timestamp("2014-06-07")
    )
    bars = pd.concat([bars, saturday])
    assert gate(bars).blocked_sessions == {SPLIT: ["no_row_outside_sessions"]}
    alone = gate(bars[bars["session"] <= pd.Timestamp(SPLIT)], first=SPLIT, last=SPLIT)
    assert alone.blocked_sessions == {SPLIT: ["no_row_outside_sessions"]}
    detail = result_of(alone, "no_row_outside_sessions", SPLIT)["detail"]
    assert detail.startswith(
        "KO 2014-06-07: the row is dated Saturday 2014-06-07, which is not a session of the calendar"
    )


def test_a_row_from_after_the_range_blocks_its_last_session():
    found = gate(last=SPLIT)
    assert found.blocked_sessions == {SPLIT: ["no_row_outside_sessions"]}
    assert "which is after the last session asked for" in result_of(found, "no_row_outside_sessions", SPLIT)["detail"]


def test_a_range_without_sessions_is_refused():
    with pytest.raises(CalendarError, match=r"2014-06-07..2014-06-08 holds no session of XNYS"):
        gate(first=date(2014, 6, 7), last=date(2014, 6, 8))


def test_a_frame_that_is_not_raw_bars_is_refused():
    with pytest.raises(SchemaMismatch, match="missing \\['close_raw_usd'\\]"):
        gate(make_bars().drop(columns="close_raw_usd"))
    with pytest.raises(SchemaMismatch, match="close_raw_usd"):
        gate(make_bars().astype({"close_raw_usd": object}).replace({"close_raw_usd": {93.70: "dear"}}))


def test_the_caller_keeps_its_frames():
    bars, listings, actions = make_bars(), make_listings(), apple_split()
    copies = bars.copy(), listings.copy(), actions.copy()
    gate(bars, listings=listings, actions=actions)
    for given, copy in zip((bars, listings, actions), copies, strict=True):
        pd.testing.assert_frame_equal(given, copy)


def test_an_expectation_that_cannot_be_evaluated_lets_nothing_through():
    between = Expectation("ExpectColumnValuesToBeBetween", {"column": "name", "max_value": 1.0})
    check = CheckDefinition("names_are_small", "", "block", "1", "bars", lambda _: (between,), "")
    with pytest.raises(QualityGateBlocked, match="check names_are_small could not be evaluated"):
        offending_rows(pd.DataFrame({"name": ["a", "b"]}), [check], settings=QualitySettings())
