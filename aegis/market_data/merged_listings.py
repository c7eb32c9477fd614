"""What several sources list, as one market: which of them is believed about each instrument.

Belongs here: joining listings and choosing whose corporate actions count. Who is asked, and what is done when one does
not answer, is :mod:`aegis.market_data.multi_source`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from aegis.errors import MalformedData
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS


@dataclass(frozen=True)
class MergedListings:
    """One market out of several.

    Parameters
    ----------
    listings : DataFrame
        :data:`aegis.lake.tables.LISTINGS`; all intervals of a symbol come from one source.
    believed : dict of str to str
        For each symbol the name of that source, whose actions count as well.
    notes : tuple of str
        Where the others say something else.
    """

    listings: pd.DataFrame
    believed: dict[str, str]
    notes: tuple[str, ...]


def merge_listings(answers: Sequence[tuple[str, pd.DataFrame]]) -> MergedListings:
    """Return the listings of all symbols that any source lists.

    Parameters
    ----------
    answers : sequence of (str, DataFrame)
        Name and listings of each source, in the order in which they are believed; at least one.

    Raises
    ------
    MalformedData
        Two sources list a symbol now under different tickers: it is not the same instrument.

    Notes
    -----
    A symbol is believed to the first source that lists it still, or to the first that ever did. A source that lost a
    symbol, while another goes on, has a gap and not a delisting.
    """
    _refuse_different_instruments(answers)
    believed: dict[str, str] = {}
    notes: list[str] = []
    for name, listings in answers:
        for symbol in sorted(_open_tickers(listings).keys() - believed.keys()):
            believed[symbol] = name
            notes += _lost_by(symbol, name, answers)
    for name, listings in answers:
        for symbol in listings["symbol"].unique():
            believed.setdefault(str(symbol), name)
    parts = [rows[rows["symbol"].map(believed) == name] for name, rows in answers]
    kept = [rows for rows in parts if not rows.empty]
    merged = LISTINGS.conform(pd.concat(kept)) if kept else LISTINGS.empty()
    return MergedListings(merged, believed, tuple(notes))


def merge_actions(answers: Sequence[tuple[str, pd.DataFrame]], believed: dict[str, str]) -> pd.DataFrame:
    """Return the corporate actions of each symbol as its believed source states them, and nobody else.

    Parameters
    ----------
    answers : sequence of (str, DataFrame)
        Name and :data:`aegis.lake.tables.CORPORATE_ACTIONS` of each source.
    believed : dict of str to str
        Source of each symbol.

    Notes
    -----
    Two sources that date one dividend a day apart would both be booked if their actions were joined.
    """
    parts = [rows[rows["symbol"].map(believed) == name] for name, rows in answers]
    kept = [rows for rows in parts if not rows.empty]
    return CORPORATE_ACTIONS.conform(pd.concat(kept)) if kept else CORPORATE_ACTIONS.empty()


def split_differences(answers: Sequence[tuple[str, pd.DataFrame]], listed: Sequence[pd.DataFrame]) -> list[str]:
    """Name the splits that one source states and the next, which lists the symbol in that session, does not.

    Parameters
    ----------
    answers : sequence of (str, DataFrame)
        Name and actions of each source.
    listed : sequence of DataFrame
        Listings of each, in the same order.
    """
    notes: list[str] = []
    stated = [_splits(actions) for _, actions in answers]
    for one, (name, _) in enumerate(answers):
        for two, (other, _) in enumerate(answers):
            if one == two:
                continue
            for (session, symbol), ratio in stated[one].items():
                theirs = stated[two].get((session, symbol))
                is_listed = _is_listed(listed[two], symbol, session)
                if is_listed and (theirs is None or (theirs != ratio and one < two)):
                    said = "none" if theirs is None else f"{theirs:g}"
                    notes.append(f"{symbol} {session:%Y-%m-%d}: a split of {ratio:g} by {name}, {said} by {other}")
    return notes


def _splits(actions: pd.DataFrame) -> dict[tuple[pd.Timestamp, str], float]:
    rows = actions[actions["action"] == "split"]
    keys = zip(rows["session"], rows["symbol"], strict=True)
    return dict(zip(keys, rows["split_ratio"], strict=True))


def _is_listed(listings: pd.DataFrame, symbol: str, session: pd.Timestamp) -> bool:
    own = listings[listings["symbol"] == symbol]
    ends = own["last_session"].fillna(pd.Timestamp.max)
    return bool(((own["first_session"] < session) & (ends >= session)).any())


def _open_tickers(listings: pd.DataFrame) -> dict[str, str]:
    """Return the present ticker of each symbol that is listed still."""
    rows = listings[listings["last_session"].isna()]
    return dict(zip(rows["symbol"], rows["ticker"], strict=True))


def _refuse_different_instruments(answers: Sequence[tuple[str, pd.DataFrame]]) -> None:
    known: dict[str, tuple[str, str]] = {}
    for name, listings in answers:
        for symbol, ticker in _open_tickers(listings).items():
            first, said = known.setdefault(symbol, (name, ticker))
            if said != ticker:
                raise MalformedData(
                    f"{symbol}: it trades as {said} by {first} and as {ticker} by {name}, so the two mean different "
                    f"instruments; give them different symbols, or leave {symbol} or one of the sources out of "
                    "market_data.sources"
                )


def _lost_by(symbol: str, believed: str, answers: Sequence[tuple[str, pd.DataFrame]]) -> list[str]:
    notes: list[str] = []
    for name, listings in answers:
        if name == believed:
            return notes
        ends = listings.loc[listings["symbol"] == symbol, "last_session"]
        if len(ends):
            notes.append(f"{symbol}: {name} ends on {ends.max():%Y-%m-%d} and {believed} goes on, which is believed")
    return notes
