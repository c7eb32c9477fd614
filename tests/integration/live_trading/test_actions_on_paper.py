"""A corporate action in the night at the paper venue, with a position, two resting orders and a committed one.

The venue books actions by the matching kernel (``docs/fills.md``, "Corporate actions"): splits rescale resting orders,
a dividend and a new ticker leave them, mergers and delistings end them. The position is bought on Friday.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import CorporateAction
from aegis.clock import SimulatedClock
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.paper import PaperBroker
from aegis.execution.brokers.paper_log import PaperLog
from aegis.execution.order_states import OrderState
from tests.integration.live_trading.action_night import (
    CASH_USD,
    FRIDAY,
    FRIDAY_EVENING,
    LIMIT,
    MONDAY,
    MONDAY_EVENING,
    STOP,
    ActionNight,
    booked_shares,
)
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR
from tests.minute_tapes import WrittenTape, flat, minute

SPLIT = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
REVERSE = CorporateAction(action="split", symbol="ABC", split_ratio=1 / 3)
DIVIDEND = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.25, pay_session=MONDAY)
RENAME = CorporateAction(action="rename", symbol="ABC", new_ticker="XYZ")
DELISTING = CorporateAction(action="delisting", symbol="ABC")
MERGER = CorporateAction(action="merger", symbol="ABC", merger_cash_usd=2.0, merger_ratio=0.5, acquirer="DEF")
FOR_CASH = CorporateAction(action="merger", symbol="ABC", merger_cash_usd=12.0)
Begin = Callable[..., ActionNight]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Buy shares of ABC at 10 USD on Friday; on Monday ABC trades at `price_usd`, and DEF at 20."""
    nights: list[ActionNight] = []

    def started(shares: int, action: CorporateAction, price_usd: float) -> ActionNight:
        tape = WrittenTape(traded=("ABC", "DEF"), booked={MONDAY: (action,)})
        for session, minutes, prices in (
            (FRIDAY, 2, {"ABC": 10.0, "DEF": 20.0}),
            (FRIDAY, 389, {"ABC": 10.0, "DEF": 20.0}),
            (MONDAY, 1, {"ABC": price_usd, "DEF": 20.0}),
            (MONDAY, 389, {"ABC": price_usd, "DEF": 20.0}),
        ):
            if session == MONDAY and action.action in ("merger", "delisting"):
                del prices["ABC"]
            opens = CALENDAR.open_utc(session) + timedelta(minutes=minutes)
            bars = {symbol: flat(price, 10_000.0) for symbol, price in prices.items()}
            tape.written.append(minute(session, opens, opens + timedelta(minutes=1), bars))

        def opened(clock: SimulatedClock) -> PaperBroker:
            return PaperBroker(
                AccountState.opening(ACCOUNT, cash_usd=CASH_USD + 10.0 * shares),
                log=PaperLog(tmp_path / "paper.jsonl"),
                tape=tape,
                calendar=CALENDAR,
                costs=CostModel(),
                rules=TradingRules(participation_rate=0.1),
                clock=clock,
            )

        night = ActionNight(opened, tmp_path, {MONDAY: (action,)})
        nights.append(night)
        night.system.submit_order(night.system.order("ABC", shares, name="position", arrival_price_usd=10.0))
        night.until(CALENDAR.open_utc(FRIDAY) + timedelta(minutes=4))
        night.hear()
        assert night.held() == {"ABC": float(shares)}
        return night

    yield started
    for night in nights:
        night.close()


def agrees(night: ActionNight) -> None:
    """Say that there is no break, and that positions and orders are the venue's."""
    assert night.system.reconcile().breaks == ()
    assert night.held() == night.theirs()
    ours = {status.order.client_order_id: status.order for status in night.system.sent_orders()}
    theirs = {status.order.client_order_id: status.order for status in night.broker.open_orders()}
    assert ours == theirs


@pytest.mark.parametrize(
    ("action", "shares", "price", "after", "wanted", "limit", "in_lieu"),
    [
        (SPLIT, 90, 5.0, 180.0, 40.0, (20.0, 4.0), 0.0),
        # A third of a share at 30 USD is 10.00 in cash; of 10 ordered at 8.00 three are whole, at 24.00.
        pytest.param(REVERSE, 100, 30.0, 33.0, 6.0, (3.0, 24.0), 10.0, marks=pytest.mark.long),
        pytest.param(DIVIDEND, 90, 10.0, 90.0, 20.0, (10.0, 8.0), 22.5, marks=pytest.mark.long),
        pytest.param(RENAME, 90, 10.0, 90.0, 20.0, (10.0, 8.0), 0.0, marks=pytest.mark.long),
    ],
    ids=["2:1", "1:3", "dividend", "rename"],
)
def test_an_action_in_the_night_leaves_no_break(
    begin: Begin,
    action: CorporateAction,
    shares: int,
    price: float,
    after: float,
    wanted: float,
    limit: tuple[float, float],
    in_lieu: float,
) -> None:
    night = begin(shares, action, price)
    resting = night.rest_orders()
    night.until(FRIDAY_EVENING)
    night.hear()
    committed = night.commit()
    assert night.open_monday().failures == ()
    agrees(night)
    assert night.held() == {"ABC": after}
    found = night.statuses()[resting[LIMIT].client_order_id]
    assert (found.order.quantity_shares, found.order.limit_price_usd) == (limit[0], pytest.approx(limit[1]))
    assert not night.statuses()[resting[STOP].client_order_id].is_final
    assert night.statuses()[committed.client_order_id].order.quantity_shares == wanted
    night.until(MONDAY_EVENING)
    night.hear()
    agrees(night)
    assert night.statuses()[committed.client_order_id].state is OrderState.FILLED
    booked = night.book(shares, {"ABC": price}, facts=2)
    assert (booked.breaks, booked_shares(booked)) == ((), {"ABC": after + wanted})
    assert booked.account.cash_usd == pytest.approx(night.broker.account().cash_usd, abs=1e-9)
    assert booked.account.cash_usd == pytest.approx(CASH_USD + in_lieu - wanted * price, abs=1e-9)


@pytest.mark.long
@pytest.mark.parametrize(
    ("action", "after", "cash"),
    # A delisted share is worth its last close; 91 become 45 DEF, half a share at 20 and 182 USD, or 1,092 USD.
    [(DELISTING, {}, 910.0), (MERGER, {"DEF": 45.0}, 192.0), (FOR_CASH, {}, 1_092.0)],
    ids=["delisting", "merger for shares", "merger for cash"],
)
def test_what_leaves_the_market_leaves_no_break(
    begin: Begin, action: CorporateAction, after: dict[str, float], cash: float
) -> None:
    night = begin(91, action, 10.0)
    night.rest_orders()
    night.until(FRIDAY_EVENING)
    night.hear()
    committed = night.commit()
    assert night.open_monday().failures == ()
    agrees(night)
    assert night.statuses()[committed.client_order_id].state is OrderState.CANCELLED
    night.until(MONDAY_EVENING)
    night.hear()
    agrees(night)
    assert night.held() == after
    booked = night.book(91, {"DEF": 20.0}, facts=2)
    assert (booked.breaks, booked_shares(booked)) == ((), after)
    assert booked.account.cash_usd == pytest.approx(night.broker.account().cash_usd, abs=1e-9)
    assert booked.account.cash_usd == pytest.approx(CASH_USD + cash, abs=1e-9)
