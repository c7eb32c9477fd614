from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from aegis.backtesting.kernel.codes import Amendment, Reason, State
from aegis.backtesting.order_events import order_events
from aegis.backtesting.record_frames import REASON_WORDS
from aegis.execution.order_reasons import OrderReason
from aegis.execution.order_states import OrderState, next_state
from aegis.execution.orders import OrderEventKind
from tests.unit.backtesting.hand_written import NAN, amendment, amendments, fill, fills, order, orders

TIMES = pd.date_range("2024-01-02 21:00", periods=12, freq="D", tz="UTC")


def log(order_rows: np.ndarray, fill_rows: np.ndarray | None = None, changes: np.ndarray | None = None) -> pd.DataFrame:
    return order_events(
        order_rows,
        fills() if fill_rows is None else fill_rows,
        amendments() if changes is None else changes,
        symbols=("AAA", "BBB"),
        step_times_utc=TIMES,
    )


def words(frame: pd.DataFrame, number: int = 0) -> list[tuple[int, str, str]]:
    rows = frame[frame["order"] == number]
    return list(zip(rows["step"].tolist(), rows["kind"].tolist(), rows["reason"].tolist(), strict=True))


def is_legal(frame: pd.DataFrame, number: int) -> OrderState:
    """Walk the transition table from 'submitted'; an illegal step raises."""
    state = OrderState.SUBMITTED
    for kind in frame.loc[frame["order"] == number, "kind"]:
        state = next_state(state, OrderEventKind(kind), client_order_id=str(number))
    return state


def test_partial_fills_lead_to_the_last_one() -> None:
    rows = orders(order(10, State.FILLED, submitted=1, closed=3, filled=10, fills=2, symbol=1))
    found = log(rows, fills(fill(1, 2, 4, 9.5, number=1), fill(1, 3, 6, 9.75, number=2)))
    assert words(found) == [(1, "accepted", ""), (2, "partially filled", ""), (3, "filled", "")]
    assert found["at_utc"].tolist() == [TIMES[1], TIMES[2], TIMES[3]]
    assert found["symbol"].unique().tolist() == ["BBB"]
    assert found["fill_number"].tolist() == [0, 1, 2]
    assert found["quantity_shares"].tolist()[1:] == [4.0, 6.0]
    assert found["price_usd"].tolist()[1:] == [9.5, 9.75]
    assert is_legal(found, 0) is OrderState.FILLED


def test_an_order_refused_on_arrival_was_never_accepted() -> None:
    found = log(orders(order(10, State.REJECTED, submitted=4, closed=4, reason=Reason.TICK_SIZE)))
    assert words(found) == [(4, "rejected", "tick size")]
    assert is_legal(found, 0) is OrderState.REJECTED


def test_an_order_that_cannot_be_paid_when_it_would_fill_was_accepted_before() -> None:
    found = log(orders(order(10, State.REJECTED, submitted=4, closed=5, reason=Reason.BUYING_POWER)))
    assert words(found) == [(4, "accepted", ""), (5, "rejected", "buying power")]
    assert is_legal(found, 0) is OrderState.REJECTED


def test_a_bracket_whose_stop_is_hit_in_the_bar_of_the_entry() -> None:
    # The entry (0) fills at step 1 and releases stop (1) and target (2); the stop triggers, fills and ends the target.
    found = log(
        orders(
            order(10, State.FILLED, closed=1, filled=10, fills=1),
            order(-10, State.FILLED, closed=1, filled=-10, fills=1, parent=0),
            order(0, State.CANCELLED, closed=1, parent=0, reason=Reason.SIBLING_FILLED),
        ),
        fills(fill(0, 1, 10, 50.0, order=0), fill(0, 1, -10, 48.0, order=1)),
        amendments(
            amendment(1, 1, Amendment.RELEASED, -10, stop=48.0),
            amendment(2, 1, Amendment.RELEASED, -10, limit=55.0),
            amendment(1, 1, Amendment.TRIGGERED, -10, stop=48.0),
        ),
    )
    assert words(found, 1) == [
        (0, "held", ""),
        (1, "released", "entry filled"),
        (1, "triggered", "stop reached"),
        (1, "filled", ""),
    ]
    assert words(found, 2) == [(0, "held", ""), (1, "released", "entry filled"), (1, "cancelled", "sibling filled")]
    terms = found[(found["order"] == 2) & (found["kind"] == "released")].iloc[0]
    assert (terms["quantity_shares"], terms["limit_price_usd"]) == (-10.0, 55.0)
    assert np.isnan(terms["price_usd"])
    assert [is_legal(found, number) for number in range(3)] == [
        OrderState.FILLED,
        OrderState.FILLED,
        OrderState.CANCELLED,
    ]


def test_a_session_opening_comes_before_the_fill_and_a_strategy_after_it() -> None:
    # Step 2: a split rescales the order, it fills in part, and at the close the strategy replaces it.
    found = log(
        orders(order(30, State.CANCELLED, closed=2, filled=8, fills=1, reason=Reason.BY_STRATEGY)),
        fills(fill(0, 2, 8, 5.0)),
        amendments(
            amendment(0, 2, Amendment.RESCALED, 20, limit=5.0), amendment(0, 2, Amendment.REPLACED, 30, limit=5.5)
        ),
    )
    assert words(found) == [
        (0, "accepted", ""),
        (2, "rescaled", "split"),
        (2, "partially filled", ""),
        (2, "replaced", "replaced on request"),
        (2, "cancelled", "cancelled on request"),
    ]
    assert is_legal(found, 0) is OrderState.CANCELLED


def test_a_reduction_by_a_sibling_precedes_the_fill_that_completes_what_is_left() -> None:
    found = log(
        orders(order(-6, State.FILLED, closed=3, filled=-6, fills=1)),
        fills(fill(0, 3, -6, 5.0)),
        amendments(amendment(0, 3, Amendment.REDUCED, -6)),
    )
    assert words(found) == [(0, "accepted", ""), (3, "reduced", "sibling filled"), (3, "filled", "")]
    assert is_legal(found, 0) is OrderState.FILLED


def test_an_open_order_has_no_last_event_and_an_expired_one_says_why() -> None:
    found = log(
        orders(order(5, State.WORKING), order(5, State.EXPIRED, submitted=1, closed=6, reason=Reason.END_OF_SESSION))
    )
    assert words(found, 0) == [(0, "accepted", "")]
    assert words(found, 1) == [(1, "accepted", ""), (6, "expired", "end of session")]


def test_events_are_in_the_order_of_time() -> None:
    found = log(
        orders(
            order(5, State.EXPIRED, submitted=0, closed=6, reason=Reason.END_OF_LIFE),
            order(5, State.CANCELLED, submitted=1, closed=2, reason=Reason.BY_STRATEGY),
        )
    )
    assert found["step"].is_monotonic_increasing
    assert found["order"].tolist() == [0, 1, 1, 0]


def test_no_orders_make_no_events() -> None:
    assert log(orders()).empty


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.NONE])
def test_every_reason_of_the_kernel_is_said_in_a_word_of_orders(reason: Reason) -> None:
    found = log(orders(order(1, State.CANCELLED, closed=1, reason=reason)))
    assert OrderReason(found["reason"].iloc[-1]) == REASON_WORDS[reason]


@pytest.mark.parametrize("kind", list(Amendment))
def test_every_amendment_of_the_kernel_may_meet_a_working_order(kind: Amendment) -> None:
    found = log(orders(order(9, State.WORKING, limit=NAN)), None, amendments(amendment(0, 1, kind, 9)))
    assert is_legal(found, 0) is OrderState.ACCEPTED
