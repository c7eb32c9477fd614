"""What drift led to: an exposure that is scaled down, or a breaker that is held tripped, until a person releases it.

Belongs here: the record of responses of one account, and what it says of a session. Which measures alarm is
:mod:`aegis.drift.watch`; a scaled exposure and a held breaker are applied by the session loop.

Notes
-----
A file of lines that are only appended. A response holds for decisions *after* the session that was measured, and until
a release, which holds from a session on as well: a session decided again is decided under what held for it then.

Fails closed: nothing is decided while a line cannot be read, because it could be the one that stops the account.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from aegis.durable_files import append_json_line
from aegis.errors import DriftError

ResponseAction = Literal["shrink", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftLimits:
    """What responses leave of one session's decision.

    Parameters
    ----------
    exposure_scale : float
        Largest share of the exposure that may be wanted; 1 without a response.
    stopped : str
        Why the breaker is held tripped; empty where it is not.
    """

    exposure_scale: float = 1.0
    stopped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftResponse:
    """One response.

    Parameters
    ----------
    family, cause : str
        Family of the measure, and what alarmed, with its values.
    action : {"shrink", "stop"}
        What it does.
    exposure_scale : float
        What `shrink` leaves of the exposure; 1 for `stop`.
    measured_session : date
        Session whose measure alarmed; decisions of later ones are limited.
    at_utc : datetime
        When it was recorded; aware UTC.
    released_from : date or None
        First session whose decision is free of it again; None while it holds.
    released_by, release_reason : str
        Who released it, and why; empty while it holds.
    """

    family: str
    cause: str
    action: ResponseAction
    exposure_scale: float
    measured_session: date
    at_utc: datetime
    released_from: date | None = None
    released_by: str = ""
    release_reason: str = ""

    def holds(self, session: date) -> bool:
        """Whether the decision of a session is made under it."""
        return self.measured_session < session and (self.released_from is None or session < self.released_from)


@dataclass(frozen=True, slots=True)
class ResponseHistory:
    """All responses of an account, oldest first."""

    responses: tuple[DriftResponse, ...] = ()

    def limits(self, session: date) -> DriftLimits:
        """Return what holds for the decision of a session."""
        held = [response for response in self.responses if response.holds(session)]
        return DriftLimits(
            exposure_scale=min((r.exposure_scale for r in held), default=1.0),
            stopped="; ".join(r.cause for r in held if r.action == "stop"),
        )

    @property
    def standing(self) -> tuple[DriftResponse, ...]:
        """Responses that nobody has released."""
        return tuple(response for response in self.responses if response.released_from is None)

    def last_release(self, family: str) -> date | None:
        """Return the session from which the family's newest release holds, None where it was never released."""
        return max((r.released_from for r in self.responses if r.family == family and r.released_from), default=None)


class DriftResponses:
    """The file of one account's responses.

    Parameters
    ----------
    path : Path
        Lines of JSON; made with the first response.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def history(self) -> ResponseHistory:
        """Return what the file says; nothing where there is none.

        Raises
        ------
        DriftError
            It cannot be read or understood.
        """
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
            responses: list[DriftResponse] = []
            for line in lines:
                _apply(json.loads(line), responses)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise DriftError(
                f"drift responses {self.path} cannot be read ({type(error).__name__}: {error}), and one of them could "
                "stop the account; nothing is decided until the file is put right or restored from a backup"
            ) from error
        return ResponseHistory(tuple(responses))

    def engage(self, response: DriftResponse) -> None:
        """Record a response.

        Raises
        ------
        DriftError
            It cannot be written, and so does not hold.
        """
        self._append({"entry": "engaged", **_plain(asdict(response))})

    def release(self, *, from_session: date, actor: str, reason: str, at_utc: datetime) -> int:
        """Let decisions from a session on be made without the responses that stand; return how many those were.

        Raises
        ------
        DriftError
            Nothing stands, actor or reason is empty, or the file cannot be read or written.
        """
        history = self.history()
        if not history.standing:
            raise DriftError(f"{self.path}: no response to drift stands; there is nothing to release")
        if not actor.strip() or not reason.strip():
            raise DriftError(f"{self.path}: a release needs a name and a reason; found {actor!r}, {reason!r}")
        record = {"from_session": from_session, "actor": actor, "reason": reason, "at_utc": at_utc}
        self._append({"entry": "released", **_plain(record)})
        return len(history.standing)

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            append_json_line(self.path, record)
        except OSError as error:
            raise DriftError(
                f"{self.path} cannot be written ({error}), so the response to drift does not hold; make room, or "
                "engage the kill switch"
            ) from error


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


def _apply(record: Mapping[str, Any], responses: list[DriftResponse]) -> None:
    """Add what a line says to the responses before it.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is none that was written here.
    """
    if record["entry"] == "engaged":
        responses.append(_engaged(record))
        return
    if record["entry"] != "released":
        raise ValueError(f"entry {record['entry']!r} is neither 'engaged' nor 'released'")
    released = {
        "released_from": date.fromisoformat(record["from_session"]),
        "released_by": str(record["actor"]),
        "release_reason": str(record["reason"]),
    }
    for place, response in enumerate(responses):
        if response.released_from is None:
            responses[place] = DriftResponse(**{**_values(response), **released})


def _engaged(record: Mapping[str, Any]) -> DriftResponse:
    scale, action = float(record["exposure_scale"]), record["action"]
    if action not in ("shrink", "stop") or not (math.isfinite(scale) and 0.0 <= scale <= 1.0):
        raise ValueError(f"action {action!r} with an exposure of {scale}; expected shrink or stop, and 0 to 1")
    return DriftResponse(
        family=str(record["family"]),
        cause=str(record["cause"]),
        action=action,
        exposure_scale=scale,
        measured_session=date.fromisoformat(record["measured_session"]),
        at_utc=datetime.fromisoformat(record["at_utc"]),
    )


def _values(response: DriftResponse) -> dict[str, Any]:
    return {name: getattr(response, name) for name in DriftResponse.__slots__}


def due_responses(
    alarms: Sequence[tuple[str, str]],
    history: ResponseHistory,
    *,
    actions: Mapping[str, str],
    shrink_exposure: float,
    measured: Mapping[str, date],
    rested_since: date,
    at_utc: datetime,
) -> list[DriftResponse]:
    """Return the responses that alarms lead to and that do not stand yet.

    Parameters
    ----------
    alarms : sequence of (str, str)
        Family and words of each measure that alarms at the newest session of its family.
    history : ResponseHistory
        What is recorded.
    actions : mapping of str to str
        Action by family; 'alert' leads to none.
    shrink_exposure : float
        What `shrink` leaves.
    measured : mapping of str to date
        That session by family.
    rested_since : date
        A family that was released from a later session on rests.
    at_utc : datetime
        When; aware UTC.

    Notes
    -----
    One response a family: the first alarm names the cause, and how many others there are.
    """
    due = []
    standing = {response.family for response in history.standing}
    for family in dict.fromkeys(family for family, _ in alarms):
        action, released = actions[family], history.last_release(family)
        if action not in ("shrink", "stop") or family in standing or (released is not None and released > rested_since):
            continue
        told = [words for name, words in alarms if name == family]
        more = f", and {len(told) - 1} more of {family}" if len(told) > 1 else ""
        due.append(
            DriftResponse(
                family=family,
                cause=f"{told[0]}{more}",
                action="stop" if action == "stop" else "shrink",
                exposure_scale=shrink_exposure if action == "shrink" else 1.0,
                measured_session=measured[family],
                at_utc=at_utc,
            )
        )
    return due
