"""What a jump looks like: a split that nobody recorded, a price in the wrong unit, or no move that a share makes.

Belongs here: telling errors of the data from true moves, and the words about them. What moved and what is recorded is
:mod:`aegis.market_data.price_jumps`; the bounds that a person may set are settings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.config_quality import QualitySettings
from aegis.market_data.price_jumps import recorded_actions

SPLIT_SIZES = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 50.0)
"""Shares for one share (or the inverse) of the splits that happen."""

SPLIT_OPEN_TOLERANCE = 0.04
"""Overnight move that may sit on top of a split, whatever the volume. AAPL opened 2.3 % above its 4:1 level on
2020-08-31; it opened 5 % above half its close on 2000-09-29, which was a profit warning."""

REVERSE_SPLIT_OPEN_TOLERANCE = 0.08
"""The same for a reverse split, believed sooner because true gains of that size are rarer than losses. USO opened 5.7 %
above its 1:8 level on 2020-04-29; AIG opened 12 % below twice its close on 2008-09-19, which was a rescue."""

CLOSE_TOLERANCE = 0.15
"""The same until the close; AAPL closed 10 % above its 2:1 split level on 2000-06-21."""

LOWEST_PRICE_AFTER_SPLIT_USD = 5.0
"""Nobody splits a share into pieces below this: WM's fall to 0.16 on 2008-09-26, a tenth, was a failure."""

UNIT_SLIPS = (10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0)
"""Factors by which a price is off when cents, pence, thousands or a decimal point were mistaken."""

SURE_SLIP = 100.0
"""From this factor on, a close that stands near it is a slip whatever else; a factor of 10 must be implausible too."""

IMPLAUSIBLE_MOVE = 2.0
"""Absolute log return, a factor of 7.4, that no share makes between two sessions without an action, however wild."""

COLLAPSE = 3.0
"""The same for a fall to less than 1 USD, a factor of 20: failures do that. WM closed at 0.16 on 2008-09-26, after
1.77."""

COLLAPSED_PRICE_USD = 1.0

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class _Jump:
    """One bar that moved beyond the bound: log returns, and what the symbol's own past says of them (NaN if nothing).

    Parameters
    ----------
    overnight, move : float
        Log returns from the close before to the open and to the close, after the recorded actions.
    close_usd : float
        Raw close.
    robust_volatility : float
        Of one session.
    dollar_volume_multiple : float
        Close × volume over its median.
    """

    overnight: float
    move: float
    close_usd: float
    robust_volatility: float
    dollar_volume_multiple: float

    @property
    def fell_below_a_dollar(self) -> bool:
        return self.move < 0 and self.close_usd < COLLAPSED_PRICE_USD


def suspected_causes(moves: pd.DataFrame, *, settings: QualitySettings) -> Texts:
    """Return the error that each jump looks like, or None for one that may be a true move.

    Parameters
    ----------
    moves : DataFrame
        One row a bar: ``unexplained_log_return`` and ``overnight_log_return``
        (:func:`~aegis.market_data.price_jumps.closes_in_context`), ``close_raw_usd``, ``robust_volatility`` (of one
        session) and ``dollar_volume_multiple`` (close × volume over its median), the last two from the sessions before
        the bar and NaN where these are too few.
    settings : QualitySettings
        ``unexplained_jump``, ``implausible_jump`` (absolute log returns), ``implausible_robust_volatilities``,
        ``split_robust_volatilities`` and ``news_volume_multiple``.

    Returns
    -------
    ndarray of object, shape (rows,)
        Words, or None.

    Notes
    -----
    A split changes price and number of shares and brings no news, so the dollars that change hands stay what they were,
    while a true move of this size brings a burst of trading. Near a split level therefore means a fixed distance
    whatever the volume, and a distance in the symbol's own volatility where the open jumped and the trading was
    ordinary. What is not known of a symbol's past speaks against the jump: a volume that is missing shows no burst, and
    a volatility that is missing excuses no move. Nothing after the bar is read, so that a level persists is known of
    the day alone: the open and the close both stand at it.
    """
    causes: Texts = np.full(len(moves), None, dtype=object)
    bound = min(settings.unexplained_jump, IMPLAUSIBLE_MOVE)
    jumped = np.flatnonzero(np.abs(moves["unexplained_log_return"].to_numpy()) > bound)
    columns = (
        "overnight_log_return", "unexplained_log_return", "close_raw_usd", "robust_volatility",
        "dollar_volume_multiple",
    )  # fmt: skip
    values = moves.iloc[jumped][list(columns)].to_numpy(dtype=np.float64)
    levels = _split_levels(settings.unexplained_jump)
    for row, numbers in zip(jumped, values.tolist(), strict=True):
        jump = _Jump(*numbers)
        causes[row] = (
            _slip(jump.move, smallest=SURE_SLIP)
            or _missing_split(jump, levels, settings)
            or _implausible(jump)
            or _out_of_character(jump, settings)
        )
    return causes


def _split_levels(bound: float) -> Floats:
    """Return the log steps of splits (below 0) and reverse splits beyond the bound.

    A split smaller than the bound cannot be told from a true move: WMI fell by a third overnight on 1999-07-07.
    """
    steps = np.log([size for size in SPLIT_SIZES if math.log(size) > bound])
    return np.concatenate([-steps, steps])


def _slip(move: float, *, smallest: float) -> str | None:
    for slip in UNIT_SLIPS:
        if slip >= smallest and _is_near(move - math.log(slip)):
            return f"a unit slip, {slip:g} x too high"
        if slip >= smallest and _is_near(move + math.log(slip)):
            return f"a unit slip, {slip:g} x too low"
    return None


def _is_near(log_distance: float) -> bool:
    """Return whether two prices are within the tolerance; a wrong price may be further away than a float can say."""
    return log_distance < 1.0 and abs(math.expm1(log_distance)) <= CLOSE_TOLERANCE


def _missing_split(jump: _Jump, levels: Floats, settings: QualitySettings) -> str | None:
    """Return the split whose level is nearest to the open, if open and close both stand near it."""
    opened, closed = np.abs(jump.overnight - levels), np.abs(jump.move - levels)
    tolerances = np.where(levels < 0, SPLIT_OPEN_TOLERANCE, REVERSE_SPLIT_OPEN_TOLERANCE)
    near = np.abs(np.expm1(np.minimum(jump.overnight - levels, 1.0))) <= tolerances
    near &= np.abs(np.expm1(np.minimum(jump.move - levels, 1.0))) <= CLOSE_TOLERANCE
    if _jumped_without_news(jump, settings):
        reach = settings.split_robust_volatilities * jump.robust_volatility
        near |= (opened <= reach) & (closed <= max(reach, math.log1p(CLOSE_TOLERANCE)))
    near &= (levels > 0) | (jump.close_usd >= LOWEST_PRICE_AFTER_SPLIT_USD)
    if not near.any():
        return None
    nearest = float(levels[np.argmin(np.where(near, opened, np.inf))])
    return f"a {_terms(nearest)} missing from the actions or doubled in the prices"


def _jumped_without_news(jump: _Jump, settings: QualitySettings) -> bool:
    """Return whether the open is out of character while no more was traded than on other days."""
    is_gap = abs(jump.overnight) > settings.implausible_robust_volatilities * jump.robust_volatility
    return is_gap and not jump.dollar_volume_multiple >= settings.news_volume_multiple


def _implausible(jump: _Jump) -> str | None:
    """Return what is said of a move that no share makes in a session; None for one that may be true."""
    if abs(jump.move) <= (COLLAPSE if jump.fell_below_a_dollar else IMPLAUSIBLE_MOVE):
        return None
    return _slip(jump.move, smallest=UNIT_SLIPS[0]) or "an error in the prices, larger than any move of a session"


def _out_of_character(jump: _Jump, settings: QualitySettings) -> str | None:
    """Return what is said of a move that this share does not make; None for one that may be true."""
    if abs(jump.move) <= max(settings.implausible_jump, settings.unexplained_jump) or jump.fell_below_a_dollar:
        return None
    if abs(jump.move) <= settings.implausible_robust_volatilities * jump.robust_volatility:
        return None
    if math.isnan(jump.robust_volatility):
        return "a wrong price or an action that nobody recorded, as it has too short a past to be used to such moves"
    multiple = abs(jump.move) / jump.robust_volatility
    return f"a wrong price or an action that nobody recorded, {multiple:.0f} robust volatilities away"


def _terms(level: float) -> str:
    halves = round(2 * math.exp(abs(level)))
    new, old = (halves, 2) if halves % 2 else (halves // 2, 1)
    return f"{old}:{new} reverse split" if level > 0 else f"{new}:{old} split"


def words_for(row: Mapping[str, Any]) -> dict[str, str]:
    """Return what is said of a jump's recorded actions, and the cure that follows."""
    known, cause = recorded_actions(row), str(row["suspected_cause"])
    recorded = f"{known} is recorded, which does not explain it" if known else "no split is recorded"
    cure = "correct the recorded action or the prices" if known else "add the split"
    if any(word in cause for word in ("unit slip", "error in the prices")):
        cure = "correct the price in the source"
    elif "nobody recorded" in cause:
        cure = "look it up, then record the action or correct the price in the source,"
    return {"recorded": recorded, "cure": cure}
