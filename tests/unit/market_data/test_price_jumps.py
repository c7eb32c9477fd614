import math

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_quality import QualitySettings
from aegis.errors import ConfigurationError
from aegis.lake.tables import CORPORATE_ACTIONS, RAW_BARS
from aegis.market_data.price_jumps import closes_in_context

CALENDAR = trading_calendar("XNYS")
DAYS = np.array(CALENDAR.sessions(pd.Timestamp("2014-05-20").date(), pd.Timestamp("2014-07-31").date()), dtype="M8[D]")
SETTINGS = QualitySettings()


def bars(closes, *, opens=None, start=0, volume=1000.0, symbol="AAA"):
    """Bars of one symbol in consecutive sessions; None leaves a session out."""
    opens = opens or closes
    rows = [
        (DAYS[start + n], symbol, symbol, o, max(o, c), min(o, c), c, volume)
        for n, (o, c) in enumerate(zip(opens, closes, strict=True))
        if c is not None
    ]
    frame = pd.DataFrame(rows, columns=RAW_BARS.column_names[:8])
    known = CALENDAR.closes_utc([pd.Timestamp(day).date() for day in frame["session"]])
    return RAW_BARS.conform(frame.assign(source="test", known_at_utc=known))


def action(kind, number, *, ratio=1.0, cash=0.0, known=None):
    day = pd.Timestamp(DAYS[number])
    row = {
        "session": day, "symbol": "AAA", "action": kind, "split_ratio": ratio, "dividend_usd": cash,
        "pay_session": pd.NaT, "new_ticker": None, "source": "test",
        "known_at_utc": known or CALENDAR.open_utc(day.date()),
    }  # fmt: skip
    return CORPORATE_ACTIONS.conform(pd.DataFrame([row]))


def context(frame, actions=None, settings=SETTINGS):
    actions = CORPORATE_ACTIONS.empty() if actions is None else actions
    return closes_in_context(frame, actions, days=DAYS, settings=settings)


def test_a_move_is_the_log_of_close_over_previous_close():
    last = context(bars([100.0, 110.0])).iloc[-1]
    assert last["unexplained_log_return"] == pytest.approx(math.log(1.1), rel=1e-12)
    assert last["reference_close_usd"] == 100.0


def test_the_first_close_has_nothing_to_be_compared_with():
    assert math.isnan(context(bars([100.0])).iloc[0]["unexplained_log_return"])


def test_a_recorded_split_explains_the_apple_split_of_2014():
    frame = bars([645.57, 93.70])  # AAPL 2014-06-06 and 2014-06-09, 7:1
    assert context(frame).iloc[-1]["unexplained_log_return"] == pytest.approx(-1.930035, abs=1e-6)
    explained = context(frame, action("split", 1, ratio=7.0)).iloc[-1]["unexplained_log_return"]
    assert explained == pytest.approx(0.0158747, abs=1e-7)  # ln(93.70 x 7 / 645.57)


def test_a_special_dividend_explains_its_drop():
    moved = context(bars([100.0, 50.0]), action("dividend", 1, cash=50.0)).iloc[-1]
    assert moved["unexplained_log_return"] == 0.0


def test_a_dividend_above_the_close_explains_nothing():
    moved = context(bars([10.0, 1.0]), action("dividend", 1, cash=12.0)).iloc[-1]
    assert moved["unexplained_log_return"] == pytest.approx(math.log(0.1))


def test_a_delisting_in_effect_explains_the_drop():
    assert context(bars([100.0, 1.0]), action("delisting", 1)).iloc[-1]["unexplained_log_return"] == 0.0


def test_a_split_that_became_known_after_the_bar_explains_nothing():
    late = action("split", 1, ratio=2.0, known=pd.Timestamp(DAYS[5], tz="UTC"))
    assert context(bars([100.0, 50.0]), late).iloc[-1]["unexplained_log_return"] == pytest.approx(math.log(0.5))


def test_a_split_in_a_session_without_a_bar_counts_for_the_next_bar():
    assert context(bars([100.0, None, 50.0]), action("split", 1, ratio=2.0)).iloc[-1]["unexplained_log_return"] == 0.0


def test_the_return_from_a_slipped_close_is_no_second_jump():
    moves = context(bars([100.0, 101.0, 10_000.0, 100.0, 102.0]))["unexplained_log_return"].to_numpy()
    assert abs(moves[2]) > 4.5
    assert np.abs(moves[3:]).max() < 0.03


def test_a_slip_over_a_split_is_measured_on_split_terms():
    frame = bars([700.0, 700.0, 7.0, 101.0])  # split 7:1 in the last session, the close before it in the wrong unit
    last = context(frame, action("split", 3, ratio=7.0)).iloc[-1]
    assert last["unexplained_log_return"] == pytest.approx(math.log(101.0 / 100.0))


def test_a_close_older_than_the_look_back_is_no_reference():
    inside = context(bars([100.0, *[None] * 29, 10.0]))
    outside = context(bars([100.0, *[None] * 30, 10.0]))
    assert inside.iloc[-1]["unexplained_log_return"] == pytest.approx(math.log(0.1))
    assert math.isnan(outside.iloc[-1]["unexplained_log_return"])


def test_bars_of_different_symbols_are_not_compared():
    both = pd.concat([bars([100.0], symbol="AAA"), bars([5.0], symbol="BBB", start=1)])
    assert context(both)["unexplained_log_return"].isna().all()


def test_the_overnight_move_is_measured_on_split_terms():
    moved = context(bars([100.0, 51.0], opens=[100.0, 52.0]), action("split", 1, ratio=2.0)).iloc[-1]
    assert moved["overnight_log_return"] == pytest.approx(math.log(1.04))


@pytest.mark.parametrize(
    ("ratio", "opened", "closed", "is_doubted"),
    [
        (2.0, 100.5, 101.0, True),  # the prices did not move
        (1e9, 100.5, 101.0, True),
        (7.0, 50.0, 50.0, True),  # they moved, but by far less than recorded: whatever the size
        (1.5, 100.5, 101.0, True),  # within the bound, and half of the move is gone without the split
        (1.5, 67.0, 66.0, False),  # a true 3:2 split
        (1.5, 82.0, 81.0, False),  # 100 to 66.7 would be the split, and a gain of 22 %: not clearly a contradiction
        (1.5, 67.0, 99.0, False),  # opened on the split's terms: the rise is the day's
        (1.1, 101.0, 101.0, False),  # a gain of 11 % on a stock dividend of a tenth is a market's
        (1 / 8, 100.5, 101.0, True),
        (1.0027, 43.0, 43.0, False),  # a crash on the day of a stock dividend of 0.27 %
    ],
)
def test_a_recorded_split_that_the_prices_contradict_is_doubted(ratio, opened, closed, is_doubted):
    frame = bars([100.0, closed], opens=[100.0, opened])
    assert context(frame, action("split", 1, ratio=ratio)).iloc[-1]["contradicts_actions"] == is_doubted


def test_a_recorded_dividend_that_the_prices_contradict_is_doubted():
    recorded = action("dividend", 1, cash=40.0)
    assert context(bars([100.0, 101.0]), recorded).iloc[-1]["contradicts_actions"]
    assert not context(bars([100.0, 61.0]), recorded).iloc[-1]["contradicts_actions"]


def test_a_split_is_doubted_at_the_first_bar_after_it():
    frame = bars([100.0, None, 101.0, 101.0])
    doubted = context(frame, action("split", 1, ratio=2.0))["contradicts_actions"].tolist()
    assert doubted == [False, True, False]


def test_identical_closes_are_counted_up_to_the_setting():
    counted = context(bars([9.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 11.0]))["identical_closes"]
    assert counted.tolist() == [1, 1, 2, 3, 4, 5, 5, 1]


def test_a_halted_bar_breaks_the_run_of_identical_closes():
    frame = bars([10.0] * 6)
    frame.loc[2, "volume_shares"] = 0.0
    assert context(frame)["identical_closes"].tolist() == [1, 2, 1, 1, 2, 3]


def test_a_repeated_row_is_read_alike_in_either_order():
    twice = pd.concat([bars([100.0, 50.0]), bars([90.0], start=1)])
    pd.testing.assert_frame_equal(context(twice), context(twice.iloc[::-1]))


def test_a_repeat_longer_than_the_look_back_is_refused():
    with pytest.raises(ConfigurationError, match=r"stale_repeat_sessions: 31 exceeds the 30 sessions"):
        context(bars([1.0]), settings=QualitySettings(stale_repeat_sessions=31))
