"""The pre-trade gate: no order leaves unless data, account and book are known to be in order.

Belongs here: which rules there are, what a failed one leads to, and which orders leave. The rules about the data are
:mod:`aegis.risk.data_rules`.

Notes
-----
Four outcomes. ``pass``; ``refuse``: nothing leaves; ``refuse order``: the orders named do not leave; ``reduce only``:
only orders leave that reduce the absolute position without crossing zero, open orders counted
(:mod:`aegis.risk.reducing`). Compliance leads to ``refuse order``, limits and breakers lead to ``reduce only``,
everything else to ``refuse``. A breach of one name's limit stops purchases of every name: a book outside its
limits is first brought back.

The gate fails closed. A missing row, an unknown symbol, NaN, an outcome nobody defined or a flag that is not exactly
True or False count as failed, and the detail names symbol, session and remedy. It is a pure function: it reads no
clock, no file and no table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from aegis.risk.data_rules import (
    checks_hold_for_the_pinned_rows,
    data_checks_passed,
    inputs_are_fresh,
    inputs_were_known_at_the_decision,
    required_checks_are_recorded,
    research_follows_the_bars,
)
from aegis.risk.exposure import is_positive_amount, participations, projected_weights
from aegis.risk.gate_inputs import GateInputs, GateOutcome, GateRow, GateVerdict, RefusedOrder
from aegis.risk.limits import (
    LIMIT_NAMES,
    LimitCheck,
    gross_exposure_check,
    participation_check,
    position_weight_check,
    value_at_risk_check,
)
from aegis.risk.reducing import are_reducing
from aegis.risk.rule_finding import RuleFinding, finding

Rule = Callable[[GateInputs], RuleFinding]

_SWITCH_UNTOLD = "engaged, or not known to be off"


def kill_switch_is_off(inputs: GateInputs) -> RuleFinding:
    """Hold when the account's kill switch is off."""
    return finding(
        [
            (
                f"{inputs.account} {inputs.session}: kill switch {inputs.kill_switch_told or _SWITCH_UNTOLD}; find the "
                "cause, then let a person release it"
            )
        ]
        if inputs.kill_switch_engaged is not False
        else []
    )


def reconciliation_is_clean(inputs: GateInputs) -> RuleFinding:
    """Hold when the account's books agree with the broker's."""
    return finding(
        [
            (
                f"{inputs.account} {inputs.session}: our books and the broker's differ; "
                f"{inputs.reconciliation_told or 'explain and book every break first'}"
            )
        ]
        if inputs.reconciliation_clean is not True
        else []
    )


def orders_belong_to_the_decision(inputs: GateInputs) -> RuleFinding:
    """Hold when every order is of this account, session and decision, for a later session, and has an id of its own."""
    ids = Counter(order.client_order_id for order in inputs.orders)
    ids.update(status.order.client_order_id for status in inputs.open_orders)
    return finding(
        f"order {order.client_order_id} ({order.symbol} {order.session}): expected account {inputs.account}, decision "
        f"{inputs.decision_id}, session {inputs.session}, a later execution session and an id used once; found "
        f"{order.account}, {order.decision_id}, {order.session}, {order.execution_session}, used "
        f"{ids[order.client_order_id]} times; make the orders again from the committed decision"
        for order in inputs.orders
        if (order.account, order.decision_id, order.session) != (inputs.account, inputs.decision_id, inputs.session)
        or order.execution_session <= inputs.session
        or ids[order.client_order_id] != 1
    )


def orders_can_still_execute(inputs: GateInputs) -> RuleFinding:
    """Hold when the session in which the orders are to execute opens after the decision, and is not over by now."""
    opens, decided = inputs.execution_opens_at_utc, inputs.decision_time_utc
    if inputs.orders and inputs.missed_session is not None:
        return finding(
            [
                (
                    f"{inputs.account} {inputs.session}: session {inputs.missed_session}, in which the orders were to "
                    "execute, is over; what was not traded in its session is not made up for, go on from the newest one"
                )
            ]
        )
    if not inputs.orders or decided <= opens:
        return finding([])
    return finding(
        [
            (
                f"{inputs.session}: decided at {decided}, but the execution session opened at {opens}; decide earlier, "
                "or execute in the next session"
            )
        ]
    )


def no_later_session_is_booked(inputs: GateInputs) -> RuleFinding:
    """Hold when the account has not gone on to a later session without this decision: it would be hindsight."""
    return finding(
        []
        if inputs.passed_by_session is None
        else [
            (
                f"{inputs.account} {inputs.session}: the account is booked up to {inputs.passed_by_session} without "
                "this decision, which is too late now; go on from the newest session, or decide in a new workspace"
            )
        ]
    )


def orders_are_priced(inputs: GateInputs) -> RuleFinding:
    """Hold when every ordered symbol has a usable price and every order a usable arrival price."""
    prices = inputs.prices_usd
    return finding(
        f"{order.symbol} {inputs.session}: price {prices.get(order.symbol, 'missing')} USD, arrival price "
        f"{order.arrival_price_usd} USD; both must be finite and above 0: load the bar or drop the order"
        for order in inputs.orders
        if not is_positive_amount(prices.get(order.symbol)) or not is_positive_amount(order.arrival_price_usd)
    )


def account_is_valued(inputs: GateInputs) -> RuleFinding:
    """Hold when equity, and the price of everything held or at work, are known."""
    prices = inputs.prices_usd
    unvalued = [
        f"{symbol} {inputs.session}: {shares} shares held or at work at price {prices.get(symbol, 'missing')} USD; "
        "mark it at its last trusted close"
        for symbol, shares in (*inputs.positions_shares.items(), *_open_shares(inputs))
        if shares != 0.0 and not (is_positive_amount(abs(shares)) and is_positive_amount(prices.get(symbol)))
    ]
    if not is_positive_amount(inputs.equity_usd):
        unvalued.insert(
            0,
            f"{inputs.account} {inputs.session}: equity {inputs.equity_usd} USD is not a finite amount above 0; "
            "reconcile the account",
        )
    return finding(unvalued)


def no_order_breaks_a_compliance_rule(inputs: GateInputs) -> RuleFinding:
    """Hold when compliance stops no order; what it stops does not leave, whether it reduces or not."""
    ids = {order.client_order_id for order in inputs.orders}
    return finding(detail for name, detail in inputs.vetoes.items() if name in ids)


def breakers_are_armed(inputs: GateInputs) -> RuleFinding:
    """Hold when no breaker of the account is tripped."""
    breaker = inputs.breaker
    return finding(
        [
            (
                f"{inputs.account} {inputs.session}: breaker '{breaker.status}' since {breaker.tripped_session}; only "
                "reduce until it is armed again"
            )
        ]
        if breaker.is_tripped
        else []
    )


_REFUSING: tuple[Rule, ...] = (
    kill_switch_is_off,
    reconciliation_is_clean,
    required_checks_are_recorded,
    data_checks_passed,
    checks_hold_for_the_pinned_rows,
    research_follows_the_bars,
    inputs_are_fresh,
    inputs_were_known_at_the_decision,
    no_later_session_is_booked,
    orders_belong_to_the_decision,
    orders_can_still_execute,
    orders_are_priced,
    account_is_valued,
)
REFUSING_RULES = tuple(rule.__name__ for rule in _REFUSING)
"""Rules whose failure lets nothing leave."""
REFUSING_ORDER_RULES = (no_order_breaks_a_compliance_rule.__name__,)
"""Rules whose failure lets the orders that they name not leave, and no other order the less."""
REDUCE_ONLY_RULES = (breakers_are_armed.__name__, *LIMIT_NAMES)
"""Rules whose failure lets only reducing orders leave."""
RULES = REFUSING_RULES + REFUSING_ORDER_RULES + REDUCE_ONLY_RULES
"""Every rule; the gate answers with one row for each, in this order."""


def evaluate(inputs: GateInputs) -> GateVerdict:
    """Judge the orders of one decision.

    Parameters
    ----------
    inputs : GateInputs
        Frozen values of one account and session.

    Returns
    -------
    GateVerdict
        A row for each rule, and every order either approved or refused. ``orders_refused`` of a row counts all orders
        that this rule alone would refuse; a refused order names the first such rule.
    """
    proposed = tuple((order.symbol, order.quantity_shares) for order in inputs.orders)
    reducing = are_reducing(proposed, inputs.positions_shares, open_orders_shares=_open_shares(inputs))
    rows = [
        _row(inputs, name, rule(inputs), "refuse", reducing)
        for name, rule in zip(REFUSING_RULES, _REFUSING, strict=True)
    ]
    veto = _veto_row(inputs)
    rows.append(veto)
    rows.append(_row(inputs, breakers_are_armed.__name__, breakers_are_armed(inputs), "reduce only", reducing))
    rows.extend(
        _row(
            inputs,
            check.name,
            RuleFinding(check.is_within, check.observed, check.threshold, check.detail),
            "reduce only",
            reducing,
        )
        for check in _limit_checks(inputs, reducing)
    )
    approved = []
    refused = []
    refusal = next((row for row in rows if row.outcome == "refuse"), None)
    restriction = next((row for row in rows if row.outcome == "reduce only"), None)
    for order, reduces in zip(inputs.orders, reducing, strict=True):
        told = inputs.vetoes.get(order.client_order_id)
        row = refusal or (veto if told is not None else None if reduces else restriction)
        if row is None:
            approved.append(order)
        else:
            refused.append(RefusedOrder(order, row.rule, f"{row.rule}: {told if row is veto else row.detail}"))
    return GateVerdict(tuple(rows), tuple(approved), tuple(refused))


def _limit_checks(inputs: GateInputs, reducing: tuple[bool, ...]) -> tuple[LimitCheck, ...]:
    """Compare the book that the orders lead to, and the target book, with the limits.

    A weight is the larger of the two, so that neither a book that cannot reach its target nor a target that was not
    ordered goes unseen. Participation counts what does not reduce: an exit is never too large to begin.
    """
    at_work = _open_shares(inputs)
    proposed = [(order.symbol, order.quantity_shares) for order in inputs.orders]
    projected = projected_weights(
        inputs.positions_shares, (*at_work, *proposed), prices_usd=inputs.prices_usd, equity_usd=inputs.equity_usd
    )
    largest = dict(projected)
    for symbol, target in inputs.target_weights.items():
        if not abs(target) <= abs(largest.get(symbol, 0.0)):
            largest[symbol] = target
    books = [
        gross_exposure_check(inputs.session, weights, limits=inputs.limits)
        for weights in (projected, inputs.target_weights)
    ]
    increasing = {symbol for (symbol, _), reduces in zip(proposed, reducing, strict=True) if not reduces}
    shares_of_volume = participations(
        [
            *((symbol, shares) for (symbol, shares), reduces in zip(proposed, reducing, strict=True) if not reduces),
            *((symbol, shares) for symbol, shares in at_work if symbol in increasing),
        ],
        prices_usd=inputs.prices_usd,
        median_dollar_volume_usd=inputs.median_dollar_volume_usd,
    )
    return (
        position_weight_check(inputs.session, largest, limits=inputs.limits),
        max(books, key=lambda check: check.observed),
        value_at_risk_check(inputs.session, inputs.value_at_risk_95, limits=inputs.limits),
        participation_check(inputs.session, shares_of_volume, limits=inputs.limits),
    )


def _open_shares(inputs: GateInputs) -> tuple[tuple[str, float], ...]:
    return tuple((status.order.symbol, status.remaining_shares) for status in inputs.open_orders if not status.is_final)


def _veto_row(inputs: GateInputs) -> GateRow:
    found = no_order_breaks_a_compliance_rule(inputs)
    row = _row(inputs, no_order_breaks_a_compliance_rule.__name__, found, "refuse order", ())
    return replace(row, orders_refused=int(found.observed))


def _row(inputs: GateInputs, rule: str, found: RuleFinding, failed: GateOutcome, reducing: tuple[bool, ...]) -> GateRow:
    refused = len(reducing) if failed == "refuse" else len(reducing) - sum(reducing)
    return GateRow(
        session=inputs.session,
        account=inputs.account,
        decision_id=inputs.decision_id,
        rule=rule,
        outcome="pass" if found.holds else failed,
        observed=found.observed,
        threshold=found.threshold,
        orders_refused=0 if found.holds else refused,
        detail=None if found.holds else found.detail,
        known_at_utc=inputs.decision_time_utc,
    )
