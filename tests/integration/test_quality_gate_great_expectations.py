"""The gate with the real Great Expectations over a small market in which much happens, and faults planted in it."""

from __future__ import annotations

import socket
from datetime import date

import pandas as pd
import pytest

from aegis.config_quality import QualitySettings
from aegis.market_data.expectations import CHECKS
from aegis.market_data.quality_gate import GateResult, run_quality_gate
from aegis.market_data.row_checks import HISTORY_CHECKS, REPAIR_CHECKS, ROW_CHECKS
from tests.integration.tampered_market import (
    CALENDAR,
    COVER,
    FAULTS,
    FIRST,
    JUDGED,
    JUMP,
    LARGE,
    LAST,
    LAST_DAY_OF_GONE,
    LISTING_DAY,
    RENAME_DAY,
    STALE,
    TEXT,
    TIMELY,
    Tampered,
    crash,
    dividend_told_late,
    duplicate_row,
    frozen_quote,
    high_below_low,
    huge_volume,
    market_listings,
    missing_bar,
    missing_session,
    negative_price,
    special_dividend,
    split_of_a_billion,
    split_that_never_was,
    unrecorded_reverse_split,
    unrecorded_split,
)

SECOND_SOURCE = {"closes_agree_across_sources", "ranges_and_volumes_agree_across_sources"}
PLACES = {"first row": (JUDGED[0], "BENCH"), "middle": (date(2014, 7, 7), "HALT"), "last row": (JUDGED[-1], "SPLT")}


def judge(market: Tampered, first: date = FIRST, last: date = LAST, **changed: object) -> GateResult:
    """Run the gate as the asset does: rows up to the last session, 35 sessions of look-back."""
    start = CALENDAR.offset(first, -35)
    given = market.bars[market.bars["session"].between(pd.Timestamp(start), pd.Timestamp(last))]
    known = market.actions[market.actions["session"].between(pd.Timestamp(start), pd.Timestamp(last))]
    arguments = {
        "listings": market_listings(), "actions": known, "calendar": CALENDAR, "settings": QualitySettings(),
        "snapshot_id": 3, "first": first, "last": last, **changed,
    }  # fmt: skip
    return run_quality_gate(given, **arguments)


ACCOMPANYING = {
    "moves_are_within_robust_volatility",
    "volume_is_near_its_usual",
    "prices_move_only_with_volume",
}
"""Warnings that go with every large fault of a price or a volume; they are judged in test_corrupted_bars."""


def found_guilty(result: GateResult) -> dict[date, set[str]]:
    failed = result.check_results[result.check_results["outcome"] != "pass"]
    failed = failed[~failed["check"].isin(ACCOMPANYING)]
    return {day.date(): set(rows["check"]) for day, rows in failed.groupby("session")}


def blocking_only(guilty: dict[date, set[str]]) -> dict[date, set[str]]:
    warnings = {JUMP, STALE, LARGE, TIMELY}
    return {day: checks - warnings for day, checks in sorted(guilty.items()) if checks - warnings}


def test_split_halt_listing_delisting_rename_and_dividend_all_pass():
    market = Tampered()
    result = judge(market)
    assert found_guilty(result) == {}
    judged = market.bars[market.bars["session"] >= pd.Timestamp(FIRST)].reset_index(drop=True)
    pd.testing.assert_frame_equal(result.daily_bars, judged, check_exact=True)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_fails_its_own_checks_in_its_own_sessions_and_no_other(fault):
    market = Tampered()
    for session, symbol in PLACES.values():
        fault(market, session, symbol)
    assert len(market.guilty) == 3
    result = judge(market)
    assert found_guilty(result) == market.guilty
    blocked = {day: set(checks) for day, checks in result.blocked_sessions.items()}
    assert blocked == blocking_only(market.guilty)
    kept = {day.date() for day in result.daily_bars["session"].unique()}
    assert kept == set(JUDGED) - set(blocked)


def test_the_first_and_last_bar_of_each_listing_are_due():
    market = Tampered()
    missing_bar(market, LISTING_DAY, "LATE")
    missing_bar(market, LAST_DAY_OF_GONE, "GONE")
    missing_bar(market, date(2014, 6, 23), "RENA")  # the last under its old ticker
    missing_bar(market, RENAME_DAY, "RENA")
    result = judge(market)
    assert found_guilty(result) == market.guilty
    rows = result.check_results[result.check_results["detail"].notna()]
    assert [text.split(":")[0] for text in rows["detail"]] == [
        "LATE 2014-06-16", "GONE 2014-06-20", "RENA 2014-06-23", "RENA 2014-06-24",
    ]  # fmt: skip


def test_every_check_is_failed_by_some_fault():
    failed = set()
    for fault in FAULTS:
        market = Tampered()
        fault(market, *PLACES["middle"])
        failed |= set().union(*market.guilty.values())
    # without a second source its checks have nothing to judge; test_source_agreement fails both
    # those are failed in test_corrupted_bars, and a symbol in the test of hostile ones below
    elsewhere = {check.name for check in (*REPAIR_CHECKS, *ROW_CHECKS, *HISTORY_CHECKS)} | {TEXT}
    assert failed - {"tickers_are_clean_text"} == {check.name for check in CHECKS} - SECOND_SOURCE - elsewhere


PLACED_APART = (
    frozen_quote, unrecorded_split, unrecorded_reverse_split, crash, missing_session, special_dividend,
    split_of_a_billion, split_that_never_was, huge_volume, dividend_told_late,
)  # fmt: skip


def all_at_once() -> Tampered:
    market = Tampered()
    for number, fault in enumerate(FAULTS):
        if fault not in PLACED_APART:
            fault(market, JUDGED[1 + number], ("BENCH", "HALT", "RENA")[number % 3])
    split_that_never_was(market, date(2014, 6, 27), "LATE")
    crash(market, date(2014, 7, 8), "LATE")
    unrecorded_split(market, date(2014, 7, 9), "SPLT")
    missing_session(market, date(2014, 6, 4), "")
    negative_price(market, date(2014, 7, 9), "BENCH")
    duplicate_row(market, date(2014, 7, 9), "LATE")
    high_below_low(market, date(2014, 7, 9), "RENA")
    missing_bar(market, date(2014, 7, 9), "HALT")
    return market


def test_many_faults_at_once_are_all_found():
    market = all_at_once()
    market.guilty[date(2014, 6, 4)] = {COVER}  # whatever else was planted there went with the session
    assert found_guilty(judge(market)) == market.guilty


@pytest.mark.long
def test_results_are_equal_in_one_range_two_halves_and_one_session_at_a_time():
    market = all_at_once()
    whole = judge(market)
    half = date(2014, 6, 20)
    halves = [judge(market, FIRST, half), judge(market, CALENDAR.next(half), LAST)]
    singles = [judge(market, session, session) for session in JUDGED]
    for parts in (halves, singles):
        for name in ("check_results", "daily_bars"):
            together = pd.concat([getattr(part, name) for part in parts if len(getattr(part, name))], ignore_index=True)
            pd.testing.assert_frame_equal(together, getattr(whole, name), check_exact=True)
        blocked = {day: checks for part in parts for day, checks in part.blocked_sessions.items()}
        assert blocked == whole.blocked_sessions


def test_a_longer_look_back_changes_nothing():
    market = all_at_once()
    short = judge(market, date(2014, 6, 23), LAST)
    given = market.bars
    longer = run_quality_gate(
        given, listings=market_listings(), actions=market.actions, calendar=CALENDAR, settings=QualitySettings(),
        snapshot_id=3, first=date(2014, 6, 23), last=LAST,
    )  # fmt: skip
    pd.testing.assert_frame_equal(short.check_results, longer.check_results, check_exact=True)


def test_garbling_what_comes_later_changes_nothing_earlier():
    market = all_at_once()
    until = date(2014, 6, 20)
    before = judge(market, FIRST, until)
    future = market.actions["session"] > pd.Timestamp(until)
    market.actions.loc[future, ["symbol", "action", "split_ratio"]] = ["BENCH", "split", 50.0]
    later = market.bars["session"] > pd.Timestamp(until)
    market.scale(later, 1e6)
    garbled = judge(market, FIRST, LAST, actions=market.actions).check_results
    garbled = garbled[garbled["session"] <= pd.Timestamp(until)].reset_index(drop=True)
    pd.testing.assert_frame_equal(before.check_results, garbled, check_exact=True)


def test_the_order_of_rows_changes_no_verdict():
    market = all_at_once()
    ordered = judge(market)
    market.bars = market.bars.sample(frac=1.0, random_state=5).reset_index(drop=True)
    shuffled = judge(market)
    columns = ["session", "check", "outcome", "observed"]
    pd.testing.assert_frame_equal(ordered.check_results[columns], shuffled.check_results[columns], check_exact=True)


HOSTILE = (
    "AAPL\n", "", " ", "A B", "../../etc/passwd", "A..B", "'; DROP TABLE bars; --", "<script>alert(1)</script>", "=1+1",
    "@SUM(A1)", "A\x00B", "\u202eLPAA", "\u0391APL", "A" * 17, "{close_raw_usd}", "%s", "-X",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_hostile_symbol_blocks_its_session_and_is_shown_escaped(text):
    market = Tampered()
    copy = market.bars[market.at(FIRST, "BENCH")].assign(symbol=text, ticker=text)
    market.bars = pd.concat([market.bars, copy], ignore_index=True)
    result = judge(market)
    (checks,) = found_guilty(result).values()
    assert TEXT in checks
    assert checks <= {TEXT, "texts_have_no_blanks_around_them"}
    details = result.check_results.query(f"check == '{TEXT}'")["detail"].dropna().tolist()
    assert len(details) == 1
    assert details[0].isascii()
    assert details[0].isprintable()
    assert f"{ascii(text)[:80]} is not a symbol; rename it in the source" in details[0]


def test_nothing_is_written_sent_or_printed(tmp_path, monkeypatch, capfd):
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the gate opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    judge(all_at_once())
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
