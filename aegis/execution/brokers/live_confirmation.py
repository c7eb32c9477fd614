"""That a person has allowed an account to trade real money: what no broker reaches a live host without.

Belongs here: the port that brokers ask, and the confirmation as a value. How a person is asked, and where the answer is
kept, is :mod:`aegis.live_trading.kept_confirmation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aegis.errors import ConfigurationError


class LivePermission(Protocol):
    """Whether an account may trade real money now; asked again before everything that is sent."""

    def require(self, account: str, now_utc: datetime) -> None:
        """Refuse an account that may not.

        Raises
        ------
        ConfigurationError
            It may not trade real money now; the message says why, and what to do.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTradingConfirmation:
    """One person's word that one account may trade real money.

    Parameters
    ----------
    account : str
        The only account it is for.
    confirmed_by : str
        Who typed it.
    expires_at_utc : datetime
        When it ends; aware.
    """

    account: str
    confirmed_by: str
    expires_at_utc: datetime

    def require(self, account: str, now_utc: datetime) -> None:
        """Refuse it for another account, without a person, or after its end.

        Raises
        ------
        ConfigurationError
            It does not cover `account` now.
        """
        if self.account != account:
            raise ConfigurationError(
                f"live trading was confirmed for account {self.account!r}, not for {account!r}; confirm this account"
            )
        if not self.confirmed_by.strip():
            raise ConfigurationError(f"live trading of account {account!r} was confirmed by nobody; name the person")
        if self.expires_at_utc.tzinfo is None or self.expires_at_utc <= now_utc:
            raise ConfigurationError(
                f"the confirmation of live trading of account {account!r} ended at {self.expires_at_utc.isoformat()}; "
                "confirm again"
            )
