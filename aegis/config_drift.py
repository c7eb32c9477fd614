"""Settings of drift: what is compared with what, and what happens when something has moved.

Belongs here: names, types, defaults and bounds. The detectors are :mod:`aegis.drift`, what a response does is
:mod:`aegis.drift.responses`.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, field_validator

from aegis.config_section import Section

DriftAction = Literal["alert", "shrink", "stop"]
_RETUNE = ("re-tune", "retune", "re_tune")


class DriftFamilySettings(Section):
    """What follows when a measure of one family has moved."""

    action: DriftAction = Field(
        "alert", description="`shrink` scales the targets, `stop` trips the breaker; both alert, and a person releases."
    )
    severity: Literal["warn", "error"] = Field("warn", description="Of the failed check; an error fails the run.")

    @field_validator("action", mode="before")
    @classmethod
    def _nothing_retunes_yet(cls, value: object) -> object:
        """Refuse what could not be kept: a request that nothing answers would look like a response."""
        if value in _RETUNE:
            raise ValueError(
                f"{value!r} is asked for, and nothing tunes parameters yet, so that the request would stay unanswered; "
                "set alert, shrink or stop"
            )
        return value


class DriftSettings(Section):
    """How much history is compared, how sure a verdict is, and what each family of measures leads to."""

    reference_sessions: int = Field(504, ge=120, description="Sessions that the newer ones are compared with.")
    window_sessions: int = Field(63, ge=20, description="Sessions whose distribution is compared with the reference.")
    slow_window_sessions: int = Field(
        252,
        ge=20,
        description="The same for a series that repeats itself so much that the shorter window says nothing.",
    )
    false_alarm_rate: float = Field(
        0.05, gt=0, lt=1, description="Chance that a judgement of a family alarms though nothing changed."
    )
    live_since: date | None = Field(
        None, description="First session whose results count as live; without it each calendar year is held against "
        "the sessions before it.",
    )  # fmt: skip
    shrink_exposure: float = Field(0.5, ge=0, lt=1, description="Share of the exposure that `shrink` leaves.")
    rest_sessions: int = Field(
        63, ge=1, description="Sessions after a release in which the same family does not respond again."
    )
    features: DriftFamilySettings = DriftFamilySettings()
    signals: DriftFamilySettings = DriftFamilySettings()
    performance: DriftFamilySettings = DriftFamilySettings()
    slippage: DriftFamilySettings = DriftFamilySettings()
    fill_rate: DriftFamilySettings = DriftFamilySettings()
    data: DriftFamilySettings = DriftFamilySettings()

    def family(self, name: str) -> DriftFamilySettings:
        """Return the settings of one family of measures."""
        found: DriftFamilySettings = getattr(self, name)
        return found
