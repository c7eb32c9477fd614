"""What may be mended in a raw bar without inventing anything: blanks around a text, and the noise of floating point.

Belongs here: the repairs, each documented, reversible and idempotent. The raw row stays as it was delivered; what was
changed is a row of ``quality/repaired_values``. Nothing that changes a price by more than rounding is repaired: that
would be an invented price, and is quarantined or blocked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

BLANKS_CHECK = "texts_have_no_blanks_around_them"
NOISE_CHECK = "highs_and_lows_reach_the_body"

FLOAT_NOISE = 1e-9
"""Relative distance below which two prices are one: a hundred-thousandth of a cent at 100 USD, far below any tick."""

_TEXTS = ("ticker", "source")

Change = tuple[int, str, str, str, str]
"""Row, column, check, original and repaired value."""


@dataclass(frozen=True)
class RepairedBars:
    """Raw bars after repair, row by row those that were given.

    Parameters
    ----------
    bars : DataFrame
        Raw bars with ``repaired_blanks`` and ``repaired_noise`` beside them: what was changed, null where nothing was.
    changes : DataFrame
        One row for each changed value: ``row`` (position in `bars`), ``column``, ``check``, ``original`` and
        ``repaired`` as text; a price as Python's ``repr``, which reads back to the same bits.
    """

    bars: pd.DataFrame
    changes: pd.DataFrame


def repaired_bars(raw_bars: pd.DataFrame) -> RepairedBars:
    """Return raw bars with blanks cut off texts, and highs and lows moved by rounding to where they must be.

    Parameters
    ----------
    raw_bars : DataFrame
        :data:`aegis.lake.tables.RAW_BARS` with a ``RangeIndex``.

    Notes
    -----
    Each row is judged by itself, so nothing depends on the range or on other rows. A text of blanks only is left alone.
    The symbol is never changed: it is the key, and a row with another key is another instrument's.
    """
    bars = raw_bars.copy()
    blanks = [part for column in _TEXTS for part in _trimmed(bars, column)]
    noise = [*_reached(bars, "high_raw_usd", np.fmax), *_reached(bars, "low_raw_usd", np.fmin)]
    for name, changes in (("repaired_blanks", blanks), ("repaired_noise", noise)):
        bars[name] = _said(changes, len(bars))
    columns = ["row", "column", "check", "original", "repaired"]
    return RepairedBars(bars, pd.DataFrame([*blanks, *noise], columns=columns))


def _trimmed(bars: pd.DataFrame, column: str) -> list[Change]:
    texts = bars[column]
    changes = {}
    for text in pd.unique(texts):
        trimmed = str(text).strip()
        if trimmed and trimmed != text:
            changes[text] = trimmed
    if not changes:
        return []
    rows = np.flatnonzero(texts.isin(list(changes)))
    before = texts.to_numpy(dtype=object)[rows]
    after = [changes[text] for text in before]
    bars.loc[bars.index[rows], column] = after
    return [(int(r), column, BLANKS_CHECK, str(b), a) for r, b, a in zip(rows, before, after, strict=True)]


def _reached(bars: pd.DataFrame, column: str, edge: np.ufunc) -> list[Change]:
    prices = bars[column].to_numpy(dtype=np.float64, copy=True)
    body: npt.NDArray[np.float64] = edge(bars["open_raw_usd"].to_numpy(), bars["close_raw_usd"].to_numpy())
    with np.errstate(invalid="ignore"):
        inside = prices < body if edge is np.fmax else prices > body
        near = np.abs(prices - body) <= FLOAT_NOISE * np.abs(body)
    rows = np.flatnonzero(inside & near & np.isfinite(prices) & np.isfinite(body) & (prices > 0))
    before = prices[rows].tolist()
    prices[rows] = body[rows]
    bars[column] = prices
    return [
        (int(r), column, NOISE_CHECK, repr(b), repr(a))
        for r, b, a in zip(rows, before, body[rows].tolist(), strict=True)
    ]


def _said(changes: list[Change], length: int) -> npt.NDArray[np.object_]:
    said: npt.NDArray[np.object_] = np.full(length, None, dtype=object)
    for row, column, _, original, mended in changes:
        text = f"{column} {original!a} is taken as {mended!a}"
        said[row] = text if said[row] is None else f"{said[row]} and {text}"
    return said
