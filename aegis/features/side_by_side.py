"""The same work on independent parts, on all processors.

Belongs here: that, and nothing of what is worked on. What is done with each part must let go of Python's lock, as
compiled loops and numpy's sorts do; otherwise it takes as long as one after the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def side_by_side(work: Callable[[_Part], _Result], parts: Sequence[_Part]) -> list[_Result]:
    """Return what `work` makes of each part, in the order of the parts.

    Raises
    ------
    Exception
        What the first part that failed raised.
    """
    workers = min(len(parts), os.cpu_count() or 1)
    if workers <= 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(work, parts))
