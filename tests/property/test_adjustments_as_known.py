"""No look-ahead in adjusted numbers: what is announced after t changes nothing at t."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.calendars import trading_calendar
from aegis.market_data.adjustments import adjusted_closes, adjustment_factors, total_return_panel
from aegis.market_data.corporate_actions import normalise_actions

XNYS = trading_calendar("XNYS")
SESSIONS = XNYS.sessions(date(2014, 6, 2), date(2014, 7, 11))
KNOWN = XNYS.closes_utc(SESSIONS) + timedelta(minutes=15)
SYMBOLS = ("AAA", "BBB")
COLUMNS = ["session", "symbol", "action", "split_ratio", "dividend_usd", "known_at_utc"]

closes = st.lists(st.floats(5, 500), min_size=len(SESSIONS), max_size=len(SESSIONS))
positions = st.integers(1, len(SESSIONS) - 1)
split_ratios = st.sampled_from([2.0, 3.0, 0.125, 1.0027003, 7.0])
events = st.tuples(
    positions,
    st.sampled_from(SYMBOLS),
    st.one_of(
        st.tuples(st.just("split"), split_ratios, st.just(0.0)),
        st.tuples(st.just("dividend"), st.just(1.0), st.floats(0.01, 4.0)),
    ),
)
by_key = st.lists(events, max_size=6, unique_by=lambda event: (event[0], event[1], event[2][0]))


def history(values: dict[str, list[float]]) -> pd.DataFrame:
    frames = [
        pd.DataFrame({"session": pd.DatetimeIndex(SESSIONS), "symbol": symbol, "close_raw_usd": prices})
        for symbol, prices in values.items()
    ]
    return pd.concat([frame.assign(known_at_utc=KNOWN) for frame in frames], ignore_index=True)


def table(rows: list[tuple[int, str, tuple[str, float, float]]], known_at: pd.Timestamp | None) -> pd.DataFrame:
    frame = pd.DataFrame([(SESSIONS[at], symbol, *action, known_at) for at, symbol, action in rows], columns=COLUMNS)
    return normalise_actions(frame, XNYS, source="files")


@settings(max_examples=60, deadline=None)
@given(prices=st.tuples(closes, closes), known=by_key, surprises=by_key, at=positions)
def test_actions_announced_after_t_change_no_bit_of_what_is_seen_at_t(
    prices: tuple[list[float], list[float]],
    known: list[tuple[int, str, tuple[str, float, float]]],
    surprises: list[tuple[int, str, tuple[str, float, float]]],
    at: int,
) -> None:
    bars = history(dict(zip(SYMBOLS, prices, strict=True)))
    t, past = KNOWN[at], SESSIONS[: at + 1]
    before = table(known, None)
    after = pd.concat([before, table(surprises, t + timedelta(microseconds=1))], ignore_index=True)
    garbled = bars.assign(close_raw_usd=bars["close_raw_usd"].where(bars["session"] <= pd.Timestamp(past[-1]), 1e9))
    for compute in (total_return_panel, adjusted_closes):
        seen = compute(bars, before, SYMBOLS, past, as_known_at=t)
        assert compute(garbled, after, SYMBOLS, past, as_known_at=t).tobytes() == seen.tobytes()


@settings(max_examples=60, deadline=None)
@given(prices=st.tuples(closes, closes), known=by_key, cut=positions)
def test_factors_do_not_depend_on_how_the_range_is_divided(
    prices: tuple[list[float], list[float]], known: list[tuple[int, str, tuple[str, float, float]]], cut: int
) -> None:
    bars, actions = history(dict(zip(SYMBOLS, prices, strict=True))), table(known, None)
    whole = adjustment_factors(bars, actions, SESSIONS[0], SESSIONS[-1])
    parts = [
        adjustment_factors(bars, actions, SESSIONS[0], SESSIONS[cut - 1]),
        adjustment_factors(bars, actions, SESSIONS[cut], SESSIONS[-1]),
    ]
    joined = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole, check_exact=True)


@settings(max_examples=60, deadline=None)
@given(prices=st.tuples(closes, closes), known=by_key)
def test_splits_alone_leave_total_returns_equal_to_those_of_adjusted_closes(
    prices: tuple[list[float], list[float]], known: list[tuple[int, str, tuple[str, float, float]]]
) -> None:
    bars = history(dict(zip(SYMBOLS, prices, strict=True)))
    splits = table([event for event in known if event[2][0] == "split"], None)
    adjusted = adjusted_closes(bars, splits, SYMBOLS, SESSIONS, as_known_at=KNOWN[-1])
    returns = total_return_panel(bars, splits, SYMBOLS, SESSIONS, as_known_at=KNOWN[-1])
    np.testing.assert_allclose(adjusted[1:] / adjusted[:-1] - 1, returns[1:], rtol=1e-12, atol=1e-12)
