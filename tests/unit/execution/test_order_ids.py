from __future__ import annotations

import inspect
import subprocess
from datetime import date

import pytest

from aegis.errors import ExecutionError
from aegis.execution.order_ids import client_order_id, decision_id, replaced_order, replacement_id


def test_a_decision_id_reads_as_account_book_session_kind_and_number():
    name = decision_id("simulated", "main", session=date(2014, 6, 9), kind="rebalance", number=1)
    assert name == "simulated/main/2014-06-09/rebalance/1"


@pytest.mark.parametrize(
    "parts",
    [
        {"account": "a/b", "book": "main", "kind": "rebalance", "number": 1},
        {"account": "a", "book": "", "kind": "rebalance", "number": 1},
        {"account": "a", "book": "main", "kind": "x/y", "number": 1},
        {"account": "a", "book": "main", "kind": "rebalance", "number": 0},
    ],
)
def test_parts_that_would_make_two_decisions_alike_are_refused(parts):
    with pytest.raises(ExecutionError):
        decision_id(parts.pop("account"), parts.pop("book"), session=date(2014, 6, 9), **parts)


def test_an_order_id_is_the_sha256_of_its_parts_as_the_shell_computes_it():
    text = '["simulated","simulated/main/2014-06-09/rebalance/1","AAPL",0,0,0]'
    shell = subprocess.run(["sha256sum"], input=text.encode(), capture_output=True, check=True).stdout.decode()
    found = client_order_id("simulated", "simulated/main/2014-06-09/rebalance/1", symbol="AAPL")
    assert found == shell[:32]


def test_side_and_quantity_cannot_be_part_of_an_order_id():
    assert set(inspect.signature(client_order_id).parameters) == {
        "account",
        "decision",
        "symbol",
        "leg",
        "child",
        "revision",
    }


def test_each_part_of_an_order_id_makes_another_id():
    ids = {
        client_order_id("a", "d", symbol="S"),
        client_order_id("b", "d", symbol="S"),
        client_order_id("a", "e", symbol="S"),
        client_order_id("a", "d", symbol="T"),
        client_order_id("a", "d", symbol="S", leg=1),
        client_order_id("a", "d", symbol="S", child=1),
        client_order_id("a", "d", symbol="S", revision=1),
    }
    assert len(ids) == 7


def test_a_replacement_is_named_after_its_order_and_can_be_read_back():
    assert replacement_id("4f2a", 1) == "4f2a.r1"
    assert replaced_order("4f2a.r12") == ("4f2a", 12)


@pytest.mark.parametrize("name", ["4f2a", "order-ABC", "4f2a.r0", "4f2a.r", ".r1", "4f2a.r1x"])
def test_a_name_that_is_no_replacement_stands_for_itself(name):
    assert replaced_order(name) == (name, 0)


def test_revisions_start_at_one():
    with pytest.raises(ExecutionError, match="revisions start at 1"):
        replacement_id("4f2a", 0)
