"""Settings of compliance: what kind of account it is, its restricted list and its position limits.

Belongs here: names, types, defaults and bounds. The rules and their dates are :mod:`aegis.compliance`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field

from aegis.config_section import Section

FindingSeverity = Literal["note", "warn", "error"]


class FindingSeverities(Section):
    """What a recent finding makes of its check: `note` passes it, `error` fails the run."""

    wash_sales: FindingSeverity = Field("note", description="A tax fact to report, no breach.")
    cash_account: FindingSeverity = "warn"
    margin: FindingSeverity = "error"
    day_trading: FindingSeverity = "error"


class ComplianceSettings(Section):
    """What the account is, and what it may hold beyond the limits of risk; what is left out limits nothing."""

    account_type: Literal["cash", "margin"] = Field(
        "cash", description="Decides which rules look at it: payment and settlement, or margin and day trading."
    )
    restricted_list: Path | None = Field(
        None, description="CSV file with the columns symbol, from, until, known_at_utc, restriction, reason."
    )
    max_positions: int | None = Field(None, ge=1)
    max_position_usd: float | None = Field(None, gt=0)
    max_share_of_median_volume: float | None = Field(None, gt=0)
    intraday_margin_adopted: date = Field(
        date(2026, 6, 4), description="Day on which the broker took up the intraday-margin rule, by 2027-10-20."
    )
    severities: FindingSeverities = FindingSeverities()
    told_sessions: int = Field(
        5,
        ge=1,
        description="Newest sessions whose findings a check tells; a call that is due later is told until then.",
    )
