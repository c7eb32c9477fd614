"""Minutes, trades and connections of a live market, message by message."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aegis.live_data.feed_health import Counted
from aegis.live_data.messages import LiveTrade, MinuteOrigin
from tests.unit.live_data.feeds import MINUTE, NOW, OPENS, SECOND, Market, minute_of


def test_volume_is_known_up_to_the_first_minute_that_nobody_knows() -> None:
    market = Market(OPENS)
    for number in (1, 2, 4):
        market.clock.advance_to(OPENS + number * MINUTE)
        market.market.take_minute(minute_of(number, 100.0 * number))
    observed = market.market.observe("ABC")
    # Minute 3 ended a minute ago: had it traded, its bar would be here. Minutes 1, 2 and 4 have 700 shares.
    assert (observed.volume_shares, observed.volume_at_utc) == (700.0, OPENS + 4 * MINUTE)
    assert market.market.missing() == {}


def test_minutes_before_the_subscription_are_missing_until_they_are_asked_for() -> None:
    market = Market(OPENS + 3 * MINUTE + SECOND)
    for number in (4, 5):
        market.clock.advance_to(OPENS + number * MINUTE + SECOND)
        market.market.take_minute(minute_of(number))
    observed = market.market.observe("ABC")
    assert (observed.volume_shares, observed.volume_at_utc) == (0.0, OPENS)
    (span,) = market.market.missing()["ABC"]
    assert span == (OPENS, OPENS + 3 * MINUTE)
    assert market.market.health().symbols["ABC"].missing_minutes == 3
    market.market.fill("ABC", span, [minute_of(1, 7.0, origin=MinuteOrigin.UPDATE)])
    observed = market.market.observe("ABC")
    assert (observed.volume_shares, observed.volume_at_utc) == (207.0, OPENS + 5 * MINUTE)
    assert market.count(Counted.FILLED_MINUTES) == 3


def test_what_happened_while_the_connection_was_lost_is_missing() -> None:
    market = Market(OPENS)
    market.clock.advance_to(OPENS + MINUTE)
    market.market.take_minute(minute_of(1))
    market.clock.advance_to(OPENS + 3 * MINUTE)
    market.market.lost("cut")
    assert market.market.health().problem == "cut"
    assert not market.market.health().stream.is_connected
    market.clock.advance_to(OPENS + 5 * MINUTE + 30 * SECOND)
    market.market.connected()
    market.market.begin(["ABC"])
    for number in (6, 7):
        market.clock.advance_to(OPENS + number * MINUTE)
        market.market.take_minute(minute_of(number))
    # Nothing was heard after the first minute's bar, and minute 6 had begun when the connection was there again.
    assert market.market.missing()["ABC"] == [(OPENS + MINUTE, OPENS + 5 * MINUTE)]
    assert market.market.health().stream.connections == 2


def test_silence_makes_no_minute_quiet() -> None:
    market = Market(OPENS)
    market.clock.advance_to(OPENS + 4 * MINUTE)
    assert market.market.observe("ABC").volume_at_utc == OPENS
    market.quote(symbol="XYZ")
    assert market.market.observe("ABC").volume_at_utc == OPENS + 3 * MINUTE, "five seconds of grace for the fourth"


def test_a_bar_that_comes_late_twice_or_corrected_counts_once() -> None:
    market = Market(OPENS)
    market.clock.advance_to(OPENS + 3 * MINUTE)
    for minute in (
        minute_of(3, 300.0),
        minute_of(2, 50.0),
        minute_of(2, 50.0),
        minute_of(3, 310.0, origin=MinuteOrigin.UPDATE),
        minute_of(3, 300.0),
    ):
        market.market.take_minute(minute)
    assert (market.market.observe("ABC").volume_shares, len(market.listener.minutes)) == (360.0, 3)
    counts = market.market.health().counts
    assert counts[Counted.DUPLICATES] == 1
    assert counts[Counted.CORRECTED] == 1
    assert counts[Counted.OUT_OF_ORDER] == 1, "the first version after the second"


@pytest.mark.parametrize(
    ("terms", "counted"),
    [
        ({"low_usd": 20.3}, Counted.BAD_MINUTES),
        ({"high_usd": float("nan")}, Counted.BAD_MINUTES),
        ({"volume_shares": -1.0}, Counted.BAD_MINUTES),
        ({"volume_shares": float("inf")}, Counted.BAD_MINUTES),
        ({"low_usd": 0.0}, Counted.BAD_MINUTES),
        ({"closes_at_utc": OPENS}, Counted.OUTSIDE_HOURS),
        ({"closes_at_utc": OPENS + 391 * MINUTE}, Counted.OUTSIDE_HOURS),
        ({"closes_at_utc": OPENS + 90 * SECOND}, Counted.OUTSIDE_HOURS),
    ],
)
def test_a_bar_that_cannot_be_changes_nothing(terms: dict[str, object], counted: Counted) -> None:
    market = Market(OPENS + 2 * MINUTE)
    market.market.take_minute(minute_of(1, **terms))
    assert market.count(counted) == 1
    assert market.market.minutes("ABC") == ()
    assert market.listener.minutes == []


def test_a_half_day_ends_with_its_last_minute_and_the_next_session_begins_with_none() -> None:
    half_day = datetime(2014, 11, 28, 14, 30, tzinfo=UTC)
    market = Market(half_day)
    market.clock.advance_to(half_day + 210 * MINUTE)
    last = minute_of(1, closes_at_utc=half_day + 210 * MINUTE)
    market.market.take_minute(last)
    market.market.take_minute(minute_of(1, closes_at_utc=half_day + 211 * MINUTE))
    assert market.market.minutes("ABC") == (last,)
    assert market.count(Counted.OUTSIDE_HOURS) == 1
    market.clock.advance_to(datetime(2014, 12, 1, 14, 30, tzinfo=UTC))
    assert market.market.minutes("ABC") == ()
    assert market.market.observe("ABC").volume_at_utc == datetime(2014, 12, 1, 14, 30, tzinfo=UTC)


def test_trades_are_taken_once_corrected_and_cancelled() -> None:
    market = Market()
    market.trade(20.0, "1")
    market.trade(20.0, "1")
    market.trade(19.0, "2", at_utc=NOW - SECOND)
    found = market.market.last_trade("ABC")
    assert found is not None
    assert (found.price_usd, found.trade_id) == (20.0, "1")
    corrected = LiveTrade(symbol="ABC", price_usd=20.5, shares=10, traded_at_utc=NOW, heard_at_utc=NOW, trade_id="3")
    market.market.correct_trade("ABC", "1", corrected)
    assert market.market.last_trade("ABC") == corrected
    market.market.correct_trade("ABC", "3", None)
    assert market.market.last_trade("ABC") is None
    kinds = (Counted.TRADES, Counted.DUPLICATES, Counted.OUT_OF_ORDER, Counted.CORRECTED, Counted.CANCELLED)
    assert [market.count(kind) for kind in kinds] == [1, 1, 1, 1, 1]


def test_trades_that_a_bar_counts_and_nobody_told_are_a_gap() -> None:
    market = Market(OPENS)
    for number in range(3):
        market.after(10).trade(20.0, f"t{number}")
    market.clock.advance_to(OPENS + MINUTE)
    market.market.take_minute(minute_of(1, trades=5))
    assert market.count(Counted.MISSED_TRADES) == 2
    unheard = Market(OPENS + 30 * SECOND)
    unheard.trade(20.0, "a")
    unheard.clock.advance_to(OPENS + MINUTE)
    unheard.market.take_minute(minute_of(1, trades=5))
    assert unheard.count(Counted.MISSED_TRADES) == 0, "half of that minute was before the subscription"
