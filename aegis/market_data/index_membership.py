"""Who belonged to an index when: a file of the user's own, read point in time.

Belongs here: reading that file, and who is in the index as known at an instant. What else a member of the universe must
be is :mod:`aegis.market_data.universe`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.errors import ConfigurationError, MalformedData
from aegis.instruments import require_symbol
from aegis.market_data.sources.tabular import (
    TABLE_SUFFIXES,
    as_days,
    as_instants,
    as_names,
    read_table,
    select_columns,
)

_SETTING = "universe.membership_file"


@dataclass(frozen=True)
class IndexMembers:
    """Intervals of membership.

    Parameters
    ----------
    spells : DataFrame
        ``symbol``, ``first_session``, ``last_session`` (both included; NaT while it belongs), ``known_at_utc`` (NaT:
        known when it begins).
    """

    spells: pd.DataFrame

    def as_known(
        self, symbols: Sequence[str], sessions: Sequence[date], known_by: pd.DatetimeIndex
    ) -> npt.NDArray[np.bool_]:
        """Return who belongs to the index in each session, as known at its decision; shape (sessions, symbols).

        Parameters
        ----------
        symbols, sessions : sequence
            Columns and rows of the result; sessions ascend.
        known_by : DatetimeIndex, length (sessions,)
            The decision time of each session; NaT knows nothing.

        Notes
        -----
        An interval counts from its announcement on and never before its first day. Its end is compared with the
        session itself, so that an end that lies ahead is not seen.
        """
        belongs = np.zeros((len(sessions), len(symbols)), dtype=bool)
        days = np.array(sessions, dtype="datetime64[ns]")
        columns = pd.Index(symbols).get_indexer(pd.Index(self.spells["symbol"]))
        for column, row in zip(columns.tolist(), self.spells.to_dict("records"), strict=True):
            if column < 0:
                continue
            inside = days >= row["first_session"].to_datetime64()
            if not pd.isna(row["last_session"]):
                inside &= days <= row["last_session"].to_datetime64()
            if not pd.isna(row["known_at_utc"]):
                inside &= np.asarray(known_by >= row["known_at_utc"])
            belongs[inside, column] = True
        return belongs


def read_membership(file: Path) -> IndexMembers:
    """Read a membership file.

    Parameters
    ----------
    file : Path
        CSV or Parquet: ``symbol``, ``from``, optional ``to`` (last day, empty while it belongs) and ``known_at`` (with
        its time zone; empty: known from the first day on).

    Raises
    ------
    ConfigurationError
        The file is not there, or is neither CSV nor Parquet.
    MalformedData
        A column or a first day is missing, an interval ends before it begins, or two of one symbol overlap.
    """
    if not file.is_file() or file.suffix.lower() not in TABLE_SUFFIXES:
        raise ConfigurationError(
            f"{_SETTING}: {file} is no file that ends with {' or '.join(sorted(TABLE_SUFFIXES))}; name one with the "
            "columns symbol, from, to, known_at, or leave the setting out"
        )
    table = select_columns(
        read_table(file), file, required=("symbol", "from"), optional=("to", "known_at"), mapping={}, setting=_SETTING
    )
    none = pd.Series(pd.NaT, index=table.index)
    spells = pd.DataFrame(
        {
            "symbol": as_names(table["symbol"], file),
            "first_session": as_days(table["from"], file),
            "last_session": as_days(table["to"], file) if "to" in table else none,
            "known_at_utc": as_instants(table["known_at"], file) if "known_at" in table else none,
        }
    ).sort_values(["symbol", "first_session"], ignore_index=True)
    for symbol in spells["symbol"].unique():
        require_symbol(symbol)
    _refuse(spells, spells["first_session"].isna(), file, "has no first day", "fill the column from")
    _refuse(spells, spells["last_session"] < spells["first_session"], file, "ends before it begins", "correct to")
    before = spells.groupby("symbol")["last_session"].shift()
    is_later = spells.duplicated("symbol")
    overlaps = is_later & (before.isna() | (before >= spells["first_session"]))
    _refuse(spells, overlaps, file, "overlaps the interval before it", "end that one first")
    return IndexMembers(spells)


def _refuse(spells: pd.DataFrame, bad: pd.Series, file: Path, problem: str, remedy: str) -> None:
    if bad.any():
        row = spells.loc[bad].iloc[0]
        raise MalformedData(
            f"{file.name}: {row['symbol']} {str(row['first_session'])[:10]} to {str(row['last_session'])[:10]}: the "
            f"membership {problem}; {remedy}"
        )
