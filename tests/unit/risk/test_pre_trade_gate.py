import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Order
from aegis.lake.tables import PRE_TRADE_GATE
from aegis.risk.breakers import BreakerState
from aegis.risk.gate_inputs import CheckVerdict, GateInputs, GateVerdict
from aegis.risk.pre_trade_gate import REDUCE_ONLY_RULES, REFUSING_ORDER_RULES, REFUSING_RULES, RULES, evaluate

SESSION = date(2014, 6, 5)
DECIDED = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)
TRIPPED = BreakerState(
    status="tripped: drawdown", reference_peak_usd=120_000.0, tripped_session=date(2014, 6, 2), trough_usd=100_000.0
)

MakeInputs = Callable[..., GateInputs]
MakeOrder = Callable[..., Order]
MakeVerdict = Callable[..., CheckVerdict]


def failed(verdict: GateVerdict) -> dict[str, str]:
    return {row.rule: row.outcome for row in verdict.rows if row.outcome != "pass"}


def is_clear(verdict: GateVerdict) -> bool:
    return not failed(verdict)


def detail(verdict: GateVerdict, rule: str) -> str:
    return next(row.detail or "" for row in verdict.rows if row.rule == rule)


def approved(verdict: GateVerdict) -> list[str]:
    return [order.symbol for order in verdict.approved]


def refuses_all(verdict: GateVerdict, rule: str) -> bool:
    """Whether this rule alone failed, refused both orders, and says why with the session in it."""
    row = next(row for row in verdict.rows if row.rule == rule)
    return (
        failed(verdict) == {rule: "refuse"}
        and not verdict.approved
        and row.orders_refused == len(verdict.refused) == 2
        and all(refused.rule == rule and refused.reason == f"{rule}: {row.detail}" for refused in verdict.refused)
        and str(SESSION) in (row.detail or "")
        and row.observed > row.threshold
    )


def reduces_only(verdict: GateVerdict, rule: str) -> bool:
    """Whether this rule alone failed, and the sale of OLD alone left."""
    row = next(row for row in verdict.rows if row.rule == rule)
    return (
        failed(verdict) == {rule: "reduce only"}
        and approved(verdict) == ["OLD"]
        and [refused.rule for refused in verdict.refused] == [rule]
        and row.orders_refused == 1
        and str(SESSION) in (row.detail or "")
    )


def test_a_clean_decision_passes_every_rule(inputs_of: MakeInputs) -> None:
    verdict = evaluate(inputs_of())
    assert is_clear(verdict)
    assert approved(verdict) == ["ABC", "OLD"]
    assert verdict.refused == ()


def test_every_rule_answers_once_in_order_whatever_happens(inputs_of: MakeInputs) -> None:
    assert len(set(RULES)) == len(RULES) == len(REFUSING_RULES) + len(REFUSING_ORDER_RULES) + len(REDUCE_ONLY_RULES)
    for inputs in (inputs_of(), inputs_of(orders=()), inputs_of(kill_switch_engaged=True, breaker=TRIPPED)):
        assert tuple(row.rule for row in evaluate(inputs).rows) == RULES


def test_rows_fit_their_table_also_when_nothing_can_be_measured(inputs_of: MakeInputs) -> None:
    blind = inputs_of(
        equity_usd=math.nan, value_at_risk_95=math.nan, prices_usd={}, input_session=None, inputs_known_at_utc=None
    )
    frame = PRE_TRADE_GATE.conform(pd.DataFrame([row.row() for row in evaluate(blind).rows]))
    assert len(frame) == len(RULES)
    assert frame.loc[frame["rule"] == "value_at_risk_within_limit", "observed"].item() == math.inf
    assert evaluate(blind).approved == ()


@pytest.mark.parametrize("state", [True, None, 0, "no"])
def test_anything_but_a_switch_that_is_off_refuses_everything(inputs_of: MakeInputs, state: Any) -> None:
    assert refuses_all(evaluate(inputs_of(kill_switch_engaged=state)), "kill_switch_is_off")


def test_a_refusal_by_the_kill_switch_says_since_when_by_whom_and_why(inputs_of: MakeInputs) -> None:
    told = "engaged since 2016-01-05 14:03 UTC by ann: odd fills"
    verdict = evaluate(inputs_of(kill_switch_engaged=True, kill_switch_told=told))
    assert f"{SESSION}: kill switch {told}; find the cause" in detail(verdict, "kill_switch_is_off")
    untold = evaluate(inputs_of(kill_switch_engaged=None))
    assert "kill switch engaged, or not known to be off; find" in detail(untold, "kill_switch_is_off")


@pytest.mark.parametrize("state", [False, None, 1, "yes"])
def test_anything_but_a_clean_reconciliation_refuses_everything(inputs_of: MakeInputs, state: Any) -> None:
    assert refuses_all(evaluate(inputs_of(reconciliation_clean=state)), "reconciliation_is_clean")


def test_a_missing_check_row_refuses_and_names_the_check(inputs_of: MakeInputs, verdict_of: MakeVerdict) -> None:
    verdict = evaluate(inputs_of(check_results=(verdict_of("rows_are_unique"),)))
    assert refuses_all(verdict, "required_checks_are_recorded")
    assert "prices_are_positive" in detail(verdict, "required_checks_are_recorded")


def test_a_decision_for_which_no_check_is_required_is_refused(inputs_of: MakeInputs) -> None:
    assert refuses_all(evaluate(inputs_of(required_checks={})), "required_checks_are_recorded")


@pytest.mark.parametrize("outcome", ["pass", "warn", "repair", "quarantine"])
def test_outcomes_that_leave_usable_rows_pass(inputs_of: MakeInputs, verdict_of: MakeVerdict, outcome: str) -> None:
    checks = (verdict_of("prices_are_positive", outcome=outcome), verdict_of("rows_are_unique"))
    assert is_clear(evaluate(inputs_of(check_results=checks)))


@pytest.mark.parametrize("outcome", ["block", "error", "", "PASS", "nan"])
@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_blocking_or_undefined_outcome_refuses(
    inputs_of: MakeInputs, verdict_of: MakeVerdict, outcome: str, is_blocking: bool
) -> None:
    said = "AAA 2014-06-09: high 9, low 10; correct the row"
    extra = replace(verdict_of("highs_are_above_lows", outcome=outcome, is_blocking=is_blocking), detail=said)
    verdict = evaluate(inputs_of(check_results=(*inputs_of().check_results, extra)))
    assert refuses_all(verdict, "data_checks_passed")
    assert "highs_are_above_lows" in detail(verdict, "data_checks_passed")
    assert said in detail(verdict, "data_checks_passed")


def test_a_pass_beside_a_block_of_the_same_check_does_not_hide_it(
    inputs_of: MakeInputs, verdict_of: MakeVerdict
) -> None:
    checks = (*inputs_of().check_results, verdict_of("prices_are_positive", outcome="block"))
    assert refuses_all(evaluate(inputs_of(check_results=checks)), "data_checks_passed")


@pytest.mark.parametrize(
    "pinned", [{"market_data/raw_bars": "h2"}, {"market_data/raw_bars": ""}, {"market_data/daily_bars": "h1"}, {}]
)
def test_checks_of_other_rows_than_the_pinned_ones_refuse(inputs_of: MakeInputs, pinned: dict[str, str]) -> None:
    assert refuses_all(evaluate(inputs_of(pinned_content_hashes=pinned)), "checks_hold_for_the_pinned_rows")


@pytest.mark.parametrize(
    ("required", "is_blocking", "clear"), [(True, False, False), (False, True, False), (False, False, True)]
)
def test_the_hash_counts_for_checks_that_are_required_or_blocking(
    inputs_of: MakeInputs, verdict_of: MakeVerdict, required: bool, is_blocking: bool, clear: bool
) -> None:
    other = verdict_of("volume_is_plausible", content_hash="h2", is_blocking=is_blocking)
    names = inputs_of().required_checks | ({"volume_is_plausible": "1"} if required else {})
    inputs = inputs_of(check_results=(*inputs_of().check_results, other), required_checks=names)
    assert is_clear(evaluate(inputs)) is clear


def test_a_verdict_of_an_older_version_of_a_check_does_not_vouch_for_the_data(
    inputs_of: MakeInputs, verdict_of: MakeVerdict
) -> None:
    old = (verdict_of("prices_are_positive"), verdict_of("rows_are_unique", check_version="0"))
    verdict = evaluate(inputs_of(check_results=old))
    assert refuses_all(verdict, "required_checks_are_recorded")
    assert "rows_are_unique version 1 has a row of version 0 only" in detail(verdict, "required_checks_are_recorded")


def test_research_older_than_the_bars_refuses_and_names_the_table(inputs_of: MakeInputs) -> None:
    verdict = evaluate(inputs_of(outdated_tables=("signals/ensemble_signals",)))
    assert refuses_all(verdict, "research_follows_the_bars")
    assert "signals/ensemble_signals" in detail(verdict, "research_follows_the_bars")


def test_a_decision_that_a_later_session_has_passed_by_refuses(inputs_of: MakeInputs) -> None:
    verdict = evaluate(inputs_of(passed_by_session=date(2014, 6, 6)))
    assert refuses_all(verdict, "no_later_session_is_booked")


@pytest.mark.parametrize(("late", "clear"), [(timedelta(0), True), (timedelta(microseconds=1), False)])
def test_an_order_must_be_decided_before_its_session_opens(inputs_of: MakeInputs, late: timedelta, clear: bool) -> None:
    verdict = evaluate(inputs_of(execution_opens_at_utc=DECIDED - late))
    assert is_clear(verdict) is clear
    assert clear or refuses_all(verdict, "orders_can_still_execute")


@pytest.mark.parametrize(
    ("input_session", "clock_session"),
    [
        (date(2014, 6, 4), SESSION),
        (date(2014, 6, 6), SESSION),
        (None, SESSION),
        (SESSION, date(2014, 6, 6)),
        (SESSION, date(2014, 6, 4)),
    ],
)
def test_inputs_of_another_session_than_the_clocks_refuse(
    inputs_of: MakeInputs, input_session: date | None, clock_session: date
) -> None:
    verdict = evaluate(inputs_of(input_session=input_session, clock_session=clock_session))
    assert refuses_all(verdict, "inputs_are_fresh")


@pytest.mark.parametrize(
    ("late", "clear"), [(-timedelta(microseconds=1), True), (timedelta(0), True), (timedelta(microseconds=1), False)]
)
def test_an_input_must_be_known_by_the_decision_to_the_microsecond(
    inputs_of: MakeInputs, late: timedelta, clear: bool
) -> None:
    verdict = evaluate(inputs_of(inputs_known_at_utc=DECIDED + late))
    assert is_clear(verdict) is clear
    assert clear or refuses_all(verdict, "inputs_were_known_at_the_decision")


@pytest.mark.parametrize("known", [None, DECIDED.replace(tzinfo=None)])
def test_an_input_of_unknown_or_naive_time_refuses(inputs_of: MakeInputs, known: datetime | None) -> None:
    assert refuses_all(evaluate(inputs_of(inputs_known_at_utc=known)), "inputs_were_known_at_the_decision")


@pytest.mark.parametrize(
    "terms",
    [
        {"account": "other"},
        {"decision_id": "simulated/main/2014-06-05/rebalance/2"},
        {"session": date(2014, 6, 4)},
        {"execution_session": SESSION},
        {"client_order_id": "order-OLD"},
    ],
)
def test_an_order_of_another_decision_refuses(
    inputs_of: MakeInputs, order_of: MakeOrder, terms: dict[str, Any]
) -> None:
    stranger = replace(order_of(symbol="ABC", quantity_shares=100.0), **terms)
    verdict = evaluate(inputs_of(orders=(stranger, order_of(symbol="OLD", quantity_shares=-100.0))))
    row = next(row for row in verdict.rows if row.rule == "orders_belong_to_the_decision")
    assert (row.outcome, verdict.approved) == ("refuse", ())


@pytest.mark.parametrize("state", [OrderState.ACCEPTED, OrderState.FILLED, OrderState.EXPIRED])
def test_an_order_with_the_id_of_an_earlier_one_refuses_also_when_that_is_done(
    inputs_of: MakeInputs, order_of: MakeOrder, state: OrderState
) -> None:
    at_work = OrderStatus(order_of(symbol="OLD", quantity_shares=-1.0), state)
    assert refuses_all(evaluate(inputs_of(open_orders=(at_work,))), "orders_belong_to_the_decision")


@pytest.mark.parametrize("price", [math.nan, 0.0, -1.0, math.inf, None])
def test_an_unpriced_order_refuses_and_names_its_symbol(
    inputs_of: MakeInputs, order_of: MakeOrder, price: float | None
) -> None:
    prices = {"ABC": 10.0, "OLD": 10.0} | ({} if price is None else {"NEW": price})
    verdict = evaluate(inputs_of(orders=(order_of(symbol="NEW", quantity_shares=1.0),), prices_usd=prices))
    assert failed(verdict)["orders_are_priced"] == "refuse"
    assert "NEW 2014-06-05" in detail(verdict, "orders_are_priced")
    assert verdict.approved == ()


@pytest.mark.parametrize("price", [0.0, -1.0])
def test_an_order_without_a_usable_arrival_price_refuses(
    inputs_of: MakeInputs, order_of: MakeOrder, price: float
) -> None:
    orders = (
        order_of(symbol="ABC", arrival_price_usd=price),
        order_of(symbol="OLD", quantity_shares=-100.0),
    )
    assert refuses_all(evaluate(inputs_of(orders=orders)), "orders_are_priced")


@pytest.mark.parametrize("price", [math.nan, 0.0, None])
def test_a_holding_that_cannot_be_valued_refuses_all(inputs_of: MakeInputs, price: float | None) -> None:
    prices = {"ABC": 10.0, "OLD": 10.0} | ({} if price is None else {"HLD": price})
    verdict = evaluate(inputs_of(positions_shares={"ABC": 100.0, "OLD": 400.0, "HLD": 5.0}, prices_usd=prices))
    assert failed(verdict)["account_is_valued"] == "refuse"
    assert "HLD 2014-06-05" in detail(verdict, "account_is_valued")
    assert verdict.approved == ()


@pytest.mark.parametrize("equity", [math.nan, 0.0, -5.0, math.inf])
def test_an_account_without_a_usable_equity_refuses_all(inputs_of: MakeInputs, equity: float) -> None:
    verdict = evaluate(inputs_of(equity_usd=equity))
    assert failed(verdict)["account_is_valued"] == "refuse"
    assert verdict.approved == ()


def test_a_tripped_breaker_lets_only_reducing_orders_leave(inputs_of: MakeInputs) -> None:
    assert reduces_only(evaluate(inputs_of(breaker=TRIPPED)), "breakers_are_armed")


# 100 ABC held at 10, 100 bought: a target of ABC moves the limit's own observation and nothing else
@pytest.mark.parametrize(
    ("weight", "clear"), [(0.05 - 1e-12, True), (0.05, True), (0.05 + 1e-12, False), (math.nan, False)]
)
def test_position_weight_of_the_target_at_its_edge(inputs_of: MakeInputs, weight: float, clear: bool) -> None:
    verdict = evaluate(inputs_of(target_weights={"ABC": weight, "OLD": 0.03}))
    assert is_clear(verdict) is clear
    assert clear or failed(verdict)["each_position_weight_within_limit"] == "reduce only"
    assert clear or approved(verdict) == ["OLD"]


@pytest.mark.parametrize(("bought", "clear"), [(399.0, True), (400.0, True), (401.0, False)])
def test_position_weight_of_the_book_that_orders_lead_to_at_its_edge(
    inputs_of: MakeInputs, order_of: MakeOrder, bought: float, clear: bool
) -> None:
    # (100 + bought) * 10 / 100,000 against 5 %
    orders = (order_of(symbol="ABC", quantity_shares=bought), order_of(symbol="OLD", quantity_shares=-100.0))
    verdict = evaluate(inputs_of(orders=orders))
    assert is_clear(verdict) is clear
    assert clear or reduces_only(verdict, "each_position_weight_within_limit")


def test_what_is_at_work_counts_towards_the_position(inputs_of: MakeInputs, order_of: MakeOrder) -> None:
    buying = OrderStatus(
        order_of(symbol="ABC", quantity_shares=400.0, client_order_id="earlier"), OrderState.PARTIALLY_FILLED, 100.0, 1
    )
    # 100 held + 300 left at work + 100 ordered are exactly 5 %; one share more is not
    assert is_clear(evaluate(inputs_of(open_orders=(buying,))))
    orders = (order_of(symbol="ABC", quantity_shares=101.0), order_of(symbol="OLD", quantity_shares=-100.0))
    assert reduces_only(evaluate(inputs_of(open_orders=(buying,), orders=orders)), "each_position_weight_within_limit")


def test_a_final_order_no_longer_counts(inputs_of: MakeInputs, order_of: MakeOrder) -> None:
    expired = OrderStatus(
        order_of(symbol="ABC", quantity_shares=90_000.0, client_order_id="earlier"), OrderState.EXPIRED
    )
    assert is_clear(evaluate(inputs_of(open_orders=(expired,))))


@pytest.mark.parametrize(("last", "clear"), [(0.04, True), (0.05, True), (0.0500001, False)])
def test_gross_exposure_of_the_target_at_its_edge(inputs_of: MakeInputs, last: float, clear: bool) -> None:
    targets = {f"N{k:02}": 0.05 for k in range(19)} | {"N19": -0.05 if last == 0.05 else -last}
    limits = replace(inputs_of().limits, max_position_weight=0.06)
    verdict = evaluate(inputs_of(target_weights=targets, limits=limits))
    assert is_clear(verdict) is clear
    assert clear or reduces_only(verdict, "gross_exposure_within_limit")


@pytest.mark.parametrize(
    ("observed", "clear"), [(0.04 - 1e-12, True), (0.04, True), (0.04 + 1e-12, False), (math.nan, False)]
)
def test_value_at_risk_at_its_edge(inputs_of: MakeInputs, observed: float, clear: bool) -> None:
    verdict = evaluate(inputs_of(value_at_risk_95=observed))
    assert is_clear(verdict) is clear
    assert clear or reduces_only(verdict, "value_at_risk_within_limit")


@pytest.mark.parametrize(
    ("volume", "clear"), [(10_001.0, True), (10_000.0, True), (9_999.0, False), (math.nan, False), (0.0, False)]
)
def test_participation_of_a_purchase_at_its_edge(inputs_of: MakeInputs, volume: float, clear: bool) -> None:
    # 100 shares at 10 are 1,000 USD against 10 %
    verdict = evaluate(inputs_of(median_dollar_volume_usd={"ABC": volume, "OLD": 1e6}))
    assert is_clear(verdict) is clear
    assert clear or reduces_only(verdict, "participation_of_median_volume_within_limit")


def test_an_exit_is_never_too_large_for_the_volume_to_begin(inputs_of: MakeInputs) -> None:
    assert is_clear(evaluate(inputs_of(median_dollar_volume_usd={"ABC": 1e6})))


def test_of_two_sales_larger_than_the_position_together_only_the_first_leaves(
    inputs_of: MakeInputs, order_of: MakeOrder
) -> None:
    sales = tuple(
        order_of(symbol="OLD", quantity_shares=-300.0, client_order_id=name, is_reducing=True)
        for name in ("first", "second")
    )
    verdict = evaluate(inputs_of(orders=sales, breaker=TRIPPED))
    assert [order.client_order_id for order in verdict.approved] == ["first"]
    assert [refused.order.client_order_id for refused in verdict.refused] == ["second"]


def test_an_order_that_calls_itself_reducing_is_judged_by_the_position(
    inputs_of: MakeInputs, order_of: MakeOrder
) -> None:
    orders = (order_of(symbol="ABC", quantity_shares=100.0, is_reducing=True),)
    assert evaluate(inputs_of(orders=orders, breaker=TRIPPED)).approved == ()


def test_a_refused_order_names_the_first_rule_and_the_others_stay_visible(inputs_of: MakeInputs) -> None:
    verdict = evaluate(inputs_of(breaker=TRIPPED, value_at_risk_95=1.0, reconciliation_clean=False))
    assert failed(verdict) == {
        "reconciliation_is_clean": "refuse",
        "breakers_are_armed": "reduce only",
        "value_at_risk_within_limit": "reduce only",
    }
    assert {refused.rule for refused in verdict.refused} == {"reconciliation_is_clean"}
    assert [row.orders_refused for row in verdict.rows if row.outcome != "pass"] == [2, 1, 1]


def test_many_violations_are_counted_and_the_first_are_named(inputs_of: MakeInputs) -> None:
    verdict = evaluate(inputs_of(check_results=(), required_checks=dict.fromkeys("abcde", "1")))
    row = next(row for row in verdict.rows if row.rule == "required_checks_are_recorded")
    assert row.observed == 5.0
    assert (row.detail or "").endswith("and 2 more")
