"""A fee that a broker charges to an account beside the commissions of its fills.

Belongs here: the value. When it is told is each broker's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class AccountFee:
    """A fee that a broker charged to the account: `amount_usd` is positive where it was paid."""

    fee_id: str
    day: date
    amount_usd: float
    description: str
