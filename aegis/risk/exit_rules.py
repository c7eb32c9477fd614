"""What is asked of every order at the exit door, the last moment before it is sent to a broker.

Belongs here: which rules there are, and what a failed one leads to. The rules themselves are
:mod:`aegis.risk.exit_moments` and :mod:`aegis.risk.exit_sizes`; what they look at is :mod:`aegis.risk.exit_view`.

Notes
-----
Every order is asked by itself, after the decision passed the pre-trade gate (:mod:`aegis.risk.pre_trade_gate`): the
gate looks at a decision and its data, the door at the instant. It fails closed. What cannot be measured is observed as
infinity, which is within no limit; a limit holds up to and including its value. It is a pure function: it reads no
clock, no file and no stream.

An order that only reduces the absolute position without crossing zero, open orders counted, passes
:data:`REDUCING_PASS`: an account beyond a limit must be able to go back. Nothing else lets it pass.
"""

from __future__ import annotations

from collections.abc import Callable

from aegis.risk import exit_moments, exit_sizes
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_view import ExitRow, ExitVerdict, ExitView
from aegis.risk.rule_finding import HOLDS, RuleFinding

Rule = Callable[[ExitView, ExitLimits], RuleFinding]

_ALWAYS: tuple[Rule, ...] = (
    exit_moments.kill_switch_is_off,
    exit_moments.reconciliation_is_clean,
    exit_moments.no_runaway_is_stopped,
    exit_moments.order_is_for_this_account,
    exit_moments.order_is_asked_once,
    exit_moments.clock_agrees_with_the_broker,
    exit_moments.account_is_fresh,
    exit_moments.order_stream_is_alive,
    exit_moments.symbol_is_not_restricted,
    exit_moments.symbol_is_not_halted,
    exit_moments.market_takes_the_order_now,
    exit_moments.quote_is_fresh,
    exit_moments.price_is_within_the_collar,
    exit_moments.short_sale_is_located,
    exit_moments.order_is_not_a_duplicate,
    exit_sizes.order_shares_within_limit,
    exit_sizes.order_notional_within_limit,
    exit_moments.day_orders_within_limit,
    exit_moments.orders_per_second_within_limit,
    exit_moments.orders_per_minute_within_limit,
)
_UNLESS_REDUCING: tuple[Rule, ...] = (
    exit_moments.no_loss_breaker_is_tripped,
    exit_sizes.daily_loss_within_limit,
    exit_sizes.drawdown_within_limit,
    exit_sizes.order_share_of_equity_within_limit,
    exit_sizes.order_share_of_volume_within_limit,
    exit_sizes.day_shares_within_limit,
    exit_sizes.day_notional_within_limit,
    exit_sizes.position_weight_within_limit,
    exit_sizes.gross_exposure_within_limit,
    exit_sizes.buying_power_covers_the_order,
)
REDUCING_PASS = tuple(rule.__name__ for rule in _UNLESS_REDUCING)
"""Rules that an order passes which only reduces."""
_EVERY = (*_ALWAYS, *_UNLESS_REDUCING)
RULES = tuple(rule.__name__ for rule in _EVERY)
"""Every rule; the door answers with one row for each, in this order."""
_HELD = {rule: ExitRow(rule, "pass", HOLDS.observed, HOLDS.threshold, None) for rule in RULES}
"""Rows of rules that allow no violation and found none."""
RATE_RULES = (
    exit_moments.orders_per_second_within_limit.__name__,
    exit_moments.orders_per_minute_within_limit.__name__,
)
"""Rules that the same order passes a little later; who is refused by these alone may ask again."""


def review(view: ExitView, limits: ExitLimits) -> tuple[ExitRow, ...]:
    """Judge one order at one instant.

    Returns
    -------
    tuple of ExitRow
        One for each rule, in the order of :data:`RULES`. The order may leave when every outcome is 'pass'.
    """
    return tuple([_row(name, rule(view, limits), view) for name, rule in zip(RULES, _EVERY, strict=True)])


def verdict_on(view: ExitView, limits: ExitLimits) -> ExitVerdict:
    """Return the rows of :func:`review` as the door's answer."""
    return ExitVerdict(view.order.client_order_id, view.now_utc, review(view, limits), float(view.touch_usd))


def _row(rule: str, found: RuleFinding, view: ExitView) -> ExitRow:
    if found is HOLDS:
        return _HELD[rule]
    if found.holds:
        return ExitRow(rule, "pass", found.observed, found.threshold, None)
    if rule in REDUCING_PASS and view.is_reducing:
        return ExitRow(rule, "pass", found.observed, found.threshold, f"passes as it only reduces: {found.detail}")
    return ExitRow(rule, "refuse", found.observed, found.threshold, found.detail)
