"""An asset reads as far back as its values depend: a session alone equals the same session within a range.

Two sessions are blocked by planted faults, exactly at the far end of what the membership of a later session looks at.
An asset that reads less than the domain's own look-back sees no bar there and drops every name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis.lake import tables
from tests.integration.conftest import FIRST, SESSIONS, SETTINGS, Chain, settings

HISTORY = 40
BLOCKED = (40, 41)
DECIDED = BLOCKED[0] + HISTORY
"""40 and 39 sessions after the blocked ones: its window begins at the second, and needs a bar before the first."""
COMPARED = (*tables.RESEARCH_TABLES, tables.DAILY_BARS, tables.ADJUSTMENT_FACTORS, tables.UNIVERSE, *tables.BOOK_TABLES)
MakeChain = Callable[..., Chain]


@pytest.mark.long
def test_a_session_alone_sees_what_a_range_sees_beyond_blocked_sessions(make_chain: MakeChain) -> None:
    whole, alone = make_chain(**_faulty()), make_chain(**_faulty())
    last = SESSIONS[DECIDED + 1]
    whole.fetch_and_trade(FIRST, last)
    alone.fetch_and_trade(FIRST, SESSIONS[DECIDED - 1])
    for session in SESSIONS[DECIDED : DECIDED + 2]:
        alone.fetch_and_trade(session, session)

    bars = set(whole.read(tables.DAILY_BARS, last=last)["session"].dt.date)
    assert set(SESSIONS[: DECIDED + 2]) - bars == {SESSIONS[number] for number in BLOCKED}
    members = alone.read(tables.UNIVERSE, first=SESSIONS[DECIDED]).groupby("session")["is_member"].mean()
    assert (members > 0.9).all()
    for table in COMPARED:
        assert alone.hashes(table) == whole.hashes(table), table.key


def _faulty() -> dict[str, Any]:
    faults = [{"symbol": "TVZQ", "session": SESSIONS[number], "kind": "duplicate_row"} for number in BLOCKED]
    return {
        **settings(last_session=SESSIONS[DECIDED + 1]),
        "universe": {**SETTINGS["universe"], "min_history_sessions": HISTORY},
        "market_data": {"faults": faults},
    }
