"""Deliveries that are wrong: rows, sessions, times, columns and texts.

Belongs here: faults in which rows there are and how they are described. Wrong numbers are in `corrupted_prices`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pandas as pd

from tests.property.clean_market import LAST, PRICES, SESSIONS, SYMBOLS, Market
from tests.property.corrupted_bars import Corruption, Fault, set_to


def _text(column: str, change: Callable[[str], str | None]) -> Corruption:
    def corrupt(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        rows = market.rows(symbol, SESSIONS[at], SESSIONS[at])
        bars.loc[rows, column] = bars.loc[rows, column].map(change)
        return market.with_bars(bars)

    return corrupt


def _without(first: int, sessions: int, share: float | None) -> Corruption:
    """Drop the symbol's rows, or those of `share` of all symbols, for some sessions."""

    def corrupt(market: Market, symbol: str, at: int) -> Market:
        gone = {symbol} if share is None else set(SYMBOLS[: round(share * len(SYMBOLS))])
        during = market.bars["session"].between(SESSIONS[at + first], SESSIONS[at + first + sessions - 1])
        return market.with_bars(market.bars[~(market.bars["symbol"].isin(gone) & during)])

    return corrupt


def _again(*, factor: float) -> Corruption:
    def corrupt(market: Market, symbol: str, at: int) -> Market:
        row = market.bars[market.rows(symbol, SESSIONS[at], SESSIONS[at])].copy()
        row[PRICES] *= factor
        return market.with_bars(pd.concat([market.bars, row]))

    return corrupt


def _redated(day: Callable[[int], date]) -> Corruption:
    """Add a copy of the symbol's row under another date."""

    def corrupt(market: Market, symbol: str, at: int) -> Market:
        row = market.bars[market.rows(symbol, SESSIONS[at], SESSIONS[at])].copy()
        row["session"] = pd.Timestamp(day(at))
        return market.with_bars(pd.concat([market.bars, row]))

    return corrupt


def _saturday(at: int) -> date:
    return SESSIONS[at] + timedelta(days=(5 - SESSIONS[at].weekday()) % 7)


def _known(shift: timedelta, *, everyone: bool) -> Corruption:
    def corrupt(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        rows = (bars["session"] == SESSIONS[at]) if everyone else market.rows(symbol, SESSIONS[at], SESSIONS[at])
        bars.loc[rows, "known_at_utc"] += shift
        return market.with_bars(bars)

    return corrupt


def _frame(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Corruption:
    def corrupt(market: Market, _symbol: str, _at: int) -> Market:
        return replace(market, bars=change(market.bars.copy()))

    return corrupt


def _outside_listing(*, before: bool) -> Corruption:
    """End or begin the symbol's listing so that its rows lie outside it from, or up to, the session."""

    def corrupt(market: Market, symbol: str, at: int) -> Market:
        listings = market.listings.copy()
        row = listings["symbol"] == symbol
        if before:
            listings.loc[row, "first_session"] = SESSIONS[at + 1]
            kept = ~market.rows(symbol, SESSIONS[0], SESSIONS[at - 1])
        else:
            listings.loc[row, "last_session"] = SESSIONS[at - 1]
            kept = ~market.rows(symbol, SESSIONS[at + 1], LAST)
        return replace(market.with_bars(market.bars[kept]), listings=listings)

    return corrupt


def _stranger(market: Market, symbol: str, at: int) -> Market:
    row = market.bars[market.rows(symbol, SESSIONS[at], SESSIONS[at])].copy()
    row["symbol"] = row["ticker"] = "ZZZZ"
    return market.with_bars(pd.concat([market.bars, row]))


def _priced_in(columns: list[str]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda bars: bars.assign(**{name: bars[name].map(lambda value: f"{value:,.2f}") for name in columns})


_ROWS = (
    Fault("a row missing", "block", _without(0, 1, None)),
    Fault("three rows missing", "block", _without(0, 3, None)),
    Fault("a whole session missing", "block", _without(0, 1, 1.0), concerns_symbol=False),
    Fault("half the universe missing", "block", _without(0, 1, 0.5), concerns_symbol=False),
    Fault("a fifth of the universe missing", "block", _without(0, 1, 0.2), concerns_symbol=False),
    Fault("the same row twice", "block", _again(factor=1.0)),
    Fault("two rows that differ", "block", _again(factor=1.01)),
    Fault("a row on a Saturday", "block", _redated(_saturday)),
    Fault("a row on a Sunday", "block", _redated(lambda at: _saturday(at) + timedelta(days=1))),
    Fault("a row on Thanksgiving", "block", _redated(lambda _: date(2021, 11, 25))),
    Fault("a row from the future", "block", _redated(lambda _: date(2022, 3, 1))),
    Fault("a row before the listing", "quarantine", _outside_listing(before=True)),
    Fault("a row after the delisting", "quarantine", _outside_listing(before=False)),
    Fault("a row of an unlisted symbol", "quarantine", _stranger),
)
_TIMES = (
    Fault("known before the close", "quarantine", _known(-timedelta(hours=3), everyone=False)),
    Fault("known the day before", "quarantine", _known(-timedelta(days=1), everyone=False)),
    Fault("New York time labelled UTC", "block", _known(-timedelta(hours=5), everyone=True), concerns_symbol=False),
    Fault("known instant missing", "block", set_to("known_at_utc", pd.NaT)),
    Fault(
        "known instants without a time zone",
        "block",
        _frame(lambda bars: bars.assign(known_at_utc=bars["known_at_utc"].dt.tz_localize(None))),
        concerns_symbol=False,
    ),
    Fault(
        "known instants in New York time",
        "block",
        _frame(lambda bars: bars.assign(known_at_utc=bars["known_at_utc"].dt.tz_convert("America/New_York"))),
        concerns_symbol=False,
    ),
)
_SCHEMA = tuple(
    Fault(name, "block", _frame(change), concerns_symbol=False)
    for name, change in (
        ("close column absent", lambda bars: bars.drop(columns=["close_raw_usd"])),
        ("volume column absent", lambda bars: bars.drop(columns=["volume_shares"])),
        ("close column renamed", lambda bars: bars.rename(columns={"close_raw_usd": "Close"})),
        ("an extra column", lambda bars: bars.assign(adjusted_close=bars["close_raw_usd"])),
        ("prices as text", _priced_in(PRICES)),
        ("volume as text", lambda bars: bars.assign(volume_shares=bars["volume_shares"].astype(str))),
        ("sessions as text", lambda bars: bars.assign(session=bars["session"].astype(str))),
        ("prices as 32-bit floats", lambda bars: bars.astype(dict.fromkeys(PRICES, "float32"))),
        ("no rows at all", lambda bars: bars.iloc[:0]),
    )
)
_TEXTS = (
    Fault("blank after the ticker", "repair", _text("ticker", lambda value: f"{value} ")),
    Fault("blank before the ticker", "repair", _text("ticker", lambda value: f" {value}")),
    Fault("tab after the ticker", "repair", _text("ticker", lambda value: f"{value}\t")),
    Fault("no-break space after the ticker", "repair", _text("ticker", lambda value: f"{value}\u00a0")),
    Fault("blank after the source", "repair", _text("source", lambda value: f"{value} ")),
    Fault(
        "zero-width space in the ticker", "quarantine", _text("ticker", lambda value: f"{value[0]}\u200b{value[1:]}")
    ),
    Fault("full-width letters in the ticker", "quarantine", _text("ticker", lambda value: f"\uff33{value[1:]}")),
    Fault("HTML in the ticker", "quarantine", _text("ticker", lambda value: f"<b>{value}</b>")),
    Fault("quote in the ticker", "quarantine", _text("ticker", lambda value: f"{value}'; drop table bars; --")),
    Fault("NUL in the ticker", "quarantine", _text("ticker", lambda value: f"{value}\0")),
    Fault("right-to-left mark in the ticker", "quarantine", _text("ticker", lambda value: f"\u202e{value}")),
    Fault("ticker of ten kilobytes", "quarantine", _text("ticker", lambda value: value * 3_400)),
    Fault("ticker empty", "quarantine", _text("ticker", lambda _: "")),
    Fault("ticker missing", "block", _text("ticker", lambda _: None)),
    Fault("ticker of another instrument", "quarantine", _text("ticker", lambda _: "QQQQ")),
    Fault("source empty", "quarantine", _text("source", lambda _: "")),
    Fault("path in the symbol", "block", _text("symbol", lambda value: f"../{value}"), concerns_symbol=False),
    Fault("blank after the symbol", "block", _text("symbol", lambda value: f"{value} "), concerns_symbol=False),
    Fault("symbol missing", "block", _text("symbol", lambda _: None), concerns_symbol=False),
)

DELIVERY_FAULTS = (*_ROWS, *_TIMES, *_SCHEMA, *_TEXTS)
