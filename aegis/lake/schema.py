"""What a table of the lake is: its key, and a name, type, unit and meaning for each column.

Belongs here: the description of a table and the checks that a frame fits it. The tables themselves are in
:mod:`aegis.lake.tables`; reading and writing them is :mod:`aegis.lake.lake`.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd

from aegis.errors import SchemaMismatch

Kind = Literal["session", "instant", "text", "float", "integer", "boolean", "floats"]

_SQL_TYPE: Mapping[Kind, str] = {
    "session": "DATE",
    "instant": "TIMESTAMPTZ",
    "text": "VARCHAR",
    "float": "DOUBLE",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "floats": "DOUBLE[]",
}
_NANOSECONDS_PER_DAY = 86_400_000_000_000
_PANDAS_DTYPE: Mapping[Kind, Any] = {
    "session": "datetime64[ns]",
    "instant": "datetime64[ns, UTC]",
    "text": "object",
    "float": "float64",
    "integer": "int64",
    "boolean": "bool",
    "floats": "object",
}


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    name : str
        The field's name for the quantity, with its unit where it has one (``close_raw_usd``).
    kind : {"session", "instant", "text", "float", "integer", "boolean", "floats"}
        A session is a calendar date; an instant is an aware UTC timestamp; floats is a list of float64.
    description : str
        What a reader of the Dagster UI needs to know.
    unit : str
        Empty for names, dates and flags.
    nullable : bool
        Whether a null is a meaningful value. Nulls elsewhere are refused on write; an integer or a boolean is never
        null.
    is_added : bool
        Whether tables were written without it by earlier versions, or sources deliver them without it. It is nullable:
        a frame without it holds nulls, and a session in which it is null throughout hashes as one without it, so that
        what was checked before stays checked.
    """

    name: str
    kind: Kind
    description: str
    unit: str = ""
    nullable: bool = False
    is_added: bool = False

    @property
    def sql_type(self) -> str:
        """DuckDB type of the column."""
        return _SQL_TYPE[self.kind]

    @property
    def documentation(self) -> str:
        """Description and unit, as Dagster, dbt and the catalog show them."""
        return f"{self.description} [{self.unit}]" if self.unit else self.description


@dataclass(frozen=True)
class TableSchema:
    """One table: key ``layer/name``, columns, primary key and whether the key is enforced on write.

    Notes
    -----
    ``market_data/raw_bars`` alone does not enforce its key: it must be able to hold the duplicate row that the
    quality gate then names.
    """

    layer: str
    name: str
    description: str
    primary_key: tuple[str, ...]
    columns: tuple[Column, ...]
    enforce_key: bool = True

    @property
    def key(self) -> str:
        """Name as shown to people: ``market_data/daily_bars``."""
        return f"{self.layer}/{self.name}"

    @property
    def column_names(self) -> list[str]:
        """Column names in storage order."""
        return [column.name for column in self.columns]

    @property
    def is_sessioned(self) -> bool:
        """Whether rows belong to a session, so that a write replaces a range of sessions."""
        return any(column.name == "session" for column in self.columns)

    @property
    def hash_of_no_rows(self) -> str:
        """Content hash of a session without rows: that of the table's name, which every content hash begins with."""
        return hashlib.sha256(self.key.encode()).hexdigest()

    def empty(self) -> pd.DataFrame:
        """Return a frame with no rows and this table's dtypes."""
        return pd.DataFrame({c.name: pd.Series([], dtype=_PANDAS_DTYPE[c.kind]) for c in self.columns})

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a copy of `frame` with this table's column order, dtypes and key order; see :meth:`adopt`."""
        return self.adopt(frame.copy())

    def adopt(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return `frame` with this table's column order, dtypes and key order.

        Parameters
        ----------
        frame : DataFrame
            This table's columns, of which added ones may be absent; dates may be `date` or timestamps at midnight.
            Columns that fit as they are become the result's own: for a frame that its maker changes no more.

        Raises
        ------
        SchemaMismatch
            A column is missing or unexpected, a value cannot take the column's type unchanged (1.7 as an integer,
            "False" as a boolean, 16:00 as a session), a null stands where none may, or the primary key repeats in a
            table that enforces it.
        """
        absent = [column for column in self.columns if column.is_added and column.name not in frame.columns]
        if absent:
            frame = frame.assign(**{column.name: _nulls(column.kind, frame.index) for column in absent})
        missing = [name for name in self.column_names if name not in frame.columns]
        extra = [str(name) for name in frame.columns if name not in self.column_names]
        if missing or extra:
            raise SchemaMismatch(
                f"{self.key}: expected columns {self.column_names}; missing {missing}, unexpected {extra}; "
                "rename or drop them before writing"
            )
        cast = {c.name: self._cast(frame[c.name], c) for c in self.columns}
        conformed = pd.DataFrame({name: values for name, (values, _) in cast.items()}, copy=False)
        complete = frozenset(name for name, (_, is_complete) in cast.items() if is_complete)
        self._refuse_nulls(conformed, complete)
        if ascends_strictly(conformed, self.primary_key, complete=complete):
            conformed.index = pd.RangeIndex(len(conformed))
            return conformed
        conformed = conformed.sort_values(list(self.primary_key), kind="stable", ignore_index=True)
        if self.enforce_key:
            self._refuse_repeated_keys(conformed)
        return conformed

    def content_hashes(self, frame: pd.DataFrame) -> dict[date, str]:
        """Return the SHA-256 of each session's rows, independent of row order and of the snapshot they came from.

        Parameters
        ----------
        frame : DataFrame
            Rows of a sessioned table.

        Returns
        -------
        dict of date to str
            Hex digests. Sessions without rows are absent.

        Notes
        -----
        Hashed are the little-endian bytes of each column in storage order, so two frames hash alike only when every
        value is equal to the bit.
        """
        # Rows that repeat a key, where they may, have no order but that of their values.
        order = self.primary_key if self.enforce_key else [c.name for c in self.columns if c.kind != "floats"]
        conformed = self.adopt(frame)
        keys = ["session", *order]
        if ascends_strictly(conformed, keys):
            ordered = conformed
        else:
            ordered = conformed.sort_values(keys, kind="stable", ignore_index=True)
        if ordered.empty:
            return {}
        sessions = ordered["session"].to_numpy()
        starts = np.flatnonzero(np.r_[True, sessions[1:] != sessions[:-1]])
        bounds = np.r_[starts, len(ordered)]
        encoded = [(_encode(ordered[c.name], c.kind), _held(ordered[c.name], c)) for c in self.columns]
        hashes: dict[date, str] = {}
        for lo, hi in itertools.pairwise(bounds):
            digest = hashlib.sha256(self.key.encode())
            for values, held in encoded:
                if held is not None and not held[lo:hi].any():
                    continue
                digest.update(values[lo:hi].tobytes() if isinstance(values, np.ndarray) else b"".join(values[lo:hi]))
            hashes[pd.Timestamp(sessions[lo]).date()] = digest.hexdigest()
        return hashes

    def _cast(self, values: pd.Series, column: Column) -> tuple[pd.Series, bool]:
        """Return the values as the column's type, and whether they are known to hold no null."""
        try:
            cast, is_complete = _converted(values, column.kind)
            _refuse_changes(values, cast, column.kind)
        except (TypeError, ValueError, OverflowError) as error:
            raise SchemaMismatch(
                f"{self.key}.{column.name}: values of dtype {values.dtype} cannot be read as {column.kind} ({error}); "
                "convert the column before writing"
            ) from error
        return cast, is_complete

    def _refuse_nulls(self, frame: pd.DataFrame, complete: frozenset[str]) -> None:
        for column in self.columns:
            if not column.nullable and column.name not in complete and _has_nulls(frame[column.name]):
                bad = frame[column.name].isna()
                row = frame.loc[bad, list(self.primary_key)].iloc[0].to_dict()
                raise SchemaMismatch(
                    f"{self.key}.{column.name}: {int(bad.sum())} null value(s), first at {row}; the column is required"
                )

    def _refuse_repeated_keys(self, frame: pd.DataFrame) -> None:
        repeated = frame.duplicated(list(self.primary_key))
        if repeated.any():
            row = frame.loc[repeated, list(self.primary_key)].iloc[0].to_dict()
            raise SchemaMismatch(
                f"{self.key}: {int(repeated.sum())} row(s) repeat the primary key {self.primary_key}, first {row}; "
                "keep one row for each key"
            )


def _nulls(kind: Kind, index: pd.Index) -> pd.Series:
    return pd.Series(None if kind == "text" else pd.NaT if kind in ("session", "instant") else np.nan, index=index)


def _held(values: pd.Series, column: Column) -> np.ndarray | None:
    """Return where an added column holds a value; None for a column that always was there."""
    return values.notna().to_numpy() if column.is_added else None


def ascends_strictly(frame: pd.DataFrame, keys: Sequence[str], *, complete: frozenset[str] = frozenset()) -> bool:
    """Return whether each row's key is above the one before: asking costs a small part of a sort and a search.

    Columns in `complete` are known to hold no null.
    """
    undecided = np.ones(max(len(frame) - 1, 0), dtype=bool)
    for key in keys:
        if key not in complete and _has_nulls(frame[key]):
            return False  # a null has no place in an order
        values = frame[key].to_numpy("datetime64[ns]" if isinstance(frame[key].dtype, pd.DatetimeTZDtype) else None)
        above = values[1:] > values[:-1]
        if key == keys[-1]:
            return bool(np.all(above | ~undecided))
        equal = values[1:] == values[:-1]
        if np.any(undecided & ~above & ~equal):
            return False
        undecided &= equal
    return len(frame) <= 1


def _converted(values: pd.Series, kind: Kind) -> tuple[pd.Series, bool]:
    """Return the values as the kind's type, and whether they are known to hold no null: texts are searched but once."""
    if kind not in ("text", "floats"):
        return _as_numbers(values, kind), False
    given = values if values.dtype == object else values.astype(object)
    if _has_nulls(given):
        return given.where(values.notna(), None), False
    return given, True


def _as_numbers(values: pd.Series, kind: Kind) -> pd.Series:
    if values.dtype == _PANDAS_DTYPE[kind]:
        return values
    if kind == "instant":
        return pd.to_datetime(values, utc=True).astype(_PANDAS_DTYPE["instant"])
    if kind == "session":
        return pd.to_datetime(values).astype(_PANDAS_DTYPE["session"])
    if kind in ("integer", "boolean") and values.isna().any():
        raise ValueError(f"{int(values.isna().sum())} null value(s)")
    with np.errstate(invalid="ignore"):  # a number too large for an integer is refused with its value
        return values.astype(_PANDAS_DTYPE[kind])


def _has_nulls(values: pd.Series) -> bool:
    # Whether all objects are strings is told in a tenth of the time that a search for nulls among them takes.
    is_text = values.dtype == object and pd.api.types.infer_dtype(values, skipna=False) == "string"
    return not is_text and bool(values.isna().any())


def _refuse_changes(values: pd.Series, cast: pd.Series, kind: Kind) -> None:
    """Raise ValueError where a conversion would store another value than was given."""
    if kind == "session":
        given = cast.to_numpy()
        if not np.any(given.view(np.int64) % _NANOSECONDS_PER_DAY):
            return
        stored = given.astype("datetime64[D]")
    elif kind in ("integer", "boolean", "float") and values.dtype != cast.dtype:
        given, stored = values.to_numpy(), cast.to_numpy()
    else:
        return
    same = values.isna().to_numpy() | (given == stored)
    if not same.all():
        first = int(np.argmin(same))
        raise ValueError(f"{values.iloc[first]} would become {stored[first]}")


def _encode(values: pd.Series, kind: Kind) -> np.ndarray | list[bytes]:
    if kind in ("session", "instant"):
        return values.to_numpy(dtype="datetime64[ns]").astype("<i8")
    if kind == "text":
        return [b"\x00" if v is None else b"\x01" + str(v).encode() + b"\x00" for v in values]
    if kind == "floats":
        return [np.asarray(v, dtype="<f8").tobytes() + b"\x00" for v in values]
    return values.to_numpy()
