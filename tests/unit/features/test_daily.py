"""Features against plain arithmetic on the adjusted prices that the bars were made from."""

import math
import statistics
from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.errors import FeatureError
from aegis.features import observations
from aegis.features.daily import LOOKBACK_SESSIONS, daily_features
from aegis.lake.tables import CORPORATE_ACTIONS, DAILY_BARS, DAILY_FEATURES, UNIVERSE
from aegis.lake.tables.features import FEATURES, SYMBOL_FEATURES

CALENDAR = trading_calendar("XNYS")
LAST = date(2020, 6, 30)
SESSIONS = CALENDAR.sessions(CALENDAR.offset(LAST, -299), LAST)
DECISIONS = {s: CALENDAR.close_utc(s) + timedelta(minutes=15) for s in SESSIONS}
COLUMNS = ["momentum_12_1", "reversal_5", "volatility_63", "trend_50_200", "liquidity_21"]
NO_ACTIONS = CORPORATE_ACTIONS.empty()


def adjusted_prices(seed=7):
    """Total-return index of 300 sessions, the truth that raw bars are made from."""
    returns = np.random.default_rng(seed).normal(0.0005, 0.015, size=len(SESSIONS))
    return 80.0 * np.cumprod(1.0 + returns)


def bars_of(closes, volumes=None, *, symbol="AAA", without=()):
    closes = np.asarray(closes, dtype=np.float64)
    frame = pd.DataFrame(
        {
            "session": pd.DatetimeIndex(SESSIONS),
            "symbol": symbol,
            "ticker": symbol,
            **{f"{field}_raw_usd": closes for field in ("open", "high", "low", "close")},
            "volume_shares": np.full(len(SESSIONS), 1e6) if volumes is None else volumes,
            "source": "test",
            "known_at_utc": CALENDAR.closes_utc(SESSIONS),
        }
    )
    return DAILY_BARS.conform(frame.drop(index=[len(SESSIONS) + i for i in without]))


def ranging_bars(symbol="AAA", seed=5, without=()):
    """Bars whose open, high, low and close differ."""
    random = np.random.default_rng(seed)
    bars = bars_of(adjusted_prices(seed), symbol=symbol)
    opened = bars["close_raw_usd"] * (1.0 + random.normal(0.0, 0.01, len(bars)))
    above, below = 1.0 + random.uniform(0.001, 0.01, (2, len(bars)))
    bars["open_raw_usd"] = opened
    bars["high_raw_usd"] = np.maximum(opened, bars["close_raw_usd"]) * above
    bars["low_raw_usd"] = np.minimum(opened, bars["close_raw_usd"]) / below
    return bars.drop(index=[len(bars) + i for i in without]).reset_index(drop=True)


def universe_of(symbols=("AAA",), sessions=SESSIONS):
    return UNIVERSE.conform(
        pd.DataFrame(
            [
                {
                    "session": s,
                    "symbol": symbol,
                    "ticker": symbol,
                    "sector": "Test",
                    "is_member": symbol != "OUT",
                    "reason": "test",
                    "median_dollar_volume_usd": 1e8,
                    "known_at_utc": DECISIONS[s],
                }
                for s in sessions
                for symbol in symbols
            ]
        )
    )


def features_of(bars, actions=NO_ACTIONS, universe=None, first=LAST, last=LAST):
    return daily_features(
        bars,
        actions,
        universe_of() if universe is None else universe,
        first=first,
        last=last,
        calendar=CALENDAR,
        decision_times=DECISIONS,
        benchmark="MKT",
    )


def actions_of(*rows):
    frame = pd.DataFrame(rows, columns=["session", "action", "split_ratio", "dividend_usd"])
    return CORPORATE_ACTIONS.conform(
        frame.assign(
            symbol="AAA",
            pay_session=pd.NaT,
            new_ticker=None,
            source="test",
            known_at_utc=CALENDAR.opens_utc(list(frame["session"])),
        )
    )


def test_each_feature_is_what_its_definition_says():
    index = adjusted_prices()
    volumes = np.random.default_rng(1).uniform(5e5, 2e6, size=len(SESSIONS))

    row = features_of(bars_of(index, volumes)).iloc[0]

    returns = [b / a - 1 for a, b in zip(index[-64:-1], index[-63:], strict=True)]
    assert row["momentum_12_1"] == pytest.approx(index[-22] / index[-253] - 1, rel=1e-12)
    assert row["reversal_5"] == pytest.approx(1 - index[-1] / index[-6], rel=1e-12)
    assert row["volatility_63"] == pytest.approx(statistics.stdev(returns) * math.sqrt(252), rel=1e-12)
    assert row["trend_50_200"] == pytest.approx(
        math.log(statistics.fmean(index[-50:]) / statistics.fmean(index[-200:]))
    )
    assert row["liquidity_21"] == pytest.approx(math.log(statistics.median(index[-21:] * volumes[-21:])), rel=1e-12)
    assert row["known_at_utc"] == pd.Timestamp(DECISIONS[LAST])


def test_a_split_and_a_dividend_leave_the_features_of_the_adjusted_series():
    index = adjusted_prices()
    raw = index.copy()
    raw[200:] /= 2.0  # a 2-for-1 split goes ex in session 200
    dividend = 1.5
    # cum-dividend price falls by the dividend: raw holder's total return must stay index[270] / index[269] - 1
    raw[270:] *= (raw[270] - dividend) / raw[270]
    actions = actions_of((SESSIONS[200], "split", 2.0, 0.0), (SESSIONS[270], "dividend", 1.0, dividend))

    plain = features_of(bars_of(index)).iloc[0]
    traded = features_of(bars_of(raw), actions).iloc[0]

    for column in COLUMNS[:4]:
        assert traded[column] == pytest.approx(plain[column], rel=1e-10), column


def test_only_members_get_a_row_and_other_sessions_none():
    bars = pd.concat([bars_of(adjusted_prices(), symbol=s) for s in ("AAA", "OUT")], ignore_index=True)

    features = features_of(bars, universe=universe_of(("AAA", "OUT")), first=SESSIONS[-3])

    assert features["symbol"].tolist() == ["AAA"] * 3
    assert features["session"].tolist() == [pd.Timestamp(s) for s in SESSIONS[-3:]]


def test_features_are_null_until_their_look_back_is_full():
    young = bars_of(adjusted_prices()).iloc[-252:]

    row = features_of(young).iloc[0]

    assert math.isnan(row["momentum_12_1"])
    assert not math.isnan(row["trend_50_200"])
    assert not math.isnan(features_of(bars_of(adjusted_prices()).iloc[-253:]).iloc[0]["momentum_12_1"])


@pytest.mark.parametrize("feature", SYMBOL_FEATURES, ids=lambda feature: feature.name)
def test_a_feature_needs_exactly_its_closes(feature):
    bars, enough, one_less = features_by_bars()[feature.closes]

    assert bars == feature.closes
    assert not math.isnan(enough[feature.name])
    assert math.isnan(one_less[feature.name])


@cache
def features_by_bars():
    """For each look-back: the last session's features from as many bars of the symbol, and from one bar less."""
    bars, market = ranging_bars(), ranging_bars("MKT", seed=3)
    found = {}
    for closes in sorted({feature.closes for feature in SYMBOL_FEATURES}):
        rows = [features_of(pd.concat([bars.iloc[-held:], market])).iloc[0] for held in (closes, closes - 1)]
        found[closes] = closes, *rows
    return found


def test_one_missing_session_silences_no_feature_and_keeps_the_return_over_it():
    index = adjusted_prices()

    row = features_of(bars_of(index, without=[-3])).iloc[0]

    assert not row[COLUMNS].isna().any()
    assert row["reversal_5"] == pytest.approx(1 - index[-1] / index[-6], rel=1e-12)
    assert row["momentum_12_1"] == pytest.approx(index[-22] / index[-253] - 1, rel=1e-12)


def test_volatility_over_a_gap_counts_one_return():
    index = adjusted_prices()
    held = np.delete(index, len(index) - 3)

    row = features_of(bars_of(index, without=[-3])).iloc[0]

    returns = held[1:][-62:] / held[:-1][-62:] - 1
    assert row["volatility_63"] == pytest.approx(statistics.stdev(returns) * math.sqrt(252), rel=1e-12)


def test_more_missing_bars_than_the_policy_allows_give_null():
    scattered = [-2, -12, -22, -32]  # 4 of 64 closes: one more than 5 % of 64 rounded down

    row = features_of(bars_of(adjusted_prices(), without=scattered)).iloc[0]
    fewer = features_of(bars_of(adjusted_prices(), without=scattered[:3])).iloc[0]

    assert math.isnan(row["volatility_63"])
    assert not math.isnan(fewer["volatility_63"])


def test_a_gap_of_six_sessions_is_not_bridged_even_where_few_bars_are_missing():
    gap = list(range(-106, -100))

    row = features_of(bars_of(adjusted_prices(), without=gap)).iloc[0]
    bridged = features_of(bars_of(adjusted_prices(), without=gap[1:])).iloc[0]

    assert math.isnan(row["trend_50_200"])
    assert math.isnan(row["momentum_12_1"])
    assert not bridged[["trend_50_200", "momentum_12_1"]].isna().any()


def test_a_session_that_the_gate_blocked_for_all_silences_no_feature():
    bars = pd.concat([ranging_bars(without=[-3]), ranging_bars("MKT", seed=3, without=[-3])])

    row = features_of(bars).iloc[0]

    assert not row[[feature.name for feature in SYMBOL_FEATURES]].isna().any()


def test_volume_of_zero_has_no_liquidity_and_no_range():
    volumeless = ranging_bars()
    volumeless["volume_shares"] = 0.0

    row = features_of(pd.concat([volumeless, ranging_bars("MKT", seed=3)])).iloc[0]

    silent = {name for name in row.index if not name.endswith(("_rank", "_z")) and pd.isna(row[name])}
    assert silent == {
        "liquidity_21", "amihud_21", "volume_5_63", "corwin_schultz_spread_21", "parkinson_volatility_21",
        "garman_klass_volatility_21",
    }  # fmt: skip


def test_a_close_that_never_moves_has_no_skewness_no_slope_and_no_volatility():
    row = features_of(pd.concat([bars_of(np.full(len(SESSIONS), 70.1)), ranging_bars("MKT")])).iloc[0]

    assert math.isnan(row["skewness_63"])
    assert math.isnan(row["trend_t_63"])
    assert row[["volatility_63", "downside_volatility_63", "parkinson_volatility_21", "beta_252"]].tolist() == [0.0] * 4
    assert row["high_52w"] == 1.0
    assert row["macd_12_26"] == pytest.approx(0.0, abs=1e-15)


def test_a_close_on_a_line_has_no_t_statistic():
    row = features_of(bars_of(80.0 * 1.001 ** np.arange(len(SESSIONS)))).iloc[0]

    assert math.isnan(row["trend_t_63"])
    assert math.isnan(row["skewness_63"])


@pytest.mark.parametrize("market", ["absent", "flat"])
def test_a_benchmark_that_says_nothing_gives_no_beta(market):
    flat = bars_of(np.full(len(SESSIONS), 100.0), symbol="MKT")
    bars = ranging_bars() if market == "absent" else pd.concat([ranging_bars(), flat])

    row = features_of(bars).iloc[0]

    assert row[["beta_252", "idiosyncratic_volatility_252"]].isna().all()
    assert not math.isnan(row["volatility_63"])


def test_the_benchmark_of_itself_has_a_beta_of_one_and_nothing_of_its_own():
    row = features_of(ranging_bars("MKT"), universe=universe_of(("MKT",))).iloc[0]

    assert row["beta_252"] == pytest.approx(1.0, rel=1e-13)
    assert row["idiosyncratic_volatility_252"] == pytest.approx(0.0, abs=1e-7)


def test_a_session_of_four_members_has_no_ranks():
    bars = [ranging_bars(name, seed) for seed, name in enumerate(["AAA", "BBB", "CCC", "DDD", "EEE"])]

    four = features_of(pd.concat(bars), universe=universe_of(("AAA", "BBB", "CCC", "DDD")))
    five = features_of(pd.concat(bars), universe=universe_of(("AAA", "BBB", "CCC", "DDD", "EEE")))

    assert four["momentum_12_1_rank"].isna().all()
    assert sorted(five["momentum_12_1_rank"]) == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert five["dividend_yield_12_rank"].tolist() == [0.5] * 5  # nobody pays: all share the mean rank
    assert five["dividend_yield_12_z"].tolist() == [0.0] * 5


def test_a_split_recorded_later_changes_no_feature_of_earlier_decisions():
    bars = pd.concat([ranging_bars(), ranging_bars("MKT", seed=3)])
    split = actions_of((SESSIONS[-2], "split", 2.0, 0.0))
    known_before = split.assign(known_at_utc=pd.Timestamp(DECISIONS[SESSIONS[-3]]))
    earlier = {"first": SESSIONS[-6], "last": SESSIONS[-3]}

    hashes = [
        DAILY_FEATURES.content_hashes(features_of(bars, actions, **earlier))
        for actions in (NO_ACTIONS, split, known_before)
    ]

    assert hashes[0] == hashes[1] == hashes[2]
    assert len(hashes[0]) == 4


def test_symbols_computed_together_are_the_same_bits_as_in_blocks_of_two(monkeypatch):
    names = ("AAA", "BBB", "CCC", "DDD", "EEE")
    bars = pd.concat([*(ranging_bars(name, seed) for seed, name in enumerate(names)), ranging_bars("MKT", seed=3)])

    together = features_of(bars, universe=universe_of(names), first=SESSIONS[-3])
    monkeypatch.setattr(observations, "CELLS_OF_A_BLOCK", 2 * (LOOKBACK_SESSIONS + 3))
    in_blocks = features_of(bars, universe=universe_of(names), first=SESSIONS[-3])

    assert DAILY_FEATURES.content_hashes(together) == DAILY_FEATURES.content_hashes(in_blocks)


def test_the_table_has_at_least_twenty_features_of_a_symbol():
    assert len({feature.name for feature in SYMBOL_FEATURES}) >= 20
    assert [column.name for column in DAILY_FEATURES.columns[2:-1]] == [feature.name for feature in FEATURES]


def test_an_empty_universe_gives_an_empty_table():
    features = features_of(bars_of(adjusted_prices()), universe=universe_of(("OUT",)))

    assert features.empty
    assert features.columns.tolist() == DAILY_FEATURES.column_names


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(FeatureError, match="must not be the later"):
        features_of(bars_of(adjusted_prices()), first=LAST, last=SESSIONS[-2])


def test_the_stated_look_back_is_enough():
    bars = bars_of(adjusted_prices())

    all_history = features_of(bars)
    stated = features_of(bars.iloc[-(LOOKBACK_SESSIONS + 1) :])

    assert DAILY_FEATURES.content_hashes(all_history) == DAILY_FEATURES.content_hashes(stated)
