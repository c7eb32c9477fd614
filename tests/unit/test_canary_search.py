"""The search for secrets finds them wherever they could hide; otherwise finding nothing would say nothing."""

from __future__ import annotations

import base64
import gzip
import sqlite3
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.canary_search import Canaries, ProcessList

SECRET = "cAnArY/5f+1c=9Qx7Zt2Lm8"  # noqa: S105 - one that is none
CANARIES = Canaries(SECRET)


@pytest.mark.parametrize(
    "text",
    [
        f"key={SECRET}.",
        f"key={SECRET[:11]}...",
        f"...{SECRET[11:]}",
        quote(SECRET, safe=""),
        SECRET.replace("/", "\\/"),
        SECRET.encode().hex(),
        *(base64.b64encode(f"{'x' * before}{SECRET}:more".encode()).decode() for before in range(6)),
        base64.urlsafe_b64encode(f"user:{SECRET}".encode()).decode(),
    ],
)
def test_a_secret_is_found_however_it_is_written(text: str) -> None:
    assert CANARIES.in_bytes(f"before {text} after".encode())


def test_nothing_is_found_where_there_is_none() -> None:
    assert not CANARIES.in_bytes(b"cAnArY 5f 1c key_id secret_key " + bytes(range(256)))


def _sqlite(path: Path, cell: object) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE kept (n INTEGER, cell)")
    database.execute("INSERT INTO kept VALUES (1, ?)", (cell,))
    database.commit()
    database.close()


def _written_ahead(path: Path) -> None:
    """Leave a packed cell in the log of a database whose process was killed."""
    program = (
        "import os, sqlite3, sys, zlib; d = sqlite3.connect(sys.argv[1]); d.execute('PRAGMA journal_mode=WAL');"
        "d.execute('CREATE TABLE kept (cell)'); d.execute('INSERT INTO kept VALUES (?)', (zlib.compress("
        "sys.stdin.buffer.read() * 3),)); d.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], input=SECRET.encode(), check=True)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", SECRET * 3)


PLACES: dict[str, Callable[[Path], object]] = {
    "a text": lambda path: path.write_text(f"x {SECRET} y", encoding="utf-8"),
    "a cell": lambda path: _sqlite(path, SECRET),
    "a cell over several pages": lambda path: _sqlite(path, "x" * 4060 + SECRET + "y" * 9000),
    "a packed cell": lambda path: _sqlite(path, zlib.compress(f"{SECRET * 3}".encode())),
    "a packed cell of the log": _written_ahead,
    "a column": lambda path: pq.write_table(pa.table({"a": [SECRET] * 3}), path, compression="zstd"),
    "the notes of a table": lambda path: pq.write_table(
        pa.table({"a": [1]}).replace_schema_metadata({"note": SECRET}), path
    ),
    "a gzip": lambda path: path.write_bytes(gzip.compress(SECRET.encode() * 3)),
    "a zip": _zip,
    "a stream of a PDF": lambda path: path.write_bytes(
        b"%PDF-1.7\n1 0 obj\nstream\n" + zlib.compress(SECRET.encode() * 3) + b"\nendstream\n"
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_found_wherever_it_is_kept(tmp_path: Path, place: str) -> None:
    (tmp_path / "deep").mkdir()
    PLACES[place](tmp_path / "deep" / "file")
    (tmp_path / "innocent").write_text("nothing", encoding="utf-8")
    assert list(CANARIES.in_folder(tmp_path)) == [str(tmp_path / "deep" / "file")]


def test_a_secret_on_a_command_line_is_found() -> None:
    with ProcessList(CANARIES) as processes:
        program = "import time; time.sleep(0.3)"
        subprocess.run([sys.executable, "-S", "-c", program, f"--key={SECRET}"], check=True)
    assert processes.found
