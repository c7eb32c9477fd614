"""Upkeep of the lake: the many small files of daily runs become few.

Belongs here: the job. How files are merged is :mod:`aegis.lake.compaction`.
"""

from datetime import timedelta

import dagster as dg

from aegis import __version__
from aegis.lake import compaction
from aegis.lake.lake import CommitMessage
from aegis_resources.lake import LakeResource

MAINTAIN_LAKE = "maintain_lake"

_UNUSED_FOR = timedelta(days=7)
"""How long merged files stay for a run that still reads them; no run takes a week."""


@dg.op(
    name="merge_small_files",
    description="Merge small files of each table, and remove those merged a week ago. Every snapshot stays readable.",
)
def merge_small_files(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """Merge, remove what earlier merges left, and show how many files that were."""
    message = CommitMessage(MAINTAIN_LAKE, "", context.run_id, __version__, "merge small files")
    with lake.open() as store:
        merged = compaction.merge_small_files(store, message)
        removed = compaction.remove_unused_files(store, unused_for=_UNUSED_FOR)
    context.add_output_metadata(
        {"tables_merged": len(merged), "files_merged": sum(merged.values()), "files_removed": removed}
    )


@dg.job(
    name=MAINTAIN_LAKE,
    description="Merge the lake's small files. No snapshot expires: every past decision can still be replayed.",
    executor_def=dg.in_process_executor,
)
def maintain_lake() -> None:
    """Merge the lake's small files."""
    merge_small_files()
