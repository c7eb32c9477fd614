"""Looking for a secret in everything that a program left: as it is, in half, encoded, and inside of what packs it.

Packed are cells of SQLite databases and what zlib made of them, Parquet, gzip, zip and the streams of a PDF.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import shutil
import sqlite3
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq

_PDF_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_SAMPLE_SECONDS = 0.02


def forms_of(secret: str) -> dict[str, bytes]:
    """Return how a secret may look, by name."""
    raw, middle = secret.encode(), len(secret) // 2
    found = {
        "itself": raw,
        "its first half": raw[:middle],
        "its second half": raw[middle:],
        "quoted for a URL": quote(secret, safe="").encode(),
        "quoted for a form": quote_plus(secret).encode(),
        "in JSON with its slashes escaped": json.dumps(secret)[1:-1].replace("/", "\\/").encode(),
        "in hexadecimal": raw.hex().encode(),
        "in UTF-16": secret.encode("utf-16-le"),
    }
    for offset in range(3):  # where it begins within the groups of three bytes
        coded = base64.b64encode(bytes(offset) + raw)
        inner = coded[0 if offset == 0 else 4 : len(coded) - 4]
        found[f"in base64, {offset} bytes in"] = inner
        found[f"in base64 for URLs, {offset} bytes in"] = inner.translate(bytes.maketrans(b"+/", b"-_"))
    return found


class Canaries:
    """Secrets that must be nowhere."""

    def __init__(self, *secrets: str) -> None:
        self.forms = {f"{secret[:4]}... {name}": form for secret in secrets for name, form in forms_of(secret).items()}

    def in_bytes(self, content: bytes) -> set[str]:
        """Return which forms stand in some bytes."""
        return {name for name, form in self.forms.items() if form in content}

    def in_file(self, path: Path) -> set[str]:
        """Return which forms stand in a file, what it packs included."""
        return {name for content in _contents(path) for name in self.in_bytes(content)}

    def in_folder(self, folder: Path) -> dict[str, set[str]]:
        """Return which forms stand in which files and file names below a folder."""
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
        found = {str(path): self.in_file(path) | self.in_bytes(str(path).encode()) for path in files}
        return {path: forms for path, forms in found.items() if forms}


class ProcessList:
    """Watches the command lines of all processes while something runs."""

    def __init__(self, canaries: Canaries) -> None:
        self.found: set[str] = set()
        self.seen: set[bytes] = set()
        self._canaries = canaries
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = file.read_bytes()
                except OSError:
                    continue
                if line not in self.seen:
                    self.seen.add(line)
                    self.found |= self._canaries.in_bytes(line)
            time.sleep(_SAMPLE_SECONDS)


def _contents(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, and those of what it packs."""
    content = path.read_bytes()
    yield content
    if content.startswith(b"SQLite format 3\0"):
        yield from _cells(path)
    elif content.startswith(b"PAR1"):
        yield from _columns(content)
    elif content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
    elif content.startswith(b"%PDF"):
        yield from _inflated(found[1] for found in _PDF_STREAM.finditer(content))
    elif zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from map(archive.read, archive.namelist())


def _cells(path: Path) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:  # with what is not in the database itself yet
        for file in path.parent.glob(f"{path.name}*"):
            shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder) / path.name)) as database:
            database.text_factory = bytes
            names = [row[0].decode() for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                for row in database.execute(f'SELECT * FROM "{name}"'):  # noqa: S608 - a table's own name
                    texts = [cell if isinstance(cell, bytes) else str(cell).encode() for cell in row]
                    yield b"\n".join(texts)
                    yield from _inflated(texts)


def _columns(content: bytes) -> Iterator[bytes]:
    file = pq.ParquetFile(io.BytesIO(content))
    yield str(file.metadata.metadata).encode()
    for batch in file.iter_batches():
        for column in batch.columns:
            yield "\n".join(map(str, column.unique().to_pylist())).encode()


def _inflated(blobs: Iterable[bytes]) -> Iterator[bytes]:
    for blob in blobs:
        try:
            yield zlib.decompressobj().decompress(blob)
        except zlib.error:
            continue
