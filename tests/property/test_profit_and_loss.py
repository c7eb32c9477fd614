"""Profit and loss by fills is what the account's equity changed by: whatever is traded, split and taken over."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.execution.orders import Fill
from aegis.monitoring.profit_and_loss import ProfitAndLossBook, TradedPosition, strategy_of

SYMBOLS = ("ABC", "DEF")
STRATEGIES = ("main/rebalance", "desk/asked")
PRICES = st.floats(0.01, 5_000.0)
SHARES = st.integers(-5_000, 5_000).filter(bool)
TRADES = st.lists(
    st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(STRATEGIES), SHARES, PRICES, st.floats(0.0, 20.0)), max_size=40
)
OPENING = st.fixed_dictionaries({symbol: st.tuples(st.integers(-900, 900).map(float), PRICES) for symbol in SYMBOLS})
MARKS = st.fixed_dictionaries(dict.fromkeys(SYMBOLS, PRICES))


def _fill(symbol: str, shares: float, price: float, commission: float) -> Fill:
    return Fill(
        client_order_id="o", decision_id="d", account="paper", fill_number=1, session=date(2014, 6, 6), symbol=symbol,
        ticker=symbol, quantity_shares=shares, price_usd=price, reference_price_usd=price, commission_usd=commission,
        slippage_usd=0.0, arrival_price_usd=price, filled_at_utc=datetime(2014, 6, 6, 15, tzinfo=UTC),
    )  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(opening=OPENING, trades=TRADES, marks=MARKS)
def test_profit_is_the_change_of_equity_to_the_last_bit(opening, trades, marks) -> None:
    book = ProfitAndLossBook(opening)
    cash = Fraction(0)  # a broker's books: cash and shares, nothing of costs
    held = {symbol: Fraction(shares) for symbol, (shares, _) in opening.items()}
    first = sum(Fraction(shares) * Fraction(mark) for shares, mark in opening.values())
    for symbol, strategy, shares, price, commission in trades:
        book.fill(_fill(symbol, shares, price, commission), strategy)
        cash -= shares * Fraction(price) + Fraction(commission)
        held[symbol] += shares
    equity = cash + sum(shares * Fraction(marks[symbol]) for symbol, shares in held.items())

    profit = book.of_account(marks)

    assert profit.total_usd == float(equity - first)
    assert book.shares() == {symbol: float(shares) for symbol, shares in held.items() if shares}
    parts = book.by_strategy(marks).values()
    assert sum(part.total_usd for part in parts) == pytest.approx(profit.total_usd, abs=1e-6, rel=1e-12)
    assert profit.realised_usd + profit.unrealised_usd - profit.commission_usd == pytest.approx(
        profit.total_usd, abs=1e-6, rel=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(shares=st.integers(-500, 500).filter(bool), mark=PRICES, ratio=st.sampled_from([2.0, 3.0, 0.5, 0.1]))
def test_a_split_at_the_divided_price_earns_nothing(shares, mark, ratio) -> None:
    book = ProfitAndLossBook({"ABC": (float(shares), mark)})
    book.split("ABC", ratio)

    kept = int(shares * ratio)  # whole shares; the fraction is cash in lieu
    assert book.shares() == ({"ABC": float(kept)} if kept else {})
    assert book.of_account({"ABC": mark / ratio}).total_usd == pytest.approx(0.0, abs=1e-9 * max(1.0, mark * 500))


def test_average_cost_by_hand() -> None:
    held = TradedPosition()
    held.trade(100, 10.0, 1.0)
    held.trade(100, 12.0, 1.0)
    assert held.average_cost_usd == 11.0
    held.trade(-50, 13.0, 0.5)
    realised, unrealised, commission = map(float, held.parts(14.0))
    # 50 sold at 13 that cost 11; 150 open at 11, now 14.
    assert (realised, unrealised, commission) == (100.0, 450.0, 2.5)
    held.trade(-200, 10.0)
    realised, unrealised, _ = map(float, held.parts(9.0))
    # 150 closed at 10 that cost 11; 50 short from 10, now 9.
    assert (realised, unrealised, held.shares, held.average_cost_usd) == (-50.0, 50.0, -50.0, 10.0)


def test_two_strategies_against_each_other_keep_their_own_profit() -> None:
    book = ProfitAndLossBook({})
    book.fill(_fill("ABC", 100, 10.0, 0.0), "main/rebalance")
    book.fill(_fill("ABC", -100, 11.0, 0.0), "desk/asked")
    parts = book.by_strategy({"ABC": 12.0})
    assert (parts["main/rebalance"].total_usd, parts["desk/asked"].total_usd) == (200.0, -100.0)
    assert book.of_account({"ABC": 12.0}).realised_usd == 100.0
    assert book.shares() == {}


def test_what_is_taken_over_is_traded_at_its_mark() -> None:
    book = ProfitAndLossBook({"ABC": (40.0, 10.0)})
    book.take_over({"ABC": 25.0, "DEF": 5.0}, {"ABC": 12.0, "DEF": 7.0})
    assert book.shares() == {"ABC": 25.0, "DEF": 5.0}
    assert book.of_account({"ABC": 12.0, "DEF": 7.0}).total_usd == 80.0


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        ("paper/main/2014-06-09/rebalance/1", "main/rebalance"),
        ("paper/desk/2014-06-09/asked:hedge-1/1", "desk/asked"),
        ("something else", "something else"),
    ],
)
def test_a_strategy_is_the_book_and_the_kind_of_a_decision(decision, expected) -> None:
    assert strategy_of(decision) == expected
