"""What compliance stops at the pre-trade gate, and what it leaves alone."""

from __future__ import annotations

from aegis.risk.pre_trade_gate import evaluate
from tests.unit.risk.test_pre_trade_gate import TRIPPED, MakeInputs, failed


def test_compliance_stops_the_orders_that_it_names_and_no_other(inputs_of: MakeInputs) -> None:
    verdict = evaluate(inputs_of(vetoes={"order-OLD": "OLD 2014-06-06: restricted list"}))
    row = next(row for row in verdict.rows if row.rule == "no_order_breaks_a_compliance_rule")

    assert [order.symbol for order in verdict.approved] == ["ABC"]
    assert [(refused.order.symbol, refused.rule) for refused in verdict.refused] == [("OLD", row.rule)]
    assert verdict.refused[0].reason == "no_order_breaks_a_compliance_rule: OLD 2014-06-06: restricted list"
    assert (row.outcome, row.orders_refused, row.detail) == ("refuse order", 1, "OLD 2014-06-06: restricted list")


def test_a_veto_holds_for_reducing_orders_under_a_tripped_breaker_too(inputs_of: MakeInputs) -> None:
    verdict = evaluate(inputs_of(breaker=TRIPPED, vetoes={"order-OLD": "restricted"}))

    assert verdict.approved == ()
    assert {refused.rule for refused in verdict.refused} == {
        "breakers_are_armed",
        "no_order_breaks_a_compliance_rule",
    }


def test_a_veto_of_an_order_that_is_not_there_changes_nothing(inputs_of: MakeInputs) -> None:
    verdict = evaluate(inputs_of(vetoes={"order-XYZ": "restricted"}))

    assert verdict.refused == ()
    assert failed(verdict) == {}
