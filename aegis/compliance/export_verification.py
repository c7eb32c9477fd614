"""Whether an export still says what the journal says, and where it does not.

Belongs here: the comparison, row by row. Whether the journal itself is whole is :mod:`aegis.execution.journal_chain`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aegis.compliance.export_files import ExportManifest, ReadExport, cells
from aegis.compliance.order_export import COLUMN_NAMES, HASH_AT, SEQUENCE_AT, ExportRow

FaultKind = Literal["manifest", "columns", "changed", "removed", "added", "moved", "bytes"]

_ROW_WORD = {"csv": "line", "parquet": "row"}


@dataclass(frozen=True, slots=True)
class ExportFault:
    """One way in which a file differs from the journal, with the place and what stands there."""

    kind: FaultKind
    detail: str


def verify_export(
    found: ReadExport, manifest: ExportManifest, expected: Sequence[ExportRow], *, hash_at_head: str | None
) -> list[ExportFault]:
    """Compare a file with the rows that the journal gives now.

    Parameters
    ----------
    found : ReadExport
        The file.
    manifest : ExportManifest
        Beside it.
    expected : sequence of ExportRow
        What an export of the manifest's sessions gives from the journal's events up to the manifest's head.
    hash_at_head : str or None
        Hash of the journal's event with the sequence of the manifest's head; None where there is none.

    Returns
    -------
    list of ExportFault
        Empty when the file is as it was written. Rows are told in the order of the file, removed ones at the end.

    Notes
    -----
    A row is recognised by its record hash, else by its sequence: an edited row is told as changed, with the cell, and
    not as one removed and one added. Of rows in another order the fewest are told as moved that leave the others
    ascending.
    """
    faults = _manifest_faults(manifest, len(expected), hash_at_head)
    if found.columns != COLUMN_NAMES:
        strange = [name for name in found.columns if name not in COLUMN_NAMES]
        absent = [name for name in COLUMN_NAMES if name not in found.columns]
        return [
            *faults,
            ExportFault("columns", f"columns missing: {absent}, not expected: {strange}; rows were not compared"),
        ]
    wanted = [cells(row, manifest.file_format) for row in expected]
    places = _recognised(found.rows, wanted)
    moved = _moved(places)
    word = _ROW_WORD[manifest.file_format]
    for number, (row, line, place) in enumerate(zip(found.rows, found.lines, places, strict=True)):
        where = f"{word} {line}"
        if place is None:
            faults.append(ExportFault("added", f"{where}: {_named(row)} is not in the journal, or is there twice"))
            continue
        if row != wanted[place]:
            faults.append(ExportFault("changed", f"{where}: {_differences(row, wanted[place])}"))
        if number in moved:
            faults.append(ExportFault("moved", f"{where}: {_named(row)} stands out of the journal's order"))
    held = {place for place in places if place is not None}
    faults += [
        ExportFault("removed", f"{_named(row)} of the journal is not in the file")
        for place, row in enumerate(wanted)
        if place not in held
    ]
    if not faults and found.sha256 != manifest.sha256:
        faults.append(
            ExportFault("bytes", f"every cell agrees, but the file has SHA-256 {found.sha256}, not {manifest.sha256}")
        )
    return faults


def _manifest_faults(manifest: ExportManifest, expected_rows: int, hash_at_head: str | None) -> list[ExportFault]:
    faults = []
    if hash_at_head != manifest.journal_hash:
        held = "no such event" if hash_at_head is None else f"hash {hash_at_head}"
        faults.append(
            ExportFault(
                "manifest",
                f"it says that the journal ended with event {manifest.journal_sequence}, hash {manifest.journal_hash}; "
                f"the journal has {held}",
            )
        )
    if manifest.rows != expected_rows:
        faults.append(
            ExportFault("manifest", f"it says {manifest.rows} rows; the journal gives {expected_rows} for its sessions")
        )
    return faults


def _recognised(rows: Sequence[tuple[Any, ...]], wanted: Sequence[tuple[Any, ...]]) -> list[int | None]:
    """Return for each row of the file the place of its event among the wanted ones; None for one that is too many."""
    by_hash = {row[HASH_AT]: place for place, row in enumerate(wanted)}
    by_sequence = {row[SEQUENCE_AT]: place for place, row in enumerate(wanted)}
    places: list[int | None] = [None] * len(rows)
    claimed: set[int] = set()
    for column, known in ((HASH_AT, by_hash), (SEQUENCE_AT, by_sequence)):
        for number, row in enumerate(rows):
            place = known.get(row[column]) if len(row) > column else None
            if places[number] is None and place is not None and place not in claimed:
                places[number] = place
                claimed.add(place)
    return places


def _moved(places: Sequence[int | None]) -> set[int]:
    """Return the fewest rows without which the others ascend: all but a longest increasing subsequence."""
    ends: list[int] = []
    numbers: list[int] = []
    before: dict[int, int | None] = {}
    for number, place in enumerate(places):
        if place is None:
            continue
        length = bisect_left(ends, place)
        before[number] = numbers[length - 1] if length else None
        ends[length : length + 1] = [place]
        numbers[length : length + 1] = [number]
    kept: set[int] = set()
    step = numbers[-1] if numbers else None
    while step is not None:
        kept.add(step)
        step = before[step]
    return set(before) - kept


def _differences(row: tuple[Any, ...], wanted: tuple[Any, ...]) -> str:
    if len(row) != len(wanted):
        return f"{_named(wanted)} has {len(row)} cells, expected {len(wanted)}"
    told = [
        f"{name} is {held!a}, the journal says {said!a}"
        for name, held, said in zip(COLUMN_NAMES, row, wanted, strict=True)
        if held != said
    ]
    return f"{_named(wanted)}: {'; '.join(told)}"


def _named(row: tuple[Any, ...]) -> str:
    if len(row) != len(COLUMN_NAMES):
        return f"a row of {len(row)} cells"
    values = dict(zip(COLUMN_NAMES, row, strict=True))
    return f"event {values['sequence']!s:.20} ({values['event']!a:.40} of order {values['client_order_id']!a:.44})"
