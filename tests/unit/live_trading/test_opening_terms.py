"""What a session's corporate actions make of an order that was committed the evening before; every figure by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from aegis.backtesting.session_market import CorporateAction
from aegis.errors import ExecutionError
from aegis.execution.orders import Order
from aegis.live_trading.opening_terms import terms_at_opening

OrderOf = Callable[..., Order]


def split(ratio: float, symbol: str = "ABC") -> CorporateAction:
    return CorporateAction(action="split", symbol=symbol, split_ratio=ratio)


def test_nothing_changes_without_an_action_of_the_symbol(order_of: OrderOf) -> None:
    order = order_of()
    dividend = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.25)
    found = terms_at_opening(order, (split(2.0, "DEF"), dividend, split(1.0)))
    assert (found.order, found.reason, found.split_ratio) == (order, "", None)


@pytest.mark.parametrize(
    ("ratio", "shares", "after", "said"),
    [
        (2.0, 100.0, 200.0, "split: ratio 2: 100 shares become 200"),
        (2.0, -15.0, -30.0, "split: ratio 2: -15 shares become -30"),
        (1.5, 5.0, 7.0, "split: ratio 1.5: 5 shares become 7, and 0.5 of a share is dropped"),
        (1 / 3, 100.0, 33.0, "split: ratio 0.333333: 100 shares become 33, and 0.333333 of a share is dropped"),
        (1 / 3, -99.0, -33.0, "split: ratio 0.333333: -99 shares become -33"),
    ],
)
def test_whole_shares_are_ordered_and_the_remainder_is_written_down(
    order_of: OrderOf, ratio: float, shares: float, after: float, said: str
) -> None:
    found = terms_at_opening(order_of(quantity_shares=shares), (split(ratio),))
    assert found.order is not None
    assert (found.order.quantity_shares, found.reason, found.split_ratio) == (after, said, ratio)
    assert found.order.arrival_price_usd == 10.0 / ratio


def test_an_order_of_which_no_whole_share_is_left_ends(order_of: OrderOf) -> None:
    found = terms_at_opening(order_of(quantity_shares=2.0), (split(1 / 3),))
    assert (found.order, found.reason) == (
        None, "split leaves nothing: ratio 0.333333: 2 shares leave no whole share",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shares", "terms", "ratio", "limit", "stop"),
    [
        # 9.99/2 is 4.995 and no price of a share: a purchase pays no more, a sale takes no less.
        (100.0, {"order_type": "limit", "limit_price_usd": 9.99}, 2.0, 4.99, None),
        (-100.0, {"order_type": "limit", "limit_price_usd": 9.99}, 2.0, 5.00, None),
        # A stop is reached no earlier: to buy at 5.00, to sell at 4.99.
        (100.0, {"order_type": "stop", "stop_price_usd": 9.99}, 2.0, None, 5.00),
        (-100.0, {"order_type": "stop", "stop_price_usd": 9.99}, 2.0, None, 4.99),
        # Below a dollar the tick is a hundredth of a cent.
        (100.0, {"order_type": "limit", "limit_price_usd": 1.01}, 2.0, 0.505, None),
        # 8/(1/3) is 24 but for the last bit of a float.
        (100.0, {"order_type": "limit", "limit_price_usd": 8.0}, 1 / 3, 24.0, None),
    ],
)
def test_prices_are_divided_and_put_on_the_tick(
    order_of: OrderOf, shares: float, terms: dict, ratio: float, limit: float | None, stop: float | None
) -> None:
    found = terms_at_opening(order_of(quantity_shares=shares, algorithm="market", **terms), (split(ratio),)).order
    assert found is not None
    assert (found.limit_price_usd, found.stop_price_usd) == (limit, stop)


def test_a_new_ticker_is_sent_and_the_symbol_stays(order_of: OrderOf) -> None:
    rename = CorporateAction(action="rename", symbol="ABC", new_ticker="XYZ")
    found = terms_at_opening(order_of(), (rename, split(2.0)))
    assert found.order is not None
    assert (found.order.symbol, found.order.ticker, found.order.quantity_shares) == ("ABC", "XYZ", 200.0)
    assert found.reason == "renamed: ABC trades as XYZ; split: ratio 2: 100 shares become 200"


@pytest.mark.parametrize("action", ["merger", "delisting"])
def test_what_leaves_the_market_is_not_ordered(order_of: OrderOf, action: str) -> None:
    paid = {"merger_cash_usd": 12.0} if action == "merger" else {}
    found = terms_at_opening(order_of(), (CorporateAction(action=action, symbol="ABC", **paid),))
    assert found.order is None
    assert found.reason == (
        f"delisted: ABC does not trade in session {date(2014, 6, 6)} ({action}); nothing of it is sent"
    )


def test_a_ratio_that_cannot_be_is_refused(order_of: OrderOf) -> None:
    with pytest.raises(ExecutionError, match=r"split ratio 0\.0 must be positive"):
        terms_at_opening(order_of(), (split(0.0),))
