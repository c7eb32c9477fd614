"""Who answers when the first source does not, with two or three vendors that state what is written here."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest

from aegis.config import SimulatedMarketSettings
from aegis.errors import AegisError, ConfigurationError, MalformedData, SourceRefused, SourceUnavailable
from aegis.market_data.ingestion import compare_with_other_sources, fetch_raw_bars
from aegis.market_data.multi_source import MultiSource
from aegis.market_data.sources.simulated import SimulatedSource
from aegis.market_data.sources.wrapped import WrappedSource
from tests.scripted_vendor import CALENDAR, ScriptedVendor, steady

FIRST, LAST = date(2014, 6, 2), date(2014, 6, 13)
THURSDAY, FRIDAY = date(2014, 6, 12), LAST
WHOLE = steady(("AAA", "BBB", "SPY"), FIRST, LAST)


class Empty(WrappedSource):
    """A vendor that answers 200 with nothing in it."""

    def bars(self, first: date, last: date) -> pd.DataFrame:
        return super().bars(first, last).iloc[:0]


def multi(*sources: object) -> MultiSource:
    return MultiSource(sources, CALENDAR, last_session=LAST)  # type: ignore[arg-type]


def cells(bars: pd.DataFrame) -> dict[tuple[date, str], tuple[str, float]]:
    """Session and symbol to source and close; a repeated row would be lost here, so it is refused."""
    assert not bars.duplicated(["session", "symbol"]).any()
    return {
        (row.session.date(), row.symbol): (row.source, row.close_raw_usd)
        for row in bars.itertuples()
    }  # fmt: skip


def test_a_first_source_that_has_everything_gives_every_bar() -> None:
    found = multi(ScriptedVendor("one", WHOLE), ScriptedVendor("two", dict.fromkeys(WHOLE, 7.0))).bars(FIRST, LAST)
    assert cells(found) == dict.fromkeys(WHOLE, ("one", 100.0))


@pytest.mark.parametrize(
    "failure", [SourceUnavailable("HTTP 503"), SourceRefused("HTTP 403"), MalformedData("no column close")]
)
def test_a_source_that_raises_is_followed_by_the_next(failure: AegisError) -> None:
    source = multi(ScriptedVendor("one", WHOLE, failure=failure), ScriptedVendor("two", WHOLE))
    assert set(source.bars(FIRST, LAST)["source"]) == {"two"}
    notes = source.fetch_notes()
    assert f"one: {type(failure).__name__}: {failure}" in notes
    assert notes.count(f"one: {type(failure).__name__}: {failure}") == 1
    assert source.session_range() == (FIRST, LAST)
    assert set(source.listings()["source"]) == {"two"}


def test_an_empty_answer_is_followed_by_the_next() -> None:
    source = multi(Empty(ScriptedVendor("one", WHOLE)), ScriptedVendor("two", WHOLE))
    assert set(source.bars(LAST, LAST)["source"]) == {"two"}
    assert "one: an empty answer for 2014-06-13 to 2014-06-13" in source.fetch_notes()


def test_a_stale_source_keeps_its_sessions_and_the_next_brings_the_rest() -> None:
    stale = ScriptedVendor("one", steady(("AAA", "BBB", "SPY"), FIRST, THURSDAY, 90.0))
    source = multi(stale, ScriptedVendor("two", WHOLE))
    found = cells(source.bars(THURSDAY, FRIDAY))
    assert {key: value for key, value in found.items() if key[0] == THURSDAY} == {
        (THURSDAY, symbol): ("one", 90.0) for symbol in ("AAA", "BBB", "SPY")
    }
    assert {key: value for key, value in found.items() if key[0] == FRIDAY} == {
        (FRIDAY, symbol): ("two", 100.0) for symbol in ("AAA", "BBB", "SPY")
    }
    assert "one: stale, its last session is 2014-06-12 and 2014-06-13 was due" in source.fetch_notes()


def test_a_symbol_or_a_session_that_one_source_lacks_comes_whole_from_the_next() -> None:
    partial = {key: 90.0 for key in WHOLE if key[1] != "BBB" and key != (THURSDAY, "AAA")}
    found = cells(multi(ScriptedVendor("one", partial), ScriptedVendor("two", WHOLE)).bars(FIRST, LAST))
    assert found.keys() == WHOLE.keys()
    for key, (source, close) in found.items():
        assert (source, close) == (("one", 90.0) if key in partial else ("two", 100.0))


def test_three_sources_are_asked_in_their_order_and_no_further_than_needed() -> None:
    one = ScriptedVendor("one", {key: 1.5 for key in WHOLE if key[1] == "SPY"})
    two = ScriptedVendor("two", {key: 2.5 for key in WHOLE if key[1] != "BBB"})
    three = ScriptedVendor("three", dict.fromkeys(WHOLE, 3.5))
    found = cells(multi(one, two, three).bars(FRIDAY, FRIDAY))
    assert found == {
        (FRIDAY, "AAA"): ("two", 2.5),
        (FRIDAY, "BBB"): ("three", 3.5),
        (FRIDAY, "SPY"): ("one", 1.5),
    }


def test_rows_that_one_source_repeats_are_all_delivered_for_the_gate_to_name() -> None:
    class Repeating(WrappedSource):
        def bars(self, first: date, last: date) -> pd.DataFrame:
            bars = super().bars(first, last)
            return pd.concat([bars, bars])

    source = multi(Repeating(ScriptedVendor("one", WHOLE)), ScriptedVendor("two", WHOLE))
    assert len(source.bars(FRIDAY, FRIDAY)) == 6


def test_when_nobody_answers_the_error_lists_every_reason() -> None:
    source = multi(
        ScriptedVendor("one", WHOLE, failure=SourceUnavailable("HTTP 429")),
        ScriptedVendor("two", WHOLE, failure=MalformedData("truncated body")),
    )
    words = r"one: SourceUnavailable: HTTP 429 \| two: MalformedData: truncated body"
    for question in (source.session_range, source.listings, lambda: source.bars(FIRST, LAST)):
        with pytest.raises(SourceUnavailable, match=words):
            question()


def test_a_session_that_nobody_has_is_an_error_and_never_an_older_copy() -> None:
    until_thursday = steady(("AAA", "BBB", "SPY"), FIRST, THURSDAY)
    source = multi(ScriptedVendor("one", until_thursday), ScriptedVendor("two", until_thursday))
    with pytest.raises(SourceUnavailable, match=r"no source has bars from 2014-06-13 .*one: stale, .*two: stale"):
        source.bars(FRIDAY, FRIDAY)
    with pytest.raises(SourceUnavailable, match=r"2014-06-13: the session has closed, but the source's last is"):
        fetch_raw_bars(source, [THURSDAY, FRIDAY], last_complete=FRIDAY, has_ended=False)


def test_a_source_that_recovers_is_asked_again() -> None:
    one = ScriptedVendor("one", WHOLE, failure=SourceUnavailable("HTTP 503"))
    source = multi(one, ScriptedVendor("two", WHOLE))
    assert set(source.bars(FRIDAY, FRIDAY)["source"]) == {"two"}
    one.failure = None
    assert set(source.bars(FRIDAY, FRIDAY)["source"]) == {"one"}


def test_a_symbol_that_one_source_lost_goes_on_where_another_has_it() -> None:
    # ten sessions from the 2nd to the 13th; without bars after the 3rd, "one" delists BBB five sessions later
    lost = {key: close for key, close in WHOLE.items() if key[1] != "BBB" or key[0] <= date(2014, 6, 3)}
    source = multi(ScriptedVendor("one", lost), ScriptedVendor("two", WHOLE))
    listings = source.listings().set_index("symbol")
    assert listings["source"].to_dict() == {"AAA": "one", "BBB": "two", "SPY": "one"}
    assert listings["last_session"].isna().all()
    assert source.corporate_actions(FIRST, LAST).empty  # no delisting
    assert "BBB: one ends on 2014-06-10 and two goes on, which is believed" in source.coverage_notes()


def test_the_actions_of_a_symbol_come_from_one_source_and_a_difference_is_said() -> None:
    one = ScriptedVendor("one", WHOLE, splits={(THURSDAY, "AAA"): 2.0})
    two = ScriptedVendor("two", WHOLE, splits={(FRIDAY, "AAA"): 2.0, (THURSDAY, "BBB"): 3.0})
    source = multi(one, two)
    actions = source.corporate_actions(FIRST, LAST)
    assert actions[["symbol", "split_ratio", "source"]].to_numpy().tolist() == [["AAA", 2.0, "one"]]
    notes = source.coverage_notes()
    assert "AAA 2014-06-12: a split of 2 by one, none by two" in notes
    assert "AAA 2014-06-13: a split of 2 by two, none by one" in notes
    assert "BBB 2014-06-12: a split of 3 by two, none by one" in notes


def test_one_symbol_with_two_tickers_is_refused() -> None:
    source = multi(ScriptedVendor("one", WHOLE), ScriptedVendor("two", WHOLE, tickers={"AAA": "AAB"}))
    with pytest.raises(MalformedData, match=r"AAA: it trades as AAA by one and as AAB by two, .* different symbols"):
        source.bars(FRIDAY, FRIDAY)


def test_the_second_opinion_is_the_next_sources_and_never_the_bars_own() -> None:
    partial = {key: close for key, close in WHOLE.items() if key[1] != "BBB"}
    one, two = ScriptedVendor("one", partial), ScriptedVendor("two", dict.fromkeys(WHOLE, 101.0))
    three = ScriptedVendor("three", dict.fromkeys(WHOLE, 103.0))
    source = multi(one, two, three)
    found = compare_with_other_sources(source, source.bars(FRIDAY, FRIDAY), compared_share=1.0)
    assert found[["symbol", "source", "other_source", "close_ratio"]].to_numpy().tolist() == [
        ["AAA", "one", "two", 1.01],
        ["BBB", "two", "three", pytest.approx(103 / 101)],
        ["SPY", "one", "two", 1.01],
    ]


def test_a_source_that_does_not_answer_has_no_opinion() -> None:
    one = ScriptedVendor("one", WHOLE)
    source = multi(one, ScriptedVendor("two", WHOLE, failure=SourceUnavailable("HTTP 503")))
    assert compare_with_other_sources(source, source.bars(FRIDAY, FRIDAY), compared_share=1.0).empty
    assert source.fetch_notes() == ["two: SourceUnavailable: HTTP 503"]


def test_sessions_outside_the_sample_are_not_asked_of_a_second_source() -> None:
    one, two = ScriptedVendor("one", WHOLE), ScriptedVendor("two", WHOLE)
    bars = one.bars(FRIDAY, FRIDAY)
    assert compare_with_other_sources(multi(one, two), bars, compared_share=0.0).empty
    assert two.asked == 0


def test_every_remark_of_a_source_stands_under_its_name() -> None:
    source = multi(ScriptedVendor("one", WHOLE), ScriptedVendor("two", WHOLE))
    assert {"one: a remark", "two: a remark"} <= set(source.coverage_notes())


def test_lists_that_make_no_order_are_refused() -> None:
    one = ScriptedVendor("one", WHOLE)
    for sources in ([one], [one, ScriptedVendor("one", WHOLE)]):
        with pytest.raises(ConfigurationError, match=r"market_data\.sources: expected two sources or more, each once"):
            multi(*sources)
    simulated = SimulatedSource(
        SimulatedMarketSettings(), CALENDAR, last_session=LAST, vendor_delay=timedelta(minutes=15)
    )
    with pytest.raises(ConfigurationError, match="simulated prices beside real ones"):
        multi(one, simulated)
