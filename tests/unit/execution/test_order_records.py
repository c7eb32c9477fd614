from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState, DividendReceivable, Position
from aegis.execution.decisions import CommittedDecision, Decision
from aegis.execution.journal_chain import GENESIS_HASH, event_hash
from aegis.execution.journal_entries import commitment_entries, order_entry
from aegis.execution.order_records import (
    canonical_json,
    event_from_payload,
    event_payload,
    fill_from_record,
    fill_record,
    instant_from_text,
    instant_text,
    order_from_record,
    order_record,
)
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Fill, OrderEvent, OrderEventKind

# Written by the vocabulary as it was when orders had neither types nor parents.
STORED_ORDER = (
    '{"account":"simulated","algorithm":"vwap","arrival_price_usd":93.7,"client_order_id":"order-ABC",'
    '"decision_id":"simulated/main/2014-06-05/rebalance/1","execution_session":"2014-06-06","is_reducing":false,'
    '"quantity_shares":-120.0,"reason":"rebalance","session":"2014-06-05","symbol":"ABC",'
    '"target_weight":0.3333333333333333,"ticker":"ABC","time_in_force":"DAY"}'
)
STORED_FILLED = (
    '{"fill":{"account":"simulated","arrival_price_usd":93.7,"client_order_id":"order-ABC","commission_usd":1.1238,'
    '"decision_id":"simulated/main/2014-06-05/rebalance/1","fill_number":1,"filled_at_utc":"2014-06-06T20:00:00.000000Z",'
    '"price_usd":93.65,"quantity_shares":-120.0,"reference_price_usd":93.7,"session":"2014-06-06","slippage_usd":6.0,'
    '"symbol":"ABC","ticker":"ABC"},"reason":""}'
)
STORED_RESCALED = f'{{"order":{STORED_ORDER},"reason":"split 2: -60 shares become -120"}}'
STORED_ACCOUNT = (
    '{"account":"simulated","cash_usd":1.0,"interest_usd":0.0,"open_orders":[{"filled_shares":0.0,"fills":0,"order":'
    + STORED_ORDER
    + ',"state":"accepted"}],"positions":[],"receivables":[],"session":"2014-06-05"}'
)
FILLED_HASH = "fd7e7fdc6aed6a05ce9ac87acfeb4e57aef3668941199585661840e831dc5baf"
RESCALED_HASH = "1fd4a7efb76d938df7c7d2d367c46c4f3d2512b1d41afe6b9e22aea80e50e77d"
FRIDAY = date(2014, 6, 6)
AT_OPEN = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)


def _fill(**terms) -> Fill:
    defaults = {
        "client_order_id": "order-ABC",
        "decision_id": "simulated/main/2014-06-05/rebalance/1",
        "account": "simulated",
        "fill_number": 1,
        "session": FRIDAY,
        "symbol": "ABC",
        "ticker": "ABC",
        "quantity_shares": -120.0,
        "price_usd": 93.65,
        "reference_price_usd": 93.7,
        "commission_usd": 1.1238,
        "slippage_usd": 6.0,
        "arrival_price_usd": 93.7,
        "filled_at_utc": datetime(2014, 6, 6, 20, tzinfo=UTC),
    }
    return Fill(**{**defaults, **terms})


def _today(order_of):
    return order_of(quantity_shares=-120.0, target_weight=1 / 3, arrival_price_usd=93.7)


def test_an_order_that_uses_nothing_new_is_written_and_read_as_ever(order_of):
    assert canonical_json(order_record(_today(order_of))) == STORED_ORDER
    assert order_from_record(json.loads(STORED_ORDER)) == _today(order_of)


@pytest.mark.parametrize(
    ("kind", "stored", "key", "digest"),
    [
        (OrderEventKind.FILLED, STORED_FILLED, "order-ABC:filled:1", FILLED_HASH),
        (OrderEventKind.RESCALED, STORED_RESCALED, "order-ABC:rescaled:0", RESCALED_HASH),
    ],
)
def test_a_journal_written_before_still_verifies_and_is_written_the_same_again(order_of, kind, stored, key, digest):
    at = (
        datetime(2014, 6, 6, 20, tzinfo=UTC)
        if kind is OrderEventKind.FILLED
        else datetime(2014, 6, 6, 13, 30, tzinfo=UTC)
    )
    about = {"client_order_id": "order-ABC", "session": FRIDAY, "at_utc": at}
    event = event_from_payload(json.loads(stored), kind=str(kind), **about)
    if kind is OrderEventKind.FILLED:
        assert event == OrderEvent(kind=kind, fill=_fill(), **about)
    else:
        assert event.order == _today(order_of)
    row = order_entry(event, decision_id="simulated/main/2014-06-05/rebalance/1")
    assert (row.idempotency_key, row.payload_json) == (key, stored)
    contents = ("simulated", 1, str(kind), "2014-06-06", row.decision_id, "order-ABC", instant_text(at), key, stored)
    assert event_hash(GENESIS_HASH, contents) == digest


def test_an_account_written_before_is_read_and_written_the_same_again(order_of):
    state = AccountState.from_record(json.loads(STORED_ACCOUNT))
    assert state.open_orders == (OrderStatus(_today(order_of), OrderState.ACCEPTED),)
    assert canonical_json(state.to_record()) == STORED_ACCOUNT


@pytest.mark.parametrize(
    ("terms", "written"),
    [
        ({"order_type": "limit", "limit_price_usd": 9.5}, {"order_type": "limit", "limit_price_usd": 9.5}),
        (
            {"order_type": "trailing_stop", "trail_fraction": 0.1, "parent_id": "p", "oco_group": "g"},
            {"order_type": "trailing_stop", "trail_fraction": 0.1, "parent_id": "p", "oco_group": "g"},
        ),
        (
            {"time_in_force": "GTD", "expires_at_utc": datetime(2014, 7, 1, 16, tzinfo=timezone(timedelta(hours=-4)))},
            {"time_in_force": "GTD", "expires_at_utc": "2014-07-01T20:00:00.000000Z"},
        ),
        ({"quantity_shares": 0.5, "is_fractional": True}, {"quantity_shares": 0.5, "is_fractional": True}),
    ],
)
def test_terms_are_written_where_they_are_used_and_survive_json(order_of, terms, written):
    order = order_of(algorithm="market", **terms)
    record = order_record(order)
    assert record == {**order_record(order_of(algorithm="market")), **written}
    assert order_from_record(json.loads(canonical_json(record))) == order


def test_an_execution_id_is_written_where_the_venue_gave_one():
    assert "execution_id" not in fill_record(_fill())
    named = _fill(execution_id="0000e0d5.5391.01.01")
    assert fill_record(named)["execution_id"] == "0000e0d5.5391.01.01"
    assert fill_from_record(json.loads(canonical_json(fill_record(named)))) == named


def test_a_numbered_change_survives_json_and_has_a_key_of_its_own(order_of):
    about = {"client_order_id": "order-ABC", "session": FRIDAY, "at_utc": AT_OPEN}
    event = OrderEvent(kind=OrderEventKind.RESCALED, order=order_of(), revision=2, split_ratio=0.5, **about)
    payload = json.loads(canonical_json(event_payload(event)))
    assert (payload["revision"], payload["split_ratio"]) == (2, 0.5)
    assert event_from_payload(payload, kind="rescaled", **about) == event
    assert order_entry(event, decision_id="d").idempotency_key == "order-ABC:rescaled:2"


@pytest.mark.parametrize(
    "told",
    [{}, {"reason": 'by "request" 5 % ü'}, {"revision": 1}, {"split_ratio": 0.5}, {"fill": _fill()}, {"order": None}],
    ids=lambda told: next(iter(told), "nothing"),
)
def test_the_text_of_an_event_is_that_of_its_payload(told, order_of):
    about = {"client_order_id": "order-ABC", "session": FRIDAY, "at_utc": AT_OPEN}
    terms = {"order": order_of()} if "order" in told else {}
    event = OrderEvent(kind=OrderEventKind.RESCALED, **{**about, **told, **terms})
    written = order_entry(event, decision_id="d").payload_json
    assert written == json.dumps(event_payload(event), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("made_by", [(1, "1.2", "abc"), (1, "1.3", "abc"), (8, "1.2", "abc"), (1.0, "1.2", "abc")])
def test_a_decision_that_no_gate_judged_says_what_made_it(made_by, order_of):
    snapshot, version, config = made_by
    order = order_of()
    told = {"gate_rows": (), "input_snapshot_id": snapshot, "code_version": version, "config_hash": config}
    about = {"decision_id": order.decision_id, "account": order.account, "session": order.session}
    decision = Decision(**about, orders=(order,), refusals={}, **told)
    entry = next(commitment_entries(decision, CommittedDecision(orders=(order,), refusals={}, **told), AT_OPEN))
    assert entry.payload_json == json.dumps({**told, "gate_rows": []}, sort_keys=True, separators=(",", ":"))


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
        open_orders=(
            OrderStatus(order_of(), OrderState.ACCEPTED),
            OrderStatus(
                order_of(algorithm="market", order_type="stop", stop_price_usd=9.1, time_in_force="GTC"),
                OrderState.PARTIALLY_FILLED,
                30.0,
                2,
                is_triggered=True,
                is_cancel_requested=True,
                is_replace_requested=True,
            ),
        ),
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
