"""The kernel's records as frames: words for numbers, instants for steps.

Belongs here: the frames of orders and fills, and how a column of codes becomes a column of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.backtesting.kernel.codes import OrderType, Pass, Reason, State, TimeInForce
from aegis.backtesting.kernel.records import NEVER
from aegis.backtesting.kernel.vocabulary import ORDER_TYPE_WORDS, REASONS, STATES, TIME_IN_FORCE_WORDS

_NOT_A_TIME: Final = np.iinfo(np.int64).min
PASS_WORDS: Final = tuple(at.name.lower().replace("_", " ") for at in Pass)
REASON_WORDS: Final = tuple("" if code is Reason.NONE else REASONS[code] for code in Reason)
"""The word of each of the kernel's reasons; empty where there is none."""


def worded(codes: NDArray[Any], words: Sequence[str]) -> pd.Categorical[str]:
    """Return a column of codes, 0, 1, ..., as the words they stand for."""
    return pd.Categorical.from_codes(codes.astype(np.int32), pd.Index([str(word) for word in words]))


def _recoded(codes: NDArray[Any], words: Sequence[str]) -> pd.Categorical[str]:
    """Return codes as words of which several codes may share one."""
    distinct = list(dict.fromkeys(words))
    return worded(np.array([distinct.index(word) for word in words])[codes], distinct)


def instants(steps: NDArray[Any], step_times_utc: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return when each of `steps` closed, NaT for a negative one."""
    times = step_times_utc.asi8[np.maximum(steps, 0)] if len(step_times_utc) else np.zeros(steps.size, np.int64)
    return pd.DatetimeIndex(np.where(steps >= 0, times, _NOT_A_TIME), tz="UTC")


def orders_frame(orders: NDArray[Any], *, symbols: tuple[str, ...], step_times_utc: pd.DatetimeIndex) -> pd.DataFrame:
    """Return one row for each order, by number, with its terms as they were last.

    Parameters
    ----------
    orders : ndarray of ORDER
    symbols : tuple of str
        Names by symbol number.
    step_times_utc : DatetimeIndex, length (steps,)
        When each step closes, aware UTC.

    Returns
    -------
    DataFrame
        Indexed by ``order``: ``symbol, algorithm, order_type, time_in_force, quantity_shares`` (bought positive),
        ``filled_shares, limit_price_usd, stop_price_usd, trail, trail_is_fraction, state, reason, submitted_step,
        submitted_at_utc, triggered_step, closed_step`` (-1 where not), ``closed_at_utc`` (NaT where open),
        ``expires_at_utc`` (NaT but for GTD), ``parent`` (-1 where none), ``fills, commission_usd``.
    """
    expires = np.where(orders["expires"] == NEVER, _NOT_A_TIME, orders["expires"])
    frame = pd.DataFrame(
        {
            "symbol": worded(orders["symbol"], symbols),
            "algorithm": _recoded(orders["type"], [ORDER_TYPE_WORDS[code][0] for code in OrderType]),
            "order_type": _recoded(orders["type"], [ORDER_TYPE_WORDS[code][1] for code in OrderType]),
            "time_in_force": worded(orders["time_in_force"], [TIME_IN_FORCE_WORDS[code] for code in TimeInForce]),
            "quantity_shares": orders["quantity"],
            "filled_shares": orders["filled"],
            "limit_price_usd": orders["limit"],
            "stop_price_usd": orders["stop"],
            "trail": orders["trail"],
            "trail_is_fraction": orders["trail_is_fraction"] != 0,
            "state": worded(orders["state"], [STATES[code] for code in State]),
            "reason": worded(orders["reason"], REASON_WORDS),
            "submitted_step": orders["submitted_step"],
            "submitted_at_utc": instants(orders["submitted_step"], step_times_utc),
            "triggered_step": orders["triggered_step"],
            "closed_step": orders["closed_step"],
            "closed_at_utc": instants(orders["closed_step"], step_times_utc),
            "expires_at_utc": pd.DatetimeIndex(expires, tz="UTC"),
            "parent": orders["parent"],
            "fills": orders["fills"],
            "commission_usd": orders["commission"],
        }
    )
    frame.index.name = "order"
    return frame


def fills_frame(
    fills: NDArray[Any],
    *,
    symbols: tuple[str, ...],
    step_times_utc: pd.DatetimeIndex,
    sessions: pd.DatetimeIndex,
    session_of_fill: NDArray[np.int64],
) -> pd.DataFrame:
    """Return one row for each fill, in the order of execution.

    Parameters
    ----------
    fills : ndarray of FILL
    sessions : DatetimeIndex
        Days of the sessions.
    session_of_fill : ndarray of int64, shape (fills,)
        Position in `sessions`.

    Returns
    -------
    DataFrame
        ``order, fill_number, symbol, session, step, at_utc`` (the close of the step's bar, wherever in it the fill
        was), ``executed_at`` (one of :data:`PASS_WORDS`: ``open sell``, ``open buy``, ``stop``, ``limit``, ``average
        sell``, ``average buy``, ``close sell``, ``close buy``), ``quantity_shares`` (bought positive), ``price_usd,
        reference_price_usd`` (without slippage and impact), ``commission_usd, fees_usd, slippage_usd`` (with impact;
        positive is adverse).
    """
    return pd.DataFrame(
        {
            "order": fills["order"],
            "fill_number": fills["number"],
            "symbol": worded(fills["symbol"], symbols),
            "session": sessions[session_of_fill],
            "step": fills["step"],
            "at_utc": instants(fills["step"], step_times_utc),
            "executed_at": worded(fills["at"], PASS_WORDS),
            "quantity_shares": fills["quantity"],
            "price_usd": fills["price"],
            "reference_price_usd": fills["reference"],
            "commission_usd": fills["commission"],
            "fees_usd": fills["fees"],
            "slippage_usd": slippage_usd(fills),
        }
    )


def slippage_usd(fills: NDArray[Any]) -> NDArray[np.float64]:
    """Return what slippage and impact cost each fill; positive when adverse; shape (fills,)."""
    cost: NDArray[np.float64] = fills["quantity"] * (fills["price"] - fills["reference"])
    return cost
