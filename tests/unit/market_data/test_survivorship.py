"""Listings that all last until today are told of, and ordinary ones are not."""

from __future__ import annotations

from datetime import date

import pandas as pd

from aegis.lake.tables import LISTINGS
from aegis.market_data.survivorship import survivorship_notes

FIRST, LAST = date(2010, 1, 4), date(2020, 1, 2)


def listings(count: int, *, ended: date | None = None, tradable: bool = True) -> pd.DataFrame:
    rows = [(f"S{number}", f"S{number}", FIRST, None) for number in range(count)]
    if ended is not None:
        rows[0] = (*rows[0][:3], ended)
    frame = pd.DataFrame(rows, columns=["symbol", "ticker", "first_session", "last_session"])
    return LISTINGS.conform(frame.assign(name="n", sector="s", tradable=tradable, source="files"))


def test_ten_years_in_which_nobody_left_are_told_of() -> None:
    (note,) = survivorship_notes(listings(50), FIRST, LAST)
    # 50 x (1 - 0.96^10) = 16.8
    assert note.startswith(
        "survivorship: none of 50 instruments left between 2010-01-04 and 2020-01-02 (50 of them were there from the "
        "start), where about 17 would be usual; "
    )


def test_one_end_is_enough_to_be_silent() -> None:
    assert survivorship_notes(listings(50, ended=date(2015, 6, 1)), FIRST, LAST) == []


def test_an_end_on_the_last_session_is_the_end_of_the_data() -> None:
    assert survivorship_notes(listings(50, ended=LAST), FIRST, LAST) != []


def test_short_histories_and_hand_picked_lists_say_nothing() -> None:
    assert survivorship_notes(listings(50), date(2018, 1, 2), LAST) == []
    assert survivorship_notes(listings(9), FIRST, LAST) == []
    assert survivorship_notes(listings(50, tradable=False), FIRST, LAST) == []


def test_a_symbol_that_was_renamed_has_not_left() -> None:
    rows = listings(50).to_dict("records")
    since = rows[0] | {"ticker": "NEW", "first_session": pd.Timestamp(2015, 1, 5)}
    until = rows[0] | {"last_session": pd.Timestamp(2015, 1, 2)}
    both = LISTINGS.conform(pd.DataFrame([until, since, *rows[1:]]))
    assert len(survivorship_notes(both, FIRST, LAST)) == 1
