"""What a vendor states of instruments, beside what its listings say.

Belongs here: bringing the two together. The normal form is :mod:`aegis.market_data.instrument_facts`.
"""

from __future__ import annotations

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.market_data.instrument_facts import facts_of_listings, normalise_instruments

BENCHMARK_SECTOR = "Benchmark"


def stated_instruments(
    facts: pd.DataFrame | None, listings: pd.DataFrame, calendar: TradingCalendar, *, source: str
) -> pd.DataFrame | None:
    """Return the facts of each listed symbol, from the beginning of its listing on; None where none are stated.

    Parameters
    ----------
    facts : DataFrame or None
        ``symbol`` and any of the columns of :data:`aegis.lake.tables.INSTRUMENTS`. A row without ``first_session``
        holds from the symbol's listing on; so do the listing's own facts where a symbol's first row begins later.
    listings : DataFrame
        :data:`aegis.lake.tables.LISTINGS`.
    calendar : TradingCalendar
        Decision calendar.
    source : str
        Name stored with each row.
    """
    if facts is None:
        return None
    listed = facts_of_listings(listings).set_index("symbol", drop=False)
    stated = facts[facts["symbol"].isin(listed.index)].copy()
    starts = stated["symbol"].map(listed["first_session"])
    index_symbols = listings.loc[~listings["tradable"], "symbol"]
    if "sector" in stated:
        stated["sector"] = stated["sector"].where(~stated["symbol"].isin(index_symbols), BENCHMARK_SECTOR)
    given = pd.to_datetime(stated["first_session"]) if "first_session" in stated else pd.Series(pd.NaT, stated.index)
    stated["first_session"] = given.fillna(starts)
    for name in ("listing_session", "delisting_session"):
        own = pd.to_datetime(stated[name]) if name in stated else pd.Series(pd.NaT, stated.index)
        stated[name] = own.fillna(stated["symbol"].map(listed[name]))
    begun = stated["first_session"].groupby(stated["symbol"]).min()
    unsaid = listed[~(listed["symbol"].map(begun) <= listed["first_session"])]
    # Before its first row a symbol is what its listing says, without a sector that may be a later one.
    rows = [*unsaid.drop(columns="sector").to_dict("records"), *stated.to_dict("records")]
    return normalise_instruments(pd.DataFrame(rows), calendar, source=source)
