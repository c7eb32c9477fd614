"""Which failures of a vendor call are worth another try.

Belongs here: the translation of our errors into Dagster's retries. The policy's numbers are with the assets.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from aegis.errors import AegisError, SourceUnavailable


@contextmanager
def retried_when_unavailable() -> Iterator[None]:
    """Let Dagster retry a source that gave no answer, and nothing else.

    Raises
    ------
    SourceUnavailable
        As raised inside; the asset's retry policy applies.
    Failure
        Any other refusal of ours: asking again would be refused again.
    """
    try:
        yield
    except SourceUnavailable:
        raise
    except AegisError as error:
        raise dg.Failure(description=f"{type(error).__name__}: {error}", allow_retries=False) from error
