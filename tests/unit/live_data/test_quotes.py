"""Which quotes are believed, and what becomes of the others: counted, never passed on."""

from __future__ import annotations

import math

import pytest

from aegis.errors import RiskError
from aegis.live_data.feed_health import Counted
from aegis.live_data.live_market import LiveMarket
from tests.unit.live_data.feeds import CALENDAR, NOW, SECOND, Market, Refuses, halt_of


@pytest.mark.parametrize(
    ("bid", "ask", "counted"),
    [
        (0.0, 20.01, Counted.NO_NUMBER),
        (19.99, 0.0, Counted.NO_NUMBER),
        (math.nan, 20.01, Counted.NO_NUMBER),
        (19.99, math.inf, Counted.NO_NUMBER),
        (-19.99, 20.01, Counted.NO_NUMBER),
        (20.02, 20.01, Counted.CROSSED),
        (0.01, 199_999.0, Counted.STUB),
        (1.99, 2.01, Counted.JUMP),
    ],
)
def test_a_quote_that_cannot_be_is_counted_and_goes_no_further(bid: float, ask: float, counted: Counted) -> None:
    market = Market()
    market.quote()
    market.after(1).quote(bid, ask)
    assert market.count(counted) == 1
    assert [(quote.bid_usd, quote.ask_usd) for quote in market.listener.quotes] == [(19.99, 20.01)]
    observed = market.market.observe("ABC")
    assert (observed.bid_usd, observed.ask_usd, observed.quoted_at_utc) == (19.99, 20.01, NOW)
    assert market.market.health().symbols["ABC"].refused_quotes == 1


def test_bounds_belong_to_what_is_believed() -> None:
    market = Market(max_spread_fraction=0.25)
    market.quote(17.5, 22.5)  # a spread of a quarter of 20 USD
    market.quote(17.5, 22.51)
    assert (market.count(Counted.QUOTES), market.count(Counted.STUB)) == (1, 1)
    ahead = Market(max_clock_ahead_seconds=1.0)
    ahead.quote(age_seconds=-1.0)
    ahead.quote(19.98, age_seconds=-1.01)
    assert (ahead.count(Counted.QUOTES), ahead.count(Counted.FUTURE)) == (1, 1)
    far = Market(max_jump_fraction=0.25)
    far.quote(20.0, 20.0)
    far.after(1).quote(25.0, 25.0)
    assert far.count(Counted.JUMP) == 0


def test_a_quote_a_little_ahead_of_our_clock_is_of_the_instant_at_which_it_was_heard() -> None:
    market = Market()
    market.quote(age_seconds=-0.5)
    assert market.market.observe("ABC").quoted_at_utc == NOW
    assert market.market.health().least_delay_seconds == -0.5


def test_an_old_quote_said_again_grows_no_younger() -> None:
    market = Market()
    market.quote(age_seconds=3)
    market.after(7).quote(age_seconds=10)
    assert market.count(Counted.DUPLICATES) == 1
    assert market.market.health().symbols["ABC"].quote_age_seconds(market.clock.now_utc()) == 10.0


def test_of_two_quotes_the_vendors_time_says_which_is_newer() -> None:
    market = Market()
    market.quote(19.99, age_seconds=1)
    market.quote(19.90, age_seconds=2)
    assert market.market.observe("ABC").bid_usd == 19.99
    assert market.count(Counted.OUT_OF_ORDER) == 1
    assert len(market.listener.quotes) == 1


def test_a_jump_is_believed_when_it_is_said_for_a_while() -> None:
    market = Market(jump_confirmation_seconds=2.0)
    market.quote(20.0, 20.0)
    market.after(1).quote(40.0, 40.0)
    market.after(1.9).quote(40.1, 40.1)
    assert market.count(Counted.JUMP) == 2
    market.after(0.1).quote(40.2, 40.2)
    assert [quote.bid_usd for quote in market.listener.quotes] == [20.0, 40.2]


def test_jumps_that_contradict_each_other_are_not_believed() -> None:
    market = Market(jump_confirmation_seconds=2.0)
    market.quote(20.0, 20.0)
    for price in (40.0, 5.0, 40.0, 5.0):
        market.after(3).quote(price, price)
    assert market.count(Counted.JUMP) == 4
    market.after(1).quote(20.1, 20.1)
    assert [quote.bid_usd for quote in market.listener.quotes] == [20.0, 20.1]


def test_a_halted_symbol_is_not_quoted_to_an_algorithm_until_it_resumes() -> None:
    market = Market()
    market.quote()
    market.market.take_halt(halt_of(is_halted=True))
    market.market.take_halt(halt_of(is_halted=True))
    assert not market.market.observe("ABC").has_quote(NOW, 10 * SECOND)
    market.market.take_halt(halt_of(is_halted=False))
    assert market.market.observe("ABC").has_quote(NOW, 10 * SECOND)
    assert [halt.is_halted for halt in market.listener.halts] == [True, False], "the second one was no news"


def test_a_symbol_that_is_not_watched_any_more_is_forgotten() -> None:
    market = Market()
    market.quote()
    assert market.market.watch(frozenset({"XYZ"})) == (frozenset(), {"ABC"})
    market.after(1).quote()
    assert market.market.quote("ABC") is None
    assert market.count(Counted.NOT_ASKED_FOR) == 1
    assert list(market.market.health().symbols) == ["XYZ"]


def test_a_listener_that_refuses_is_told_of_and_one_that_breaks_ends_the_source() -> None:
    market = Market()

    def heard_by(listener: Refuses) -> LiveMarket:
        told = LiveMarket("trial", clock=market.clock, calendar=CALENDAR, settings=market.settings, listener=listener)
        told.watch(frozenset({"ABC"}))
        market.market = told
        return told

    refused = heard_by(Refuses(lambda: RiskError("no")))
    market.quote()
    assert refused.health().problem == "a listener refused a message: no"
    assert refused.quote("ABC") is not None
    heard_by(Refuses(lambda: KeyError("a fault of the program")))
    with pytest.raises(KeyError):
        market.quote()
