"""Two sources side by side, with numbers written out by hand, and what the gate makes of them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_quality import QualitySettings
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, RAW_BARS, SOURCE_AGREEMENT
from aegis.market_data.quality_gate import GateResult, run_quality_gate
from aegis.market_data.source_agreement import compare_bars, is_compared, with_agreement

CALENDAR = trading_calendar("XNYS")
MONDAY, TUESDAY = date(2014, 6, 2), date(2014, 6, 3)
CLOSES = "closes_agree_across_sources"
RANGES = "ranges_and_volumes_agree_across_sources"


def bars(source: str, *rows: tuple[date, str, float], **changed: float) -> pd.DataFrame:
    """Bars with open and close at the given price, a dollar of wick on both sides, and about a million shares."""
    frame = [
        {
            "session": session, "symbol": symbol, "ticker": symbol, "open_raw_usd": price, "high_raw_usd": price + 1,
            "low_raw_usd": price - 1, "close_raw_usd": price, "volume_shares": 1e6 + (session - MONDAY).days,
            "source": source, "known_at_utc": CALENDAR.close_utc(session), **changed,
        }
        for session, symbol, price in rows
    ]  # fmt: skip
    return RAW_BARS.conform(pd.DataFrame(frame))


def judged(own: pd.DataFrame, agreement: pd.DataFrame, **settings: float) -> GateResult:
    listed = own.drop_duplicates("symbol")
    listings = listed[["symbol", "ticker", "source"]].assign(
        first_session=MONDAY, last_session=None, name="name", sector="Test", tradable=True
    )
    return run_quality_gate(
        own, listings=LISTINGS.conform(listings), actions=CORPORATE_ACTIONS.empty(), calendar=CALENDAR,
        settings=QualitySettings(**settings), snapshot_id=1, first=MONDAY, last=TUESDAY, agreement=agreement,
    )  # fmt: skip


def outcomes(result: GateResult, check: str) -> dict[date, str]:
    rows = result.check_results[result.check_results["check"] == check]
    return {day.date(): outcome for day, outcome in zip(rows["session"], rows["outcome"], strict=True)}


def test_the_first_other_source_that_has_a_bar_is_put_beside_it() -> None:
    own = bars("alpaca", (MONDAY, "AAA", 100.0), (MONDAY, "BBB", 50.0), (TUESDAY, "AAA", 101.0))
    second = bars("yahoo", (MONDAY, "AAA", 100.5), (TUESDAY, "CCC", 9.0))
    third = bars("files", (MONDAY, "AAA", 200.0), (MONDAY, "BBB", 25.0))

    found = compare_bars(own, [second, third])

    assert list(found[["symbol", "source", "other_source", "close_ratio"]].itertuples(index=False, name=None)) == [
        ("AAA", "alpaca", "yahoo", 1.005),
        ("BBB", "alpaca", "files", 0.5),
    ]
    assert found["other_high_raw_usd"].tolist() == [101.5, 26.0]


def test_a_source_is_never_its_own_second_opinion() -> None:
    own = bars("yahoo", (MONDAY, "AAA", 100.0))
    assert compare_bars(own, [own]).empty
    assert compare_bars(own, []).columns.tolist() == SOURCE_AGREEMENT.column_names


def test_rows_that_repeat_a_key_are_compared_once() -> None:
    own = bars("alpaca", (MONDAY, "AAA", 100.0), (MONDAY, "AAA", 100.0))
    assert len(compare_bars(own, [bars("yahoo", (MONDAY, "AAA", 100.0), (MONDAY, "AAA", 7.0))])) == 1


@pytest.mark.parametrize(("other", "gap"), [(100.0, 0.0), (101.0, 0.01), (80.0, 0.25), (0.0, np.inf), (-100.0, np.inf)])
def test_the_gap_is_the_larger_over_the_smaller_less_one(other: float, gap: float) -> None:
    own = bars("alpaca", (MONDAY, "AAA", 100.0))
    agreement = compare_bars(own, [bars("yahoo", (MONDAY, "AAA", 100.0), close_raw_usd=other)])
    found = with_agreement(own, agreement, settings=QualitySettings())
    assert found["close_gap"].iloc[0] == pytest.approx(gap)


def test_a_missing_number_is_not_compared() -> None:
    own = bars("alpaca", (MONDAY, "AAA", 100.0))
    agreement = compare_bars(own, [bars("yahoo", (MONDAY, "AAA", 100.0), close_raw_usd=np.nan)])
    found = with_agreement(own, agreement, settings=QualitySettings())
    assert np.isnan(found["close_gap"].iloc[0])
    assert found["range_gap"].iloc[0] == 0.0


def test_the_field_furthest_beyond_its_tolerance_is_named() -> None:
    own = bars("alpaca", (MONDAY, "AAA", 100.0))
    # high: 3 % apart, 1.5 tolerances; volume: 4 times as much, 6 tolerances
    other = bars("yahoo", (MONDAY, "AAA", 100.0), high_raw_usd=101.0 * 1.03, volume_shares=4e6)
    found = with_agreement(own, compare_bars(own, [other]), settings=QualitySettings()).iloc[0]
    assert (found["worst_field"], found["worst_value"], found["worst_other_value"]) == ("volume_shares", 1e6, 4e6)


def test_the_gate_blocks_a_session_whose_closes_disagree_and_says_both() -> None:
    own = bars("alpaca", (MONDAY, "AAA", 100.0), (MONDAY, "BBB", 50.0), (TUESDAY, "AAA", 100.0), (TUESDAY, "BBB", 50.0))
    other = bars("yahoo", (MONDAY, "AAA", 100.49), (TUESDAY, "AAA", 100.51))

    result = judged(own, compare_bars(own, [other]))

    assert outcomes(result, CLOSES) == {MONDAY: "pass", TUESDAY: "block"}
    assert result.blocked_sessions == {TUESDAY: [CLOSES]}
    detail = result.check_results.dropna(subset=["detail"])["detail"].tolist()
    assert len(detail) == 1
    assert detail[0].startswith(
        "AAA 2014-06-03: close 100 USD from alpaca and 100.51 USD from yahoo, ratio 1.0051; look the close up"
    )


def test_the_gate_warns_of_other_fields_and_lets_the_session_through() -> None:
    own = bars("alpaca", (MONDAY, "AAA", 100.0), (TUESDAY, "AAA", 100.0))
    other = bars("yahoo", (MONDAY, "AAA", 100.0), (TUESDAY, "AAA", 100.0), volume_shares=1.6e6)

    result = judged(own, compare_bars(own, [other]))

    assert outcomes(result, RANGES) == {MONDAY: "warn", TUESDAY: "warn"}
    assert result.blocked_sessions == {}
    rows = result.check_results[result.check_results["check"] == RANGES]
    assert (
        rows["detail"]
        .iloc[0]
        .startswith("AAA 2014-06-02: volume_shares is 1e+06 from alpaca and 1.6e+06 from yahoo; find out")
    )
    assert outcomes(judged(own, compare_bars(own, [other]), volume_disagreement=0.7), RANGES) == {
        MONDAY: "pass", TUESDAY: "pass",
    }  # fmt: skip


def test_a_bar_corrected_since_the_comparison_is_judged_as_it_is_now() -> None:
    wrong = bars("alpaca", (MONDAY, "AAA", 100.0), (TUESDAY, "AAA", 90.0))
    agreement = compare_bars(wrong, [bars("yahoo", (TUESDAY, "AAA", 100.0))])
    assert judged(wrong, agreement).blocked_sessions == {TUESDAY: [CLOSES]}
    corrected = bars("alpaca", (MONDAY, "AAA", 100.0), (TUESDAY, "AAA", 100.0))
    assert judged(corrected, agreement).blocked_sessions == {}


def test_a_session_is_in_the_sample_or_not_whatever_is_asked_with_it() -> None:
    days = CALENDAR.sessions(date(2014, 1, 2), date(2017, 12, 29))
    quarter = {day for day in days if is_compared(day, 0.25)}
    half = {day for day in days if is_compared(day, 0.5)}
    assert quarter < half
    assert len(quarter) / len(days) == pytest.approx(0.25, abs=0.05)  # four standard deviations of 1,007 draws
    assert not any(is_compared(day, 0.0) for day in days)
    assert all(is_compared(day, 1.0) for day in days)
