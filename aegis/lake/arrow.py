"""The lake's rows as Arrow, in which DuckDB and Parquet take them.

Belongs here: the types, and which texts are written once each. What a column is, is :mod:`aegis.lake.schema`.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from aegis.lake.schema import TableSchema

_MANY_TEXTS = 10_000
"""Rows below which it saves nothing to look for equal texts."""
_SAMPLED_TEXTS = 4_000
"""About how many rows say whether a column's texts repeat."""
_FEWEST_REPEATS = 4
"""Rows of the sample to a distinct text, at least: numbering texts that hardly repeat costs more than it saves."""


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
    return _plain_rows(arrow_schema(table), frame)


def arrow_rows_to_insert(table: TableSchema, frame: pd.DataFrame) -> pa.Table:
    """Return a conforming frame as Arrow rows that hold each of many equal texts once: faster to make and to insert."""
    schema = arrow_schema(table)
    repeated = {
        field.name: texts
        for field in schema
        if field.type == pa.string() and (texts := _repeated_texts(frame[field.name])) is not None
    }
    others = _plain_rows(pa.schema([field for field in schema if field.name not in repeated]), frame)
    return pa.table({name: repeated[name] if name in repeated else others[name] for name in schema.names})


def _plain_rows(schema: pa.Schema, frame: pd.DataFrame) -> pa.Table:
    # One thread: texts are read under Python's lock, for which several threads only fight.
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False, safe=False, nthreads=1)


def _repeated_texts(values: pd.Series) -> pa.DictionaryArray | None:
    """Return texts as numbers of distinct texts; None where they do not repeat, or are not all text."""
    sample = values.iloc[:: max(1, len(values) // _SAMPLED_TEXTS)]
    if len(values) < _MANY_TEXTS or sample.nunique() * _FEWEST_REPEATS > len(sample):
        return None
    numbers, distinct = pd.factorize(values.to_numpy())
    if pd.api.types.infer_dtype(distinct, skipna=False) != "string":
        return None
    return pa.DictionaryArray.from_arrays(
        pa.array(numbers, pa.int32(), mask=numbers < 0), pa.array(distinct, pa.string())
    )
