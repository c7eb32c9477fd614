"""What a run over earlier sessions may change: nothing that became known after them.

The last session is Thursday, 31 December 2015: New York closed at 21:00 UTC, bars were final at 21:15.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from aegis.errors import SourceUnavailable
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS
from aegis.market_data.later_facts import actions_known_by, listings_known_by

LAST = date(2015, 12, 31)
DECIDED = datetime(2015, 12, 31, 21, 15, tzinfo=UTC)
BEFORE, AFTER = "2015-12-31 21:00", "2016-02-01 21:15"


def actions(*rows: tuple[str, str, float, str]) -> pd.DataFrame:
    """``(ex_session, symbol, dividend, known_at)``."""
    frame = pd.DataFrame(rows, columns=["session", "symbol", "dividend_usd", "known_at_utc"])
    facts = {"action": "dividend", "split_ratio": 1.0, "pay_session": None, "new_ticker": None, "source": "hand"}
    return CORPORATE_ACTIONS.conform(frame.assign(**facts))


def listings(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
    """``(symbol, ticker, first_session, last_session)``."""
    frame = pd.DataFrame(rows, columns=["symbol", "ticker", "first_session", "last_session"])
    return LISTINGS.conform(frame.assign(name="A company", sector="Energy", tradable=True, source="hand"))


def cash(frame: pd.DataFrame) -> list[tuple[str, str, float]]:
    return [(f"{r.session:%Y-%m-%d}", r.symbol, r.dividend_usd) for r in frame.itertuples()]


def intervals(frame: pd.DataFrame) -> list[tuple[str, str, str, str | None]]:
    return [
        (r.symbol, r.ticker, f"{r.first_session:%Y-%m-%d}", None if pd.isna(r.last_session) else f"{r.last_session:%F}")
        for r in frame.itertuples()
    ]


def test_an_action_that_became_known_later_survives_a_run_that_could_not_know_it() -> None:
    stored = actions(("2015-12-10", "A", 0.5, BEFORE), ("2016-03-01", "A", 0.6, AFTER))
    assert cash(
        actions_known_by(actions(("2015-12-10", "A", 0.5, BEFORE)), stored, known_until=DECIDED, first=LAST)
    ) == [
        ("2015-12-10", "A", 0.5),
        ("2016-03-01", "A", 0.6),
    ]


def test_a_run_over_earlier_sessions_does_not_bring_later_news_forward() -> None:
    """The source knows all; the sessions of 2016 are to write what 2016 announced."""
    answer = actions(("2015-12-10", "A", 0.5, BEFORE), ("2016-03-01", "A", 0.7, AFTER))
    stored = actions(("2015-12-10", "A", 0.5, BEFORE), ("2016-03-01", "A", 0.6, AFTER))
    assert cash(actions_known_by(answer, stored, known_until=DECIDED, first=LAST)) == [
        ("2015-12-10", "A", 0.5),
        ("2016-03-01", "A", 0.6),
    ]


def test_what_was_known_is_corrected_and_withdrawn() -> None:
    answer = actions(("2015-12-10", "A", 0.55, BEFORE), ("2016-01-20", "A", 0.1, BEFORE))
    stored = actions(("2015-12-10", "A", 0.5, BEFORE), ("2015-12-11", "A", 9.0, BEFORE))
    assert cash(actions_known_by(answer, stored, known_until=DECIDED, first=LAST)) == [
        ("2015-12-10", "A", 0.55),
        ("2016-01-20", "A", 0.1),  # announced ahead
    ]


def test_an_action_that_turns_out_to_have_been_known_earlier_is_stored_once() -> None:
    answer, stored = actions(("2016-01-20", "A", 0.2, BEFORE)), actions(("2016-01-20", "A", 0.1, AFTER))
    assert cash(actions_known_by(answer, stored, known_until=DECIDED, first=LAST)) == [("2016-01-20", "A", 0.2)]


def test_no_action_is_an_answer() -> None:
    none = CORPORATE_ACTIONS.empty()
    assert actions_known_by(none, actions(("2015-12-10", "A", 0.5, BEFORE)), known_until=DECIDED, first=LAST).empty
    later = actions(("2016-03-01", "A", 0.6, AFTER))
    assert cash(actions_known_by(none, later, known_until=DECIDED, first=LAST)) == [("2016-03-01", "A", 0.6)]


def test_listings_after_the_cut_and_ends_after_it_are_kept() -> None:
    stored = listings(
        ("OLD", "OLD", "2014-01-02", "2015-06-30"),
        ("REN", "REN", "2014-01-02", "2017-08-01"),
        ("REN", "NEW", "2017-08-02", None),
        ("IPO", "IPO", "2016-05-02", None),
        ("STAYS", "STAYS", "2014-01-02", None),
    )
    cut_off = listings(
        ("OLD", "OLD", "2014-01-02", "2015-06-30"),
        ("REN", "REN", "2014-01-02", None),
        ("STAYS", "STAYS", "2014-01-02", None),
    )
    assert intervals(listings_known_by(cut_off, stored, last_session=LAST)) == intervals(stored)


def test_listings_of_the_past_are_corrected_and_withdrawn() -> None:
    stored = listings(
        ("A", "A", "2014-01-02", "2015-06-30"), ("B", "B", "2014-01-02", None), ("C", "C", "2014-01-02", None)
    )
    answer = listings(("A", "A", "2014-01-02", None), ("B", "B", "2014-01-02", "2015-03-31"))
    assert intervals(listings_known_by(answer, stored, last_session=LAST)) == [
        ("A", "A", "2014-01-02", None),
        ("B", "B", "2014-01-02", "2015-03-31"),
    ]


def test_the_first_listings_are_stored_as_they_come() -> None:
    answer = listings(("A", "A", "2014-01-02", None))
    assert intervals(listings_known_by(answer, LISTINGS.empty(), last_session=LAST)) == intervals(answer)


def test_what_a_silent_source_listed_is_neither_withdrawn_nor_exchanged() -> None:
    stored = pd.concat(
        [
            listings(("A", "A", "2014-01-02", None), ("GONE", "GONE", "2014-01-02", "2014-06-30")).assign(
                source="quiet"
            ),
            listings(("B", "B", "2014-01-02", None)),
        ]
    )
    answer = listings(("A", "A", "2015-05-01", None), ("B", "B", "2014-01-02", "2015-03-31"))
    kept = listings_known_by(answer, stored, last_session=LAST, silent={"quiet"})
    assert intervals(kept) == [
        ("A", "A", "2014-01-02", None),
        ("B", "B", "2014-01-02", "2015-03-31"),
        ("GONE", "GONE", "2014-01-02", "2014-06-30"),
    ]
    assert kept["source"].tolist() == ["quiet", "hand", "quiet"]


def test_a_history_does_not_begin_while_a_source_is_silent() -> None:
    with pytest.raises(SourceUnavailable, match=r"quiet did not answer, .* a history that begins now would lack it"):
        listings_known_by(
            listings(("A", "A", "2014-01-02", None)), LISTINGS.empty(), last_session=LAST, silent={"quiet"}
        )


def test_the_actions_of_a_silent_source_stand_and_another_ones_count_where_it_said_nothing() -> None:
    stored = actions(
        ("2015-12-10", "A", 0.5, BEFORE), ("2016-01-04", "A", 0.6, BEFORE), ("2015-12-10", "B", 9.0, BEFORE)
    )
    answer = actions(
        ("2015-12-15", "A", 0.5, BEFORE),  # another date for the first: it would be booked twice
        ("2016-01-05", "A", 0.6, BEFORE),  # a day beside the second
        ("2015-12-31", "A", 0.7, BEFORE),  # within a week of the second
        ("2016-01-20", "A", 0.8, BEFORE),  # news
        ("2015-12-10", "B", 1.0, BEFORE),
    )
    assert cash(actions_known_by(answer, stored, known_until=DECIDED, first=LAST, standing={"A"})) == [
        ("2015-12-10", "A", 0.5),
        ("2015-12-10", "B", 1.0),
        ("2016-01-04", "A", 0.6),
        ("2016-01-20", "A", 0.8),
    ]
