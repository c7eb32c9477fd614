"""What the quality gate said of a session.

Belongs here: reading its verdicts back. They are made in ``aegis.market_data.quality_gate``.
"""

from __future__ import annotations

from datetime import date

from aegis.lake import tables
from aegis.lake.lake import Lake

_BLOCK = "block"


def blocking_checks(store: Lake, first: date, last: date) -> dict[date, list[str]]:
    """Return the sessions in ``[first, last]`` that the gate blocked, each with the names of the checks that did it."""
    verdicts = store.read(tables.CHECK_RESULTS, first=first, last=last)
    refused = verdicts[verdicts["outcome"] == _BLOCK]
    return {stamp.date(): sorted(rows["check"]) for stamp, rows in refused.groupby("session")}
