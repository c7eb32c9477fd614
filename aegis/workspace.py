"""Where one history lives on disk: its lake, journals, Dagster home, reports and switches.

Belongs here: the layout of a workspace folder, said once. A workspace belongs to one account and one source, so
simulated and real prices never share a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.lake.attachment import LakeLocation

_OWNER_FILE = "source.txt"


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

    def claim(self, market: str) -> None:
        """Mark the workspace as holding prices of `market`, see :attr:`AegisConfig.market_identity`.

        Raises
        ------
        ConfigurationError
            It already holds other prices. Nothing has been changed.
        """
        owner = self.folder / _OWNER_FILE
        if owner.exists():
            held = owner.read_text(encoding="utf-8").strip()
            if held != market:
                raise ConfigurationError(
                    f"workspace {self.name} holds prices of {held!r}, not of {market!r}; histories of two markets "
                    "are never mixed: set run.workspace to another name, or unset it"
                )
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        owner.write_text(f"{market}\n", encoding="utf-8")
