"""Where one history lives on disk: its lake, journals, Dagster home, reports and switches.

Belongs here: the layout of a workspace folder, said once. A workspace belongs to one account and one market, so
simulated and real prices never share a table; whose it is, is :mod:`aegis_sensors.workspace_identity`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.lake.attachment import LakeLocation


@dataclass(frozen=True)
class Workspace:
    """Paths of one workspace, all below `folder`, which is absolute."""

    name: str
    folder: Path
    report_root: Path

    @classmethod
    def of(cls, config: AegisConfig) -> Workspace:
        """Return the workspace that `config` names; nothing is created."""
        return cls(config.workspace, (config.run.home / config.workspace).resolve(), config.eval.reporting.storage_path)

    @property
    def lake(self) -> LakeLocation:
        """The versioned tables."""
        return LakeLocation(self.folder / "lake")

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder: runs, event log, schedules."""
        return self.folder / "dagster"

    @property
    def reports(self) -> Path:
        """Folder that reports are written to."""
        return self.report_root / self.name

    @property
    def cache(self) -> Path:
        """What vendors answered for final sessions."""
        return self.folder / "cache"

    @property
    def dbt_target(self) -> Path:
        """Folder of dbt's compiled files and logs."""
        return self.folder / "dbt"

    def journal(self, account: str) -> Path:
        """Append-only event table of `account`."""
        return self.folder / "journals" / f"{account}.sqlite"

    def kill_switch(self, account: str) -> Path:
        """File that stops all orders of `account` while it says so."""
        return self.folder / "kill_switches" / f"{account}.json"

    def alert_log(self, name: Path) -> Path:
        """Log that every alert is appended to."""
        return self.folder / name

    def require_folder(self) -> None:
        """Refuse a workspace that was never used: a misspelt name, or the settings of another run.

        Raises
        ------
        ConfigurationError
            It has no folder. Nothing has been changed.
        """
        if not self.folder.is_dir():
            raise ConfigurationError(
                f"workspace {self.name} does not exist, there is no folder {self.folder}; give SOURCE, DATA or "
                f"WORKSPACE as in the run that is meant, or the AEGIS_ variables{self._others()}"
            )

    def require_history(self) -> None:
        """Refuse a workspace in which nothing was ever run.

        Raises
        ------
        ConfigurationError
            It has no lake. Nothing has been changed.
        """
        if not self.lake.catalog.exists():
            raise ConfigurationError(
                f"workspace {self.name} has no history yet, there is no lake in {self.folder}; `make run` with the "
                f"same SOURCE, DATA or WORKSPACE makes one{self._others()}"
            )

    def _others(self) -> str:
        home = self.folder.parent
        others = sorted(folder.name for folder in home.iterdir() if folder.is_dir()) if home.is_dir() else []
        return f". Workspaces in {home}: {', '.join(others) or 'none'}"
