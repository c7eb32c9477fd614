"""Cash by the journal, and what explains a difference from the broker's; every figure by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from aegis.execution.brokers.account_fees import AccountFee
from aegis.live_trading.cash_balance import CashBalance, CashDue, CashExplanation, explain, overdue

MONDAY, TUESDAY = date(2014, 6, 9), date(2014, 6, 10)
NOON = datetime(2014, 6, 9, 16, tzinfo=UTC)


def due(key: str, amount: float | None, *, pays: date = MONDAY, is_estimate: bool = False) -> CashDue:
    return CashDue(key, key, pays, amount, is_estimate)


def fee(name: str, amount: float) -> AccountFee:
    return AccountFee(name, MONDAY, amount, "TAF fee")


def explained(cash_usd: float, *dues: CashDue, **given: object) -> CashExplanation:
    known = CashBalance(1_000.0, MONDAY, dues, **given.pop("known", {}))  # type: ignore[arg-type] # a dict of its fields
    terms = {"session": MONDAY, "now_utc": NOON, "tolerance_usd": 0.05, "lag": timedelta(minutes=4)} | given
    return explain(cash_usd, known, **terms)  # type: ignore[arg-type] # the same


@pytest.mark.parametrize(("cash", "agrees"), [(1_000.05, True), (999.95, True), (1_000.06, False), (999.94, False)])
def test_a_difference_beyond_the_tolerance_is_left_unexplained(cash: float, agrees: bool) -> None:
    found = explained(cash, tolerance_usd=0.05 + 1e-9)
    assert (found.is_explained, found.paid, found.fees) == (agrees, (), ())
    assert found.difference_usd == pytest.approx(cash - 1_000.0)


def test_what_is_due_explains_what_came_and_only_that() -> None:
    first, second, later = due("a", 22.5), due("b", 7.0), due("c", 3.0, pays=TUESDAY)
    assert explained(1_022.5, first, second).paid == ((first, 22.5),)
    assert explained(1_029.5, first, second).paid == ((first, 22.5), (second, 7.0))
    assert explained(1_000.0, first, second).paid == ()
    assert not explained(1_003.0, first, second, later).is_explained, "it is not paid before its day"
    assert explained(1_003.0, first, later, session=TUESDAY).paid == ((later, 3.0),)
    assert not explained(1_010.0, first, second).is_explained


def test_a_short_position_owes_its_dividend() -> None:
    owed = due("a", -22.5)
    assert explained(977.5, owed).paid == ((owed, -22.5),)


def test_fees_that_the_broker_states_explain_what_went_once() -> None:
    first, second = fee("f1", 0.5), fee("f2", 0.3)
    assert explained(999.5, fees=(first, second)).fees == (first,)
    assert explained(999.2, fees=(first, second)).fees == (first, second)
    assert not explained(999.5, fees=(first,), known={"fee_ids": frozenset({"f1"})}).is_explained
    dividend = due("a", 22.5)
    found = explained(1_022.0, dividend, fees=(first, second))
    assert (found.paid, found.fees) == (((dividend, 22.5),), (first,))


def test_an_estimate_is_met_by_a_payment_near_it_and_is_paid_as_it_is() -> None:
    fraction = due("a", 10.0, is_estimate=True)
    assert explained(1_009.1, fraction).paid == ((fraction, pytest.approx(9.1)),)
    assert not explained(1_008.9, fraction).is_explained
    assert not explained(990.9, fraction).is_explained, "money that went is no payment"
    dividend = due("b", 22.5)
    found = explained(1_032.4, fraction, dividend)
    assert [(item.key, pytest.approx(usd)) for item, usd in found.paid] == [("b", 22.5), ("a", 9.9)]


def test_an_amount_that_nobody_knows_explains_nothing() -> None:
    assert not explained(1_010.0, due("a", None, is_estimate=True)).is_explained


def test_a_broker_that_is_behind_its_executions_agrees_for_minutes_only() -> None:
    before = ((NOON - timedelta(minutes=5), 1_500.0), (NOON - timedelta(minutes=3), 1_200.0))
    known = {"before_fills": before}
    assert explained(1_200.0, known=known).is_explained
    assert not explained(1_500.0, known=known).is_explained, "five minutes are longer than a summary is old"
    assert not explained(1_300.0, known=known).is_explained


def test_what_is_late_is_named() -> None:
    known = CashBalance(1_000.0, MONDAY, (due("a", 1.0), due("b", 2.0, pays=TUESDAY)))
    assert [item.key for item in overdue(known, last_session=MONDAY)] == ["a"]
