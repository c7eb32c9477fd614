"""Minute bars that cannot be stored: each fault blocks its own session and says symbol, value and remedy."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import MinuteBarsSettings
from aegis.lake.tables import DAILY_BARS
from aegis.market_data.minute_checks import CHECKS, JudgedMinutes, judge_minute_bars

CALENDAR = trading_calendar("XNYS")
# The Monday after daylight saving began, and the half day after Thanksgiving.
SPRING, HALF_DAY = date(2024, 3, 11), date(2024, 11, 29)
SETTINGS = MinuteBarsSettings(symbols=("AAA", "BBB"), price_tolerance=0.001, volume_tolerance=0.01)


def minutes(session: date, symbol: str, *ends: str) -> pd.DataFrame:
    """Minutes whose closes rise by ten cents from 10, each of 100 shares."""
    closes = np.round(10.0 + 0.1 * np.arange(1, len(ends) + 1), 2)
    times = pd.DatetimeIndex([f"{session} {end}" for end in ends], tz="UTC").as_unit("ns")
    return pd.DataFrame(
        {
            "session": pd.Timestamp(session),
            "symbol": symbol,
            "closes_at_utc": times,
            "open_raw_usd": closes - 0.1,
            "high_raw_usd": closes + 0.02,
            "low_raw_usd": closes - 0.12,
            "close_raw_usd": closes,
            "volume_shares": 100.0,
            "source": "test",
            "known_at_utc": times,
        }
    )


def daily(session: date, symbol: str, *, close: float = 10.3, volume: float = 300.0) -> pd.DataFrame:
    return DAILY_BARS.conform(
        pd.DataFrame(
            {
                "session": [session],
                "symbol": symbol,
                "ticker": symbol,
                "open_raw_usd": 10.0,
                "high_raw_usd": 10.32,
                "low_raw_usd": 9.98,
                "close_raw_usd": close,
                "volume_shares": volume,
                "source": "test",
                "known_at_utc": CALENDAR.close_utc(session),
            }
        )
    )


# Opening and closing minute in UTC: the opening moved by an hour with daylight saving, the half day ends at 18:00.
CLEAN = pd.concat(
    [
        minutes(SPRING, "AAA", "13:31", "15:00", "20:00"),
        minutes(HALF_DAY, "AAA", "14:31", "16:00", "18:00"),
        minutes(HALF_DAY, "BBB", "14:31", "14:32", "18:00"),
    ],
    ignore_index=True,
)
DAILY = pd.concat([daily(SPRING, "AAA"), daily(HALF_DAY, "AAA"), daily(HALF_DAY, "BBB")], ignore_index=True)


def judged(rows: pd.DataFrame, bars: pd.DataFrame = DAILY) -> JudgedMinutes:
    return judge_minute_bars(rows, bars, sessions=[SPRING, HALF_DAY], calendar=CALENDAR, settings=SETTINGS)


def blocked(verdict: JudgedMinutes) -> dict[str, str]:
    """Check and detail of what is blocked."""
    rows = verdict.checks[verdict.checks["outcome"] == "block"]
    return dict(zip(rows["check"], rows["detail"], strict=True))


def test_minutes_of_whole_and_half_days_on_both_sides_of_daylight_saving_pass() -> None:
    verdict = judged(CLEAN)

    assert blocked(verdict) == {}
    assert verdict.blocked_sessions == ()
    assert len(verdict.bars) == 9
    assert len(verdict.checks) == 2 * len(CHECKS)


@pytest.mark.parametrize(
    ("column", "value", "check", "words"),
    [
        ("closes_at_utc", "2024-11-29 18:01", "minutes_lie_in_trading_hours", "18:01:00 UTC"),
        ("closes_at_utc", "2024-11-29 14:30", "minutes_lie_in_trading_hours", "14:30:00 UTC"),
        ("closes_at_utc", "2024-11-29 16:00:30", "minutes_lie_in_trading_hours", "16:00:30 UTC"),
        ("closes_at_utc", "2024-11-28 16:00", "minutes_lie_in_trading_hours", "2024-11-28"),
        ("low_raw_usd", 10.25, "minute_prices_are_consistent", "low_raw_usd 10.25"),
        ("high_raw_usd", 10.05, "minute_prices_are_consistent", "high_raw_usd 10.05"),
        ("low_raw_usd", -1.0, "minute_prices_are_consistent", "low_raw_usd -1.0"),
        ("high_raw_usd", np.inf, "minute_prices_are_consistent", "high_raw_usd inf"),
        ("open_raw_usd", np.nan, "minute_prices_are_consistent", "open_raw_usd nan"),
        ("volume_shares", 0.0, "minute_prices_are_consistent", "volume_shares 0.0"),
    ],
)
def test_a_wrong_minute_blocks_its_session_and_no_other(column: str, value: object, check: str, words: str) -> None:
    rows = CLEAN.copy()
    middle_of_half_day = 4
    rows.loc[middle_of_half_day, column] = (
        pd.Timestamp(str(value), tz="UTC") if column == "closes_at_utc" else value  # type: ignore[call-overload]
    )

    verdict = judged(rows)

    assert verdict.blocked_sessions == (HALF_DAY,)
    assert set(verdict.bars["session"]) == {pd.Timestamp(SPRING)}
    assert "AAA 2024-11-2" in blocked(verdict)[check]
    assert words in blocked(verdict)[check]


def test_a_minute_that_is_there_twice_blocks_its_session() -> None:
    verdict = judged(pd.concat([CLEAN, CLEAN.iloc[[4]]], ignore_index=True))

    assert verdict.blocked_sessions == (HALF_DAY,)
    assert blocked(verdict)["minutes_are_unique"].startswith("AAA 2024-11-29 16:00:00 UTC")


def test_a_symbol_that_traded_without_minutes_blocks_its_session_and_a_halted_one_does_not() -> None:
    rows = CLEAN[CLEAN["symbol"] == "AAA"]
    halted = pd.concat([DAILY.iloc[:2], daily(HALF_DAY, "BBB", volume=0.0)], ignore_index=True)

    assert "BBB 2024-11-29: no minute bar, and 300 shares" in blocked(judged(rows))["traded_symbols_have_minutes"]
    assert blocked(judged(rows, halted)) == {}


@pytest.mark.parametrize(
    ("change", "agrees"),
    [
        ({"close": 10.3 / 1.0009}, True),
        ({"close": 10.3 / 1.0011}, False),
        ({"volume": 300.0 / 1.009}, True),
        ({"volume": 300.0 / 1.011}, False),
    ],
)
def test_minutes_add_up_to_the_daily_bar_within_the_tolerances(change: dict[str, float], agrees: bool) -> None:
    bars = pd.concat([daily(SPRING, "AAA", **change), DAILY.iloc[1:]], ignore_index=True)

    verdict = judged(CLEAN, bars)

    assert verdict.blocked_sessions == (() if agrees else (SPRING,))
    assert agrees or "AAA 2024-03-11: minutes and daily bar" in blocked(verdict)["minutes_agree_with_the_daily_bar"]


def test_daily_bars_of_other_sessions_ask_for_no_minutes() -> None:
    bars = pd.concat([daily(date(2024, 3, 8), "AAA"), daily(date(2024, 12, 2), "AAA"), DAILY], ignore_index=True)

    assert blocked(judged(CLEAN, bars)) == {}


def test_a_session_without_gated_daily_bars_is_blocked() -> None:
    verdict = judged(CLEAN, DAILY.iloc[1:])

    assert verdict.blocked_sessions == (SPRING,)
    assert "no daily bar passed the quality gate" in blocked(verdict)["minutes_agree_with_the_daily_bar"]
