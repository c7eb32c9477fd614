"""Rows that a write was computed from, compared again when it is made.

Belongs here: the comparison and the refusal. Writers that only replace rows by new ones need none; one that reads rows,
changes some and writes all of them back would undo what another wrote between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from aegis.errors import LakeError
from aegis.lake.schema import TableSchema

if TYPE_CHECKING:
    from aegis.lake.lake import Lake


@dataclass(frozen=True)
class UnchangedRows:
    """Rows as a writer read them.

    Parameters
    ----------
    table : TableSchema
    snapshot_id : int
        Where they were read.
    first, last : date, optional
        Range of sessions, inclusive; the whole table without.
    """

    table: TableSchema
    snapshot_id: int
    first: date | None = None
    last: date | None = None

    def require(self, lake: Lake) -> None:
        """Refuse a write when the rows are others by now; to be asked within its transaction.

        Raises
        ------
        LakeError
            They are.
        """
        was = lake.read(self.table, first=self.first, last=self.last, snapshot_id=self.snapshot_id)
        now = lake.read(self.table, first=self.first, last=self.last)
        if self.table.is_sessioned:
            is_same = self.table.content_hashes(was) == self.table.content_hashes(now)
        else:
            is_same = was.equals(now)
        if not is_same:
            sessions = f" {self.first}..{self.last}" if self.first else ""
            raise LakeError(
                f"{self.table.key}{sessions} was written by somebody else after it was read at snapshot "
                f"{self.snapshot_id}; nothing was written: look at `aegis data versions {self.table.key}` and run it "
                "again"
            )
