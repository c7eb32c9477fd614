from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import get_args

import pytest

from aegis.errors import ExecutionError
from aegis.execution.order_terms import PRICES_OF, TIMES_OF, OrderType, TimeInForce

EXPIRY = datetime(2014, 7, 1, 20, tzinfo=UTC)
PRICED = {
    "market": {},
    "limit": {"limit_price_usd": 9.5},
    "stop": {"stop_price_usd": 9.0},
    "stop_limit": {"stop_price_usd": 9.0, "limit_price_usd": 8.9},
    "trailing_stop": {"trail_fraction": 0.05},
    "market_on_open": {},
    "market_on_close": {},
    "limit_on_open": {"limit_price_usd": 9.5},
    "limit_on_close": {"limit_price_usd": 9.5},
}


def test_the_tables_know_every_order_type():
    assert set(PRICES_OF) == set(TIMES_OF) == set(get_args(OrderType)) == set(PRICED)


def test_an_order_without_further_terms_is_a_market_order_as_it_always_was(order_of):
    order = order_of()
    assert (order.order_type, order.time_in_force, order.is_fractional) == ("market", "DAY", False)
    prices = order.limit_price_usd, order.stop_price_usd, order.trail_usd, order.trail_fraction
    assert (*prices, order.expires_at_utc, order.parent_id, order.oco_group) == (None,) * 7


# Written from what venues say of their orders: a stop cannot be immediate, an auction is for market and limit prices.
ALLOWED = (
    {("market", tif) for tif in get_args(TimeInForce)}
    | {("limit", tif) for tif in get_args(TimeInForce)}
    | set(itertools.product(("stop", "stop_limit", "trailing_stop"), ("DAY", "GTC", "GTD")))
    | set(itertools.product(("market_on_open", "limit_on_open"), ("DAY", "OPG")))
    | set(itertools.product(("market_on_close", "limit_on_close"), ("DAY", "CLS")))
)


@pytest.mark.parametrize(("kind", "tif"), list(itertools.product(get_args(OrderType), get_args(TimeInForce))))
def test_each_order_type_takes_its_times_in_force_and_no_others(order_of, kind, tif):
    terms = {"algorithm": "market", "order_type": kind, "time_in_force": tif, **PRICED[kind]}
    terms |= {"expires_at_utc": EXPIRY} if tif == "GTD" else {}
    if (kind, tif) in ALLOWED:
        order = order_of(**terms)
        assert (order.order_type, order.time_in_force) == (kind, tif)
    else:
        with pytest.raises(ExecutionError, match=rf"order-ABC .*a {kind} order cannot be '{tif}'; choose one of"):
            order_of(**terms)


@pytest.mark.parametrize("kind", list(PRICED))
@pytest.mark.parametrize("name", ["limit_price_usd", "stop_price_usd", "trail_usd", "trail_fraction"])
def test_each_order_type_has_exactly_its_prices(order_of, kind, name):
    prices = dict(PRICED[kind])
    if name in prices:
        del prices[name]
    else:
        prices[name] = 0.5
    with pytest.raises(ExecutionError, match=rf"order-ABC \(ABC, 2014-06-05\): a {kind} order needs .*; give "):
        order_of(algorithm="market", order_type=kind, **prices)


def test_a_trail_is_dollars_or_a_fraction(order_of):
    assert order_of(algorithm="market", order_type="trailing_stop", trail_usd=1.5).trail_usd == 1.5
    assert order_of(algorithm="market", order_type="trailing_stop", trail_fraction=0.1).trail_fraction == 0.1


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("limit", "limit_price_usd"),
        ("stop", "stop_price_usd"),
        ("trailing_stop", "trail_usd"),
        ("trailing_stop", "trail_fraction"),
    ],
)
def test_a_price_is_positive_and_finite(order_of, kind, name, price):
    with pytest.raises(ExecutionError, match=rf"order-ABC .*{name} .* must lie between 0 and"):
        order_of(algorithm="market", order_type=kind, **{name: price})


def test_a_trail_of_the_whole_price_is_none(order_of):
    with pytest.raises(ExecutionError, match=r"trail_fraction 1\.0 must lie between 0 and 1"):
        order_of(algorithm="market", order_type="trailing_stop", trail_fraction=1.0)


@pytest.mark.parametrize("expiry", [None, datetime(2014, 7, 1, 20)])  # noqa: DTZ001 - the naive instant is the case
def test_good_till_date_needs_a_date_with_a_time_zone(order_of, expiry):
    with pytest.raises(ExecutionError, match=r"GTD needs expires_at_utc with a time zone, found .* or use GTC"):
        order_of(time_in_force="GTD", expires_at_utc=expiry)


@pytest.mark.parametrize("tif", ["DAY", "GTC", "IOC", "FOK", "OPG", "CLS"])
def test_no_other_time_in_force_takes_an_expiry(order_of, tif):
    with pytest.raises(ExecutionError, match=rf"{tif} takes no expires_at_utc"):
        order_of(algorithm="market", time_in_force=tif, expires_at_utc=EXPIRY)


def test_an_unknown_word_is_refused_with_the_known_ones(order_of):
    with pytest.raises(ExecutionError, match="order type 'iceberg' is not known; expected one of market, limit"):
        order_of(order_type="iceberg")
    with pytest.raises(ExecutionError, match="a market order cannot be 'GTX'; choose one of DAY, GTC"):
        order_of(time_in_force="GTX")


@pytest.mark.parametrize("quantity", [0.5, -1.25])
def test_fractions_of_a_share_need_their_switch(order_of, quantity):
    with pytest.raises(ExecutionError, match=r"whole number of shares other than 0; .* or set is_fractional"):
        order_of(quantity_shares=quantity)
    assert order_of(quantity_shares=quantity, is_fractional=True).quantity_shares == quantity


@pytest.mark.parametrize("quantity", [0.0, float("nan"), float("inf")])
def test_no_switch_makes_nothing_an_order(order_of, quantity):
    with pytest.raises(ExecutionError, match="quantity"):
        order_of(quantity_shares=quantity, is_fractional=True)


@pytest.mark.parametrize(
    "terms", [{"order_type": "stop", "stop_price_usd": 9.5}, {"time_in_force": "OPG"}, {"time_in_force": "IOC"}]
)
@pytest.mark.parametrize("algorithm", ["twap", "vwap", "pov", "implementation_shortfall", "schedule"])
def test_an_algorithm_works_market_and_limit_orders_over_a_session(order_of, algorithm, terms):
    with pytest.raises(ExecutionError, match=f"algorithm '{algorithm}' works market and limit orders over a session"):
        order_of(algorithm=algorithm, **terms)
    limited = order_of(algorithm=algorithm, order_type="limit", limit_price_usd=9.5)
    assert (limited.order_type, limited.limit_price_usd) == ("limit", 9.5)


def test_a_limit_that_is_worked_names_its_worst_price(order_of):
    with pytest.raises(ExecutionError, match="algorithm 'limit' works limit orders over a session, found a market"):
        order_of(algorithm="limit")


@pytest.mark.parametrize("terms", [{"parent_id": "order-ABC"}, {"parent_id": ""}, {"oco_group": ""}])
def test_a_parent_is_another_order_and_a_group_has_a_name(order_of, terms):
    with pytest.raises(ExecutionError, match=r"own parent|empty name"):
        order_of(**terms)


@pytest.mark.parametrize("price", [float("nan"), float("inf"), float("-inf")])
def test_an_arrival_price_is_a_number_that_a_journal_can_hold(order_of, price):
    with pytest.raises(ExecutionError, match=rf"order-ABC .*arrival_price_usd {price} must be a finite number; find"):
        order_of(arrival_price_usd=price)


def test_a_holding_that_is_marked_at_nothing_can_be_sold(order_of):
    assert order_of(quantity_shares=-5.0, arrival_price_usd=0.0, is_reducing=True).arrival_price_usd == 0.0
