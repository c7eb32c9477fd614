"""What the orders of an account cost against the decision to trade, order by order, from its journal.

Belongs here: which prices and fills belong to an order. The formula is
:mod:`aegis.execution.algorithms.shortfall_report`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from aegis.errors import ExecutionError
from aegis.execution.algorithms.shortfall_report import ShortfallReport, shortfall_report
from aegis.execution.decisions import DecisionEventKind
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_projections import order_event
from aegis.execution.order_records import order_from_record
from aegis.execution.order_states import OrderState, OrderStatus, apply_event
from aegis.execution.orders import Fill, Order, OrderEventKind

READ_KINDS = (
    DecisionEventKind.INTENT_RECORDED,
    DecisionEventKind.CHILD_RECORDED,
    DecisionEventKind.EXIT_VERDICT,
    *OrderEventKind,
)
"""The rows of a journal that are needed."""
_CHILD_TELLS = frozenset({OrderEventKind.FILLED, OrderEventKind.PARTIALLY_FILLED})
_OUTLIVES_ITS_SESSION = ("GTC", "GTD")

ReleaseSource = Literal["touch", "open", "decision"]


@dataclass(frozen=True, kw_only=True)
class MarketPrices:
    """Raw prices of sessions, USD a share, and splits, by permanent symbol.

    Parameters
    ----------
    opens_usd, closes_usd : mapping of (str, date) to float
    splits : mapping of str to mapping of date to float
        New shares for one old share, by ex-date.
    """

    opens_usd: Mapping[tuple[str, date], float]
    closes_usd: Mapping[tuple[str, date], float]
    splits: Mapping[str, Mapping[date, float]] = field(default_factory=dict)

    def ratio(self, symbol: str, *, after: date, until: date) -> float:
        """Return how many shares of `until` one share of `after` is."""
        splits = self.splits.get(symbol, {})
        return math.prod(ratio for day, ratio in sorted(splits.items()) if after < day <= until)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderShortfall:
    """What one decided order cost, its children's fills included; prices are in the shares of the session it ended in.

    Parameters
    ----------
    order : Order
        As it was decided.
    ended_in : date
        The session whose close values what did not fill.
    fill_count : int
    release_source : {"touch", "open", "decision"}
        Where the price at the release is from: ask of a purchase, bid of a sale, when the exit door first let the order
        or a child of it go; else the session's open; else the price at the decision.
    decision_price_usd, release_price_usd, final_price_usd : float
        What the report was made with.
    report : ShortfallReport
        The parts.
    """

    order: Order
    ended_in: date
    fill_count: int
    release_source: ReleaseSource
    decision_price_usd: float
    release_price_usd: float
    final_price_usd: float
    report: ShortfallReport


@dataclass(slots=True)
class _Told:
    """What the journal tells of one decided order and its children."""

    order: Order
    status: OrderStatus
    fills: list[Fill] = field(default_factory=list)
    touch: tuple[date, float] | None = None
    ended_in: date | None = None


def order_shortfalls(rows: Iterable[JournalRow], prices: MarketPrices) -> list[OrderShortfall]:
    """Return the shortfall of every decided order that has ended, by session and id.

    Parameters
    ----------
    rows : iterable of JournalRow
        The account's rows of :data:`READ_KINDS`, by ascending sequence, from its first one on.
    prices : MarketPrices
        Of the sessions in which orders ended, and splits.

    Raises
    ------
    ExecutionError
        A child works one of several orders in a symbol, or an order filled more than it wanted.
    IllegalTransition
        The recorded events cannot have followed each other.

    Notes
    -----
    The decision's price is the close of its session, the price at the release is what the exit door saw (the touch,
    known at the release), and the last price is the close of the session in which the order ended; a symbol that did
    not trade in it has the decision's. Orders that the gate refused were not decided to be traded and are left out;
    those that a rule kept at the door, or that nobody sent, cost their opportunity. Orders without a price at the
    decision are left out.
    """
    told: dict[str, _Told] = {}
    decided: dict[tuple[str, str], list[str]] = {}
    parents: dict[str, str] = {}
    for row in rows:
        name = str(row.client_order_id)
        if row.kind == DecisionEventKind.INTENT_RECORDED:
            order = order_from_record(row.payload["order"])
            told[name] = _Told(order, OrderStatus(order, OrderState.INTENT_RECORDED))
            decided.setdefault((order.decision_id, order.symbol), []).append(name)
        elif row.kind == DecisionEventKind.CHILD_RECORDED:
            parents[name] = _parent_of(order_from_record(row.payload["order"]), decided)
        else:
            owner = told.get(parents.get(name, name))
            if owner is not None:
                _hear(owner, row, is_child=name in parents)
    found = [
        _shortfall(each, each.ended_in, prices)
        for each in told.values()
        if each.ended_in is not None and each.order.arrival_price_usd > 0
    ]
    return sorted(found, key=lambda each: (each.ended_in, each.order.client_order_id))


def _parent_of(child: Order, decided: Mapping[tuple[str, str], list[str]]) -> str:
    found = decided.get((child.decision_id, child.symbol), [])
    if len(found) != 1:
        raise ExecutionError(
            f"child {child.client_order_id} ({child.symbol}): decision {child.decision_id} has {len(found)} orders in "
            "the symbol, expected 1; pass the journal from its first row on"
        )
    return found[0]


def _hear(owner: _Told, row: JournalRow, *, is_child: bool) -> None:
    if row.kind == DecisionEventKind.EXIT_VERDICT:
        verdict = row.payload
        touch = verdict["touch_usd"]
        is_let_go = all(rule["outcome"] == "pass" for rule in verdict["rows"])
        if owner.touch is None and is_let_go and touch is not None and touch > 0:
            owner.touch = row.session_date, float(touch)
        return
    if is_child and row.kind not in _CHILD_TELLS:
        return
    event = order_event(row)
    if event.fill is not None:
        owner.fills.append(event.fill)
    if is_child:
        return
    owner.status = apply_event(owner.status, event)
    if owner.status.is_final and owner.status.state is not OrderState.REFUSED:
        is_for_one_session = owner.order.time_in_force not in _OUTLIVES_ITS_SESSION
        owner.ended_in = owner.order.execution_session if is_for_one_session else event.session


def _shortfall(told: _Told, ended_in: date, prices: MarketPrices) -> OrderShortfall:
    order, symbol = told.order, told.order.symbol

    def ratio(after: date) -> float:
        return prices.ratio(symbol, after=after, until=ended_in)

    decision = order.arrival_price_usd / ratio(order.session)
    source: ReleaseSource = "decision"
    release = decision
    if told.touch is not None:
        source, release = "touch", told.touch[1] / ratio(told.touch[0])
    elif (symbol, ended_in) in prices.opens_usd:
        source, release = "open", prices.opens_usd[symbol, ended_in]
    final = prices.closes_usd.get((symbol, ended_in), decision)
    fills = [_in_shares_of_the_end(fill, ratio(fill.session)) for fill in told.fills]
    report = shortfall_report(
        _ordered(told, fills),
        fills,
        decision_price_usd=decision,
        arrival_price_usd=release,
        final_price_usd=final,
    )
    return OrderShortfall(
        order=order,
        ended_in=ended_in,
        fill_count=len(fills),
        release_source=source,
        decision_price_usd=decision,
        release_price_usd=release,
        final_price_usd=final,
        report=report,
    )


def _ordered(told: _Told, fills: list[Fill]) -> float:
    """Return what was wanted, in the shares of the end.

    Notes
    -----
    A split on the way rounds what is filled and what is left one by one, so what the terms of after say is not what
    filled in old shares times the ratio.
    """
    if all(fill is before for fill, before in zip(fills, told.fills, strict=True)):
        return told.status.order.quantity_shares
    return math.fsum(fill.quantity_shares for fill in fills) + told.status.remaining_shares


def _in_shares_of_the_end(fill: Fill, ratio: float) -> Fill:
    if ratio == 1.0:
        return fill
    return replace(
        fill,
        quantity_shares=fill.quantity_shares * ratio,
        price_usd=fill.price_usd / ratio,
        reference_price_usd=fill.reference_price_usd / ratio,
    )
