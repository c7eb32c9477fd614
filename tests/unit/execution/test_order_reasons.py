from __future__ import annotations

import pytest

from aegis.execution.order_reasons import EXPLANATIONS, OrderReason, reason_of, reason_text


def test_every_reason_is_explained_to_a_person():
    assert set(EXPLANATIONS) == set(OrderReason)
    assert len(set(EXPLANATIONS.values())) == len(OrderReason)


@pytest.mark.parametrize("reason", list(OrderReason))
def test_a_reason_is_found_again_in_its_text(reason):
    assert reason_of(reason_text(reason)) is reason
    assert reason_of(reason_text(reason, "cash 10: cannot pay 11")) is reason


def test_a_reason_is_its_word_and_what_is_known_of_the_case():
    assert reason_text(OrderReason.BUYING_POWER) == "buying power: the account cannot carry it"
    assert reason_text(OrderReason.SPLIT, "2 for 1") == "split: 2 for 1"


@pytest.mark.parametrize("text", ["", "no such reason: at all", "order-ABC"])
def test_other_texts_have_no_reason_of_the_table(text):
    assert reason_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "buying power: cash after the session's sales does not cover it",
        "no volume: halted, or no trusted bar",
        "participation cap: the bar's volume was not enough",
        "cancelled on request",
        "wrong account: expected a, found b",
    ],
)
def test_reasons_that_stand_in_journals_already_are_words_of_the_table(text):
    assert reason_of(text) is not None
