"""The gateway of the tests as the client library sees it: orders, their events, and what outlives a connection."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from aegis.tws_library import LIBRARIES
from tests.integration.interactive_brokers.small_market import AAPL, MSFT, NOW
from tests.integration.vendors.tws.faults import Cut, Silence, Unreceived
from tests.integration.vendors.tws.gateway import TwsGateway
from tests.integration.vendors.tws.history import HistoryDesk
from tests.integration.vendors.tws.orders import OrderDesk
from tests.integration.vendors.tws.wire import Fields, ToGateway, error

Result = TypeVar("Result")
PATIENCE = 10.0
"""Seconds after which what should have come has not."""


@pytest.fixture
def desk() -> OrderDesk:
    return OrderDesk([AAPL, MSFT], now=NOW)


@pytest.fixture
def gateway(desk: OrderDesk) -> Iterator[TwsGateway]:
    with TwsGateway(HistoryDesk([AAPL, MSFT], {}, now=NOW), desk) as started:
        yield started


def with_client(gateway: TwsGateway, talk: Callable[[Any, Any], Awaitable[Result]], *, client_id: int = 7) -> Result:
    """Return what `talk` gives, with the client library connected as its users connect it."""

    async def run() -> Result:
        name = next(name for name in LIBRARIES if importlib.util.find_spec(name) is not None)
        library = importlib.import_module(name)  # ib_insync wants an event loop when it is imported
        ib = library.IB()
        await ib.connectAsync("127.0.0.1", gateway.port, client_id, timeout=PATIENCE)
        try:
            return await talk(ib, library)
        finally:
            ib.disconnect()
            await asyncio.sleep(0)

    return asyncio.run(run())


async def until(condition: Callable[[], object], ib: Any) -> None:
    """Return when `condition` holds, looking again at each message."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await ib.updateEvent


def limit_order(library: Any, shares: float = 100, reference: str = "aegis-1") -> Any:
    return library.LimitOrder("BUY", shares, 99.5, orderRef=reference, tif="DAY")


def stock(library: Any) -> Any:
    return library.Contract(conId=AAPL.con_id, symbol="AAPL", secType="STK", exchange="SMART", currency="USD")


def test_an_order_is_acknowledged_filled_in_parts_and_charged(gateway: TwsGateway, desk: OrderDesk) -> None:
    async def talk(ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(stock(library), limit_order(library))
        await until(lambda: trade.orderStatus.status == "Submitted", ib)
        order = desk.order_of("aegis-1")
        gateway.tell(*desk.fill(order, 60, 99.0))
        await until(lambda: trade.orderStatus.filled == 60, ib)
        gateway.tell(*desk.fill(order, 40, 99.5))
        await until(trade.isDone, ib)
        return trade

    trade = with_client(gateway, talk)
    assert (trade.orderStatus.status, trade.orderStatus.filled, trade.orderStatus.remaining) == ("Filled", 100.0, 0.0)
    assert trade.orderStatus.avgFillPrice == pytest.approx(99.2)  # (60 x 99 + 40 x 99.5) / 100
    assert [(fill.execution.shares, fill.execution.price) for fill in trade.fills] == [(60.0, 99.0), (40.0, 99.5)]
    assert [fill.commissionReport.commission for fill in trade.fills] == [1.0, 1.0]
    assert trade.fills[0].execution.orderRef == "aegis-1"
    assert trade.fills[0].execution.side == "BOT"


def test_the_gateway_reads_an_order_as_it_was_meant(gateway: TwsGateway, desk: OrderDesk) -> None:
    async def talk(ib: Any, library: Any) -> None:
        order = library.StopLimitOrder("SELL", 7, 88.25, 89.5, orderRef="aegis-2", tif="GTC", outsideRth=True)
        trade = ib.placeOrder(stock(library), order)
        await until(lambda: trade.orderStatus.permId, ib)

    with_client(gateway, talk)
    order = desk.order_of("aegis-2")
    assert (order.side, order.shares, order.order_type, order.limit_price, order.stop_price) == (
        "SELL", 7.0, "STP LMT", "88.25", "89.5",
    )  # fmt: skip
    assert (order.time_in_force, order.contract, order.client_id) == ("GTC", AAPL, 7)


def test_a_changed_order_is_the_same_order(gateway: TwsGateway, desk: OrderDesk) -> None:
    async def talk(ib: Any, library: Any) -> None:
        order = limit_order(library)
        trade = ib.placeOrder(stock(library), order)
        await until(lambda: trade.orderStatus.permId, ib)
        order.lmtPrice = 98.0
        ib.placeOrder(stock(library), order)
        await until(lambda: desk.orders[0].limit_price == "98.0", ib)

    with_client(gateway, talk)
    assert len(desk.orders) == 1


def test_a_cancelled_order_is_cancelled_and_a_second_cancel_is_refused(gateway: TwsGateway, desk: OrderDesk) -> None:
    errors: list[int] = []

    async def talk(ib: Any, library: Any) -> Any:
        ib.errorEvent += lambda _, code, *__: errors.append(code)
        order = limit_order(library)
        trade = ib.placeOrder(stock(library), order)
        await until(lambda: trade.orderStatus.permId, ib)
        ib.cancelOrder(order)
        await until(trade.isDone, ib)
        ib.client.cancelOrder(order.orderId)
        await until(lambda: 10148 in errors, ib)
        return trade

    assert with_client(gateway, talk).orderStatus.status == "Cancelled"
    assert (desk.orders[0].status, errors) == ("Cancelled", [202, 10148])


def test_a_rejected_order_is_told_with_its_reason_and_holds_nothing(gateway: TwsGateway, desk: OrderDesk) -> None:
    desk.rejections.append((201, "Order rejected - reason:insufficient funds"))

    async def talk(ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(stock(library), limit_order(library))
        await until(lambda: any(entry.errorCode == 201 for entry in trade.log), ib)
        return trade

    trade = with_client(gateway, talk)
    assert [entry.message for entry in trade.log if entry.errorCode] == [
        next(entry.message for entry in trade.log if "insufficient funds" in entry.message)
    ]
    assert (desk.orders[0].status, desk.positions) == ("Inactive", {})


def test_a_fill_told_twice_is_one_fill(gateway: TwsGateway, desk: OrderDesk) -> None:
    async def talk(ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(stock(library), limit_order(library))
        await until(lambda: trade.orderStatus.permId, ib)
        events = desk.fill(desk.orders[0], 100, 99.0)
        gateway.tell(*events, *events)
        await until(trade.isDone, ib)
        await ib.reqCurrentTimeAsync()  # everything before it has been read
        return trade

    assert [fill.execution.shares for fill in with_client(gateway, talk).fills] == [100.0]


def test_events_out_of_order_leave_a_filled_order_submitted(gateway: TwsGateway, desk: OrderDesk) -> None:
    """What the client library makes of it: executions are to be trusted, the status is not."""

    async def talk(ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(stock(library), limit_order(library))
        await until(lambda: trade.orderStatus.permId, ib)
        first, second = desk.fill(desk.orders[0], 50, 99.0), desk.fill(desk.orders[0], 50, 99.0)
        gateway.tell(*second, *first[:-1], _status_before_the_last_fill(first[-1]))
        await ib.reqCurrentTimeAsync()
        return trade

    trade = with_client(gateway, talk)
    assert trade.filled() == 100.0
    assert trade.orderStatus.status == "Submitted"


def _status_before_the_last_fill(told: Fields) -> Fields:
    """Return the order's status as it was told after its first fill."""
    return (*told[:2], "Submitted", "50", "50", *told[5:])


def test_after_a_lost_connection_the_truth_is_there_to_be_asked(gateway: TwsGateway, desk: OrderDesk) -> None:
    """Partly filled, the connection lost, filled meanwhile: a new session finds all of it by reference."""

    async def before(ib: Any, library: Any) -> None:
        trade = ib.placeOrder(stock(library), limit_order(library))
        await until(lambda: trade.orderStatus.permId, ib)
        gateway.tell(*desk.fill(desk.orders[0], 60, 99.0))
        await until(lambda: trade.fills, ib)
        gateway.drop_all()
        async with asyncio.timeout(PATIENCE):
            await ib.disconnectedEvent

    async def after(ib: Any, _: Any) -> Any:
        return ib.fills(), ib.positions(), await ib.reqCompletedOrdersAsync(apiOnly=False)

    with_client(gateway, before)
    desk.fill(desk.orders[0], 40, 99.5)  # nobody is told
    fills, positions, completed = with_client(gateway, after)
    assert [(fill.execution.orderRef, fill.execution.shares) for fill in fills] == [
        ("aegis-1", 60.0),
        ("aegis-1", 40.0),
    ]
    assert [(held.contract.symbol, held.position, held.avgCost) for held in positions] == [("AAPL", 100.0, 99.2)]
    assert [(trade.order.orderRef, trade.orderStatus.status) for trade in completed] == [("aegis-1", "Filled")]


@pytest.mark.parametrize(
    ("fault", "received"),
    [(Unreceived(), 0), (Cut(0), 1), (Cut(0.5), 1), (Silence(), 1)],
    ids=["lost on the way", "lost acknowledgement", "cut acknowledgement", "silence"],
)
def test_a_lost_acknowledgement_leaves_the_order_where_it_was_accepted(
    gateway: TwsGateway, desk: OrderDesk, fault: Any, received: int
) -> None:
    gateway.script(ToGateway.PLACE_ORDER, fault)

    async def talk(ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(stock(library), limit_order(library))
        if isinstance(fault, Silence):
            await ib.reqCurrentTimeAsync()
        else:
            async with asyncio.timeout(PATIENCE):
                await ib.disconnectedEvent
        return trade.orderStatus.permId

    assert with_client(gateway, talk) == 0
    assert len(desk.orders) == received

    async def again(ib: Any, _: Any) -> list[str]:
        return [trade.order.orderRef for trade in await ib.reqAllOpenOrdersAsync()]

    assert with_client(gateway, again, client_id=8) == ["aegis-1"] * received


def test_a_connection_can_end_at_every_message_of_an_order(gateway: TwsGateway, desk: OrderDesk) -> None:
    """After each number of messages, of either side: what the broker has is one order or none, and never two."""

    async def talk(ib: Any, library: Any) -> None:
        gateway.end_after(boundary)
        ib.placeOrder(stock(library), limit_order(library, reference=f"aegis-{boundary}"))
        async with asyncio.timeout(PATIENCE):
            await ib.disconnectedEvent

    found = []
    for boundary in range(4):
        with_client(gateway, talk)
        found.append([order.reference for order in desk.orders].count(f"aegis-{boundary}"))
    assert found == [0, 1, 1, 1]  # before it is read; read; the order told; its status told


def test_a_wrong_clock_is_seen_in_the_time_and_in_executions(gateway: TwsGateway, desk: OrderDesk) -> None:
    desk.now = NOW + timedelta(minutes=7)

    async def talk(ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(stock(library), limit_order(library))
        await until(lambda: trade.orderStatus.permId, ib)
        gateway.tell(*desk.fill(desk.orders[0], 100, 99.0))
        await until(lambda: trade.fills, ib)
        return await ib.reqCurrentTimeAsync(), trade.fills[0].execution.time

    assert with_client(gateway, talk) == (NOW, datetime(2024, 6, 17, 13, 7, tzinfo=UTC))


def test_lost_and_restored_connectivity_is_told_and_the_account_stays(gateway: TwsGateway, desk: OrderDesk) -> None:
    desk.positions[MSFT.con_id] = (5.0, 410.0)
    codes: list[int] = []

    async def talk(ib: Any, _: Any) -> Any:
        ib.errorEvent += lambda _, code, *__: codes.append(code)
        gateway.tell(error(-1, 1100, "Connectivity has been lost"), error(-1, 1102, "Connectivity has been restored"))
        await until(lambda: 1102 in codes, ib)
        summary = {value.tag: value.value for value in await ib.accountSummaryAsync()}
        return summary, {value.tag: value.value for value in ib.accountValues()}

    values = {"TotalCashValue": "1000000.00", "NetLiquidation": "1002050.00", "BuyingPower": "1000000.00"}
    assert with_client(gateway, talk) == (values, values)
    assert codes == [1100, 1102]
