"""Total returns of a benchmark that has no trusted bar in some sessions; all numbers by hand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.market_data.benchmark import benchmark_returns
from aegis.market_data.corporate_actions import normalise_actions

XNYS = trading_calendar("XNYS")
DAYS = XNYS.sessions(date(2014, 6, 2), date(2014, 8, 29))


def bars(closes: dict[int, float], symbol: str = "SPY") -> pd.DataFrame:
    """Bars by number of the session."""
    days = [DAYS[number] for number in closes]
    return pd.DataFrame(
        {
            "session": pd.DatetimeIndex(days),
            "symbol": symbol,
            "close_raw_usd": list(closes.values()),
            "known_at_utc": XNYS.closes_utc(days),
        }
    )


def actions(*rows: dict[str, Any]) -> pd.DataFrame:
    columns = ["session", "symbol", "action", "split_ratio", "dividend_usd", "known_at_utc"]
    frame = pd.DataFrame([{"symbol": "SPY", **row} for row in rows], columns=columns)
    return normalise_actions(frame, XNYS, source="files")


def dividend(number: int, usd: float, **more: Any) -> dict[str, Any]:
    return {"session": DAYS[number], "action": "dividend", "dividend_usd": usd, **more}


def split(number: int, ratio: float) -> dict[str, Any]:
    return {"session": DAYS[number], "action": "split", "split_ratio": ratio}


def returns(closes: dict[int, float], events: pd.DataFrame, first: int = 0) -> dict[int, float]:
    found = benchmark_returns(bars(closes), events, "SPY", first=DAYS[first])
    return {DAYS.index(day): value for day, value in found.items()}


def test_returns_of_neighbouring_sessions_hold_splits_and_dividends() -> None:
    found = returns({0: 100.0, 1: 99.0, 2: 49.5, 3: 50.49}, actions(dividend(1, 1.0), split(2, 2.0)))
    assert found == pytest.approx({1: 0.0, 2: 0.0, 3: 0.02}, abs=1e-15)


@pytest.mark.parametrize(
    ("events", "close", "expected"),
    [
        ((), 101.0, 0.01),
        ((dividend(2, 1.0),), 99.0, 0.0),  # 99 and 1 in cash for 100
        ((split(2, 2.0),), 50.0, 0.0),  # two at 50 for 100
        ((dividend(2, 2.0), split(3, 2.0)), 49.0, 0.0),  # two at 49, and 2 on one share
        ((split(2, 2.0), dividend(3, 1.0)), 49.0, 0.0),  # two at 49, and 1 on each of two shares
        ((dividend(1, 1.0), dividend(2, 1.0), dividend(4, 1.0)), 97.0, 0.0),
    ],
)
def test_what_goes_ex_in_sessions_without_a_bar_is_in_the_return_after_them(
    events: tuple[dict[str, Any], ...], close: float, expected: float
) -> None:
    found = returns({0: 100.0, 4: close, 5: 2 * close}, actions(*events))
    assert found == pytest.approx({4: expected, 5: 1.0}, abs=1e-15)


def test_an_action_announced_after_the_bar_that_would_use_it_is_not_used() -> None:
    late = actions(dividend(2, 1.0, known_at_utc=XNYS.close_utc(DAYS[3]) + timedelta(seconds=1)))
    assert returns({0: 100.0, 3: 99.0}, late) == pytest.approx({3: -0.01}, abs=1e-15)


def test_a_bar_older_than_the_look_back_starts_no_return() -> None:
    assert [(DAYS[number] - DAYS[0]).days for number in (32, 33)] == [45, 46]
    assert returns({0: 100.0, 32: 110.0}, actions()) == pytest.approx({32: 0.1}, abs=1e-15)
    assert returns({0: 100.0, 33: 110.0, 34: 121.0}, actions()) == pytest.approx({34: 0.1}, abs=1e-15)


def test_a_session_alone_has_the_return_that_a_range_gives_it() -> None:
    closes = {0: 100.0, 1: 103.0, 5: 51.0, 6: 52.0, 9: 50.5}
    events = actions(dividend(3, 0.7), split(4, 2.0), dividend(8, 0.3))
    whole = returns(closes, events)
    assert list(whole) == [1, 5, 6, 9]
    assert {k: v for number in range(10) for k, v in returns(closes, events, number).items() if k == number} == whole


def test_other_symbols_and_an_absent_benchmark_give_nothing() -> None:
    others = actions(dividend(1, 5.0) | {"symbol": "AAA"})
    mixed = pd.concat([bars({0: 100.0, 1: 101.0}), bars({0: 1.0, 1: 2.0}, "AAA")])
    assert benchmark_returns(mixed, others, "SPY", first=DAYS[0]) == pytest.approx({DAYS[1]: 0.01}, abs=1e-15)
    assert benchmark_returns(mixed, others, "QQQ", first=DAYS[0]) == {}
