"""Attribution: whose opinion an active weight is.

Belongs here: how a weight beside a neutral one is shared out among those who argued for it. What those weights earned
is summed by whoever has the returns.
"""

from __future__ import annotations

import numpy as np

from aegis.errors import RiskError
from aegis.metrics.returns import FloatArray


def credited_weights(weights: FloatArray, neutral_weights: FloatArray, opinions: FloatArray) -> FloatArray:
    r"""Share out each active weight among the opinions on its side.

    Parameters
    ----------
    weights, neutral_weights : ndarray of float64, shape (n_sessions, n_symbols)
        Shares of equity held, and those that would be held without an opinion.
    opinions : ndarray of float64, shape (n_strategies, n_sessions, n_symbols)
        Strength of each strategy's opinion: positive expects the name to beat the others, 0 is none. Only the ratios
        between strategies matter.

    Returns
    -------
    ndarray of float64, shape (n_strategies, n_sessions, n_symbols)
        Weights whose sum over the strategies is the active weight, or 0 where no strategy was on its side.

    Raises
    ------
    RiskError
        Shapes that do not fit, or a value that is not finite.

    Notes
    -----
    With the active weight :math:`a = w - n` and opinions :math:`v_k`, strategy k is credited with
    :math:`a \, \max(v_k \operatorname{sgn} a, 0) / \sum_j \max(v_j \operatorname{sgn} a, 0)`: an overweight belongs to
    those who expected the name to do better, in proportion to how much better, an underweight to those who expected it
    to do worse. A strategy on the other side is neither credited nor charged. The shares are a convention; that they
    add up is not.

    References
    ----------
    Brinson, G., Hood, L. and Beebower, G. (1986), Determinants of portfolio performance, Financial Analysts Journal
    42(4): what active weights earn beside a reference book.
    """
    _refuse_unfit(weights, neutral_weights, opinions)
    active = weights - neutral_weights
    on_its_side = np.maximum(opinions * np.sign(active), 0.0)
    strength = on_its_side.sum(axis=0)
    shares = np.divide(on_its_side, strength, out=np.zeros_like(on_its_side), where=strength > 0.0)
    credited: FloatArray = active * shares
    return credited


def _refuse_unfit(weights: FloatArray, neutral_weights: FloatArray, opinions: FloatArray) -> None:
    if neutral_weights.shape != weights.shape or opinions.shape[1:] != weights.shape:
        raise RiskError(
            f"attribution: weights of shape {weights.shape}, neutral weights {neutral_weights.shape}, opinions "
            f"{opinions.shape}; pass sessions by symbols, and opinions with the strategies before them"
        )
    for name, values in (("weights", weights), ("neutral weights", neutral_weights), ("opinions", opinions)):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise RiskError(
                f"attribution: {name} at {tuple(int(i) for i in bad[0])} is {values[tuple(bad[0])]}; a name without a "
                "position or an opinion has 0"
            )
