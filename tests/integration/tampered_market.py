"""A small market in which much happens, and faults to plant in it, each with the checks that must find it guilty.

Expected verdicts are written beside each fault; none is computed by the code under test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from aegis.calendars import trading_calendar
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, RAW_BARS

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
TICKER = "tickers_are_clean_text"
SLIP = "jumps_hide_no_split_or_unit_slip"
WICK = "wicks_stay_near_the_body"
JUMP = "jumps_are_explained_by_actions"
STALE = "closes_are_not_stale"
POSSIBLE = "recorded_actions_are_possible"
SHOWN = "prices_show_the_recorded_actions"
HUGE = "volume_is_below_a_trillion_shares"
LARGE = "dividends_are_a_small_share_of_the_close"
TIMELY = "actions_are_known_when_they_are_booked"


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
    market.accuse(session, TICKER)


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


def dividend_told_late(market: Tampered, session: date, symbol: str) -> None:
    """Tell of a dividend a minute after the bars of its ex-session: the session after it learns of it."""
    ex = CALENDAR.previous(session)
    recorded("dividend", "dividend", share=0.001, checks=())(market, ex, symbol)
    told = pd.Timestamp(CALENDAR.close_utc(ex)) + pd.Timedelta(minutes=16)
    late = (market.actions["session"] == pd.Timestamp(ex)) & (market.actions["symbol"] == symbol)
    market.actions.loc[late, "known_at_utc"] = told
    market.guilty.pop(ex)
    market.accuse(session, TIMELY)


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
    split_that_never_was, special_dividend, huge_volume, dividend_told_late,
)  # fmt: skip
