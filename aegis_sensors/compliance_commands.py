"""``aegis compliance export`` and ``verify``: what they do and what they print.

Belongs here: reaching the journal of the account that is meant, and telling a person the outcome. Rows, files and the
comparison are :mod:`aegis.compliance`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from rich.console import Console

from aegis import __version__
from aegis.clock import SystemClock
from aegis.compliance.export_files import (
    file_format_of,
    manifest_path,
    read_export,
    read_manifest,
    write_export,
)
from aegis.compliance.export_verification import verify_export
from aegis.compliance.order_export import export_rows
from aegis.config import AegisConfig
from aegis.errors import ComplianceError
from aegis_sensors.desk_commands import existing_desk, published_head

_SHOWN_FAULTS = 50


def export_command(config: AegisConfig, file: Path, *, first: date | None, last: date | None, console: Console) -> None:
    """Verify the account's journal and write its order events of a range of sessions.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's.
    JournalError
        The journal is not there, or does not verify; nothing was written.
    ComplianceError
        The file exists, its name has another ending, it cannot be written, or the range ends before it begins.
    """
    file_format_of(file)
    if first is not None and last is not None and last < first:
        raise ComplianceError(f"sessions {first} to {last}: the range ends before it begins; swap the two")
    desk = existing_desk(config)
    with desk.recorded_journal() as journal:
        journal.verify(published_head(desk))
        desk.require_anchored(journal)
        head, records = journal.head(), journal.events()
    rows = export_rows(records[: head.sequence], first=first, last=last)
    write_export(
        file,
        rows,
        account=desk.account,
        workspace=desk.workspace.name,
        sessions=(first, last),
        head=head,
        made_at_utc=SystemClock().now_utc(),
        code_version=__version__,
    )
    _print(
        console,
        f"Account {desk.account} of workspace {desk.workspace.name}: {len(rows):,} order events of "
        f"{_range(first, last)} written to {file}; its manifest {manifest_path(file).name} holds the journal's end, "
        f"event {head.sequence:,}, hash {head.hash}. `aegis compliance verify {file}` compares it with the journal.",
    )


def verify_command(config: AegisConfig, file: Path, *, console: Console) -> bool:
    """Compare an export with the journal, print every difference, and return whether there is none.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's.
    JournalError
        The journal is not there, or does not verify: then it says nothing of the file.
    ComplianceError
        The file or its manifest cannot be read, or is of another account.
    """
    manifest = read_manifest(file)
    found = read_export(file, manifest.file_format)
    desk = existing_desk(config)
    if manifest.account != desk.account:
        raise ComplianceError(
            f"{file} is of account {manifest.account}, this workspace holds {desk.account}; choose the workspace "
            f"({manifest.workspace}) by SOURCE, DATA or WORKSPACE as in the run that is meant"
        )
    with desk.recorded_journal() as journal:
        events = journal.verify(published_head(desk))
        desk.require_anchored(journal)
        records = journal.events()
    covered = records[: max(manifest.journal_sequence, 0)]
    first, last = manifest.sessions
    at_head = covered[-1].hash if covered and covered[-1].sequence == manifest.journal_sequence else None
    faults = verify_export(found, manifest, export_rows(covered, first=first, last=last), hash_at_head=at_head)
    for fault in faults[:_SHOWN_FAULTS]:
        _print(console, f"{fault.kind}: {fault.detail}")
    if len(faults) > _SHOWN_FAULTS:
        _print(console, f"and {len(faults) - _SHOWN_FAULTS:,} more")
    outcome = (
        f"{len(faults):,} differences from the journal; export again, and keep this file as evidence"
        if faults
        else "every row is the journal's, in its order, none is missing"
    )
    since = events - manifest.journal_sequence
    later = f"; the journal has {since:,} later events" if since > 0 else ""
    _print(
        console,
        f"{file}: {len(found.rows):,} rows, {_range(first, last)}, up to event {manifest.journal_sequence:,} of "
        f"account {desk.account}{later}: {outcome}.",
    )
    return not faults


def _range(first: date | None, last: date | None) -> str:
    if first is None and last is None:
        return "all sessions"
    return f"sessions {first or 'from the first'} to {last or 'the last'}"


def _print(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
