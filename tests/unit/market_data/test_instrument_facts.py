"""Facts about instruments: their normal form, what is refused, and which row a decision sees."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import SimulatedMarketSettings
from aegis.errors import MalformedData
from aegis.lake.tables import INSTRUMENTS, LISTINGS
from aegis.market_data.instrument_facts import (
    instruments_of_listings,
    normalise_instruments,
    rows_as_known,
    tick_sizes,
)
from aegis.market_data.later_facts import instruments_known_by
from aegis.market_data.sources.optional_answers import instruments
from aegis.market_data.sources.simulated import SimulatedSource
from aegis.market_data.sources.truncated import TruncatedSource

XNYS = trading_calendar("XNYS")
MONDAY = date(2014, 6, 9)


def fact(**values: object) -> pd.DataFrame:
    return pd.DataFrame([{"symbol": "AAA", "first_session": MONDAY} | values])


def test_what_is_not_said_has_no_effect() -> None:
    (row,) = normalise_instruments(fact(), XNYS, source="files").to_dict("records")
    assert row == {
        "symbol": "AAA", "first_session": pd.Timestamp(MONDAY), "name": "AAA", "sector": "Unclassified",
        "industry": "Unclassified", "currency": "USD", "lot_shares": 1.0, "tick_usd": 0.0, "shortability": "unknown",
        "listing_session": pd.NaT, "delisting_session": pd.NaT, "source": "files",
        "known_at_utc": pd.Timestamp(datetime(2014, 6, 9, 13, 30, tzinfo=UTC)),
    }  # fmt: skip


def test_a_day_without_a_session_holds_from_the_next_one() -> None:
    found = normalise_instruments(fact(first_session=date(2014, 6, 7)), XNYS, source="files")
    assert found["first_session"].tolist() == [pd.Timestamp(MONDAY)]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {"currency": "EUR"},
            r"AAA 2014-06-09: is not priced in USD \(column currency\) \(currency EUR.*until they are",
        ),
        ({"lot_shares": 0}, "no positive lot"),
        ({"lot_shares": -10}, "no positive lot"),
        ({"lot_shares": np.inf}, "no positive lot"),
        ({"lot_shares": 0.5}, "part of a share"),
        ({"tick_usd": -0.01}, "negative tick"),
        ({"shortability": "maybe"}, "unknown shortability.*use one of yes, no, unknown"),
        ({"symbol": "A; DROP"}, "is not a symbol"),
    ],
)
def test_facts_that_cannot_be_are_refused_with_symbol_value_and_remedy(values: dict[str, object], problem: str) -> None:
    with pytest.raises(MalformedData, match=problem):
        normalise_instruments(fact(**values), XNYS, source="files")


def test_two_rows_from_one_session_on_are_refused() -> None:
    with pytest.raises(MalformedData, match="described twice from that session on"):
        normalise_instruments(pd.concat([fact(), fact(sector="Energy")]), XNYS, source="files")


def test_the_newest_row_that_holds_and_is_known_is_seen() -> None:
    days = XNYS.sessions(MONDAY, date(2014, 6, 13))
    decided = pd.DatetimeIndex(XNYS.closes_utc(days)) + timedelta(minutes=15)
    told_on_thursday = decided[3] - timedelta(minutes=1)
    rows = pd.concat([fact(), fact(first_session=days[1], known_at_utc=told_on_thursday), fact(first_session=days[2])])
    found = normalise_instruments(rows, XNYS, source="files")
    seen = rows_as_known(found, ["AAA", "ZZZ"], days, decided)
    assert seen[:, 0].tolist() == [0, 0, 2, 2, 2]
    assert seen[:, 1].tolist() == [-1] * 5
    without = normalise_instruments(rows.iloc[:2], XNYS, source="files")
    assert rows_as_known(without, ["AAA"], days, decided)[:, 0].tolist() == [0, 0, 0, 1, 1]


def test_listings_alone_say_name_sector_and_dates() -> None:
    listings = LISTINGS.conform(
        pd.DataFrame(
            [
                ("WZLQ", "WZLQ", date(2014, 6, 2), date(2014, 6, 30)),
                ("WZLQ", "WZTQ", date(2014, 7, 1), date(2014, 12, 31)),
            ],
            columns=["symbol", "ticker", "first_session", "last_session"],
        ).assign(name="Tools", sector="Industrials", tradable=True, source="yahoo")
    )
    (row,) = instruments_of_listings(listings, XNYS).to_dict("records")
    assert (row["symbol"], row["name"], row["sector"], row["source"]) == ("WZLQ", "Tools", "Industrials", "yahoo")
    assert row["first_session"] == row["listing_session"] == pd.Timestamp(2014, 6, 2)
    assert row["delisting_session"] == pd.Timestamp(2014, 12, 31)


def simulated(last: date) -> SimulatedSource:
    return SimulatedSource(SimulatedMarketSettings(), XNYS, last_session=last, vendor_delay=timedelta(minutes=15))


def test_the_simulated_market_has_industries_and_companies_that_nobody_lends() -> None:
    found = instruments(simulated(date(2014, 12, 31)), XNYS).set_index("symbol")
    assert found.loc["NZLO", ["sector", "industry", "shortability"]].tolist() == ["Technology", "Software", "yes"]
    assert found.loc["DRZQ", "shortability"] == "no"
    assert set(found["tick_usd"]) == {0.01}
    assert "Unclassified" not in set(found["industry"])
    pairs = found[["sector", "industry"]].drop_duplicates()
    assert pairs["industry"].is_unique, "an industry belongs to one sector"


def test_what_the_simulated_market_says_of_today_does_not_change_tomorrow() -> None:
    early, late = simulated(date(2015, 6, 30)), simulated(date(2016, 6, 30))
    now = instruments(early, XNYS)
    later = instruments(late, XNYS)
    of_then = later[later["first_session"] <= pd.Timestamp(2015, 6, 30)].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_then.drop(columns="delisting_session"), now.drop(columns="delisting_session"))
    pd.testing.assert_frame_equal(instruments(TruncatedSource(late, date(2015, 6, 30)), XNYS), now)


def test_a_run_over_earlier_sessions_takes_no_later_fact_away() -> None:
    stored = INSTRUMENTS.conform(
        pd.concat(
            [
                normalise_instruments(fact(delisting_session=date(2014, 8, 1)), XNYS, source="files"),
                normalise_instruments(fact(first_session=date(2014, 7, 1), sector="Energy"), XNYS, source="files"),
            ]
        )
    )
    answer = normalise_instruments(fact(), XNYS, source="files")
    kept = instruments_known_by(answer, stored, last_session=date(2014, 6, 30))
    assert kept["first_session"].tolist() == [pd.Timestamp(MONDAY), pd.Timestamp(2014, 7, 1)]
    assert kept["delisting_session"].iloc[0] == pd.Timestamp(2014, 8, 1)


def test_ticks_are_those_of_the_session_and_only_where_there_is_one() -> None:
    rows = pd.concat(
        [
            fact(tick_usd=0.05),
            fact(first_session=date(2014, 7, 1), tick_usd=0.01),
            fact(symbol="BBB"),
            fact(symbol="CCC", first_session=date(2014, 7, 1), tick_usd=0.01),
        ]
    )
    found = normalise_instruments(rows, XNYS, source="files")
    later = XNYS.open_utc(date(2014, 7, 2))
    assert tick_sizes(found, MONDAY, known_by=later) == {"AAA": 0.05}
    assert tick_sizes(found, date(2014, 7, 2), known_by=later) == {"AAA": 0.01, "CCC": 0.01}


def test_a_tick_that_became_known_later_is_not_seen() -> None:
    told_late = fact(first_session=date(2014, 7, 1), tick_usd=0.01, known_at_utc="2014-07-03T12:00:00Z")
    found = normalise_instruments(pd.concat([fact(tick_usd=0.05), told_late]), XNYS, source="files")
    day = date(2014, 7, 2)
    assert tick_sizes(found, day, known_by=XNYS.open_utc(day)) == {"AAA": 0.05}
    assert tick_sizes(found, day, known_by=XNYS.close_utc(date(2014, 7, 3))) == {"AAA": 0.01}
