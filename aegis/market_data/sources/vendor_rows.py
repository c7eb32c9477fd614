"""Rows of a vendor's JSON, checked value by value.

Belongs here: what may stand where a number is expected, and the frame that rows of bars become. JSON is typed, so a
text in the place of a price is another format, not a price to be guessed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from aegis.errors import MalformedData

_LONGEST_SHOWN = 60


def finite(value: object, what: str) -> float:
    """Return a JSON number, or refuse it.

    Parameters
    ----------
    value : object
        Found in the answer.
    what : str
        Vendor, symbol, session and field, for the message.

    Raises
    ------
    MalformedData
        It is no number, or infinite, or NaN.

    Notes
    -----
    Zero and negative numbers pass: naming them is the quality gate's task.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise MalformedData(
        f"{what}: expected a number, found {shown(value)}; use another source until the vendor answers as documented"
    )


def shown(value: object) -> str:
    """Return a value of an answer as short printable ASCII with its type."""
    text = ascii(value)
    text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
    return f"{text} ({type(value).__name__})"


def bars_frame(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Return rows of bars as a frame ordered by symbol and session; equal keys keep their order and are all kept."""
    frame = pd.DataFrame(list(rows))
    frame["session"] = pd.to_datetime(frame["session"]).astype("datetime64[ns]")
    return frame.sort_values(["symbol", "session"], kind="stable", ignore_index=True)
