"""Runs the scenarios of the decision table that fit daily sessions through the simulated broker.

Belongs here: the table's words in those of orders, and back from their events. The account goes through its JSON
between any two sessions, as it does in the daily loop.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta

import numpy as np

from aegis.backtesting.session_market import BAR_DTYPE, CorporateAction, SessionMarket
from aegis.clock import FixedClock
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.simulated import SimulatedBroker
from aegis.execution.order_reasons import OrderReason, reason_of
from aegis.execution.order_records import canonical_json
from aegis.execution.order_states import OrderState, OrderStatus, apply_event
from aegis.execution.orders import Order, OrderEvent
from tests.golden.fill_scenarios.kernel_runner import cost_model, trading_rules
from tests.golden.fill_scenarios.scenario import CLOSES, OPENS, FillRow, Outcome, Scenario, ScenarioOrder

STATES = {
    OrderState.HELD: "held",
    OrderState.ACCEPTED: "working",
    OrderState.PARTIALLY_FILLED: "partially filled",
    OrderState.FILLED: "filled",
    OrderState.CANCELLED: "cancelled",
    OrderState.EXPIRED: "expired",
    OrderState.REJECTED: "rejected",
}
REASONS = {
    OrderReason.BY_REQUEST: "by strategy",
    # The daily broker says more exactly why a session was not enough.
    OrderReason.NO_VOLUME: "end of session",
    OrderReason.PARTICIPATION_CAP: "end of session",
    OrderReason.SHORT_SALE: "short sale",
    OrderReason.MINIMUM_NOTIONAL: "min notional",
}
MERGERS = ("cash_merger", "share_merger")
ON_CLOSE = ("market_on_close", "limit_on_close")

UNFIT = {
    "replace": "a broker of the daily loop takes no replacements",
    "instruments": "it knows no ticks, and lots of one share or of the rules",
    "frequencies": "a session is one bar from its open to its close",
    "listings": "a session's market has no halts",
    "left": "it does not remember that a symbol has left: an order for it finds no bar and expires",
    "price": "it takes orders for symbols that have not traded yet",
    "settlement": "proceeds settle at once",
    "margin calls": "it makes none",
    "realised": "it keeps no realised profit",
}
"""Why a scenario does not fit daily sessions at the simulated broker."""


def unfit(scenario: Scenario) -> list[str]:
    """Return the keys of UNFIT that apply."""
    lot = trading_rules(scenario.rules).lot_shares
    first_bars = {bar.symbol: bar.closes_at for bar in reversed(scenario.bars)}
    states = set(scenario.expected.states.values())
    found = {
        "replace": any(command.kind == "replace" for command in scenario.commands),
        "instruments": any(t.tick != 0 or t.lot != lot for t in scenario.symbols.values()),
        "frequencies": any((bar.opens_at.timetz(), bar.closes_at.timetz()) != (OPENS, CLOSES) for bar in scenario.bars),
        "listings": any(action.kind in ("halt", "resume") for action in scenario.actions),
        "left": any(reason == "delisted" and state == "rejected" for state, reason in states),
        "price": any(order.after < first_bars[order.symbol] for order in scenario.orders),
        "settlement": scenario.rules.settlement_sessions != 0,
        "margin calls": any(reason == "liquidation" for _, reason in states)
        or any(name.startswith("margin_call") for name in scenario.expected.states),
        "realised": scenario.expected.realised is not None,
    }
    return [name for name, applies in found.items() if applies]


def fits(scenario: Scenario) -> bool:
    """Whether the scenario fits daily sessions at the simulated broker."""
    return not unfit(scenario)


def run(scenario: Scenario) -> Outcome:
    """Step the simulated broker through the scenario's sessions."""
    account = AccountState.opening("table", cash_usd=scenario.cash)
    events: list[OrderEvent] = []
    orders = {order.id: _order(number, order, scenario) for number, order in enumerate(scenario.orders)}
    for session in scenario.sessions:
        close = datetime.combine(session, CLOSES)
        broker = _broker(account, scenario, close)
        broker.begin_session(_market(scenario, session))
        broker.end_session()
        for command in scenario.commands:
            if command.after == close:
                broker.cancel(orders[command.order].client_order_id)
        for order in scenario.orders:
            if order.after == close:
                broker.submit(orders[order.id])
        events += [numbered.event for numbered in broker.events_since(0)]
        account = AccountState.from_record(json.loads(canonical_json(broker.state().to_record())))
    return _outcome(scenario, orders, events, account)


def _broker(account: AccountState, scenario: Scenario, close: datetime) -> SimulatedBroker:
    return SimulatedBroker(
        account,
        costs=cost_model(scenario.costs),
        rules=trading_rules(scenario.rules),
        clock=FixedClock(close),
    )


def _order(number: int, order: ScenarioOrder, scenario: Scenario) -> Order:
    session = order.after.astimezone(UTC).date()
    later = [day for day in scenario.sessions if day > session]
    names = {other.id: f"{place:03d}" for place, other in enumerate(scenario.orders)}
    is_average = order.type == "bar_average"
    marks = {bar.closes_at: bar.close for bar in scenario.bars if bar.symbol == order.symbol}
    is_bracket_exit = order.parent is not None and order.id.startswith(f"{order.parent}.")
    return Order(
        client_order_id=f"{number:03d}",
        decision_id="table",
        account="table",
        session=session,
        execution_session=later[0] if later else session + timedelta(days=1),
        symbol=order.symbol,
        ticker=order.symbol,
        quantity_shares=order.quantity,
        algorithm="vwap" if is_average else "market",
        time_in_force=order.tif,
        arrival_price_usd=max((at, price) for at, price in marks.items() if at <= order.after)[1],
        target_weight=0.0,
        is_reducing=False,
        reason="table",
        order_type="market" if is_average else order.type,
        limit_price_usd=order.limit,
        stop_price_usd=order.stop,
        trail_usd=None if order.trail_is_fraction else order.trail,
        trail_fraction=order.trail if order.trail_is_fraction else None,
        expires_at_utc=order.expires,
        parent_id=None if order.parent is None else names[order.parent],
        oco_group=order.oco or (f"{order.parent}.exits" if is_bracket_exit else None),
        is_fractional=not float(order.quantity).is_integer(),
    )


def _market(scenario: Scenario, session: date) -> SessionMarket:
    bars = [bar for bar in scenario.bars if bar.session == session]
    return SessionMarket(
        session=session,
        opens_at_utc=datetime.combine(session, OPENS),
        closes_at_utc=datetime.combine(session, CLOSES),
        rows={bar.symbol: row for row, bar in enumerate(bars)},
        bars=np.array([(b.open, b.high, b.low, b.close, b.volume) for b in bars], dtype=BAR_DTYPE),
        actions=tuple(
            CorporateAction(
                action="merger" if action.kind in MERGERS else action.kind,
                symbol=action.symbol,
                split_ratio=1.0 if action.kind in MERGERS else action.ratio,
                dividend_usd=0.0 if action.kind in MERGERS else action.amount,
                merger_cash_usd=action.amount if action.kind in MERGERS else 0.0,
                merger_ratio=action.ratio if action.kind == "share_merger" else 0.0,
                acquirer=action.acquirer,
                pay_session=action.pay_session,
                new_ticker=action.new_ticker,
            )
            for action in scenario.actions
            if action.session == session
        ),
    )


def _outcome(scenario: Scenario, orders: dict[str, Order], events: list[OrderEvent], account: AccountState) -> Outcome:
    names = {order.client_order_id: name for name, order in orders.items()}
    statuses = {order.client_order_id: OrderStatus(order, OrderState.SUBMITTED) for order in orders.values()}
    reasons: dict[str, str] = {}
    for event in events:
        name = event.client_order_id
        statuses[name] = apply_event(statuses[name], event)
        reasons[name] = event.reason
    fills = [
        FillRow(
            order=names[event.client_order_id],
            bar=datetime.combine(event.session, CLOSES),
            phase=_phase(event, orders[names[event.client_order_id]]),
            quantity=event.fill.quantity_shares,
            price=event.fill.price_usd,
            commission=event.fill.commission_usd,
        )
        for event in events
        if event.fill is not None
    ]
    return Outcome(
        fills=_as_in_the_table(fills, scenario),
        states={names[key]: _state(status, reasons.get(key, "")) for key, status in statuses.items()},
        cash=account.cash_usd,
        positions={p.symbol: p.quantity_shares for p in account.positions},
        average_costs={p.symbol: p.average_cost_usd for p in account.positions},
        receivable=account.receivables_usd,
        equity=account.equity_usd,
    )


def _as_in_the_table(fills: list[FillRow], scenario: Scenario) -> tuple[FillRow, ...]:
    """Sort the fills as the table has them: the broker tells them order by order, the table by execution."""
    places = {(row.order, row.bar): place for place, row in enumerate(scenario.expected.fills)}
    return tuple(sorted(fills, key=lambda row: (row.bar, places.get((row.order, row.bar), math.inf))))


def _phase(event: OrderEvent, order: Order) -> str:
    if event.at_utc.timetz() == OPENS:
        return "open"
    if order.algorithm == "vwap":
        return "average"
    at_close = order.order_type in ON_CLOSE or order.time_in_force == "CLS"
    return "close" if at_close else "inside"


def _state(status: OrderStatus, text: str) -> tuple[str, str]:
    if status.state not in (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED):
        return STATES[status.state], ""
    if text.endswith("leave no whole share"):
        return STATES[status.state], "split leaves nothing"  # the daily broker tells the numbers
    reason = reason_of(text)
    return STATES[status.state], text if reason is None else REASONS.get(reason, str(reason))
