"""Metadata of many partitions at once.

Belongs here: the one place that reaches below ``context.add_asset_metadata``.

Notes
-----
``add_asset_metadata`` lists the run's partitions and copies all metadata collected so far at every call: 18 assets over
754 sessions took 18 s, and the time grows with the square of the sessions. Here the same values are handed over in one
step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator


def add_session_metadata(
    context: dg.AssetExecutionContext, key: dg.AssetKey, by_partition: Mapping[str, Mapping[str, Any]]
) -> None:
    """Attach metadata to the materialization event of each partition of one asset.

    Parameters
    ----------
    context : AssetExecutionContext
        Of the running step.
    key : AssetKey
        One of the step's assets.
    by_partition : mapping of str to mapping
        Partition key to metadata.
    """
    step = context.get_step_execution_context()
    collected = step._metadata_accumulator.per_output_metadata  # see the module's notes
    added = {
        AssetMetadataHandle(asset_key=key, partition_key=partition): dict(values)
        for partition, values in by_partition.items()
    }
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata={**collected, **added})
