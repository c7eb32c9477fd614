from __future__ import annotations

from datetime import date

import pytest

from aegis.execution.decisions import CommittedDecision, Decision, describe_conflict

LIMIT = {"algorithm": "market", "order_type": "limit", "limit_price_usd": 9.5}


def _conflict(before, now):
    about = {"gate_rows": (), "input_snapshot_id": 1, "code_version": "c", "config_hash": "h", "refusals": {}}
    committed = CommittedDecision(orders=(before,), **about)
    decision = Decision(
        decision_id=now.decision_id, account="simulated", session=date(2014, 6, 5), orders=(now,), **about
    )
    return describe_conflict(committed, decision)


def test_a_market_order_is_described_as_ever(order_of):
    found = _conflict(order_of(), order_of(quantity_shares=101.0))
    assert "committed +100 ABC vwap DAY for 2014-06-06 (approved), recomputed +101 ABC vwap DAY for" in found


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"limit_price_usd": 9.51}, "limit_price_usd 9.51"),
        ({"order_type": "limit_on_open"}, "order_type limit_on_open"),
        ({"parent_id": "entry"}, "parent_id entry"),
        ({"oco_group": "exits"}, "oco_group exits"),
        ({"time_in_force": "IOC"}, "IOC"),
        ({"quantity_shares": 100.25, "is_fractional": True}, "+100.25 ABC"),
    ],
)
def test_another_term_that_reaches_the_market_is_a_conflict(order_of, terms, said):
    assert said in _conflict(order_of(**LIMIT), order_of(**{**LIMIT, **terms}))


def test_the_last_digits_of_a_limit_price_are_not(order_of):
    assert 0.1 + 0.2 != 0.3
    before = order_of(**{**LIMIT, "limit_price_usd": 0.3})
    assert _conflict(before, order_of(**{**LIMIT, "limit_price_usd": 0.1 + 0.2})) is None
