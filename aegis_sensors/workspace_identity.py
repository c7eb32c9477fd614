"""Whose history a workspace holds: one market, one calendar, one account.

Belongs here: writing that down on first use and refusing anybody else afterwards. Where the folder is, is
:mod:`aegis.workspace`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from aegis.config import AegisConfig
from aegis.durable_files import replace_json
from aegis.errors import ConfigurationError
from aegis.workspace import Workspace

IDENTITY_FILE = "identity.json"
_FIRST_VERSION = "source.txt"
"""What early versions wrote: the source alone."""
_CHOOSE = "`make run WORKSPACE=<name>`, AEGIS_RUN__WORKSPACE or run.workspace in aegis.yaml"
_FOLDER = "folder"
_FOLDER_FROM_HERE = "folder_seen_from_workspace"

Identity = Mapping[str, str | int]


def identity_of(config: AegisConfig, workspace: Workspace) -> Identity:
    """Return what must not change within a workspace, by name.

    Notes
    -----
    Left out is what may change in one history: costs, limits, strategies, symbols asked of a vendor, planted faults.
    """
    data = config.market_data
    named: dict[str, str | int] = {
        "source": config.run.source,
        "calendar": data.calendar,
        "account": config.run.account,
    }
    if config.run.source == "simulated":
        named |= {"seed": data.simulated.seed, "first_session": data.simulated.first_session.isoformat()}
    if config.run.source == "files" and data.files.folder is not None:
        named |= {
            _FOLDER: str(data.files.folder),
            _FOLDER_FROM_HERE: os.path.relpath(data.files.folder, workspace.folder),
        }
    return named


def require_identity(config: AegisConfig, workspace: Workspace) -> None:
    """Refuse a workspace that holds another market or account; one that holds nothing is anybody's.

    Raises
    ------
    ConfigurationError
        It holds something else, or an early version did not say what. Nothing has been changed.
    """
    asked = identity_of(config, workspace)
    file, old = workspace.folder / IDENTITY_FILE, workspace.folder / _FIRST_VERSION
    if not file.exists() and old.exists():
        raise ConfigurationError(
            f"workspace {workspace.name} was made by an early version, which noted its source alone "
            f"({old.read_text(encoding='utf-8').strip()!r}). If it was made with the settings of now, "
            f"{_listed(asked, asked)}, delete {old} and run again; else choose another workspace: {_CHOOSE}"
        )
    held = _read(file) if file.exists() else asked
    different = [name for name in {**asked, **held} if held.get(name) != asked.get(name)]
    if different and not _is_same_folder_elsewhere(different):
        raise ConfigurationError(
            f"workspace {workspace.name} holds {_listed(held, different)}, not {_listed(asked, different)}; histories "
            "of two markets or accounts are never mixed: go back to the settings it was made with, or choose another "
            f"workspace: {_CHOOSE}"
        )


def claim(config: AegisConfig, workspace: Workspace) -> None:
    """Write down whose the workspace is, and make its folder on first use.

    Raises
    ------
    ConfigurationError
        As :func:`require_identity`.
    """
    require_identity(config, workspace)
    file, asked = workspace.folder / IDENTITY_FILE, identity_of(config, workspace)
    if not file.exists() or _read(file) != asked:
        replace_json(file, asked)


def require_account(config: AegisConfig, workspace: Workspace) -> None:
    """Refuse a workspace that was never used, or that another account's history is in.

    Raises
    ------
    ConfigurationError
        Names the workspaces that exist, or the account that this one holds. Nothing has been changed.
    """
    workspace.require_folder()
    held = account_in(workspace.folder)
    if held not in (None, config.run.account):
        raise ConfigurationError(
            f"workspace {workspace.name} holds account {held}, not {config.run.account}; set run.account to {held}, or "
            f"choose another workspace: {_CHOOSE}"
        )


def account_in(folder: Path) -> str | int | None:
    """Return the account whose history a workspace's folder holds, as it was written down; None where it was not.

    Raises
    ------
    ConfigurationError
        What was written down cannot be read.
    """
    file = folder / IDENTITY_FILE
    return _read(file).get("account") if file.exists() else None


def _is_same_folder_elsewhere(different: list[str]) -> bool:
    """Whether only one of the two names of the folder differs: the workspace moved, or both moved together."""
    return different in ([_FOLDER], [_FOLDER_FROM_HERE])


def _read(file: Path) -> Identity:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}; restore it from a backup") from error
    if not isinstance(held, dict):
        raise ConfigurationError(f"{file} holds {held!r}, not names and values; restore it from a backup")
    return held


def _listed(identity: Identity, names: Iterable[str]) -> str:
    shown = [name for name in names if name in identity and name != _FOLDER_FROM_HERE]
    return ", ".join(f"{name} {identity[name]}" for name in shown)
