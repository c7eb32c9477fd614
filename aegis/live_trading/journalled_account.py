"""What an account at a broker holds and has to come by its journal, each row of which is read once.

Belongs here: keeping the projections up to date. What the rows mean for shares is
:mod:`aegis.live_trading.held_positions`, for cash :mod:`aegis.live_trading.cash_balance`, for mergers and delistings
:mod:`aegis.live_trading.booked_actions`.
"""

from __future__ import annotations

from dataclasses import dataclass

from aegis.execution.journal import Journal
from aegis.live_trading.booked_actions import AnnouncedExchanges, ComingExchange
from aegis.live_trading.cash_balance import CashBalance, CashReading
from aegis.live_trading.held_positions import held_shares


@dataclass(frozen=True, slots=True)
class AccountByJournal:
    """An account as the journal says it stands.

    Parameters
    ----------
    held : dict of str to float or None
        Signed shares by permanent symbol, without zeros; None while nothing was ever taken over.
    coming : tuple of ComingExchange
        Mergers and delistings of what is held that the broker has not shown yet, oldest first.
    cash : CashBalance
        What cash there should be, and which payments are due.
    """

    held: dict[str, float] | None
    coming: tuple[ComingExchange, ...]
    cash: CashBalance


class JournalledAccount:
    """The account of one journal.

    Parameters
    ----------
    journal : Journal
        Of the account.

    Notes
    -----
    The account is compared with its broker every minute, for as long as its journal grows: reading costs what is new.
    One thread at a time reads.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._sequence = 0
        self._held: dict[str, float] | None = None
        self._announced, self._cash = AnnouncedExchanges(), CashReading()

    def read(self) -> AccountByJournal:
        """Return how the account stands by the rows that are in the journal now."""
        rows = self._journal.events_after(self._sequence)
        if rows:
            self._held = held_shares(rows, before=self._held)
            for row in rows:
                self._announced.take(row)
                self._cash.take(row)
            self._sequence = rows[-1].sequence
        held = None if self._held is None else dict(self._held)
        return AccountByJournal(held, self._announced.coming(held or {}), self._cash.balance())
