"""Which broker a symbol goes to, and what several brokers hold together."""

from __future__ import annotations

from datetime import date

import pytest

from aegis.config_brokers import RouteSettings
from aegis.errors import ConfigurationError
from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance
from aegis.execution.brokers.broker_totals import total_balance, total_positions
from aegis.execution.brokers.order_routes import OrderRoutes, Route

BROKERS = ("alpaca", "interactive_brokers")
THURSDAY, FRIDAY = date(2014, 6, 5), date(2014, 6, 6)


def _only(broker: str, **terms) -> Route:
    return Route(((broker, 1.0),), **terms)


def test_the_first_rule_that_fits_decides():
    routes = OrderRoutes(
        [
            _only("interactive_brokers", symbols=frozenset({"BTC/USD"})),
            _only("alpaca", asset_kinds=frozenset({"crypto"})),
            _only("interactive_brokers", asset_kinds=frozenset({"stock"}), symbols=frozenset({"SPY"})),
            _only("alpaca", symbols=frozenset({"SPY", "AAPL"})),
        ],
        BROKERS,
    )
    symbols = ("BTC/USD", "ETH/USD", "SPY", "AAPL", "MSFT")
    assert [routes.broker_of(symbol) for symbol in symbols] == [
        "interactive_brokers",
        "alpaca",
        "interactive_brokers",
        "alpaca",
        None,
    ]


def test_a_share_is_a_share_of_the_symbols_and_a_symbol_stays_where_it_is():
    routes = OrderRoutes([Route((("alpaca", 0.3), ("interactive_brokers", 0.7)))], BROKERS)
    symbols = [f"S{number}" for number in range(10_000)]
    found = [routes.broker_of(symbol) for symbol in symbols]
    # 10 000 draws of 0.3 have a standard deviation of 46.
    assert found.count("alpaca") == pytest.approx(3_000, abs=4 * 46)
    assert found == [routes.broker_of(symbol) for symbol in symbols]


def test_the_place_of_a_symbol_is_the_sha256_of_its_name():
    """By the program sha256sum, SPY begins with 6493341e, which is 0.393 of 2^32, and QQQ with e9c5d740: 0.913."""
    for share, brokers in ((0.38, [1, 1]), (0.40, [0, 1]), (0.90, [0, 1]), (0.92, [0, 0])):
        routes = OrderRoutes([Route((("alpaca", share), ("interactive_brokers", 1 - share)))], BROKERS)
        assert [BROKERS.index(routes.broker_of(symbol)) for symbol in ("SPY", "QQQ")] == brokers


@pytest.mark.parametrize(
    ("shares", "why"),
    [
        ((("alpaca", 0.5),), "add up to 1, found alpaca: 0.5"),
        ((("alpaca", 1.5), ("interactive_brokers", -0.5)), "above 0"),
        ((), "found none"),
        ((("elsewhere", 1.0),), "there is no broker 'elsewhere', only alpaca, interactive_brokers"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(shares, why):
    with pytest.raises(ConfigurationError, match=why):
        OrderRoutes([Route(shares)], BROKERS)


def test_rules_are_read_from_the_configuration():
    given = RouteSettings.model_validate({"symbols": ["SPY"], "brokers": {"alpaca": 1}})
    routes = OrderRoutes.configured([given], BROKERS)
    assert (routes.broker_of("SPY"), routes.broker_of("QQQ")) == ("alpaca", None)


def _position(quantity: float, cost: float, *, symbol: str = "ABC", mark: float = 10.0, session=FRIDAY) -> Position:
    return Position(symbol, symbol, quantity, cost, mark, session)


def test_positions_of_one_symbol_add_up_with_their_average_cost():
    (total,) = total_positions({"a": [_position(30.0, 10.0)], "b": [_position(10.0, 14.0, mark=11.0)]})
    assert (total.quantity_shares, total.average_cost_usd, total.mark_price_usd) == (40.0, 11.0, 10.0)


def test_long_here_and_short_there_is_what_remains_at_the_cost_of_its_side():
    held = {"a": [_position(30.0, 10.0)], "b": [_position(-10.0, 14.0)], "c": [_position(10.0, 12.0)]}
    (total,) = total_positions(held)
    assert (total.quantity_shares, total.average_cost_usd) == (30.0, 10.5)
    assert total_positions({"a": [_position(5.0, 10.0)], "b": [_position(-5.0, 12.0)]}) == ()


def test_the_mark_is_the_latest():
    held = {"a": [_position(30.0, 10.0, mark=9.0, session=THURSDAY)], "b": [_position(1.0, 10.0, mark=9.5)]}
    assert total_positions(held)[0].mark_price_usd == 9.5


def test_positions_are_sorted_by_symbol():
    held = {"a": [_position(1.0, 1.0, symbol="Z")], "b": [_position(1.0, 1.0, symbol="B")]}
    assert [position.symbol for position in total_positions(held)] == ["B", "Z"]


def test_balances_add_up_under_our_name():
    one = AccountBalance(account="x", cash_usd=1.0, equity_usd=2.0, buying_power_usd=3.0)
    total = total_balance("ours", [one, one])
    assert (total.account, total.cash_usd, total.equity_usd, total.buying_power_usd) == ("ours", 2.0, 4.0, 6.0)
