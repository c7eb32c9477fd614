"""The end of an order that its venue tells of no more, on the word of a person who read the venue's statement.

Belongs here: what such a word may say, and its events. Which orders these are is
:mod:`aegis.live_trading.doubtful_orders`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from aegis.errors import ExecutionError
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind
from aegis.live_trading.exit_door import ExitDoor

_STATEMENT_GRAIN = timedelta(minutes=1)
"""A statement may give the minute only, and by a clock that is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedFill:
    """What the statement says of the shares that the journal does not have.

    Parameters
    ----------
    shares : float
        Unsigned; those that are recorded already are not counted again.
    price_usd : float
        Average per share.
    commission_usd : float
        Of all of them; negative for a rebate.
    filled_at_utc : datetime
        When the last of them filled; aware.

    Raises
    ------
    ExecutionError
        A number is not one that a statement can have.
    """

    shares: float
    price_usd: float
    commission_usd: float
    filled_at_utc: datetime

    def __post_init__(self) -> None:
        is_price = math.isfinite(self.price_usd) and self.price_usd > 0.0
        if not (is_price and math.isfinite(self.shares) and self.shares > 0.0 and math.isfinite(self.commission_usd)):
            raise ExecutionError(
                f"{self.shares!r} shares at {self.price_usd!r} USD with {self.commission_usd!r} USD of commission: "
                "give shares and price above 0 as the statement has them"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a person says of an order.

    Parameters
    ----------
    reason, actor : str
        What was found out and where, and who says so; neither empty.
    fill : StatedFill, optional
        None where nothing filled beyond what is recorded.

    Raises
    ------
    ExecutionError
        Reason or actor is empty.
    """

    reason: str
    actor: str
    fill: StatedFill | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip() or not self.actor.strip():
            raise ExecutionError(
                f"an order is ended with a reason and an actor; found {self.reason!r}, {self.actor!r}: say what the "
                "broker's statement says of it"
            )

    @property
    def text(self) -> str:
        """The word as events carry reasons."""
        return reason_text(OrderReason.PERSONS_WORD, f"{self.reason} ({self.actor})")


def end_by_word(
    door: ExitDoor, client_order_id: str, word: Word, *, session_of: Callable[[datetime], date], now_utc: datetime
) -> OrderStatus:
    """Write down what became of an order, durably, and return where it stands: filled, or cancelled with its fills.

    Parameters
    ----------
    door : ExitDoor
        Of the account; its process holds the lease.
    client_order_id : str
        One of :meth:`ExitDoor.missing`.
    word : Word
        What is said.
    session_of : callable
        Which session had begun last at an instant.
    now_utc : datetime
        Now.

    Raises
    ------
    ExecutionError
        The order was never committed, the broker tells of it, it has ended, or the fill cannot be one of its. Nothing
        was written.
    JournalError
        The fill is of a session that is too old to be recorded (nothing was written), or the journal cannot be written.
    """
    with door.held() as ledger:
        status = ledger.status(client_order_id)
        if status is None or client_order_id not in door.missing():
            stands = "is not known to the journal" if status is None else f"is '{status.state}' in the journal"
            raise ExecutionError(
                f"order {client_order_id} {stands}, and is none that the broker tells of no more; only such an order "
                "is ended on a person's word. Give the whole id, as the difference names it; nothing was written"
            )
        events = []
        if word.fill is not None:
            rows = ledger.journal.events(client_order_ids=[client_order_id], kinds=[OrderEventKind.SUBMITTED])
            since_utc = rows[0].instant_utc
            _require_instant(status.order, word.fill, since_utc=since_utc, session_of=session_of, now_utc=now_utc)
            events.append(_filled(status, word.fill, word.text, session_of))
        if not events or events[0].kind is not OrderEventKind.FILLED:
            events.append(
                OrderEvent(
                    kind=OrderEventKind.CANCELLED,
                    client_order_id=client_order_id,
                    session=session_of(now_utc),
                    at_utc=now_utc,
                    reason=word.text,
                )
            )
        ledger.record(events)
    found = door.status(client_order_id)
    return status if found is None else found


def _require_instant(
    order: Order, stated: StatedFill, *, since_utc: datetime, session_of: Callable[[datetime], date], now_utc: datetime
) -> None:
    """Refuse a fill of an instant at which the order was not sent yet, or was over.

    Raises
    ------
    ExecutionError
        It is of one, or of one that is still to come.
    """
    at = stated.filled_at_utc
    why = ""
    if at > now_utc:
        why = f"it is {now_utc:%Y-%m-%d %H:%M:%S}"
    elif session_of(at) < order.session:  # it would count in a book that knew nothing of the order
        why = f"it was decided in session {order.session}"
    elif at < since_utc - _STATEMENT_GRAIN:
        why = f"it was sent at {since_utc:%Y-%m-%d %H:%M:%S}"
    elif order.time_in_force == "DAY" and session_of(at) > order.execution_session:
        why = f"it was good for session {order.execution_session}"
    if why:
        raise ExecutionError(
            f"order {order.client_order_id} ({order.symbol}): it cannot have filled at {at:%Y-%m-%d %H:%M:%S} UTC, "
            f"{why}; give the instant of the statement"
        )


def _filled(status: OrderStatus, stated: StatedFill, said: str, session_of: Callable[[datetime], date]) -> OrderEvent:
    """Return the event of a stated fill, by which the order is filled or partially filled."""
    order, at = status.order, stated.filled_at_utc
    quantity = math.copysign(stated.shares, order.quantity_shares)
    completes = status.is_completed_by(quantity)
    fill = Fill(
        client_order_id=order.client_order_id,
        decision_id=order.decision_id,
        account=order.account,
        fill_number=status.fills + 1,
        session=session_of(at),
        symbol=order.symbol,
        ticker=order.ticker,
        quantity_shares=quantity,
        price_usd=stated.price_usd,
        reference_price_usd=stated.price_usd,
        commission_usd=stated.commission_usd,
        slippage_usd=0.0,
        arrival_price_usd=order.arrival_price_usd,
        filled_at_utc=at,
        execution_id=f"statement {at.isoformat()}",
    )
    kind = OrderEventKind.FILLED if completes else OrderEventKind.PARTIALLY_FILLED
    return OrderEvent(
        kind=kind, client_order_id=order.client_order_id, session=session_of(at), at_utc=at, reason=said, fill=fill
    )
