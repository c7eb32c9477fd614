from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import PortfolioSettings
from aegis.errors import PortfolioError
from aegis.lake.tables import CORPORATE_ACTIONS, COVARIANCES, DAILY_BARS, UNIVERSE
from aegis.portfolio.covariance import covariance_matrix, covariances, lookback_sessions

CALENDAR = trading_calendar("XNYS")
LAST = date(2020, 6, 30)
SESSIONS = CALENDAR.sessions(CALENDAR.offset(LAST, -59), LAST)
DECISIONS = {s: CALENDAR.close_utc(s) + timedelta(minutes=15) for s in SESSIONS}
SETTINGS = PortfolioSettings(covariance_lookback_sessions=40)
SYMBOLS = ("AAA", "BBB", "CCC")


def true_returns():
    return np.random.default_rng(5).normal(0.0, 0.02, size=(len(SESSIONS), len(SYMBOLS)))


def bars_of(closes):
    rows, columns = closes.shape
    sessions = np.repeat(pd.DatetimeIndex(SESSIONS).to_numpy(), columns)
    return DAILY_BARS.conform(
        pd.DataFrame(
            {
                "session": sessions,
                "symbol": np.tile(SYMBOLS, rows),
                "ticker": np.tile(SYMBOLS, rows),
                **{f"{field}_raw_usd": closes.ravel() for field in ("open", "high", "low", "close")},
                "volume_shares": 1e6,
                "source": "test",
                "known_at_utc": pd.DatetimeIndex(sessions).tz_localize("UTC"),
            }
        )
    )


def universe_of(members=SYMBOLS):
    frame = pd.DataFrame([(s, symbol) for s in SESSIONS for symbol in members], columns=["session", "symbol"])
    return UNIVERSE.conform(
        frame.assign(
            ticker=frame["symbol"],
            sector="Test",
            is_member=True,
            reason="test",
            median_dollar_volume_usd=1e8,
            known_at_utc=frame["session"].map(DECISIONS),
        )
    )


def estimate(bars, *, universe=None, first=LAST, last=LAST):
    return covariances(
        bars,
        CORPORATE_ACTIONS.empty(),
        universe_of() if universe is None else universe,
        first=first,
        last=last,
        calendar=CALENDAR,
        settings=SETTINGS,
        decision_times=DECISIONS,
    )


def prices():
    return 50.0 * np.cumprod(1.0 + true_returns(), axis=0)


def test_the_window_is_the_trailing_returns_of_the_members():
    rows = estimate(bars_of(prices()))

    symbols, matrix = covariance_matrix(rows)
    window = true_returns()[-40:]
    sample = np.cov(window.T, bias=True)
    shrinkage = rows["shrinkage"].iloc[0]
    expected = (1 - shrinkage) * sample + shrinkage * np.trace(sample) / 3 * np.eye(3)
    assert symbols == SYMBOLS
    np.testing.assert_allclose(matrix, expected, rtol=1e-10)
    assert rows["known_at_utc"].tolist() == [pd.Timestamp(DECISIONS[LAST])] * 3
    assert rows["position"].tolist() == [0, 1, 2]


def test_members_of_each_session_make_their_own_matrix():
    universe = universe_of()
    universe = universe[(universe["symbol"] != "BBB") | (universe["session"] < pd.Timestamp(LAST))]

    rows = estimate(bars_of(prices()), universe=universe, first=SESSIONS[-2])

    by_session = {s.date(): covariance_matrix(part) for s, part in rows.groupby("session")}
    assert by_session[SESSIONS[-2]][0] == SYMBOLS
    assert by_session[LAST][0] == ("AAA", "CCC")
    assert by_session[LAST][1].shape == (2, 2)


def test_a_member_with_too_few_returns_is_left_out():
    bars = bars_of(prices())
    with_38 = bars.drop(index=bars.index[(bars["symbol"] == "BBB")][: 60 - 39])  # 39 closes, 38 of 40 returns
    with_37 = bars.drop(index=bars.index[(bars["symbol"] == "BBB")][: 60 - 38])

    assert covariance_matrix(estimate(with_38))[0] == SYMBOLS
    assert covariance_matrix(estimate(with_37))[0] == ("AAA", "CCC")


def test_sessions_that_the_gate_blocked_are_held_against_nobody():
    closes, bars = prices(), bars_of(prices())
    blocked = [25, 30, 35, 40, 45]  # five of the 40: 35 returns are left, five of them over two sessions
    kept = [row for row in range(len(SESSIONS)) if row not in blocked]

    rows = estimate(bars[~bars["session"].isin(pd.DatetimeIndex([SESSIONS[row] for row in blocked]))])

    symbols, matrix = covariance_matrix(rows)
    window = (closes[kept[1:]] / closes[kept[:-1]] - 1.0)[-35:]
    sample, shrinkage = np.cov(window.T, bias=True), rows["shrinkage"].iloc[0]
    assert symbols == SYMBOLS
    expected = (1 - shrinkage) * sample + shrinkage * np.trace(sample) / 3 * np.eye(3)
    np.testing.assert_allclose(matrix, expected, rtol=1e-10)


def test_seven_tenths_of_the_look_back_are_needed_whatever_was_blocked():
    bars = bars_of(prices())

    twelve = bars[~bars["session"].isin(pd.DatetimeIndex(SESSIONS[21:45:2]))]
    thirteen = bars[~bars["session"].isin(pd.DatetimeIndex(SESSIONS[21:47:2]))]

    assert covariance_matrix(estimate(twelve))[0] == SYMBOLS
    assert estimate(thirteen).empty


def test_a_session_without_members_has_no_rows():
    universe = universe_of()
    universe = universe[universe["session"] < pd.Timestamp(LAST)]

    assert estimate(bars_of(prices()), universe=universe).columns.tolist() == COVARIANCES.column_names
    assert estimate(bars_of(prices()), universe=universe).empty


def test_the_stated_look_back_is_enough():
    bars = bars_of(prices())
    start = CALENDAR.offset(LAST, -lookback_sessions(SETTINGS))

    stated = estimate(bars[bars["session"] >= pd.Timestamp(start)])

    assert COVARIANCES.content_hashes(stated) == COVARIANCES.content_hashes(estimate(bars))


def test_an_incomplete_matrix_is_refused():
    rows = estimate(bars_of(prices()))

    with pytest.raises(PortfolioError, match="found positions \\[0, 2\\]"):
        covariance_matrix(rows.drop(index=1))


def test_rows_of_two_sessions_are_refused():
    rows = estimate(bars_of(prices()), first=SESSIONS[-2])

    with pytest.raises(PortfolioError, match="of one session"):
        covariance_matrix(rows)


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(PortfolioError, match="must not be the later"):
        estimate(bars_of(prices()), first=LAST, last=SESSIONS[-2])
