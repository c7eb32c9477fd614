"""The gate with the real Great Expectations over a small market in which much happens, and faults planted in it.

Expected verdicts are written beside each fault; none is computed by the code under test.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import QualitySettings
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, RAW_BARS
from aegis.market_data.expectations import CHECKS
from aegis.market_data.quality_gate import GateResult, run_quality_gate

CALENDAR = trading_calendar("XNYS")
# Memorial Day lies in the look-back, Independence Day in the range
START, FIRST, LAST = date(2014, 4, 1), date(2014, 6, 2), date(2014, 7, 14)
SESSIONS = CALENDAR.sessions(START, LAST)
JUDGED = CALENDAR.sessions(FIRST, LAST)
SPLIT_DAY, RENAME_DAY, LISTING_DAY = date(2014, 6, 9), date(2014, 6, 24), date(2014, 6, 16)
LAST_DAY_OF_GONE, DELISTING_DAY = date(2014, 6, 20), date(2014, 6, 23)
HALT_DAYS = CALENDAR.sessions(date(2014, 6, 11), date(2014, 6, 19))  # seven sessions, longer than five equal closes
SYMBOLS = ("BENCH", "SPLT", "HALT", "LATE", "GONE", "RENA")

KEY = "primary_key_is_unique"
COVER = "bars_cover_every_listed_symbol"
COMPLETE = "columns_have_their_types_and_no_nulls"
POSITIVE = "prices_are_positive"
BRACKET = "high_low_bracket_open_close"
VOLUME = "volume_is_not_negative"
DAYS = "no_row_outside_sessions"
KNOWN = "known_at_follows_close"
TEXT = "symbols_are_clean_text"
SLIP = "jumps_hide_no_split_or_unit_slip"
WICK = "wicks_stay_near_the_body"
JUMP = "jumps_are_explained_by_actions"
STALE = "closes_are_not_stale"
POSSIBLE = "recorded_actions_are_possible"
SHOWN = "prices_show_the_recorded_actions"
HUGE = "volume_is_below_a_trillion_shares"
LARGE = "dividends_are_a_small_share_of_the_close"


def market_bars() -> pd.DataFrame:
    draws = np.random.default_rng(20140602)
    rows = []
    for symbol in SYMBOLS:
        close = 350.0 if symbol == "SPLT" else 50.0
        for session in SESSIONS:
            if (symbol == "LATE" and session < LISTING_DAY) or (symbol == "GONE" and session > LAST_DAY_OF_GONE):
                continue
            if symbol == "SPLT" and session == SPLIT_DAY:
                close /= 7.0
            halted = symbol == "HALT" and session in HALT_DAYS
            opened = close if halted else close * (1 + draws.uniform(-0.004, 0.004))
            close = close if halted else opened * (1 + draws.uniform(-0.01, 0.01))
            reach = 0.0 if halted else 0.005
            rows.append(
                (
                    session, symbol, "OLDN" if symbol == "RENA" and session < RENAME_DAY else symbol, opened,
                    max(opened, close) * (1 + reach), min(opened, close) * (1 - reach), close,
                    0.0 if halted else 1e5, "test", CALENDAR.close_utc(session) + pd.Timedelta(minutes=15),
                )
            )  # fmt: skip
    return RAW_BARS.conform(pd.DataFrame(rows, columns=RAW_BARS.column_names))


def market_listings() -> pd.DataFrame:
    intervals = [(s, s, START, None) for s in ("BENCH", "SPLT", "HALT")]
    intervals += [("LATE", "LATE", LISTING_DAY, None), ("GONE", "GONE", START, LAST_DAY_OF_GONE)]
    intervals += [("RENA", "OLDN", START, date(2014, 6, 23)), ("RENA", "RENA", RENAME_DAY, None)]
    frame = pd.DataFrame(intervals, columns=["symbol", "ticker", "first_session", "last_session"])
    sector = frame["symbol"].map({"BENCH": "Benchmark"}).fillna("Test")
    return LISTINGS.conform(frame.assign(name=frame["symbol"], sector=sector, tradable=sector == "Test", source="test"))


def market_actions() -> pd.DataFrame:
    rows = [
        (SPLIT_DAY, "SPLT", "split", 7.0, 0.0, None, None),
        (DELISTING_DAY, "GONE", "delisting", 1.0, 0.0, None, None),
        (RENAME_DAY, "RENA", "rename", 1.0, 0.0, None, "RENA"),
        (date(2014, 6, 12), "BENCH", "dividend", 1.0, 0.25, date(2014, 6, 30), None),
    ]
    frame = pd.DataFrame(rows, columns=CORPORATE_ACTIONS.column_names[:7])
    known = [CALENDAR.open_utc(session) for session in frame["session"]]
    return CORPORATE_ACTIONS.conform(frame.assign(source="test", known_at_utc=known))


@dataclass
class Tampered:
    """The market with faults in it, and what each of its sessions must be found guilty of."""

    bars: pd.DataFrame = field(default_factory=market_bars)
    actions: pd.DataFrame = field(default_factory=market_actions)
    guilty: dict[date, set[str]] = field(default_factory=dict)

    def accuse(self, session: date, *checks: str) -> None:
        self.guilty.setdefault(session, set()).update(checks)

    def at(self, session: date, symbol: str) -> pd.Series:
        return (self.bars["session"] == pd.Timestamp(session)) & (self.bars["symbol"] == symbol)

    def scale(self, rows: pd.Series, factor: float) -> None:
        prices = ["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"]
        self.bars.loc[rows, prices] = self.bars.loc[rows, prices] * factor


Fault = Callable[[Tampered, date, str], None]


def zero_close(market: Tampered, session: date, symbol: str) -> None:
    market.bars.loc[market.at(session, symbol), ["low_raw_usd", "close_raw_usd"]] = 0.0
    market.accuse(session, POSITIVE)


def duplicate_row(market: Tampered, session: date, symbol: str) -> None:
    market.bars = pd.concat([market.bars, market.bars[market.at(session, symbol)]], ignore_index=True)
    market.accuse(session, KEY)


def contradicting_row(market: Tampered, session: date, symbol: str) -> None:
    copy = market.bars[market.at(session, symbol)].assign(volume_shares=7.0)
    market.bars = pd.concat([copy, market.bars], ignore_index=True)
    market.accuse(session, KEY)


def moved(name: str, column: str, anchor: str, *, factor: float, check: str) -> Fault:
    """A fault that puts one price at `factor` times another one of its bar."""

    def fault(market: Tampered, session: date, symbol: str) -> None:
        row = market.at(session, symbol)
        market.bars.loc[row, f"{column}_raw_usd"] = market.bars.loc[row, f"{anchor}_raw_usd"] * factor
        market.accuse(session, check)

    fault.__name__ = name
    return fault


def missing_bar(market: Tampered, session: date, symbol: str) -> None:
    market.bars = market.bars[~market.at(session, symbol)].reset_index(drop=True)
    market.accuse(session, COVER)


def missing_session(market: Tampered, session: date, _: str) -> None:
    market.bars = market.bars[market.bars["session"] != pd.Timestamp(session)].reset_index(drop=True)
    market.accuse(session, COVER)


def missing_volume(market: Tampered, session: date, symbol: str) -> None:
    market.bars.loc[market.at(session, symbol), "volume_shares"] = np.nan
    market.accuse(session, COMPLETE)


def huge_volume(market: Tampered, session: date, symbol: str) -> None:
    market.bars.loc[market.at(session, symbol), "volume_shares"] = 1e19
    market.accuse(session, HUGE)


def negative_volume(market: Tampered, session: date, symbol: str) -> None:
    market.bars.loc[market.at(session, symbol), "volume_shares"] = -1.0
    market.accuse(session, VOLUME)


def row_on_a_closed_day(market: Tampered, session: date, symbol: str) -> None:
    """Plant a row on the last closed day before the session; it counts against the session after that day."""
    stray = pd.Timestamp(session) - pd.Timedelta(days=1)
    while CALENDAR.is_session(stray.date()):
        stray -= pd.Timedelta(days=1)
    copy = market.bars[market.at(session, symbol)].assign(session=stray)
    market.bars = pd.concat([market.bars, copy], ignore_index=True)
    guilty = CALENDAR.next(stray.date())
    market.accuse(guilty, DAYS)


def known_too_early(market: Tampered, session: date, symbol: str) -> None:
    early = pd.Timestamp(CALENDAR.close_utc(session)) - pd.Timedelta(seconds=1)
    market.bars.loc[market.at(session, symbol), "known_at_utc"] = early
    market.accuse(session, KNOWN)


def hostile_ticker(market: Tampered, session: date, symbol: str) -> None:
    market.bars.loc[market.at(session, symbol), "ticker"] = "=cmd|' /C calc'!A0"
    market.accuse(session, TEXT)


def cents_for_dollars(market: Tampered, session: date, symbol: str) -> None:
    market.scale(market.at(session, symbol), 100.0)
    market.accuse(session, SLIP, JUMP)


def dollars_for_cents(market: Tampered, session: date, symbol: str) -> None:
    market.scale(market.at(session, symbol), 0.01)
    market.accuse(session, SLIP, JUMP)


def rescaled(name: str, factor: float, *checks: str) -> Fault:
    def fault(market: Tampered, session: date, symbol: str) -> None:
        market.scale((market.bars["symbol"] == symbol) & (market.bars["session"] >= pd.Timestamp(session)), factor)
        market.accuse(session, *checks)

    fault.__name__ = name
    return fault


def frozen_quote(market: Tampered, session: date, symbol: str) -> None:
    window = CALENDAR.sessions(CALENDAR.offset(session, -4), session)
    rows = (market.bars["symbol"] == symbol) & market.bars["session"].isin(pd.DatetimeIndex(window))
    held = float(market.bars.loc[rows, "close_raw_usd"].iloc[0])
    market.bars.loc[rows, "close_raw_usd"] = held
    market.bars.loc[rows, "high_raw_usd"] = np.maximum(market.bars.loc[rows, "high_raw_usd"], held)
    market.bars.loc[rows, "low_raw_usd"] = np.minimum(market.bars.loc[rows, "low_raw_usd"], held)
    market.accuse(session, STALE)


def recorded(name: str, action: str, *, scale: float = 1.0, checks: tuple[str, ...], **values: float) -> Fault:
    """Return a fault that records an action; amounts are shares of the close before it, prices follow by `scale`."""

    def fault(market: Tampered, session: date, symbol: str) -> None:
        before = market.bars.loc[market.at(CALENDAR.previous(session), symbol), "close_raw_usd"].iloc[0]
        row = {
            "session": session, "symbol": symbol, "action": action, "split_ratio": values.get("ratio", 1.0),
            "dividend_usd": values.get("share", 0.0) * before, "pay_session": None, "new_ticker": None,
            "source": "test", "known_at_utc": CALENDAR.open_utc(session),
        }  # fmt: skip
        market.scale((market.bars["symbol"] == symbol) & (market.bars["session"] >= pd.Timestamp(session)), scale)
        market.actions = CORPORATE_ACTIONS.conform(pd.DataFrame([*market.actions.to_dict("records"), row]))
        market.accuse(session, *checks)

    fault.__name__ = name
    return fault


negative_price = moved("negative_price", "low", "low", factor=-1.0, check=POSITIVE)
missing_close = moved("missing_close", "close", "close", factor=np.nan, check=COMPLETE)
infinite_high = moved("infinite_high", "high", "high", factor=np.inf, check=COMPLETE)
high_below_low = moved("high_below_low", "high", "low", factor=0.99, check=BRACKET)
open_above_high = moved("open_above_high", "open", "high", factor=1.01, check=BRACKET)
close_below_low = moved("close_below_low", "close", "low", factor=0.99, check=BRACKET)
low_that_lost_a_digit = moved("low_that_lost_a_digit", "low", "low", factor=0.1, check=WICK)
busted_high = moved("busted_high", "high", "high", factor=2.0, check=WICK)
unrecorded_split = rescaled("unrecorded_split", 1 / 4, SLIP, JUMP)
unrecorded_reverse_split = rescaled("unrecorded_reverse_split", 10.0, SLIP, JUMP)
crash = rescaled("crash", 0.58, JUMP)
dividend_above_the_close = recorded("dividend_above_the_close", "dividend", share=60.0, checks=(POSSIBLE, LARGE))
split_of_a_billion = recorded("split_of_a_billion", "split", ratio=1e9, checks=(POSSIBLE, SHOWN, SLIP, JUMP))
split_that_never_was = recorded("split_that_never_was", "split", ratio=1.5, checks=(SHOWN,))
special_dividend = recorded("special_dividend", "dividend", share=0.3, scale=0.7, checks=(LARGE,))

FAULTS: tuple[Fault, ...] = (
    negative_price, zero_close, duplicate_row, contradicting_row, high_below_low, open_above_high, close_below_low,
    low_that_lost_a_digit, busted_high, missing_bar, missing_session, missing_close, missing_volume, infinite_high,
    negative_volume, row_on_a_closed_day, known_too_early, hostile_ticker, cents_for_dollars, dollars_for_cents,
    unrecorded_split, unrecorded_reverse_split, crash, frozen_quote, dividend_above_the_close, split_of_a_billion,
    split_that_never_was, special_dividend, huge_volume,
)  # fmt: skip
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


def found_guilty(result: GateResult) -> dict[date, set[str]]:
    failed = result.check_results[result.check_results["outcome"] != "pass"]
    return {day.date(): set(rows["check"]) for day, rows in failed.groupby("session")}


def blocking_only(guilty: dict[date, set[str]]) -> dict[date, set[str]]:
    warnings = {JUMP, STALE, LARGE}
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
    assert failed == {check.name for check in CHECKS}


PLACED_APART = (
    frozen_quote, unrecorded_split, unrecorded_reverse_split, crash, missing_session, special_dividend,
    split_of_a_billion, split_that_never_was, huge_volume,
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
    assert found_guilty(result) == {FIRST: {TEXT}}
    details = result.check_results["detail"].dropna().tolist()
    assert len(details) == 1
    assert details[0].isascii()
    assert details[0].isprintable()
    assert f"{ascii(text)[:80]} is not a symbol or ticker; rename it in the source" in details[0]


def test_nothing_is_written_sent_or_printed(tmp_path, monkeypatch, capfd):
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the gate opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    judge(all_at_once())
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
