from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from aegis.backtesting.bars import Bars
from aegis.backtesting.corporate_events import (
    CorporateEvent,
    event_records,
    events_from_lake,
    refuse_double_counting,
    refuse_unpayable_dividends,
)
from aegis.backtesting.kernel.codes import ActionKind
from aegis.calendars import trading_calendar
from aegis.errors import MalformedData

NEW_YORK = trading_calendar("XNYS")
MONDAY, TUESDAY = date(2014, 6, 9), date(2014, 6, 10)
# 2014-06-09 is 16,230 days after 1970-01-01: 44 years of 365 days, 11 leap days (1972 to 2012), 151 to June, 8 more.
MONDAY_NUMBER = 44 * 365 + 11 + 151 + 8
SYMBOLS = ("AAA", "BBB")


def event(kind="dividend", symbol="AAA", ex_date=MONDAY, **terms):
    defaults = {"dividend": {"amount_usd": 0.5}, "split": {"ratio": 2.0}, "rename": {"new_ticker": "NEW"}}
    defaults["cash_merger"] = {"amount_usd": 30.0}
    return CorporateEvent(kind=kind, symbol=symbol, ex_date=ex_date, **{**defaults.get(kind, {}), **terms})


def test_events_apply_by_day_then_kind_then_symbol():
    kinds = ("resume", "delisting", "split", "cash_merger", "rename", "dividend")
    events = [event(kind, "BBB") for kind in kinds]
    events += [event("split"), event("dividend"), event("halt", ex_date=TUESDAY), event(ex_date=date(2014, 6, 6))]
    records = event_records(events, symbols=SYMBOLS)
    assert [(int(r["day"]) - MONDAY_NUMBER, ActionKind(r["kind"]).name, int(r["symbol"])) for r in records] == [
        (-3, "DIVIDEND", 0),
        (0, "DIVIDEND", 0),
        (0, "DIVIDEND", 1),
        (0, "SPLIT", 0),
        (0, "SPLIT", 1),
        (0, "RENAME", 1),
        (0, "CASH_MERGER", 1),
        (0, "DELISTING", 1),
        (0, "RESUME", 1),
        (1, "HALT", 0),
    ]


def test_a_record_holds_ratio_amount_and_pay_day():
    paid = event(amount_usd=0.47, pay_date=date(2014, 6, 12))
    dividend, split, merger = event_records(
        [event("cash_merger", "BBB"), event("split", ratio=7.0), paid], symbols=SYMBOLS
    )
    assert (dividend["amount"], dividend["ratio"], dividend["pay_day"]) == (0.47, 1.0, MONDAY_NUMBER + 3)
    assert (split["amount"], split["ratio"], split["pay_day"]) == (0.0, 7.0, MONDAY_NUMBER)
    assert (merger["amount"], merger["symbol"]) == (30.0, 1)


def test_no_events_are_no_records():
    assert event_records([], symbols=SYMBOLS).shape == (0,)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (event(symbol="CCC"), "CCC 2014-06-09: dividend is of a symbol that has no bars; add its bars"),
        (event("merger"), "merger is not a known event"),
        (event("split", ratio=0.0), r"has ratio 0.0; give new shares for one old share"),
        (event("split", ratio=-2.0), "has ratio -2.0"),
        (event("split", ratio=float("nan")), "has ratio nan"),
        (event("split", ratio=1.0), "a split changes the number of shares"),
        (event("dividend", ratio=2.0), "nothing else does"),
        (event(amount_usd=-0.5), "AAA 2014-06-09: dividend has amount -0.5 USD; give USD per share"),
        (event(amount_usd=float("inf")), "has amount inf USD"),
        (event(amount_usd=0.0), "has amount 0.0 USD; dividend and cash_merger pay cash"),
        (event("delisting", amount_usd=3.0), "delisting has amount 3.0 USD"),
        (event(pay_date=date(2014, 6, 6)), "is paid on 2014-06-06, before its ex-date"),
        (event("rename", new_ticker=None), "names no new ticker"),
        (event("rename", new_ticker="a b"), "'a b' is not a symbol"),
        (event(known_at=datetime(2014, 6, 9)), "without a time zone"),  # noqa: DTZ001 - what is refused
    ],
)
def test_an_event_that_cannot_be_is_refused(bad, message):
    with pytest.raises(MalformedData, match=message):
        event_records([event("split", "BBB"), bad], symbols=SYMBOLS)


@pytest.mark.parametrize("pair", [("dividend", "dividend"), ("halt", "resume"), ("resume", "halt"), ("halt", "halt")])
def test_two_events_that_say_the_same_or_the_opposite_are_refused(pair):
    with pytest.raises(MalformedData, match=r"AAA 2014-06-09: .* given twice, or both halts and resumes"):
        event_records([event(kind) for kind in pair], symbols=SYMBOLS)


def test_an_event_known_by_the_decision_of_its_ex_date_is_booked_and_a_later_one_refused():
    # The session of 2014-07-03 closed early, at 17:00 UTC.
    half_day, close = date(2014, 7, 3), datetime(2014, 7, 3, 17, tzinfo=UTC)
    in_time = event(ex_date=half_day, known_at=close)
    late = replace(in_time, known_at=close + timedelta(minutes=1))
    assert len(event_records([in_time], symbols=SYMBOLS, calendar=NEW_YORK)) == 1
    assert len(event_records([late], symbols=SYMBOLS, calendar=NEW_YORK, decision_delay=timedelta(minutes=1))) == 1
    with pytest.raises(
        MalformedData,
        match=r"AAA 2014-07-03: dividend is known at 2014-07-03T17:01:00Z, after the decision of its ex-date at "
        r"2014-07-03T17:00:00Z; correct known_at",
    ):
        event_records([late], symbols=SYMBOLS, calendar=NEW_YORK)


def test_decisions_before_the_close_they_know_are_refused():
    with pytest.raises(MalformedData, match="decision_delay"):
        event_records([event()], symbols=SYMBOLS, decision_delay=timedelta(minutes=-1))


def test_an_ex_date_may_be_a_timestamp():
    known = datetime(2014, 6, 1, tzinfo=UTC)
    records = event_records([event(ex_date=pd.Timestamp("2014-06-09"), known_at=known)], symbols=SYMBOLS)
    assert records["day"].tolist() == [MONDAY_NUMBER]


def test_without_a_calendar_an_event_must_be_known_by_the_end_of_its_day():
    midnight = datetime(2014, 6, 10, tzinfo=UTC)
    assert len(event_records([event(known_at=midnight)], symbols=SYMBOLS)) == 1
    with pytest.raises(MalformedData, match="2014-06-10T00:00:01Z, after the decision"):
        event_records([event(known_at=midnight + timedelta(seconds=1))], symbols=SYMBOLS)


def test_rows_of_the_lake_become_events():
    frame = pd.DataFrame(
        {
            "session": pd.to_datetime([MONDAY, MONDAY, TUESDAY]),
            "symbol": ["AAA", "AAA", "BBB"],
            "action": ["split", "dividend", "rename"],
            "split_ratio": [7.0, 1.0, 1.0],
            "dividend_usd": [0.0, 0.47, 0.0],
            "pay_session": [pd.NaT, pd.Timestamp(2014, 6, 12), pd.NaT],
            "new_ticker": [None, None, "BETA"],
            "known_at_utc": pd.to_datetime(["2014-06-06T20:00Z"] * 3),
        }
    )
    known = datetime(2014, 6, 6, 20, tzinfo=UTC)
    assert events_from_lake(frame) == [
        CorporateEvent(kind="split", symbol="AAA", ex_date=MONDAY, ratio=7.0, known_at=known),
        CorporateEvent(
            kind="dividend", symbol="AAA", ex_date=MONDAY, amount_usd=0.47, pay_date=date(2014, 6, 12), known_at=known
        ),
        CorporateEvent(kind="rename", symbol="BBB", ex_date=TUESDAY, new_ticker="BETA", known_at=known),
    ]


def test_a_merger_is_for_cash_or_for_shares_of_its_acquirer():
    frame = pd.DataFrame(
        {
            "session": pd.to_datetime([MONDAY, MONDAY, TUESDAY, TUESDAY]),
            "symbol": ["AAA", "AAA", "BBB", "BBB"],
            "action": ["delisting", "merger", "delisting", "merger"],
            "split_ratio": 1.0,
            "dividend_usd": 0.0,
            "pay_session": pd.NaT,
            "new_ticker": None,
            "known_at_utc": pd.to_datetime(["2014-06-06T20:00Z"] * 4),
            "merger_cash_usd": [np.nan, 54.2, np.nan, 1.0],
            "merger_ratio": [np.nan, 0.0, np.nan, 0.4],
            "acquirer": [None, "ZZZ", None, "AAA"],
        }
    )
    known = datetime(2014, 6, 6, 20, tzinfo=UTC)
    assert events_from_lake(frame) == [
        CorporateEvent(kind="delisting", symbol="AAA", ex_date=MONDAY, known_at=known),
        CorporateEvent(kind="cash_merger", symbol="AAA", ex_date=MONDAY, amount_usd=54.2, known_at=known),
        CorporateEvent(kind="delisting", symbol="BBB", ex_date=TUESDAY, known_at=known),
        CorporateEvent(
            kind="share_merger",
            symbol="BBB",
            ex_date=TUESDAY,
            ratio=0.4,
            amount_usd=1.0,
            acquirer="AAA",
            known_at=known,
        ),
    ]


def test_an_acquirer_is_a_symbol_number_and_none_where_it_has_no_bars():
    records = event_records(
        [event("share_merger", "AAA", ratio=0.4, acquirer="BBB"), event("share_merger", "BBB", acquirer="NEW")],
        symbols=SYMBOLS,
    )
    assert records["acquirer"].tolist() == [1, -1]
    assert records["ratio"].tolist() == [0.4, 1.0]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kind": "share_merger", "ratio": 0.0, "acquirer": "BBB"}, "has ratio 0.0"),
        ({"kind": "share_merger", "ratio": 1.5, "amount_usd": -1.0, "acquirer": "BBB"}, "has amount -1.0"),
        ({"kind": "share_merger", "ratio": 1.5, "acquirer": "AAA"}, "names itself as the acquirer"),
        ({"kind": "delisting", "acquirer": "BBB"}, "names the acquirer BBB; only a merger for shares has one"),
    ],
)
def test_terms_that_a_merger_cannot_have_are_refused(wrong, words):
    with pytest.raises(MalformedData, match=words):
        event_records([CorporateEvent(symbol="AAA", ex_date=MONDAY, **wrong)], symbols=SYMBOLS)


def test_a_symbol_is_merged_once_a_day():
    given = [event("cash_merger", "AAA", amount_usd=30.0), event("share_merger", "AAA", acquirer="BBB")]
    with pytest.raises(MalformedData, match="is given twice"):
        event_records(given, symbols=SYMBOLS)


def market(price_mode="raw", *, sparse=False):
    """AAA closes at 10 on Friday and 11 on Monday; BBB trades on Monday only."""
    days = [date(2014, 6, 6), MONDAY, TUESDAY]
    prices = np.array([[10.0, np.nan], [11.0, 20.0], [11.0, 20.0]])
    times = pd.DatetimeIndex([f"{day}T20:00Z" for day in days])
    volume = np.where(np.isnan(prices), np.nan, 100.0)
    bars = Bars.from_arrays(
        prices, prices, prices, prices, volume, closes_at=times, symbols=SYMBOLS, price_mode=price_mode
    )
    if not sparse:
        return bars
    held = ~np.isnan(bars.close)
    columns = {name: getattr(bars, name)[held] for name in ("open", "high", "low", "close", "volume")}
    return replace(bars, **columns, row_symbol=bars.symbol_of_row[held], first_row=np.array([0, 1, 3, 5]))


@pytest.mark.parametrize("kind", ["dividend", "split"])
def test_adjusted_prices_with_splits_or_dividends_are_refused(kind):
    records = event_records([event(kind), event("rename", "BBB")], symbols=SYMBOLS)
    refuse_double_counting(market(), records)
    with pytest.raises(MalformedData, match=f"AAA 2014-06-09: {kind} with adjusted prices would count twice; give raw"):
        refuse_double_counting(market("adjusted"), records)


def test_adjusted_prices_with_changes_of_listing_are_allowed():
    events = [event(kind) for kind in ("rename", "delisting", "halt")]
    refuse_double_counting(market("adjusted"), event_records(events, symbols=SYMBOLS))


@pytest.mark.parametrize("sparse", [False, True])
def test_a_dividend_as_large_as_the_close_before_it_is_refused(sparse):
    bars = market(sparse=sparse)
    refuse_unpayable_dividends(bars, event_records([event(amount_usd=9.99)], symbols=SYMBOLS))
    with pytest.raises(MalformedData, match=r"AAA 2014-06-09: dividend 10.0 USD is not below the previous close 10.0"):
        refuse_unpayable_dividends(bars, event_records([event(amount_usd=10.0)], symbols=SYMBOLS))


@pytest.mark.parametrize("sparse", [False, True])
def test_a_dividend_before_any_close_looks_at_the_close_of_the_chunk_before(sparse):
    bars, records = market(sparse=sparse), event_records([event(symbol="BBB", amount_usd=25.0)], symbols=SYMBOLS)
    refuse_unpayable_dividends(bars, records)
    refuse_unpayable_dividends(bars, records, previous_close=np.array([np.nan, 25.5]))
    with pytest.raises(MalformedData, match=r"BBB 2014-06-09: dividend 25.0 USD is not below the previous close 24.0"):
        refuse_unpayable_dividends(bars, records, previous_close=np.array([np.nan, 24.0]))


def test_dividends_of_other_chunks_are_left_to_them():
    days = (date(2013, 1, 2), date(2014, 6, 5), date(2014, 6, 11), date(2015, 1, 2))
    far = [event(ex_date=day, amount_usd=99.0) for day in days]
    refuse_unpayable_dividends(market(), event_records(far, symbols=SYMBOLS), previous_close=np.array([10.0, 10.0]))
