"""Whether two sources tell the same about a bar: both rows side by side, and how far apart they are.

Belongs here: the comparison, without a verdict. Which source answers for a bar is
:mod:`aegis.market_data.multi_source`; what a difference leads to stands in the rule table of
:mod:`aegis.market_data.expectations`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.config_quality import QualitySettings
from aegis.lake.tables import SOURCE_AGREEMENT

FIELDS = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd", "volume_shares")

_KEY = ["session", "symbol"]
_RANGE = FIELDS[:3]
_SHARES = 2**32


def is_compared(session: date, share: float) -> bool:
    """Return whether a session is in the sample of `share` that a second source is asked for.

    Parameters
    ----------
    session : date
    share : float
        From 0 (none) to 1 (all).

    Notes
    -----
    The sample is drawn by a hash of the date: a session is in it or not whatever else is asked for with it, and every
    session of a smaller share is in a larger one.
    """
    drawn = int.from_bytes(hashlib.sha256(session.isoformat().encode()).digest()[:4], "big")
    return drawn < share * _SHARES


def compare_bars(bars: pd.DataFrame, others: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the bars of one source beside those of the next source that has them.

    Parameters
    ----------
    bars : DataFrame
        :data:`aegis.lake.tables.RAW_BARS` that are judged and perhaps traded on.
    others : sequence of DataFrame
        The same table as other sources state it, in the order in which they are believed.

    Returns
    -------
    DataFrame
        :data:`aegis.lake.tables.SOURCE_AGREEMENT`: one row for each session and symbol that some other source than the
        bar's own has. A bar without a second opinion has no row.
    """
    own = bars.drop_duplicates(_KEY)[[*_KEY, "source", *FIELDS]]
    found: list[pd.DataFrame] = []
    for other in others:
        second = other.drop_duplicates(_KEY)[[*_KEY, "source", *FIELDS]]
        both = own.merge(second.rename(columns={name: f"other_{name}" for name in ("source", *FIELDS)}), on=_KEY)
        both = both[both["source"] != both["other_source"]]
        found.append(both)
        matched = pd.MultiIndex.from_frame(both[_KEY])
        own = own[~pd.MultiIndex.from_frame(own[_KEY]).isin(matched)]
    rows = [frame for frame in found if not frame.empty]
    if not rows:
        return SOURCE_AGREEMENT.empty()
    pairs = pd.concat(rows, ignore_index=True)
    pairs["close_ratio"] = _ratio(pairs["other_close_raw_usd"], pairs["close_raw_usd"])
    return SOURCE_AGREEMENT.conform(pairs)


def with_agreement(rows: pd.DataFrame, agreement: pd.DataFrame, *, settings: QualitySettings) -> pd.DataFrame:
    """Return the rows of evidence with how far a second source is from each.

    Parameters
    ----------
    rows : DataFrame
        Evidence about bars, with the columns of :data:`aegis.lake.tables.RAW_BARS`.
    agreement : DataFrame
        :data:`aegis.lake.tables.SOURCE_AGREEMENT`.
    settings : QualitySettings
        Tolerances; they decide which of the other fields is named.

    Returns
    -------
    DataFrame
        Also ``other_source``, ``other_close_raw_usd``, ``other_close_ratio`` (other / own), ``close_gap``,
        ``range_gap`` and ``volume_gap`` (larger / smaller - 1; null where there is no second opinion or a number is
        missing), and ``worst_field``, ``worst_value``, ``worst_other_value``: of open, high, low and volume the one
        that is furthest beyond its tolerance.

    Notes
    -----
    The row's own numbers are those under judgement, not those stored with the comparison, so a bar corrected since is
    judged as it is now.
    """
    if agreement.empty:
        numbers = ("other_close_raw_usd", "other_close_ratio", "close_gap", "range_gap", "volume_gap")
        values = ("worst_value", "worst_other_value")
        return rows.assign(other_source=None, worst_field=None, **dict.fromkeys((*numbers, *values), np.nan))
    others = agreement[[*_KEY, "other_source", *(f"other_{field}" for field in FIELDS)]]
    joined = rows.merge(others, on=_KEY, how="left", validate="many_to_one")
    gaps = {field: _gap(joined[field], joined[f"other_{field}"]) for field in FIELDS}
    joined["other_close_ratio"] = _ratio(joined["other_close_raw_usd"], joined["close_raw_usd"])
    joined["close_gap"] = gaps["close_raw_usd"]
    joined["range_gap"] = np.fmax.reduce([gaps[field] for field in _RANGE])
    joined["volume_gap"] = gaps["volume_shares"]
    return _with_worst_field(joined, gaps, settings)


def _with_worst_field(
    joined: pd.DataFrame, gaps: dict[str, npt.NDArray[np.float64]], settings: QualitySettings
) -> pd.DataFrame:
    named = (*_RANGE, "volume_shares")
    allowed = [settings.range_disagreement] * len(_RANGE) + [settings.volume_disagreement]
    excess = np.vstack([gaps[field] / bound for field, bound in zip(named, allowed, strict=True)])
    worst = np.argmax(np.where(np.isnan(excess), -1.0, excess), axis=0)
    at = np.arange(len(joined))
    own = np.vstack([joined[field].to_numpy(dtype=np.float64) for field in named])
    other = np.vstack([joined[f"other_{field}"].to_numpy(dtype=np.float64) for field in named])
    return joined.assign(
        worst_field=np.array(named, dtype=object)[worst], worst_value=own[worst, at], worst_other_value=other[worst, at]
    )


def _gap(own: pd.Series, other: pd.Series) -> npt.NDArray[np.float64]:
    """Return larger / smaller - 1: 0 where both are equal, infinite where only one is 0 or their signs differ."""
    left, right = own.to_numpy(dtype=np.float64), other.to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(left == right, 1.0, np.maximum(left, right) / np.minimum(left, right))
    gap = np.where(ratio > 0, ratio - 1.0, np.inf)
    result: npt.NDArray[np.float64] = np.where(np.isnan(left) | np.isnan(right), np.nan, gap)
    return result


def _ratio(other: pd.Series, own: pd.Series) -> pd.Series:
    return (other / own).where(own != 0)
