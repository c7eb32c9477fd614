"""The live risk manager of an account as its journal left it.

Belongs here: what is read back, so that a restart forgets neither today's orders nor a breaker that tripped. What the
manager makes of it is :mod:`aegis.live_trading.risk_manager`.
"""

from __future__ import annotations

from collections.abc import Callable

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.execution.decisions import ASIDES, INTENTS, DecisionEventKind
from aegis.execution.journal import Journal
from aegis.execution.order_projections import order_event
from aegis.execution.order_records import order_from_record
from aegis.execution.orders import Order, OrderEvent
from aegis.live_trading.held_positions import AccountEventKind
from aegis.live_trading.risk_manager import LiveRiskManager
from aegis.live_trading.standing_breakers import BreakerRecord
from aegis.risk.exit_limits import ExitLimits


def restored_risk_manager(
    journal: Journal,
    *,
    limits: ExitLimits,
    clock: Clock,
    calendar: TradingCalendar,
    kill_switch_engaged: Callable[[], bool],
) -> LiveRiskManager:
    """Return a risk manager that remembers what the journal holds.

    Parameters
    ----------
    journal : Journal
        Of the account; verified.
    limits : ExitLimits
        Of the account.
    clock, calendar, kill_switch_engaged
        As in :class:`~aegis.live_trading.risk_manager.LiveRiskManager`.

    Raises
    ------
    RiskError
        What the journal says of the breakers is malformed.
    """
    orders: list[Order] = []
    events: list[OrderEvent] = []
    touches: dict[str, float] = {}
    breakers = BreakerRecord()
    for row in journal.events():
        if row.kind in INTENTS:
            orders.append(order_from_record(row.payload["order"]))
        elif row.kind == DecisionEventKind.EXIT_VERDICT:
            touch = row.payload["touch_usd"]
            if touch is not None:
                touches[str(row.client_order_id)] = float(touch)
        elif row.kind == AccountEventKind.BREAKERS_KEPT:
            breakers = BreakerRecord.from_record(row.payload)
        elif row.client_order_id is not None and row.kind not in ASIDES:
            events.append(order_event(row))
    manager = LiveRiskManager(
        limits, account=journal.account, clock=clock, calendar=calendar, kill_switch_engaged=kill_switch_engaged
    )
    manager.restore(orders, events, touches_usd=touches, record=breakers)
    return manager
