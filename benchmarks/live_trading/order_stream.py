"""The orders and events that are written and replayed, and what they must come to, added up where they are made.

Belongs here: generating them from a seed. Every order has ten events, whatever becomes of it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from aegis.execution.decisions import Decision
from aegis.execution.order_ids import client_order_id, decision_id
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind
from benchmarks.live_trading.market import ACCOUNT, CALENDAR, SESSION

EVENTS_AN_ORDER = 10
"""Its approval by the gate among them."""
_K = OrderEventKind
_LIVES: tuple[tuple[OrderEventKind, ...], ...] = (
    (_K.SUBMITTED, _K.ACCEPTED, *(_K.PARTIALLY_FILLED,) * 6, _K.FILLED),
    (_K.SUBMITTED, _K.ACCEPTED, *(_K.PARTIALLY_FILLED,) * 5, _K.CANCEL_REQUESTED, _K.CANCELLED),
    (_K.SUBMITTED, _K.ACCEPTED, _K.REPLACE_REQUESTED, _K.REPLACED, *(_K.PARTIALLY_FILLED,) * 4, _K.FILLED),
    (_K.SUBMITTED, _K.ACCEPTED, *(_K.PARTIALLY_FILLED,) * 6, _K.EXPIRED),
)
_SYMBOLS = tuple(f"S{number:02}" for number in range(50))
_ORDERS_A_DECISION = 50
_SEED = 20141015


@dataclass
class Expected:
    """What a generated stream comes to.

    Parameters
    ----------
    orders, events, fills : int
        How many; each order's approval is an event, its intent is not.
    states : Counter of str
        Orders by the state that they end in.
    shares : Counter of str
        Signed whole shares filled, by symbol.
    traded_shares : int
        Shares filled, without sign.
    """

    orders: int = 0
    events: int = 0
    fills: int = 0
    states: Counter[str] = field(default_factory=Counter)
    shares: Counter[str] = field(default_factory=Counter)
    traded_shares: int = 0


def order_stream(orders: int, expected: Expected) -> Iterator[tuple[Decision, list[OrderEvent]]]:
    """Yield decisions, each with all that happens to its orders afterwards; add up in `expected` what they come to."""
    draw = random.Random(_SEED)  # noqa: S311 - the same stream in every run
    decided = CALENDAR.previous(SESSION)
    for first in range(0, orders, _ORDERS_A_DECISION):
        number = first // _ORDERS_A_DECISION + 1
        name = decision_id(ACCOUNT, "stream", session=decided, kind="rebalance", number=number)
        made = [_order(name, symbol, draw) for symbol in _SYMBOLS[: min(_ORDERS_A_DECISION, orders - first)]]
        events = [event for order in made for event in _life(order, draw, expected)]
        decision = Decision(
            decision_id=name,
            account=ACCOUNT,
            session=decided,
            orders=tuple(made),
            refusals={},
            gate_rows=(),
            input_snapshot_id=1,
            code_version="benchmark",
            config_hash="benchmark",
        )
        yield decision, events


def plain_lives(stream: Iterable[tuple[Decision, list[OrderEvent]]]) -> list[dict[str, Any]]:
    """Return each order's terms and events in words and numbers alone, for a program that knows nothing of ours."""
    lives = []
    for decision, events in stream:
        told: dict[str, list[tuple[str, int]]] = {}
        for event in events:
            shares = 0 if event.fill is None else int(event.fill.quantity_shares)
            told.setdefault(event.client_order_id, []).append((str(event.kind), shares))
        lives += [
            {
                "shares": int(order.quantity_shares),
                "price_usd": order.arrival_price_usd,
                "events": told[order.client_order_id],
            }
            for order in decision.orders
        ]
    return lives


def _order(decision: str, symbol: str, draw: random.Random) -> Order:
    price = round(draw.uniform(10.0, 90.0), 2)
    return Order(
        client_order_id=client_order_id(ACCOUNT, decision, symbol=symbol),
        decision_id=decision,
        account=ACCOUNT,
        session=CALENDAR.previous(SESSION),
        execution_session=SESSION,
        symbol=symbol,
        ticker=symbol,
        quantity_shares=float(draw.choice((-1, 1)) * draw.randint(100, 999)),
        algorithm="market",
        time_in_force="DAY",
        arrival_price_usd=price,
        target_weight=0.0,
        is_reducing=False,
        reason="generated",
        order_type="limit",
        limit_price_usd=price,
    )


def _life(order: Order, draw: random.Random, expected: Expected) -> Iterator[OrderEvent]:
    """Yield what happens to an order after it was approved."""
    life = draw.choice(_LIVES)
    at = CALENDAR.open_utc(SESSION) + timedelta(seconds=draw.randint(0, 20_000))
    side, left, filled = (1 if order.quantity_shares > 0 else -1), int(abs(order.quantity_shares)), 0
    changed = replace(order, limit_price_usd=round(order.arrival_price_usd * 1.01, 2))
    for kind in life:
        at += timedelta(milliseconds=draw.randint(1, 400))
        event = OrderEvent(kind=kind, client_order_id=order.client_order_id, session=SESSION, at_utc=at)
        if kind in (_K.PARTIALLY_FILLED, _K.FILLED):
            shares = left if kind is _K.FILLED else draw.randint(1, max(1, left // 8))
            left, filled = left - shares, filled + 1
            expected.shares[order.symbol] += side * shares
            expected.traded_shares += shares
            event = replace(event, fill=_fill(order, float(side * shares), number=filled, event=event))
        elif kind in (_K.REPLACE_REQUESTED, _K.REPLACED):
            event = replace(event, order=changed, revision=1)
        yield event
    expected.orders += 1
    expected.events += 1 + len(life)
    expected.fills += filled
    expected.states[str(life[-1])] += 1


def _fill(order: Order, shares: float, *, number: int, event: OrderEvent) -> Fill:
    return Fill(
        fill_number=number,
        client_order_id=order.client_order_id,
        decision_id=order.decision_id,
        account=order.account,
        session=SESSION,
        symbol=order.symbol,
        ticker=order.ticker,
        quantity_shares=shares,
        price_usd=order.arrival_price_usd,
        reference_price_usd=order.arrival_price_usd,
        commission_usd=0.0,
        slippage_usd=0.0,
        arrival_price_usd=order.arrival_price_usd,
        filled_at_utc=event.at_utc,
        execution_id=f"{order.client_order_id}:{number}",
    )
