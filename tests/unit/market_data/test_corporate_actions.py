from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.errors import MalformedData
from aegis.market_data.corporate_actions import (
    normalise_actions,
    shortest_decimal,
    split_ratio_from,
    unpick_factors,
)

XNYS = trading_calendar("XNYS")

# Apple, from its investor relations pages: 3.29 USD ex 2014-05-08, split 7:1 ex 2014-06-09, 0.47 USD ex 2014-08-07,
# split 4:1 ex 2020-08-31. Closes before the ex-dates as traded.
APPLE_EVENTS = [  # row date, close, dividend, split ratio
    ("2014-05-07", 592.33, 3.29, 1.0),
    ("2014-06-06", 645.57, 0.0, 7.0),
    ("2014-08-06", 94.96, 0.47, 1.0),
    ("2020-08-28", 499.23, 0.0, 4.0),
]


def vendor_factors(events: list[tuple[str, float, float, float]], symbol: str = "AAPL") -> pd.DataFrame:
    """Build cumulative factors as Lean publishes them: backwards from 1, seven decimals."""
    rows = [("2050-12-31", 1.0, 1.0, 0.0)]
    price_factor = split_factor = 1.0
    for day, close, dividend, ratio in reversed(events):
        price_factor *= 1 - dividend / close
        split_factor /= ratio
        rows.append((day, round(price_factor, 7), round(split_factor, 7), close))
    rows.append(("2010-01-04", rows[-1][1], rows[-1][2], 1.0))
    frame = pd.DataFrame(reversed(rows), columns=["date", "price_factor", "split_factor", "reference_price"])
    return frame.assign(symbol=symbol, date=pd.to_datetime(frame["date"]))


def closes_of(events: list[tuple[str, float, float, float]], symbol: str = "AAPL") -> pd.DataFrame:
    rows = [("2010-01-04", 200.0), *((day, close) for day, close, _, _ in events), ("2021-03-31", 122.15)]
    frame = pd.DataFrame(rows, columns=["session", "close_raw_usd"])
    return frame.assign(symbol=symbol, session=pd.to_datetime(frame["session"]))


def facts(actions: pd.DataFrame) -> list[tuple[str, str, float, float]]:
    ordered = actions.sort_values(["session", "action"])
    return [
        (f"{row['session']:%Y-%m-%d}", row["action"], row["split_ratio"], row["dividend_usd"])
        for row in ordered.to_dict("records")
    ]


APPLE_ACTIONS = [
    ("2014-05-08", "dividend", 1.0, 3.29),
    ("2014-06-09", "split", 7.0, 0.0),
    ("2014-08-07", "dividend", 1.0, 0.47),
    ("2020-08-31", "split", 4.0, 0.0),
]


def test_vendor_factors_are_unpicked_into_the_announced_splits_and_dividends() -> None:
    assert facts(unpick_factors(vendor_factors(APPLE_EVENTS), closes_of(APPLE_EVENTS), XNYS)) == APPLE_ACTIONS


def test_later_events_that_rescale_all_factors_leave_earlier_actions_unchanged() -> None:
    """A cumulative factor file that knows of more future events multiplies every earlier row by the same constant."""
    factors = vendor_factors(APPLE_EVENTS)
    garbled = factors.copy()
    garbled.loc[:, "price_factor"] *= 0.613771
    garbled.loc[:, "split_factor"] *= 1.0 / 37.0
    future = pd.DataFrame({"symbol": "AAPL", "date": pd.to_datetime(["2050-12-31"]), "price_factor": 1.0})
    garbled["date"] = garbled["date"].replace(pd.Timestamp("2050-12-31"), pd.Timestamp("2026-01-02"))
    garbled = pd.concat([garbled, future.assign(split_factor=1.0, reference_price=0.0)], ignore_index=True)
    assert facts(unpick_factors(garbled, closes_of(APPLE_EVENTS), XNYS)) == APPLE_ACTIONS


def test_garbling_the_rows_after_an_event_leaves_it_and_all_before_it_unchanged() -> None:
    factors = vendor_factors(APPLE_EVENTS)
    after_next = factors["date"] > pd.Timestamp("2014-08-06")  # the row that follows the event of 2014-06-06
    garbled = factors.copy()
    garbled.loc[after_next, "price_factor"] *= [40.0, 90.0]
    garbled.loc[after_next, "split_factor"] *= [3.3, 0.17]
    found = facts(unpick_factors(garbled, closes_of(APPLE_EVENTS), XNYS))
    assert found[:2] == APPLE_ACTIONS[:2]
    assert found[2:] != APPLE_ACTIONS[2:]


def test_a_row_dated_before_a_long_weekend_goes_ex_in_the_next_session() -> None:
    events = [("2014-07-03", 94.03, 0.0, 2.0)]  # Thursday before Independence Day
    assert facts(unpick_factors(vendor_factors(events), closes_of(events), XNYS)) == [("2014-07-07", "split", 2.0, 0.0)]


def test_split_and_dividend_of_one_day_are_two_actions_with_the_dividend_per_old_share() -> None:
    events = [("2014-06-06", 100.0, 2.5, 2.0)]
    assert facts(unpick_factors(vendor_factors(events), closes_of(events), XNYS)) == [
        ("2014-06-09", "dividend", 1.0, 2.5),
        ("2014-06-09", "split", 2.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (6.9999972, 7.0), (1.9999955, 2.0), (1.5000049, 1.5), (1.25, 1.25), (0.05, 0.05), (0.125, 0.125), (1.05, 1.05),
        (1 / 35, 1 / 35), (1 / 100.0003, 0.01),
        (1.0027003, 1.0027003),  # a stock dividend of 0.27 % is a ratio of its own
        (1.0201, 1.0201), (0.2564099934, 10 / 39), (0.2563, 0.2563),
    ],
)  # fmt: skip
def test_split_ratios_become_small_fractions_only_within_the_vendors_rounding(ratio: float, expected: float) -> None:
    assert split_ratio_from(ratio) == pytest.approx(expected, rel=1e-15)


def test_shortest_decimal_stops_at_the_tolerance() -> None:
    found = shortest_decimal([3.28994, 0.1234567, 2.65003, np.nan], [1e-4, 1e-9, 1e-5, 1.0])
    np.testing.assert_array_equal(found, [3.29, 0.123457, 2.65003, np.nan])


def test_the_raw_close_is_used_and_a_differing_reference_price_is_measured() -> None:
    factors = vendor_factors([("2014-05-07", 592.33, 3.29, 1.0)])
    closes = closes_of([("2014-05-07", 592.33, 0, 1)])
    factors.loc[factors["date"] == "2014-05-07", "reference_price"] = 600.0
    found = unpick_factors(factors, closes, XNYS)
    assert found["dividend_usd"].tolist() == [3.29]
    assert found["reference_price_gap"].tolist() == pytest.approx([600.0 / 592.33 - 1])


def test_the_reference_price_stands_in_for_a_missing_close() -> None:
    factors = vendor_factors([("2014-05-07", 592.33, 3.29, 1.0)])
    found = unpick_factors(factors, closes_of([]), XNYS)  # bars in 2010 and 2021 only
    assert found["dividend_usd"].tolist() == [3.29]
    with pytest.raises(MalformedData, match=r"AAPL 2014-05-07: .* no raw close and no reference price"):
        unpick_factors(factors.drop(columns="reference_price"), closes_of([]), XNYS)


@pytest.mark.parametrize("column", ["price_factor", "split_factor"])
def test_a_factor_that_is_not_positive_is_refused(column: str) -> None:
    factors = vendor_factors(APPLE_EVENTS)
    factors.loc[2, column] = 0.0
    with pytest.raises(MalformedData, match="AAPL 2014-06-06: factors must be positive"):
        unpick_factors(factors, closes_of(APPLE_EVENTS), XNYS)


def test_a_falling_price_factor_is_refused_as_a_negative_dividend() -> None:
    factors = vendor_factors(APPLE_EVENTS)
    factors.loc[1, "price_factor"] = 0.9999
    with pytest.raises(MalformedData, match=r"AAPL 2014-05-07: .* negative dividend"):
        unpick_factors(factors, closes_of(APPLE_EVENTS), XNYS)


def action(**values: object) -> pd.DataFrame:
    return pd.DataFrame([{"session": "2014-06-09", "symbol": "AAPL", "action": "split", "split_ratio": 7.0} | values])


def test_an_ex_date_without_a_session_takes_effect_at_the_next_and_is_known_at_its_opening() -> None:
    found = normalise_actions(action(session="2014-06-07"), XNYS, source="files")  # a Saturday
    assert found.loc[0, "session"] == pd.Timestamp("2014-06-09")
    assert found.loc[0, "known_at_utc"] == datetime(2014, 6, 9, 13, 30, tzinfo=UTC)  # 09:30 in New York
    assert found.loc[0, "source"] == "files"


def test_an_announcement_keeps_its_own_instant() -> None:
    announced = pd.Timestamp("2014-04-23 20:30", tz="UTC")
    found = normalise_actions(action(known_at_utc=announced), XNYS, source="files")
    assert found.loc[0, "known_at_utc"] == announced


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"action": "spinoff"}, "is not a known action"),
        ({"session": None}, "has no ex-date"),
        ({"split_ratio": 0.0}, "split ratio that is not positive"),
        ({"split_ratio": -2.0}, "split ratio that is not positive"),
        ({"split_ratio": np.inf}, "split ratio that is not positive"),
        ({"split_ratio": 1.0}, "split of 1 for 1"),
        ({"split_ratio": 1e9}, "split ratio outside 1/1000 to 1000"),
        ({"split_ratio": 0.0009}, "split ratio outside 1/1000 to 1000"),
        ({"dividend_usd": 1.0}, "carries a dividend"),
        ({"action": "dividend", "split_ratio": 1.0, "dividend_usd": -0.1}, "dividend that is not positive"),
        ({"action": "dividend", "split_ratio": 1.0}, "dividend that is not positive"),
        ({"action": "dividend", "dividend_usd": 0.1}, "carries a split ratio"),
        ({"action": "rename", "split_ratio": 1.0}, "names no new ticker"),
        ({"pay_session": "2014-06-05"}, "paid before its ex-date"),
        ({"merger_cash_usd": 1.0}, "carries the terms of a merger"),
        ({"acquirer": "MSFT"}, "carries the terms of a merger"),
        ({"action": "merger", "split_ratio": 1.0}, "pays neither cash nor shares"),
        ({"action": "merger", "split_ratio": 1.0, "merger_cash_usd": -5.0}, "pays neither cash nor shares"),
        ({"action": "merger", "split_ratio": 1.0, "merger_cash_usd": np.inf}, "pays neither cash nor shares"),
        ({"action": "merger", "split_ratio": 1.0, "merger_ratio": 0.5}, "pays shares of nobody"),
    ],
)
def test_an_invalid_action_is_refused_with_its_symbol_and_remedy(values: dict[str, object], problem: str) -> None:
    with pytest.raises(MalformedData, match=rf"AAPL .*{problem}.*; "):
        normalise_actions(action(**values), XNYS, source="files")


def test_hostile_symbols_in_actions_are_refused() -> None:
    with pytest.raises(MalformedData, match="is not a symbol"):
        normalise_actions(action(symbol="A'; --"), XNYS, source="files")


def test_a_special_dividend_beside_a_regular_one_is_added_and_a_copy_is_refused() -> None:
    regular = action(action="dividend", split_ratio=1.0, dividend_usd=0.5, pay_session="2014-06-20")
    special = action(action="dividend", split_ratio=1.0, dividend_usd=2.0, pay_session="2014-06-30")
    found = normalise_actions(pd.concat([regular, special]), XNYS, source="files")
    assert found["dividend_usd"].tolist() == [2.5]
    assert found["pay_session"].tolist() == [pd.Timestamp("2014-06-30")]
    with pytest.raises(MalformedData, match="is given twice"):
        normalise_actions(pd.concat([regular, regular]), XNYS, source="files")
    with pytest.raises(MalformedData, match="is given twice"):
        normalise_actions(pd.concat([action(), action(split_ratio=2.0)]), XNYS, source="files")


def test_a_merger_keeps_its_terms_and_its_record_date() -> None:
    merger = action(
        action="merger", split_ratio=1.0, merger_cash_usd=54.2, record_session="2014-06-07", acquirer="MSFT"
    )
    (row,) = normalise_actions(merger, XNYS, source="files").to_dict("records")
    assert (row["merger_cash_usd"], row["merger_ratio"], row["acquirer"]) == (54.2, 0.0, "MSFT")
    assert row["record_session"] == pd.Timestamp("2014-06-07")  # a Saturday: record dates are no sessions
    with pytest.raises(MalformedData, match="is not a symbol"):
        normalise_actions(action(action="merger", split_ratio=1.0, merger_ratio=1.0, acquirer="a/b"), XNYS, source="f")


def test_an_action_without_merger_terms_has_none() -> None:
    (row,) = normalise_actions(action(), XNYS, source="files").to_dict("records")
    assert (row["acquirer"], row["record_session"]) == (None, pd.NaT)
    assert np.isnan([row["merger_cash_usd"], row["merger_ratio"]]).all()
