from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from aegis.backtesting.session_market import CorporateAction, MarketHistory
from aegis.calendars import trading_calendar
from aegis.errors import CalendarError, MalformedData

MONDAY, TUESDAY = date(2014, 6, 9), date(2014, 6, 10)


def _bars(**changes):
    frame = pd.DataFrame(
        {
            "session": pd.to_datetime([TUESDAY, MONDAY, MONDAY]),
            "symbol": ["AAA", "BBB", "AAA"],
            "open_raw_usd": [3.0, 20.0, 1.0],
            "high_raw_usd": [3.5, 22.0, 1.5],
            "low_raw_usd": [2.5, 19.0, 0.5],
            "close_raw_usd": [3.2, 21.0, 1.2],
            "volume_shares": [300.0, 0.0, 100.0],
        }
    )
    return frame.assign(**changes)


def _actions(**changes):
    frame = pd.DataFrame(
        {
            "session": pd.to_datetime([MONDAY, MONDAY, MONDAY]),
            "symbol": ["BBB", "AAA", "AAA"],
            "action": ["rename", "split", "dividend"],
            "split_ratio": [1.0, 7.0, 1.0],
            "dividend_usd": [0.0, 0.0, 0.47],
            "pay_session": [pd.NaT, pd.NaT, pd.Timestamp(2014, 6, 12)],
            "new_ticker": ["BETA", None, None],
        }
    )
    return frame.assign(**changes)


def test_an_exchange_knows_the_acquirer_s_ticker_and_needs_its_bar():
    """CCC turns to 0.5 AAA, which closes at 1.20 on Monday as ALPHA, and 2 USD."""
    terms = {"merger_cash_usd": 2.0, "merger_ratio": 0.5}
    merger = {"action": "merger", "split_ratio": 1.0, "dividend_usd": 0.0, "pay_session": pd.NaT, "new_ticker": None}
    rows = [
        {"session": pd.Timestamp(MONDAY), "symbol": "CCC", "acquirer": "AAA", **merger, **terms},
        {"session": pd.Timestamp(MONDAY), "symbol": "DDD", "acquirer": "NEW", **merger, **terms},
    ]
    history = _history(_bars(ticker=["ALPHA", "BETA", "ALPHA"]), pd.DataFrame(rows))
    market = history.session(MONDAY)
    assert market.exchange("CCC").acquirer_ticker == "ALPHA"
    assert market.exchange_value_usd("CCC") == pytest.approx(2.6)
    assert (market.exchange("DDD"), market.exchange_value_usd("DDD"), market.exchange("AAA")) == (None, None, None)
    assert _history(_bars(), pd.DataFrame(rows)).session(MONDAY).exchange("CCC").acquirer_ticker is None


def _history(bars=None, actions=None):
    return MarketHistory(
        _bars() if bars is None else bars,
        _actions() if actions is None else actions,
        calendar=trading_calendar("XNYS"),
    )


def test_a_session_holds_its_own_bars_and_actions():
    market = _history().session(MONDAY)
    assert market.rows == {"AAA": 0, "BBB": 1}
    assert market.bars[1].item() == (20.0, 22.0, 19.0, 21.0, 0.0)
    assert (market.close_usd("AAA"), market.close_usd("CCC")) == (1.2, None)
    assert market.actions == (
        CorporateAction(action="dividend", symbol="AAA", dividend_usd=0.47, pay_session=date(2014, 6, 12)),
        CorporateAction(action="split", symbol="AAA", split_ratio=7.0),
        CorporateAction(action="rename", symbol="BBB", new_ticker="BETA"),
    )
    assert (market.split_ratio("AAA"), market.split_ratio("BBB")) == (7.0, 1.0)
    assert (market.new_ticker("BBB"), market.new_ticker("AAA")) == ("BETA", None)
    assert market.opens_at_utc == datetime(2014, 6, 9, 13, 30, tzinfo=UTC)
    assert market.closes_at_utc == datetime(2014, 6, 9, 20, 0, tzinfo=UTC)


def test_a_session_that_the_gate_blocked_has_hours_and_no_bars():
    market = _history().session(date(2014, 7, 3))
    assert (len(market.bars), dict(market.rows), market.actions) == (0, {}, ())
    assert market.closes_at_utc == datetime(2014, 7, 3, 17, 0, tzinfo=UTC)  # half day: 13:00 in New York


def test_a_history_without_any_bar_answers_for_every_session():
    assert len(_history(_bars().iloc[:0], _actions().iloc[:0]).session(MONDAY).bars) == 0


def test_a_holiday_is_not_a_session():
    with pytest.raises(CalendarError, match="2014-07-04"):
        _history().session(date(2014, 7, 4))


@pytest.mark.parametrize(
    "changes",
    [
        {"low_raw_usd": [2.5, -19.0, 0.5]},
        {"close_raw_usd": [3.2, float("nan"), 1.2]},
        {"volume_shares": [300.0, -1.0, 100.0]},
        {"volume_shares": [300.0, float("nan"), 100.0]},
    ],
)
def test_a_bar_that_cannot_be_traded_on_is_refused_by_name(changes):
    with pytest.raises(MalformedData, match="BBB 2014-06-09"):
        _history(_bars(**changes))


@pytest.mark.parametrize("changes", [{"split_ratio": [1.0, 0.0, 1.0]}, {"dividend_usd": [0.0, float("nan"), 0.0]}])
def test_an_action_that_cannot_be_is_refused_by_name(changes):
    with pytest.raises(MalformedData, match="AAA 2014-06-09"):
        _history(actions=_actions(**changes))
