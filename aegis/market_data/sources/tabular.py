"""CSV and Parquet files of prices, read without guessing.

Belongs here: finding columns, dates and numbers in a user's table, and saying exactly where one is not what it should
be. What the columns mean is the layouts' business.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aegis.errors import ConfigurationError, MalformedData

TABLE_SUFFIXES = (".csv", ".parquet")

_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_MISSING_TEXTS = ("", "nan", "null", "none", "na", "n/a")


def read_table(file: Path) -> pd.DataFrame:
    """Read one CSV or Parquet file.

    Parameters
    ----------
    file : Path
        A ``.csv`` or ``.parquet`` file. CSV cells are read as text, so that the tickers ``NA``, ``NAN`` and ``TRUE``
        stay tickers.

    Raises
    ------
    MalformedData
        The file cannot be read as what its name says, has no rows, or separates its columns by something else than
        commas.
    """
    try:
        if file.suffix.lower() == ".csv":
            _refuse_another_delimiter(file)
            _refuse_nul_bytes(file)
            frame = pd.read_csv(file, dtype=str, keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig")
        else:
            frame = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise MalformedData(
            f"{file.name}: cannot be read as {file.suffix.lower().removeprefix('.')} ({error}); export it again"
        ) from error
    if frame.empty:
        raise MalformedData(f"{file.name}: no rows; fill the file or remove it")
    return frame


def _refuse_another_delimiter(file: Path) -> None:
    """Refuse a heading that is one column under commas and several under another delimiter."""
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        heading = lines.readline().strip()
    for delimiter, word in _OTHER_DELIMITERS.items():
        if delimiter in heading and "," not in heading:
            raise MalformedData(
                f"{file.name}: its columns are separated by {word} and not by commas, its first line is {heading!r}; "
                "export it again with commas between columns and points in decimal numbers"
            )


def _refuse_nul_bytes(file: Path) -> None:
    """Refuse what no text holds: a reader would end the cell there and keep a number that was cut short."""
    place = file.read_bytes().find(b"\0")
    if place >= 0:
        raise MalformedData(
            f"{file.name}: byte {place + 1} is NUL, which no text file holds; the file is damaged or UTF-16: export it "
            "again as UTF-8"
        )


def select_columns(
    frame: pd.DataFrame,
    file: Path,
    *,
    required: Sequence[str],
    optional: Sequence[str],
    mapping: Mapping[str, str],
    setting: str,
) -> pd.DataFrame:
    """Return the columns that are asked for, under our names.

    Parameters
    ----------
    frame : DataFrame
        A file's table.
    file : Path
        Named in messages.
    required, optional : sequence of str
        Our names of the columns.
    mapping : mapping of str to str
        Our name to the file's, for columns that differ by more than case.
    setting : str
        Where `mapping` is configured, for messages.

    Raises
    ------
    ConfigurationError
        `mapping` maps a name that is not asked for.
    MalformedData
        A required or mapped column is not in the file.
    """
    asked = [*required, *optional]
    for name in mapping:
        if name not in asked:
            near = difflib.get_close_matches(name, asked, n=1, cutoff=0.0)[0]
            raise ConfigurationError(f"{setting}: {name!r} is not a column; the nearest is {near!r} of {asked}")
    by_folded_name = {str(column).strip().casefold(): column for column in reversed(frame.columns)}
    found: dict[str, pd.Series] = {}
    for name in asked:
        wanted = mapping.get(name, name)
        column = wanted if wanted in frame.columns else by_folded_name.get(wanted.casefold())
        if column is not None:
            found[name] = frame[column]
        elif name in required or name in mapping:
            raise MalformedData(
                f"{file.name}: no column {wanted!r} for {name!r}; it has {[str(c) for c in frame.columns]}; map it "
                f"with {setting}: {{{name}: <column in the file>}}"
            )
    return pd.DataFrame(found)


def as_days(values: pd.Series, file: Path) -> pd.Series:
    """Return `values` as dates at midnight without a time zone; empty cells become NaT.

    Raises
    ------
    MalformedData
        A value is not an ISO 8601 date. ``06/09/2014`` is refused, as it has two readings.

    Notes
    -----
    A value with a time zone counts for the date on its own clock.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_localize(None)
    if pd.api.types.is_datetime64_dtype(values.dtype):
        return values.astype("datetime64[ns]").dt.normalize()
    text = values.astype(str).str.strip().where(values.notna(), "")
    days = pd.to_datetime(text.str.slice(0, 10), format="%Y-%m-%d", errors="coerce")
    compact = days.isna() & text.str.fullmatch(r"\d{8}")
    days = days.where(~compact, pd.to_datetime(text.where(compact), format="%Y%m%d", errors="coerce"))
    wrong = days.isna() & ~text.str.lower().isin([*_MISSING_TEXTS, "nat"])
    timed = days.notna() & ~compact & (text.str.len() > len("YYYY-MM-DD"))
    wrong |= timed & pd.to_datetime(text.where(timed), format="ISO8601", errors="coerce", utc=True).isna()
    _refuse_first(values, wrong, file, expected="a date as YYYY-MM-DD")
    return days.astype("datetime64[ns]")


def as_instants(values: pd.Series, file: Path) -> pd.Series:
    """Return `values` as aware UTC instants; empty cells become NaT.

    Raises
    ------
    MalformedData
        A value is not an ISO 8601 instant with its time zone: without one it cannot be told when it was known.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return pd.Series(values.dt.tz_convert("UTC").astype("datetime64[ns, UTC]"))
    text = values.astype(str).str.strip().where(values.notna(), "")
    instants = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    zoned = text.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True)
    wrong = ~text.str.lower().isin([*_MISSING_TEXTS, "nat"]) & (instants.isna() | ~zoned)
    _refuse_first(values, wrong, file, expected="an instant with its time zone, as 2014-04-23T20:30:00Z")
    return instants.where(zoned).astype("datetime64[ns, UTC]")


def as_numbers(values: pd.Series, file: Path) -> pd.Series:
    """Return `values` as float64; empty cells become NaN.

    Raises
    ------
    MalformedData
        A value is neither empty nor a finite decimal number. ``1,234.5`` is refused, as it has two readings.
    """
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        numbers = values.astype("float64")
        _refuse_first(values, numbers.abs() == np.inf, file, expected="a finite number")
        return numbers
    text = values.astype(str).str.strip().where(values.notna(), "")
    numbers = pd.to_numeric(text, errors="coerce").astype("float64")
    wrong = (numbers.isna() & ~text.str.lower().isin(_MISSING_TEXTS)) | (numbers.abs() == np.inf)
    _refuse_first(values, wrong, file, expected="a finite number without thousands separators")
    return numbers


def as_texts(values: pd.Series) -> pd.Series:
    """Return `values` as stripped text."""
    return values.astype(str).str.strip().astype(object)


def _refuse_first(values: pd.Series, wrong: pd.Series, file: Path, *, expected: str) -> None:
    if not wrong.any():
        return
    position = int(np.flatnonzero(wrong.to_numpy())[0])
    place = f"line {position + 2}" if file.suffix.lower() == ".csv" else f"row {position}"
    raise MalformedData(
        f"{file.name} {place}, column {values.name!r}: expected {expected}, found {values.iloc[position]!r}"
        f" ({int(wrong.sum())} such value(s)); correct the file"
    )
