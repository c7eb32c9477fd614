"""How a session of the simulated market trades: open, high, low and close from one intraday path, and volume.

Belongs here: everything between a company's latent close and its bar. Nothing here feeds back into returns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aegis.market_data.sources.simulated_market.events import EventsBlock
from aegis.market_data.sources.simulated_market.instruments import BENCHMARK_DOLLAR_VOLUME_USD, INSTRUMENTS
from aegis.market_data.sources.simulated_market.streams import (
    BLOCK_SESSIONS,
    Floats,
    draw_block,
    draw_normal,
)

INTRADAY_STEPS = 26
OVERNIGHT_VARIANCE_SHARE = 0.2
OPENING_AND_CLOSING_VARIANCE = 2.0

VOLUME_PERSISTENCE = 0.93
VOLUME_VOLATILITY = 0.35
VOLUME_NOISE = 0.22
VOLUME_ELASTICITY = 0.45
TYPICAL_VARIANCE = 0.27**2 / 252

_OWNERS = (*(i.symbol for i in INSTRUMENTS), "market")
_LOG_DOLLAR_VOLUME = np.log([*(i.dollar_volume_usd for i in INSTRUMENTS), BENCHMARK_DOLLAR_VOLUME_USD])
_CENT = 0.01


def _variance_profile() -> Floats:
    middle = (np.arange(INTRADAY_STEPS) + 0.5) / INTRADAY_STEPS
    weights = 1 + OPENING_AND_CLOSING_VARIANCE * (2 * middle - 1) ** 2
    return np.asarray(weights / weights.sum())


_STEP_VARIANCE = _variance_profile()[:, None]
_ELAPSED_VARIANCE = np.cumsum(_STEP_VARIANCE, axis=0)


@dataclass(frozen=True)
class TradingState:
    """Log volume above typical, in standard deviations, and last traded closes in USD; the benchmark is last."""

    activity: Floats
    close: Floats


@dataclass(frozen=True)
class BarsBlock:
    """Traded prices in USD, rounded to cents, and volume in whole shares; shape (BLOCK_SESSIONS, companies + 1)."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def initial_trading_state(seed: int) -> TradingState:
    """Return the state before session 0: activity from its stationary distribution, no close yet."""
    activity = draw_block(seed, 0, owners=_OWNERS, purpose="first activity", draw=draw_normal)[0]
    return TradingState(activity, np.full(len(_OWNERS), np.nan))


def bars_of_block(
    seed: int, block: int, events: EventsBlock, *, variance: Floats, state: TradingState
) -> tuple[BarsBlock, TradingState]:
    """Trade one block.

    Parameters
    ----------
    seed, block : int
        Stream keys.
    events : EventsBlock
        Latent reference and closing prices, halts.
    variance : ndarray of float64, shape (BLOCK_SESSIONS, companies + 1)
        Variance of each session given its information flow, 1/session.
    state : TradingState
        State after the block before.

    Notes
    -----
    The log return r of a session with variance v is split exactly: overnight ``s r + sqrt(s (1 - s) v) z`` has variance
    ``s v`` and is uncorrelated with the rest, which a Brownian bridge of 26 steps on U-shaped business time fills. High
    and low are the extremes of the continuous path: within a step from a to b of variance w the maximum is drawn from
    its exact law, ``(a + b + sqrt((b - a)^2 + 2 w E)) / 2`` with E exponential, and the minimum likewise. Extremes of
    the 26 points alone were rejected: they miss a quarter of the variance that a range estimator should see.

    A halted session repeats the last close with volume 0. Its return is not lost: it is part of the next session's
    overnight move.

    References
    ----------
    Clark (1973) and Tauchen and Pitts (1983): one information flow drives variance and volume.
    Beaglehole, Dybvig and Zhou (1997): the maximum of a Brownian bridge.
    Wood, McInish and Ord (1985): U-shaped intraday variance.
    """
    log_return = np.log(events.close / events.reference)
    opening = draw_block(seed, block, owners=_OWNERS, purpose="overnight", draw=draw_normal)
    share = OVERNIGHT_VARIANCE_SHARE
    overnight = share * log_return + np.sqrt(share * (1 - share) * variance) * opening
    highest, lowest = _extremes(seed, block, log_return - overnight, np.sqrt((1 - share) * variance))
    open_ = _to_cents(events.reference * np.exp(overnight))
    close = _to_cents(events.close)
    high = np.maximum(np.maximum(open_, close), _to_cents(events.reference * np.exp(overnight + highest)))
    low = np.minimum(np.minimum(open_, close), _to_cents(events.reference * np.exp(overnight + lowest)))
    volume, activity = _volume(seed, block, close, variance=variance, activity=state.activity)
    bars = BarsBlock(open_, high, low, close, volume)
    for t, company in np.argwhere(events.halted):
        last = bars.close[t - 1, company] if t else state.close[company]
        for prices in (bars.open, bars.high, bars.low, bars.close):
            prices[t, company] = last
        bars.volume[t, company] = 0
    return bars, TradingState(activity, bars.close[-1].copy())


def _extremes(seed: int, block: int, log_return: Floats, volatility: Floats) -> tuple[Floats, Floats]:
    steps = draw_block(seed, block, owners=_OWNERS, purpose="intraday", draw=_draw_steps)
    walk = np.cumsum(steps * np.sqrt(_STEP_VARIANCE), axis=1) * volatility[:, None]
    after = walk + _ELAPSED_VARIANCE * (log_return - walk[:, -1])[:, None]
    before = np.concatenate([np.zeros_like(after[:, :1]), after[:, :-1]], axis=1)
    twice_variance = 2 * _STEP_VARIANCE * (volatility**2)[:, None]
    above = draw_block(seed, block, owners=_OWNERS, purpose="step high", draw=_draw_exponentials)
    below = draw_block(seed, block, owners=_OWNERS, purpose="step low", draw=_draw_exponentials)
    middle, squared = before + after, (after - before) ** 2
    highest = (middle + np.sqrt(squared + twice_variance * above)) / 2
    lowest = (middle - np.sqrt(squared + twice_variance * below)) / 2
    return np.asarray(highest.max(axis=1)), np.asarray(lowest.min(axis=1))


def _draw_steps(generator: np.random.Generator, column: int) -> Floats:  # noqa: ARG001 - signature of `draw`
    return generator.standard_normal((BLOCK_SESSIONS, INTRADAY_STEPS))


def _draw_exponentials(generator: np.random.Generator, column: int) -> Floats:  # noqa: ARG001 - signature of `draw`
    return generator.standard_exponential((BLOCK_SESSIONS, INTRADAY_STEPS))


def _to_cents(prices: Floats) -> Floats:
    return np.asarray(np.maximum(np.round(prices, 2), _CENT))


def _volume(seed: int, block: int, close: Floats, *, variance: Floats, activity: Floats) -> tuple[Floats, Floats]:
    news = draw_block(seed, block, owners=_OWNERS, purpose="activity", draw=draw_normal)
    noise = draw_block(seed, block, owners=_OWNERS, purpose="volume", draw=draw_normal)
    persistent = np.empty_like(news)
    for t in range(BLOCK_SESSIONS):
        activity = VOLUME_PERSISTENCE * activity + np.sqrt(1 - VOLUME_PERSISTENCE**2) * news[t]
        persistent[t] = activity
    log_dollars = (
        _LOG_DOLLAR_VOLUME
        + VOLUME_VOLATILITY * persistent
        + VOLUME_NOISE * noise
        + VOLUME_ELASTICITY * np.log(variance / TYPICAL_VARIANCE)
    )
    return np.maximum(np.round(np.exp(log_dollars) / close), 1.0), activity
