"""What text may name an instrument.

Belongs here: the one rule that every symbol and ticker passes before it becomes part of a table, a path or a page.
"""

from __future__ import annotations

import re

from aegis.errors import MalformedData

MAX_SYMBOL_LENGTH = 16

_SYMBOL = re.compile(r"[A-Za-z0-9^][A-Za-z0-9.^=\-]*")


def require_symbol(text: object) -> str:
    """Return `text` when it is a symbol, or refuse it.

    Parameters
    ----------
    text : object
        What a file, a vendor or a setting gave as a symbol or ticker.

    Returns
    -------
    str
        The same text. Case is kept: a vendor may tell instruments apart by it.

    Raises
    ------
    MalformedData
        It is not text, is longer than 16 characters, starts with neither a letter, a digit nor ``^``, holds anything
        but ASCII letters, digits and ``. - = ^``, or holds ``..``.

    Notes
    -----
    Symbols reach file names, SQL, HTML and spreadsheets. The alphabet holds no quote, separator, slash, space, control
    or bidirectional character, and none of the first characters that a spreadsheet reads as a formula.
    """
    if (
        isinstance(text, str)
        and len(text) <= MAX_SYMBOL_LENGTH
        and _SYMBOL.fullmatch(text) is not None
        and ".." not in text
    ):
        return text
    raise MalformedData(
        f"{ascii(text)[:80]} is not a symbol: expected 1 to {MAX_SYMBOL_LENGTH} ASCII letters, digits or '.-=^', "
        "starting with a letter, a digit or '^'; rename it in the source"
    )
