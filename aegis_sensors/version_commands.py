"""``aegis data versions`` and ``aegis data read``: which snapshots the lake holds, and a table as it was at one.

Belongs here: printing. Snapshots are :mod:`aegis.lake.versions`, rows :mod:`aegis.lake.reading`, files
:mod:`aegis.lake.exports`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pandas as pd
from rich.console import Console

from aegis.config import AegisConfig
from aegis.errors import LakeError
from aegis.instruments import require_symbol
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.exports import export
from aegis.lake.lake import Lake
from aegis.lake.reading import Selection, count_rows, find_table, read_blocks, require_symbols
from aegis.lake.versions import RowCounts, Version, VersionHistory, file_counts, row_counts
from aegis.workspace import Workspace

_ROWS_PER_SCREEN = 5_000
_DAGSTER_RUN = re.compile(r"([0-9a-f]{8})(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Style = Literal["table", "json"]
"""How an answer is printed: lines for people, or JSON for programs."""


@dataclass(frozen=True)
class ReadRequest:
    """What ``aegis data read`` was asked for.

    Parameters
    ----------
    table, as_of : str
        As typed.
    symbols : tuple of str
        Empty for all.
    first, last : date, optional
        Inclusive bounds.
    limit : int
        Rows shown on a terminal.
    file_format : {"table", "csv", "parquet"}
    output : Path, optional
        File to write, for the last two.
    """

    table: str
    as_of: str
    symbols: tuple[str, ...]
    first: date | None
    last: date | None
    limit: int
    file_format: Literal["table", "csv", "parquet"]
    output: Path | None


@contextmanager
def opened_lake(config: AegisConfig) -> Iterator[Lake]:
    """Yield the lake of a workspace that has one.

    Raises
    ------
    ConfigurationError
        The workspace has no history.
    """
    workspace = Workspace.of(config)
    workspace.require_history()
    with connect(workspace.lake) as connection:
        yield Lake(connection)


def say(console: Console, text: str) -> None:
    """Print a line as it is: what comes from the lake is no markup, and what does not print is escaped."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    console.print(shown, soft_wrap=True, highlight=False, markup=False)


def versions_command(config: AegisConfig, *, table: str | None, limit: int, style: Style, console: Console) -> None:
    """Print the newest snapshots, oldest of them first.

    Raises
    ------
    ConfigurationError
        The workspace has no history.
    LakeError
        There is no such table.
    """
    wanted = None if table is None else find_table(table, tables.ALL_TABLES)
    with opened_lake(config) as lake:
        history = VersionHistory.of(lake)
        chosen = history.versions if wanted is None else history.of_table(wanted)
        shown = chosen[-limit:]
        counted = {v.snapshot_id: row_counts(lake, v, (wanted,) if wanted else tables.ALL_TABLES) for v in shown}
        files = file_counts(lake.connection)
    if style == "json":
        entries = [_entry(v, counted[v.snapshot_id], files.get(v.snapshot_id, (0, 0))) for v in shown]
        console.out(json.dumps(entries, indent=1), highlight=False)
        return
    say(console, f"{'snapshot':>8}  {'made at (UTC)':19}  {'rows added, removed':>23}  {'files':>7}  what wrote it")
    for version in shown:
        say(console, _line(version, counted[version.snapshot_id], files.get(version.snapshot_id, (0, 0))))
    if len(shown) < len(chosen):
        say(console, f"{len(chosen) - len(shown):,} older snapshots are not shown; --limit shows more")


def read_command(config: AegisConfig, request: ReadRequest, *, console: Console) -> None:
    """Print or write the rows of one table as it was at a snapshot.

    Raises
    ------
    ConfigurationError
        The workspace has no history.
    LakeError
        No such table, snapshot or symbol; the nearest one is said. Or the file cannot be written.
    MalformedData
        A symbol is none.
    """
    table = find_table(request.table, tables.ALL_TABLES)
    symbols = tuple(require_symbol(symbol) for symbol in request.symbols) or None
    if (request.output is None) == (request.file_format == "parquet") and request.file_format != "csv":
        raise LakeError(
            f"--format {request.file_format} and --output do not fit; write files with --format csv or parquet and "
            "--output, and leave both out for the terminal"
        )
    with opened_lake(config) as lake:
        history = VersionHistory.of(lake)
        snapshot = history.find(request.as_of, table=table)
        selection = Selection(table, snapshot, request.first, request.last, symbols)
        require_symbols(lake, selection)
        if request.output is not None and request.file_format != "table":
            written = export(table, read_blocks(lake, selection), request.output, request.file_format)
            say(console, f"{table.key} at snapshot {snapshot}: {written:,} rows in {request.output}")
        elif request.file_format == "csv":
            _stream_csv(lake, selection, console)
        else:
            _show(lake, selection, history, request.limit, console)


def _show(lake: Lake, selection: Selection, history: VersionHistory, limit: int, console: Console) -> None:
    total = count_rows(lake, selection)
    made = next(v.made_at_utc for v in history.versions if v.snapshot_id == selection.snapshot_id)
    say(
        console,
        f"{selection.table.key} at snapshot {selection.snapshot_id} of {made:%Y-%m-%d %H:%M:%S} UTC: {total:,} rows"
        + (f", the first {limit:,} of them" if total > limit else ""),
    )
    rows = _first_rows(lake, selection, limit)
    if not rows.empty:
        dated = {c.name: rows[c.name].dt.date for c in selection.table.columns if c.kind == "session"}
        for line in rows.assign(**dated).to_string(index=False).splitlines():
            say(console, line)
    if total > limit:
        say(console, f"{total - limit:,} more: --limit shows more, --format parquet --output <file> writes all")


def _first_rows(lake: Lake, selection: Selection, limit: int) -> pd.DataFrame:
    taken: list[pd.DataFrame] = []
    for block in read_blocks(lake, selection, rows_per_block=min(limit, _ROWS_PER_SCREEN)):
        taken.append(block)
        if sum(len(part) for part in taken) >= limit:
            break
    return pd.concat(taken).head(limit) if taken else selection.table.empty()


def _stream_csv(lake: Lake, selection: Selection, console: Console) -> None:
    for number, block in enumerate(read_blocks(lake, selection)):
        console.file.write(block.to_csv(index=False, header=number == 0, lineterminator="\n"))


def _entry(version: Version, rows: dict[str, RowCounts], files: tuple[int, int]) -> dict[str, object]:
    return {
        **asdict(version),
        "made_at_utc": version.made_at_utc.isoformat(),
        "rows": {key: asdict(counts) for key, counts in rows.items()},
        "files_begun": files[0],
        "files_ended": files[1],
    }


def _short(run_id: str) -> str:
    """Return the first digits of a run of Dagster, as its UI does, and the name of a command as it is."""
    run = _DAGSTER_RUN.fullmatch(run_id)
    return run[1] if run else run_id


def _line(version: Version, rows: dict[str, RowCounts], files: tuple[int, int]) -> str:
    added, removed = (sum(getattr(c, name) for c in rows.values()) for name in ("added", "removed"))
    counted = f"+{added:,} -{removed:,}" if rows else ""
    said = [
        version.run_id and f"run {_short(version.run_id)}",
        version.code_version and f"code {version.code_version}",
        version.reason if version.reason != "materialize" else "",
        "expired" if version.is_expired else "",
        version.kept_because and f"kept: {version.kept_because}",
    ]
    wrote = f"{version.asset} {version.sessions}".strip()
    held = f"+{files[0]} -{files[1]}" if any(files) else ""
    return (
        f"{version.snapshot_id:>8}  {version.made_at_utc:%Y-%m-%d %H:%M:%S}  {counted:>23}  {held:>7}  "
        f"{', '.join(filter(None, [wrote, *said]))}"
    )
