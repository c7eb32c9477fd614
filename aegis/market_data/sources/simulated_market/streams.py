"""Random numbers of the simulated market: one independent stream for each seed, owner, purpose and block of sessions.

Belongs here: how a stream is keyed and how a block is drawn. What the numbers mean is said where they are used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCK_SESSIONS = 256
"""Sessions generated at once. A block is always generated whole, so a later end of the market repeats its bits."""

_DOMAIN = "aegis simulated market 4"
"""Of the labels 1 to 10, the one whose market factor under the default seed is nearest to the model's own drift,
volatility and share of turbulent sessions, so that the embedded market is a typical draw. The planted effects were not
compared."""


def stream(seed: int, owner: str, purpose: str, block: int) -> np.random.Generator:
    """Return the generator of one block of one random quantity.

    Parameters
    ----------
    seed : int
        ``market_data.simulated.seed``.
    owner : str
        Symbol or factor the numbers belong to.
    purpose : str
        What they are for, such as ``normal``.
    block : int
        Number of the block of :data:`BLOCK_SESSIONS` sessions, 0 for the first.

    Notes
    -----
    The 128-bit Philox key is a hash of all four, so streams of neighbouring seeds, symbols or blocks share nothing.
    ``seed + i`` was rejected: arithmetic on seeds makes streams overlap and biases what is averaged over them.

    References
    ----------
    Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", section 3.3 (Philox).
    """
    text = "\x1f".join((_DOMAIN, str(seed), owner, purpose, str(block)))
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


def draw_block(
    seed: int,
    block: int,
    *,
    owners: Sequence[str],
    purpose: str,
    draw: Callable[[np.random.Generator, int], Floats],
) -> Floats:
    """Draw one whole block for several owners, each from its own stream.

    Parameters
    ----------
    seed, block, purpose
        See :func:`stream`.
    owners : sequence of str
        One column each.
    draw : callable
        ``draw(generator, column)`` returns float64 of shape ``(BLOCK_SESSIONS, ...)``.

    Returns
    -------
    ndarray of float64, shape (BLOCK_SESSIONS, ..., len(owners))
    """
    columns = [draw(stream(seed, owner, purpose, block), column) for column, owner in enumerate(owners)]
    return np.ascontiguousarray(np.stack(columns, axis=-1))


def draw_normal(generator: np.random.Generator, column: int) -> Floats:  # noqa: ARG001 - signature of `draw`
    """Draw a block of standard normal numbers."""
    return generator.standard_normal(BLOCK_SESSIONS)


def draw_uniform(generator: np.random.Generator, column: int) -> Floats:  # noqa: ARG001 - signature of `draw`
    """Draw a block of numbers uniform on [0, 1)."""
    return generator.random(BLOCK_SESSIONS)
