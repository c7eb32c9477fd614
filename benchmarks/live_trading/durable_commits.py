"""What is timed where a disk is measured: a raw durable write, and rows that are committed to a journal again.

Belongs here: the two steps. When and how often they are taken is :mod:`benchmarks.live_trading.latency` and
:mod:`benchmarks.live_trading.group_commit`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from aegis.execution.journal import Journal, NewEvent
from aegis.execution.journal_chain import JournalRow


def write_and_sync(file: int, block: bytes) -> None:
    """Write bytes at the end of an open file and wait for the disk."""
    os.write(file, block)
    os.fsync(file)


def committed(
    journal: Journal, rows: Sequence[JournalRow], *, given: str, client_order_id: str | None = None
) -> Callable[[], None]:
    """Return what appends rows to a journal in one commit.

    Parameters
    ----------
    journal : Journal
        Another one than that of the rows.
    rows : sequence of JournalRow
        Their contents.
    given : str
        Begins their new keys, so that they may be appended again.
    client_order_id : str, optional
        What the rows of an order are about instead of it.
    """
    events = [
        NewEvent(
            kind=row.kind,
            session=row.session_date,
            at_utc=row.instant_utc,
            payload_json=row.payload_json,
            decision_id=row.decision_id,
            client_order_id=row.client_order_id and (client_order_id or row.client_order_id),
            idempotency_key=f"{given}:{row.idempotency_key}",
        )
        for row in rows
    ]

    def commit() -> None:
        with journal.batch() as batch:
            for event in events:
                batch.append(event)

    return commit
