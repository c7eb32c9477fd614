"""Latent daily returns of the simulated market: factors, regimes, volatility, and the two planted effects.

Belongs here: the return equations and their parameters. Prices, corporate actions and trading are elsewhere. The
equations are written out in ``docs/simulated_market.md``.

Notes
-----
Everything at session t is a function of draws at or before t. Blocks are generated whole and in order from a carried
:class:`ReturnState`, so no bit depends on how many blocks follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis.market_data.sources.simulated_market.instruments import INSTRUMENTS, SECTORS
from aegis.market_data.sources.simulated_market.streams import (
    BLOCK_SESSIONS,
    Floats,
    draw_block,
    draw_normal,
    draw_uniform,
)

SESSIONS_PER_YEAR = 252
CALM, TURBULENT = 0, 1

CALM_TO_TURBULENT = 1 / 200
TURBULENT_TO_CALM = 1 / 50
MARKET_VOLATILITY = (0.115, 0.28)
MARKET_DRIFT = (0.12, -0.08)
SECTOR_VOLATILITY = 0.09
SECTOR_TURBULENCE = 1.5
IDIOSYNCRATIC_TURBULENCE = 1.35

DRIFT_VOLATILITY = 0.13
DRIFT_HALF_LIFE_SESSIONS = 250
REVERSAL_SHARE = 0.10
REVERSAL_PERSISTENCE = 0.75

_MAX_MIXING = 12.0
_MAX_VOLATILITY_STATE = 8.0
_MAX_ABSOLUTE_RETURN = 0.33


@dataclass(frozen=True)
class VolatilityParameters:
    """GJR-GARCH(1,1) of one kind of series, and the degrees of freedom of its Student-t innovations."""

    alpha: float
    gamma: float
    beta: float
    degrees_of_freedom: float


MARKET_VOLATILITY_PARAMETERS = VolatilityParameters(0.01, 0.16, 0.87, 7.0)
SECTOR_VOLATILITY_PARAMETERS = VolatilityParameters(0.05, 0.04, 0.87, 6.0)
IDIOSYNCRATIC_VOLATILITY_PARAMETERS = VolatilityParameters(0.05, 0.06, 0.86, 5.0)

_SYMBOLS = tuple(i.symbol for i in INSTRUMENTS)
_SERIES = ("market", *(f"sector {name}" for name in SECTORS), *_SYMBOLS)
_PARAMETERS = (
    MARKET_VOLATILITY_PARAMETERS,
    *(SECTOR_VOLATILITY_PARAMETERS,) * len(SECTORS),
    *(IDIOSYNCRATIC_VOLATILITY_PARAMETERS,) * len(INSTRUMENTS),
)
_ALPHA = np.array([p.alpha for p in _PARAMETERS])
_GAMMA = np.array([p.gamma for p in _PARAMETERS])
_BETA = np.array([p.beta for p in _PARAMETERS])
_OMEGA = 1 - _ALPHA - _GAMMA / 2 - _BETA
_DEGREES = np.array([p.degrees_of_freedom for p in _PARAMETERS])
BETAS = np.array([i.beta for i in INSTRUMENTS])
_SECTOR_OF = np.array([SECTORS.index(i.sector) for i in INSTRUMENTS])
_FIRST_IDIOSYNCRATIC = 1 + len(SECTORS)
_DRIFT_PERSISTENCE = 0.5 ** (1 / DRIFT_HALF_LIFE_SESSIONS)


@dataclass(frozen=True)
class ReturnState:
    """What the returns of the next block need from the past.

    Parameters
    ----------
    regime : int
        Regime of the last session.
    volatility : ndarray of float64, shape (series,)
        GARCH variance of the next session over its unconditional one: market, sectors, companies.
    drift : ndarray of float64, shape (companies,)
        Planted drift before demeaning, in standard deviations.
    transient : ndarray of float64, shape (companies,)
        Part of the log price that is still to revert.
    """

    regime: int
    volatility: Floats
    drift: Floats
    transient: Floats


@dataclass(frozen=True)
class ReturnsBlock:
    """Returns of one block; axis 0 is the session.

    Parameters
    ----------
    returns : ndarray of float64, shape (BLOCK_SESSIONS, companies + 1)
        Simple total returns of the companies, then of the benchmark.
    variance : ndarray of float64, shape (BLOCK_SESSIONS, companies + 1)
        Variance of the session given its information flow, 1/session; the session is Gaussian given it.
    regime : ndarray of int8, shape (BLOCK_SESSIONS,)
        :data:`CALM` or :data:`TURBULENT`.
    drift, reversal : ndarray of float64, shape (BLOCK_SESSIONS, companies)
        Expected return of the session from the planted drift and from the planted reversal, 1/session.
    market_volatility : ndarray of float64, shape (BLOCK_SESSIONS,)
        Conditional standard deviation of the market factor, annualised.
    """

    returns: Floats
    variance: Floats
    regime: NDArray[np.int8]
    drift: Floats
    reversal: Floats
    market_volatility: Floats


def initial_return_state(seed: int) -> ReturnState:
    """Return the state before session 0: calm, average volatility, drifts from their stationary distribution."""
    drift = draw_block(seed, 0, owners=_SYMBOLS, purpose="first drift", draw=draw_normal)[0]
    return ReturnState(CALM, np.ones(len(_SERIES)), drift, np.zeros(len(_SYMBOLS)))


def returns_of_block(seed: int, block: int, state: ReturnState) -> tuple[ReturnsBlock, ReturnState]:
    """Generate one block of returns and the state after it.

    Parameters
    ----------
    seed : int
        ``market_data.simulated.seed``.
    block : int
        Number of the block.
    state : ReturnState
        State after the block before.

    References
    ----------
    Hamilton (1989), two-state Markov regimes. Glosten, Jagannathan and Runkle (1993), GARCH with a leverage term. Clark
    (1973), Student-t returns as a Gaussian under a random information flow. Poterba and Summers (1988), transient
    component of prices. The equations are numbered in ``docs/simulated_market.md``.
    """
    normal = draw_block(seed, block, owners=_SERIES, purpose="normal", draw=draw_normal)
    mixing = draw_block(seed, block, owners=_SERIES, purpose="mixing", draw=_draw_mixing)
    volatility, next_volatility = _garch(state.volatility, mixing * normal**2, negative=normal < 0)
    regime = _regimes(seed, block, state.regime)
    variance = _scales(regime) ** 2 * volatility * mixing
    shocks = np.sqrt(variance) * normal

    drift, next_drift = _drifts(seed, block, state.drift)
    own = shocks[:, _FIRST_IDIOSYNCRATIC:]
    reversal, next_transient = _reversals(own, state.transient)
    market = np.asarray(MARKET_DRIFT)[regime] / SESSIONS_PER_YEAR + shocks[:, 0]
    sectors = shocks[:, 1:_FIRST_IDIOSYNCRATIC][:, _SECTOR_OF]
    companies = BETAS * market[:, None] + sectors + own + reversal + drift
    company_variance = (
        BETAS**2 * variance[:, :1]
        + variance[:, 1:_FIRST_IDIOSYNCRATIC][:, _SECTOR_OF]
        + variance[:, _FIRST_IDIOSYNCRATIC:]
    )
    produced = ReturnsBlock(
        returns=np.clip(np.column_stack([companies, market]), -_MAX_ABSOLUTE_RETURN, _MAX_ABSOLUTE_RETURN),
        variance=np.column_stack([company_variance, variance[:, 0]]),
        regime=regime,
        drift=drift,
        reversal=reversal,
        market_volatility=np.sqrt(volatility[:, 0]) * np.asarray(MARKET_VOLATILITY)[regime],
    )
    return produced, ReturnState(int(regime[-1]), next_volatility, next_drift, next_transient)


def _draw_mixing(generator: np.random.Generator, column: int) -> Floats:
    degrees = float(_DEGREES[column])
    return np.minimum((degrees - 2) / generator.chisquare(degrees, BLOCK_SESSIONS), _MAX_MIXING)


def _regimes(seed: int, block: int, regime: int) -> NDArray[np.int8]:
    uniform = draw_block(seed, block, owners=("market",), purpose="regime", draw=draw_uniform)[:, 0]
    leave = (CALM_TO_TURBULENT, TURBULENT_TO_CALM)
    path = np.empty(BLOCK_SESSIONS, dtype=np.int8)
    for t, u in enumerate(uniform):
        regime = 1 - regime if u < leave[regime] else regime
        path[t] = regime
    return path


def _garch(volatility: Floats, squares: Floats, *, negative: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    path = np.empty_like(squares)
    response = (_ALPHA + _GAMMA * negative) * squares + _BETA
    for t in range(BLOCK_SESSIONS):
        path[t] = volatility
        volatility = np.minimum(_OMEGA + response[t] * volatility, _MAX_VOLATILITY_STATE)
    return path, volatility


def _scales(regime: NDArray[np.int8]) -> Floats:
    turbulent = CALM_TO_TURBULENT / (CALM_TO_TURBULENT + TURBULENT_TO_CALM)
    own = np.array([i.idiosyncratic_volatility for i in INSTRUMENTS])
    by_regime = np.array(
        [
            [
                MARKET_VOLATILITY[state],
                *(np.full(len(SECTORS), SECTOR_VOLATILITY) * _relative_scale(state, SECTOR_TURBULENCE, turbulent)),
                *(own * _relative_scale(state, IDIOSYNCRATIC_TURBULENCE, turbulent)),
            ]
            for state in (CALM, TURBULENT)
        ]
    )
    return np.asarray(by_regime[regime] / np.sqrt(SESSIONS_PER_YEAR))


def _relative_scale(regime: int, turbulence: float, turbulent_share: float) -> float:
    unconditional = np.sqrt(1 - turbulent_share + turbulent_share * turbulence**2)
    return float((turbulence if regime == TURBULENT else 1.0) / unconditional)


def _drifts(seed: int, block: int, drift: Floats) -> tuple[Floats, Floats]:
    normal = draw_block(seed, block, owners=_SYMBOLS, purpose="drift", draw=draw_normal)
    path = np.empty_like(normal)
    for t in range(BLOCK_SESSIONS):
        path[t] = drift
        drift = _DRIFT_PERSISTENCE * drift + np.sqrt(1 - _DRIFT_PERSISTENCE**2) * normal[t]
    relative = path - path.mean(axis=1, keepdims=True)
    return relative * (DRIFT_VOLATILITY / SESSIONS_PER_YEAR), drift


def _reversals(own: Floats, transient: Floats) -> tuple[Floats, Floats]:
    path = np.empty_like(own)
    for t in range(BLOCK_SESSIONS):
        path[t] = -(1 - REVERSAL_PERSISTENCE) * transient
        transient = REVERSAL_PERSISTENCE * transient + REVERSAL_SHARE * own[t]
    return path, transient
