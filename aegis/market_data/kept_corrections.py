"""Bars that a person corrected, when the source is asked for their sessions again.

Belongs here: finding them in the lake and putting them in the place of the source's. Making a correction is
:mod:`aegis.market_data.corrections`.
"""

from __future__ import annotations

import json
from datetime import date

import pandas as pd

from aegis.lake.lake import Lake
from aegis.lake.tables import RAW_BARS

CORRECTION_SOURCE = "correction"
"""Source of a row that a person gave."""
WRITTEN_BY = "aegis data correct by"
"""How the commit message of a correction names its writer; the person follows."""

_KEY = ["session", "symbol"]


def with_kept_corrections(answer: pd.DataFrame, lake: Lake, *, first: date, last: date) -> pd.DataFrame:
    """Return a source's bars with those in place that a person corrected.

    Parameters
    ----------
    answer : DataFrame
        :data:`aegis.lake.tables.RAW_BARS` of the range, as the source states them now.
    lake : Lake
    first, last : date
        Range of sessions, inclusive.

    Returns
    -------
    DataFrame
        The same table. A corrected row stands in the place of every row of its session and symbol, and one that the
        source lacks is there as well.

    Raises
    ------
    LakeUnreadable
        There are corrections, and they cannot be read.

    Notes
    -----
    Whoever computes sessions again asks the source again, which goes on saying what was corrected. A correction holds
    until another replaces it, or ``aegis data correct --from`` takes the source's word again. Where nobody corrected
    anything nothing is read, so that damaged bars are replaced by the source's.
    """
    if not _were_corrected(lake, first, last):
        return answer
    stored = lake.read(RAW_BARS, first=first, last=last)
    corrected = stored[stored["source"] == CORRECTION_SOURCE]
    if corrected.empty:
        return answer
    others = answer[~pd.MultiIndex.from_frame(answer[_KEY]).isin(pd.MultiIndex.from_frame(corrected[_KEY]))]
    return RAW_BARS.conform(pd.concat([others, corrected], ignore_index=True) if len(others) else corrected)


def _were_corrected(lake: Lake, first: date, last: date) -> bool:
    """Return whether a snapshot, expired ones included, tells of a correction of bars in the range."""
    for told in lake.snapshots()["commit_extra_info"].dropna():
        if WRITTEN_BY not in told:
            continue
        message = json.loads(told)
        low, _, high = message["sessions"].partition("..")
        if message["asset"] == RAW_BARS.key and low <= last.isoformat() and first.isoformat() <= high:
            return True
    return False
