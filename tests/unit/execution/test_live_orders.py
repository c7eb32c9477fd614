"""What may leave after a confirmation has ended, judged by what the broker says."""

from __future__ import annotations

from datetime import date

import pytest

from aegis.errors import ConfigurationError
from aegis.execution.account_state import Position
from aegis.execution.brokers.live_orders import why_not_live
from aegis.execution.order_states import OrderState, OrderStatus

HELD = Position("ABC", "ABC", 100.0, 10.0, 10.0, date(2014, 6, 5))


def _ended() -> None:
    raise ConfigurationError("the confirmation has ended")


@pytest.mark.parametrize(("shares", "may_leave"), [(-40.0, True), (-41.0, False), (1.0, False)])
def test_what_fills_between_the_two_questions_is_counted(order_of, shares, may_leave):
    selling = order_of(client_order_id="order-1", quantity_shares=-60.0)
    waiting = [OrderStatus(selling, OrderState.ACCEPTED)]

    def positions() -> list[Position]:
        waiting.clear()  # it fills just after the broker has said what is held
        return [HELD]

    order = order_of(client_order_id="order-2", quantity_shares=shares)
    found = why_not_live(order, require=_ended, positions=positions, open_orders=lambda: tuple(waiting))
    assert (found == "") is may_leave
    assert may_leave or "only orders that reduce a position leave" in found


def test_while_the_confirmation_stands_the_broker_is_asked_nothing(order_of):
    asked: list[str] = []
    order = order_of(quantity_shares=1.0)
    found = why_not_live(
        order,
        require=lambda: None,
        positions=lambda: asked.append("positions") or [],
        open_orders=lambda: asked.append("open orders") or [],
    )
    assert (found, asked) == ("", [])
