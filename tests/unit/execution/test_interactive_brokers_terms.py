"""Orders in TWS's words, by Interactive Brokers' tables of order types and times in force."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from aegis.execution.brokers.interactive_brokers_account import is_paper
from aegis.execution.brokers.interactive_brokers_ends import end_of
from aegis.execution.brokers.interactive_brokers_reports import GatewayRefusal, refusal_reason
from aegis.execution.brokers.interactive_brokers_terms import contract_terms, order_terms

CLOSE = datetime(2014, 6, 6, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({}, {"orderType": "MKT", "tif": "DAY"}),
        ({"time_in_force": "IOC"}, {"orderType": "MKT", "tif": "IOC"}),
        ({"time_in_force": "OPG"}, {"orderType": "MKT", "tif": "OPG"}),
        ({"time_in_force": "CLS"}, {"orderType": "MOC", "tif": "DAY"}),
        (
            {"order_type": "limit", "limit_price_usd": 9.5, "time_in_force": "CLS"},
            {"orderType": "LOC", "lmtPrice": 9.5},
        ),
        ({"order_type": "limit", "limit_price_usd": 9.5, "time_in_force": "FOK"}, {"tif": "FOK", "lmtPrice": 9.5}),
        ({"order_type": "market_on_open"}, {"orderType": "MKT", "tif": "OPG"}),
        ({"order_type": "limit_on_open", "limit_price_usd": 9.5}, {"orderType": "LMT", "tif": "OPG", "lmtPrice": 9.5}),
        ({"order_type": "market_on_close"}, {"orderType": "MOC", "tif": "DAY"}),
        ({"order_type": "limit_on_close", "limit_price_usd": 9.5}, {"orderType": "LOC", "tif": "DAY", "lmtPrice": 9.5}),
        ({"order_type": "stop", "stop_price_usd": 11.0}, {"orderType": "STP", "auxPrice": 11.0}),
        (
            {"order_type": "stop_limit", "stop_price_usd": 11.0, "limit_price_usd": 11.5},
            {"orderType": "STP LMT", "auxPrice": 11.0, "lmtPrice": 11.5},
        ),
        ({"order_type": "trailing_stop", "trail_usd": 0.5}, {"orderType": "TRAIL", "auxPrice": 0.5}),
        ({"order_type": "trailing_stop", "trail_fraction": 0.07}, {"orderType": "TRAIL", "trailingPercent": 7.0}),
        (
            {"time_in_force": "GTD", "expires_at_utc": datetime(2014, 6, 9, 20, tzinfo=UTC)},
            {"tif": "GTD", "goodTillDate": "20140609-20:00:00"},
        ),
    ],
)
def test_an_order_in_the_words_of_tws(order_of, terms, words):
    order = order_of(algorithm="market", **terms)
    found = order_terms(order, account_code="DU1")
    assert found.items() >= words.items()
    assert found.keys() & {"lmtPrice", "auxPrice", "trailingPercent", "goodTillDate"} == words.keys() - {
        "orderType",
        "tif",
    }


def test_side_quantity_reference_and_account(order_of):
    found = order_terms(order_of(algorithm="market", quantity_shares=-7.0), account_code="DU1")
    assert (found["action"], found["totalQuantity"], found["orderRef"], found["account"]) == (
        "SELL",
        7,
        "order-ABC",
        "DU1",
    )
    assert found["outsideRth"] is False


def test_a_share_class_has_a_space_and_the_exchange_is_named_where_it_must_be(order_of):
    order = order_of(algorithm="market", ticker="BRK.B")
    assert contract_terms(order, {"BRK.B": "NYSE"}) == {
        "symbol": "BRK B",
        "secType": "STK",
        "exchange": "SMART",
        "currency": "USD",
        "primaryExchange": "NYSE",
    }


@pytest.mark.parametrize(("code", "paper"), [("DU1234567", True), ("DF1", True), ("U1234567", False), ("F1", False)])
def test_accounts_that_begin_with_d_are_for_paper_trading(code, paper):
    assert is_paper(code) is paper


@pytest.mark.parametrize(
    ("code", "is_remark", "rejects"),
    [(201, False, True), (110, False, True), (202, False, False), (10148, False, False), (399, True, False),
     (2109, True, False), (2200, False, True)],
)  # fmt: skip
def test_which_errors_refuse_an_order(code, is_remark, rejects):
    refusal = GatewayRefusal(1, code, "words")
    assert (refusal.is_remark, refusal.rejects) == (is_remark, rejects)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            "Order rejected - reason:your Equity with Loan Value of [8631 USD] is insufficient",
            "buying power: error 201",
        ),
        ("Order rejected - reason:The contract is not available for short sale", "short selling: error 201"),
        ("Order rejected - reason:something new", "venue: error 201: something new"),
    ],
)
def test_what_the_words_of_a_rejection_mean(words, reason):
    assert refusal_reason(words, code=201).startswith(reason)


@pytest.mark.parametrize(
    ("terms", "given", "kind", "reason"),
    [
        ({}, {"at_utc": CLOSE}, "expired", "end of session"),
        ({}, {"at_utc": CLOSE.replace(hour=19)}, "cancelled", "venue"),
        ({"time_in_force": "IOC"}, {}, "cancelled", "not immediate"),
        ({"order_type": "market_on_close"}, {"at_utc": CLOSE}, "cancelled", "missed auction"),
        ({"time_in_force": "GTD", "expires_at_utc": CLOSE}, {"at_utc": CLOSE}, "expired", "end of life"),
        ({}, {"was_asked_for": True, "at_utc": CLOSE}, "cancelled", "cancelled on request"),
        ({}, {"words": "Cancelled by Trader"}, "cancelled", "cancelled on request"),
        ({}, {"is_inactive": True, "words": "no funds: insufficient"}, "rejected", "buying power"),
        ({}, {"is_inactive": True, "has_fills": True, "words": "odd"}, "cancelled", "venue: odd"),
        ({}, {"refusal": GatewayRefusal(1, 110, "tick")}, "rejected", "tick size"),
    ],
)
def test_how_an_order_ended(order_of, terms, given, kind, reason):
    facts = {
        "at_utc": CLOSE.replace(hour=15),
        "words": "",
        "refusal": None,
        "is_inactive": False,
        "has_fills": False,
        "was_asked_for": False,
        **given,
    }
    order = order_of(algorithm="market", execution_session=date(2014, 6, 6), **terms)
    found = end_of(order, closes=lambda _: CLOSE, **facts)
    assert str(found[0]) == kind
    assert found[1].startswith(reason)
