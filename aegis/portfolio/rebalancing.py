"""From a session's signals and holdings to target weights, and from target weights to whole shares.

Belongs here: which names are optimized, held or left, why, and how a weight becomes a number of shares. The
optimization itself is :mod:`aegis.portfolio.optimizer`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.errors import PortfolioError
from aegis.portfolio.covariance import covariance_matrix
from aegis.portfolio.optimizer import TargetWeightsOptimizer

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TargetWeight:
    """Wanted and held share of equity of one name, and why; see ``portfolio/target_weights``."""

    symbol: str
    target_weight: float
    current_weight: float
    optimized_return_daily: float
    reason: str


def decision_inputs(
    ensemble: pd.DataFrame, covariances: pd.DataFrame
) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Return the symbols of one session that have a signal and a covariance, with both.

    Parameters
    ----------
    ensemble, covariances : DataFrame
        Rows of ``signals/ensemble_signals`` and ``portfolio/covariances`` of the session.

    Returns
    -------
    symbols : tuple of str
        Ascending.
    expected_returns : ndarray of float64, shape (n,)
        1/session.
    covariance : ndarray of float64, shape (n, n)
        1/session.
    """
    estimated, matrix = covariance_matrix(covariances)
    alpha = ensemble.set_index("symbol")["expected_return_daily"]
    kept = sorted((symbol, row) for row, symbol in enumerate(estimated) if symbol in alpha.index)
    symbols = tuple(symbol for symbol, _ in kept)
    rows = np.array([row for _, row in kept], dtype=np.intp)
    return symbols, alpha.reindex(list(symbols)).to_numpy(dtype=np.float64), matrix[np.ix_(rows, rows)]


def neutral_returns(covariance: FloatArray, *, risk_aversion: float, exposure: float) -> FloatArray:
    r"""Return the expected returns for which the equal-weighted book is optimal, 1/session.

    Parameters
    ----------
    covariance : ndarray of float64, shape (n, n)
        1/session.
    exposure : float
        Gross exposure of that book.

    Notes
    -----
    The strategies say who will beat whom, not what holding shares earns: their scores average to about zero, and a
    long-only book that maximised them alone would sit in cash. Added to these returns they become bets around a neutral
    book: without an opinion, cost or binding limit the optimum is ``exposure / n`` in each name.

    References
    ----------
    Black, F. and Litterman, R. (1992), Global portfolio optimization, Financial Analysts Journal 48: the returns
    implied by a reference book, :math:`\Pi = \gamma \Sigma w`, with the equal-weighted book in the place of the
    market's.
    """
    n = len(covariance)
    returns: FloatArray = risk_aversion * (covariance @ np.full(n, exposure / max(n, 1)))
    return returns


def target_weights(
    session: date,
    *,
    symbols: Sequence[str],
    expected_returns: FloatArray,
    covariance: FloatArray,
    current_weights: Mapping[str, float],
    members: frozenset[str],
    exposure_scale: float,
    optimizer: TargetWeightsOptimizer,
) -> list[TargetWeight]:
    """Decide the weights wanted after the close of `session`.

    Parameters
    ----------
    session : date
        Decision session; named in errors.
    symbols : sequence of str
        Names with a signal and a covariance; see :func:`decision_inputs`. Those that are not members are not bought.
    expected_returns : ndarray of float64, shape (n,)
        Signals' expected excess return, 1/session; the neutral book's return is added here.
    covariance : ndarray of float64, shape (n, n)
        1/session.
    current_weights : mapping of str to float
        Share of equity held at the close; names without a position may be absent.
    members : frozenset of str
        Names that may be held.
    exposure_scale : float
        Share of the gross exposure that the breakers allow.

    Returns
    -------
    list of TargetWeight
        Symbols ascending: every optimized member and every name held. ``reason`` is one of ``optimal``, ``capped``,
        ``unchanged: trading costs more than it gains``, ``not held: its return does not pay for its risk``,
        ``hold: no signal``, ``hold: no signal, cut by the exposure limit`` and ``exit: left the universe``.
        ``optimized_return_daily`` of a name that was not optimized is 0.

    Raises
    ------
    PortfolioError
        An expected return is missing, the arrays do not fit the symbols, or the optimizer refuses.

    Notes
    -----
    Names held without a signal keep their weight, and the optimizer gets what is left of the exposure; they are not
    capped, as nothing is known to size them by. If they alone exceed what the breakers allow, all are cut alike.
    """
    _refuse_unfit(session, symbols, expected_returns)
    settings = optimizer.settings
    optimized = np.array([i for i, symbol in enumerate(symbols) if symbol in members], dtype=np.intp)
    names = [symbols[i] for i in optimized]
    held = {symbol: weight for symbol, weight in current_weights.items() if weight != 0.0 and symbol not in names}
    rows = [
        TargetWeight(symbol, 0.0, weight, 0.0, "exit: left the universe")
        for symbol, weight in held.items()
        if symbol not in members
    ]
    allowed = settings.max_gross_exposure * exposure_scale
    without_signal = {symbol: weight for symbol, weight in held.items() if symbol in members}
    rows += _held_rows(without_signal, allowed)
    left = max(allowed - sum(row.target_weight for row in rows), 0.0)

    matrix = covariance[np.ix_(optimized, optimized)]
    returns = expected_returns[optimized] + neutral_returns(
        matrix, risk_aversion=settings.risk_aversion, exposure=settings.neutral_exposure
    )
    current = np.array([current_weights.get(symbol, 0.0) for symbol in names], dtype=np.float64)
    weights = optimizer.solve(
        returns, matrix, current, exposure_scale=min(left / settings.max_gross_exposure, 1.0), label=str(session)
    )
    rows += [
        TargetWeight(
            symbol, float(weight), float(now), float(mu), _reason(weight, now, cap=settings.max_position_weight)
        )
        for symbol, weight, now, mu in zip(names, weights, current, returns, strict=True)
    ]
    return sorted(rows, key=lambda row: row.symbol)


def whole_share_orders(
    targets: Mapping[str, float],
    current_quantities: Mapping[str, float],
    *,
    prices_usd: Mapping[str, float],
    equity_usd: float,
    min_trade_weight: float,
    max_increase_usd: Mapping[str, float] | None = None,
    lot_shares: Mapping[str, float] | None = None,
) -> dict[str, int]:
    """Return the signed number of shares to trade for each symbol that must change.

    Parameters
    ----------
    targets : mapping of str to float
        Wanted share of equity; every held symbol must be in it.
    current_quantities : mapping of str to float
        Shares held, signed, whole.
    prices_usd : mapping of str to float
        Raw close of the decision session; not needed for a target of 0.
    equity_usd : float
        Equity at the close.
    min_trade_weight : float
        Smaller changes, as a share of equity, are skipped; an exit never is.
    max_increase_usd : mapping of str to float, optional
        Largest purchase of each symbol, such as a share of what it trades in a day; absent or NaN allows none. What is
        left of the target is wanted again after the next session. Without the mapping nothing is limited.
    lot_shares : mapping of str to float, optional
        Smallest quantity that is ordered, whole shares; of an absent symbol one share.

    Returns
    -------
    dict of str to int
        Symbols ascending; symbols without a trade are absent.

    Raises
    ------
    PortfolioError
        Equity is not positive, a price is missing or not positive, a target is not finite, a held symbol has no target
        or a quantity is not whole.

    Notes
    -----
    An order is whole lots, rounded towards zero; an exit is of everything held, an odd lot too. The wanted quantity is
    rounded towards zero, so that a target at the position cap does not exceed it at this price.
    Sales are not limited here: an exit is never too large to begin, and the venue's own participation cap spreads it.
    """
    if not (math.isfinite(equity_usd) and equity_usd > 0.0):
        raise PortfolioError(f"equity is {equity_usd} USD; shares can only be sized on a positive equity")
    without_target = sorted(symbol for symbol, held in current_quantities.items() if held and symbol not in targets)
    if without_target:
        raise PortfolioError(
            f"{without_target[0]}: {current_quantities[without_target[0]]} shares are held without a target weight; "
            "give every held name a target, 0 to leave it"
        )
    orders: dict[str, int] = {}
    for symbol in sorted(targets):
        held = _whole(symbol, current_quantities.get(symbol, 0.0))
        if targets[symbol] == 0.0:
            change = -held
        else:
            price = _price(symbol, prices_usd)
            change = _wanted_shares(symbol, targets[symbol] * equity_usd, price) - held
            if abs(change) * price < min_trade_weight * equity_usd:
                continue
            if max_increase_usd is not None and change > 0 <= held:
                change = min(change, _affordable_shares(max_increase_usd.get(symbol, 0.0), price))
            change = _whole_lots(change, int((lot_shares or {}).get(symbol, 1.0)))
        if change:
            orders[symbol] = change
    return orders


def _whole_lots(change: int, lot: int) -> int:
    return change - int(math.fmod(change, lot))


def _held_rows(held: Mapping[str, float], allowed: float) -> list[TargetWeight]:
    gross = sum(abs(weight) for weight in held.values())
    if gross <= allowed:
        return [TargetWeight(symbol, weight, weight, 0.0, "hold: no signal") for symbol, weight in held.items()]
    scale = allowed / gross
    reason = "hold: no signal, cut by the exposure limit"
    return [TargetWeight(symbol, weight * scale, weight, 0.0, reason) for symbol, weight in held.items()]


def _reason(weight: float, now: float, *, cap: float) -> str:
    if weight == 0.0:
        return "not held: its return does not pay for its risk"
    if weight == cap:
        return "capped"
    return "unchanged: trading costs more than it gains" if weight == now else "optimal"


def _refuse_unfit(session: date, symbols: Sequence[str], expected_returns: FloatArray) -> None:
    if len(set(symbols)) != len(symbols) or len(symbols) != len(expected_returns):
        raise PortfolioError(
            f"{session}: expected one return for each of {len(set(symbols))} different symbols, found "
            f"{len(expected_returns)} returns for {len(symbols)} symbols; align them"
        )
    for symbol, value in zip(symbols, expected_returns, strict=True):
        if not math.isfinite(value):
            raise PortfolioError(
                f"{session} {symbol}: expected return is {value}; leave the name out to hold it without a signal"
            )


def _whole(symbol: str, quantity: float) -> int:
    if not math.isfinite(quantity) or quantity != int(quantity):
        raise PortfolioError(
            f"{symbol}: {quantity} shares are held; expected whole shares, book the fraction as cash first"
        )
    return int(quantity)


def _price(symbol: str, prices_usd: Mapping[str, float]) -> float:
    price = prices_usd.get(symbol, math.nan)
    if not (math.isfinite(price) and price > 0.0):
        raise PortfolioError(f"{symbol}: close is {price} USD; a positive close is needed to size the target")
    return price


def _wanted_shares(symbol: str, value_usd: float, price_usd: float) -> int:
    if not math.isfinite(value_usd):
        raise PortfolioError(f"{symbol}: target value is {value_usd} USD; a target weight must be finite")
    return int(value_usd / price_usd)


def _affordable_shares(limit_usd: float, price_usd: float) -> int:
    """Return the whole shares whose value stays within a limit; one less where rounding would overstep it."""
    if not limit_usd > 0.0:
        return 0
    shares = int(limit_usd / price_usd)
    return shares - 1 if shares * price_usd >= limit_usd else shares
