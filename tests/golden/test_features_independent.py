"""Every feature against its formula written out for one symbol and session, by scipy and pandas where they know it."""

import math
from datetime import date, timedelta
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aegis.calendars import trading_calendar
from aegis.features.daily import daily_features
from aegis.lake.tables import CORPORATE_ACTIONS, DAILY_BARS, UNIVERSE
from aegis.lake.tables.features import RANKED_FEATURES, SYMBOL_FEATURES

CALENDAR = trading_calendar("XNYS")
LAST = date(2021, 3, 31)
SESSIONS = CALENDAR.sessions(CALENDAR.offset(LAST, -299), LAST)
DECIDED = SESSIONS[-12:]
DECISIONS = {s: CALENDAR.close_utc(s) + timedelta(minutes=15) for s in SESSIONS}
MARKET = "MKT"
NAMES = ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"]
FIELDS = ["open", "high", "low", "close", "volume"]
SPLITS = {("AAA", SESSIONS[150]): 2.0, ("BBB", SESSIONS[292]): 0.1, ("CCC", SESSIONS[280]): 3.0}
DIVIDENDS = {
    ("AAA", SESSIONS[100]): 0.8,
    ("AAA", SESSIONS[200]): 0.5,
    ("BBB", SESSIONS[291]): 1.1,
    ("CCC", SESSIONS[280]): 0.9,  # on the day of the split, per old share
    (MARKET, SESSIONS[250]): 1.5,
}
MISSING = {("CCC", SESSIONS[285]), ("DDD", SESSIONS[279]), (MARKET, SESSIONS[270])}
HALTED = {("BBB", SESSIONS[288])}
YOUNG = {"FFF": SESSIONS[150]}


@cache
def prices():
    """Raw prices by symbol and session, as lists of open, high, low, close and volume."""
    random = np.random.default_rng(21)
    found = {}
    for symbol in [*NAMES, MARKET]:
        close = 60.0
        for session in SESSIONS:
            before = close / SPLITS.get((symbol, session), 1.0)
            opened = before * math.exp(random.normal(0, 0.012))
            close = opened * math.exp(random.normal(0.0004, 0.014))
            high = max(opened, close) * math.exp(abs(random.normal(0, 0.006)))
            low = min(opened, close) * math.exp(-abs(random.normal(0, 0.006)))
            volume = float(random.integers(100_000, 900_000))
            if (symbol, session) in HALTED:
                opened = high = low = close = before
                volume = 0.0
            if (symbol, session) not in MISSING and session >= YOUNG.get(symbol, SESSIONS[0]):
                found[symbol, session] = dict(zip(FIELDS, [opened, high, low, close, volume], strict=True))
    return found


@cache
def features():
    bars = pd.DataFrame(
        [
            {
                "session": session,
                "symbol": symbol,
                "ticker": symbol,
                **{f"{field}_raw_usd": bar[field] for field in FIELDS[:4]},
                "volume_shares": bar["volume"],
                "source": "test",
                "known_at_utc": CALENDAR.close_utc(session),
            }
            for (symbol, session), bar in prices().items()
        ]
    )
    events = [(*key, "split", ratio, 0.0) for key, ratio in SPLITS.items()]
    events += [(*key, "dividend", 1.0, cash) for key, cash in DIVIDENDS.items()]
    actions = pd.DataFrame(events, columns=["symbol", "session", "action", "split_ratio", "dividend_usd"]).assign(
        pay_session=pd.NaT,
        new_ticker=None,
        source="test",
        known_at_utc=lambda f: CALENDAR.opens_utc(list(f["session"])),
    )
    members = pd.DataFrame(
        [(s, n) for s in DECIDED for n in NAMES if (n, s) in prices()], columns=["session", "symbol"]
    )
    universe = members.assign(
        ticker=members["symbol"],
        sector="Test",
        is_member=True,
        reason="test",
        median_dollar_volume_usd=1e7,
        known_at_utc=members["session"].map(DECISIONS),
    )
    return daily_features(
        DAILY_BARS.conform(bars),
        CORPORATE_ACTIONS.conform(actions),
        UNIVERSE.conform(universe),
        first=DECIDED[0],
        last=DECIDED[-1],
        calendar=CALENDAR,
        decision_times=DECISIONS,
        benchmark=MARKET,
    ).set_index(["session", "symbol"])


def history(symbol, until):
    """Bars of the sessions up to one, with total return ``r`` since the last bar, its age in sessions, and an index."""
    rows, before, growth = [], None, 1.0
    shares, cash, age = 1.0, 0.0, 0
    for session in SESSIONS[: SESSIONS.index(until) + 1]:
        cash += shares * DIVIDENDS.get((symbol, session), 0.0)
        shares *= SPLITS.get((symbol, session), 1.0)
        age += 1
        bar = prices().get((symbol, session))
        value = math.nan
        if bar and before:
            value = (bar["close"] * shares + cash) / before["close"] - 1.0
            growth *= 1.0 + value
        rows.append({**(bar or dict.fromkeys(FIELDS, math.nan)), "r": value, "age": age, "index": growth})
        if bar:
            before, shares, cash, age = bar, 1.0, 0.0, 0
    return pd.DataFrame(rows, index=SESSIONS[: len(rows)])


def spread_of(two):
    """Corwin-Schultz from two neighbouring bars, the first one on the second one's scale of prices."""
    first, second = two.iloc[0], two.iloc[1]
    scale = second["close"] / (1.0 + second["r"]) / first["close"]
    high_1, low_1, close_1 = (first[field] * scale for field in ("high", "low", "close"))
    high_2, low_2 = second["high"], second["low"]
    if low_2 > close_1:
        high_2, low_2 = high_2 - (low_2 - close_1), close_1
    elif high_2 < close_1:
        high_2, low_2 = close_1, low_2 + (close_1 - high_2)
    beta = math.log(high_1 / low_1) ** 2 + math.log(high_2 / low_2) ** 2
    gamma = math.log(max(high_1, high_2) / min(low_1, low_2)) ** 2
    k = 3 - 2 * math.sqrt(2)
    alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / k - math.sqrt(gamma / k)
    return max(2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha)), 0.0)


def yield_of(symbol, until, close):
    window = SESSIONS[SESSIONS.index(until) - 251 : SESSIONS.index(until) + 1]
    paid = 0.0
    for session in window:
        later = math.prod(ratio for (name, day), ratio in SPLITS.items() if name == symbol and session <= day <= until)
        paid += DIVIDENDS.get((symbol, session), 0.0) / later
    return paid / close


def by_formula(symbol, until):
    h, m = history(symbol, until), history(MARKET, until)
    p, r = h["index"], h["r"]
    dollars = h["close"] * h["volume"]
    traded = h[h["volume"] > 0].loc[SESSIONS[SESSIONS.index(until) - 20] :]
    year = pd.DataFrame({"y": r[h["age"] == 1], "x": m["r"][m["age"] == 1]})[-252:].loc[p.index[-252] :].dropna()
    line = stats.linregress(year["x"], year["y"])
    residuals = year["y"] - line.intercept - line.slope * year["x"]
    path = stats.linregress(np.arange(63), np.log(p[-63:]))
    days = h.index[-22:]
    pairs = [h.loc[[a, b]] for a, b in pairwise(days)]
    pairs = [two for two in pairs if (two["volume"] > 0).all()]
    impact = (r.abs() / dollars * 1e6)[-21:]
    return {
        "momentum_12_1": p.iloc[-22] / p.iloc[-253] - 1,
        "momentum_12_7": p.iloc[-127] / p.iloc[-253] - 1,
        "momentum_6_1": p.iloc[-22] / p.iloc[-127] - 1,
        "momentum_3_1": p.iloc[-22] / p.iloc[-64] - 1,
        "high_52w": p.iloc[-1] / p[-252:].max(),
        "seasonality_12": p.iloc[-232] / p.iloc[-253] - 1,
        "reversal_1": 1 - p.iloc[-1] / p.iloc[-2],
        "reversal_5": 1 - p.iloc[-1] / p.iloc[-6],
        "reversal_21": 1 - p.iloc[-1] / p.iloc[-22],
        "volatility_21": r[-21:].std() * math.sqrt(252),
        "volatility_63": r[-63:].std() * math.sqrt(252),
        "downside_volatility_63": math.sqrt(252 * np.mean([min(x, 0.0) ** 2 for x in r[-63:].dropna()])),
        "parkinson_volatility_21": math.sqrt(
            252 * np.mean(np.log(traded["high"] / traded["low"]) ** 2) / (4 * math.log(2))
        ),
        "garman_klass_volatility_21": math.sqrt(
            252
            * np.mean(
                0.5 * np.log(traded["high"] / traded["low"]) ** 2
                - (2 * math.log(2) - 1) * np.log(traded["close"] / traded["open"]) ** 2
            )
        ),
        "beta_252": line.slope,
        "idiosyncratic_volatility_252": math.sqrt(252 * (residuals**2).sum() / (len(year) - 2)),
        "skewness_63": stats.skew(r[-63:].dropna(), bias=False),
        "max_return_21": r[-21:].max(),
        "trend_50_200": math.log(p[-50:].mean() / p[-200:].mean()),
        "trend_t_63": path.slope / path.stderr,
        "macd_12_26": p[-104:].ewm(span=12).mean().iloc[-1] / p[-104:].ewm(span=26).mean().iloc[-1] - 1,
        "liquidity_21": math.log(dollars[-21:].median()),
        "amihud_21": impact[np.isfinite(impact)].mean(),
        "volume_5_63": math.log(dollars[-5:].mean() / dollars[-63:].mean()),
        "corwin_schultz_spread_21": np.mean([spread_of(two) for two in pairs]),
        "dividend_yield_12": yield_of(symbol, until, h["close"].iloc[-1]),
    }


@pytest.mark.parametrize("symbol", ["AAA", "BBB", "CCC", "DDD", "EEE"])
def test_every_feature_is_its_formula_over_splits_dividends_gaps_and_halts(symbol):
    for until in DECIDED[::3] + DECIDED[-1:]:
        if (symbol, until) not in prices():
            continue
        expected = by_formula(symbol, until)
        found = features().loc[(pd.Timestamp(until), symbol)]

        assert expected.keys() == {feature.name for feature in SYMBOL_FEATURES}
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-10, abs=1e-13), f"{symbol} {until} {name}"


def test_a_young_name_has_the_features_whose_closes_it_has():
    found = features().loc[(pd.Timestamp(LAST), "FFF")]

    for feature in SYMBOL_FEATURES:
        assert math.isnan(found[feature.name]) == (feature.closes > 150), feature.name


@pytest.mark.parametrize("name", RANKED_FEATURES)
def test_ranks_and_scores_are_among_the_members_that_have_the_feature(name):
    for session in DECIDED:
        rows = features().loc[pd.Timestamp(session)]
        present = rows[name].dropna()
        if len(present) < 5:
            assert rows[[f"{name}_rank", f"{name}_z"]].isna().all(axis=None)
            continue
        ranks = (stats.rankdata(present) - 0.5) / len(present)
        scores = np.clip(stats.zscore(present, ddof=1), -3, 3)

        np.testing.assert_allclose(rows.loc[present.index, f"{name}_rank"], ranks, rtol=1e-13)
        np.testing.assert_allclose(rows.loc[present.index, f"{name}_z"], scores, rtol=1e-9, atol=1e-12)
        assert rows.loc[rows[name].isna(), [f"{name}_rank", f"{name}_z"]].isna().all(axis=None)
