"""CSV and Parquet files of prices, read without guessing.

Belongs here: finding columns, dates and numbers in a user's table, and saying exactly where one is not what it should
be. What the columns mean is the layouts' business.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aegis.errors import ConfigurationError, MalformedData

TABLE_SUFFIXES = (".csv", ".parquet")

_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_MISSING_TEXTS = ("", "nan", "null", "none", "na", "n/a")


_CSV_CELLS: dict[str, Any] = {"dtype": str, "keep_default_na": False, "skipinitialspace": True, "encoding": "utf-8-sig"}


def table_files(folder: Path, *, setting: str) -> list[Path]:
    """Return the CSV and Parquet files that lie directly in a folder, by name.

    Parameters
    ----------
    folder : Path
    setting : str
        Where the folder is configured, for messages.

    Raises
    ------
    ConfigurationError
        Something is called as a table is and is no file: a link to nothing, or a folder of parts. Passing it over
        would leave its instruments out without a word.
    """
    named = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLE_SUFFIXES)
    for path in named:
        if not path.is_file():
            kind = "a link that leads to no file" if path.is_symlink() else "no file"
            raise ConfigurationError(
                f"{setting}: {path.name} in {folder} is {kind}; put the file itself there (of a folder of parts, its "
                "files) or take it away"
            )
    return named


def read_table(file: Path) -> pd.DataFrame:
    """Read one CSV or Parquet file.

    Parameters
    ----------
    file : Path
        A ``.csv`` or ``.parquet`` file. CSV cells are read as text, so that the tickers ``NA``, ``NAN`` and ``TRUE``
        stay tickers.

    Returns
    -------
    DataFrame
        Columns are named as in the file, also where two have one name: :func:`select_columns` does not choose.

    Raises
    ------
    MalformedData
        The file cannot be read as what its name says, has no rows, separates its columns by something else than
        commas, or has rows with more values than the heading has names.
    """
    try:
        frame = _read_csv(file) if file.suffix.lower() == ".csv" else _read_parquet(file)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise MalformedData(
            f"{file.name}: cannot be read as {file.suffix.lower().removeprefix('.')} ({error}); export it again"
        ) from error
    if frame.empty:
        raise MalformedData(f"{file.name}: no rows; fill the file or remove it")
    return frame


def _read_csv(file: Path) -> pd.DataFrame:
    _refuse_another_delimiter(file)
    _refuse_nul_bytes(file)
    frame = pd.DataFrame(pd.read_csv(file, **_CSV_CELLS))
    heading = pd.read_csv(file, header=None, nrows=1, **_CSV_CELLS).iloc[0].astype(str).tolist()
    if len(heading) != len(frame.columns) or not isinstance(frame.index, pd.RangeIndex):
        # pandas takes the first values of longer rows for an index and moves all others one name to the left
        raise MalformedData(
            f"{file.name}: its rows have more values than the {len(heading)} names of its heading, {heading}; name "
            "every column, and put texts and numbers that hold a comma in double quotes"
        )
    frame.columns = pd.Index(heading)  # pandas calls a second column of one name `name.1`
    return frame


def _read_parquet(file: Path) -> pd.DataFrame:
    """Return the table as its own schema types it: what a writer noted for pandas can be damaged unnoticed."""
    with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
        return pd.DataFrame(parquet.read().to_pandas(ignore_metadata=True))


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
        A required or mapped column is not in the file, or two of its columns have the name.
    """
    asked = [*required, *optional]
    for name in mapping:
        if name not in asked:
            near = difflib.get_close_matches(name, asked, n=1, cutoff=0.0)[0]
            raise ConfigurationError(f"{setting}: {name!r} is not a column; the nearest is {near!r} of {asked}")
    names = [str(column) for column in frame.columns]
    folded = [name.strip().casefold() for name in names]
    found: dict[str, pd.Series] = {}
    for name in asked:
        wanted = mapping.get(name, name)
        places = [place for place, column in enumerate(names) if column == wanted] if name in mapping else []
        places = places or [place for place, column in enumerate(folded) if column == wanted.casefold()]
        if len(places) > 1:
            raise MalformedData(
                f"{file.name}: the columns {[names[place] for place in places]} can all be {name!r}; keep or rename "
                f"all but one, or name one that differs with {setting}: {{{name}: <column in the file>}}"
            )
        if places:
            found[name] = frame.iloc[:, places[0]]
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
        _refuse_beyond_nanoseconds(values, file)
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
        _refuse_beyond_nanoseconds(values, file)
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


def as_names(values: pd.Series, file: Path) -> pd.Series:
    """Return symbols or tickers as stripped text.

    Raises
    ------
    MalformedData
        A cell is empty or missing: as text a missing one would be an instrument called ``None`` or ``nan``.
    """
    texts = as_texts(values)
    _refuse_first(values, values.isna() | (texts == ""), file, expected="a symbol in every row")
    return texts


def _refuse_beyond_nanoseconds(values: pd.Series, file: Path) -> None:
    first, last = pd.Timestamp.min.year + 1, pd.Timestamp.max.year - 1
    wrong = values.notna() & ~values.dt.year.between(first, last)
    _refuse_first(values, wrong, file, expected=f"a year from {first} to {last}")


def _refuse_first(values: pd.Series, wrong: pd.Series, file: Path, *, expected: str) -> None:
    if not wrong.any():
        return
    position = int(np.flatnonzero(wrong.to_numpy())[0])
    place = f"line {position + 2}" if file.suffix.lower() == ".csv" else f"row {position}"
    raise MalformedData(
        f"{file.name} {place}, column {values.name!r}: expected {expected}, found {values.iloc[position]!r}"
        f" ({int(wrong.sum())} such value(s)); correct the file"
    )
