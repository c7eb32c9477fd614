"""Where one history lives on disk: its lake, journals, Dagster home, reports and switches.

Belongs here: the layout of a workspace folder, said once. A workspace belongs to one account and one market, so
simulated and real prices never share a table; whose it is, is :mod:`aegis_sensors.workspace_identity`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aegis.config import AegisConfig
from aegis.config_storage import StorageSettings
from aegis.errors import ConfigurationError
from aegis.lake.attachment import LakeLocation
from aegis.lake.object_store import ObjectStore
from aegis.postgres import Part, PostgresSchema


@dataclass(frozen=True)
class Workspace:
    """Places of one workspace: below `folder`, which is absolute, or where `storage` puts them."""

    name: str
    folder: Path
    report_root: Path
    storage: StorageSettings = field(default_factory=StorageSettings)

    @classmethod
    def of(cls, config: AegisConfig) -> Workspace:
        """Return the workspace that `config` names; nothing is created."""
        folder = (config.run.home / config.workspace).resolve()
        return cls(config.workspace, folder, config.eval.reporting.storage_path, config.storage)

    @property
    def lake(self) -> LakeLocation:
        """The versioned tables."""
        return LakeLocation(self.folder / "lake", self.server("lake"), self._object_store())

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

    @property
    def data_docs(self) -> Path:
        """Folder of the pages that show every data check of every session."""
        return self.folder / "data_docs"

    @property
    def mlflow_tracking_uri(self) -> str:
        """Where MLflow keeps runs; on PostgreSQL it holds the password, so it is for MLflow alone."""
        server = self.server("mlflow")
        return f"sqlite:///{self.folder / 'mlflow' / 'runs.sqlite'}" if server is None else server.url_with_schema()

    def server(self, part: Part) -> PostgresSchema | None:
        """Return the schema that a part of the workspace is kept in; None where all is on this machine."""
        url = self.storage.postgres_url
        return None if url is None else PostgresSchema.of(url, self.name, part)

    def _object_store(self) -> ObjectStore | None:
        settings = self.storage
        if settings.data_path is None:
            return None
        url = f"{settings.data_path.rstrip('/')}/{self.name}/"
        return ObjectStore(url, settings.s3_region, settings.s3_endpoint_url, settings.s3_url_style)

    def journal(self, account: str) -> Path | PostgresSchema:
        """Append-only event table of `account`: a file of its own, or a schema that all accounts share."""
        return self.server("journal") or self.folder / "journals" / f"{account}.sqlite"

    def kill_switch(self, account: str) -> Path:
        """File that stops all orders of `account` while it says so."""
        return self.folder / "kill_switches" / f"{account}.json"

    def live_confirmation(self, account: str) -> Path:
        """File in which a person's word is kept that `account` may trade real money."""
        return self.folder / "live_confirmations" / f"{account}.json"

    def lease(self, account: str) -> Path:
        """File by which one process at a time trades `account`."""
        return self.folder / "leases" / f"{account}.lock"

    def paper_account(self, account: str) -> Path:
        """File of `account` at the paper venue: all that it was asked and saw."""
        return self.folder / "paper" / f"{account}.jsonl"

    def drift_responses(self, account: str) -> Path:
        """Lines that say what drift led to for `account`, and what a person released."""
        return self.folder / "drift_responses" / f"{account}.jsonl"

    def monitor(self, account: str) -> Path:
        """Folder of what the process that trades `account` shows of itself: status, events, alerts."""
        return self.folder / "monitor" / account

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
        if not self.lake.exists():
            raise ConfigurationError(
                f"workspace {self.name} has no history yet, there is no lake in {self._lake_place}; `make run` with "
                f"the same SOURCE, DATA or WORKSPACE makes one{self._others()}"
            )

    @property
    def _lake_place(self) -> str:
        return str(self.folder if self.lake.server is None else self.lake.server)

    def _others(self) -> str:
        home = self.folder.parent
        others = sorted(folder.name for folder in home.iterdir() if folder.is_dir()) if home.is_dir() else []
        return f". Workspaces in {home}: {', '.join(others) or 'none'}"
