"""Reading ahead, without files: what is prepared when, and what happens to errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from aegis.backtesting.bars import Bars
from aegis.backtesting.streaming import BarSource, read_ahead
from aegis.errors import MalformedData

PRICES = np.full(6, 10.0)
DAY = 86_400_000_000_000
SIX_DAYS = Bars.from_arrays(PRICES, PRICES, PRICES, PRICES, PRICES, closes_at=DAY * np.arange(1, 7), symbols=["AAA"])


def _closes(source: BarSource, sessions: int) -> list[list[int]]:
    return [(chunk.closes_at // DAY).tolist() for chunk in source.chunks(sessions)]


def test_bars_in_memory_are_a_source_of_chunks() -> None:
    assert _closes(SIX_DAYS, 4) == [[1, 2, 3, 4], [5, 6]]


def test_reading_ahead_changes_neither_chunks_nor_their_order() -> None:
    chunks = list(SIX_DAYS.chunks(1))
    assert all(ahead is chunk for ahead, chunk in zip(read_ahead(iter(chunks)), chunks, strict=True))
    assert list(read_ahead(iter(()))) == []


def test_one_chunk_and_no_more_is_prepared_ahead() -> None:
    made: list[int] = []
    prepared = threading.Semaphore(0)

    def source() -> Iterator[Bars]:
        for number, chunk in enumerate(SIX_DAYS.chunks(1)):
            made.append(number)
            prepared.release()
            yield chunk

    reader = read_ahead(source())
    for used in range(5):
        next(reader)
        assert prepared.acquire(timeout=30)
        if used == 0:
            assert prepared.acquire(timeout=30)
        assert made == list(range(used + 2)), "the chunk in use, and one more"
    reader.close()


def test_an_error_of_the_source_comes_where_its_chunk_would_have() -> None:
    def source() -> Iterator[Bars]:
        yield SIX_DAYS
        raise MalformedData("AAA: the file ends")

    reader = read_ahead(source())
    assert next(reader) is SIX_DAYS
    with pytest.raises(MalformedData, match="the file ends"):
        next(reader)


def test_chunks_are_made_outside_the_thread_that_uses_them() -> None:
    makers: list[int] = []

    def source() -> Iterator[Bars]:
        makers.append(threading.get_ident())
        yield SIX_DAYS

    assert len(list(read_ahead(source()))) == 1
    assert makers[0] != threading.get_ident()
