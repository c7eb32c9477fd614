from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState, DividendReceivable, Position
from aegis.execution.order_records import (
    canonical_json,
    instant_from_text,
    instant_text,
    order_from_record,
    order_record,
)
from aegis.execution.order_states import OrderState, OrderStatus


def test_equal_values_give_equal_text_whatever_the_order_of_keys():
    assert canonical_json({"b": 0.1, "a": [1, None]}) == canonical_json({"a": [1, None], "b": 0.1})
    assert canonical_json({"b": 0.1, "a": [1, None]}) == '{"a":[1,null],"b":0.1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_json_cannot_hold_exactly_is_refused(value):
    with pytest.raises(ExecutionError, match="cannot be recorded"):
        canonical_json({"x": value})


def test_an_instant_is_written_in_utc_with_fixed_width():
    eastern = timezone(timedelta(hours=-4))
    assert instant_text(datetime(2014, 6, 9, 16, tzinfo=eastern)) == "2014-06-09T20:00:00.000000Z"
    assert instant_from_text("2014-06-09T20:00:00.000001Z") == datetime(2014, 6, 9, 20, 0, 0, 1, tzinfo=UTC)


def test_an_instant_without_a_time_zone_is_refused():
    with pytest.raises(ExecutionError, match="no time zone"):
        instant_text(datetime(2014, 6, 9, 20))  # noqa: DTZ001 - the naive instant is the case


def test_an_order_survives_json_to_the_bit(order_of):
    order = order_of(arrival_price_usd=0.1 + 0.2, target_weight=1 / 3, quantity_shares=-7.0)
    assert order_from_record(json.loads(canonical_json(order_record(order)))) == order


def test_an_account_survives_json_to_the_bit(order_of):
    state = AccountState(
        account="simulated",
        session=date(2014, 6, 5),
        cash_usd=0.1 + 0.2,
        interest_usd=1e-300,
        positions=(Position("ABC", "ABCD", -3.0, 1 / 3, 2 / 3, date(2014, 6, 4)),),
        receivables=(DividendReceivable(date(2014, 6, 20), "ABC", -1 / 7),),
        open_orders=(OrderStatus(order_of(), OrderState.ACCEPTED),),
    )
    text = canonical_json(state.to_record())
    restored = AccountState.from_record(json.loads(text))
    assert restored == state
    assert canonical_json(restored.to_record()) == text


def test_equity_is_cash_receivables_and_positions_at_their_marks():
    state = AccountState(
        account="a",
        session=date(2014, 6, 5),
        cash_usd=1000.0,
        positions=(
            Position("A", "A", 10.0, 4.0, 5.0, date(2014, 6, 5)),
            Position("B", "B", -2.0, 100.0, 90.0, date(2014, 6, 5)),
        ),
        receivables=(DividendReceivable(date(2014, 6, 20), "A", 7.5),),
    )
    assert state.positions_value_usd == 50.0 - 180.0
    assert state.equity_usd == 1000.0 + 7.5 - 130.0
    assert [p.unrealised_pnl_usd for p in state.positions] == [10.0, 20.0]
    assert (state.quantity_shares("B"), state.quantity_shares("C")) == (-2.0, 0.0)
