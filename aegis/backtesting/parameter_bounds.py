"""Refusing a parameter of a cost model that no market can have.

Belongs here: the check and its words. Which bounds a parameter has is said where it is declared.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from aegis.errors import ConfigurationError


def require_within(
    name: str, value: float, *, at_least: float = 0.0, at_most: float = math.inf, above: float = -math.inf
) -> None:
    """Refuse `value` unless it is a number from `at_least` to `at_most` and greater than `above`.

    Parameters
    ----------
    name : str
        ``Model.parameter``, for the message.
    value : float
        In the unit that its name carries.
    at_least, at_most, above : float
        The bounds, in the same unit. An infinite value passes only where `at_most` is infinite.

    Raises
    ------
    ConfigurationError
        Names the parameter, its bounds and what was found; NaN is refused always.
    """
    found: Any = value
    if not isinstance(found, Real):
        raise ConfigurationError(f"{name} must be a number, found {value!r}; correct it and run again")
    if at_least <= value <= at_most and value > above:
        return
    lowest = f"more than {above:g}" if above >= at_least else f"{at_least:g} or more"
    bounds = lowest if math.isinf(at_most) else f"{lowest} and at most {at_most:g}"
    raise ConfigurationError(f"{name} must be {bounds}, found {value!r}; correct it and run again")
