"""Open orders whose symbol was restricted after they left: they end, because the venue knows no list of ours.

Belongs here: which orders these are, and asking for their end. What is in force is
:mod:`aegis.live_trading.symbol_knowledge`; that nothing new leaves is the exit door's rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date

from aegis.errors import AegisError, ExecutionError
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.risk_manager import LiveRiskManager
from aegis.risk.exit_view import SymbolFacts


def end_restricted(
    system: ExecutionSystem,
    rules: LiveRiskManager,
    facts: Callable[[Iterable[str], date], Mapping[str, SymbolFacts]],
    *,
    session: date,
) -> tuple[str, ...]:
    """Ask for the end of the open orders that may not be traded any more, and say which, for a person.

    Parameters
    ----------
    system : ExecutionSystem
        The account.
    rules : LiveRiskManager
        Says whether an order only reduces what is held, as at the door.
    facts : callable
        From symbols and a session to what is known of them, restrictions included.
    session : date
        The session that is open, or comes next.

    Raises
    ------
    ExecutionError
        Some could not be cancelled; all others were asked for.

    Notes
    -----
    Where only opening is restricted, orders that reduce a position stay, and of one that is worked by children the
    door refuses each child that opens. What waits for a later session is left to the door.
    """
    orders = [status for status in system.open_orders() if not status.is_cancel_requested]
    known = facts(sorted({status.order.symbol for status in orders}), session) if orders else {}
    ended, failures = [], []
    for status in orders:
        why = _restriction(status, known.get(status.order.symbol), rules, session)
        if not why:
            continue
        try:
            _end(system, status, why)
        except AegisError as error:
            failures.append(str(error))
        else:
            ended.append(
                f"order {status.order.client_order_id} ({status.order.symbol}) is cancelled: restricted: {why}"
            )
    if failures:
        raise ExecutionError("; ".join([*failures, *ended]))
    return tuple(ended)


def _restriction(status: OrderStatus, found: SymbolFacts | None, rules: LiveRiskManager, session: date) -> str:
    """Return what keeps an open order from staying; empty where nothing does."""
    if found is None:
        return ""
    if status.state is OrderState.APPROVED:
        return found.restriction if status.order.execution_session == session else ""
    if found.opening_restriction and not rules.view(status.order, is_replacement=True).is_reducing:
        return found.opening_restriction
    return found.restriction


def _end(system: ExecutionSystem, status: OrderStatus, why: str) -> None:
    name = status.order.client_order_id
    if status.state is OrderState.APPROVED:  # nobody sent it: the children of one that is worked end with it
        system.door.give_up(name, reason_text(OrderReason.EXIT_RULE, f"restricted: {why}"))
    else:
        system.cancel_order(name)
