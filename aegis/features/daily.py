"""Daily features of the universe's members.

Belongs here: from bars, actions and members to rows of ``features/daily_features``. What each column is, is said in
:mod:`aegis.lake.tables.features`; which function computes it, in :mod:`aegis.features.registry`; which returns were
known, in :mod:`aegis.features.panel`.

Notes
-----
What is known when: the row of session D uses bars up to D's close and the corporate actions known at D's decision.

NaN policy: a session without a bar carries the last close forward for at most
:data:`~aegis.features.panel.MAX_GAP_SESSIONS` sessions, and the return over the gap accrues at the next bar. A
feature is null when its window, the close it starts from included, holds a longer gap or begins before the first bar,
or when more sessions lack a bar than :func:`~aegis.features.observations.missing_allowed` grants: 5 % of the window, at
least one, so that a single session blocked by the data gate silences no feature. Ranks and z-scores are among the
members that have the feature, and null in a session with fewer than five of them.

Each value depends on the :data:`LOOKBACK_SESSIONS` sessions before it and on nothing earlier, to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.errors import FeatureError
from aegis.features import compiled_windows
from aegis.features.cross_section import cross_sectional_features
from aegis.features.observations import blocks_of_symbols, observations
from aegis.features.panel import (
    MAX_GAP_SESSIONS,
    KnowledgeEpoch,
    SessionSymbolPanel,
    decision_instants,
    epoch_panels,
)
from aegis.features.registry import LONGEST_WINDOW_SESSIONS, symbol_features
from aegis.features.side_by_side import side_by_side
from aegis.lake.schema import ascends_strictly
from aegis.lake.tables.features import DAILY_FEATURES, SYMBOL_FEATURES
from aegis.market_data.panel_cells import cell_positions

LOOKBACK_SESSIONS = LONGEST_WINDOW_SESSIONS - 1 + MAX_GAP_SESSIONS
"""Sessions before the first one asked for that a history must hold."""


def daily_features(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    universe: pd.DataFrame,
    *,
    first: date,
    last: date,
    calendar: TradingCalendar,
    decision_times: Mapping[date, datetime],
    benchmark: str,
) -> pd.DataFrame:
    """Compute the features of each member of the universe in ``[first, last]``.

    Parameters
    ----------
    bars : DataFrame
        ``market_data/daily_bars``, from :data:`LOOKBACK_SESSIONS` sessions before `first` or earlier, to `last`.
    actions : DataFrame
        ``market_data/corporate_actions`` of the same sessions.
    universe : DataFrame
        ``market_data/universe``; only members get a row.
    decision_times : mapping of date to datetime
        Aware UTC instant of each session's decision; it stamps ``known_at_utc``.
    benchmark : str
        Permanent symbol of the benchmark that beta is measured against; without bars of it there is no beta.

    Returns
    -------
    DataFrame
        Rows of ``features/daily_features``, null where a look-back is not full.

    Raises
    ------
    CalendarError
        `first` or `last` is not a session.
    FeatureError
        The range is empty, or a session has no decision time.
    """
    if first > last:
        raise FeatureError(
            f"features were asked for from {first} to {last}; the first session must not be the later one"
        )
    members = members_between(universe, first, last)
    symbols = sorted(members["symbol"].unique())
    parts = [
        _epoch_features(panel, members, epoch=epoch, benchmark=benchmark)
        for epoch, panel in epoch_panels(
            bars,
            actions,
            first=first,
            last=last,
            symbols=sorted({*symbols, benchmark}),
            lookback_sessions=LOOKBACK_SESSIONS,
            calendar=calendar,
            decision_times=decision_times,
        )
    ]
    features = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    columns = {name: features[name] for name in features.columns} | cross_sectional_features(features)
    columns["known_at_utc"] = decision_instants(features["session"], decision_times)
    return DAILY_FEATURES.adopt(pd.DataFrame(columns, copy=False))


def members_between(universe: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    """Return ``session`` and ``symbol`` of the members in ``[first, last]``, in key order."""
    inside = universe["session"].between(pd.Timestamp(first), pd.Timestamp(last)) & universe["is_member"]
    members = pd.DataFrame({name: universe[name].to_numpy()[inside] for name in ("session", "symbol")}, copy=False)
    if ascends_strictly(members, ["session", "symbol"]):
        return members
    return members.sort_values(["session", "symbol"], ignore_index=True)


def _epoch_features(
    panel: SessionSymbolPanel,
    members: pd.DataFrame,
    *,
    epoch: KnowledgeEpoch,
    benchmark: str,
) -> pd.DataFrame:
    row, column = cell_positions(members, sessions=epoch.sessions, symbols=panel.symbols)
    inside = row >= 0
    own_members = members if inside.all() else members[inside].reset_index(drop=True)
    values = {feature.name: np.empty(len(own_members)) for feature in SYMBOL_FEATURES}
    places = np.full((len(epoch.sessions), len(panel.symbols)), -1, dtype=np.int64)
    places[row[inside], column[inside]] = np.arange(len(own_members))

    def compute(symbols: slice) -> None:
        block = observations(panel, symbols, rows=len(epoch.sessions), benchmark=benchmark)
        own = np.ascontiguousarray(places[:, symbols])
        for name, found in symbol_features(block).items():
            compiled_windows.place_cells(found, own, values[name])

    side_by_side(compute, blocks_of_symbols(panel))  # each writes to places of its own
    return pd.DataFrame({"session": own_members["session"], "symbol": own_members["symbol"], **values}, copy=False)
