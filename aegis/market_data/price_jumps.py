"""Each close beside the closes before it: what moved, and what corporate actions explain of it.

Belongs here: the columns on which the gate's checks of jumps and of stale closes rest. What a jump looks like is
:mod:`aegis.market_data.jump_causes`; the bounds are settings; the verdict is the expectations'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.config_quality import QualitySettings
from aegis.errors import ConfigurationError
from aegis.market_data.confirmed_closes import confirmations_of

LOOKBACK_SESSIONS = 30
"""How far back a previous close may lie, in sessions; fixed, so that earlier history changes nothing."""

CONTRADICTION = 0.2
"""Absolute log return, a fifth, from which prices can speak against a recorded action; and the smallest log step of a
split or dividend on which a jump is blamed, as stock dividends of 0.27 % exist."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


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
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    *,
    days: npt.NDArray[np.datetime64],
    settings: QualitySettings,
    confirmed: pd.DataFrame | None = None,
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
    confirmed : DataFrame, optional
        :data:`aegis.lake.tables.CONFIRMED_CLOSES`; none by default.

    Returns
    -------
    DataFrame
        One row for each session and symbol with a positive close: ``session``, ``symbol``, ``reference_close_usd``
        (raw), ``close_ratio`` (close / that), ``recorded_split_ratio`` and ``recorded_dividend_usd`` since it,
        ``unexplained_log_return``, ``one_session_log_return`` (the same from the session before; NaN without its bar),
        ``overnight_log_return`` (from the last close to the open, after the same actions),
        ``contradicts_actions`` (whether the prices do not show the recorded splits and dividends), ``identical_closes``
        (bars with this close in a row, counted up to the setting).

    Raises
    ------
    ConfigurationError
        ``stale_repeat_sessions`` exceeds the look-back.

    Notes
    -----
    A move is measured against the last close, scaled by the splits and dividends since. If that is a jump and the close
    before explains it, that one counts: after one slipped row the return to the true level is no second fault. A close
    that a person confirmed has not slipped, so what follows is measured against it alone. An
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
    with np.errstate(over="ignore"):  # the return from a price that is next to nothing is infinite
        moves = np.log(close / last_scaled), np.log(close / older_scaled)
    opened = closes["open_raw_usd"].to_numpy()
    bound = settings.unexplained_jump
    use_older = (np.abs(moves[0]) > bound) & (np.abs(moves[1]) <= bound)
    if confirmed is not None and not confirmed.empty:
        is_true = np.asarray(confirmations_of(closes, confirmed)["confirmed_close"].notna(), dtype=np.float64)
        use_older &= ~(ordered.before(is_true, 1) > 0)
    unexplained = np.where(delisted, 0.0, np.where(use_older, moves[1], moves[0]))
    reference = np.where(use_older, older_close, last_close)
    step = np.log(reference / np.where(use_older, older_scaled, last_scaled))
    context: pd.DataFrame = closes[["session", "symbol"]].assign(
        reference_close_usd=reference,
        close_ratio=close / reference,
        recorded_split_ratio=np.where(use_older, splits * ordered.before(splits, 1), splits),
        recorded_dividend_usd=np.where(use_older, dividends + ordered.before(dividends, 1), dividends),
        unexplained_log_return=unexplained,
        overnight_log_return=_log_positive(opened / last_scaled),
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


def _identical_closes(ordered: _Ordered, close: Floats, volume: Floats, settings: QualitySettings) -> Floats:
    run = np.ones(len(close))
    unbroken = volume > 0
    for bars in range(1, settings.stale_repeat_sessions):
        unbroken = unbroken & (ordered.before(close, bars) == close) & (ordered.before(volume, bars) > 0)
        run += unbroken
    return run


def recorded_actions(row: Mapping[Any, Any]) -> str:
    """Return the splits and dividends since the reference close in words; empty where there are none."""
    split, cash = row["recorded_split_ratio"], row["recorded_dividend_usd"]
    known = [f"a split of {split:.6g} new shares for one"] * (split != 1.0)
    return " and ".join(known + [f"a dividend of {cash:.4g} USD"] * (cash > 0))
