"""A cash account at Interactive Brokers behind the gateway of the tests: it refuses what a broker refuses.

Time stands still until the test moves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aegis.config_brokers import InteractiveBrokersBrokerSettings
from tests.integration.vendors.tws.gateway import Answer, Request, Session, TwsGateway
from tests.integration.vendors.tws.history import HistoryDesk
from tests.integration.vendors.tws.order_messages import Order
from tests.integration.vendors.tws.orders import OrderDesk
from tests.integration.vendors.tws.wire import Contract, Fields, ToGateway

AFTER_THE_CLOSE = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)
ABC, DEF = Contract(1001, "ABC"), Contract(1002, "DEF")
NEVER_SECONDS = 3600.0


class CashDesk(OrderDesk):
    """A cash account that carries no purchase beyond its cash and no short sale.

    Attributes
    ----------
    halted : set of str
        Symbols that do not trade.
    """

    def __init__(self, gateway_time: HistoryDesk) -> None:
        super().__init__([ABC, DEF], now=AFTER_THE_CLOSE, cash_usd=10_000.0)
        self._gateway_time = gateway_time
        self.commission_usd = 0.0
        self.quotes = {ABC.con_id: 10.0, DEF.con_id: 20.0}
        self.halted: set[str] = set()

    @property
    def accepted(self) -> dict[str, int]:
        """How many orders were accepted under each reference: the truth of every at-most-once test."""
        counted: dict[str, int] = {}
        for order in self.orders:
            if order.status != "Inactive":
                counted[order.reference] = counted.get(order.reference, 0) + 1
        return counted

    def move_to(self, now: datetime) -> None:
        self.now = self._gateway_time.now = now

    def refuse(self, order: Order) -> tuple[int, str] | None:
        scripted = super().refuse(order)
        if scripted is not None:
            return scripted
        price, others = self.quotes[order.contract.con_id], [known for known in self.orders if known.is_open]
        others = [known for known in others if known is not order]
        if order.contract.symbol in self.halted:
            return 201, f"Order rejected - reason:{order.contract.symbol} is halted"
        if order.side == "BUY":
            bound = sum(o.remaining * self.quotes[o.contract.con_id] for o in others if o.side == "BUY")
            if order.shares * price + bound > self.cash_usd:
                return (
                    201,
                    "Order rejected - reason:We are unable to accept your order. Your Available Funds are insufficient",
                )
        else:
            held = self.positions.get(order.contract.con_id, (0.0, 0.0))[0]
            on_sale = sum(o.remaining for o in others if o.side == "SELL" and o.contract == order.contract)
            if order.shares + on_sale > held:
                return 201, "Order rejected - reason:a cash account may not hold a short position"
        return None


class InteractiveBrokersVenue:
    """The account and its gateway; ``begin_again`` gives a new account to the same port."""

    def __init__(self) -> None:
        self.time = HistoryDesk([ABC, DEF], {}, now=AFTER_THE_CLOSE)
        self.desk = CashDesk(self.time)
        self._current = _Current(self)
        self.gateway = TwsGateway(self.time, self._current)

    def __enter__(self) -> InteractiveBrokersVenue:
        self.gateway.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.__exit__()

    def begin_again(self) -> None:
        """Open a new account with 10 000 USD and nothing else, after the close of 2014-06-05."""
        self.gateway.heal()
        self.time.now = AFTER_THE_CLOSE
        self.desk = CashDesk(self.time)
        self.gateway.next_order_id = 1
        self.gateway.requests.clear()

    def tell(self, *messages: Fields) -> None:
        self.gateway.tell(*messages)

    def trade_session(
        self, opens: datetime, closes: datetime, *, symbol: str, price_usd: float, volume_shares: float
    ) -> None:
        """Trade one session at one price; orders get at most a tenth of its volume, DAY orders end at its close."""
        desk, left = self.desk, volume_shares // 10
        desk.move_to(opens)
        (contract,) = (known for known in desk.contracts if known.symbol == symbol)
        desk.quotes[contract.con_id] = price_usd
        waiting = [order for order in desk.orders if order.is_open and order.contract == contract]
        for order in waiting:
            wanted = min(order.remaining, left)
            if wanted > 0 and _crosses(order, price_usd):
                left -= wanted
                desk.move_to(desk.now + timedelta(seconds=1))
                self.tell(*desk.fill(order, wanted, price_usd))
        desk.move_to(closes)
        for order in waiting:
            if order.is_open and order.time_in_force == "DAY":
                self.tell(*desk.cancel(order))


class _Current:
    """Answers for whichever desk the venue has now."""

    def __init__(self, venue: InteractiveBrokersVenue) -> None:
        self._venue = venue

    @property
    def answers(self) -> dict[int, Answer]:
        return dict.fromkeys(self._venue.desk.answers, self._answer)

    def _answer(self, session: Session, request: Request) -> Sequence[Fields]:
        desk = self._venue.desk
        told = desk.answers[request.number](session, request)
        if request.number == ToGateway.PLACE_ORDER:
            self._venue.gateway.next_order_id = max(self._venue.gateway.next_order_id, desk.next_order_id())
        return told


def _crosses(order: Order, price: float) -> bool:
    if order.order_type != "LMT":
        return True
    return price <= float(order.limit_price) if order.side == "BUY" else price >= float(order.limit_price)


def interactive_brokers_settings(venue: InteractiveBrokersVenue, **terms: Any) -> InteractiveBrokersBrokerSettings:
    """Return settings that reach the venue: short timeouts, no pauses, nothing in the background that nobody wants."""
    settings: dict[str, Any] = {
        "port": venue.gateway.port,
        "connect_timeout_seconds": 5.0,
        "answer_timeout_seconds": 5.0,
        "first_pause_seconds": 0.0,
        "poll_seconds": NEVER_SECONDS,
        "reconnect_first_seconds": 0.01,
        "reconnect_longest_seconds": 0.02,
        "commission_wait_seconds": 0.02,
    }
    return InteractiveBrokersBrokerSettings.model_validate({**settings, **terms})
