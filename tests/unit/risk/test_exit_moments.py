"""Each rule about the moment just within its limit, exactly at it, and just beyond. Every outcome is worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aegis.execution.orders import Order
from aegis.risk.exit_prices import Quote
from aegis.risk.exit_rules import REDUCING_PASS, RULES, review, verdict_on
from aegis.risk.exit_view import ExitRow, ExitVerdict, ExitView, SentOrder, SymbolFacts
from tests.unit.risk.exit_cases import DAY, LIMITS, NOW, book_of, order_with, quote_with, view_with

MICRO = timedelta(microseconds=1)


def _row(rule: str, view: ExitView, **limits: float) -> ExitRow:
    return next(row for row in review(view, replace(LIMITS, **limits)) if row.rule == rule)


def test_the_order_of_these_tests_passes_every_rule() -> None:
    verdict = verdict_on(view_with(), LIMITS)
    assert verdict.is_allowed
    assert verdict.refusing_rules == ()
    assert verdict.reason == ""
    assert verdict.touch_usd == 20.2
    assert tuple(row.rule for row in verdict.rows) == RULES
    assert len(set(RULES)) == 30
    assert all(row.detail is None and row.observed <= row.threshold for row in verdict.rows)


def test_every_rule_that_refuses_says_of_which_symbol_and_order_and_when() -> None:
    order = order_with(quantity_shares=-20_001.0, account="other", execution_session=date(2014, 6, 9))
    twin = replace(order, client_order_id="o-0")
    unknown = (
        *("quote", "facts", "reconciliation_clean", "clock_skew_seconds", "stream_silence_seconds"),
        *("account_age_seconds", "equity_usd", "first_equity_usd", "peak_equity_usd", "buying_power_usd"),
    )
    view = view_with(
        order,
        **dict.fromkeys(unknown),
        kill_switch_engaged=True,
        is_halted=True,
        asked_before_utc=NOW,
        tripped={"runaway": "it ran", "drawdown": "it fell"},
        recent=(SentOrder(twin, NOW),),
        **dict.fromkeys(("day_orders", "second_orders", "minute_orders"), 100_000),
        day_shares=Decimal(200_000),
    )
    rows = review(view, LIMITS)
    assert {row.rule: row.outcome for row in rows} == dict.fromkeys(RULES, "refuse")
    assert [row.rule for row in rows if not str(row.detail).startswith("ABC 2014-06-06 15:00:00 UTC, order o-1")] == []
    told = {row.rule: str(row.detail) for row in rows}
    assert "it would be order 100001 on 2014-06-06, 1000 are allowed" in told["day_orders_within_limit"]
    assert "the first of 2014-06-06 was None USD" in told["daily_loss_within_limit"]


def test_a_verdict_without_rows_lets_nothing_through() -> None:
    assert not ExitVerdict("o-1", NOW, (), 20.0).is_allowed


# ask 20.20, bid 20.00, arrival 20.00, collar 5 %: purchases up to 21.21, sales down to 19.00; without a limit the ask
# may be up to 21.00 and the bid down to 19.00.
@pytest.mark.parametrize(
    ("terms", "quote", "outcome"),
    [
        ({"quantity_shares": 5.0, "order_type": "limit", "limit_price_usd": 21.20}, (20.0, 20.2), "pass"),
        ({"quantity_shares": 5.0, "order_type": "limit", "limit_price_usd": 21.21}, (20.0, 20.2), "pass"),
        ({"quantity_shares": 5.0, "order_type": "limit", "limit_price_usd": 21.22}, (20.0, 20.2), "refuse"),
        ({"quantity_shares": 5.0, "order_type": "limit", "limit_price_usd": 0.01}, (20.0, 20.2), "pass"),
        ({"quantity_shares": -5.0, "order_type": "limit", "limit_price_usd": 19.01}, (20.0, 20.2), "pass"),
        ({"quantity_shares": -5.0, "order_type": "limit", "limit_price_usd": 19.00}, (20.0, 20.2), "pass"),
        ({"quantity_shares": -5.0, "order_type": "limit", "limit_price_usd": 18.99}, (20.0, 20.2), "refuse"),
        ({"quantity_shares": -5.0, "order_type": "limit", "limit_price_usd": 900.0}, (20.0, 20.2), "pass"),
        ({"quantity_shares": 5.0}, (20.0, 20.99), "pass"),
        ({"quantity_shares": 5.0}, (20.0, 21.00), "pass"),
        ({"quantity_shares": 5.0}, (20.0, 21.01), "refuse"),
        ({"quantity_shares": 5.0}, (10.0, 10.01), "pass"),
        ({"quantity_shares": -5.0}, (19.01, 20.0), "pass"),
        ({"quantity_shares": -5.0}, (19.00, 20.0), "pass"),
        ({"quantity_shares": -5.0}, (18.99, 20.0), "refuse"),
        # A stop limit is judged from its stop where the market has still to come to it: 22 × 1.05 = 23.10.
        ({"quantity_shares": 5.0, "order_type": "stop_limit", "stop_price_usd": 22.0, "limit_price_usd": 23.10},
         (20.0, 20.2), "pass"),
        ({"quantity_shares": 5.0, "order_type": "stop_limit", "stop_price_usd": 22.0, "limit_price_usd": 23.11},
         (20.0, 20.2), "refuse"),
        ({"quantity_shares": -5.0, "order_type": "stop_limit", "stop_price_usd": 18.0, "limit_price_usd": 17.10},
         (20.0, 20.2), "pass"),
        ({"quantity_shares": -5.0, "order_type": "stop_limit", "stop_price_usd": 18.0, "limit_price_usd": 17.09},
         (20.0, 20.2), "refuse"),
        ({"quantity_shares": 5.0, "arrival_price_usd": -1.0}, (20.0, 20.2), "refuse"),
        ({"quantity_shares": 5.0, "arrival_price_usd": 0.0}, (20.0, 20.2), "refuse"),
        ({"quantity_shares": 5.0}, (20.3, 20.2), "refuse"),
        ({"quantity_shares": 5.0}, (math.nan, 20.2), "refuse"),
        ({"quantity_shares": 5.0}, (0.0, 20.2), "refuse"),
        ({"quantity_shares": 5.0}, (20.0, math.inf), "refuse"),
    ],
)  # fmt: skip
def test_price_collar(terms: dict[str, Any], quote: tuple[float, float], outcome: str) -> None:
    view = view_with(order_with(**terms), quote=quote_with(*quote))
    row = _row("price_is_within_the_collar", view, price_collar_fraction=0.05)
    assert row.outcome == outcome
    assert (row.observed <= row.threshold) is (outcome == "pass")


def test_the_collar_holds_for_reducing_orders_too() -> None:
    view = view_with(order_with(quantity_shares=-5.0), quote=quote_with(18.99, 20.0), book=book_of(100))
    assert view.is_reducing
    assert _row("price_is_within_the_collar", view, price_collar_fraction=0.05).outcome == "refuse"


@pytest.mark.parametrize(
    ("quote", "outcome"),
    [
        (Quote(20.0, 20.0, NOW - timedelta(seconds=10) + MICRO), "pass"),
        (Quote(20.0, 20.0, NOW - timedelta(seconds=10)), "pass"),
        (Quote(20.0, 20.0, NOW - timedelta(seconds=10) - MICRO), "refuse"),
        # Of the future by as much as clocks may differ, and by more.
        (Quote(20.0, 20.0, NOW + timedelta(seconds=1)), "pass"),
        (Quote(20.0, 20.0, NOW + timedelta(seconds=1) + MICRO), "refuse"),
        (Quote(20.1, 20.0, NOW), "refuse"),
        (None, "refuse"),
    ],
)
def test_age_of_the_quote(quote: Quote | None, outcome: str) -> None:
    row = _row("quote_is_fresh", view_with(quote=quote), max_quote_age_seconds=10.0, max_clock_skew_seconds=1.0)
    assert row.outcome == outcome


@pytest.mark.parametrize(
    ("rule", "field", "limit"),
    [
        ("account_is_fresh", "account_age_seconds", "max_account_age_seconds"),
        ("order_stream_is_alive", "stream_silence_seconds", "max_stream_silence_seconds"),
        ("clock_agrees_with_the_broker", "clock_skew_seconds", "max_clock_skew_seconds"),
    ],
)
@pytest.mark.parametrize(
    ("value", "outcome"),
    [(math.nextafter(7.0, 0.0), "pass"), (7.0, "pass"), (math.nextafter(7.0, 8.0), "refuse"), (None, "refuse"),
     (math.nan, "refuse")],
)  # fmt: skip
def test_ages_and_skew(rule: str, field: str, limit: str, value: float | None, outcome: str) -> None:
    for book in (book_of(), book_of(-200)):  # the second order only reduces, and is refused all the same
        row = _row(rule, view_with(book=book, **{field: value}), **{limit: 7.0})
        assert row.outcome == outcome


def test_a_clock_behind_the_broker_is_as_wrong_as_one_ahead() -> None:
    assert _row("clock_agrees_with_the_broker", view_with(clock_skew_seconds=-1.0)).outcome == "pass"
    assert _row("clock_agrees_with_the_broker", view_with(clock_skew_seconds=-1.001)).outcome == "refuse"


@pytest.mark.parametrize(("before", "outcome"), [(8, "pass"), (9, "pass"), (10, "refuse")])
def test_orders_of_a_day(before: int, outcome: str) -> None:
    row = _row("day_orders_within_limit", view_with(day_orders=before), max_day_orders=10)
    assert (row.outcome, row.observed, row.threshold) == (outcome, before + 1, 10)


@pytest.mark.parametrize(("rate", "limit"), [("second", "max_orders_per_second"), ("minute", "max_orders_per_minute")])
@pytest.mark.parametrize(("before", "outcome"), [(1, "pass"), (2, "pass"), (3, "refuse")])
def test_orders_within_a_second_and_a_minute(rate: str, limit: str, before: int, outcome: str) -> None:
    row = _row(f"orders_per_{rate}_within_limit", view_with(**{f"{rate}_orders": before}), **{limit: 3})
    assert (row.outcome, row.observed, row.threshold) == (outcome, before + 1, 3)


@pytest.mark.parametrize(
    ("age_seconds", "terms", "outcome"),
    [
        (4.999999, {}, "refuse"),
        (5.0, {}, "refuse"),
        (5.000001, {}, "pass"),
        (0.0, {"quantity_shares": 101.0}, "pass"),
        (0.0, {"quantity_shares": -100.0}, "pass"),
        (0.0, {"order_type": "limit", "limit_price_usd": 20.0}, "pass"),
        (0.0, {"client_order_id": "o-1"}, "pass"),
    ],
)
def test_an_equal_order_under_another_id_within_the_window(
    age_seconds: float, terms: dict[str, Any], outcome: str
) -> None:
    sent = SentOrder(order_with(**{"client_order_id": "o-0", **terms}), NOW - timedelta(seconds=age_seconds))
    row = _row("order_is_not_a_duplicate", view_with(recent=(sent,)), duplicate_window_seconds=5.0)
    assert row.outcome == outcome
    assert outcome == "pass" or "o-0" in str(row.detail)


def test_an_order_of_a_known_id_is_refused_under_that_id() -> None:
    row = _row("order_is_asked_once", view_with(asked_before_utc=NOW - timedelta(hours=1)))
    assert row.outcome == "refuse"
    assert "2014-06-06 14:00:00" in str(row.detail)


@pytest.mark.parametrize(
    ("rule", "replaced"),
    [
        ("kill_switch_is_off", {"kill_switch_engaged": True}),
        ("kill_switch_is_off", {"kill_switch_engaged": None}),
        ("reconciliation_is_clean", {"reconciliation_clean": False}),
        ("reconciliation_is_clean", {"reconciliation_clean": None}),
        ("order_is_for_this_account", {"account": "live"}),
        ("symbol_is_not_halted", {"is_halted": True}),
        ("symbol_is_not_restricted", {"facts": None}),
        ("symbol_is_not_restricted", {"facts": SymbolFacts(
            median_daily_volume_shares=1e6, is_shortable=True, restriction="own research")}),
        ("no_runaway_is_stopped", {"tripped": {"runaway": "6 rejections in a row"}}),
    ],
)  # fmt: skip
def test_what_stops_every_order_also_one_that_only_reduces(rule: str, replaced: dict[str, Any]) -> None:
    assert rule not in REDUCING_PASS
    for book in (book_of(), book_of(-200)):
        row = _row(rule, view_with(book=book, **replaced))
        assert row.outcome == "refuse"
        assert "ABC 2014-06-06 15:00:00 UTC, order o-1" in str(row.detail)


@pytest.mark.parametrize(("shares", "outcome"), [(100, "refuse"), (-100, "pass")])
def test_a_symbol_that_may_not_be_opened_may_be_sold_off(shares, outcome):
    facts = SymbolFacts(median_daily_volume_shares=1e6, is_shortable=True, opening_restriction="no opening")
    view = view_with(order=order_with(quantity_shares=shares), book=book_of(200), facts=facts)
    assert _row("symbol_is_not_restricted", view).outcome == outcome


@pytest.mark.parametrize(
    ("shares", "book", "shortable", "outcome"),
    [
        (-99, book_of(100), False, "pass"),
        (-100, book_of(100), False, "pass"),
        (-101, book_of(100), False, "refuse"),
        (-101, book_of(100), True, "pass"),
        (-50, book_of(100, sold=50), False, "pass"),
        (-51, book_of(100, sold=50), False, "refuse"),
        (-51, book_of(100, bought=50, sold=50), False, "refuse"),
        (-1, book_of(), False, "refuse"),
        (-1, book_of(-10), False, "refuse"),
        (10, book_of(-10), False, "pass"),
    ],
)
def test_a_sale_beyond_what_is_held_needs_a_locate(shares: float, book: Any, shortable: bool, outcome: str) -> None:
    facts = SymbolFacts(median_daily_volume_shares=1e6, is_shortable=shortable)
    view = view_with(order_with(quantity_shares=shares), book=book, facts=facts)
    assert _row("short_sale_is_located", view).outcome == outcome


OPEN, CLOSE = DAY.opens_at_utc, DAY.closes_at_utc
LAST_OPG, LAST_CLS = OPEN - timedelta(minutes=2), CLOSE - timedelta(minutes=10)


@pytest.mark.parametrize(
    ("terms", "now", "outcome"),
    [
        *[({"time_in_force": name}, OPEN - MICRO, "refuse") for name in ("DAY", "IOC", "FOK")],
        *[({"time_in_force": name}, OPEN, "pass") for name in ("DAY", "IOC", "FOK")],
        *[({"time_in_force": name}, CLOSE - MICRO, "pass") for name in ("DAY", "IOC", "FOK")],
        *[({"time_in_force": name}, CLOSE, "refuse") for name in ("DAY", "IOC", "FOK")],
        ({"time_in_force": "OPG"}, LAST_OPG - MICRO, "pass"),
        ({"time_in_force": "OPG"}, LAST_OPG, "pass"),
        ({"time_in_force": "OPG"}, LAST_OPG + MICRO, "refuse"),
        ({"time_in_force": "OPG"}, NOW, "refuse"),
        ({"time_in_force": "DAY", "order_type": "market_on_open"}, LAST_OPG, "pass"),
        ({"time_in_force": "DAY", "order_type": "market_on_open"}, NOW, "refuse"),
        ({"time_in_force": "CLS"}, OPEN - MICRO, "pass"),
        ({"time_in_force": "CLS"}, LAST_CLS, "pass"),
        ({"time_in_force": "CLS"}, LAST_CLS + MICRO, "refuse"),
        ({"time_in_force": "DAY", "order_type": "market_on_close"}, LAST_CLS, "pass"),
        ({"time_in_force": "DAY", "order_type": "market_on_close"}, LAST_CLS + MICRO, "refuse"),
        ({"time_in_force": "GTC"}, OPEN - MICRO, "pass"),
        ({"time_in_force": "GTD", "expires_at_utc": NOW + MICRO}, NOW, "pass"),
        ({"time_in_force": "GTD", "expires_at_utc": NOW}, NOW, "refuse"),
        ({"execution_session": date(2014, 6, 9)}, NOW, "refuse"),
        ({"time_in_force": "GTC", "execution_session": date(2014, 6, 9)}, NOW, "refuse"),
        ({"session": date(2014, 6, 4), "execution_session": date(2014, 6, 5)}, NOW, "refuse"),
        ({"time_in_force": "GTC", "session": date(2014, 6, 4), "execution_session": date(2014, 6, 5)}, NOW, "pass"),
    ],
)
def test_session_and_time_in_force(terms: dict[str, Any], now: datetime, outcome: str) -> None:
    order: Order = order_with(**terms)
    view = view_with(order, now_utc=now)
    limits = {"open_auction_cutoff_seconds": 120.0, "close_auction_cutoff_seconds": 600.0}
    assert _row("market_takes_the_order_now", view, **limits).outcome == outcome


@pytest.mark.parametrize("name", ["daily loss", "drawdown"])
def test_a_breaker_that_stands_stops_what_does_not_reduce(name: str) -> None:
    stands = view_with(tripped={name: "since Friday"})
    assert _row("no_loss_breaker_is_tripped", stands).outcome == "refuse"
    assert _row("no_runaway_is_stopped", stands).outcome == "pass"
    assert _row("no_loss_breaker_is_tripped", replace(stands, book=book_of(-200))).outcome == "pass"
