"""A process that ingests sessions into a lake, started to be killed; imports once and forks for each run.

Reads one run a line on standard input, ``<most bytes in a file, 0 for any> <sessions, 0 for all> <folder>``, and
answers with the process to kill, each session that it was told is committed, and how it ended. Imports nothing of the
tests: it is a program of its own.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from datetime import date
from pathlib import Path

import pandas as pd

from aegis.errors import AegisError
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import Column, TableSchema

SYMBOLS = tuple(f"S{number:03d}" for number in range(60))
SESSIONS = tuple(day.date() for day in pd.bdate_range("2000-01-03", periods=4_000))
CLOSES = TableSchema(
    "trial",
    "closes",
    "Closes of sixty symbols: more rows than the catalog itself takes.",
    ("session", "symbol"),
    (
        Column("session", "session", "Session."),
        Column("symbol", "text", "Symbol."),
        Column("close_usd", "float", "Close.", "USD"),
    ),
)
COUNTS = TableSchema(
    "trial",
    "counts",
    "Symbols of a session: one row, which the catalog itself takes.",
    ("session",),
    (Column("session", "session", "Session."), Column("symbols", "integer", "How many.", "1")),
)


def ingest(lake: Lake, sessions: tuple[date, ...]) -> None:
    """Write each session that the lake lacks, both tables in one commit."""
    lake.create_tables([CLOSES, COUNTS])
    lake.checksums.record()
    held = lake.last_session(CLOSES)
    for session in (day for day in sessions if held is None or day > held):
        rows = [
            Replacement(CLOSES, _closes(session), session, session),
            Replacement(COUNTS, pd.DataFrame({"session": [session], "symbols": [len(SYMBOLS)]}), session, session),
        ]
        lake.write(rows, CommitMessage("trial/closes, trial/counts", f"{session}..{session}", "run", "v1"))
        print(session, flush=True)


def _closes(session: date) -> pd.DataFrame:
    closes = [float(session.toordinal() % 97 + number) for number in range(len(SYMBOLS))]
    return pd.DataFrame({"session": session, "symbol": SYMBOLS, "close_usd": closes})


def run(folder: Path, limit_bytes: int, count: int) -> None:
    """Ingest until killed, or `count` sessions from the beginning, and say how it ended."""
    if limit_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    try:
        with connect(LakeLocation(folder)) as connection:
            ingest(Lake(connection), SESSIONS[:count] if count else SESSIONS)
    except AegisError as error:
        print(f"refused {type(error).__name__} {error}".replace("\n", " "), flush=True)
    else:
        print("complete", flush=True)


def main() -> None:
    """Fork a run for each line."""
    for line in sys.stdin:
        limit, count, folder = line.rstrip("\n").split(" ", 2)
        child = os.fork()
        if child == 0:
            try:
                print(f"pid {os.getpid()}", flush=True)
                run(Path(folder), int(limit), int(count))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
