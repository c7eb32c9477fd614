"""Profit and loss of shares that a merger or a delisting takes from an account; every figure by hand."""

from __future__ import annotations

from aegis.monitoring.profit_and_loss import ProfitAndLossBook


def test_what_leaves_is_sold_at_its_mark_and_what_comes_is_bought_at_its_own() -> None:
    book = ProfitAndLossBook({"GHI": (10.0, 7.0), "JKL": (1.0, 29.0)})
    book.exchange("GHI", "JKL", 2.0, {"GHI": 7.5, "JKL": 30.0})
    assert book.shares() == {"JKL": 3.0}
    # 10 at 7.50 that began at 7; one share from 29 to 31, and two from 30 to 31.
    assert book.of_account({"JKL": 31.0}).total_usd == 5.0 + 2.0 + 2.0


def test_a_delisting_leaves_nothing() -> None:
    book = ProfitAndLossBook({"GHI": (10.0, 7.0)})
    book.exchange("GHI", None, 0.0, {})
    assert book.shares() == {}
    assert book.of_account({}).total_usd == 0.0
