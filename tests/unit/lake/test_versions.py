"""Which snapshot a time means, where the clocks of the writers do not agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aegis.errors import SnapshotNotFound
from aegis.lake.versions import Version, VersionHistory

TEN = datetime(2024, 5, 31, 10, tzinfo=UTC)
HOURS = (0.0, 1.0, 3.0, 2.0)
"""After TEN, by number: snapshot 2 was written by a machine whose clock is fast."""

HISTORY = VersionHistory(
    [
        Version(number, TEN + timedelta(hours=hours), "a writer", "", "", "", "", (), is_expired=False, kept_because="")
        for number, hours in enumerate(HOURS)
    ]
)


@pytest.mark.parametrize(
    ("asked", "number"),
    [("10:00", 0), ("10:59", 0), ("11:00", 1), ("11:59", 1), ("12:00", 3), ("12:30", 3), ("23:00", 3)],
)
def test_a_time_means_the_newest_snapshot_that_was_made_by_then(asked: str, number: int) -> None:
    assert HISTORY.find(f"2024-05-31T{asked}:00Z") == number


def test_a_time_before_all_of_them_is_refused_with_the_first() -> None:
    with pytest.raises(SnapshotNotFound, match=r"first snapshot is 0 of 2024-05-31T10:00:00Z"):
        HISTORY.find("2024-05-31T09:59:00Z")
