"""A person's word that an account may trade real money, kept in the workspace until it ends.

Belongs here: writing it, ending it, and judging whether it stands. It is asked again before everything that is sent, so
what ends it ends it at once. How a person is asked is ``aegis live confirm``.

Notes
-----
It stands only where all of this holds: the file belongs to this user, is closed to all others and is as it was written;
it is the newest entry of its history; what it is bound to (:class:`aegis.live_trading.live_terms.LiveTerms`, the keys
and passwords of the configuration, this user, this start of this machine) is what it was; its time has not come, by the
clock and by the time since the machine was started, which cannot be set back.

The seal is an HMAC-SHA-256 (RFC 2104) over all of it. Its key is made once for each user and lies outside of the
workspace, so that a workspace that was copied, or restored elsewhere, confirms nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aegis.config import AegisConfig
from aegis.durable_files import append_json_line, replace_file, replace_json
from aegis.errors import ConfigurationError
from aegis.live_trading.live_terms import LiveTerms, live_terms, secrets_of
from aegis.live_trading.this_machine import MachineNow, this_machine
from aegis.private_files import PRIVATE, read_private_file
from aegis.workspace import Workspace

LONGEST_HOURS = 16.0
"""Less than the 17.5 hours from a close of New York to its next opening, so that one word never covers two sessions."""
DEFAULT_HOURS = 8.0

_KEY_BYTES = 32
_AGAIN = "confirm again with `aegis live confirm`"


def key_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where this user's sealing key lies: ``$XDG_STATE_HOME/aegis``, by default below ``~/.local/state``."""
    state = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "aegis" / "live_confirmation.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A confirmation that stands.

    Parameters
    ----------
    actor : str
        Who typed it.
    confirmed_at_utc, expires_at_utc : datetime
        From when until when, by the clock.
    """

    actor: str
    confirmed_at_utc: datetime
    expires_at_utc: datetime


@dataclass(frozen=True, kw_only=True)
class KeptConfirmation:
    """The confirmation of one account, which stands or does not; a `LivePermission`.

    Parameters
    ----------
    path : Path
        Its file in the workspace. The history is beside it, ``<stem>.history.jsonl``.
    key : Path
        File of the sealing key.
    terms : LiveTerms
        What is traded with now.
    secrets : bytes
        Keys and passwords that are traded with now; only hashed.
    machine : callable
        Tells the machine as it is.
    """

    path: Path
    key: Path
    terms: LiveTerms
    secrets: bytes = field(repr=False)
    machine: Callable[[], MachineNow] = this_machine

    @property
    def history_path(self) -> Path:
        """Every confirmation and revocation, one line each."""
        return self.path.with_name(f"{self.path.stem}.history.jsonl")

    def require(self, account: str, now_utc: datetime) -> None:
        """Refuse an account that nobody's confirmation lets trade real money now.

        Raises
        ------
        ConfigurationError
            As :meth:`standing`, or it is another account's.
        """
        if account != self.terms.account:
            raise ConfigurationError(
                f"live trading was confirmed for account {self.terms.account!r}, not for {account!r}; confirm this "
                "account"
            )
        self.standing(now_utc)

    def standing(self, now_utc: datetime) -> Kept:
        """Return the confirmation.

        Raises
        ------
        ConfigurationError
            There is none, it has ended, or something that it is bound to has changed; the message says what.
        """
        about = f"live trading of account {self.terms.account!r}"
        try:
            content = read_private_file(self.path)
            key = read_private_file(self.key)
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"nobody has confirmed {about} here: {error.filename} does not exist; confirm it with `aegis live "
                "confirm`"
            ) from error
        record = _record_in(content, self.path)
        seal = record.pop("seal", None)
        if not isinstance(seal, str) or not hmac.compare_digest(seal, self._seal(record, key)):
            raise ConfigurationError(self._why_unsealed(record, about))
        if self._newest_seal() != seal:
            raise ConfigurationError(
                f"{self.history_path} does not end with this confirmation of {about}: it was revoked, or put back; "
                f"{_AGAIN}"
            )
        kept = Kept(
            actor=str(record["actor"]),
            confirmed_at_utc=datetime.fromisoformat(record["confirmed_at_utc"]),
            expires_at_utc=datetime.fromisoformat(record["expires_at_utc"]),
        )
        self._require_bound(record, about)
        self._require_in_time(record, kept, about, now_utc)
        return kept

    def confirm(self, phrase: str, *, actor: str, hours: float, now_utc: datetime) -> Kept:
        """Keep a person's word.

        Parameters
        ----------
        phrase : str
            What was typed; the terms' own phrase, to the letter.
        actor : str
            Who typed it.
        hours : float
            Until when, at most :data:`LONGEST_HOURS`.
        now_utc : datetime
            Now.

        Raises
        ------
        ConfigurationError
            Something else was typed, `actor` is empty, `hours` is out of bounds, or a file cannot be written. Nothing
            was confirmed; what stood before stands.
        """
        if phrase != self.terms.phrase:
            raise ConfigurationError(
                f"expected {self.terms.phrase!r}, and something else was typed; nothing was confirmed"
            )
        if not actor.strip():
            raise ConfigurationError("a confirmation needs a person; nothing was confirmed")
        if not 0 < hours <= LONGEST_HOURS:
            raise ConfigurationError(
                f"a confirmation lasts more than 0 and at most {LONGEST_HOURS:g} hours, found {hours:g}; nothing was "
                "confirmed"
            )
        machine = self.machine()
        record = {
            **self._bound(machine),
            "actor": actor,
            "confirmed_at_utc": now_utc.astimezone(UTC).isoformat(),
            "expires_at_utc": (now_utc.astimezone(UTC) + timedelta(hours=hours)).isoformat(),
            "confirmed_at_uptime_seconds": machine.uptime_seconds,
            "expires_at_uptime_seconds": machine.uptime_seconds + hours * 3600.0,
            "nonce": secrets.token_hex(16),
        }
        try:
            seal = self._seal(record, self._made_key())
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            line = {"kind": "confirmed", "at_utc": record["confirmed_at_utc"], "actor": actor, "hours": hours}
            append_json_line(self.history_path, {**line, "terms": self.terms.to_record(), "seal": seal}, mode=PRIVATE)
            replace_json(self.path, {**record, "seal": seal}, mode=PRIVATE)
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be written ({error}); nothing was confirmed") from error
        return self.standing(now_utc)

    def revoke(self, *, actor: str, reason: str, now_utc: datetime) -> None:
        """End the confirmation: nothing but what reduces a position leaves from now on. Repeating it does no harm.

        Raises
        ------
        ConfigurationError
            Neither file could be changed; engage the kill switch.
        """
        revoke_at(self.path, actor=actor, reason=reason, now_utc=now_utc)

    def _bound(self, machine: MachineNow) -> dict[str, Any]:
        return {**self.terms.to_record(), "user_id": machine.user_id, "boot_id": machine.boot_id}

    def _seal(self, record: Mapping[str, Any], key: bytes) -> str:
        content = json.dumps(record, sort_keys=True).encode()
        return hmac.new(key, content + b"\0" + self.secrets, hashlib.sha256).hexdigest()

    def _made_key(self) -> bytes:
        """Return this user's sealing key, made on first use."""
        try:
            return read_private_file(self.key)
        except FileNotFoundError:
            self.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self.key, secrets.token_bytes(_KEY_BYTES), mode=PRIVATE)
            return read_private_file(self.key)

    def _newest_seal(self) -> object:
        try:
            lines = read_private_file(self.history_path).splitlines()
            newest = json.loads(lines[-1])
            return newest.get("seal")
        except (FileNotFoundError, LookupError, ValueError, AttributeError):
            return None

    def _why_unsealed(self, record: Mapping[str, Any], about: str) -> str:
        changed = _changed(record, self._bound(self.machine()))
        what = ", ".join(changed) if changed else "the file, its seal, or the keys of the configuration"
        return f"{self.path} does not confirm {about} as it is now: {what} changed since; {_AGAIN}"

    def _require_bound(self, record: Mapping[str, Any], about: str) -> None:
        changed = _changed(record, self._bound(self.machine()))
        if changed:
            raise ConfigurationError(
                f"{about} was confirmed by {record['actor']} with other settings or elsewhere: {', '.join(changed)} "
                f"changed since; {_AGAIN}"
            )

    def _require_in_time(self, record: Mapping[str, Any], kept: Kept, about: str, now_utc: datetime) -> None:
        uptime = self.machine().uptime_seconds
        if now_utc < kept.confirmed_at_utc or uptime < record["confirmed_at_uptime_seconds"]:
            raise ConfigurationError(
                f"{about} was confirmed at {kept.confirmed_at_utc.isoformat()}, and it is {now_utc.isoformat()} now: "
                f"the clock was set back; set it right and {_AGAIN}"
            )
        if now_utc >= kept.expires_at_utc:
            raise ConfigurationError(
                f"the confirmation of {about} ended at {kept.expires_at_utc.isoformat()}; {_AGAIN}"
            )
        if uptime >= record["expires_at_uptime_seconds"]:
            raise ConfigurationError(
                f"the confirmation of {about} has ended by the time since the machine was started, though the clock "
                f"says {now_utc.isoformat()}: it was set back; set it right and {_AGAIN}"
            )


def kept_confirmation(
    config: AegisConfig,
    workspace: Workspace,
    *,
    machine: Callable[[], MachineNow] = this_machine,
    confirmation_key: Path | None = None,
) -> KeptConfirmation:
    """Return the confirmation that the configuration needs, whether it stands or not.

    Raises
    ------
    ConfigurationError
        The configuration may not trade real money; see :func:`aegis.live_trading.live_terms.live_terms`.
    """
    return KeptConfirmation(
        path=workspace.live_confirmation(config.run.account),
        key=confirmation_key or key_path(),
        terms=live_terms(config, workspace),
        secrets=secrets_of(config),
        machine=machine,
    )


def revoke_at(path: Path, *, actor: str, reason: str, now_utc: datetime) -> None:
    """End whatever confirmation is kept at `path`, whatever the configuration is now.

    Raises
    ------
    ConfigurationError
        The file could not be deleted and the history not be written; engage the kill switch.
    """
    failures = []
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        failures.append(str(error))
    line = {"kind": "revoked", "at_utc": now_utc.astimezone(UTC).isoformat(), "actor": actor, "reason": reason}
    try:
        append_json_line(path.with_name(f"{path.stem}.history.jsonl"), line, mode=PRIVATE)
    except OSError as error:
        failures.append(str(error))
    if failures:
        standing = (
            "it may still stand" if len(failures) > 1 else "it has ended, and one of two files could not be changed"
        )
        raise ConfigurationError(
            f"the confirmation {path} was not revoked as it should be ({'; '.join(failures)}): {standing}; stop the "
            'account with `aegis kill --reason "..."`'
        )


def _record_in(content: bytes, path: Path) -> dict[str, Any]:
    try:
        record = json.loads(content)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ConfigurationError(f"{path} is no confirmation; {_AGAIN}")
    return record


def _changed(record: Mapping[str, Any], bound: Mapping[str, Any]) -> list[str]:
    return sorted(name for name, value in bound.items() if record.get(name) != value)
