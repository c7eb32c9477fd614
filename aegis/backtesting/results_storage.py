"""Results of a backtest in a folder: Parquet files, and one JSON file for what is not a table.

Belongs here: the layout on disk. ``results.json`` says what was simulated; ``records/`` holds the kernel's records,
from which everything else can be worked out again; the files beside it are the frames that people read.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aegis.backtesting.kernel import records
from aegis.durable_files import flush_folder, flush_tree, replace_file
from aegis.errors import BacktestError

if TYPE_CHECKING:
    from aegis.backtesting.results import BacktestResults

FORMAT_VERSION: Final = 2
RESULTS_FILE: Final = "results.json"
RECORDS_FOLDER: Final = "records"

RECORD_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    "sessions": records.SESSION,
    "order_records": records.ORDER,
    "fill_records": records.FILL,
    "amendment_records": records.AMENDMENT,
    "action_records": records.ACTION,
    "position_records": records.POSITION,
    "account_record": records.ACCOUNT,
}
_COLUMNS: Final = ("closes_at", "equity_usd", "cash_usd")
_SCALARS: Final = (
    "strategy",
    "source",
    "is_simulated",
    "initial_cash_usd",
    "lot_shares",
    "price_mode",
    "settings",
    "risk_free_rate_annual",
    "sessions_per_year",
    "code_version",
    "config_hash",
)


def stored_fields(results: BacktestResults) -> dict[str, Any]:
    """Return what is stored of `results`: the arguments that make it again, cut to the steps that were taken."""
    steps, begun = len(results.equity_usd), len(results.session_days)
    sessions = np.zeros(begun + 1, records.SESSION)
    sessions["first_step"] = results.session_first_steps
    sessions["day"][:begun] = results.session_days
    fields: dict[str, Any] = {name: getattr(results, name) for name in (*_SCALARS, *RECORD_DTYPES)}
    fields["settings"] = {group: dict(values) for group, values in results.settings.items()}
    return fields | {
        "symbols": results.symbols,
        "sessions": sessions,
        "closes_at": results.closes_at[:steps],
        "equity_usd": results.equity_usd,
        "cash_usd": results.cash_usd,
        "closes_usd": results.session_closes_usd,
    }


def same_fields(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Return whether two results of :func:`stored_fields` are the same bits; NaN equals NaN."""
    return mine.keys() == theirs.keys() and all(_same(mine[name], theirs[name]) for name in mine)


def write_results(results: BacktestResults, folder: Path | str) -> None:
    """Write `results` into a new folder, whole or not at all; see :meth:`BacktestResults.write_parquet`."""
    folder = as_path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BacktestError(f"results: {folder} holds something already and is not overwritten; choose a new folder")
    fields, frames = stored_fields(results), results.to_frames()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            _write(unfinished, fields)
            for name, frame in frames.items():
                frame.to_parquet(unfinished / f"{name}.parquet")
            unfinished.chmod(0o755)
            flush_tree(unfinished)
            unfinished.replace(folder)
            flush_folder(folder.parent)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except OSError as error:
        raise BacktestError(f"results cannot be written to {folder}: {error}; choose a folder you may write") from error


def read_fields(folder: Path | str) -> dict[str, Any]:
    """Return the arguments of the results in `folder`; see :meth:`BacktestResults.read_parquet`."""
    folder = as_path(folder)
    try:
        described = json.loads((folder / RESULTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BacktestError(
            f"results: {folder} holds no readable {RESULTS_FILE} ({error}); write results there first"
        ) from error
    if described.get("format_version") != FORMAT_VERSION:
        raise BacktestError(
            f"results: {folder} has format {described.get('format_version')!r} and this version reads {FORMAT_VERSION}"
            "; read it with the version that wrote it, or run the backtest again"
        )
    fields: dict[str, Any] = {name: described[name] for name in _SCALARS}
    fields["symbols"] = tuple(described["symbols"])
    stored = folder / RECORDS_FOLDER
    steps = pq.read_table(stored / "steps.parquet")
    fields |= {name: steps[name].to_numpy() for name in _COLUMNS}
    for name, dtype in RECORD_DTYPES.items():
        fields[name] = _records(pq.read_table(stored / f"{name}.parquet"), dtype)
    closes = stored / "session_closes.parquet"
    fields["closes_usd"] = _matrix(pq.read_table(closes)) if closes.exists() else None
    return fields


def as_path(folder: Path | str) -> Path:
    """Return the path of a folder that a user named.

    Raises
    ------
    BacktestError
        It is no path.
    """
    if not isinstance(folder, str | os.PathLike):
        raise BacktestError(f"results: the folder is {type(folder).__name__}, expected a path; pass a Path or a str")
    return Path(folder)


def _write(folder: Path, fields: Mapping[str, Any]) -> None:
    described = {"format_version": FORMAT_VERSION, "symbols": list(fields["symbols"])}
    described |= {name: fields[name] for name in _SCALARS}
    text = json.dumps(described, indent=2, ensure_ascii=False)
    replace_file(folder / RESULTS_FILE, f"{text}\n".encode())
    stored = folder / RECORDS_FOLDER
    stored.mkdir()
    pq.write_table(pa.table({name: fields[name] for name in _COLUMNS}), stored / "steps.parquet")
    for name in RECORD_DTYPES:
        pq.write_table(_table(fields[name]), stored / f"{name}.parquet")
    if fields["closes_usd"] is not None:
        closes = {str(number): column for number, column in enumerate(fields["closes_usd"].T)}
        pq.write_table(pa.table(closes), stored / "session_closes.parquet")


def _table(rows: NDArray[Any]) -> pa.Table:
    """Return records as a table; a field that is an array itself becomes one column for each of its elements."""
    columns: dict[str, NDArray[Any]] = {}
    for name in rows.dtype.names or ():
        column = rows[name]
        if column.ndim == 1:
            columns[name] = np.ascontiguousarray(column)
        else:
            columns |= {f"{name}.{k}": np.ascontiguousarray(column[:, k]) for k in range(column.shape[1])}
    return pa.table(columns)


def _records(table: pa.Table, dtype: np.dtype[Any]) -> NDArray[Any]:
    rows = np.zeros(table.num_rows, dtype)
    for name in dtype.names or ():
        if rows[name].ndim == 1:
            rows[name] = table[name].to_numpy()
        else:
            for k in range(rows[name].shape[1]):
                rows[name][:, k] = table[f"{name}.{k}"].to_numpy()
    return rows


def _matrix(table: pa.Table) -> NDArray[np.float64]:
    matrix = np.empty((table.num_rows, table.num_columns))
    for number in range(table.num_columns):
        matrix[:, number] = table[str(number)].to_numpy()
    return matrix


def _same(mine: Any, theirs: Any) -> bool:
    if not isinstance(mine, np.ndarray):
        return bool(mine == theirs)
    if mine.dtype.names:
        return all(_same(mine[name], theirs[name]) for name in mine.dtype.names)
    return np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")
