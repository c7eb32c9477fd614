"""All that a paper venue was asked and saw, in a file, so that it is the same venue after a crash.

Belongs here: the file. What the lines do to the account is :mod:`aegis.execution.brokers.paper`.

Notes
-----
JSON lines, numbered from 0, each flushed to the disk before it takes effect. The line that a crash tears never took
effect; the next one has its number. Any other gap is damage, and the venue does not open.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aegis.durable_files import append_json_line
from aegis.errors import ExecutionError

_NUMBER = "n"


class PaperLog:
    """The file of one paper account.

    Parameters
    ----------
    path : Path
        Where it is, or will be.

    Raises
    ------
    ExecutionError
        Lines are missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = list(_read(path))
        self._count = len(self._records)

    def take(self) -> list[dict[str, Any]]:
        """Return what the file held when it was opened, oldest first; the second time nothing."""
        found, self._records = self._records, []
        return found

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a line, durably.

        Raises
        ------
        ExecutionError
            It cannot be written; what it says must not happen.
        """
        try:
            append_json_line(self._path, {_NUMBER: self._count, **record})
        except OSError as error:
            raise ExecutionError(f"{self._path}: cannot be written ({error}); nothing was done") from error
        self._count += 1


def _read(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    count = 0
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        try:
            record = json.loads(line)
        except ValueError:
            continue  # torn, if the next line has its number
        if not isinstance(record, dict) or record.pop(_NUMBER, None) != count:
            raise ExecutionError(
                f"{path}, line {number}: expected record {count}; the file of this paper account is damaged: restore "
                "it from a backup, or begin another account"
            )
        count += 1
        yield record
