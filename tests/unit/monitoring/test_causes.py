"""Which causes stand: slippage at its bound, orders without an answer, and names that survive other numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from aegis.config_monitoring import AlertSettings
from aegis.live_trading.live_feeds import StandingStop
from aegis.monitoring.arrival_slippage import Slippage
from aegis.monitoring.causes import causes_of
from aegis.monitoring.feed_health import FeedReading
from aegis.monitoring.snapshot import BrokerHeartbeat, Exposure, Money, MonitorSnapshot, OpenOrder

NOON = datetime(2014, 6, 6, 16, tzinfo=UTC)
SETTINGS = AlertSettings(max_slippage_bps=25, slippage_min_fills=3, max_unanswered_seconds=30)


def _slippage(bps: float | None, fills: int = 3) -> Slippage:
    return Slippage(name="total", symbol="", fills=fills, traded_usd=1e5, slippage_usd=100.0, slippage_bps=bps)


QUIET = MonitorSnapshot(
    account="paper", at_utc=NOON, session=date(2014, 6, 6), is_session_open=True, process=1, host="h", positions=(),
    money=Money(by_strategy={}), exposure=Exposure(long_usd=0, short_usd=0, gross_usd=0, net_usd=0,
    gross_share_of_equity=None), limits=(), stops=(), latencies=(), feeds=(),
    broker=BrokerHeartbeat(stream_silence_seconds=0, statement_age_seconds=0, clock_skew_seconds=0),
    slippage_total=_slippage(None, 0), slippage_by_order=(), open_orders=(), unknown_orders=(), breaks=(), failures=(),
    rejects_in_a_row=0, lease_holder="process 1 on h since", has_lease=True, kill_switch="",
)  # fmt: skip


def _keys(**changed) -> list[str]:
    return [cause.key for cause in causes_of(replace(QUIET, **changed), SETTINGS)]


def test_nothing_stands_while_all_is_well() -> None:
    assert _keys() == []


@pytest.mark.parametrize(
    ("bps", "fills", "expected"), [(25.0, 3, []), (25.01, 3, ["slippage"]), (80.0, 2, []), (-80.0, 9, [])]
)
def test_slippage_counts_above_its_bound_and_with_enough_fills(bps, fills, expected) -> None:
    assert _keys(slippage_total=_slippage(bps, fills)) == expected


@pytest.mark.parametrize(
    ("state", "seconds", "expected"),
    [("submitted", 30, []), ("submitted", 31, ["order_unanswered/o"]), ("accepted", 99, [])],
)
def test_an_order_that_the_venue_does_not_answer_is_named(state, seconds, expected) -> None:
    order = OpenOrder(
        client_order_id="o", symbol="ABC", quantity_shares=1.0, filled_shares=0.0, state=state, order_type="market",
        limit_price_usd=None, submitted_at_utc=NOON - timedelta(seconds=seconds), acknowledged_at_utc=None,
        execution_session=NOON.date(),
    )  # fmt: skip
    assert _keys(open_orders=(order,)) == expected
    assert _keys(open_orders=(order,), unknown_orders=("o",)) == ["order_unknown/o"]


def test_a_break_keeps_its_name_while_its_numbers_change() -> None:
    said = "paper 2014-06-06T13:{}Z ABC: our books say {} shares, the broker 25 (difference -15)"
    first, later = _keys(breaks=(said.format("31:00", 40),)), _keys(breaks=(said.format("32:07", 1_250),))
    assert first == later
    assert first != _keys(breaks=(said.format("31:00", 40).replace("ABC", "DEF"),))


def test_quotes_and_feeds_count_only_while_the_market_is_open() -> None:

    old = {
        "stops": (StandingStop("stale quote ABC", "orders of ABC", None, "subscribe again"),),
        "feeds": (FeedReading(source="alpaca", heard_at_utc=None),),
    }
    assert _keys(**old) == ["stale_quote/ABC", "data_silent/alpaca"]
    assert _keys(**old, is_session_open=False) == []


def test_an_end_that_cannot_be_anchored_is_a_fault_of_the_journal_and_no_difference_of_the_books() -> None:
    said = "journal of paper: its anchor /mnt/other/paper.json: no space left"
    assert _keys(breaks=(said,)) == _keys(breaks=(said,), failures=(said,)) == ["journal_not_writable"]
