from __future__ import annotations

from typing import get_args

import pytest

from aegis.backtesting.kernel import codes
from aegis.backtesting.kernel.vocabulary import (
    AMENDMENT_EVENTS,
    AMENDMENT_REASONS,
    BEGINNINGS,
    END_EVENTS,
    ORDER_TYPE_WORDS,
    REASONS,
    STATES,
    TIME_IN_FORCE_WORDS,
    order_type_code,
    time_in_force_code,
)
from aegis.execution.order_states import OrderState, next_state
from aegis.execution.order_terms import OrderType, TimeInForce
from aegis.execution.orders import OrderEventKind

S = codes.State

# What the kernel can do to an order in each of its states, by its conventions: a child waits and is released, and grows
# with its parent; a split, a strategy or a sibling changes what is open; a stop triggers before it fills; fills, and
# ends. What is partly filled is never rejected. In words: integers of different codes are equal.
CHANGES = ("RELEASED", "RESCALED", "REPLACED", "REDUCED")
MOVES = {
    S.HELD: {
        "RELEASED": S.WORKING,
        **dict.fromkeys(("RESCALED", "REPLACED", "REDUCED"), S.HELD),
        "CANCELLED": S.CANCELLED,
        "EXPIRED": S.EXPIRED,
        "REJECTED": S.REJECTED,
    },
    S.WORKING: {
        **dict.fromkeys((*CHANGES, "TRIGGERED"), S.WORKING),
        "part": S.PARTIALLY_FILLED,
        "rest": S.FILLED,
        "CANCELLED": S.CANCELLED,
        "EXPIRED": S.EXPIRED,
        "REJECTED": S.REJECTED,
    },
    S.PARTIALLY_FILLED: {
        **dict.fromkeys((*CHANGES, "part"), S.PARTIALLY_FILLED),
        "rest": S.FILLED,
        "CANCELLED": S.CANCELLED,
        "EXPIRED": S.EXPIRED,
    },
    S.FILLED: {},
    S.CANCELLED: {},
    S.EXPIRED: {},
    S.REJECTED: {},
}
EVENTS = {
    "part": OrderEventKind.PARTIALLY_FILLED,
    "rest": OrderEventKind.FILLED,
    **{code.name: event for code, event in AMENDMENT_EVENTS.items()},
    **{code.name: event for code, event in END_EVENTS.items()},
}


def test_every_code_has_a_word():
    assert set(ORDER_TYPE_WORDS) == set(codes.OrderType)
    assert set(TIME_IN_FORCE_WORDS) == set(codes.TimeInForce)
    assert set(STATES) == set(MOVES) == set(codes.State)
    assert set(REASONS) == set(codes.Reason) - {codes.Reason.NONE}
    assert set(AMENDMENT_EVENTS) == set(AMENDMENT_REASONS) == set(codes.Amendment)
    assert set(END_EVENTS) | {S.HELD, S.WORKING, S.PARTIALLY_FILLED, S.FILLED} == set(codes.State)


def test_no_two_codes_share_a_word():
    for table in (ORDER_TYPE_WORDS, TIME_IN_FORCE_WORDS, STATES, REASONS, AMENDMENT_EVENTS, END_EVENTS):
        assert len(set(table.values())) == len(table)


def test_every_word_of_type_and_life_has_a_code():
    assert {words[1] for words in ORDER_TYPE_WORDS.values()} == set(get_args(OrderType))
    assert set(TIME_IN_FORCE_WORDS.values()) == set(get_args(TimeInForce))
    assert all(TIME_IN_FORCE_WORDS[time_in_force_code(word)] == word for word in get_args(TimeInForce))


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({}, codes.OrderType.BAR_AVERAGE),
        ({"algorithm": "market"}, codes.OrderType.MARKET),
        *(({"algorithm": name}, codes.OrderType.BAR_AVERAGE) for name in ("twap", "pov", "implementation_shortfall")),
        ({"algorithm": "twap", "order_type": "limit", "limit_price_usd": 9.0}, codes.OrderType.LIMIT),
        ({"algorithm": "market", "time_in_force": "OPG"}, codes.OrderType.MARKET_ON_OPEN),
        ({"algorithm": "market", "time_in_force": "CLS"}, codes.OrderType.MARKET_ON_CLOSE),
        ({"algorithm": "market", "order_type": "limit", "limit_price_usd": 9.0}, codes.OrderType.LIMIT),
        (
            {"algorithm": "market", "order_type": "limit", "limit_price_usd": 9.0, "time_in_force": "OPG"},
            codes.OrderType.LIMIT_ON_OPEN,
        ),
        (
            {"algorithm": "market", "order_type": "limit_on_close", "limit_price_usd": 9.0},
            codes.OrderType.LIMIT_ON_CLOSE,
        ),
        (
            {"algorithm": "market", "order_type": "trailing_stop", "trail_usd": 1.0, "time_in_force": "GTC"},
            codes.OrderType.TRAILING_STOP,
        ),
    ],
)
def test_an_order_has_the_code_of_its_algorithm_type_and_auction(order_of, terms, code):
    assert order_type_code(order_of(**terms)) is code


@pytest.mark.parametrize("first", list(BEGINNINGS))
def test_every_sequence_that_the_kernel_can_produce_is_legal(first):
    state = OrderState.APPROVED
    for event in BEGINNINGS[first]:
        state = next_state(state, event, client_order_id="x")
    assert state is STATES[first]
    seen, frontier = {first}, [first]
    while frontier:
        code = frontier.pop()
        for happening, after in MOVES[code].items():
            assert next_state(STATES[code], EVENTS[happening], client_order_id="x") is STATES[after]
            if after not in seen:
                seen.add(after)
                frontier.append(after)
    if first is S.HELD:
        assert seen == set(codes.State)
