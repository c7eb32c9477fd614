"""The status of a trading process, as a file that other processes read: the dashboard, sensors, ``aegis monitor``.

Belongs here: writing it, reading it, and what counts as stale. It works without a lake, a journal or a server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aegis.durable_files import replace_json
from aegis.errors import ExecutionError
from aegis.monitoring.causes import Cause
from aegis.monitoring.snapshot import MonitorSnapshot

STATUS_FILE = "status.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraderStatus:
    """What a status file says.

    Parameters
    ----------
    account : str
        Whose it is.
    at_utc : datetime
        Of the snapshot; aware UTC.
    causes : tuple of Cause
        What stood wrong.
    snapshot : mapping
        :meth:`~aegis.monitoring.snapshot.MonitorSnapshot.to_record`.
    has_ended : bool
        Whether the process ended as it should, leaving this behind.
    """

    account: str
    at_utc: datetime
    causes: tuple[Cause, ...]
    snapshot: Mapping[str, Any]
    has_ended: bool

    @property
    def fatal(self) -> tuple[Cause, ...]:
        """The causes that make the account unhealthy."""
        return tuple(cause for cause in self.causes if cause.severity == "critical")

    def age_seconds(self, now_utc: datetime) -> float:
        """Return how old it is; one from the future is as wrong as an old one, and is that old."""
        return abs((now_utc - self.at_utc).total_seconds())

    def problems(self, now_utc: datetime, stale_after_seconds: float) -> tuple[str, ...]:
        """Return why the account is not healthy, for a person; empty where it is."""
        told = [f"{cause.title}: {cause.body}" for cause in self.fatal]
        age = self.age_seconds(now_utc)
        if self.has_ended:
            told.insert(0, f"the trading process ended at {self.at_utc:%Y-%m-%d %H:%M:%S} UTC; start it again to trade")
        elif age > stale_after_seconds and self.at_utc > now_utc:
            told.insert(
                0,
                f"the status is of {self.at_utc:%Y-%m-%d %H:%M:%S} UTC, {age:,.0f} s ahead of this machine's clock "
                f"({now_utc:%Y-%m-%d %H:%M:%S} UTC): one of the two clocks is wrong, and nobody can say whether the "
                "trading process lives; set the clock right, on the machine that trades too",
            )
        elif age > stale_after_seconds:
            told.insert(
                0,
                f"the status is {age:.0f} s old, {stale_after_seconds:g} s are allowed: the trading process is stuck "
                "or gone; look at it, and stop the account with `aegis kill` if orders are open",
            )
        return tuple(told)


def status_record(snapshot: MonitorSnapshot, causes: Sequence[Cause], *, has_ended: bool = False) -> dict[str, Any]:
    """Return what the file holds, as JSON can."""
    return {
        "account": snapshot.account,
        "at_utc": snapshot.at_utc.isoformat(),
        "causes": [asdict(cause) for cause in causes],
        "has_ended": has_ended,
        "snapshot": snapshot.to_record(),
    }


def write_status(path: Path, record: Mapping[str, Any]) -> None:
    """Replace the file, whole or not at all.

    Raises
    ------
    OSError
        It cannot be written; the old one stands, and grows stale.
    """
    replace_json(path, record)


def status_of(record: Mapping[str, Any]) -> TraderStatus:
    """Return what :func:`status_record` described.

    Raises
    ------
    ValueError, LookupError, TypeError
        It is malformed.
    """
    at_utc = datetime.fromisoformat(record["at_utc"])
    if at_utc.tzinfo is None:
        raise ValueError(f"at_utc {record['at_utc']!r} has no time zone")
    return TraderStatus(
        account=str(record["account"]),
        at_utc=at_utc,
        causes=tuple(Cause(**{name: str(value) for name, value in item.items()}) for item in record["causes"]),  # type: ignore[arg-type]
        snapshot=dict(record["snapshot"]),
        has_ended=bool(record["has_ended"]),
    )


def read_status(path: Path) -> TraderStatus | None:
    """Return what the file says, None where there is none.

    Raises
    ------
    ExecutionError
        It cannot be read or understood.
    """
    if not path.exists():
        return None
    try:
        return status_of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ExecutionError(
            f"{path} cannot be read ({type(error).__name__}: {error}); is another version trading the account? Restart "
            "the trading process"
        ) from error
