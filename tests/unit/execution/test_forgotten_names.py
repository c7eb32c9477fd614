"""Names that a process has forgotten, in memory of a fixed size."""

from __future__ import annotations

import sys
from hashlib import sha256

from aegis.execution.forgotten_names import ForgottenNames


def _names(begin: int, end: int) -> list[str]:
    return [sha256(str(number).encode()).hexdigest()[:32] for number in range(begin, end)]


def test_what_was_added_is_never_denied_and_few_strangers_are_asked_about() -> None:
    """The share expected of strangers is (1 - exp(-3 · 20,000 / 2**20)) ** 3 = 0.02 %: of 20,000 it is about 4."""
    names = ForgottenNames()
    assert not any(names.may_have(name) for name in _names(0, 10))
    for name in _names(0, 20_000):
        names.add(name)
    assert all(names.may_have(name) for name in _names(0, 20_000))
    assert sum(names.may_have(name) for name in _names(20_000, 40_000)) < 25


def test_it_does_not_grow() -> None:
    few, many = ForgottenNames(), ForgottenNames()
    for names, number in ((few, 10), (many, 10_000)):
        for name in _names(0, number):
            names.add(name)
    assert sys.getsizeof(few._bits) == sys.getsizeof(many._bits) == sys.getsizeof(bytearray(131_072))
