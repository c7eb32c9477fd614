from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.errors import CalendarError, FeatureError
from aegis.features.panel import (
    epoch_panels,
    knowledge_epochs,
    session_symbol_panel,
)
from aegis.lake.tables import CORPORATE_ACTIONS, DAILY_BARS

CALENDAR = trading_calendar("XNYS")
SESSIONS = CALENDAR.sessions(date(2020, 1, 2), date(2020, 1, 31))
FAR_FUTURE = datetime(2030, 1, 1, tzinfo=UTC)


def decisions(sessions):
    return {s: CALENDAR.close_utc(s) + timedelta(minutes=15) for s in sessions}


def bars(closes, symbol="AAA"):
    """Bars of the sessions whose close is given; None leaves the bar out."""
    rows = [(s, c) for s, c in zip(SESSIONS, closes, strict=False) if c is not None]
    return DAILY_BARS.conform(
        pd.DataFrame(
            {
                "session": [s for s, _ in rows],
                "symbol": symbol,
                "ticker": symbol,
                **{f"{field}_raw_usd": [float(c) for _, c in rows] for field in ("open", "high", "low", "close")},
                "volume_shares": 10.0,
                "source": "test",
                "known_at_utc": [CALENDAR.close_utc(s) for s, _ in rows],
            }
        )
    )


def action(session, *, kind, known_at, split_ratio=1.0, dividend_usd=0.0):
    return CORPORATE_ACTIONS.conform(
        pd.DataFrame(
            {
                "session": [session],
                "symbol": "AAA",
                "action": kind,
                "split_ratio": split_ratio,
                "dividend_usd": dividend_usd,
                "pay_session": pd.NaT,
                "new_ticker": None,
                "source": "test",
                "known_at_utc": [known_at],
            }
        )
    )


NO_ACTIONS = CORPORATE_ACTIONS.empty()


def test_the_return_over_a_gap_accrues_at_the_next_bar():
    panel = session_symbol_panel(
        bars([100, None, 110, 121]), NO_ACTIONS, sessions=SESSIONS[:4], symbols=["AAA"], as_known_at=FAR_FUTURE
    )

    np.testing.assert_allclose(panel.total_returns[:, 0], [np.nan, np.nan, 0.10, 0.10], rtol=1e-14)
    np.testing.assert_allclose(panel.gross_returns[:, 0], [1, 1, 1.1, 1.1], rtol=1e-14)
    assert panel.dollar_volume_usd[0, 0] == 1000.0


def test_a_gap_of_five_sessions_is_bridged_and_one_of_six_is_not():
    five = session_symbol_panel(
        bars([100, *[None] * 5, 110]), NO_ACTIONS, sessions=SESSIONS[:7], symbols=["AAA"], as_known_at=FAR_FUTURE
    )
    six = session_symbol_panel(
        bars([100, *[None] * 6, 110]), NO_ACTIONS, sessions=SESSIONS[:8], symbols=["AAA"], as_known_at=FAR_FUTURE
    )

    assert five.total_returns[6, 0] == pytest.approx(0.10)
    assert five.is_known[:, 0].all()
    assert np.isnan(six.total_returns[7, 0])
    assert six.is_known[:, 0].tolist() == [True] * 6 + [False, True]


def test_splits_and_dividends_are_part_of_the_return():
    split = action(SESSIONS[1], kind="split", split_ratio=2.0, known_at=CALENDAR.open_utc(SESSIONS[1]))
    dividend = action(SESSIONS[2], kind="dividend", dividend_usd=1.0, known_at=CALENDAR.open_utc(SESSIONS[2]))
    panel = session_symbol_panel(
        bars([100, 51, 50]),
        pd.concat([split, dividend], ignore_index=True),
        sessions=SESSIONS[:3],
        symbols=["AAA"],
        as_known_at=FAR_FUTURE,
    )

    # (51 * 2) / 100 - 1 = 2 %; (50 + 1) / 51 - 1 = 0
    np.testing.assert_allclose(panel.total_returns[1:, 0], [0.02, 0.0], atol=1e-15)


def test_actions_that_go_ex_within_a_gap_are_in_the_return_after_it():
    split = action(SESSIONS[1], kind="split", split_ratio=2.0, known_at=CALENDAR.open_utc(SESSIONS[1]))
    dividend = action(SESSIONS[2], kind="dividend", dividend_usd=1.0, known_at=CALENDAR.open_utc(SESSIONS[2]))

    after_split = session_symbol_panel(
        bars([100, None, None, 55, 66]), split, sessions=SESSIONS[:5], symbols=["AAA"], as_known_at=FAR_FUTURE
    )
    after_dividend = session_symbol_panel(
        bars([100, None, None, 110, 121]), dividend, sessions=SESSIONS[:5], symbols=["AAA"], as_known_at=FAR_FUTURE
    )

    # two shares at 55 for one at 100; 110 and 1 USD of cash for 100
    np.testing.assert_allclose(after_split.total_returns[:, 0], [np.nan, np.nan, np.nan, 0.10, 0.20], rtol=1e-13)
    np.testing.assert_allclose(after_dividend.total_returns[3:, 0], [0.11, 0.10], rtol=1e-13)


def test_actions_known_by_their_decision_leave_one_epoch():
    on_time = action(SESSIONS[2], kind="split", split_ratio=2.0, known_at=CALENDAR.open_utc(SESSIONS[2]))

    epochs = knowledge_epochs(on_time, SESSIONS[:5], decisions(SESSIONS))

    assert [epoch.sessions for epoch in epochs] == [tuple(SESSIONS[:5])]
    assert [e.sessions for e in knowledge_epochs(NO_ACTIONS, SESSIONS[:5], decisions(SESSIONS))] == [
        tuple(SESSIONS[:5])
    ]


def test_an_action_known_late_starts_an_epoch_at_the_first_decision_that_knows_it():
    late = action(SESSIONS[1], kind="split", split_ratio=2.0, known_at=CALENDAR.open_utc(SESSIONS[3]))

    epochs = knowledge_epochs(late, SESSIONS[:5], decisions(SESSIONS))

    assert [epoch.sessions for epoch in epochs] == [tuple(SESSIONS[:3]), tuple(SESSIONS[3:5])]
    assert [e.sessions for e in knowledge_epochs(late, SESSIONS[3:5], decisions(SESSIONS))] == [tuple(SESSIONS[3:5])]
    assert [e.sessions for e in knowledge_epochs(late, SESSIONS[:2], decisions(SESSIONS))] == [tuple(SESSIONS[:2])]


def test_a_late_split_enters_returns_only_once_it_is_known():
    late = action(SESSIONS[7], kind="split", split_ratio=2.0, known_at=CALENDAR.open_utc(SESSIONS[9]))
    closes = [100] * 7 + [50] * 4

    found = {
        epoch.sessions: panel.total_returns[panel.sessions.index(SESSIONS[7]), 0]
        for epoch, panel in epoch_panels(
            bars(closes),
            late,
            first=SESSIONS[7],
            last=SESSIONS[10],
            symbols=["AAA"],
            lookback_sessions=7,
            calendar=CALENDAR,
            decision_times=decisions(SESSIONS),
        )
    }

    assert found == {tuple(SESSIONS[7:9]): -0.5, tuple(SESSIONS[9:11]): 0.0}


def test_a_session_without_a_decision_time_is_refused():
    with pytest.raises(FeatureError, match=f"{SESSIONS[1]}: no decision time"):
        knowledge_epochs(NO_ACTIONS, SESSIONS[:2], decisions(SESSIONS[:1]))


def test_decision_times_that_do_not_ascend_are_refused():
    swapped = {SESSIONS[0]: CALENDAR.close_utc(SESSIONS[1]), SESSIONS[1]: CALENDAR.close_utc(SESSIONS[0])}
    with pytest.raises(FeatureError, match="must ascend"):
        knowledge_epochs(NO_ACTIONS, SESSIONS[:2], swapped)


def test_a_weekend_is_refused_with_the_nearest_sessions():
    panels = epoch_panels(
        bars([100]),
        NO_ACTIONS,
        first=date(2020, 1, 4),
        last=date(2020, 1, 6),
        symbols=["AAA"],
        lookback_sessions=1,
        calendar=CALENDAR,
        decision_times=decisions(SESSIONS),
    )
    with pytest.raises(CalendarError, match="2020-01-04"):
        next(panels)
