"""The first expiry of a lake, in a process whose freed memory does not keep what it held.

DuckLake 1.5.5 reads freed memory where one transaction makes a table and gives up snapshots. What stands there is
chance, and mostly the old bytes; glibc overwrites them when ``MALLOC_PERTURB_`` is set, and then such a process dies.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import Lake
from aegis.lake.snapshot_log import EXPIRED

OVERWRITTEN = {"MALLOC_PERTURB_": "165"}
WRITTEN = 2
"""Writes before the mark, and as many after it: the first of those goes, and has the schemas of the newest."""

EXPIRING = """
import sys
from datetime import UTC, date, datetime
from pathlib import Path
import pandas as pd
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.marks import mark_snapshot
from aegis.lake.retention import expire, plan_expiry
from aegis.lake.schema import Column, TableSchema
from aegis.lake.versions import VersionHistory

CASH = TableSchema("trial", "cash", "", ("session",), (
    Column("session", "session", ""), Column("cash_usd", "float", "", "USD")))
LATER = datetime(2100, 1, 1, tzinfo=UTC)
monday = date(2014, 6, 9)
with connect(LakeLocation(Path(sys.argv[1]))) as connection:
    lake = Lake(connection)
    lake.create_tables([CASH])
    def write(usd):
        frame = pd.DataFrame({"session": [monday], "cash_usd": [usd]})
        lake.write([Replacement(CASH, frame, monday, monday)], CommitMessage("trial/cash", "", "run", "1"))
    for number in range(int(sys.argv[2])):
        write(float(number))
    mark_snapshot(lake, lake.snapshot_id(), "keep", reason="for the audit", person="a person", at_utc=LATER)
    for number in range(int(sys.argv[2])):
        write(100.0 + number)
    plan = plan_expiry(VersionHistory.of(lake), before=LATER, referenced={})
    print(len(plan.expiring), flush=True)
    expire(lake, plan, CommitMessage("expire", "", "run", "1", "by hand"), at_utc=LATER)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc overwrites freed memory on request")
def test_the_first_expiry_does_not_read_freed_memory(location: LakeLocation) -> None:
    program = [sys.executable, "-c", EXPIRING, location.folder, str(WRITTEN)]
    done = subprocess.run(
        program, env={**os.environ, **OVERWRITTEN}, capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stderr
    # Of the empty lake's snapshot, the table's, four writes and the mark, three stay: the marked one, the mark's and
    # the newest. With them can be read the one that made the record's table, and the one that filled it.
    assert int(done.stdout) == 4
    with connect(location) as connection:
        recorded = connection.execute(f"SELECT count(*) FROM {EXPIRED}").fetchall()  # noqa: S608 - a constant
        readable = Lake(connection).snapshots()["is_expired"].eq(False).sum()
    assert recorded == [(4,)]
    assert readable == 5
