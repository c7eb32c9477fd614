"""Our orders in Alpaca's words; what Alpaca documents is written out here by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aegis.execution.brokers.alpaca_terms import order_request, replacement_request, why_not
from aegis.execution.brokers.us_stock_terms import exact
from aegis.execution.order_terms import PRICES_OF, TIMES_OF

PRICES = {
    "limit_price_usd": {"limit_price_usd": 9.5},
    "stop_price_usd": {"stop_price_usd": 9.25},
    "trail_usd or trail_fraction": {"trail_fraction": 0.07},
}
TAKEN = {
    ("market", "DAY"): ("market", "day"),
    ("market", "GTC"): ("market", "gtc"),
    ("market", "IOC"): ("market", "ioc"),
    ("market", "FOK"): ("market", "fok"),
    ("market", "OPG"): ("market", "opg"),
    ("market", "CLS"): ("market", "cls"),
    ("limit", "DAY"): ("limit", "day"),
    ("limit", "GTC"): ("limit", "gtc"),
    ("limit", "IOC"): ("limit", "ioc"),
    ("limit", "FOK"): ("limit", "fok"),
    ("limit", "OPG"): ("limit", "opg"),
    ("limit", "CLS"): ("limit", "cls"),
    ("stop", "DAY"): ("stop", "day"),
    ("stop", "GTC"): ("stop", "gtc"),
    ("stop_limit", "DAY"): ("stop_limit", "day"),
    ("stop_limit", "GTC"): ("stop_limit", "gtc"),
    ("trailing_stop", "DAY"): ("trailing_stop", "day"),
    ("trailing_stop", "GTC"): ("trailing_stop", "gtc"),
    ("market_on_open", "DAY"): ("market", "opg"),
    ("market_on_open", "OPG"): ("market", "opg"),
    ("market_on_close", "DAY"): ("market", "cls"),
    ("market_on_close", "CLS"): ("market", "cls"),
    ("limit_on_open", "DAY"): ("limit", "opg"),
    ("limit_on_open", "OPG"): ("limit", "opg"),
    ("limit_on_close", "DAY"): ("limit", "cls"),
    ("limit_on_close", "CLS"): ("limit", "cls"),
}


def _order(order_of, kind, life, **terms):
    prices = {name: value for needed in PRICES_OF[kind] for name, value in PRICES[needed].items()}
    if life == "GTD":
        prices["expires_at_utc"] = datetime(2014, 6, 6, 18, tzinfo=UTC)
    return order_of(**{"algorithm": "market", "order_type": kind, "time_in_force": life, **prices, **terms})


@pytest.mark.parametrize(("kind", "life"), [(kind, life) for kind in PRICES_OF for life in TIMES_OF[kind]])
def test_every_type_and_life_is_either_said_in_alpacas_words_or_refused(order_of, kind, life):
    order = _order(order_of, kind, life)
    if (kind, life) not in TAKEN:
        assert life == "GTD"
        assert why_not(order, account="simulated") == "venue: Alpaca takes no GTD orders; use GTC and cancel it"
        return
    assert why_not(order, account="simulated") == ""
    body = order_request(order)
    assert (body["type"], body["time_in_force"]) == TAKEN[kind, life]


def test_a_request_says_everything_as_text(order_of):
    order = _order(order_of, "stop_limit", "GTC", quantity_shares=-100.0, ticker="BRK.B")
    assert order_request(order) == {
        "symbol": "BRK.B",
        "side": "sell",
        "type": "stop_limit",
        "time_in_force": "gtc",
        "qty": "100",
        "client_order_id": "order-ABC",
        "extended_hours": False,
        "limit_price": "9.5",
        "stop_price": "9.25",
    }


@pytest.mark.parametrize(
    ("fraction", "percent"), [(0.07, "7"), (0.005, "0.5"), (0.29, "29"), (0.1, "10"), (0.0125, "1.25")]
)
def test_a_trailing_fraction_is_exact_percent(order_of, fraction, percent):
    assert order_request(_order(order_of, "trailing_stop", "DAY", trail_fraction=fraction))["trail_percent"] == percent


@pytest.mark.parametrize(
    ("number", "text"), [(1e6, "1000000"), (0.1, "0.1"), (1e-7, "0.0000001"), (93.7, "93.7"), (1e22, "1" + "0" * 22)]
)
def test_numbers_are_the_shortest_decimals_without_an_exponent(number, text):
    assert exact(number) == text


@pytest.mark.parametrize(
    ("price", "fits"),
    [(1.0, True), (1.01, True), (1.005, False), (0.9999, True), (0.99999, False), (645.57, True), (100.1, True)],
)
def test_a_price_that_is_no_multiple_of_the_tick_is_refused_and_never_rounded(order_of, price, fits):
    for kind, name in (("limit", "limit_price_usd"), ("stop", "stop_price_usd")):
        refusal = why_not(_order(order_of, kind, "DAY", **{name: price}), account="simulated")
        assert (refusal == "") is fits
        assert fits or (refusal.startswith("tick size") and repr(price) in refusal)


@pytest.mark.parametrize(
    ("kind", "life", "fits"),
    [("market", "DAY", True), ("limit", "DAY", True), ("market", "GTC", False), ("market_on_open", "DAY", False),
     ("trailing_stop", "DAY", False)],
)  # fmt: skip
def test_fractions_go_with_simple_day_orders_only(order_of, kind, life, fits):
    order = _order(order_of, kind, life, is_fractional=True, quantity_shares=0.5)
    assert (why_not(order, account="simulated") == "") is fits


def test_a_replacement_says_only_what_changes(order_of):
    before = _order(order_of, "stop_limit", "DAY")
    after = replace(before, quantity_shares=60.0, stop_price_usd=9.2)
    assert replacement_request(before, after, client_order_id="order-ABC.r1") == {
        "client_order_id": "order-ABC.r1",
        "qty": "60",
        "stop_price": "9.2",
    }


def test_a_replaced_trail_is_alpacas_trail(order_of):
    before = _order(order_of, "trailing_stop", "DAY")
    after = replace(before, trail_fraction=0.05)
    assert replacement_request(before, after, client_order_id="x")["trail"] == "5"
