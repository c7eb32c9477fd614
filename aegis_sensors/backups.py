"""The backup of the workspace and its drill, as a job and its schedule.

Belongs here: when a backup is taken without a person, and that it is restored at once to prove it. Both exist only
where ``storage.backup_location`` says where to. The work is done by :mod:`aegis.backup`; by hand it is
``aegis data backup`` and ``aegis data drill``.
"""

from collections.abc import Sequence

import dagster as dg

from aegis.backup.making import back_up
from aegis.backup.restoring import chosen_backup, drill
from aegis.backup.store import BackupStore
from aegis.config import AegisConfig
from aegis.workspace import Workspace
from aegis_resources.market_data import Market
from aegis_sensors.schedules import cron

BACK_UP = "back_up_workspace"


def backup_jobs(config: AegisConfig) -> Sequence[dg.JobDefinition]:
    """Return the job that takes a backup and restores it for a trial; none without a place for it."""
    if config.storage.backup_location is None:
        return []
    place = config.storage.backup_location

    @dg.op(description="Copies what is new in the workspace to the backup's place and returns the backup's name.")
    def take_backup(
        context: dg.OpExecutionContext, market: dg.ResourceParam[Market], workspace: dg.ResourceParam[Workspace]
    ) -> str:
        made = back_up(
            workspace,
            BackupStore(place),
            configuration=market.config.model_dump(mode="json"),
            at_utc=market.clock.now_utc(),
        )
        context.add_output_metadata(
            {
                "backup": made.name,
                "lake_snapshot_id": made.lake_snapshot_id or 0,
                "files": len(made.files),
                "size_bytes": made.size_bytes,
                "rows": sum(table.rows for table in made.tables.values()),
            }
        )
        return made.name

    @dg.op(description="Restores the backup into a temporary folder and compares every hash, row and chain.")
    def restore_for_trial(context: dg.OpExecutionContext, name: str) -> None:
        store = BackupStore(place)
        chosen = chosen_backup(store, name)
        drill(store, chosen)
        context.log.info("backup %s of %s was restored and is equal by hash", name, store.location)

    @dg.job(
        name=BACK_UP,
        description=f"Backs the workspace up to {place}, and restores the backup for a trial.",
        executor_def=dg.in_process_executor,
    )
    def back_up_workspace() -> None:
        restore_for_trial(take_backup())

    return [back_up_workspace]


def backup_schedules(market: Market) -> Sequence[dg.ScheduleDefinition]:
    """Return the schedule of the backup, after the day's reports; none without a place for it."""
    if market.config.storage.backup_location is None:
        return []
    return [
        dg.ScheduleDefinition(
            name="back_up_daily",
            job_name=BACK_UP,
            cron_schedule=cron(market.config.schedules.backup, "*"),
            execution_timezone=market.calendar.time_zone,
            description="Backs the workspace up and restores the backup for a trial; a failure is alerted.",
        )
    ]
