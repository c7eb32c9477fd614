"""An export as a file and the manifest beside it.

Belongs here: bytes, formats and the manifest. What a row says is :mod:`aegis.compliance.order_export`.

Notes
-----
CSV files are opened with spreadsheet programs, which run a cell that begins like a formula. Such a text is written with
an apostrophe before it, which those programs show as text; a text that begins with an apostrophe gets one more, so that
no two texts become one. Numbers are written as they are. Parquet holds every text unchanged.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from aegis.compliance.order_export import COLUMN_NAMES, COLUMNS, Cell, ExportRow
from aegis.durable_files import replace_file
from aegis.errors import ComplianceError
from aegis.execution.journal_chain import JournalHead

FileFormat = Literal["csv", "parquet"]
FORMAT_NAME, FORMAT_VERSION = "aegis order export", 1

_FULL_WIDTH = {chr(ord(sign) + 0xFEE0) for sign in "=+-@"}
"""The same signs as Asian keyboards type them, which spreadsheet programs read alike."""
_FORMULA_STARTS = frozenset("=+-@\t\r\n'") | _FULL_WIDTH
_ARROW_TYPES = {"text": pa.string(), "integer": pa.int64(), "float": pa.float64()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportManifest:
    """What an export is of; a JSON file beside it.

    Parameters
    ----------
    account, workspace : str
        Whose events.
    first_session, last_session : str or None
        Range that was asked for, ISO 8601; None where it was open.
    rows : int
        In the file.
    file_format : {"csv", "parquet"}
        Of the file.
    sha256 : str
        Of the file's bytes.
    journal_sequence : int
        Events in the journal when it was made.
    journal_hash : str
        Hash of the last of them: where the chain ended.
    made_at_utc : str
        When, ISO 8601.
    code_version : str
        Of Aegis.
    """

    account: str
    workspace: str
    first_session: str | None
    last_session: str | None
    rows: int
    file_format: FileFormat
    sha256: str
    journal_sequence: int
    journal_hash: str
    made_at_utc: str
    code_version: str

    @property
    def head(self) -> JournalHead:
        """Where the journal ended."""
        return JournalHead(self.journal_sequence, self.journal_hash)

    @property
    def sessions(self) -> tuple[date | None, date | None]:
        """The range that was asked for."""
        return _date(self.first_session), _date(self.last_session)


def file_format_of(path: Path) -> FileFormat:
    """Return the format that a file's name asks for.

    Raises
    ------
    ComplianceError
        It ends neither in .csv nor in .parquet.
    """
    formats: dict[str, FileFormat] = {".csv": "csv", ".parquet": "parquet"}
    found = formats.get(path.suffix.lower())
    if found is None:
        raise ComplianceError(f"{path}: an export is a .csv or a .parquet file; name it so")
    return found


def manifest_path(path: Path) -> Path:
    """Return where the manifest of an export is."""
    return path.with_name(f"{path.name}.manifest.json")


def write_export(
    path: Path,
    rows: Sequence[ExportRow],
    *,
    account: str,
    workspace: str,
    sessions: tuple[date | None, date | None],
    head: JournalHead,
    made_at_utc: datetime,
    code_version: str,
) -> ExportManifest:
    """Write rows to a new file, and then the manifest beside it.

    Raises
    ------
    ComplianceError
        The file or its manifest exists, its name has another ending, or it cannot be written.
    """
    file_format = file_format_of(path)
    for taken in (path, manifest_path(path)):
        if taken.exists():
            raise ComplianceError(f"{taken} exists, and an export is never overwritten; choose another name")
    content = _csv_bytes(rows) if file_format == "csv" else _parquet_bytes(rows)
    manifest = ExportManifest(
        account=account,
        workspace=workspace,
        first_session=sessions[0].isoformat() if sessions[0] else None,
        last_session=sessions[1].isoformat() if sessions[1] else None,
        rows=len(rows),
        file_format=file_format,
        sha256=hashlib.sha256(content).hexdigest(),
        journal_sequence=head.sequence,
        journal_hash=head.hash,
        made_at_utc=made_at_utc.isoformat(),
        code_version=code_version,
    )
    columns = {column.name: column.description for column in COLUMNS}
    record = {"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **asdict(manifest), "columns": columns}
    try:
        replace_file(path, content)
        replace_file(manifest_path(path), (json.dumps(record, indent=2) + "\n").encode())
    except OSError as error:
        raise ComplianceError(
            f"{path} cannot be written ({error}); choose a folder with room that you may write"
        ) from (error)
    return manifest


def read_manifest(path: Path) -> ExportManifest:
    """Return the manifest of an export.

    Raises
    ------
    ComplianceError
        It is missing, or not one of this format.
    """
    file = manifest_path(path)
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if (record["format"], record["format_version"]) != (FORMAT_NAME, FORMAT_VERSION):
            raise ComplianceError(
                f"{file}: {record['format']!r} version {record['format_version']}; expected {FORMAT_NAME!r} version "
                f"{FORMAT_VERSION}: verify it with the version of Aegis that made it ({record.get('code_version')})"
            )
        manifest = ExportManifest(**{name: record[name] for name in ExportManifest.__slots__})
        _require_typed(manifest)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ComplianceError(
            f"{file} cannot be read ({type(error).__name__}: {error}); without its manifest an export says nothing of "
            "what it left out: bring it back, or export again"
        ) from error
    return manifest


@dataclass(frozen=True, slots=True)
class ReadExport:
    """A file as it was found: its SHA-256, its columns, and rows with the line that each begins in."""

    sha256: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    lines: tuple[int, ...]


def read_export(path: Path, file_format: FileFormat) -> ReadExport:
    """Return what a file holds, unchecked; bytes that are no text stay visible as such.

    Raises
    ------
    ComplianceError
        There is no such file, or nothing in it can be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ComplianceError(f"{path} cannot be read ({error}); bring it back, or export again") from error
    digest = hashlib.sha256(content).hexdigest()
    try:
        return _READERS[file_format](content, digest)
    except (csv.Error, pa.ArrowException) as error:
        raise ComplianceError(f"{path} is no {file_format} file any more ({error}); export again") from error


def cells(row: ExportRow, file_format: FileFormat) -> tuple[Any, ...]:
    """Return a row as a file of the format holds it: texts of a CSV file, values of a Parquet file."""
    return tuple(_text(cell) for cell in row) if file_format == "csv" else row


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        start = cell.lstrip(" ")[:1]
        return f"'{cell}" if start in _FORMULA_STARTS and start else cell
    return repr(cell)


def _csv_bytes(rows: Sequence[ExportRow]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMN_NAMES)
    writer.writerows(cells(row, "csv") for row in rows)
    return buffer.getvalue().encode()


def _parquet_bytes(rows: Sequence[ExportRow]) -> bytes:
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays = [pa.array(values, type=_ARROW_TYPES[column.kind]) for column, values in zip(COLUMNS, columns, strict=True)]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=list(COLUMN_NAMES)), buffer)
    return buffer.getvalue()


def _read_csv(content: bytes, digest: str) -> ReadExport:
    reader = csv.reader(io.StringIO(content.decode(errors="surrogateescape"), newline=""))
    columns = tuple(next(reader, ()))
    rows, lines, line = [], [], reader.line_num
    for row in reader:
        rows.append(tuple(row))
        lines.append(line + 1)
        line = reader.line_num
    return ReadExport(digest, columns, tuple(rows), tuple(lines))


def _read_parquet(content: bytes, digest: str) -> ReadExport:
    table = pq.read_table(pa.BufferReader(content))
    rows = tuple(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return ReadExport(digest, tuple(table.column_names), rows, tuple(range(1, len(rows) + 1)))


def _require_typed(manifest: ExportManifest) -> None:
    """Raise TypeError or ValueError where a value of a manifest is not of its kind."""
    _ = manifest.sessions
    for value in (manifest.rows, manifest.journal_sequence):
        if not isinstance(value, int):
            raise TypeError(f"{value!r} is not a number of rows or events")
    if manifest.file_format not in _READERS:
        raise ValueError(f"file format {manifest.file_format!r} is none of {sorted(_READERS)}")


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


_READERS: Mapping[str, Callable[[bytes, str], ReadExport]] = {"csv": _read_csv, "parquet": _read_parquet}
