"""The restricted list of a process that runs for days: read again when its file changes.

Belongs here: noticing. What is in the file is :mod:`aegis.compliance.restricted_list`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from aegis.clock import Clock
from aegis.compliance.restricted_list import Restriction, read_restricted_list
from aegis.errors import ComplianceError


class RestrictedListInUse:
    """A restricted list as its file has it now.

    Parameters
    ----------
    file : Path or None
        None where there is no list.
    clock : Clock
        By which restrictions become known.

    Raises
    ------
    ComplianceError
        The file cannot be read at the beginning: there is no older list to keep to.
    """

    def __init__(self, file: Path | None, clock: Clock) -> None:
        self._file, self._clock = file, clock
        self._state = None if file is None else _state(file)
        self.restrictions: tuple[Restriction, ...] = () if file is None else read_restricted_list(file)
        """The whole list, past lines included."""
        self._looked_at = clock.now_utc()

    def look(self) -> bool:
        """Read the list again if its file changed; return whether something else may be in force since the last look.

        Raises
        ------
        ComplianceError
            The file cannot be read any more. The list that was read last stays in force, and is looked for again at the
            next look.

        Notes
        -----
        The file is taken for changed by its inode, size and time of change. A restriction whose ``known_at_utc`` has
        come since the last look counts as a change as well.
        """
        before, self._looked_at = self._looked_at, self._clock.now_utc()
        return self._read_if_changed() or self._became_known(before)

    def _read_if_changed(self) -> bool:
        if self._file is None:
            return False
        try:
            state = _state(self._file)
            if state == self._state:
                return False
            self.restrictions = read_restricted_list(self._file)
        except ComplianceError as error:
            self._state = None
            raise ComplianceError(
                f"{error}. Until then the list of before stays in force, {len(self.restrictions)} lines"
            ) from error
        self._state = state
        return True

    def _became_known(self, before: datetime) -> bool:
        return any(before < restriction.known_at_utc <= self._looked_at for restriction in self.restrictions)


def _state(file: Path) -> tuple[int, int, int]:
    """Return what tells one version of a file from another."""
    try:
        found = file.stat()
    except OSError as error:
        raise ComplianceError(
            f"{file}: the restricted list cannot be read: {error}; put it back, or take the setting "
            "compliance.restricted_list out if there is none"
        ) from error
    return found.st_ino, found.st_size, found.st_mtime_ns
