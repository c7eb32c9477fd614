"""Value: what a share paid out, as a share of its price.

Belongs here: what the corporate actions tell of value. Book values, earnings and shares outstanding are in no table,
and nothing here stands in for them. Formulas and sources of the columns are in :mod:`aegis.lake.tables.features`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aegis.features.observations import Observations
from aegis.features.segments import cash_per_share


def dividend_yield(observed: Observations, *, sessions: int) -> NDArray[np.float64]:
    """Return the dividends of `sessions` sessions over the raw close, shape (n_symbols, rows).

    Notes
    -----
    A dividend counts from its ex-session on, per share of today: splits since then scale it. A source that records no
    dividends gives a yield of 0 and not null, as nobody can tell that from a company that pays none.
    """
    ratios = observed.split_ratios
    # On a day of both, the dividend is per share held before the split.
    cash = cash_per_share(ratios, observed.dividends_usd / ratios, sessions, rows=observed.rows)
    value = cash / observed.close_usd[:, -observed.rows :]
    return np.where(observed.is_full(sessions), value, np.nan)
