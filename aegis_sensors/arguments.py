"""What a word on the command line may be: a session, an instant, a port, a count, a price.

Belongs here: reading one word and refusing a wrong one in argparse's way. What the words are for is
:mod:`aegis_sensors.cli`.
"""

from __future__ import annotations

import argparse
import math
from datetime import UTC, date, datetime

LARGEST_PORT = 65_535


def session(text: str) -> date:
    """Return the date that `text` names.

    Raises
    ------
    ArgumentTypeError
        It is no ISO date.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write it as 2024-05-31") from error


def instant(text: str) -> datetime:
    """Return the instant that `text` names, in UTC.

    Raises
    ------
    ArgumentTypeError
        It is none, or says no time zone.
    """
    refusal = f"{text!r} is not an instant with its time zone; write it as 2024-05-31T15:30:00-04:00, or ...Z for UTC"
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the year 1 of one zone has no date in UTC
        raise argparse.ArgumentTypeError(refusal) from error
    raise argparse.ArgumentTypeError(refusal)


def port(text: str) -> int:
    """Return a TCP port.

    Raises
    ------
    ArgumentTypeError
        It is no number from 1 to 65,535.
    """
    if not text.isdecimal() or not 1 <= int(text) <= LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a number from 1 to {LARGEST_PORT}")
    return int(text)


def positive(text: str) -> int:
    """Return a whole number above 0.

    Raises
    ------
    ArgumentTypeError
        It is none.
    """
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def price(text: str) -> float:
    """Return a price in US dollars.

    Raises
    ------
    ArgumentTypeError
        It is no finite number above 0.
    """
    return _above_zero(text, "is not a price; give US dollars above 0, such as 28.05")


def shares(text: str) -> float:
    """Return an unsigned number of shares.

    Raises
    ------
    ArgumentTypeError
        It is no finite number above 0.
    """
    return _above_zero(text, "is not a number of shares above 0")


def _above_zero(text: str, refusal: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} {refusal}")
    return value


def amount(text: str) -> float:
    """Return an amount in US dollars: came positive, went negative.

    Raises
    ------
    ArgumentTypeError
        It is no finite number other than 0.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value == 0.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount; give US dollars such as 12.50, or -12.50")
    return value
