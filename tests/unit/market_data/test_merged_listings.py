"""Whose listing of an instrument counts, on intervals written out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from aegis.errors import MalformedData
from aegis.lake.tables import LISTINGS
from aegis.market_data.merged_listings import merge_listings


def listed(source: str, *rows: tuple[str, str, str, str | None]) -> tuple[str, pd.DataFrame]:
    frame = pd.DataFrame(rows, columns=["symbol", "ticker", "first_session", "last_session"])
    frame = frame.assign(name=frame["symbol"], sector="Test", tradable=True, source=source)
    for column in ("first_session", "last_session"):
        frame[column] = pd.to_datetime(frame[column])
    return source, LISTINGS.conform(frame)


def test_all_intervals_of_a_symbol_come_from_one_source() -> None:
    one = listed("one", ("META", "META", "2014-01-02", None))
    two = listed("two", ("META", "FB", "2013-01-02", "2022-06-08"), ("META", "META", "2022-06-09", None))
    assert merge_listings([one, two]).listings["source"].tolist() == ["one"]
    assert merge_listings([two, one]).listings["ticker"].tolist() == ["FB", "META"]


def test_a_past_ticker_that_one_vendor_never_knew_is_no_contradiction() -> None:
    one = listed("one", ("META", "META", "2014-01-02", None))
    two = listed("two", ("META", "FB", "2013-01-02", "2022-06-08"), ("META", "META", "2022-06-09", None))
    assert merge_listings([one, two]).notes == ()


def test_a_symbol_that_ended_everywhere_is_believed_to_the_first() -> None:
    one = listed("one", ("GONE", "GONE", "2014-01-02", "2014-06-20"))
    two = listed("two", ("GONE", "GONE", "2014-01-02", "2014-06-19"), ("ONLY", "ONLY", "2014-01-02", None))
    merged = merge_listings([one, two])
    assert merged.believed == {"GONE": "one", "ONLY": "two"}
    assert merged.listings["last_session"].tolist() == [pd.Timestamp("2014-06-20"), pd.NaT]


def test_a_present_ticker_that_differs_is_another_instrument() -> None:
    one, two = listed("one", ("AAA", "AAA", "2014-01-02", None)), listed("two", ("AAA", "AAAP", "2014-01-02", None))
    with pytest.raises(MalformedData, match="AAA: it trades as AAA by one and as AAAP by two"):
        merge_listings([one, two])
