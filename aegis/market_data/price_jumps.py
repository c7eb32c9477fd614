"""Each close beside the closes before it: what moved, what corporate actions explain, and what a jump looks like.

Belongs here: the columns on which the gate's checks of jumps and of stale closes rest. The bounds are settings; the
verdict is the expectations'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.config_quality import QualitySettings
from aegis.errors import ConfigurationError

LOOKBACK_SESSIONS = 30
"""How far back a previous close may lie, in sessions; fixed, so that earlier history changes nothing."""

SPLIT_SIZES = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 50.0)
"""Shares for one share (or the inverse) of the splits that happen."""

SPLIT_OPEN_TOLERANCE = 0.04
"""Overnight move that may sit on top of a split. AAPL opened 2.3 % above its 4:1 level on 2020-08-31; it opened 5 %
above half its close on 2000-09-29, which was a profit warning."""

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
"""Absolute log return, a factor of 7.4, that a share does not make between two sessions without an action."""

COLLAPSE = 3.0
"""The same for a fall to less than 1 USD, a factor of 20: failures do that. WM closed at 0.16 on 2008-09-26, after
1.77."""

COLLAPSED_PRICE_USD = 1.0

CONTRADICTION = 0.2
"""Absolute log return, a fifth, from which prices can speak against a recorded action; and the smallest log step of a
split or dividend on which a jump is blamed, as stock dividends of 0.27 % exist."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]


class _Ordered:
    """Closes by symbol and session, with views of the bars before each; positions count sessions."""

    def __init__(self, closes: pd.DataFrame, days: npt.NDArray[np.datetime64]) -> None:
        self.codes = pd.factorize(closes["symbol"])[0]
        self.position = np.searchsorted(days, closes["session"].to_numpy(dtype="datetime64[D]"))

    def before(self, values: Floats, bars: int) -> Floats:
        """Return the value `bars` bars earlier; NaN without one inside the look-back."""
        shifted, earlier = np.full(len(values), np.nan), max(len(values) - bars, 0)
        same = self.codes[bars:] == self.codes[:earlier]
        near = self.position[bars:] - self.position[:earlier] <= LOOKBACK_SESSIONS
        shifted[bars:] = np.where(same & near, values[:earlier], np.nan)
        return shifted

    def follows(self) -> npt.NDArray[np.bool_]:
        """Return which bars follow one of the session before."""
        follow = np.zeros(len(self.codes), dtype=np.bool_)
        follow[1:] = (self.codes[1:] == self.codes[:-1]) & (np.diff(self.position) == 1)
        return follow


def closes_in_context(
    bars: pd.DataFrame, actions: pd.DataFrame, *, days: npt.NDArray[np.datetime64], settings: QualitySettings
) -> pd.DataFrame:
    """Return what the closes before each bar say about it.

    Parameters
    ----------
    bars : DataFrame
        Raw bars of the range and of the look-back before it.
    actions : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS`.
    days : ndarray of datetime64[D]
        Sessions of the calendar, look-back included, ascending.
    settings : QualitySettings
        ``unexplained_jump`` (absolute log return) and ``stale_repeat_sessions``.

    Returns
    -------
    DataFrame
        One row for each session and symbol with a positive close: ``session``, ``symbol``, ``reference_close_usd``
        (raw), ``close_ratio`` (close / that), ``recorded_split_ratio`` and ``recorded_dividend_usd`` since it,
        ``unexplained_log_return``, ``one_session_log_return`` (the same from the session before; NaN without its bar),
        ``suspected_cause`` (null unless the jump looks like an error),
        ``contradicts_actions`` (whether the prices do not show the recorded splits and dividends), ``identical_closes``
        (bars with this close in a row, counted up to the setting).

    Raises
    ------
    ConfigurationError
        ``stale_repeat_sessions`` exceeds the look-back.

    Notes
    -----
    A move is measured against the last close, scaled by the splits and dividends since. If that is a jump and the close
    before explains it, that one counts: after one slipped row the return to the true level is no second fault. An
    action counts from its ex-session if it was known when the bar was. A delisting in effect explains any move. Nothing
    after the bar is read. Unexplained is NaN without a close in the look-back.
    """
    if settings.stale_repeat_sessions > LOOKBACK_SESSIONS:
        raise ConfigurationError(
            f"quality.stale_repeat_sessions: {settings.stale_repeat_sessions} exceeds the {LOOKBACK_SESSIONS} sessions "
            "that the gate looks back; choose a smaller number"
        )
    closes = one_close_each(bars, days=days)
    ordered = _Ordered(closes, days)
    close = closes["close_raw_usd"].to_numpy()
    splits, dividends, delisted = _events_since_previous_bar(closes, actions)
    last_close, older_close = ordered.before(close, 1), ordered.before(close, 2)
    last_scaled = _scaled(last_close, dividends, splits)
    older_scaled = _scaled(
        _scaled(older_close, ordered.before(dividends, 1), ordered.before(splits, 1)), dividends, splits
    )
    moves = np.log(close / last_scaled), np.log(close / older_scaled)
    opened = closes["open_raw_usd"].to_numpy()
    bound = settings.unexplained_jump
    use_older = (np.abs(moves[0]) > bound) & (np.abs(moves[1]) <= bound)
    unexplained = np.where(delisted, 0.0, np.where(use_older, moves[1], moves[0]))
    reference = np.where(use_older, older_close, last_close)
    step = np.log(reference / np.where(use_older, older_scaled, last_scaled))
    context: pd.DataFrame = closes[["session", "symbol"]].assign(
        reference_close_usd=reference,
        close_ratio=close / reference,
        recorded_split_ratio=np.where(use_older, splits * ordered.before(splits, 1), splits),
        recorded_dividend_usd=np.where(use_older, dividends + ordered.before(dividends, 1), dividends),
        unexplained_log_return=unexplained,
        suspected_cause=_causes(unexplained, opened / last_scaled, close, bound),
        one_session_log_return=np.where(delisted, 0.0, np.where(ordered.follows(), moves[0], np.nan)),
        contradicts_actions=_contradicted(unexplained, _log_positive(opened / reference) + step, step, bound=bound),
        identical_closes=_identical_closes(ordered, close, closes["volume_shares"].to_numpy(), settings),
    )
    return context


def one_close_each(bars: pd.DataFrame, *, days: npt.NDArray[np.datetime64]) -> pd.DataFrame:
    """Return one bar with a positive close for each symbol and session of `days`, by symbol and session."""
    close = bars["close_raw_usd"]
    dated = np.isin(bars["session"].to_numpy(dtype="datetime64[D]"), days)
    usable = bars[np.isfinite(close) & (close > 0) & dated]
    # of repeated rows the one with the highest close, whichever order they came in
    ordered = usable.sort_values(["symbol", "session", "close_raw_usd", "open_raw_usd", "volume_shares"], kind="stable")
    distinct: pd.DataFrame = ordered.drop_duplicates(["symbol", "session"], keep="last").reset_index(drop=True)
    return distinct


def _events_since_previous_bar(
    closes: pd.DataFrame, actions: pd.DataFrame
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Return split ratio, cash per old share in USD and whether a delisting took effect, after the previous bar."""
    splits, dividends = np.ones(len(closes)), np.zeros(len(closes))
    delisted = np.zeros(len(closes), dtype=np.bool_)
    wanted = actions[actions["action"].isin(["split", "dividend", "delisting"])]
    if wanted.empty or closes.empty:
        return splits, dividends, delisted
    rows = closes[["session", "symbol", "known_at_utc"]].rename(columns={"known_at_utc": "bar_known_at_utc"})
    matched = pd.merge_asof(
        wanted.sort_values(["session", "symbol", "action"], kind="stable"),
        rows.assign(row=np.arange(len(rows))).sort_values("session", kind="stable"),
        on="session",
        by="symbol",
        direction="forward",
    )
    known = matched[matched["row"].notna() & (matched["known_at_utc"] <= matched["bar_known_at_utc"])]
    row = known["row"].to_numpy(dtype=np.int64)
    is_split = ((known["action"] == "split") & (known["split_ratio"] > 0)).to_numpy()
    is_dividend = (known["action"] == "dividend").to_numpy()
    np.multiply.at(splits, row[is_split], known["split_ratio"].to_numpy()[is_split])
    np.add.at(dividends, row[is_dividend], known["dividend_usd"].to_numpy()[is_dividend])
    delisted[row[(known["action"] == "delisting").to_numpy()]] = True
    return splits, dividends, delisted


def _scaled(close: Floats, dividend_usd: Floats, split_ratio: Floats) -> Floats:
    """Return an earlier close on the later bar's terms; cash that exceeds the close explains nothing.

    Such a dividend cannot be, and is refused as such (:mod:`aegis.market_data.action_evidence`).
    """
    after_cash = np.where(dividend_usd < close, close - dividend_usd, close)
    scaled: Floats = after_cash / split_ratio
    return scaled


def _log_positive(values: Floats) -> Floats:
    return np.log(np.where(values > 0, values, np.nan))


def _contradicted(closed: Floats, opened: Floats, step: Floats, *, bound: float) -> npt.NDArray[np.bool_]:
    """Return which bars do not show the actions that are recorded for them.

    Parameters
    ----------
    closed, opened : ndarray of float64, shape (bars,)
        Log returns to the close and the open, after the recorded actions.
    step : ndarray of float64, shape (bars,)
        Log step that the actions make, positive for a split into more shares and for a dividend.
    bound : float
        Absolute log return that needs an action.

    Notes
    -----
    Beyond the bound a recorded action of some size has not explained the prices, whatever is left. Within it, the bar
    speaks against the action when open *and* close moved by a fifth or more on the action's terms, and by less than
    half of that without it: a true move would have to undo the action overnight, and stay.
    """
    unexplained = (np.abs(step) >= CONTRADICTION) & (np.abs(closed) > bound)
    unshown = np.ones(len(closed), dtype=np.bool_)
    for move in (opened, closed):
        unshown &= (np.abs(move) >= CONTRADICTION) & (2.0 * np.abs(move - step) < np.abs(move))
    return unexplained | unshown


def _causes(unexplained: Floats, open_ratio: Floats, close: Floats, bound: float) -> Texts:
    """Return the error that each jump looks like, or None for one that may be a true move."""
    causes: Texts = np.full(len(unexplained), None, dtype=object)
    # a split smaller than the bound cannot be told from a true move: WM fell by a third overnight on 1999-07-07
    sizes = [size for size in SPLIT_SIZES if math.log(size) > bound]
    for row in np.flatnonzero(np.abs(unexplained) > min(bound, IMPLAUSIBLE_MOVE)):
        move, ratio = float(unexplained[row]), float(open_ratio[row])
        close_ratio = math.exp(move)
        causes[row] = (
            _slip(close_ratio, smallest=SURE_SLIP)
            or _missing_split(ratio, close_ratio, float(close[row]), sizes)
            or _implausible(move, float(close[row]))
        )
    return causes


def _slip(close_ratio: float, *, smallest: float) -> str | None:
    for slip in UNIT_SLIPS:
        if slip >= smallest and _is_near(close_ratio, slip, CLOSE_TOLERANCE):
            return f"a unit slip, {slip:g} x too high"
        if slip >= smallest and _is_near(close_ratio, 1 / slip, CLOSE_TOLERANCE):
            return f"a unit slip, {slip:g} x too low"
    return None


def _implausible(move: float, close_usd: float) -> str | None:
    """Return what is said of a move that no share makes in a session; None for one that may be true."""
    fell_below = move < 0 and close_usd < COLLAPSED_PRICE_USD
    if abs(move) <= (COLLAPSE if fell_below else IMPLAUSIBLE_MOVE):
        return None
    return _slip(math.exp(move), smallest=UNIT_SLIPS[0]) or "an error in the prices, larger than any move of a session"


def _missing_split(open_ratio: float, close_ratio: float, close_usd: float, sizes: Sequence[float]) -> str | None:
    """Return the split that a jump looks like, or None for one that may be a true move."""
    for size in sizes:
        is_split = _is_near(open_ratio, 1 / size, SPLIT_OPEN_TOLERANCE) and _is_near(
            close_ratio, 1 / size, CLOSE_TOLERANCE
        )
        if is_split and close_usd >= LOWEST_PRICE_AFTER_SPLIT_USD:
            return f"a {_terms(size)} split missing from the actions or doubled in the prices"
        if _is_near(open_ratio, size, REVERSE_SPLIT_OPEN_TOLERANCE) and _is_near(close_ratio, size, CLOSE_TOLERANCE):
            return f"a {_terms(size, reverse=True)} reverse split missing from the actions or doubled in the prices"
    return None


def _is_near(value: float, level: float, tolerance: float) -> bool:
    return abs(value / level - 1.0) <= tolerance


def _terms(size: float, *, reverse: bool = False) -> str:
    new, old = (round(size), 1) if size == round(size) else (round(2 * size), 2)
    return f"{old}:{new}" if reverse else f"{new}:{old}"


def _identical_closes(ordered: _Ordered, close: Floats, volume: Floats, settings: QualitySettings) -> Floats:
    run = np.ones(len(close))
    unbroken = volume > 0
    for bars in range(1, settings.stale_repeat_sessions):
        unbroken = unbroken & (ordered.before(close, bars) == close) & (ordered.before(volume, bars) > 0)
        run += unbroken
    return run


def words_for(row: dict[str, Any]) -> dict[str, str]:
    """Return what is said of a jump's recorded actions, and the cure that follows."""
    known = recorded_actions(row)
    slipped = any(word in str(row["suspected_cause"]) for word in ("unit slip", "error in the prices"))
    recorded = f"{known} is recorded, which does not explain it" if known else "no split is recorded"
    add = "correct the recorded action or the prices" if known else "add the split"
    return {"recorded": recorded, "cure": "correct the price in the source" if slipped else add}


def recorded_actions(row: Mapping[Any, Any]) -> str:
    """Return the splits and dividends since the reference close in words; empty where there are none."""
    split, cash = row["recorded_split_ratio"], row["recorded_dividend_usd"]
    known = [f"a split of {split:.6g} new shares for one"] * (split != 1.0)
    return " and ".join(known + [f"a dividend of {cash:.4g} USD"] * (cash > 0))
