"""Which detector judges which series on which day, and when its answer is an alarm; series are drawn or by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.config_drift import DriftSettings
from aegis.drift.series import FAMILIES, delivery_series, fill_rate_series, slippage_series
from aegis.drift.watch import alarm_words, drift_measures, newest_alarms

SESSIONS = pd.bdate_range("2017-01-02", "2020-06-12")
"""Weekdays; the newest is no quarter's last."""
SETTINGS = DriftSettings()


def frame(**columns):
    return pd.DataFrame(columns, index=pd.DatetimeIndex(SESSIONS, name="session"))


def measured(settings=SETTINGS, **frames):
    series = {family: frames.get(family, pd.DataFrame()) for family in FAMILIES}
    return drift_measures(series, account="simulated", settings=settings)


def noise(seed, size=None):
    return np.random.default_rng(seed).standard_normal(len(SESSIONS) if size is None else size)


def shifted(seed, *, since, by):
    values = noise(seed)
    values[np.searchsorted(SESSIONS, pd.Timestamp(since)) :] += by
    return values


def test_features_are_judged_at_the_end_of_each_quarter_and_at_the_newest_session() -> None:
    found = measured(features=frame(momentum=noise(1)))
    days = [str(day.date()) for day in found["session"].unique()]
    # 504 + 63 sessions are full in March 2019.
    assert days == ["2019-03-29", "2019-06-28", "2019-09-30", "2019-12-31", "2020-03-31", "2020-06-12"]
    assert set(found["detector"]) == {"population stability", "kolmogorov smirnov"}
    assert found["is_judged"].all()
    assert not found["is_alarm"].any()
    assert (found["reference_values"] == 504).all()
    assert (found["window_values"] == 63).all()


def test_a_feature_that_shifted_alarms_with_its_name_its_values_and_a_remedy() -> None:
    found = measured(features=frame(momentum=shifted(1, since="2020-03-17", by=-2.0), trend=noise(2)))
    alarms = newest_alarms(found)
    assert set(alarms["series"]) == {"momentum"}
    assert set(alarms["direction"]) == {-1}
    family, words = alarm_words(alarms)[0]
    assert family == "features"
    assert words.startswith("momentum 2020-06-12: ")
    assert "the 63 values from 2020-03-18 on are lower than the 504 before" in words
    assert words.endswith("compare bars, universe and the feature's definition of both stretches before relying on it")


def test_a_series_that_repeats_itself_is_judged_over_the_longer_window_or_not_at_all() -> None:
    # Means of ten independent sessions repeat themselves for ten; random walks for ever.
    slow = np.convolve(noise(3, len(SESSIONS) + 9), np.ones(10) / 10, mode="valid")
    found = measured(features=frame(slow=slow, walk=np.cumsum(noise(4))))
    last = found[found["session"] == found["session"].max()].set_index("series")
    assert (last.loc["slow", "window_values"] == 252).all()
    assert last.loc["slow", "is_judged"].all()
    assert not last.loc["walk", "is_judged"].any()
    assert last.loc["walk", "threshold"].isna().all()
    assert not found["is_alarm"].any()


def test_worse_results_alarm_and_better_ones_do_not() -> None:
    for by, is_alarm in ((-0.6, True), (0.6, False)):
        found = measured(performance=frame(active=0.01 * shifted(5, since="2020-01-01", by=by)))
        last = found[found["session"] == found["session"].max()].to_dict("records")[0]
        assert last["is_drift"]
        assert last["is_alarm"] is is_alarm
        assert (last["window_first_session"], last["window_values"]) == (pd.Timestamp("2020-01-01"), 118)


def test_results_count_as_live_from_the_day_that_settings_name() -> None:
    settings = DriftSettings(live_since=date(2019, 7, 1))
    found = measured(settings, performance=frame(active=0.01 * noise(6)))
    first = found.groupby("session")["window_first_session"].first()
    assert first[pd.Timestamp("2020-06-12")] == pd.Timestamp("2019-07-01")
    assert first[pd.Timestamp("2018-12-31")] == pd.Timestamp("2018-01-01"), "before it a year is held against the last"


def test_a_cost_that_never_changed_makes_any_change_an_outlier() -> None:
    constant = np.full(len(SESSIONS), 5.0)
    assert not measured(slippage=frame(slippage_bps=constant))["is_alarm"].any()
    raised = constant.copy()
    raised[-3] = 5.1
    alarm = newest_alarms(measured(slippage=frame(slippage_bps=raised))).to_dict("records")[0]
    assert (alarm["detector"], alarm["noticed_session"]) == ("outlier", pd.Timestamp("2020-06-10"))


def test_one_delivery_unlike_all_before_alarms_for_a_week() -> None:
    values = 0.01 * noise(7) + 20.0
    for back, is_told in ((5, True), (6, False)):
        odd = values.copy()
        odd[-back] = 10.0
        assert (len(newest_alarms(measured(data=frame(volume=odd)))) == 1) is is_told


def test_too_short_a_history_says_nothing() -> None:
    assert measured(features=frame(momentum=noise(1)).iloc[:566]).empty
    assert len(measured(features=frame(momentum=noise(1)).iloc[:567])) == 2
    assert newest_alarms(measured()).empty
    assert alarm_words(newest_alarms(measured())) == []


def test_a_family_s_rate_is_shared_by_its_series() -> None:
    few = measured(features=frame(a=noise(1)))["threshold"].iloc[0]
    many = measured(features=frame(a=noise(1), b=noise(2), c=noise(3)))
    assert many[many["series"] == "a"]["threshold"].iloc[0] > few


def test_costs_are_in_bps_of_what_was_traded_by_session() -> None:
    fills = pd.DataFrame(
        {
            "session": pd.to_datetime(["2020-06-11", "2020-06-11", "2020-06-12"]),
            "quantity_shares": [100.0, -50.0, -10.0],
            "price_usd": [10.02, 19.96, 30.0],
            "reference_price_usd": [10.0, 20.0, 30.0],
            "arrival_price_usd": [9.9, 20.0, 30.3],
            "slippage_usd": [2.0, 2.0, 0.0],
        }
    )
    found = slippage_series(fills)
    # 4 of 2,000 traded; 12 + 2 lost against an arrival worth 1,990; a sale below arrival loses 0.3 of 30.3.
    assert found["slippage_bps"].tolist() == pytest.approx([20.0, 0.0])
    assert found["shortfall_bps"].tolist() == pytest.approx([14 / 1990 * 1e4, 0.3 / 30.3 * 1e4])


def test_the_filled_share_is_by_value_and_orders_that_wait_are_not_counted() -> None:
    orders = pd.DataFrame(
        {
            "gate_outcome": ["approved", "approved", "refused", "approved"],
            "execution_session": pd.to_datetime(["2020-06-11", "2020-06-11", "2020-06-11", "2020-06-15"]),
            "quantity_shares": [100.0, -50.0, 70.0, 10.0],
            "arrival_price_usd": [10.0, 20.0, 5.0, 10.0],
        }
    )
    fills = pd.DataFrame(  # the sale's 50 shares became 100 at 10 by a split overnight; 40 of them were sold
        {"session": pd.to_datetime(["2020-06-11"]), "quantity_shares": [-40.0], "arrival_price_usd": [10.0]}
    )
    found = fill_rate_series(orders, fills, traded=pd.Series(pd.to_datetime(["2020-06-11", "2020-06-12"])))
    assert found["filled share"].to_dict() == {pd.Timestamp("2020-06-11"): 400 / 2000}


def test_a_delivery_is_its_dollar_volume_and_its_median_range_and_move() -> None:
    bars = pd.DataFrame(
        {
            "session": pd.to_datetime(["2020-06-11"] * 3),
            "open_raw_usd": [10.0, 10.0, 10.0],
            "high_raw_usd": [11.0, 12.0, 20.0],
            "low_raw_usd": [10.0, 10.0, 10.0],
            "close_raw_usd": [11.0, 10.0, 20.0],
            "volume_shares": [100.0, 0.0, 45.0],
        }
    )
    found = delivery_series(bars).iloc[0]
    assert found.tolist() == pytest.approx([np.log(2000.0), np.log(1.2), np.log(1.1)])
