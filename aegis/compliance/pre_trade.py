"""What compliance says before an order leaves: the restricted list and the position limits.

Belongs here: the two rules that stop an order. The pre-trade gate refuses the orders that are named here
(:mod:`aegis.risk.pre_trade_gate`); every other rule of this package looks at what has happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from aegis.compliance.position_limits import Book, PositionLimits, position_limit_breaches
from aegis.compliance.restricted_list import Restriction, read_restricted_list, restrictions_in_force
from aegis.config_compliance import ComplianceSettings
from aegis.execution.orders import Order
from aegis.risk.reducing import are_reducing


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRules:
    """What an account may order.

    Parameters
    ----------
    restrictions : tuple of Restriction
        The whole list, past lines included.
    limits : PositionLimits
        Of the account.
    """

    restrictions: tuple[Restriction, ...] = ()
    limits: PositionLimits = field(default_factory=PositionLimits)

    def vetoes(
        self, orders: Sequence[Order], book: Book, *, execution_session: date, decided_at_utc: datetime
    ) -> dict[str, str]:
        """Return by client order id which orders may not leave, and why.

        Parameters
        ----------
        orders : sequence of Order
            Proposed, in the order in which they would be sent.
        book : Book
            What is held and at work.
        execution_session : date
            When they would execute: the day for which the restricted list is read.
        decided_at_utc : datetime
            The decision clock: what became known later stops nothing.
        """
        binding = restrictions_in_force(self.restrictions, execution_session, known_by=decided_at_utc)
        proposed = [(order.symbol, order.quantity_shares) for order in orders]
        reducing = are_reducing(proposed, book.positions_shares, open_orders_shares=book.at_work_shares)
        vetoes: dict[str, str] = {}
        for order, reduces in zip(orders, reducing, strict=True):
            restriction = binding.get(order.symbol)
            if restriction is not None and not (reduces and restriction.restriction == "no opening"):
                vetoes[order.client_order_id] = (
                    f"{order.symbol} {execution_session}: restricted list, {restriction.restriction} since "
                    f"{restriction.first}: {restriction.reason}; let compliance end the restriction, or drop the order"
                )
        allowed = [order for order in orders if order.client_order_id not in vetoes]
        for name, breach in position_limit_breaches(allowed, book, limits=self.limits).items():
            symbol = next(order.symbol for order in allowed if order.client_order_id == name)
            vetoes[name] = f"{symbol} {execution_session}: position limit, {breach}"
        return vetoes


def order_rules(settings: ComplianceSettings) -> OrderRules:
    """Return the rules that an account's settings name.

    Raises
    ------
    ComplianceError
        The restricted list cannot be read: nothing is decided without it.
    """
    listed = settings.restricted_list
    return OrderRules(
        restrictions=() if listed is None else read_restricted_list(listed),
        limits=PositionLimits(
            max_positions=settings.max_positions,
            max_position_usd=settings.max_position_usd,
            max_share_of_median_volume=settings.max_share_of_median_volume,
        ),
    )
