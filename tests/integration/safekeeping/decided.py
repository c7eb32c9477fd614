"""A short history with covariances and orders, which tests of damage and of backups begin with."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from aegis.config import AegisConfig
from tests.integration.conftest import CALENDAR, Chain, settings

LAST = date(2014, 7, 8)
LAST_BOOKED = CALENDAR.previous(LAST)


def decided_chain(home: Path) -> Chain:
    """Return the platform in `home`, with a risk model that needs twenty sessions."""
    sections = settings(home=home, last_session=LAST)
    return Chain(AegisConfig(**{**sections, "portfolio": {"covariance_lookback_sessions": 20}}))
