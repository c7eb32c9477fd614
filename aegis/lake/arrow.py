"""The lake's rows as Arrow, in which DuckDB and Parquet take them.

Belongs here: the types. What a column is, is :mod:`aegis.lake.schema`.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from aegis.lake.schema import TableSchema


def arrow_schema(table: TableSchema) -> pa.Schema:
    """Return the Arrow schema of the table's rows."""
    kinds = {
        "session": pa.date32(),
        "instant": pa.timestamp("us", tz="UTC"),
        "text": pa.string(),
        "float": pa.float64(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
        "floats": pa.list_(pa.float64()),
    }
    return pa.schema([(c.name, kinds[c.kind]) for c in table.columns])


def arrow_rows(table: TableSchema, frame: pd.DataFrame) -> pa.Table:
    """Return a conforming frame as Arrow rows."""
    return pa.Table.from_pandas(frame, schema=arrow_schema(table), preserve_index=False, safe=False)
