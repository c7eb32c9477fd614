"""The carried state of a book: the only thing that a session reads from the book's own past.

Belongs here: the value and its JSON, equal to the bit after a round trip. How it moves is
:mod:`aegis.live_trading.session_loop`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState
from aegis.execution.order_records import canonical_json
from aegis.risk.breakers import BreakerState


@dataclass(frozen=True)
class BookState:
    """A book after one session.

    Parameters
    ----------
    account : AccountState
        Cash, positions, receivables and the orders that wait for the next session.
    breaker : BreakerState
        Whether a breaker is tripped, and since when.
    peak_equity_usd : float
        Highest equity so far.
    benchmark_level : float
        Total-return level of the benchmark, 1 before the first session.
    equity_history_usd : tuple of float
        Equity at closes, newest last, as many as the historical value at risk looks back, and one.
    """

    account: AccountState
    breaker: BreakerState
    peak_equity_usd: float
    benchmark_level: float
    equity_history_usd: tuple[float, ...] = ()

    @classmethod
    def opening(cls, account: str, *, cash_usd: float) -> BookState:
        """Return a new book that holds nothing but cash."""
        return cls(
            account=AccountState.opening(account, cash_usd=cash_usd),
            breaker=BreakerState.opening(equity_usd=cash_usd),
            peak_equity_usd=cash_usd,
            benchmark_level=1.0,
            equity_history_usd=(cash_usd,),
        )

    def after_transfers(self, transfers_usd: float, *, equity_usd: float) -> BookState:
        """Return the state that a session is compared with in which money was paid in or out.

        Parameters
        ----------
        transfers_usd : float
            Paid in positive, out negative; counted at the close.
        equity_usd : float
            At the close, with it.

        Raises
        ------
        ExecutionError
            Without the transfers the account would have been worth nothing, so that there is no return.

        Notes
        -----
        Peaks and past equity are scaled by what the transfers made of the equity: a payment is neither a gain nor a
        loss, so it moves no drawdown and is in no return. The account itself stays as it was.
        """
        if transfers_usd == 0.0:
            return self
        earned = equity_usd - transfers_usd
        if not (earned > 0 and equity_usd > 0):
            raise ExecutionError(
                f"account {self.account.account}: transfers of {transfers_usd:+,.2f} USD leave an equity of "
                f"{equity_usd:,.2f} USD of {earned:,.2f}; both must be positive for a return. Correct what was booked"
            )
        scale = equity_usd / earned
        breaker = self.breaker
        return replace(
            self,
            breaker=replace(
                breaker,
                reference_peak_usd=breaker.reference_peak_usd * scale,
                trough_usd=None if breaker.trough_usd is None else breaker.trough_usd * scale,
            ),
            peak_equity_usd=self.peak_equity_usd * scale,
            equity_history_usd=tuple(equity * scale for equity in self.equity_history_usd),
        )

    def to_json(self) -> str:
        """Return canonical JSON; :meth:`from_record` of its parsed form restores the state to the bit."""
        return canonical_json(
            {
                "account": self.account.to_record(),
                "breaker": self.breaker.to_record(),
                "peak_equity_usd": self.peak_equity_usd,
                "benchmark_level": self.benchmark_level,
                "equity_history_usd": list(self.equity_history_usd),
            }
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> BookState:
        """Return the state that the parsed JSON describes."""
        return cls(
            account=AccountState.from_record(record["account"]),
            breaker=BreakerState.from_record(record["breaker"]),
            peak_equity_usd=record["peak_equity_usd"],
            benchmark_level=record["benchmark_level"],
            equity_history_usd=tuple(record["equity_history_usd"]),
        )


def state_hash(state_json: str) -> str:
    """Return the SHA-256 of a state's JSON."""
    return hashlib.sha256(state_json.encode()).hexdigest()
