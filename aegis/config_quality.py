"""Settings of the quality gate: the bounds of its checks, and the outcomes that a workspace may change.

Belongs here: names, types, defaults and bounds. What a bound rests on is told in ``docs/data_quality.md``, the rules
are :mod:`aegis.market_data.expectations`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis.config_section import Section


class QualitySettings(Section):
    """Bounds of the data checks."""

    max_quarantined_share: float = Field(0.05, ge=0, le=1)
    unexplained_jump: float = Field(
        0.45, gt=0, le=2, description="Absolute log return above which a move needs an action."
    )
    implausible_jump: float = Field(
        0.916,
        gt=0,
        description="Absolute log return (0.916 is a factor of 2.5) that only a share used to such moves makes.",
    )
    implausible_robust_volatilities: float = Field(
        10.0, gt=0, description="Robust volatilities beyond which a jump is out of character for its symbol."
    )
    split_robust_volatilities: float = Field(
        4.0, gt=0, description="Robust volatilities by which an unrecorded split may miss its level."
    )
    news_volume_multiple: float = Field(
        3.0, gt=1, description="Multiple of the usual dollar volume that news brings at least, and a split does not."
    )
    implausible_wick: float = Field(
        0.6, gt=0, description="Absolute log distance of high or low from the body above which a bar is a bad tick."
    )
    implausible_body: float = Field(
        1.0, gt=0, description="Absolute log distance of open and close above which one of them slipped."
    )
    stale_repeat_sessions: int = Field(5, ge=2)
    close_disagreement: float = Field(
        0.005, gt=0, description="Two sources' closes, larger / smaller - 1, above which one of them is wrong."
    )
    range_disagreement: float = Field(0.02, gt=0, description="The same for open, high and low.")
    volume_disagreement: float = Field(
        0.5, gt=0, description="The same for volume, which one vendor counts at one venue and another at all."
    )
    spike_log_return: float = Field(
        0.2, gt=0, description="Absolute log return from which a move that the next session takes back is a spike."
    )
    outlier_robust_volatilities: float = Field(
        8.0, gt=0, description="Move in robust volatilities above which it is an outlier."
    )
    unusual_volume_multiple: float = Field(
        50.0, gt=1, description="Multiple of the usual dollar volume, or its inverse, beyond which volume is unusual."
    )
    max_universe_loss: float = Field(
        0.2, ge=0, le=1, description="Share of the listed symbols that may end from one session to the next."
    )
    outcomes: dict[str, Literal["warn", "repair", "quarantine", "block"]] = Field(
        default_factory=dict, description="Outcome by check, where it is not the rule table's; critical checks block."
    )
