"""The ``make`` command that a person types next, complete: it reaches the history that this process works on.

Belongs here: naming in it what chose the history. Which words ``make`` takes, and what it makes of them, is in the
``Makefile``; a test holds the two together.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

_FOLDER = "AEGIS_MARKET_DATA__FILES__FOLDER"
_SOURCE = "AEGIS_RUN__SOURCE"
_MAKE_WORDS = {
    _FOLDER: "DATA",
    _SOURCE: "SOURCE",
    "AEGIS_RUN__WORKSPACE": "WORKSPACE",
    "AEGIS_RUN__FIRST_SESSION": "FIRST",
    "AEGIS_RUN__LAST_SESSION": "LAST",
}
_WITHOUT_A_WORD = ("AEGIS_CONFIG", "AEGIS_RUN__ACCOUNT", "AEGIS_RUN__HOME")
"""Variables that choose the history as well, and go before the command."""


def make_command(words: str, environment: Mapping[str, str] | None = None) -> str:
    """Return ``make <words>`` with everything that chose this process's history.

    Parameters
    ----------
    words : str
        Target, and what is said to it: ``run FROM=2015-06-12``.
    environment : mapping of str to str, optional
        Of the process that did it. Default: this one's.

    Notes
    -----
    What ``aegis.yaml`` says needs no word, as the next command reads it too. A variable that a person exported is named
    although it may still hold then: another shell does not have it.
    """
    given = os.environ if environment is None else environment
    chosen = {variable: given[variable] for variable in (*_MAKE_WORDS, *_WITHOUT_A_WORD) if given.get(variable)}
    if _FOLDER in chosen and chosen.get(_SOURCE) == "files":
        del chosen[_SOURCE]  # DATA says it
    before = [f"{name}={shlex.quote(chosen[name])}" for name in _WITHOUT_A_WORD if name in chosen]
    after = [f"{word}={shlex.quote(chosen[name])}" for name, word in _MAKE_WORDS.items() if name in chosen]
    return " ".join([*before, "make", words, *after])
