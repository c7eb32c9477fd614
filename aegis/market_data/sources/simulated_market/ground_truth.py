"""What was planted in the simulated market, for tests and research only: no trading code may read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from aegis.market_data.sources.simulated_market.returns import ReturnsBlock
from aegis.market_data.sources.simulated_market.streams import Floats


@dataclass(frozen=True)
class PlantedPath:
    """What was planted, by session number; see :class:`GroundTruth` for the fields."""

    regime: NDArray[np.int8]
    market_return: Floats
    market_volatility: Floats
    drift: Floats
    reversal: Floats


@dataclass(frozen=True)
class GroundTruth:
    """The planted effects of one simulated market.

    Parameters
    ----------
    sessions : tuple of date
        Sessions, axis 0 of the arrays below.
    symbols : tuple of str
        Companies, axis 1; the benchmark is not among them.
    betas : ndarray of float64, shape (companies,)
        Loadings on the market factor.
    regime : ndarray of int8, shape (sessions,)
        0 calm, 1 turbulent.
    market_return : ndarray of float64, shape (sessions,)
        Market factor: the benchmark's simple return before rounding, 1/session.
    market_volatility : ndarray of float64, shape (sessions,)
        Standard deviation of the market factor given the past and the regime, 1/year.
    drift : ndarray of float64, shape (sessions, companies)
        Planted part of the expected return of this session that momentum can find, 1/session; sums to 0 over companies.
    reversal : ndarray of float64, shape (sessions, companies)
        Planted part of the expected return of this session that reverses earlier own returns, 1/session.

    Notes
    -----
    Row t is about the return of session t: it was fixed before the session, but never known to a participant. Companies
    have values also before they list and after they delist.
    """

    sessions: tuple[date, ...]
    symbols: tuple[str, ...]
    betas: Floats
    regime: NDArray[np.int8]
    market_return: Floats
    market_volatility: Floats
    drift: Floats
    reversal: Floats


def planted_path(blocks: Sequence[ReturnsBlock]) -> PlantedPath:
    """Collect what consecutive blocks of returns were made of."""
    return PlantedPath(
        regime=np.concatenate([b.regime for b in blocks]),
        market_return=np.concatenate([b.returns[:, -1] for b in blocks]),
        market_volatility=np.concatenate([b.market_volatility for b in blocks]),
        drift=np.concatenate([b.drift for b in blocks]),
        reversal=np.concatenate([b.reversal for b in blocks]),
    )
